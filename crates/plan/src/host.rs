//! What the plan must know about the machine, probed before it and serialisable,
//! so that a bug report can carry it and anybody can replay the plan without root.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Facts about the host; `libcontainer::host` fills it, tests write it by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// Kernel version, `(6, 18)`.
    pub kernel: (u32, u32),
    /// Effective uid of the runtime.
    pub effective_uid: u32,
    /// Effective gid of the runtime.
    pub effective_gid: u32,
    /// The runtime runs inside a user namespace that is not the first one.
    pub in_user_namespace: bool,
    /// setgroups(2) is off in the runtime's user namespace, and in all below it.
    #[serde(default)]
    pub setgroups_denied: bool,
    /// Bit mask of the runtime's bounding set (bit n = capability n).
    pub bounding_capabilities: u64,
    /// Bit mask of the runtime's effective set.
    pub effective_capabilities: u64,
    /// Number of the last capability the kernel knows.
    pub last_capability: u32,
    /// Security modules that are active.
    pub lsm: Vec<Lsm>,
    /// The runtime itself runs under a profile of AppArmor.
    pub apparmor_confined: bool,
    /// Where resctrl is mounted.
    pub resctrl: Option<String>,
    /// Control groups.
    pub cgroup: CgroupFacts,
    /// `--rootless`, where it matters: whether a container that needs no control group
    /// may do without one. `None`: if the runtime is not root of the machine.
    #[serde(default)]
    pub may_lack_cgroup: Option<bool>,
}

/// A Linux security module that containers can be labelled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lsm {
    /// AppArmor
    AppArmor,
    /// SELinux
    SELinux,
}

impl Lsm {
    /// Where it takes the label of the next program, below `/proc/PID/attr`. The
    /// directory of AppArmor is there since Linux 5.8.
    pub const fn exec_file(self) -> &'static str {
        match self {
            Self::AppArmor => "apparmor/exec",
            Self::SELinux => "exec",
        }
    }
}

/// How the host mounts its control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupMode {
    /// No cgroup file system at all.
    #[default]
    None,
    /// Only v1 hierarchies.
    V1,
    /// v1 hierarchies with a v2 one beside them (`/sys/fs/cgroup/unified`).
    Hybrid,
    /// Only v2.
    V2,
}

/// The host's control groups; none by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupFacts {
    /// How they are mounted.
    pub mode: CgroupMode,
    /// Mount point of the v2 hierarchy: `/sys/fs/cgroup`, or `.../unified` when hybrid.
    pub v2_mount: Option<String>,
    /// `cgroup.controllers` at the v2 root.
    pub v2_controllers: Vec<String>,
    /// v1: controller (or `name=systemd`) -> mount point. Co-mounted controllers
    /// share a mount point.
    pub v1_mounts: BTreeMap<String, String>,
    /// The v2 cgroup the runtime may create containers below when it is not
    /// privileged (delegated to it); `None` for root.
    pub delegated: Option<String>,
    /// Who would make a scope; `None` when nobody wants to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systemd: Option<SystemdFacts>,
}

/// The systemd that makes the caller's scopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SystemdFacts {
    /// It runs, and answers.
    Manager {
        /// The control group that all its units lie below; the root is empty.
        #[serde(rename = "controlGroup")]
        control_group: String,
        /// The caller's own (`systemd --user`).
        user: bool,
    },
    /// There is none, or none that answers.
    Missing {
        /// Half a sentence.
        why: String,
    },
}

impl HostFacts {
    /// An ordinary root-owned host with pure cgroup v2, for tests and `explain` replays.
    pub fn v2_root() -> Self {
        let controllers = [
            "cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc",
        ];
        Self {
            kernel: (6, 18),
            effective_uid: 0,
            effective_gid: 0,
            in_user_namespace: false,
            setgroups_denied: false,
            bounding_capabilities: 0x1ff_ffff_ffff,
            effective_capabilities: 0x1ff_ffff_ffff,
            last_capability: 40,
            lsm: Vec::new(),
            apparmor_confined: false,
            resctrl: None,
            cgroup: CgroupFacts {
                mode: CgroupMode::V2,
                v2_mount: Some("/sys/fs/cgroup".to_owned()),
                v2_controllers: controllers.map(str::to_owned).to_vec(),
                v1_mounts: BTreeMap::new(),
                delegated: None,
                systemd: None,
            },
            may_lack_cgroup: None,
        }
    }

    /// A root-owned host with v1 controllers and a v2 hierarchy that holds only hugetlb.
    pub fn hybrid_root() -> Self {
        let v1 = [
            "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids",
        ];
        let mut v1_mounts: BTreeMap<String, String> = v1
            .iter()
            .map(|c| ((*c).to_owned(), format!("/sys/fs/cgroup/{c}")))
            .collect();
        v1_mounts.insert(
            "name=systemd".to_owned(),
            "/sys/fs/cgroup/systemd".to_owned(),
        );
        Self {
            cgroup: CgroupFacts {
                mode: CgroupMode::Hybrid,
                v2_mount: Some("/sys/fs/cgroup/unified".to_owned()),
                v2_controllers: vec!["hugetlb".to_owned()],
                v1_mounts,
                delegated: None,
                systemd: None,
            },
            ..Self::v2_root()
        }
    }
}
