//! `linux.namespaces` -> which are new, which are joined, and by whom.

use oci_spec::runtime::LinuxNamespaceType;

use super::{Context, annotations};
use crate::error::quote;
use crate::spec::path_text;
use crate::{CgroupMode, ConfigPath, InitOp, NamespaceKind, ParentOp, PlanError, Problem, Slot};

/// The order of joining. Names and ipc before the user namespace, so that they are
/// joined with the caller's privileges where those suffice; the mount namespace
/// after all whose descriptors or files could go out of reach with it.
const JOIN_ORDER: [NamespaceKind; 8] = [
    NamespaceKind::Ipc,
    NamespaceKind::Uts,
    NamespaceKind::Network,
    NamespaceKind::Cgroup,
    NamespaceKind::Time,
    NamespaceKind::Pid,
    NamespaceKind::Mount,
    NamespaceKind::User,
];

/// One entry that is neither broken nor the runtime's own namespace.
struct Wanted<'a> {
    kind: NamespaceKind,
    path: Option<&'a str>,
    from: ConfigPath,
}

/// Fills [`Context::namespaces`] and adds the steps that open, make and join.
pub(crate) fn build(context: &mut Context<'_>) {
    let wanted = read(context);
    for namespace in &wanted {
        if namespace.path.is_none() {
            add_new(context, namespace);
        }
    }
    for kind in JOIN_ORDER {
        if let Some(namespace) = wanted.iter().find(|w| w.kind == kind)
            && let Some(path) = namespace.path
        {
            open(context, namespace, path);
        }
    }
    decide_who_joins(context, &wanted);
    add_entry_steps(context, &wanted);
}

/// The entries, with duplicates and relative paths reported.
fn read<'a>(context: &mut Context<'a>) -> Vec<Wanted<'a>> {
    let all = context.linux().and_then(|l| l.namespaces().as_ref());
    let mut seen: Vec<(NamespaceKind, ConfigPath)> = Vec::new();
    let mut wanted = Vec::new();
    for (n, entry) in all.into_iter().flatten().enumerate() {
        let from = ConfigPath::new("linux.namespaces").index(n);
        let kind = kind_of(entry.typ());
        if let Some((_, first)) = seen.iter().find(|(k, _)| *k == kind) {
            let problem = Problem::Duplicate {
                what: "namespace",
                found: word_of(kind).to_owned(),
                first: first.clone(),
            };
            context.problem(PlanError::new(from.field("type"), problem));
            continue;
        }
        seen.push((kind, from.clone()));
        // An empty path is what Go programs write for "none".
        let path = entry.path().as_deref().map(path_text);
        let path = path.filter(|p| !p.is_empty());
        match path {
            Some(path) if !path.starts_with('/') => context.problem(PlanError::invalid(
                from.field("path"),
                "an absolute path",
                quote(path),
            )),
            Some(path) if is_own(kind, path) => {}
            path => wanted.push(Wanted { kind, path, from }),
        }
    }
    wanted
}

/// The runtime's own namespace, by the one file that always means it: joining it
/// is nothing to do, and nothing in it is the container's. That holds for the user
/// namespace too: entering one's own again is an EINVAL of setns(2), and an entry
/// that is left out means the same.
///
/// Every other path is opened by the parent, which finds a file of another kind.
fn is_own(kind: NamespaceKind, path: &str) -> bool {
    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let mut next = || parts.next().unwrap_or_default();
    next() == "proc"
        && matches!(next(), "self" | "thread-self")
        && next() == "ns"
        && next() == file_of(kind)
        && parts.next().is_none()
}

/// A new namespace: made by clone, but for a cgroup namespace whose process is moved
/// into its cgroup later, on v1 or by systemd: the root of such a namespace is the
/// cgroup that its first process is in at that moment.
fn add_new(context: &mut Context<'_>, namespace: &Wanted<'_>) {
    let moves = matches!(
        context.host.cgroup.mode,
        CgroupMode::V1 | CgroupMode::Hybrid
    ) || context.request.systemd_cgroup;
    let by_hand =
        namespace.kind == NamespaceKind::Cgroup && !context.request.cgroups_disabled && moves;
    if by_hand {
        context.namespaces.unshare_cgroup = true;
    } else {
        context.namespaces.clone.push(namespace.kind);
    }
    if namespace.kind == NamespaceKind::Pid {
        context.namespaces.pid_namespace_is_private = true;
    }
}

/// A joined namespace: the parent opens it and checks its type.
fn open(context: &mut Context<'_>, namespace: &Wanted<'_>, path: &str) {
    let slot = context.slot();
    let op = ParentOp::OpenNamespace {
        slot,
        kind: namespace.kind,
        path: path.to_owned(),
    };
    context.parent(namespace.from.field("path"), op);
    context.namespaces.join.push((namespace.kind, slot));
    if namespace.kind == NamespaceKind::Pid {
        context.namespaces.fork_into_pid_namespace = true;
    }
}

