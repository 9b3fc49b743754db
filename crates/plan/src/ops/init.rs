//! What happens inside, with the code of `corten`, before the hand-off to the stub.

use serde::{Deserialize, Serialize};

use super::{DeviceKind, Hook, MountOp, NamespaceKind, Propagation, Slot};

/// When an [`InitOp`] runs. The order of the variants is the order of the phases;
/// `build::order` gives the reason for each edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InitPhase {
    /// Into cgroups and namespaces.
    Enter,
    /// The network of a new network namespace.
    Network,
    /// The root tree is in place and nothing shows through to the host.
    Root,
    /// `mounts`, in the order of the configuration.
    Mounts,
    /// Device nodes and links below `/dev`.
    Devices,
    /// Hooks that must see the mounts and the old root.
    Hooks,
    /// The host's file system goes out of reach.
    Pivot,
    /// What needs the container's own root: console, names, sysctls.
    Inside,
    /// Nothing is created below the root any more.
    ReadOnly,
    /// Nothing below these paths is read any more.
    Masks,
    /// Working directory and program, looked up in the finished root.
    Program,
}

/// One operation of init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do", content = "with")]
pub enum InitOp {
    /// v1: writes `0` to `tasks` of every hierarchy (a single-threaded process
    /// moving itself waits for no RCU grace period; `cgroup.procs` would).
    JoinCgroups,
    /// systemd moves this process into its scope; the parent says when.
    AwaitScope,
    /// Asks for the id maps and waits; then becomes uid 0, gid 0 of the new namespace.
    AwaitIdMap {
        /// The supplementary groups of the caller stay.
        keep_groups: bool,
    },
    /// `setns`.
    JoinNamespace {
        /// Kind, checked by the kernel again.
        kind: NamespaceKind,
        /// Opened by the parent.
        slot: Slot,
    },
    /// `exec`: one `setns` into all namespaces of the container's init. Joining the
    /// pid namespace concerns children only: nobody inside sees this process.
    EnterContainer {
        /// Kinds to join.
        namespaces: Vec<NamespaceKind>,
        /// Pidfd of the container's init.
        init: Slot,
        /// Its root, where that is not the root of a mount namespace of its own.
        root: Option<Slot>,
        /// The supplementary groups of the caller stay.
        keep_groups: bool,
    },
    /// sched_setaffinity(2), when the control groups are joined.
    SetCpuAffinity {
        /// Numbers of CPUs.
        cpus: Vec<u32>,
    },
    /// v1 and hybrid: `unshare(CLONE_NEWCGROUP)` after the cgroups were joined.
    UnshareCgroup,
    /// v2: writes `0` to `cgroup.procs` of the cgroup below the container's that its
    /// program starts in; after the cgroup namespace was made, whose root stays above.
    EnterDelegatedCgroup {
        /// That file, opened by the parent when it made the cgroup.
        procs: Slot,
    },
    /// `keyctl(JOIN_SESSION_KEYRING, "_ses.<id>")`; a kernel without keyrings is fine.
    NewSessionKeyring {
        /// `_ses.<id>`
        name: String,
    },
    /// The label of keys made from now on, `/proc/thread-self/attr/keycreate`.
    SetKeyLabel(String),
    /// Sets `lo` up in a new network namespace.
    BringUpLoopback,
    /// The parent moves `linux.netDevices` in.
    AwaitNetDevices,
    /// Propagation of `/` before anything is mounted, so that nothing reaches the host.
    SetRootPropagation(Propagation),
    /// Moves the detached root tree onto its own path in this mount namespace.
    AttachRoot {
        /// From `ParentOp::OpenRoot`.
        slot: Slot,
    },
    /// The same with a writable layer above it: an overlay of both is the root.
    OverlayRoot {
        /// From `ParentOp::OpenRoot`.
        slot: Slot,
        /// From `ParentOp::OpenLayer`; a new tmpfs where there is none.
        layer: Option<Slot>,
        /// In a user namespace overlayfs may keep its notes in `user.*` attributes only
        /// (Linux 5.11).
        user_xattrs: bool,
    },
    /// Opens the root without a mount namespace of its own.
    OpenRootInPlace,
    /// One of `mounts`.
    Mount(MountOp),
    /// `mounts remove`: what is mounted exactly here is taken away, with all below it.
    Unmount {
        /// Absolute path inside the container, lexically clean.
        target: String,
        /// Paths that are masked or read-only: what covers them stays, under whatever
        /// name it is found.
        protected: Vec<String>,
    },
    /// A device node, made and then verified (an existing one must be the same).
    MakeDevice(DeviceNode),
    /// A symlink below `/dev`; one that exists with the same target is fine.
    MakeLink {
        /// `/dev/fd`
        path: String,
        /// `/proc/self/fd`
        target: String,
        /// Replace whatever is there (`/dev/ptmx`).
        replace: bool,
    },
    /// The parent runs `prestart` and `createRuntime` and sets the last limits.
    AwaitHooks,
    /// `hooks.createContainer`.
    RunHook(Hook),
    /// The root of this process becomes the container's.
    ChangeRoot(RootChange),
    /// `linux.rootfsPropagation`, on the new `/`.
    SetPropagation(Propagation),
    /// Opens the pty in the container's own devpts, sends the master to the
    /// parent, makes the slave `/dev/console`, the controlling terminal and stdio.
    OpenConsole {
        /// `process.consoleSize`
        size: Option<ConsoleSize>,
        /// Owner of the slave.
        uid: u32,
        /// It becomes `/dev/console`, too: of a container's first process.
        device: bool,
    },
    /// sethostname(2)
    SetHostname(String),
    /// setdomainname(2)
    SetDomainname(String),
    /// One `linux.sysctl`, written through a private procfs.
    WriteSysctl {
        /// Path below `/proc/sys`, slashes: `net/ipv4/ip_forward`.
        file: String,
        /// Written by one write(2).
        value: String,
    },
    /// Makes the working directory if it is missing, while the root is writable.
    MakeWorkingDirectory {
        /// Absolute path.
        path: String,
        /// Owner of a directory made here.
        uid: u32,
        /// Group of a directory made here.
        gid: u32,
    },
    /// A mount that had to stay writable until now (`/dev`, tmpfs with `ro`).
    MakeReadOnly {
        /// Absolute path.
        target: String,
    },
    /// One of `linux.readonlyPaths`; a path that does not exist is skipped.
    ProtectPath {
        /// Absolute path.
        path: String,
    },
    /// `root.readonly`.
    MakeRootReadOnly,
    /// One of `linux.maskedPaths`; a path that does not exist is skipped.
    MaskPath {
        /// Absolute path.
        path: String,
        /// `linux.mountLabel`, for directories.
        label: Option<String>,
    },
    /// Keeps a descriptor of the working directory: of what is there once paths are
    /// read-only and masked, for whoever stands below a mask sees what it hides.
    OpenWorkingDirectory {
        /// Absolute path.
        path: String,
    },
    /// umask(2); 0022 when the configuration names none, as the peers do.
    SetUmask(u32),
    /// Finds `args[0]` in the container's `PATH` and `HOME` in its `/etc/passwd`.
    FindProgram,
}

