//! Root and working directory of this process.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{CWD, OFlags};
use rustix::mount::{MountFlags, UnmountFlags};

use crate::fs::{open_at, open_directory};
use crate::mount::{Propagation, change_propagation, unmount_detach};
use crate::procfs::Procfs;
use crate::{Errno, Error, Result};

/// `pivot_root(".", ".")`: the working directory becomes the root, and the old
/// root is mounted on top of it.
///
/// # Errors
/// Those of pivot_root(2): EINVAL when the working directory is no mount, or
/// when it or the root is shared, or for the root of a ramfs; EPERM without
/// CAP_SYS_ADMIN.
pub fn pivot_root_here() -> Result<()> {
    rustix::process::pivot_root(".", ".").map_err(|e| Error::new(e, "pivot_root(\".\", \".\")"))
}

/// Makes the mount `root` the root of this process and takes the old one away.
///
/// # Errors
/// Those of [`pivot_root_here`], fchdir(2) and umount2(2).
pub fn pivot_to(root: BorrowedFd<'_>) -> Result<()> {
    let old = open_directory("/")?;
    change_directory(root)?;
    pivot_root_here()?;
    // pivot_root(2) leaves the working directory unspecified: only the
    // descriptor is sure to be the old root, which is the one to be unmounted.
    change_directory(old.as_fd())?;
    // Else the unmount reaches the host where the two are peers. Slave and not
    // private: the host's own later unmounts still reach what is kept busy.
    change_propagation(".", true, Propagation::Slave)?;
    unmount_detach(".")?;
    change_directory_path("/")
}

/// The root without pivot_root, for roots on a ramfs (`--no-pivot`): moves the
/// mount at the working directory onto `/` and makes it the root.
///
/// The old mounts stay in this mount namespace, below. A process with
/// CAP_SYS_ADMIN or a stray descriptor can get at them: the caller unmounts or
/// covers every procfs and sysfs of the host first.
///
/// # Errors
/// Those of mount(2), chroot(2) and chdir(2).
pub fn move_root_and_chroot() -> Result<()> {
    rustix::mount::mount_move(".", "/")
        .map_err(|e| Error::new(e, "mount(\".\", \"/\", MS_MOVE)"))?;
    chroot_here()
}

/// Makes the working directory the root: `chroot(".")`, `chdir("/")`.
///
/// # Errors
/// Those of chroot(2).
pub fn chroot_here() -> Result<()> {
    rustix::process::chroot(".").map_err(|e| Error::new(e, "chroot(\".\")"))?;
    change_directory_path("/")
}

/// fchdir(2)
///
/// # Errors
/// Those of fchdir(2).
pub fn change_directory(directory: BorrowedFd<'_>) -> Result<()> {
    rustix::process::fchdir(directory)
        .map_err(|e| Error::new(e, format!("fchdir({})", directory.as_raw_fd())))
}

/// chdir(2)
///
/// # Errors
/// Those of chdir(2).
pub fn change_directory_path(path: &str) -> Result<()> {
    rustix::process::chdir(path).map_err(|e| Error::new(e, format!("chdir({path:?})")))
}

/// The working directory's path from the root. Bytes that are not UTF-8 are replaced.
///
/// # Errors
/// Those of getcwd(2); ENOENT when it is not below the root of this process
/// (CVE-2024-21626: a working directory in the host's tree), where the system
/// call answers "(unreachable)/...".
pub fn current_directory() -> Result<String> {
    let path = rustix::process::getcwd(Vec::new()).map_err(|e| Error::new(e, "getcwd()"))?;
    let path = path.to_string_lossy().into_owned();
    if path.starts_with('/') {
        return Ok(path);
    }
    Err(Error::new(Errno::NOENT, "getcwd()")
        .with_detail(format!("{path:?} is outside of the root")))
}

/// Makes a file system with mount(2) on the directory `target`, for flags that
/// fsopen has no parameter for. The path it mounts on is `.`, so nothing is
/// resolved: not the target, and no procfs.
///
/// `flags` are `MS_*` bits.
///
/// # Errors
/// Those of mount(2); EINVAL for a NUL in `data`.
pub fn classic_mount_on_fd(
    source: &str,
    target: BorrowedFd<'_>,
    fstype: &str,
    flags: u32,
    data: &str,
) -> Result<()> {
    let call = || {
        let target = target.as_raw_fd();
        format!("mount({source:?}, {target}, {fstype:?}, {flags:#x}, {data:?})")
    };
    let data = CString::new(data).map_err(|_| Error::new(Errno::INVAL, call()))?;
    let here = open_at(CWD, ".", OFlags::PATH)?;
    change_directory(target)?;
    let answer = rustix::mount::mount(
        source,
        ".",
        fstype,
        MountFlags::from_bits_retain(flags),
        data.as_c_str(),
    );
    change_directory(here.as_fd())?;
    answer.map_err(|e| Error::new(e, call()))
}

/// Takes the mount that `fd` is the root of, and all below it, out of sight
/// (`MNT_DETACH`). umount2(2) knows paths only; this one is the descriptor's own link
/// in `procfs`, which leads to the mount itself and to no name.
///
/// # Errors
/// Those of umount2(2): EINVAL when `fd` is not the root of a mount of this mount
/// namespace, or of one that a more privileged one has locked.
pub fn unmount_detach_fd(procfs: &Procfs, fd: BorrowedFd<'_>) -> Result<()> {
    let link = format!("thread-self/fd/{}", fd.as_raw_fd());
    // Proves that the link is the kernel's: nothing is mounted over it.
    drop(procfs.open(&link, OFlags::PATH)?);
    let here = open_at(CWD, ".", OFlags::PATH)?;
    change_directory(procfs.fd())?;
    let answer = rustix::mount::unmount(link.as_str(), UnmountFlags::DETACH);
    change_directory(here.as_fd())?;
    answer.map_err(|e| Error::new(e, format!("umount2({}, MNT_DETACH)", fd.as_raw_fd())))
}