/// Whether a short-lived child must join before the clone. See [`crate::Namespaces`].
fn decide_who_joins(context: &mut Context<'_>, wanted: &[Wanted<'_>]) {
    let new_user = context.namespaces.is_new(NamespaceKind::User);
    let joins_user = context.has(NamespaceKind::User) && !new_user;
    if !joins_user && !new_user {
        return;
    }
    if new_user
        && let Some(pid) = wanted
            .iter()
            .find(|w| w.kind == NamespaceKind::Pid && w.path.is_some())
    {
        let text = "a pid namespace cannot be joined from a new user namespace, because only its owner may";
        let hint = "join the user namespace that it belongs to as well";
        context.problem(PlanError::conflict(pid.from.field("path"), text).hint(hint));
    }
    let early: Vec<(NamespaceKind, Slot)> = context
        .namespaces
        .join
        .iter()
        .copied()
        // The stub alone may be seen there.
        .filter(|(kind, _)| *kind != NamespaceKind::Pid)
        .collect();
    context.namespaces.via_user_namespace = !early.is_empty();
    context.namespaces.before_clone = early;
}

/// What init does to get where it belongs.
fn add_entry_steps(context: &mut Context<'_>, wanted: &[Wanted<'_>]) {
    let from = |kind| {
        let entry = wanted.iter().find(|w| w.kind == kind);
        entry.map_or(ConfigPath::new("linux.namespaces"), |w| w.from.clone())
    };
    let uses_tasks = matches!(
        context.host.cgroup.mode,
        CgroupMode::V1 | CgroupMode::Hybrid
    );
    if !context.request.cgroups_disabled {
        let at = ConfigPath::new("linux.cgroupsPath");
        if context.request.systemd_cgroup {
            context.init(at, InitOp::AwaitScope);
        } else if uses_tasks {
            context.init(at, InitOp::JoinCgroups);
        }
    }
    if context.namespaces.is_new(NamespaceKind::User) {
        let keep_groups = annotations::keeps_groups(context);
        context.init(
            from(NamespaceKind::User),
            InitOp::AwaitIdMap { keep_groups },
        );
    }
    let later: Vec<(NamespaceKind, Slot)> = context
        .namespaces
        .join
        .iter()
        .copied()
        .filter(|joined| !context.namespaces.before_clone.contains(joined))
        .collect();
    for (kind, slot) in later {
        context.init(
            from(kind).field("path"),
            InitOp::JoinNamespace { kind, slot },
        );
    }
    if context.namespaces.unshare_cgroup {
        context.init(from(NamespaceKind::Cgroup), InitOp::UnshareCgroup);
    }
    if !context.request.no_new_keyring {
        let name = format!("_ses.{}", context.request.id);
        context.init(
            ConfigPath::flag("--no-new-keyring").default_of(),
            InitOp::NewSessionKeyring { name },
        );
    }
    if context.namespaces.is_new(NamespaceKind::Network) {
        context.init(from(NamespaceKind::Network), InitOp::BringUpLoopback);
    }
}

/// The spec's word.
pub(crate) const fn word_of(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Cgroup => "cgroup",
        NamespaceKind::Ipc => "ipc",
        NamespaceKind::Mount => "mount",
        NamespaceKind::Network => "network",
        NamespaceKind::Pid => "pid",
        NamespaceKind::Time => "time",
        NamespaceKind::User => "user",
        NamespaceKind::Uts => "uts",
    }
}

/// The name of its file in `/proc/PID/ns`, namespaces(7).
const fn file_of(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Mount => "mnt",
        NamespaceKind::Network => "net",
        other => word_of(other),
    }
}

/// The plan's word for the decoder's.
const fn kind_of(kind: LinuxNamespaceType) -> NamespaceKind {
    match kind {
        LinuxNamespaceType::Cgroup => NamespaceKind::Cgroup,
        LinuxNamespaceType::Ipc => NamespaceKind::Ipc,
        LinuxNamespaceType::Mount => NamespaceKind::Mount,
        LinuxNamespaceType::Network => NamespaceKind::Network,
        LinuxNamespaceType::Pid => NamespaceKind::Pid,
        LinuxNamespaceType::Time => NamespaceKind::Time,
        LinuxNamespaceType::User => NamespaceKind::User,
        LinuxNamespaceType::Uts => NamespaceKind::Uts,
    }
}

#[cfg(test)]
mod tests {
    use super::{NamespaceKind, is_own};

    #[test]
    fn only_the_file_of_its_kind_is_the_runtime_itself() {
        use NamespaceKind as K;
        let own = [
            (K::Network, "/proc/self/ns/net"),
            (K::Mount, "/proc/self/ns/mnt"),
            (K::Pid, "/proc/thread-self/ns/pid"),
            (K::User, "//proc/./self/ns/user"),
        ];
        for kind in [K::Cgroup, K::Ipc, K::Time, K::User, K::Uts, K::Pid] {
            let path = format!("/proc/self/ns/{}", super::word_of(kind));
            assert!(is_own(kind, &path), "{path}");
        }
        for (kind, path) in own {
            assert!(is_own(kind, path), "{path}");
        }
        let others = [
            (K::Network, "/proc/self/ns/ipc"),
            (K::Network, "/proc/self/ns/network"),
            (K::Mount, "/proc/self/ns/mount"),
            (K::Pid, "/proc/self/ns/pid_for_children"),
            (K::Time, "/proc/self/ns/time_for_children"),
            (K::Network, "/proc/self/ns/"),
            (K::Network, "/proc/self/ns/net/x"),
            (K::Network, "/proc/self/ns/../ns/net"),
            (K::Network, "/proc/1/ns/net"),
            (K::Network, "/run/proc/self/ns/net"),
            (K::User, "/proc/1/ns/user"),
        ];
        for (kind, path) in others {
            assert!(!is_own(kind, path), "{path}");
        }
    }
}
