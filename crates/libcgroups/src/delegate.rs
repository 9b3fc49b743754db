//! A v2 cgroup, or one below it, in the hands of the container's user.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kernel::{Errno, Error, fs};

use crate::{Cgroup, CgroupError};

/// Which files of a cgroup may be given away, cgroups(7); since Linux 4.15.
const DELEGATE: &str = "/sys/kernel/cgroup/delegate";
/// Longer than any kernel's list.
const DELEGATE_LIMIT: usize = 4096;
/// For kernels without the list: what runtime-spec names.
const ALWAYS: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads";

impl Cgroup {
    /// Gives the v2 directory, and the files by which it is managed, to a user; never
    /// its limits. A runtime that may not do it leaves the owner as it is.
    ///
    /// # Errors
    /// Those of openat(2) and fchownat(2) but EPERM, EACCES and EROFS.
    pub fn give_to(&self, uid: u32) -> Result<(), CgroupError> {
        let Some(place) = self.v2() else {
            return Ok(());
        };
        self.fd(place)
            .and_then(|directory| give(directory, uid))
            .map_err(|error| CgroupError::new(self.located(place, error)))
    }

    /// Makes the cgroup `path` (clean, relative) below the v2 directory and gives it to
    /// a user; returns its `cgroup.procs`, open for writing. Who writes `0` there enters it:
    /// since Linux 5.16 with the rights of who opened the file.
    ///
    /// # Errors
    /// Those of mkdirat(2), openat(2) and fchownat(2).
    pub fn make_delegated(&self, path: &str, uid: Option<u32>) -> Result<OwnedFd, CgroupError> {
        let Some(place) = self.v2() else {
            let error = Error::new(Errno::NODEV, "mkdir(delegated cgroup)");
            let error = error.with_detail("needs a cgroup v2 hierarchy");
            return Err(CgroupError::at_path(error));
        };
        self.fd(place)
            .and_then(|directory| make(directory, path, uid))
            .map_err(|error| CgroupError::new(self.located(place, error)))
    }
}

fn make(top: BorrowedFd<'_>, path: &str, uid: Option<u32>) -> kernel::Result<OwnedFd> {
    let mut directory = fs::open_directory_at(top, ".")?;
    for name in path.split('/') {
        match fs::make_directory_at(directory.as_fd(), name, 0o755) {
            Err(error) if error.errno() != Errno::EXIST => return Err(error),
            _ => directory = fs::open_directory_at(directory.as_fd(), name)?,
        }
    }
    if let Some(uid) = uid {
        give(directory.as_fd(), uid)?;
    }
    let flags = fs::OFlags::WRONLY | fs::OFlags::NOFOLLOW;
    fs::open_at(directory.as_fd(), "cgroup.procs", flags)
}

fn give(directory: BorrowedFd<'_>, uid: u32) -> kernel::Result<()> {
    change_owner(directory, uid)?;
    let list = fs::read_file(DELEGATE, DELEGATE_LIMIT);
    let list = list.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let list = list.unwrap_or_else(|_| ALWAYS.to_owned());
    for name in list.lines().filter(|name| crate::directory::is_name(name)) {
        match fs::open_path_at(directory, name) {
            // A controller that is not enabled here has no files.
            Err(error) if error.errno() == Errno::NOENT => {}
            file => change_owner(file?.as_fd(), uid)?,
        }
    }
    Ok(())
}

fn change_owner(file: BorrowedFd<'_>, uid: u32) -> kernel::Result<()> {
    match fs::change_owner(file, uid, u32::MAX) {
        Err(error) if matches!(error.errno(), Errno::PERM | Errno::ACCESS | Errno::ROFS) => {
            tracing::debug!(%error, "the cgroup keeps its owner");
            Ok(())
        }
        done => done,
    }
}
