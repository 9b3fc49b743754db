//! `root` -> the container's root tree: opened, attached, pivoted into, made read-only.

use super::Context;
use super::mount_options::{PROPAGATION_WORDS, propagation};
use crate::error::quote;
use crate::{
    ConfigPath, InitOp, NamespaceKind, Overlay, ParentOp, PlanError, Problem, Propagation,
    PropagationKind, RootChange, Slot,
};
use oci_spec::runtime::LinuxIdMapping;

/// Adds the steps of this chapter, and fills [`Context::rootfs`].
pub(crate) fn build(context: &mut Context<'_>) {
    let Some(root) = context.spec.root() else {
        let wanted = "the object that names the container's root file system";
        context.problem(PlanError::new(
            ConfigPath::new("root"),
            Problem::Missing { wanted },
        ));
        return;
    };
    let from = ConfigPath::new("root.path");
    match find_root(&context.request.bundle, &root.path().to_string_lossy()) {
        Ok(path) => context.rootfs = path,
        Err(problem) => context.problem(problem),
    }
    if has_own_mounts(context) {
        change_in_own_namespace(context, from);
    } else {
        if context.request.overlay.is_some() {
            refuse_without_own_mounts(context, ConfigPath::flag("--overlay"));
        }
        context.init(from.clone(), InitOp::OpenRootInPlace);
        context.init(from, InitOp::ChangeRoot(RootChange::Chroot));
    }
    set_propagation(context);
    // A writable layer is asked for on the command line: it wins.
    if root.readonly() == Some(true) && context.request.overlay.is_none() {
        let from = ConfigPath::new("root.readonly");
        if has_own_mounts(context) {
            context.init(from, InitOp::MakeRootReadOnly);
        } else {
            refuse_without_own_mounts(context, from);
        }
    }
}

/// Whether the container has a new mount namespace, which no one else sees.
pub(crate) fn has_own_mounts(context: &Context<'_>) -> bool {
    context.namespaces.clone.contains(&NamespaceKind::Mount)
}

/// The property `from` would change the mounts of others.
pub(crate) fn refuse_without_own_mounts(context: &mut Context<'_>, from: ConfigPath) {
    let whose = if context.has(NamespaceKind::Mount) {
        "the mount namespace is one that others live in"
    } else {
        "the container has no mount namespace of its own"
    };
    let sentence = format!("{whose}, so nothing can be mounted or protected in it");
    let hint = r#"add {"type": "mount"} without a path to linux.namespaces"#;
    context.problem(PlanError::conflict(from, sentence).hint(hint));
}

