//! User namespaces, and the ids that a user may map.

use super::{Check, Survey, is_rootless};
use crate::HostFacts;

/// What tools for users expect: a container with users of its own has 65536 ids.
const PLENTY: u64 = 65_536;

pub(super) fn examine(host: &HostFacts, survey: &Survey, checks: &mut Vec<Check>) {
    namespaces(host, survey, checks);
    if host.effective_uid != 0 {
        granted(survey, checks);
        helpers(survey, checks);
    }
    if let Some(path) = &survey.criu {
        checks.push(Check::ok("criu", path.clone()));
    } else {
        let costs = "no checkpoint and restore";
        checks.push(Check::degraded(
            "criu",
            "not in PATH",
            costs,
            "install criu (https://criu.org)",
        ));
    }
}

fn namespaces(host: &HostFacts, survey: &Survey, checks: &mut Vec<Check>) {
    const NAME: &str = "user namespaces";
    let off = if survey.max_user_namespaces == Some(0) {
        Some((
            "user.max_user_namespaces is 0",
            "sysctl -w user.max_user_namespaces=10000",
        ))
    } else if is_rootless(host) && survey.unprivileged_userns_clone == Some(0) {
        Some((
            "kernel.unprivileged_userns_clone is 0",
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ))
    } else if is_rootless(host) && survey.apparmor_restrict_userns == Some(1) {
        Some((
            "AppArmor takes their privileges away (kernel.apparmor_restrict_unprivileged_userns)",
            "install a profile with `userns,` for corten, or \
             sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ))
    } else {
        None
    };
    checks.push(match (off, is_rootless(host)) {
        (None, _) if survey.max_user_namespaces.is_none() => Check::degraded(
            NAME,
            "not in this kernel",
            "containers of users, and configurations with a user namespace, are refused",
            "boot a kernel with CONFIG_USER_NS",
        ),
        (None, _) => Check::ok(NAME, "allowed"),
        (Some((found, mend)), true) => Check::missing(
            NAME,
            found,
            "a user who is not root cannot make containers",
            mend,
        ),
        (Some((found, mend)), false) => Check::degraded(
            NAME,
            found,
            "configurations with a user namespace are refused",
            mend,
        ),
    });
}

fn granted(survey: &Survey, checks: &mut Vec<Check>) {
    for (name, number) in [("subuid", survey.subuids), ("subgid", survey.subgids)] {
        let found = format!("{number} ids for {}", survey.user);
        checks.push(if number >= PLENTY {
            Check::ok(name, found)
        } else {
            let costs = "containers with more users than one are refused";
            let mend = format!(
                "as root: usermod --add-{name}s 100000-165535 {}",
                survey.user
            );
            Check::degraded(name, found, costs, &mend)
        });
    }
}

fn helpers(survey: &Survey, checks: &mut Vec<Check>) {
    for (name, path) in [
        ("newuidmap", &survey.newuidmap),
        ("newgidmap", &survey.newgidmap),
    ] {
        checks.push(match path {
            Some(path) => Check::ok(name, path.clone()),
            None => {
                let costs = "the ids of /etc/subuid and /etc/subgid cannot be mapped";
                Check::degraded(
                    name,
                    "not in PATH",
                    costs,
                    "as root: apt-get install uidmap",
                )
            }
        });
    }
}
