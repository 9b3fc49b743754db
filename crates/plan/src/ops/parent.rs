//! What happens outside the container.

use serde::{Deserialize, Serialize};

use super::{FsParameter, Hook, NamespaceKind, ResctrlGroup, Scheduler, Slot};

/// When a [`ParentOp`] runs. The order of the variants is the order of the phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ParentPhase {
    /// Before the clone: everything that init will inherit is opened.
    BeforeClone,
    /// Init waits for its id maps.
    IdMap,
    /// Init is in its network namespace.
    Network,
    /// Init has mounted everything and has not yet changed its root.
    BeforePivot,
    /// Init is done but for the start gate.
    Ready,
}

/// One operation of the parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do", content = "with")]
pub enum ParentOp {
    /// Opens `linux.namespaces[].path` and checks its type.
    OpenNamespace {
        /// Where it goes.
        slot: Slot,
        /// Expected kind.
        kind: NamespaceKind,
        /// Path on the host.
        path: String,
    },
    /// Clones the tree to be the container's root, detached: `open_tree(rootfs, CLONE | RECURSIVE)`.
    OpenRoot {
        /// Where it goes.
        slot: Slot,
        /// Absolute path on the host; must not be a symlink.
        path: String,
    },
    /// Makes the directory of a writable layer where there is none, and clones the tree
    /// of it, detached.
    OpenLayer {
        /// Where it goes.
        slot: Slot,
        /// Absolute path on the host.
        path: String,
        /// Uid and gid that are root in the container, where that is not the caller.
        owner: Option<(u32, u32)>,
    },
    /// Clones a bind source, detached.
    OpenMountSource {
        /// Where it goes.
        slot: Slot,
        /// Absolute path on the host (already joined with the bundle).
        path: String,
        /// `rbind`: submounts too.
        recursive: bool,
        /// `src-nofollow`: a final symlink is not followed.
        no_follow: bool,
        /// `copy-symlink`: a source that is a symlink is recreated, not mounted.
        copy_symlink: bool,
    },
    /// Makes a user namespace that nobody lives in: its maps are what a mount's are taken from.
    MakeUserNamespace {
        /// Where it goes.
        slot: Slot,
        /// File system -> mount.
        uids: Vec<IdMapping>,
        /// File system -> mount.
        gids: Vec<IdMapping>,
    },
    /// Maps the ids of a tree that was opened: `mount_setattr(MOUNT_ATTR_IDMAP)`, which
    /// needs CAP_SYS_ADMIN where the file system was mounted.
    MapMount {
        /// The tree, still detached.
        tree: Slot,
        /// Whose maps.
        user_namespace: Slot,
        /// `ridmap`: all mounts below too.
        recursive: bool,
    },
    /// Makes a procfs of a joined pid namespace: init stays outside of it, and a
    /// procfs shows the namespace of who makes it.
    OpenProcfs {
        /// Where it goes.
        slot: Slot,
        /// The pid namespace.
        pid_namespace: Slot,
        /// Options, as in `MountSource::Filesystem`.
        parameters: Vec<FsParameter>,
    },
    /// Clones the host's own device node, for containers that may not `mknod`.
    OpenHostDevice {
        /// Where it goes.
        slot: Slot,
        /// Path on the host.
        path: String,
        /// What must be found there.
        kind: DeviceKind,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// Opens a file for the output of hooks inside, at its end; it is made, for its
    /// owner alone, when it is missing.
    OpenHookOutput {
        /// Where it goes.
        slot: Slot,
        /// Absolute path on the host.
        path: String,
    },
    /// Writes `/proc/<init>/uid_map` or `gid_map`.
    WriteIdMap {
        /// `gid_map` when true, `uid_map` when false.
        groups: bool,
        /// The lines.
        map: Vec<IdMapping>,
        /// By what right.
        by: IdMapRight,
    },
    /// Writes `/proc/self/timens_offsets` before the clone.
    SetTimeOffset {
        /// `monotonic` or `boottime`
        clock: String,
        /// Whole seconds, may be negative.
        seconds: i64,
        /// 0 to 999,999,999
        nanoseconds: u32,
    },
    /// Moves a network device into the container, with its permanent global addresses,
    /// and sets it up there.
    MoveNetDevice {
        /// Its name on the host.
        name: String,
        /// Its name in the container; `%d` is the lowest number that is free.
        inside: String,
    },
    /// Writes `/proc/<init>/oom_score_adj`.
    SetOomScore(i32),
    /// `prlimit` on init, from outside: inside a user namespace a hard limit
    /// could not be raised any more.
    SetRlimit(Rlimit),
    /// `sched_setattr` on init, from outside: what needs CAP_SYS_NICE needs it in the
    /// first user namespace.
    SetScheduler(Scheduler),
    /// `ioprio_set` on init, from outside for the same reason.
    SetIoPriority {
        /// `IOPRIO_CLASS_RT`
        class: String,
        /// 0 (first) to 7.
        level: u32,
    },
    /// Sends a pidfd of init to whoever listens there.
    SendPidfd {
        /// Stream socket on the host.
        path: String,
    },
    /// Makes a class of service and a monitoring group, where they are not there yet.
    MakeResctrlGroup(ResctrlGroup),
    /// Writes init's pid to `tasks` of these directories.
    JoinResctrlGroups(Vec<String>),
    /// `hooks.prestart` or `hooks.createRuntime`.
    RunHook(Hook),
}

impl ParentOp {
    /// When it runs.
    pub const fn phase(&self) -> ParentPhase {
        match self {
            Self::OpenNamespace { .. }
            | Self::OpenRoot { .. }
            | Self::OpenLayer { .. }
            | Self::OpenMountSource { .. }
            | Self::OpenHostDevice { .. }
            | Self::OpenProcfs { .. }
            | Self::MakeUserNamespace { .. }
            | Self::MapMount { .. }
            | Self::OpenHookOutput { .. }
            | Self::MakeResctrlGroup(_)
            | Self::SetTimeOffset { .. } => ParentPhase::BeforeClone,
            Self::WriteIdMap { .. } => ParentPhase::IdMap,
            Self::MoveNetDevice { .. } => ParentPhase::Network,
            Self::RunHook(_) => ParentPhase::BeforePivot,
            Self::SetOomScore(_)
            | Self::SetRlimit(_)
            | Self::SetScheduler(_)
            | Self::JoinResctrlGroups(_)
            | Self::SendPidfd { .. }
            | Self::SetIoPriority { .. } => ParentPhase::Ready,
        }
    }
}

/// What allows a map of ids to be written, user_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IdMapRight {
    /// CAP_SETUID or CAP_SETGID over the user namespace of the runtime.
    Capability,
    /// Everybody may map their own id alone; a gid only once setgroups(2) is off for
    /// good (CVE-2014-8989).
    OwnId,
    /// newuidmap(1) and newgidmap(1) write the ids that /etc/subuid and /etc/subgid
    /// grant to the caller.
    Helper,
}

/// One line of a uid or gid map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdMapping {
    /// First id inside.
    pub container_id: u32,
    /// First id outside.
    pub host_id: u32,
    /// How many.
    pub size: u32,
}

/// One `process.rlimits` entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rlimit {
    /// `RLIMIT_NOFILE`
    pub name: String,
    /// `u64::MAX` means unlimited.
    pub soft: u64,
    /// `u64::MAX` means unlimited.
    pub hard: u64,
}

/// Type of a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// `c` or `u`
    Char,
    /// `b`
    Block,
}