/// An absolute path, lexically clean: no `.`, `..`, empty part or trailing slash.
/// A relative one counts from `/`; `..` at the top stays at the top.
pub(crate) fn clean(path: &str) -> String {
    // As nearly every path is; each is looked at by each device.
    let is_clean = path.starts_with('/') && !path.contains("//") && !path.contains("/.");
    if is_clean && (path.len() == 1 || !path.ends_with('/')) {
        return path.to_owned();
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether `path` lies strictly below `directory`; both clean.
pub(crate) fn is_below(path: &str, directory: &str) -> bool {
    directory == "/" && path != "/"
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// A host path of the configuration: relative ones count from the bundle.
pub(crate) fn on_host(bundle: &str, path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        clean(&format!("{bundle}/{path}"))
    }
}

/// `root.path` on the host, clean.
fn find_root(bundle: &str, path: &str) -> Result<String, PlanError> {
    let from = ConfigPath::new("root.path");
    if path.is_empty() {
        let wanted = "the directory of the container's root file system";
        return Err(PlanError::new(from, Problem::Missing { wanted }));
    }
    if path.contains('\0') {
        let wanted = "a path without NUL bytes";
        return Err(PlanError::invalid(from, wanted, quote(path)));
    }
    let found = clean(&on_host(bundle, path));
    if found == "/" {
        let sentence = "this is the host's own root, which a container would change";
        return Err(PlanError::conflict(from, sentence));
    }
    Ok(found)
}

/// The root of a container with a mount namespace of its own.
fn change_in_own_namespace(context: &mut Context<'_>, from: ConfigPath) {
    let slot = context.slot();
    let path = context.rootfs.clone();
    context.parent(from.clone(), ParentOp::OpenRoot { slot, path });
    // Always a slave first, whatever the wish: nothing mounted from here on
    // reaches the host, while what the host unmounts goes away here too and does
    // not stay busy. The wish is carried out on the finished root.
    let first = Propagation {
        kind: PropagationKind::Slave,
        recursive: true,
    };
    context.init(
        ConfigPath::new("linux.rootfsPropagation").default_of(),
        InitOp::SetRootPropagation(first),
    );
    attach(context, from.clone(), slot);
    if context.request.no_pivot {
        let flag = ConfigPath::flag("--no-pivot");
        context.init(flag, InitOp::ChangeRoot(RootChange::Move));
    } else {
        context.init(from, InitOp::ChangeRoot(RootChange::Pivot));
    }
}

/// The tree in its place, alone or below a writable layer.
fn attach(context: &mut Context<'_>, from: ConfigPath, slot: Slot) {
    let Some(overlay) = context.request.overlay.clone() else {
        return context.init(from, InitOp::AttachRoot { slot });
    };
    let (flag, layer) = match overlay {
        Overlay::Memory => (ConfigPath::flag("--overlay"), None),
        Overlay::Directory(directory) => {
            let flag = ConfigPath::flag("--overlay-dir");
            let path = format!("{directory}/{}", context.request.id);
            let overlaps = |a: &str, b: &str| a == b || is_below(a, b) || is_below(b, a);
            if overlaps(&path, &context.rootfs) {
                let sentence = "the layer and the root file system must lie apart";
                context.problem(PlanError::conflict(flag.clone(), sentence));
            }
            let slot = context.slot();
            let owner = owner_of_layer(context);
            let open = ParentOp::OpenLayer { slot, path, owner };
            context.parent(flag.clone(), open);
            (flag, Some(slot))
        }
    };
    let user_xattrs = context.has(NamespaceKind::User) || context.host.in_user_namespace;
    context.init(
        flag,
        InitOp::OverlayRoot {
            slot,
            layer,
            user_xattrs,
        },
    );
}

/// Root of the container on the host, when the runtime may give files away.
fn owner_of_layer(context: &Context<'_>) -> Option<(u32, u32)> {
    let linux = context.linux()?;
    if context.host.effective_uid != 0 {
        return None;
    }
    let root_of = |mappings: &Option<Vec<LinuxIdMapping>>| {
        let mut maps = mappings.iter().flatten();
        let map = maps.find(|map| map.container_id() == 0)?;
        Some(map.host_id())
    };
    Some((
        root_of(linux.uid_mappings())?,
        root_of(linux.gid_mappings())?,
    ))
}

/// `linux.rootfsPropagation`
fn set_propagation(context: &mut Context<'_>) {
    let linux = context.linux();
    let Some(word) = linux.and_then(|linux| linux.rootfs_propagation().as_deref()) else {
        return;
    };
    if word.is_empty() {
        return;
    }
    let from = ConfigPath::new("linux.rootfsPropagation");
    let Some(wish) = propagation(word) else {
        let problem = Problem::Unknown {
            what: "mount propagation",
            found: word.to_owned(),
            one_of: PROPAGATION_WORDS.to_owned(),
        };
        context.problem(PlanError::new(from, problem));
        return;
    };
    if !has_own_mounts(context) {
        refuse_without_own_mounts(context, from);
    } else if context.request.no_pivot && wish.kind == PropagationKind::Shared {
        let sentence = "a shared root excludes --no-pivot, which leaves the host's root below it";
        context.problem(PlanError::conflict(from, sentence));
    } else {
        context.init(from, InitOp::SetPropagation(wish));
    }
}

#[cfg(test)]
#[path = "rootfs_tests.rs"]
mod tests;
