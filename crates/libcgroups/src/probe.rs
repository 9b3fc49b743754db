//! How the host mounts its control groups, by a few calls and without reading
//! mountinfo: that file is as long as the machine has containers.

use std::os::fd::{AsFd, BorrowedFd};

use kernel::{Errno, fs, identity};
use plan::{CgroupFacts, CgroupMode};

use crate::directory::{CGROUP1_MAGIC, CGROUP2_MAGIC, read_text};
use crate::{CgroupError, FILE_LIMIT};

const MOUNT: &str = "/sys/fs/cgroup";

/// Every v1 controller Linux ever had; a mount of another name is a named hierarchy.
const V1_CONTROLLERS: [&str; 15] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "debug",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
];

/// Looks at `/sys/fs/cgroup`. A caller without privileges over the host's cgroups
/// (`privileged`: root, and of the first user namespace) is also told which one is
/// delegated to it.
///
/// # Errors
/// Those of opening and reading what is there. A host without cgroups is none.
pub fn probe(privileged: bool) -> Result<CgroupFacts, CgroupError> {
    let mut facts = CgroupFacts::default();
    let root = match fs::open_directory(MOUNT) {
        Err(e) if e.errno() == Errno::NOENT => return Ok(facts),
        root => root?,
    };
    if fs::filesystem_magic(root.as_fd())? == CGROUP2_MAGIC {
        facts.mode = CgroupMode::V2;
        facts.v2_controllers = controllers(root.as_fd())?;
        facts.v2_mount = Some(MOUNT.to_owned());
    } else {
        probe_v1(root.as_fd(), &mut facts)?;
    }
    if let Some(mount) = facts.v2_mount.clone()
        && !privileged
        && let Some(path) = delegated(&mount)
    {
        let dir = fs::open_directory(&format!("{mount}{path}"))?;
        facts.v2_controllers = controllers(dir.as_fd())?;
        facts.delegated = Some(path);
    }
    Ok(facts)
}

fn controllers(dir: BorrowedFd<'_>) -> kernel::Result<Vec<String>> {
    let text = read_text(dir, "cgroup.controllers")?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// A tmpfs with a directory for each hierarchy: `memory`, `cpu,cpuacct`,
/// `systemd`, `unified`. Symlinks beside them (`cpu`) name the same again.
fn probe_v1(root: BorrowedFd<'_>, facts: &mut CgroupFacts) -> kernel::Result<()> {
    for (name, kind) in fs::read_directory(root)? {
        if kind != fs::FileKind::Directory {
            continue;
        }
        let mount = format!("{MOUNT}/{name}");
        match fs::filesystem_magic_at(&mount).ok() {
            Some(CGROUP2_MAGIC) => {
                facts.v2_controllers = controllers(fs::open_directory(&mount)?.as_fd())?;
                facts.v2_mount = Some(mount);
            }
            Some(CGROUP1_MAGIC) => {
                for controller in named(&name) {
                    facts.v1_mounts.insert(controller, mount.clone());
                }
            }
            _ => {}
        }
    }
    facts.mode = match (facts.v1_mounts.is_empty(), facts.v2_mount.is_some()) {
        (true, false) => CgroupMode::None,
        (true, true) => CgroupMode::V2,
        (false, false) => CgroupMode::V1,
        (false, true) => CgroupMode::Hybrid,
    };
    Ok(())
}

/// The controllers a mount of this name has.
fn named(directory: &str) -> Vec<String> {
    let parts: Vec<&str> = directory.split(',').collect();
    if parts.iter().all(|part| V1_CONTROLLERS.contains(part)) {
        return parts.into_iter().map(str::to_owned).collect();
    }
    vec![format!("name={directory}")]
}

/// The v2 cgroup the caller may make others below: the one above its own if that
/// is its too (a service's own cgroup holds processes and cannot enable
/// controllers), else its own.
fn delegated(mount: &str) -> Option<String> {
    let own = own_path()?;
    let above = match own.rsplit_once('/')? {
        ("", _) => "/",
        (above, _) => above,
    };
    let candidates = [above, own.as_str()];
    let found = candidates
        .into_iter()
        .find(|path| is_owned(&format!("{mount}{path}")));
    found.map(|path| path.trim_end_matches('/').to_owned())
}

/// `0::/path` of `/proc/self/cgroup`; `None` for one outside our cgroup namespace.
fn own_path() -> Option<String> {
    let text = fs::read_file("/proc/self/cgroup", FILE_LIMIT).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    (!path.contains("/..")).then(|| path.to_owned())
}

fn is_owned(directory: &str) -> bool {
    let uid = identity::effective_uid();
    let owned = |path: &str| fs::stat_path(path).is_ok_and(|s| s.uid == uid && s.mode & 0o200 != 0);
    owned(directory) && owned(&format!("{directory}/cgroup.procs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_named_by_its_controllers() {
        assert_eq!(named("cpu,cpuacct"), ["cpu", "cpuacct"]);
        assert_eq!(named("memory"), ["memory"]);
        assert_eq!(named("rdma"), ["rdma"]);
        assert_eq!(named("systemd"), ["name=systemd"]);
        assert_eq!(named("elogind"), ["name=elogind"]);
    }
}
