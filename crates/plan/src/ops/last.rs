//! What happens inside after the hand-off: the sealed stub's script.
//!
//! Everything here is a plain system call whose arguments are known before the
//! clone, because the stub is written and sealed before it. The only things it
//! learns from init are the path of the program and its environment, which it
//! finds on its own stack.

use serde::{Deserialize, Serialize};

use super::{Hook, Rlimit};
use crate::Lsm;

/// When a [`LastOp`] runs. The order of the variants is the order of the phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LastPhase {
    /// Into the pid namespace of others, where only the stub may be seen.
    Fork,
    /// Marks and labels that need privilege.
    Privileged,
    /// Seccomp without no_new_privs: needs CAP_SYS_ADMIN, so before identity.
    EarlySeccomp,
    /// Groups, ids, capabilities, working directory.
    Identity,
    /// Seccomp with no_new_privs: as late as possible.
    LateSeccomp,
    /// Tell the parent, wait for `start`.
    Gate,
    /// `startContainer` hooks.
    Hooks,
    /// Close what is left and become the program.
    Execute,
}

/// One operation of the stub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "do", content = "with")]
pub enum LastOp {
    /// Forks into the pid namespace that init joined; the child goes on, the
    /// outer process reports the child's pid and leaves.
    ForkIntoPidNamespace,
    /// Writes the process' own pid over the blanks at the end of the first string of
    /// the environment, `LISTEN_PID=`.
    TellPid,
    /// `setrlimit` on itself, while it still may raise a hard limit. (From outside
    /// prlimit(2) wants the same uid or CAP_SYS_RESOURCE.) With a user namespace the
    /// parent does it instead: `ParentOp::SetRlimit`.
    SetRlimit(Rlimit),
    /// `sched_setattr`
    SetScheduler(Scheduler),
    /// `ioprio_set`
    SetIoPriority {
        /// `IOPRIO_CLASS_BE`
        class: String,
        /// 0 (first) to 7.
        level: u32,
    },
    /// `set_mempolicy`
    SetMemoryPolicy(MemoryPolicy),
    /// personality(2)
    SetPersonality {
        /// `PER_LINUX32`
        domain: u32,
    },
    /// The label that execve(2) gives the program, proc_pid_attr(5).
    SetExecLabel {
        /// Whose label it is.
        module: Lsm,
        /// What is written: an SELinux context; `exec PROFILE` or `stack PROFILE` for
        /// AppArmor.
        label: String,
    },
    /// `prctl(PR_SET_NO_NEW_PRIVS)`
    NoNewPrivileges,
    /// `seccomp(SECCOMP_SET_MODE_FILTER)`
    LoadSeccomp {
        /// `true`: after identity, with no_new_privs. `false`: before it.
        late: bool,
        /// The program and flags.
        program: SeccompProgram,
        /// Who decides over the calls that the program notifies.
        listener: Option<SeccompListener>,
    },
    /// Gives descriptors 0 to 2 to the container's user when they are pipes or
    /// sockets, so that it can reopen `/dev/stdout`.
    OwnStdio {
        /// Owner.
        uid: u32,
    },
    /// Drops from the bounding set every capability not in the mask.
    LimitBounding {
        /// Mask of what stays.
        keep: u64,
        /// Mask of what is there at that moment and must go.
        drop: u64,
    },
    /// setgroups(2), setresgid(2), setresuid(2), with capabilities kept across.
    SetIdentity {
        /// User inside the container.
        uid: u32,
        /// Group inside the container.
        gid: u32,
        /// `None` leaves the groups alone.
        groups: Option<Vec<u32>>,
    },
    /// Enters the working directory init opened; tried before identity too, and
    /// verified to lie inside the root (CVE-2024-21626).
    ChangeDirectory,
    /// capset(2) and the ambient set.
    SetCapabilities(CapabilitySets),
    /// `faccessat2(program, X_OK)` with the final identity: what cannot be
    /// executed must fail at create.
    CheckProgram,
    /// Tells the parent that everything is done.
    ReportReady,
    /// Waits for `start`.
    AwaitStart,
    /// `hooks.startContainer`.
    RunHook(Hook),
    /// Really closes every descriptor from this one on (execve(2) resolves its
    /// path before it closes: CVE-2024-21626).
    CloseDescriptors {
        /// 3 + preserved ones.
        first: u32,
    },
    /// execve(2)
    Execute,
}

