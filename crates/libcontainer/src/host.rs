//! What the plan must know about this machine, probed cheaply: no mountinfo is
//! parsed and nothing is listed but `/sys/fs/cgroup`.

use std::os::fd::AsFd;

use kernel::{affinity, caps, fs, identity, mount, system};
use plan::{CgroupFacts, CgroupMode, HostFacts, Lsm};

use crate::error::{Doing, Result};
use crate::state::State;

/// Probes the machine.
///
/// # Errors
/// When the runtime's own capabilities or the cgroup mounts cannot be read.
pub fn probe() -> Result<HostFacts> {
    let mut facts = probe_caller()?;
    let privileged = facts.effective_uid == 0 && !facts.in_user_namespace;
    facts.cgroup = libcgroups::probe(privileged)?;
    Ok(facts)
}

/// [`probe`] without the control groups: who joins a container knows of its own.
fn probe_caller() -> Result<HostFacts> {
    let (bounding, last) = caps::bounding().doing(|| "bounding set".to_owned())?;
    let current = caps::current().doing(|| "capabilities".to_owned())?;
    let effective_uid = identity::effective_uid();
    let in_user_namespace = crate::caller::in_user_namespace();
    let lsm = active_lsms();
    Ok(HostFacts {
        kernel: system::kernel_version(),
        effective_uid,
        effective_gid: identity::effective_gid(),
        in_user_namespace,
        setgroups_denied: in_user_namespace && crate::caller::setgroups_denied(),
        bounding_capabilities: bounding,
        effective_capabilities: current.effective,
        last_capability: last,
        apparmor_confined: lsm.contains(&Lsm::AppArmor) && is_confined(),
        lsm,
        resctrl: resctrl_mount(),
        cgroup: CgroupFacts::default(),
        may_lack_cgroup: None,
    })
}

/// The machine as far as it matters to a process that joins a container: of the control
/// groups only how they are mounted, which the container's own directories tell.
///
/// # Errors
/// As [`probe`].
pub(crate) fn probe_beside(state: &State) -> Result<HostFacts> {
    let mut facts = probe_caller()?;
    let is_v2 = |one: &plan::cgroup::CgroupDirectory| one.v2;
    let directories = &state.cgroup.directories;
    facts.cgroup.mode = match (directories.iter().any(is_v2), directories.iter().all(is_v2)) {
        (true, true) => CgroupMode::V2,
        (true, false) => CgroupMode::Hybrid,
        (false, false) => CgroupMode::V1,
        // No directory at all.
        (false, true) => CgroupMode::None,
    };
    Ok(facts)
}

/// [`probe`] for a caller that says whether it is root of the machine (`--rootless`).
///
/// One that says it is not, and is, still has its cgroups where it can: what it gains is
/// to run containers where they are mounted read-only, as inside another container.
/// One that says it is, and is not, is refused what it cannot have.
///
/// With `systemd` it is asked, too.
///
/// # Errors
/// As there; the cgroup of the user's systemd cannot be read.
pub fn probe_for(rootless: Option<bool>, systemd: bool) -> Result<HostFacts> {
    let mut facts = probe()?;
    let privileged = facts.effective_uid == 0 && !facts.in_user_namespace;
    match rootless {
        Some(true) if privileged => {
            let mounts = facts
                .cgroup
                .v1_mounts
                .values()
                .chain(&facts.cgroup.v2_mount);
            if mounts.into_iter().any(|mount| is_read_only(mount)) {
                facts.may_lack_cgroup = Some(true);
            }
        }
        Some(false) if !privileged => {
            facts.cgroup.delegated = None;
            facts.may_lack_cgroup = Some(false);
        }
        _ => {}
    }
    if systemd {
        libcgroups::systemd::probe(&mut facts.cgroup, privileged)?;
    }
    Ok(facts)
}

fn is_read_only(path: &str) -> bool {
    let attributes = fs::open_path(path).and_then(|fd| mount::mount_attributes(fd.as_fd()));
    attributes.is_ok_and(|attributes| attributes & mount::MOUNT_ATTR_RDONLY != 0)
}

/// On how many processors this process may run; 1 when the kernel does not say.
pub fn processors() -> usize {
    let mask = affinity::mask().unwrap_or_default();
    let count: u32 = mask.iter().map(|word| word.count_ones()).sum();
    usize::try_from(count).map_or(1, |count| count.max(1))
}

/// Memory of the machine in bytes, `MemTotal` of proc_meminfo(5).
pub fn total_memory() -> Option<u64> {
    let text = fs::read_file("/proc/meminfo", 1 << 16).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Modules that a container could be labelled for.
fn active_lsms() -> Vec<Lsm> {
    let mut active = Vec::new();
    let enabled = fs::read_file("/sys/module/apparmor/parameters/enabled", 16);
    if enabled.is_ok_and(|text| text.starts_with(b"Y")) {
        active.push(Lsm::AppArmor);
    }
    if fs::stat_path("/sys/fs/selinux/enforce").is_ok() {
        active.push(Lsm::SELinux);
    }
    active
}

/// Whether a profile of AppArmor holds for this process; `unconfined` may be followed
/// by the mode.
fn is_confined() -> bool {
    let current = fs::read_file("/proc/self/attr/apparmor/current", 4096);
    current.is_ok_and(|text| !text.starts_with(b"unconfined"))
}

/// Where everybody mounts it; the directory is there whether it is mounted or not.
fn resctrl_mount() -> Option<String> {
    const MOUNT: &str = "/sys/fs/resctrl";
    let magic = fs::filesystem_magic_at(MOUNT).ok()?;
    (magic == fs::RESCTRL_MAGIC).then(|| MOUNT.to_owned())
}
