//! Control groups, and what root may do here.

use super::{Check, Survey, is_rootless};
use crate::build::capabilities::CAPABILITIES;
use crate::{CgroupMode, HostFacts};

/// What people limit: the name on v2, that on v1, and what is lost.
const CONTROLLERS: [(&str, &str, &str); 5] = [
    ("cpu", "cpu", "--cpus, quotas and shares"),
    ("memory", "memory", "memory limits, and OOM events"),
    ("pids", "pids", "limits on the number of processes"),
    ("io", "blkio", "weights and rates of block devices"),
    ("cpuset", "cpuset", "binding to processors and memory nodes"),
];

/// Capabilities without which ordinary containers of root fail or lose something.
const WANTED: [(&str, &str); 8] = [
    ("CAP_SYS_ADMIN", "no namespace and no mount can be made"),
    ("CAP_SETUID", "no other user than root can be taken"),
    ("CAP_SETGID", "no other group can be taken"),
    ("CAP_SETPCAP", "the bounding set cannot be reduced"),
    ("CAP_MKNOD", "devices are bound from the host"),
    ("CAP_CHOWN", "owners of devices and terminals cannot be set"),
    ("CAP_NET_ADMIN", "the loopback device cannot be set up"),
    (
        "CAP_SYS_RESOURCE",
        "limits (rlimits, oom_score_adj) cannot be raised",
    ),
];

pub(super) fn examine(host: &HostFacts, survey: &Survey, checks: &mut Vec<Check>) {
    mode(host, checks);
    if is_rootless(host) {
        delegation(host, checks);
    }
    if host.cgroup.mode != CgroupMode::None {
        controllers(host, checks);
    }
    capabilities(host, checks);
    if survey.ps.is_none() {
        let costs = "`corten ps` shows pids only with --format json";
        checks.push(Check::degraded(
            "ps",
            "not in PATH",
            costs,
            "apt-get install procps",
        ));
    }
}

fn mode(host: &HostFacts, checks: &mut Vec<Check>) {
    const NAME: &str = "cgroups";
    const COSTS: &str = "no pressure, no limits for users who are not root, no atomic kill; systemd \
                         is about to drop v1";
    const MEND: &str = "boot with systemd.unified_cgroup_hierarchy=1";
    checks.push(match host.cgroup.mode {
        CgroupMode::V2 => Check::ok(NAME, "version 2"),
        CgroupMode::Hybrid => {
            Check::degraded(NAME, "version 1 with version 2 beside it", COSTS, MEND)
        }
        CgroupMode::V1 => Check::degraded(NAME, "version 1", COSTS, MEND),
        CgroupMode::None => {
            let costs = "no limits, no `stats`, `ps` or `pause`";
            let mend = "mount -t cgroup2 cgroup2 /sys/fs/cgroup";
            Check::missing(NAME, "no cgroup file system is mounted", costs, mend)
        }
    });
}

fn delegation(host: &HostFacts, checks: &mut Vec<Check>) {
    const NAME: &str = "delegation";
    checks.push(match &host.cgroup.delegated {
        Some(path) => Check::ok(NAME, format!("{path} is this user's")),
        None => Check::degraded(
            NAME,
            "no control group was given to this user",
            "no limits, no `stats`, `ps` or `pause`: containers stay in the caller's control group",
            match host.cgroup.mode {
                CgroupMode::V2 => "run it under `systemd-run --user --scope -p Delegate=yes`",
                _ => "only version 2 can be delegated: see cgroups",
            },
        ),
    });
}

fn controllers(host: &HostFacts, checks: &mut Vec<Check>) {
    let cgroup = &host.cgroup;
    let has = |v2: &str, v1: &str| {
        cgroup.v2_controllers.iter().any(|name| name == v2) || cgroup.v1_mounts.contains_key(v1)
    };
    let there = CONTROLLERS.iter().filter(|(v2, v1, _)| has(v2, v1));
    let names: Vec<&str> = there.map(|(name, ..)| *name).collect();
    if !names.is_empty() {
        checks.push(Check::ok("controllers", names.join(", ")));
    }
    for (v2, v1, costs) in CONTROLLERS.iter().filter(|(v2, v1, _)| !has(v2, v1)) {
        let mend = if is_rootless(host) {
            "as root: mkdir -p /etc/systemd/system/user@.service.d && \
                 printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' \
                 > /etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload"
                .to_owned()
        } else if *v2 == "memory" {
            "boot with cgroup_enable=memory".to_owned()
        } else {
            format!("boot a kernel with the controller {v1}")
        };
        let name = format!("controller {v2}");
        let costs = format!("not to be had: {costs}");
        checks.push(Check::degraded(&name, "absent", &costs, &mend));
    }
}

fn capabilities(host: &HostFacts, checks: &mut Vec<Check>) {
    const NAME: &str = "capabilities";
    if host.effective_uid != 0 {
        let found = "an ordinary user: containers need a user namespace (`corten spec --rootless`)";
        checks.push(Check::ok(NAME, found));
        return;
    }
    let held = |name: &str| {
        let number = CAPABILITIES.iter().position(|(_, known)| *known == name);
        number.is_some_and(|number| {
            host.effective_capabilities & host.bounding_capabilities & (1 << number) != 0
        })
    };
    let lost: Vec<_> = WANTED.iter().filter(|(name, _)| !held(name)).collect();
    if lost.is_empty() {
        checks.push(Check::ok(NAME, "root has those that containers take"));
    }
    for (name, costs) in lost {
        let mend =
            "this root is itself confined: start its container or service with the capability";
        checks.push(if *name == "CAP_SYS_ADMIN" {
            Check::missing(name, "not held", costs, mend)
        } else {
            Check::degraded(name, "not held", costs, mend)
        });
    }
}