impl LastOp {
    /// When it runs.
    pub const fn phase(&self) -> LastPhase {
        match self {
            Self::ForkIntoPidNamespace => LastPhase::Fork,
            Self::TellPid
            | Self::NoNewPrivileges
            | Self::SetRlimit(_)
            | Self::SetScheduler(_)
            | Self::SetIoPriority { .. }
            | Self::SetMemoryPolicy(_)
            | Self::SetPersonality { .. }
            | Self::SetExecLabel { .. } => LastPhase::Privileged,
            Self::LoadSeccomp { late: false, .. } => LastPhase::EarlySeccomp,
            Self::OwnStdio { .. }
            | Self::LimitBounding { .. }
            | Self::SetIdentity { .. }
            | Self::ChangeDirectory
            | Self::SetCapabilities(_)
            | Self::CheckProgram => LastPhase::Identity,
            Self::LoadSeccomp { late: true, .. } => LastPhase::LateSeccomp,
            Self::ReportReady | Self::AwaitStart => LastPhase::Gate,
            Self::RunHook(_) => LastPhase::Hooks,
            Self::CloseDescriptors { .. } | Self::Execute => LastPhase::Execute,
        }
    }
}

/// Capability sets as bit masks (bit n = capability n).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilitySets {
    /// Effective.
    pub effective: u64,
    /// Permitted.
    pub permitted: u64,
    /// Inheritable.
    pub inheritable: u64,
    /// Ambient, raised one by one; must be permitted and inheritable too.
    pub ambient: u64,
}

/// `process.scheduler`, sched_setattr(2). The names are those of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduler {
    /// `SCHED_BATCH`
    pub policy: String,
    /// `SCHED_FLAG_RESET_ON_FORK`
    pub flags: Vec<String>,
    /// -20 to 19.
    pub nice: i32,
    /// 1 to 99 for `SCHED_FIFO` and `SCHED_RR`, else 0.
    pub priority: u32,
    /// Nanoseconds, `SCHED_DEADLINE`.
    pub runtime: u64,
    /// Nanoseconds, `SCHED_DEADLINE`.
    pub deadline: u64,
    /// Nanoseconds, `SCHED_DEADLINE`.
    pub period: u64,
}

/// `linux.memoryPolicy`, set_mempolicy(2). The names are those of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryPolicy {
    /// `MPOL_INTERLEAVE`
    pub mode: String,
    /// `MPOL_F_STATIC_NODES`
    pub flags: Vec<String>,
    /// Numbers of the nodes, sorted.
    pub nodes: Vec<u32>,
}

/// A classic BPF program for seccomp(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompProgram {
    /// `struct sock_filter`, each packed as code (16 bits) << 48 | jt << 40 | jf << 32 | k.
    pub instructions: Vec<u64>,
    /// `SECCOMP_FILTER_FLAG_*`
    pub flags: u64,
    /// The program has a NOTIFY action: a listener must be handed over.
    pub notifies: bool,
}

/// `linux.seccomp.listenerPath` and `listenerMetadata`: the agent for SCMP_ACT_NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompListener {
    /// Its stream socket on the host.
    pub path: String,
    /// What it is told besides.
    pub metadata: Option<String>,
}

/// What the container runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Program {
    /// `process.args`
    pub args: Vec<String>,
    /// `process.env`, last duplicate wins; `HOME` is added by init when absent or empty.
    pub env: Vec<String>,
    /// `process.user.uid`, for `HOME`.
    pub uid: u32,
}
