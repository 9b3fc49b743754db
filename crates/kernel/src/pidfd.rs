//! Processes by descriptor: what a pidfd names never becomes another process.

use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, WaitId, WaitIdOptions, WaitIdStatus};

use crate::answer::of_call;
use crate::process::ExitStatus;
use crate::{Errno, Error, Result};

/// `pidfd_open(pid)`. The caller has to check that it got whom it meant (start
/// time, or [`inode`]): the number may have been reused before.
///
/// # Errors
/// `ESRCH` when there is no such process, or it was reaped. `EINVAL` below 1.
pub fn open(pid: i32) -> Result<OwnedFd> {
    let call = || format!("pidfd_open({pid}, 0)");
    let valid = (pid > 0).then(|| Pid::from_raw(pid)).flatten();
    let valid = valid.ok_or_else(|| Error::new(Errno::INVAL, call()))?;
    rustix::process::pidfd_open(valid, PidfdFlags::empty()).map_err(|e| Error::new(e, call()))
}

/// Sends a signal; 0 only asks whether the process still exists (a zombie does).
///
/// # Errors
/// `ESRCH` when it is gone, `EPERM`, `EINVAL` for no signal.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    // SAFETY: a null siginfo asks the kernel for the one kill(2) would make.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    of_call(answer).map(drop).map_err(|e| {
        let (number, name) = (pidfd.as_raw_fd(), crate::signal::name_of(signal));
        Error::new(e, format!("pidfd_send_signal({number}, {name})"))
    })
}

/// Waits for a child of this process to end, and reaps it.
///
/// # Errors
/// `ECHILD` when it is not our child or was reaped already.
pub fn wait(pidfd: BorrowedFd<'_>) -> Result<ExitStatus> {
    loop {
        match rustix::process::waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED) {
            Ok(Some(status)) => return Ok(exit_status(&status)),
            Ok(None) | Err(Errno::INTR) => {}
            Err(e) => return Err(wait_error(e, pidfd, "WEXITED")),
        }
    }
}

/// Reaps a child of this process if it has ended; `None` while it runs.
///
/// # Errors
/// As [`wait`].
pub fn try_wait(pidfd: BorrowedFd<'_>) -> Result<Option<ExitStatus>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    rustix::process::waitid(WaitId::PidFd(pidfd), options)
        .map(|status| status.map(|status| exit_status(&status)))
        .map_err(|e| wait_error(e, pidfd, "WEXITED|WNOHANG"))
}

/// Whether the process is a child of this one; nothing is reaped. One call, where
/// `/proc/PID/stat` takes ten and makes the kernel write a page.
///
/// # Errors
/// `waitid(2)`, but `ECHILD` is the answer "no".
pub fn is_child(pidfd: BorrowedFd<'_>) -> Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match rustix::process::waitid(WaitId::PidFd(pidfd), options) {
        Ok(_) => Ok(true),
        Err(Errno::CHILD) => Ok(false),
        Err(e) => Err(wait_error(e, pidfd, "WEXITED|WNOHANG|WNOWAIT")),
    }
}

fn wait_error(errno: Errno, pidfd: BorrowedFd<'_>, options: &str) -> Error {
    let number = pidfd.as_raw_fd();
    Error::new(errno, format!("waitid(P_PIDFD, {number}, {options})"))
}

fn exit_status(status: &WaitIdStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, signal) => ExitStatus::Signal(signal.unwrap_or(0)),
    }
}

/// Waits until any process, our child or not, has ended; `false` when `timeout`
/// ran out first. Reaps nothing: a zombie has ended.
///
/// # Errors
/// `poll(2)`.
pub fn wait_exit(pidfd: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    Ok(crate::system::poll(&mut fds, timeout)? > 0)
}

/// Whether the process has ended (a zombie has).
///
/// # Errors
/// `poll(2)`.
pub fn has_ended(pidfd: BorrowedFd<'_>) -> Result<bool> {
    wait_exit(pidfd, Some(Duration::ZERO))
}

/// A copy of the descriptor that the process knows as `number` (Linux 5.6).
///
/// # Errors
/// `EPERM` without ptrace access, `EBADF` when it has no such descriptor.
pub fn get_fd(pidfd: BorrowedFd<'_>, number: RawFd) -> Result<OwnedFd> {
    rustix::process::pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty())
        .map_err(|e| Error::new(e, format!("pidfd_getfd({}, {number})", pidfd.as_raw_fd())))
}

/// `PID_FS_MAGIC`, linux/magic.h.
const PIDFS_MAGIC: i64 = 0x5049_4446;

/// Whether this kernel's pidfds are on pidfs (Linux 6.9, an option until 6.13), where
/// [`inode`] alone tells which process one is of. The same for all pidfds, so it is
/// asked once.
///
/// # Errors
/// `fstatfs(2)`.
pub fn has_inode_of_its_own(pidfd: BorrowedFd<'_>) -> Result<bool> {
    thread_local!(static ANSWER: Cell<Option<bool>> = const { Cell::new(None) });
    if let Some(known) = ANSWER.get() {
        return Ok(known);
    }
    let answer = crate::fs::filesystem_magic(pidfd)? == PIDFS_MAGIC;
    ANSWER.set(Some(answer));
    Ok(answer)
}

/// The inode of the pidfd: on pidfs unique for the process until the next boot, on
/// others the same one for all.
///
/// # Errors
/// `fstat(2)`.
pub fn inode(pidfd: BorrowedFd<'_>) -> Result<u64> {
    rustix::fs::fstat(pidfd)
        .map(|stat| stat.st_ino)
        .map_err(|e| Error::new(e, format!("fstat({})", pidfd.as_raw_fd())))
}
