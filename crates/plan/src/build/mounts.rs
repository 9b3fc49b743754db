//! `mounts` -> one [`MountOp`] for each entry, in the order of the configuration.

use super::Context;
use super::labels;
use super::mount_idmap;
use super::mount_options::{self, Options};
use super::mount_source;
use super::rootfs::{clean, has_own_mounts, is_below, refuse_without_own_mounts};
use crate::error::quote;
use crate::{
    AttrFlags, Attributes, ConfigPath, InitOp, MountIdMap, MountOp, MountSource, NOTIFY_DIRECTORY,
    PlanError, Problem,
};
use oci_spec::runtime::{Mount, Spec};

/// The only files of procfs that may be covered: those that lxcfs provides. They
/// say nothing that a runtime or a security module relies on (CVE-2019-16884).
pub(crate) const PROC_FILES: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
];

/// One entry of `mounts`, half decoded.
pub(super) struct Entry<'a> {
    /// `mounts[3]`
    pub at: ConfigPath,
    /// As it stands in the configuration.
    pub mount: &'a Mount,
    /// Its options.
    pub options: Options,
    /// Absolute, clean.
    pub target: String,
}

impl Entry<'_> {
    /// `mounts[].type`, empty when absent.
    pub fn kind(&self) -> &str {
        self.mount.typ().as_deref().unwrap_or_default()
    }

    /// A bind mount: one of the options says so, the type does not matter
    /// (config.md, "Mounts").
    pub fn is_bind(&self) -> bool {
        self.options.bind.is_some() && !self.options.remount
    }
}

/// Adds the steps of this chapter.
pub(crate) fn build(context: &mut Context<'_>) {
    let mounts = context.spec.mounts().as_deref().unwrap_or_default();
    let at = ConfigPath::new("mounts");
    if !mounts.is_empty() && !has_own_mounts(context) {
        refuse_without_own_mounts(context, at.clone());
    }
    labels::check_mount_label(context);
    let mut ops = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        if let Some(op) = decode(context, mount, at.index(index)) {
            ops.push((at.index(index), op));
        }
    }
    ops.extend(notify(context));
    delay_read_only(&mut ops);
    let later: Vec<_> = ops
        .iter()
        .filter(|(_, op)| op.read_only_later)
        .map(|(from, op)| (from.field("options"), op.target.clone()))
        .collect();
    for (from, op) in ops {
        context.init(from, InitOp::Mount(op));
    }
    for (from, target) in later {
        context.init(from, InitOp::MakeReadOnly { target });
    }
}

/// The directory with the socket of the service manager, after everything that could
/// cover it.
fn notify(context: &mut Context<'_>) -> Option<(ConfigPath, MountOp)> {
    let source = context.request.notify_directory.clone()?;
    let options = ["bind", "nosuid", "noexec", "nodev", "ro"].map(str::to_owned);
    let mut mount = Mount::default();
    mount.set_destination(NOTIFY_DIRECTORY.into());
    mount.set_typ(Some("bind".to_owned()));
    mount.set_source(Some(source.into()));
    mount.set_options(Some(options.to_vec()));
    let at = ConfigPath::new("NOTIFY_SOCKET");
    Some((at.clone(), decode(context, &mount, at)?))
}

/// Whether the last mount on `/dev` is a bind mount.
pub(super) fn bind_covers_dev(spec: &Spec) -> bool {
    let has = |mount: &Mount, word: &str| {
        let options = mount.options().as_deref().unwrap_or_default();
        options.iter().any(|option| option == word)
    };
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    mounts
        .iter()
        .rfind(|mount| target_of(mount) == "/dev" && !has(mount, "remount"))
        .is_some_and(|mount| has(mount, "bind") || has(mount, "rbind"))
}

/// Whether something is mounted exactly here.
pub(super) fn is_target(spec: &Spec, path: &str) -> bool {
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    mounts.iter().any(|mount| target_of(mount) == path)
}

/// `destination`, clean.
pub(crate) fn target_of(mount: &Mount) -> String {
    clean(&mount.destination().to_string_lossy())
}

/// One entry. All its problems are told, not only the first.
fn decode(context: &mut Context<'_>, mount: &Mount, at: ConfigPath) -> Option<MountOp> {
    let before = context.problems.len();
    let list = mount.options().as_deref().unwrap_or_default();
    let options = mount_options::parse(list, &at.field("options"), &mut context.problems);
    let entry = Entry {
        target: target_of(mount),
        at,
        mount,
        options,
    };
    check_target(context, &entry);
    check_word_uses(context, &entry);
    let source = mount_source::decode(context, &entry);
    let id_map = mount_idmap::decode(context, &entry);
    if context.problems.len() > before {
        return None;
    }
    let source = source?;
    let id_map = mount_idmap::add_step(context, &entry, &source, id_map);
    Some(assemble(context, entry, source, id_map))
}

