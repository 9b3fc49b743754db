//! What the plan must know about this machine, probed cheaply: no mountinfo is
//! parsed and nothing is listed but `/sys/fs/cgroup`.

use std::os::fd::AsFd;

use kernel::{caps, fs, identity, system};
use plan::{HostFacts, Lsm};

use crate::error::{Doing, Result};

/// Probes the machine.
///
/// # Errors
/// When the runtime's own capabilities or the cgroup mounts cannot be read.
pub fn probe() -> Result<HostFacts> {
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
        cgroup: libcgroups::probe(effective_uid == 0 && !in_user_namespace)?,
    })
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
    let root = fs::open_path(MOUNT).ok()?;
    let magic = fs::filesystem_magic(root.as_fd()).ok()?;
    (magic == fs::RESCTRL_MAGIC).then(|| MOUNT.to_owned())
}
