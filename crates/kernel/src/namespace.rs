//! Namespaces: their flags, entering and leaving them, and telling them apart.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::answer::of_int;
use crate::{Error, Result};

/// `CLONE_NEWCGROUP`
pub const NEW_CGROUP: u64 = libc::CLONE_NEWCGROUP as u64;
/// `CLONE_NEWIPC`
pub const NEW_IPC: u64 = libc::CLONE_NEWIPC as u64;
/// `CLONE_NEWNS`
pub const NEW_MOUNT: u64 = libc::CLONE_NEWNS as u64;
/// `CLONE_NEWNET`
pub const NEW_NETWORK: u64 = libc::CLONE_NEWNET as u64;
/// `CLONE_NEWPID`
pub const NEW_PID: u64 = libc::CLONE_NEWPID as u64;
/// `CLONE_NEWTIME` (Linux 5.6)
pub const NEW_TIME: u64 = libc::CLONE_NEWTIME as u64;
/// `CLONE_NEWUSER`
pub const NEW_USER: u64 = libc::CLONE_NEWUSER as u64;
/// `CLONE_NEWUTS`
pub const NEW_UTS: u64 = libc::CLONE_NEWUTS as u64;

/// Every flag with its name and its file in `/proc/PID/ns`.
const KINDS: [(u64, &str, &str); 8] = [
    (NEW_CGROUP, "CLONE_NEWCGROUP", "cgroup"),
    (NEW_IPC, "CLONE_NEWIPC", "ipc"),
    (NEW_MOUNT, "CLONE_NEWNS", "mnt"),
    (NEW_NETWORK, "CLONE_NEWNET", "net"),
    (NEW_PID, "CLONE_NEWPID", "pid"),
    (NEW_TIME, "CLONE_NEWTIME", "time"),
    (NEW_USER, "CLONE_NEWUSER", "user"),
    (NEW_UTS, "CLONE_NEWUTS", "uts"),
];

/// `CLONE_NEWNS|CLONE_NEWPID` for the text of an error.
#[must_use]
pub fn flag_names(flags: u64) -> String {
    let names = KINDS.iter().filter(|(flag, ..)| flags & flag != 0);
    names
        .map(|(_, name, _)| *name)
        .collect::<Vec<_>>()
        .join("|")
}

/// The name of one namespace flag's file in `/proc/PID/ns`: `mnt`, `net`, ...
#[must_use]
pub fn file_name(flag: u64) -> Option<&'static str> {
    let kind = KINDS.iter().find(|(known, ..)| *known == flag);
    kind.map(|(_, _, file)| *file)
}

/// Enters a namespace (a descriptor of one and its flag, which the kernel
/// checks), or several of a process at once (a pidfd and their flags, Linux
/// 5.8: all or none).
///
/// # Errors
/// `EINVAL` when it is of another kind; `EPERM` without CAP_SYS_ADMIN in it.
pub fn set_namespace(fd: BorrowedFd<'_>, flags: u64) -> Result<()> {
    // SAFETY: takes integers. Descriptors and memory stay; what changes is
    // which resources this thread sees.
    let answer = unsafe { libc::setns(fd.as_raw_fd(), flags as libc::c_int) };
    of_int(answer).map(drop).map_err(|e| {
        let (number, names) = (fd.as_raw_fd(), flag_names(flags));
        Error::new(e, format!("setns({number}, {names})"))
    })
}

/// Leaves namespaces for new ones; `NEW_PID` and `NEW_TIME` are for the next child.
///
/// # Errors
/// `EPERM`; `ENOSPC` when a limit of /proc/sys/user is reached.
pub fn unshare(flags: u64) -> Result<()> {
    // SAFETY: takes integers, and only namespace flags are let through: nothing
    // that other threads share (CLONE_FILES) is split.
    let answer = unsafe { libc::unshare((flags & all_flags()) as libc::c_int) };
    of_int(answer)
        .map(drop)
        .map_err(|e| Error::new(e, format!("unshare({})", flag_names(flags))))
}

fn all_flags() -> u64 {
    KINDS.iter().fold(0, |all, (flag, ..)| all | flag)
}

/// The flag of the namespace behind a descriptor (`NS_GET_NSTYPE`).
///
/// # Errors
/// `ENOTTY` when it is no namespace.
pub fn namespace_type(fd: BorrowedFd<'_>) -> Result<u64> {
    // SAFETY: this request takes no argument and writes nothing.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), libc::NS_GET_NSTYPE) };
    of_int(answer)
        .map(|flag| flag as u64)
        .map_err(|e| Error::new(e, format!("ioctl({}, NS_GET_NSTYPE)", fd.as_raw_fd())))
}

/// The user namespace that owns the namespace behind a descriptor (`NS_GET_USERNS`).
///
/// # Errors
/// `ENOTTY` when it is no namespace; `EPERM` when the owner is out of sight.
pub fn owning_user_namespace(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: this request takes no argument; it returns a new descriptor.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), libc::NS_GET_USERNS) };
    match of_int(answer) {
        // SAFETY: new, close-on-exec (the kernel opens it so) and ours alone.
        Ok(number) => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        Err(e) => Err(Error::new(
            e,
            format!("ioctl({}, NS_GET_USERNS)", fd.as_raw_fd()),
        )),
    }
}

/// This process' own namespace: `net`, `mnt`, ... through the caller's /proc.
///
/// # Errors
/// `ENOENT` when the kernel has no such kind.
pub fn open_own(file: &str) -> Result<OwnedFd> {
    let path = format!("/proc/thread-self/ns/{file}");
    rustix::fs::open(
        path.as_str(),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|e| Error::new(e, format!("open({path:?}, O_RDONLY)")))
}

/// Whether two descriptors name one namespace.
///
/// # Errors
/// `fstat(2)`.
pub fn same_namespace(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> Result<bool> {
    let identity = |fd: BorrowedFd<'_>| {
        rustix::fs::fstat(fd)
            .map(|stat| (stat.st_dev, stat.st_ino))
            .map_err(|e| Error::new(e, format!("fstat({})", fd.as_raw_fd())))
    };
    Ok(identity(a)? == identity(b)?)
}