/// The finished operation.
fn assemble(
    context: &Context<'_>,
    entry: Entry<'_>,
    source: MountSource,
    id_map: Option<MountIdMap>,
) -> MountOp {
    let Options {
        attributes: own,
        recursive,
        propagation,
        copy_up,
        target_no_follow,
        ..
    } = entry.options;
    let (attributes, recursive_attributes) = match &source {
        MountSource::Tree { .. } => (own, recursive),
        MountSource::Existing { .. } => (reset_read_only(own, recursive), recursive),
        // Nothing is below a new file system.
        MountSource::Filesystem { .. }
        | MountSource::CgroupV2 { .. }
        | MountSource::CgroupV1 { .. } => {
            (mount_options::merge(recursive, own), Attributes::default())
        }
    };
    let (is_kernel_tree, label) = match &source {
        MountSource::Filesystem {
            fstype, parameters, ..
        } => {
            let is_tree = matches!(fstype.as_str(), "proc" | "sysfs");
            let has_label = parameters.iter().any(|p| p.key == "context");
            let label = labels::mount_label(context, fstype).filter(|_| !has_label);
            (is_tree, label)
        }
        _ => (false, None),
    };
    MountOp {
        target: entry.target,
        target_no_follow: target_no_follow || is_kernel_tree,
        source,
        attributes,
        recursive_attributes,
        propagation,
        copy_up: copy_up.is_some(),
        read_only_later: false,
        label,
        id_map,
    }
}

/// A remount that does not say `ro` makes writable, as with mount(2).
fn reset_read_only(own: Attributes, recursive: Attributes) -> Attributes {
    let named = own.set | own.clear | recursive.set | recursive.clear;
    Attributes {
        clear: own.clear | (AttrFlags::READ_ONLY - named),
        ..own
    }
}

/// `destination`
fn check_target(context: &mut Context<'_>, entry: &Entry<'_>) {
    let from = entry.at.field("destination");
    let written = entry.mount.destination().to_string_lossy();
    if written.is_empty() || written.contains('\0') {
        let wanted = "an absolute path inside the container";
        context.problem(PlanError::invalid(from, wanted, quote(&written)));
        return;
    }
    if !written.starts_with('/') {
        let text = format!(
            "not absolute, as the spec wants it: {} is taken to be {}",
            quote(&written),
            quote(&entry.target)
        );
        context.warn(from.clone(), text);
    }
    if entry.target == "/" {
        let sentence = "a mount on / would cover the container's root";
        let hint = "root.path chooses the root, root.readonly and \
                    linux.rootfsPropagation change its mount";
        context.problem(PlanError::conflict(from, sentence).hint(hint));
    } else if let Some(problem) = check_proc(entry, from) {
        context.problem(problem);
    }
}

/// Nothing may hide procfs: labels and masks rely on it (CVE-2019-16884,
/// CVE-2025-52881). By the path here; the executor looks at what it finds there.
fn check_proc(entry: &Entry<'_>, from: ConfigPath) -> Option<PlanError> {
    let target = entry.target.as_str();
    if target == "/proc" {
        let source = entry.mount.source().as_deref();
        let is_proc = if entry.is_bind() {
            source.is_some_and(|source| clean(&source.to_string_lossy()) == "/proc")
        } else {
            entry.options.remount || entry.kind() == "proc"
        };
        let sentence = "only procfs can be mounted on /proc";
        let hint = r#"use the type "proc", or a bind mount of /proc itself"#;
        return (!is_proc).then(|| PlanError::conflict(from, sentence).hint(hint));
    }
    if !is_below(target, "/proc") || PROC_FILES.contains(&target) {
        return None;
    }
    let shown = quote(target);
    let sentence = format!("{shown} is inside procfs, where nothing can be mounted");
    let hint = format!("except on {}", PROC_FILES.join(", "));
    Some(PlanError::conflict(from, sentence).hint(hint))
}

/// Words that make sense for some mounts only.
fn check_word_uses(context: &mut Context<'_>, entry: &Entry<'_>) {
    let options = &entry.options;
    if let Some(from) = &options.copy_up
        && (entry.is_bind() || options.remount || entry.kind() != "tmpfs")
    {
        let sentence = "tmpcopyup fills a new tmpfs, and this mount is none";
        context.problem(PlanError::conflict(from.clone(), sentence));
    }
    let words = [
        ("copy-symlink", &options.copy_symlink),
        ("src-nofollow", &options.source_no_follow),
    ];
    for (word, from) in words {
        if let Some(from) = from
            && !entry.is_bind()
        {
            let sentence = format!("{word} is about the source of a bind mount, and this is none");
            let problem = PlanError::conflict(from.clone(), sentence);
            context.problem(problem.hint("add the option bind or rbind"));
        }
    }
}

/// A read-only tmpfs, and `/dev`, stay writable until the devices, mount points,
/// hooks and the working directory below have been made. Not so when a later
/// mount covers the place: by then the path leads somewhere else.
fn delay_read_only(ops: &mut [(ConfigPath, MountOp)]) {
    for position in 0..ops.len() {
        let (done, rest) = ops.split_at_mut(position + 1);
        let Some((_, op)) = done.last_mut() else {
            return;
        };
        let MountSource::Filesystem { fstype, .. } = &op.source else {
            continue;
        };
        let is_waited_for = matches!(fstype.as_str(), "tmpfs" | "ramfs") || op.target == "/dev";
        let is_covered = rest
            .iter()
            .any(|(_, later)| later.target == op.target || is_below(&op.target, &later.target));
        if is_waited_for && !is_covered && op.attributes.set.contains(AttrFlags::READ_ONLY) {
            op.attributes.set -= AttrFlags::READ_ONLY;
            op.read_only_later = true;
        }
    }
}

/// What an entry without a usable `type` lacks.
pub(super) fn missing_type(at: &ConfigPath) -> PlanError {
    let wanted = "the file system to mount, unless an option is bind or rbind";
    PlanError::new(at.field("type"), Problem::Missing { wanted })
}

#[cfg(test)]
#[path = "mounts_tests.rs"]
mod tests;
