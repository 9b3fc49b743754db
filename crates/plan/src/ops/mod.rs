//! The plan: what will be done, as data, in the order it will be done.
//!
//! Three lists, three places where they run:
//!
//! | list | runs in | can see |
//! |---|---|---|
//! | [`Plan::parent`] | the `corten` process the caller started | the host |
//! | [`Plan::init`] | the child, still with the code of `corten` | the container being built |
//! | [`Plan::last`] | the child, now the sealed stub | the finished container |
//!
//! The order inside each list is decided by `build::order`; nothing below this
//! crate reorders anything.

mod init;
mod last;
mod mount;
mod parent;
mod resctrl;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use init::{ConsoleSize, DeviceNode, InitOp, InitPhase, NodeKind, RootChange};
pub use last::{
    CapabilitySets, LastOp, LastPhase, MemoryPolicy, Program, Scheduler, SeccompListener,
    SeccompProgram,
};
pub use mount::{
    Atime, AttrFlags, Attributes, ClassicFlags, FsParameter, MountIdMap, MountLabel, MountOp,
    MountSource, Propagation, PropagationKind,
};
pub use parent::{DeviceKind, IdMapRight, IdMapping, ParentOp, ParentPhase, Rlimit};
pub use resctrl::ResctrlGroup;

use crate::cgroup::CgroupPlan;
use crate::{ConfigPath, Warning};

/// One thing to do, and where in the configuration it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step<Op> {
    /// The property that asked for it.
    pub from: ConfigPath,
    /// What to do.
    pub op: Op,
}

impl<Op> Step<Op> {
    /// A step.
    pub fn new(from: ConfigPath, op: Op) -> Self {
        Self { from, op }
    }
}

/// The number of a descriptor that the parent opens and init inherits. Slots
/// are dense, from 0, in the order of the `Open…` operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub usize);

/// Everything `create` will do for one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Container id.
    pub id: String,
    /// Absolute path of the bundle.
    pub bundle: String,
    /// Absolute path of the root file system on the host.
    pub rootfs: String,
    /// `ociVersion` of the configuration, repeated in the state.
    pub oci_version: String,
    /// `annotations`, repeated in the state.
    pub annotations: BTreeMap<String, String>,
    /// Which namespaces are new and which are joined, and by whom.
    pub namespaces: Namespaces,
    /// Control group: where, which limits, which devices.
    pub cgroup: CgroupPlan,
    /// Outside the container.
    pub parent: Vec<Step<ParentOp>>,
    /// Inside, before the hand-off to the sealed stub.
    pub init: Vec<Step<InitOp>>,
    /// Inside, after it.
    pub last: Vec<Step<LastOp>>,
    /// What the container runs.
    pub program: Program,
    /// `hooks.poststart`, for `start` and `run`.
    pub poststart: Vec<Step<Hook>>,
    /// `hooks.poststop`, for `delete`.
    pub poststop: Vec<Step<Hook>>,
    /// Whether the container has a terminal.
    pub terminal: bool,
    /// What the spec wants warned about.
    pub warnings: Vec<Warning>,
}

/// One of the eight Linux namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// `CLONE_NEWCGROUP`
    Cgroup,
    /// `CLONE_NEWIPC`
    Ipc,
    /// `CLONE_NEWNS`
    Mount,
    /// `CLONE_NEWNET`
    Network,
    /// `CLONE_NEWPID`
    Pid,
    /// `CLONE_NEWTIME`
    Time,
    /// `CLONE_NEWUSER`
    User,
    /// `CLONE_NEWUTS`
    Uts,
}

/// Who makes and joins which namespace.
///
/// The ordinary container has every new namespace in `clone` and nothing else.
/// * A **joined user namespace** must be entered before anything new is made, or
///   the new namespaces would belong to the wrong one: `via_user_namespace` makes
///   the parent clone a short-lived child that joins it and clones init from
///   inside with `CLONE_PARENT`. The same child serves a **new user namespace beside
///   joined ones**: from inside the new one, namespaces of the host could not be
///   joined any more. `before_clone` lists what it joins.
/// * A **joined pid namespace** holds strangers. Init joins it with `setns`, which
///   concerns its children only, builds the container from outside, and the
///   *sealed stub* forks into it: the host's binary is never visible there
///   (CVE-2019-5736, CVE-2016-9962). `fork_into_pid_namespace` says so.
/// * **Time offsets** can be written only before the first process is inside, so
///   the parent itself unshares the time namespace its next child will be born
///   in: `parent_unshares_time`.
/// * On **cgroup v1** the namespace's root is the cgroup at the time of unshare,
///   so the child joins its cgroups first and unshares then (`InitOp::UnshareCgroup`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespaces {
    /// New ones, made by the one `clone3`.
    pub clone: Vec<NamespaceKind>,
    /// Joined ones, in the order of joining, with the slot of their descriptor.
    pub join: Vec<(NamespaceKind, Slot)>,
    /// Those of `join` that the short-lived child enters before it clones init;
    /// init itself joins the rest (`InitOp::JoinNamespace`). The user namespace
    /// comes last: what the caller's own privileges can join is joined with
    /// them, and what they cannot (`EPERM`) is tried again inside it.
    pub before_clone: Vec<(NamespaceKind, Slot)>,
    /// See above: `before_clone` is not empty.
    pub via_user_namespace: bool,
    /// See above.
    pub fork_into_pid_namespace: bool,
    /// See above.
    pub parent_unshares_time: bool,
    /// See above: a new cgroup namespace that is not in `clone`.
    pub unshare_cgroup: bool,
    /// Init is PID 1 of a new pid namespace: killing it kills everything in it.
    pub pid_namespace_is_private: bool,
}

impl Namespaces {
    /// Whether the container has a namespace of this kind that is not the runtime's.
    pub fn has(&self, kind: NamespaceKind) -> bool {
        self.is_new(kind) || self.join.iter().any(|(k, _)| *k == kind)
    }

    /// Whether the container gets a new namespace of this kind.
    pub fn is_new(&self, kind: NamespaceKind) -> bool {
        self.clone.contains(&kind)
            || (kind == NamespaceKind::Cgroup && self.unshare_cgroup)
            || (kind == NamespaceKind::Time && self.parent_unshares_time)
    }
}

/// One entry of `hooks.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// Absolute path of the program.
    pub path: String,
    /// argv, `argv[0]` included; `[path]` when the configuration gives none.
    pub args: Vec<String>,
    /// Environment; `None` when the configuration gives none (then hooks outside
    /// inherit the runtime's, `createContainer` gets none, `startContainer` the
    /// container's).
    pub env: Option<Vec<String>>,
    /// Seconds after which it is killed and counts as failed.
    pub timeout_seconds: Option<u32>,
    /// Where its standard output goes instead of into the error message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<HookOutput>,
    /// The same for its standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<HookOutput>,
}

/// A file of the host to whose end hooks write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HookOutput {
    /// Of a hook outside, opened for it by its absolute path.
    File(String),
    /// Of a hook inside, opened by the parent: the path is the host's.
    Slot(Slot),
}
