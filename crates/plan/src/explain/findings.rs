//! What in a plan is unusual, or takes a wall down between container and host.
//!
//! Measured against what Docker gives to every container: that is what people know.
//! Nothing here refuses anything; the configuration may mean it.

use serde::Serialize;

use super::outside::{Sources, name};
use crate::build::capabilities::CAPABILITIES;
use crate::cgroup::CgroupManager;
use crate::{
    AttrFlags, ConfigPath, InitOp, LastOp, MountOp, MountSource, NamespaceKind, ParentOp, Plan,
    PropagationKind,
};

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How grave.
    pub weight: Weight,
    /// The property, or where one is missing.
    pub path: ConfigPath,
    /// What it means.
    pub text: String,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Who is in the container can take the host.
    Danger,
    /// Not what containers mostly have.
    Unusual,
    /// What was asked for and will not be.
    Ignored,
}

impl Weight {
    /// The word of the report.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Danger => "danger",
            Self::Unusual => "unusual",
            Self::Ignored => "ignored",
        }
    }
}

/// Capabilities of every container of Docker, as a mask.
const USUAL: u64 = 0xa804_25fb;

/// Who holds so many was given all.
const NEARLY_ALL: u32 = 30;

/// Capabilities with which root of the container is root of the host, sooner or later.
const KEYS: [&str; 9] = [
    "CAP_SYS_ADMIN",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_PTRACE",
    "CAP_DAC_READ_SEARCH",
    "CAP_BPF",
    "CAP_SYS_BOOT",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
];

/// Directories of the host that are the host.
const HOST_PARTS: [&str; 10] = [
    "/", "/etc", "/root", "/boot", "/dev", "/proc", "/sys", "/usr", "/var", "/run",
];

/// Sockets whose daemon does for everybody what only root may.
const SOCKETS: [&str; 5] = [
    "docker.sock",
    "containerd.sock",
    "podman.sock",
    "crio.sock",
    "dockershim.sock",
];

/// All findings, the gravest first.
pub fn findings(plan: &Plan) -> Vec<Finding> {
    let mut list = Findings(Vec::new());
    let own_users = plan.namespaces.has(NamespaceKind::User);
    capabilities(plan, own_users, &mut list);
    namespaces(plan, &mut list);
    mounts(plan, &mut list);
    guards(plan, own_users, &mut list);
    devices(plan, own_users, &mut list);
    for warning in &plan.warnings {
        list.add(Weight::Ignored, warning.path.clone(), warning.text.clone());
    }
    list.0.sort_by_key(|finding| finding.weight);
    list.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, weight: Weight, path: ConfigPath, text: impl Into<String>) {
        let text = text.into();
        self.0.push(Finding { weight, path, text });
    }
}

fn capabilities(plan: &Plan, own_users: bool, list: &mut Findings) {
    let sets = plan.last.iter().find_map(|step| match &step.op {
        LastOp::SetCapabilities(sets) => Some((&step.from, sets)),
        _ => None,
    });
    let Some((from, sets)) = sets else { return };
    let known = (1 << CAPABILITIES.len()) - 1;
    let held = (sets.permitted & known).count_ones();
    let reach = if own_users {
        " (inside its user namespace only)"
    } else {
        ""
    };
    let grave = if own_users {
        Weight::Unusual
    } else {
        Weight::Danger
    };
    // The runtime itself may lack a few.
    if held >= NEARLY_ALL {
        let text = format!(
            "privileged: {held} of {} capabilities{reach}",
            CAPABILITIES.len()
        );
        list.add(grave, from.clone(), text);
        return;
    }
    let more = CAPABILITIES
        .iter()
        .enumerate()
        .filter(|(number, _)| sets.permitted & !USUAL & (1 << number) != 0)
        .map(|(_, (_, name))| *name);
    let (keys, others): (Vec<&str>, Vec<&str>) = more.partition(|name| KEYS.contains(name));
    if !keys.is_empty() {
        let text = format!(
            "capabilities that lead to the host: {}{reach}",
            keys.join(" ")
        );
        list.add(grave, from.clone(), text);
    }
    if !others.is_empty() {
        let text = format!(
            "capabilities beyond those of Docker: {}{reach}",
            others.join(" ")
        );
        list.add(Weight::Unusual, from.clone(), text);
    }
}

fn namespaces(plan: &Plan, list: &mut Findings) {
    let shared = [
        (
            NamespaceKind::Mount,
            Weight::Danger,
            "its mounts are those of the host",
        ),
        (
            NamespaceKind::Pid,
            Weight::Danger,
            "it sees all processes of the host, and may signal those of its user",
        ),
        (
            NamespaceKind::Network,
            Weight::Unusual,
            "it uses the host's network devices, ports and abstract sockets",
        ),
        (
            NamespaceKind::Ipc,
            Weight::Unusual,
            "it shares message queues, semaphores and shared memory with the host",
        ),
        (
            NamespaceKind::Uts,
            Weight::Unusual,
            "its host name is that of the host",
        ),
    ];
    for (kind, weight, means) in shared {
        if !plan.namespaces.has(kind) {
            let text = format!("no {} namespace: {means}", name(kind));
            list.add(weight, ConfigPath::new("linux.namespaces"), text);
        }
    }
}

