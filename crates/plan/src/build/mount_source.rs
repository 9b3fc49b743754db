//! `mounts[].type`, `source` and the options of file systems -> where the content
//! of a mount comes from.

use super::Context;
use super::idmap;
use super::mounts::{Entry, missing_type};
use super::rootfs::on_host;
use crate::error::quote;
use crate::{
    AttrFlags, CgroupMode, ClassicFlags, ConfigPath, FsParameter, MountSource, NamespaceKind,
    ParentOp, PlanError, Problem, Slot,
};

/// Longest string that fsconfig(2) takes, without its NUL (`strndup_user(.., 256)`).
const FSCONFIG_VALUE_MAX: usize = 255;

/// Longest data of mount(2), one page less its NUL, on every architecture.
const MOUNT_DATA_MAX: usize = 4095;

/// File systems whose superblock is shared, virtual or must be written while the
/// container is built: `ro` is for the mount alone. On all others it goes to the
/// superblock too: a write-protected block device refuses anything else, and a
/// journal is not replayed.
const READ_ONLY_BY_MOUNT: &[&str] = &[
    "binfmt_misc",
    "bpf",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

/// The source of one entry; `None` after a problem was told.
pub(super) fn decode(context: &mut Context<'_>, entry: &Entry<'_>) -> Option<MountSource> {
    if entry.options.remount {
        return Some(decode_remount(context, entry));
    }
    if entry.is_bind() {
        warn_of_superblock_words(context, entry, "a bind mount");
        refuse_parameters(context, entry);
        return open_tree(context, entry);
    }
    match entry.kind() {
        "cgroup" | "cgroup2" => decode_cgroup(context, entry),
        "bind" | "rbind" => {
            let sentence = format!(
                "the type {} alone makes no bind mount: the kernel has no such file system",
                quote(entry.kind())
            );
            let problem = PlanError::conflict(entry.at.field("type"), sentence);
            context.problem(problem.hint("add bind or rbind to options"));
            None
        }
        "" | "none" => {
            context.problem(missing_type(&entry.at));
            None
        }
        kind if kind.contains('\0') => {
            let wanted = "the name of a file system";
            let from = entry.at.field("type");
            context.problem(PlanError::invalid(from, wanted, quote(kind)));
            None
        }
        _ => decode_filesystem(context, entry),
    }
}

/// `remount`: `ro` and `rw` concern this mount, and every other superblock word
/// the superblock. (mount(2) would make the superblock read-only, which a bind
/// mount shares with the host.) With `bind` beside it only the mount is changed.
fn decode_remount(context: &mut Context<'_>, entry: &Entry<'_>) -> MountSource {
    let options = &entry.options;
    let mut parameters = Vec::new();
    if options.bind.is_some() {
        warn_of_superblock_words(context, entry, "a bind mount");
        refuse_parameters(context, entry);
    } else {
        let words = options.superblock.iter();
        // `dirsync` has no opposite in fsconfig(2).
        parameters.extend(words.map(|(word, _)| word.clone()));
        parameters.extend(options.parameters.iter().cloned());
        for (_, from) in &options.classic {
            let text = "a remount cannot change this, so it has no effect";
            context.warn(from.clone(), text);
        }
    }
    MountSource::Existing { parameters }
}

/// A bind mount: the parent opens the source, which init may not be able to reach.
fn open_tree(context: &mut Context<'_>, entry: &Entry<'_>) -> Option<MountSource> {
    let from = entry.at.field("source");
    let source = entry
        .mount
        .source()
        .as_ref()
        .map(|path| path.to_string_lossy());
    let source = source.filter(|path| !path.is_empty());
    let Some(source) = source else {
        let wanted = "the path on the host to bind";
        context.problem(PlanError::new(from, Problem::Missing { wanted }));
        return None;
    };
    if source.contains('\0') {
        let wanted = "a path without NUL bytes";
        context.problem(PlanError::invalid(from, wanted, quote(&source)));
        return None;
    }
    let slot = context.slot();
    let op = ParentOp::OpenMountSource {
        slot,
        path: on_host(&context.request.bundle, &source),
        recursive: entry.options.bind == Some(true),
        no_follow: entry.options.source_no_follow.is_some(),
        copy_symlink: entry.options.copy_symlink.is_some(),
    };
    context.parent(from, op);
    Some(MountSource::Tree { slot })
}

/// Superblock flags are legal on every mount (config-linux.md), and idle where
/// the superblock is not ours to make.
fn warn_of_superblock_words(context: &mut Context<'_>, entry: &Entry<'_>, what: &str) {
    let set = entry.options.superblock.iter().filter(|(_, set)| *set);
    let words = set.map(|(word, _)| &word.from);
    let idle: Vec<_> = words
        .chain(entry.options.classic.iter().map(|(_, from)| from))
        .cloned()
        .collect();
    for from in idle {
        let text = format!("has no effect on {what}: it belongs to the file system");
        context.warn(from, text);
    }
}

/// Words that only a file system could understand, on a bind mount.
fn refuse_parameters(context: &mut Context<'_>, entry: &Entry<'_>) {
    for parameter in &entry.options.parameters {
        let sentence = format!("{} is no option of a bind mount", quote(&render(parameter)));
        let hint = "options of file systems have no effect on bind mounts";
        context.problem(PlanError::conflict(parameter.from.clone(), sentence).hint(hint));
    }
}

/// `size=64k`
fn render(parameter: &FsParameter) -> String {
    match &parameter.value {
        Some(value) => format!("{}={value}", parameter.key),
        None => parameter.key.clone(),
    }
}

/// The procfs of a joined pid namespace, which init never enters.
fn open_procfs(
    context: &mut Context<'_>,
    at: &ConfigPath,
    parameters: &[FsParameter],
) -> Option<Slot> {
    let joined = context.namespaces.join.iter();
    let (_, pid_namespace) = *joined.rev().find(|(kind, _)| *kind == NamespaceKind::Pid)?;
    let slot = context.slot();
    let op = ParentOp::OpenProcfs {
        slot,
        pid_namespace,
        parameters: parameters.to_vec(),
    };
    context.parent(at.clone(), op);
    Some(slot)
}

/// A new instance of a file system.
fn decode_filesystem(context: &mut Context<'_>, entry: &Entry<'_>) -> Option<MountSource> {
    let fstype = entry.kind();
    let options = &entry.options;
    let set = options.superblock.iter().filter(|(_, set)| *set);
    let mut parameters: Vec<_> = set.map(|(word, _)| word.clone()).collect();
    let is_read_only = |flags: AttrFlags| flags.contains(AttrFlags::READ_ONLY);
    if !READ_ONLY_BY_MOUNT.contains(&fstype) && is_read_only(options.attributes.set) {
        parameters.push(FsParameter {
            key: "ro".to_owned(),
            value: None,
            from: entry.at.field("options"),
        });
    }
    for parameter in &options.parameters {
        check_owner(context, fstype, parameter);
        parameters.push(unquote(parameter));
    }
    let source = entry
        .mount
        .source()
        .as_ref()
        .map(|path| path.to_string_lossy());
    let source = source.filter(|source| !source.is_empty());
    if source.as_ref().is_some_and(|source| source.contains('\0')) {
        let wanted = "a source without NUL bytes";
        let found = quote(source.as_deref().unwrap_or_default());
        context.problem(PlanError::invalid(entry.at.field("source"), wanted, found));
        return None;
    }
    if fstype == "proc"
        && let Some(slot) = open_procfs(context, &entry.at, &parameters)
    {
        return Some(MountSource::Tree { slot });
    }
    Some(MountSource::Filesystem {
        fstype: fstype.to_owned(),
        source: source.map(|source| source.into_owned()),
        classic: classic_flags(context, entry, &parameters),
        parameters,
    })
}

/// What makes mount(2) necessary.
fn classic_flags(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    parameters: &[FsParameter],
) -> ClassicFlags {
    let mut flags: ClassicFlags = entry
        .options
        .classic
        .iter()
        .map(|(flag, _)| *flag)
        .collect();
    let is_long = |p: &&FsParameter| {
        p.value
            .as_ref()
            .is_some_and(|value| value.len() > FSCONFIG_VALUE_MAX)
    };
    if parameters.iter().any(|p| is_long(&p)) {
        flags |= ClassicFlags::LONG_VALUE;
    }
    let data: usize = parameters.iter().map(|p| render(p).len() + 1).sum();
    if !flags.is_empty() && data > MOUNT_DATA_MAX {
        let wanted = format!("options of at most {MOUNT_DATA_MAX} bytes, all together");
        let found = format!("{data} bytes");
        let longest = parameters.iter().max_by_key(|p| render(p).len());
        let from = longest.map_or_else(|| entry.at.field("options"), |p| p.from.clone());
        context.problem(PlanError::invalid(from, wanted, found));
    }
    flags
}

/// `context="a,b"` -> `a,b`: the quotes are for mount(2), whose data is one string;
/// fsconfig(2) would take them for a part of the label.
fn unquote(parameter: &FsParameter) -> FsParameter {
    let bare = parameter
        .value
        .as_ref()
        .filter(|_| parameter.key.ends_with("context"))
        .and_then(|value| value.strip_prefix('"')?.strip_suffix('"'));
    match bare {
        Some(bare) => FsParameter {
            value: Some(bare.to_owned()),
            ..parameter.clone()
        },
        None => parameter.clone(),
    }
}

/// `uid=` and `gid=` are ids of the container: one without a mapping would be an
/// EINVAL that names nothing (devpts with `gid=5` in a small user namespace).
fn check_owner(context: &mut Context<'_>, fstype: &str, parameter: &FsParameter) {
    if !matches!(fstype, "devpts" | "tmpfs") || !context.has(NamespaceKind::User) {
        return;
    }
    let (name, groups) = match parameter.key.as_str() {
        "uid" => ("linux.uidMappings", false),
        "gid" => ("linux.gidMappings", true),
        _ => return,
    };
    let id = parameter
        .value
        .as_ref()
        .and_then(|value| value.parse().ok());
    if let Some(id) = id
        // Without mappings here the namespace is joined, and its maps are not known.
        && !idmap::is_listed(context, groups, id)
    {
        let wanted = format!("an id that {name} maps");
        let hint = "remove the option, or map the id";
        let problem = PlanError::invalid(parameter.from.clone(), wanted, quote(&render(parameter)));
        context.problem(problem.hint(hint));
    }
}

/// `cgroup` means what the host has; `cgroup2` means v2.
fn decode_cgroup(context: &mut Context<'_>, entry: &Entry<'_>) -> Option<MountSource> {
    warn_of_superblock_words(context, entry, "a cgroup mount");
    for parameter in &entry.options.parameters {
        let text = "has no effect on a cgroup mount: the hierarchies exist already";
        context.warn(parameter.from.clone(), text);
    }
    let own_namespace = context.has(NamespaceKind::Cgroup);
    let facts = &context.host.cgroup;
    let wants_v2 = entry.kind() == "cgroup2";
    match facts.mode {
        CgroupMode::None => {
            let sentence = "this host has no cgroup file system mounted";
            let from = entry.at.field("type");
            context.problem(PlanError::unsupported(from, sentence));
            None
        }
        CgroupMode::V1 if wants_v2 => {
            let sentence = "this host mounts only cgroup v1 hierarchies";
            let problem = PlanError::unsupported(entry.at.field("type"), sentence);
            context.problem(problem.hint(r#"the type "cgroup" takes what the host has"#));
            None
        }
        CgroupMode::V2 => Some(MountSource::CgroupV2 { own_namespace }),
        CgroupMode::Hybrid if wants_v2 => Some(MountSource::CgroupV2 { own_namespace }),
        CgroupMode::V1 | CgroupMode::Hybrid => {
            let (hierarchies, aliases) = v1_hierarchies(context);
            Some(MountSource::CgroupV1 {
                own_namespace,
                hierarchies,
                aliases,
            })
        }
    }
}

/// Pairs of strings, as [`MountSource::CgroupV1`] has them.
type Pairs = Vec<(String, String)>;

/// The host's v1 hierarchies under the names they have there, and an alias for
/// each controller that shares one.
fn v1_hierarchies(context: &Context<'_>) -> (Pairs, Pairs) {
    let facts = &context.host.cgroup;
    let mut by_mount: Vec<(&str, Vec<&str>)> = Vec::new();
    for (controller, mount) in &facts.v1_mounts {
        match by_mount.iter_mut().find(|(known, _)| known == mount) {
            Some((_, controllers)) => controllers.push(controller),
            None => by_mount.push((mount, vec![controller])),
        }
    }
    let (mut hierarchies, mut aliases) = (Vec::new(), Vec::new());
    for (mount, controllers) in by_mount {
        let options = controllers.join(",");
        let directory = match mount.rsplit('/').next() {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => options.clone(),
        };
        for controller in controllers {
            if !controller.starts_with("name=") && controller != directory {
                aliases.push((controller.to_owned(), directory.clone()));
            }
        }
        hierarchies.push((directory, options));
    }
    if facts.v2_mount.is_some() {
        hierarchies.push(("unified".to_owned(), String::new()));
    }
    (hierarchies, aliases)
}
