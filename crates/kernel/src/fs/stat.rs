//! What an inode is, who owns it, and on which mount it was found.

use std::ffi::CStr;
use std::fmt::Debug;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Statx, StatxAttributes, StatxFlags, Uid, XattrFlags,
};
use rustix::path::Arg;

use super::open_directory_at;
use crate::error::last_errno;
use crate::procfs::Procfs;
use crate::{Errno, Error, Result};

/// What statx(2) says of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Type of the inode.
    pub kind: FileKind,
    /// Permission bits, `07777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device of the file system, as `dev_t`.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Major and minor number of a device node.
    pub rdev: (u32, u32),
    /// Bytes.
    pub size: u64,
    /// The mount it was found on (`STATX_MNT_ID`, Linux 5.8).
    pub mount_id: u64,
    /// It is the root of that mount (`STATX_ATTR_MOUNT_ROOT`, Linux 5.8).
    pub is_mount_root: bool,
}

/// Type of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// FIFO.
    Fifo,
    /// Socket.
    Socket,
    /// Something else, such as an anonymous inode.
    Other,
}

impl FileKind {
    /// The kind as a noun with its article, for errors: "a directory".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "a regular file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Char => "a character device",
            Self::Block => "a block device",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::Other => "an inode of no known type",
        }
    }
}

impl From<FileType> for FileKind {
    fn from(kind: FileType) -> Self {
        match kind {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::CharacterDevice => Self::Char,
            FileType::BlockDevice => Self::Block,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::Unknown => Self::Other,
        }
    }
}

/// What `fd` is; it may be `O_PATH`.
///
/// # Errors
/// Those of statx(2).
pub fn stat(fd: BorrowedFd<'_>) -> Result<Stat> {
    statx(fd, "", AtFlags::EMPTY_PATH)
}

