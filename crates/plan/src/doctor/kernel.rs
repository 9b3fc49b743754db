//! The kernel: its version, what it was built with, which modules guard it.

use super::{Check, Survey};
use crate::{HostFacts, Lsm};

/// The oldest one that has everything corten cannot do without (docs/kernel-features.md).
const OLDEST: (u32, u32) = (5, 14);

/// Features that are used where they are: since when, and what is done without.
const NEWER: [((u32, u32), &str, &str); 4] = [
    (
        (5, 19),
        "memory.peak",
        "`stats` and `events` do not know the most memory there was (cgroup v2)",
    ),
    (
        (6, 3),
        "idmapped tmpfs",
        "a tmpfs with uidMappings or the option idmap is refused",
    ),
    (
        (6, 3),
        "F_SEAL_EXEC",
        "the mode of the sealed stub is not sealed, its content is",
    ),
    (
        (6, 6),
        "fchmodat2",
        "modes are changed through /proc/self/fd",
    ),
];

pub(super) fn examine(host: &HostFacts, survey: &Survey, checks: &mut Vec<Check>) {
    let (major, minor) = host.kernel;
    let found = format!("Linux {major}.{minor}");
    if host.kernel < OLDEST {
        let costs =
            "containers fail with an error that names the call, such as mount_setattr (5.12)";
        checks.push(Check::missing(
            "kernel",
            found,
            costs,
            "install Linux 5.14 or newer",
        ));
    } else {
        checks.push(Check::ok(
            "kernel",
            format!("{found} (5.14 or newer is needed)"),
        ));
    }
    seccomp(survey, checks);
    newer(host, checks);
    modules(host, checks);
    build_options(survey, checks);
}

/// One line for what there is, and one for each thing that there is not.
fn newer(host: &HostFacts, checks: &mut Vec<Check>) {
    if host.kernel < OLDEST {
        return;
    }
    let has = |since: (u32, u32)| host.kernel >= since;
    let there = NEWER.iter().filter(|(since, ..)| has(*since));
    let there: Vec<String> = there
        .map(|((major, minor), name, _)| format!("{name} ({major}.{minor})"))
        .collect();
    if !there.is_empty() {
        checks.push(Check::ok("newer features", there.join(", ")));
    }
    for ((major, minor), name, costs) in NEWER.iter().filter(|(since, ..)| !has(*since)) {
        let found = format!(
            "not in Linux {}.{}, since {major}.{minor}",
            host.kernel.0, host.kernel.1
        );
        checks.push(Check::degraded(name, found, costs, ""));
    }
}

fn seccomp(survey: &Survey, checks: &mut Vec<Check>) {
    const NAME: &str = "seccomp";
    let has = |name: &str| survey.seccomp_actions.iter().any(|action| action == name);
    if !has("errno") {
        let costs =
            "configurations with linux.seccomp, and that is those of all engines, are refused";
        let mend = "boot a kernel with CONFIG_SECCOMP_FILTER";
        checks.push(Check::missing(NAME, "no filters", costs, mend));
    } else if has("user_notif") {
        checks.push(Check::ok(
            NAME,
            "filters, with notification of an agent (5.0)",
        ));
    } else {
        let costs = "profiles with SCMP_ACT_NOTIFY are refused";
        checks.push(Check::degraded(
            NAME,
            "filters, without notification",
            costs,
            "",
        ));
    }
}

fn modules(host: &HostFacts, checks: &mut Vec<Check>) {
    const NAME: &str = "security modules";
    let names: Vec<&str> = host
        .lsm
        .iter()
        .map(|module| match module {
            Lsm::AppArmor => "AppArmor",
            Lsm::SELinux => "SELinux",
        })
        .collect();
    if names.is_empty() {
        let costs = "one guard less between containers and the host; a configuration with \
                     apparmorProfile or selinuxLabel is refused";
        let mend = "boot with security=apparmor on a kernel that has it";
        checks.push(Check::degraded(
            NAME,
            "neither AppArmor nor SELinux",
            costs,
            mend,
        ));
        return;
    }
    let confined = if host.apparmor_confined {
        "; corten itself is confined by a profile"
    } else {
        ""
    };
    checks.push(Check::ok(NAME, format!("{}{confined}", names.join(", "))));
}

fn build_options(survey: &Survey, checks: &mut Vec<Check>) {
    let filesystem = |name: &str| survey.filesystems.iter().any(|known| known == name);
    if filesystem("overlay") {
        checks.push(Check::ok(
            "overlay",
            "available, or loaded when it is asked for (3.18, in user namespaces 5.11)",
        ));
    } else {
        let costs = "`run --overlay` and the images of most engines do not work";
        checks.push(Check::degraded(
            "overlay",
            "not loaded",
            costs,
            "modprobe overlay",
        ));
    }
    for (name, since, there, costs) in [
        (
            "mqueue",
            "2.6.6",
            filesystem("mqueue"),
            "POSIX message queues: the mount on /dev/mqueue fails",
        ),
        (
            "time namespaces",
            "5.6",
            survey.time_namespaces,
            "configurations with a time namespace are refused",
        ),
        (
            "keyrings",
            "2.6.10",
            survey.keyrings,
            "containers share the keyring of their caller",
        ),
        (
            "pressure",
            "4.20",
            survey.pressure,
            "`stats` and `events` have no pressure (boot with psi=1)",
        ),
    ] {
        checks.push(if there {
            Check::ok(name, format!("available ({since})"))
        } else {
            Check::degraded(
                name,
                format!("not in this kernel (since {since}, a build option)"),
                costs,
                "",
            )
        });
    }
}
