//! Opening, locking, and where a descriptor leads.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::retry_on_intr;

use super::flags_text;
use crate::{Errno, Error, Result};

fn open(path: &str, flags: OFlags) -> Result<OwnedFd> {
    retry_on_intr(|| rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty()))
        .map_err(|e| Error::new(e, format!("open({path:?}, {})", flags_text(flags))))
}

/// Opens `name` in `dir` with `flags` and close-on-exec. The other functions
/// cover the common cases; this one is for the rest.
///
/// # Errors
/// Those of openat(2).
pub fn open_at(dir: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd> {
    retry_on_intr(|| rustix::fs::openat(dir, name, flags | OFlags::CLOEXEC, Mode::empty())).map_err(
        |e| {
            let dir = dir.as_raw_fd();
            Error::new(e, format!("openat({dir}, {name:?}, {})", flags_text(flags)))
        },
    )
}

/// A descriptor that names `path` and opens nothing (`O_PATH`); symlinks are followed.
///
/// # Errors
/// Those of open(2).
pub fn open_path(path: &str) -> Result<OwnedFd> {
    open(path, OFlags::PATH)
}

/// [`open_path`] that names a final symlink itself.
///
/// # Errors
/// Those of open(2).
pub fn open_path_no_follow(path: &str) -> Result<OwnedFd> {
    open(path, OFlags::PATH | OFlags::NOFOLLOW)
}

/// A descriptor that names `name` in `dir` (`O_PATH|O_NOFOLLOW`).
///
/// # Errors
/// Those of openat(2).
pub fn open_path_at(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    open_at(dir, name, OFlags::PATH | OFlags::NOFOLLOW)
}

/// Opens a directory for reading its entries.
///
/// # Errors
/// Those of open(2).
pub fn open_directory(path: &str) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// [`open_directory`] that takes no symlink for the last part of the path.
///
/// # Errors
/// Those of open(2): ENOTDIR or ELOOP for a symlink.
pub fn open_directory_no_follow(path: &str) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)
}

/// Opens the directory `name` in `dir` for reading; a symlink there is an error.
///
/// # Errors
/// Those of openat(2).
pub fn open_directory_at(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    open_at(dir, name, flags)
}

/// The same directory again, readable, from a descriptor that may be `O_PATH`,
/// with a file offset of its own.
///
/// # Errors
/// Those of openat(2).
pub fn reopen_directory(dir: BorrowedFd<'_>) -> Result<OwnedFd> {
    open_at(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens a file for reading. Never waits for the writer of a FIFO, and takes no
/// terminal for its own.
///
/// # Errors
/// Those of open(2).
pub fn open_read(path: &str) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
}

/// Opens a file for reading that may be a pipe or a FIFO whose writer takes its time.
///
/// # Errors
/// Those of open(2).
pub fn open_read_waiting(path: &str) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::NOCTTY)
}

/// Opens the file `name` in `dir` for reading; a symlink there is an error. As
/// [`open_read`] it never waits.
///
/// # Errors
/// Those of openat(2).
pub fn open_read_at(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    open_at(dir, name, flags | OFlags::NOFOLLOW)
}

/// Opens an existing file for reading and writing.
///
/// # Errors
/// Those of open(2).
pub fn open_read_write(path: &str) -> Result<OwnedFd> {
    open(path, OFlags::RDWR | OFlags::NOCTTY)
}

/// Opens an existing file for writing.
///
/// # Errors
/// Those of open(2).
pub fn open_write(path: &str) -> Result<OwnedFd> {
    open(path, OFlags::WRONLY | OFlags::NOCTTY)
}

/// The target of the symlink `fd` names (`O_PATH|O_NOFOLLOW`). Bytes that are
/// not UTF-8 are replaced.
///
/// # Errors
/// Those of readlinkat(2): ENOENT when `fd` is no symlink.
pub fn read_link(fd: BorrowedFd<'_>) -> Result<String> {
    read_link_at(fd, "")
}

/// The target of the symlink `name` in `dir`.
///
/// # Errors
/// Those of readlinkat(2): EINVAL when it is no symlink.
pub fn read_link_at(dir: BorrowedFd<'_>, name: &str) -> Result<String> {
    match rustix::fs::readlinkat(dir, name, Vec::new()) {
        Ok(target) => Ok(target.into_string().unwrap_or_else(|bytes| {
            String::from_utf8_lossy(bytes.into_cstring().as_bytes()).into_owned()
        })),
        Err(e) => Err(Error::new(
            e,
            format!("readlinkat({}, {name:?})", dir.as_raw_fd()),
        )),
    }
}

/// The canonical form of a path the operator controls, without symlinks, by
/// asking the kernel for the name of what it opened.
///
/// # Errors
/// Those of open(2); ENOENT when the path is not below this process's root.
pub fn resolve(path: &str) -> Result<String> {
    let fd = open_path(path)?;
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let name = read_link_at(CWD, &link)?;
    if name.starts_with('/') {
        Ok(name)
    } else {
        Err(
            Error::new(Errno::NOENT, format!("readlink({link:?})")).with_detail(format!(
                "{path:?} is at {name:?}, which cannot be reached from this root"
            )),
        )
    }
}

/// Takes the exclusive flock(2) of an open file. `false`: another has it (only
/// without `wait`).
///
/// # Errors
/// Those of flock(2).
pub fn lock_exclusive(fd: BorrowedFd<'_>, wait: bool) -> Result<bool> {
    if wait {
        lock(fd, FlockOperation::LockExclusive)
    } else {
        lock(fd, FlockOperation::NonBlockingLockExclusive)
    }
}

/// Takes a shared flock(2) of an open file. `false`: another has it
/// exclusively (only without `wait`).
///
/// # Errors
/// Those of flock(2).
pub fn lock_shared(fd: BorrowedFd<'_>, wait: bool) -> Result<bool> {
    if wait {
        lock(fd, FlockOperation::LockShared)
    } else {
        lock(fd, FlockOperation::NonBlockingLockShared)
    }
}

/// Gives back the flock(2) of an open file, also for its copies in other processes.
///
/// # Errors
/// Those of flock(2).
pub fn unlock(fd: BorrowedFd<'_>) -> Result<()> {
    lock(fd, FlockOperation::Unlock).map(drop)
}

fn lock(fd: BorrowedFd<'_>, operation: FlockOperation) -> Result<bool> {
    match retry_on_intr(|| rustix::fs::flock(fd, operation)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(Error::new(
            e,
            format!("flock({}, {operation:?})", fd.as_raw_fd()),
        )),
    }
}