impl InitOp {
    /// When it runs.
    pub const fn phase(&self) -> InitPhase {
        match self {
            Self::JoinCgroups
            | Self::AwaitScope
            | Self::AwaitIdMap { .. }
            | Self::JoinNamespace { .. }
            | Self::EnterContainer { .. }
            | Self::SetCpuAffinity { .. }
            | Self::UnshareCgroup
            | Self::EnterDelegatedCgroup { .. }
            | Self::SetKeyLabel(_)
            | Self::NewSessionKeyring { .. } => InitPhase::Enter,
            Self::BringUpLoopback | Self::AwaitNetDevices => InitPhase::Network,
            Self::SetRootPropagation(_)
            | Self::AttachRoot { .. }
            | Self::OverlayRoot { .. }
            | Self::OpenRootInPlace => InitPhase::Root,
            Self::Mount(_) | Self::Unmount { .. } => InitPhase::Mounts,
            Self::MakeDevice(_) | Self::MakeLink { .. } => InitPhase::Devices,
            Self::AwaitHooks | Self::RunHook(_) => InitPhase::Hooks,
            Self::ChangeRoot(_) => InitPhase::Pivot,
            Self::SetPropagation(_)
            | Self::OpenConsole { .. }
            | Self::SetHostname(_)
            | Self::SetDomainname(_)
            | Self::WriteSysctl { .. }
            | Self::MakeWorkingDirectory { .. } => InitPhase::Inside,
            Self::MakeReadOnly { .. } | Self::ProtectPath { .. } | Self::MakeRootReadOnly => {
                InitPhase::ReadOnly
            }
            Self::MaskPath { .. } => InitPhase::Masks,
            Self::OpenWorkingDirectory { .. } | Self::SetUmask(_) | Self::FindProgram => {
                InitPhase::Program
            }
        }
    }
}

/// How the root is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RootChange {
    /// `pivot_root(".", ".")`, then the old root is detached.
    Pivot,
    /// `--no-pivot`: `MS_MOVE` onto `/` and chroot, after every procfs and sysfs
    /// of the host was unmounted or covered.
    Move,
    /// No mount namespace, or one that belongs to others: chroot only.
    Chroot,
}

/// Terminal size in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsoleSize {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// What a node is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum NodeKind {
    /// mknod(2)
    Device {
        /// Character or block.
        device: DeviceKind,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// mkfifo(3)
    Fifo,
    /// The host's node, bound: for user namespaces, where mknod is refused.
    Bind {
        /// From `ParentOp::OpenHostDevice`.
        slot: Slot,
        /// Character or block.
        device: DeviceKind,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// One device node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceNode {
    /// Absolute path inside the container.
    pub path: String,
    /// What it is.
    pub node: NodeKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner inside the container.
    pub uid: u32,
    /// Group inside the container.
    pub gid: u32,
}