fn mounts(plan: &Plan, list: &mut Findings) {
    let sources = Sources::of(plan);
    for step in &plan.init {
        match &step.op {
            InitOp::Mount(mount) => bind(mount, &step.from, &sources, list),
            InitOp::SetPropagation(wish) if wish.kind == PropagationKind::Shared => {
                let text = "mounts made in the container show up where its root is shared with";
                list.add(Weight::Unusual, step.from.clone(), text);
            }
            _ => {}
        }
    }
}

fn bind(mount: &MountOp, from: &ConfigPath, sources: &Sources<'_>, list: &mut Findings) {
    let MountSource::Tree { slot } = &mount.source else {
        return;
    };
    let source = sources.get(*slot).path;
    if SOCKETS.iter().any(|socket| source.ends_with(socket)) {
        let text = format!("{source}: who can talk to this daemon is root of the host");
        list.add(Weight::Danger, from.clone(), text);
        return;
    }
    if !HOST_PARTS.contains(&source) {
        return;
    }
    let flags = mount.attributes.set | mount.recursive_attributes.set;
    if flags.contains(AttrFlags::READ_ONLY) || mount.read_only_later {
        let all = mount
            .recursive_attributes
            .set
            .contains(AttrFlags::READ_ONLY);
        let but = if all || !sources.get(*slot).recursive {
            ""
        } else {
            ", but what is mounted below it is writable (rro: not)"
        };
        let text = format!("the host's {source} can be read{but}");
        list.add(Weight::Unusual, from.clone(), text);
    } else {
        let text = format!("the host's {source} can be written");
        list.add(Weight::Danger, from.clone(), text);
    }
}

fn guards(plan: &Plan, own_users: bool, list: &mut Findings) {
    let last = |wanted: fn(&LastOp) -> bool| plan.last.iter().any(|step| wanted(&step.op));
    if !last(|op| matches!(op, LastOp::LoadSeccomp { .. })) {
        let text = "no system call filter: every call of the kernel can be reached";
        list.add(Weight::Unusual, ConfigPath::new("linux.seccomp"), text);
    }
    if !last(|op| matches!(op, LastOp::NoNewPrivileges)) {
        let text = "programs with the set-user-ID bit and file capabilities work";
        list.add(
            Weight::Unusual,
            ConfigPath::new("process.noNewPrivileges"),
            text,
        );
    }
    let has_proc = plan.init.iter().any(|step| matches!(&step.op,
        InitOp::Mount(MountOp { source: MountSource::Filesystem { fstype, .. }, .. }) if fstype == "proc"));
    let protects = |path: &str| {
        plan.init.iter().any(|step| match &step.op {
            InitOp::ProtectPath { path: known } | InitOp::MaskPath { path: known, .. } => {
                known == path
            }
            InitOp::MakeReadOnly { target } => target == "/proc",
            _ => false,
        })
    };
    if has_proc && !own_users {
        if !protects("/proc/sys") {
            let text = "/proc/sys is writable: sysctls of the host can be changed";
            list.add(Weight::Danger, ConfigPath::new("linux.readonlyPaths"), text);
        }
        if !protects("/proc/sysrq-trigger") {
            let text = "/proc/sysrq-trigger is writable: it can reboot the host";
            list.add(Weight::Danger, ConfigPath::new("linux.readonlyPaths"), text);
        }
        if !protects("/proc/kcore") {
            let text = "nothing hides /proc/kcore and its like from capable programs";
            list.add(Weight::Unusual, ConfigPath::new("linux.maskedPaths"), text);
        }
    }
}

fn devices(plan: &Plan, own_users: bool, list: &mut Findings) {
    let cgroup = &plan.cgroup;
    let from = ConfigPath::new("linux.resources.devices");
    let v1_allows_all = cgroup
        .settings
        .iter()
        .any(|setting| setting.file == "devices.allow" && setting.value.trim() == "a");
    let on_v1 = cgroup
        .settings
        .iter()
        .any(|setting| setting.file.starts_with("devices."));
    let is_open = v1_allows_all || cgroup.device_program.is_none() && !on_v1;
    // In a user namespace no node can be made, and those that are bound are few.
    if is_open && !own_users && cgroup.manager != CgroupManager::Disabled {
        list.add(
            Weight::Danger,
            from,
            "every device of the host may be used, its disks among them",
        );
    }
    if cgroup.manager == CgroupManager::Disabled {
        let text = "no control group of its own: no limits, and devices are not restricted";
        list.add(Weight::Unusual, ConfigPath::flag("--cgroup-manager"), text);
    }
    for step in &plan.parent {
        if let ParentOp::RunHook(hook) = &step.op {
            let text = format!(
                "{} runs on the host, with the rights of the runtime",
                hook.path
            );
            list.add(Weight::Unusual, step.from.clone(), text);
        }
    }
}