/// What `name` in `dir` is; a symlink is not followed.
///
/// # Errors
/// Those of statx(2).
pub fn stat_at(dir: BorrowedFd<'_>, name: &str) -> Result<Stat> {
    statx(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// What is at a path of the host; symlinks are followed.
///
/// # Errors
/// Those of statx(2).
pub fn stat_path(path: &str) -> Result<Stat> {
    statx(CWD, path, AtFlags::empty())
}

/// [`stat_at`] for a name as the kernel has it.
pub(crate) fn statx_at(dir: BorrowedFd<'_>, name: &CStr) -> Result<Stat> {
    statx(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn statx<N: Arg + Debug + Copy>(dir: BorrowedFd<'_>, name: N, flags: AtFlags) -> Result<Stat> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let found = call_statx(dir, name, flags, mask)?;
    Ok(Stat {
        kind: FileType::from_raw_mode(found.stx_mode.into()).into(),
        mode: u32::from(found.stx_mode) & 0o7777,
        uid: found.stx_uid,
        gid: found.stx_gid,
        dev: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
        ino: found.stx_ino,
        rdev: (found.stx_rdev_major, found.stx_rdev_minor),
        size: found.stx_size,
        mount_id: found.stx_mnt_id,
        is_mount_root: found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    })
}

fn call_statx<N: Arg + Debug + Copy>(
    dir: BorrowedFd<'_>,
    name: N,
    flags: AtFlags,
    mask: StatxFlags,
) -> Result<Statx> {
    rustix::fs::statx(dir, name, flags, mask)
        .map_err(|e| Error::new(e, format!("statx({}, {name:?})", dir.as_raw_fd())))
}

/// The mount `fd` was opened on (`STATX_MNT_ID`). It never goes to the file
/// system, so a hung one cannot hold it up.
///
/// # Errors
/// Those of statx(2); ENOSYS before Linux 5.8.
pub fn mount_id(fd: BorrowedFd<'_>) -> Result<u64> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let found = call_statx(fd, "", flags, StatxFlags::MNT_ID)?;
    if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return Err(Error::new(Errno::NOSYS, "statx(STATX_MNT_ID)")
            .with_detail("needs Linux 5.8 for the mount id in statx"));
    }
    Ok(found.stx_mnt_id)
}

/// `f_type` of the file system `fd` is on, statfs(2).
///
/// # Errors
/// Those of fstatfs(2).
pub fn filesystem_magic(fd: BorrowedFd<'_>) -> Result<i64> {
    rustix::fs::fstatfs(fd)
        .map(|found| found.f_type)
        .map_err(|e| Error::new(e, format!("fstatfs({})", fd.as_raw_fd())))
}

/// [`filesystem_magic`] of what a path of the host names.
///
/// # Errors
/// Those of statfs(2).
pub fn filesystem_magic_at(path: &str) -> Result<i64> {
    rustix::fs::statfs(path)
        .map(|found| found.f_type)
        .map_err(|e| Error::new(e, format!("statfs({path:?})")))
}

/// Sets the permission bits of what `fd` names; it may be `O_PATH`.
///
/// # Errors
/// Those of fchmodat2(2), or of chmod(2) before Linux 6.6.
pub fn change_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    let call = || format!("fchmodat2({}, \"\", {mode:#o})", fd.as_raw_fd());
    // SAFETY: the path is a constant NUL-terminated string and the descriptor
    // is open for the duration of the call; fchmodat2 reads nothing else.
    let answer = unsafe {
        libc::syscall(
            libc::c_long::from(linux_raw_sys::general::__NR_fchmodat2),
            fd.as_raw_fd(),
            c"".as_ptr(),
            mode,
            libc::AT_EMPTY_PATH,
        )
    };
    if answer == 0 {
        return Ok(());
    }
    match last_errno() {
        Errno::NOSYS => change_mode_before_fchmodat2(fd, mode, call),
        e => Err(Error::new(e, call())),
    }
}

/// fchmod(2) refuses `O_PATH` descriptors with EBADF; a magic link of a procfs
/// that nobody else can mount over does not.
fn change_mode_before_fchmodat2(
    fd: BorrowedFd<'_>,
    mode: u32,
    call: impl Fn() -> String,
) -> Result<()> {
    let mode = Mode::from_raw_mode(mode);
    match rustix::fs::fchmod(fd, mode) {
        Err(Errno::BADF) => {}
        answer => return answer.map_err(|e| Error::new(e, call())),
    }
    let procfs = Procfs::new().or_else(|_| Procfs::host())?;
    let link = format!("thread-self/fd/{}", fd.as_raw_fd());
    rustix::fs::chmodat(procfs.fd(), link, mode, AtFlags::empty())
        .map_err(|e| Error::new(e, call()))
}

/// Sets owner and group of what `fd` names; it may be `O_PATH`. `u32::MAX`
/// leaves one as it is, as in chown(2).
///
/// # Errors
/// Those of fchownat(2).
pub fn change_owner(fd: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<()> {
    let owner = (uid != u32::MAX).then(|| Uid::from_raw(uid));
    let group = (gid != u32::MAX).then(|| Gid::from_raw(gid));
    rustix::fs::chownat(fd, "", owner, group, AtFlags::EMPTY_PATH).map_err(|e| {
        let fd = fd.as_raw_fd();
        Error::new(e, format!("fchownat({fd}, \"\", {uid}, {gid})"))
    })
}

/// Whether the effective ids of this process may execute what `fd` names; it
/// may be `O_PATH`.
///
/// # Errors
/// Those of faccessat2(2): EACCES when it may not, also for a regular file
/// without any execute bit or on a `noexec` mount.
pub fn access_execute(fd: BorrowedFd<'_>) -> Result<()> {
    let fd = fd.as_fd();
    // SAFETY: the path is a constant NUL-terminated string and the descriptor
    // is open for the duration of the call; faccessat2 reads nothing else.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_faccessat2,
            fd.as_raw_fd(),
            c"".as_ptr(),
            libc::X_OK,
            libc::AT_EACCESS | libc::AT_EMPTY_PATH,
        )
    };
    if answer == 0 {
        return Ok(());
    }
    let call = format!("faccessat2({}, \"\", X_OK)", fd.as_raw_fd());
    Err(Error::new(last_errno(), call))
}

/// Gives a directory its SELinux context, `security.selinux`; `directory` may be `O_PATH`.
///
/// # Errors
/// Those of fsetxattr(2): EINVAL for a context that the policy does not know,
/// EOPNOTSUPP of a file system without labels.
pub fn set_label(directory: BorrowedFd<'_>, label: &str) -> Result<()> {
    let call = || format!("fsetxattr(\"security.selinux\", {label:?})");
    // fsetxattr(2) refuses `O_PATH` descriptors with EBADF.
    let directory = open_directory_at(directory, ".")?;
    let value = [label.as_bytes(), b"\0"].concat();
    rustix::fs::fsetxattr(directory, "security.selinux", &value, XattrFlags::empty())
        .map_err(|e| Error::new(e, call()))
}
