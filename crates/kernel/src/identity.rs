//! Users and groups of this thread, by raw call: the C library's versions would
//! signal every thread of the process, and there is only one.

use rustix::process::{Gid, Uid};

use crate::{Errno, Error, Result};

/// Replaces the supplementary groups, setgroups(2).
///
/// # Errors
/// `EPERM` without CAP_SETGID or where `/proc/PID/setgroups` says deny;
/// `EINVAL` for more than 65536 or for 4294967295, which is no group.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    let call = || format!("setgroups({groups:?})");
    if groups.contains(&u32::MAX) {
        return Err(Error::new(Errno::INVAL, call()));
    }
    let raw: Vec<Gid> = groups.iter().map(|&g| Gid::from_raw(g)).collect();
    rustix::thread::set_thread_groups(&raw).map_err(|e| Error::new(e, call()))
}

/// Real, effective and saved group, then user. Unless kept (`prctl::set_keep_capabilities`)
/// a step from 0 to another user drops the capabilities; it clears the parent
/// death signal and "dumpable" too.
///
/// # Errors
/// `EPERM` without the capabilities; `EINVAL` for an id that this user
/// namespace does not map, or 4294967295, which to the kernel means "keep".
pub fn set_ids(uid: u32, gid: u32) -> Result<()> {
    if gid == u32::MAX {
        return Err(Error::new(Errno::INVAL, format!("setresgid({gid})")));
    }
    if uid == u32::MAX {
        return Err(Error::new(Errno::INVAL, format!("setresuid({uid})")));
    }
    let group = Gid::from_raw(gid);
    rustix::thread::set_thread_res_gid(group, group, group)
        .map_err(|e| Error::new(e, format!("setresgid({gid}, {gid}, {gid})")))?;
    let user = Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(user, user, user)
        .map_err(|e| Error::new(e, format!("setresuid({uid}, {uid}, {uid})")))
}

/// The effective user in this user namespace.
#[must_use]
pub fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The effective group in this user namespace.
#[must_use]
pub fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}
