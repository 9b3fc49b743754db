//! What prctl(2) sets for this process.

use std::ffi::CStr;

use crate::answer::of_int;
use crate::{Error, Result};

/// Whether others of the same user may trace this process and open its files in
/// /proc. execve and a change of identity reset it.
///
/// # Errors
/// `prctl(2)`.
pub fn set_dumpable(dumpable: bool) -> Result<()> {
    set(libc::PR_SET_DUMPABLE, dumpable.into(), "PR_SET_DUMPABLE")
}

/// The signal this process gets when the *thread* that made it ends; `None` for
/// no signal. A change of identity clears it, a fork too. The parent may be
/// gone already: compare [`crate::process::parent_pid`] afterwards.
///
/// # Errors
/// `EINVAL` for no signal.
pub fn set_parent_death_signal(signal: Option<i32>) -> Result<()> {
    let number = signal.unwrap_or(0) as u64;
    set(libc::PR_SET_PDEATHSIG, number, "PR_SET_PDEATHSIG")
}

/// Whether orphans below this process become its children.
///
/// # Errors
/// `prctl(2)`.
pub fn set_child_subreaper(subreaper: bool) -> Result<()> {
    set(
        libc::PR_SET_CHILD_SUBREAPER,
        subreaper.into(),
        "PR_SET_CHILD_SUBREAPER",
    )
}

/// execve never grants privileges again. There is no way back.
///
/// # Errors
/// `prctl(2)`.
pub fn set_no_new_privileges() -> Result<()> {
    set(libc::PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")
}

/// Whether the permitted capabilities survive the next change from user 0 to another.
///
/// # Errors
/// `EPERM` where the secure bits lock it.
pub fn set_keep_capabilities(keep: bool) -> Result<()> {
    set(libc::PR_SET_KEEPCAPS, keep.into(), "PR_SET_KEEPCAPS")
}

/// The name in `/proc/PID/comm`; the kernel keeps the first 15 bytes.
///
/// # Errors
/// `prctl(2)`.
pub fn set_name(name: &CStr) -> Result<()> {
    rustix::thread::set_name(name)
        .map_err(|e| Error::new(e, format!("prctl(PR_SET_NAME, {name:?})")))
}

fn set(option: libc::c_int, value: u64, name: &str) -> Result<()> {
    // SAFETY: the options of this module take one integer; the rest must be zero.
    of_int(unsafe { libc::prctl(option, value, 0u64, 0u64, 0u64) })
        .map(drop)
        .map_err(|e| Error::new(e, format!("prctl({name}, {value})")))
}
