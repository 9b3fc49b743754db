//! Mounts, by descriptor: made detached and complete, then placed.
//!
//! `fsopen` or `open_tree` makes a mount nobody can see, `mount_setattr` gives
//! it its attributes, and `move_mount` puts it on a descriptor that was found
//! with [`crate::beneath`]. So no path is resolved twice, and no mount is ever
//! visible with attributes it should not have.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, StatVfsMountFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};

use crate::error::last_errno;
use crate::fs::{FileKind, stat};
use crate::{Errno, Error, Result};

pub use libc::{
    MOUNT_ATTR__ATIME, MOUNT_ATTR_IDMAP, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW,
    MOUNT_ATTR_RDONLY, MOUNT_ATTR_RELATIME, MOUNT_ATTR_STRICTATIME,
};

/// `MS_I_VERSION`, for mount(2).
pub const CLASSIC_I_VERSION: u32 = libc::MS_I_VERSION as u32;
/// `MS_SILENT`, for mount(2).
pub const CLASSIC_SILENT: u32 = libc::MS_SILENT as u32;

pub use crate::root_change::{
    change_directory, change_directory_path, chroot_here, classic_mount_on_fd, current_directory,
    move_root_and_chroot, pivot_root_here, pivot_to, unmount_detach_fd,
};

/// What mount_setattr(2) changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct MountAttributes<'fd> {
    /// `MOUNT_ATTR_*` to set. One of the access-time modes in here clears the others.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear; `MOUNT_ATTR__ATIME` as a whole or not at all.
    pub clear: u64,
    /// New propagation type, or as it is.
    pub propagation: Option<Propagation>,
    /// The user namespace that maps the owners of the files (`MOUNT_ATTR_IDMAP`).
    pub userns: Option<BorrowedFd<'fd>>,
}

/// Propagation type of a mount, mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// `MS_SHARED`
    Shared,
    /// `MS_SLAVE`
    Slave,
    /// `MS_PRIVATE`
    Private,
    /// `MS_UNBINDABLE`
    Unbindable,
}

impl Propagation {
    fn flag(self) -> MountPropagationFlags {
        match self {
            Self::Shared => MountPropagationFlags::SHARED,
            Self::Slave => MountPropagationFlags::DOWNSTREAM,
            Self::Private => MountPropagationFlags::PRIVATE,
            Self::Unbindable => MountPropagationFlags::UNBINDABLE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Shared => "MS_SHARED",
            Self::Slave => "MS_SLAVE",
            Self::Private => "MS_PRIVATE",
            Self::Unbindable => "MS_UNBINDABLE",
        }
    }
}

/// Opens the mount tree at a path of the host: an `O_PATH` descriptor of it or,
/// with `clone`, a detached copy of the mount (of all below it with
/// `recursive`). A copy is in the peer group of its original when that was
/// shared: mounts made in it show up there until its propagation is changed.
///
/// # Errors
/// Those of open_tree(2).
pub fn open_tree(path: &str, clone: bool, recursive: bool, no_follow: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::OPEN_TREE_CLONE, clone);
    // Without a copy there is nothing to be recursive about: EINVAL.
    flags.set(OpenTreeFlags::AT_RECURSIVE, clone && recursive);
    flags.set(OpenTreeFlags::AT_SYMLINK_NOFOLLOW, no_follow);
    rustix::mount::open_tree(CWD, path, flags)
        .map_err(|e| Error::new(e, format!("open_tree({path:?}, {})", tree_text(flags))))
}

/// A detached copy of the mount `fd` is on, with what `fd` names as its root;
/// with `recursive`, of all mounts below that too.
///
/// # Errors
/// Those of open_tree(2).
pub fn open_tree_fd(fd: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    rustix::mount::open_tree(fd, "", flags).map_err(|e| {
        let fd = fd.as_raw_fd();
        Error::new(e, format!("open_tree({fd}, \"\", {})", tree_text(flags)))
    })
}

fn tree_text(flags: OpenTreeFlags) -> String {
    let mut names = Vec::new();
    for (flag, name) in [
        (OpenTreeFlags::OPEN_TREE_CLONE, "OPEN_TREE_CLONE"),
        (OpenTreeFlags::AT_RECURSIVE, "AT_RECURSIVE"),
        (OpenTreeFlags::AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"),
    ] {
        if flags.contains(flag) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return "0".to_owned();
    }
    names.join("|")
}

/// Changes attributes and propagation of the mount `fd` is the root of, with
/// `recursive` of all mounts below it too. All of them change or none.
///
/// # Errors
/// Those of mount_setattr(2), Linux 5.12: EINVAL when `fd` is not the root of a
/// mount, or for an id map on a file system that has none; EPERM for a flag
/// that is locked in this user namespace.
pub fn set_attributes(
    fd: BorrowedFd<'_>,
    recursive: bool,
    attributes: &MountAttributes<'_>,
) -> Result<()> {
    let mut wanted = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes
            .propagation
            .map_or(0, |kind| u64::from(kind.flag().bits())),
        userns_fd: 0,
    };
    // The access-time modes are an enumeration within the flags: the kernel
    // wants the whole field cleared whenever one is set.
    if wanted.attr_set & MOUNT_ATTR__ATIME != 0 {
        wanted.attr_clr |= MOUNT_ATTR__ATIME;
    }
    if let Some(userns) = attributes.userns {
        wanted.attr_set |= MOUNT_ATTR_IDMAP;
        // Descriptors are never negative.
        wanted.userns_fd = u64::from(userns.as_raw_fd().unsigned_abs());
    }
    let depth = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a constant NUL-terminated string, `wanted` is a
    // mount_attr of the size given and lives until the call returns, and the
    // descriptors are open for its duration. The kernel only reads.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | depth,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    if answer == 0 {
        return Ok(());
    }
    Err(attributes_failed(last_errno(), fd, recursive, &wanted))
}

/// Maps the ids of the files of the detached mount `fd`, with `recursive` of all
/// mounts below it too, by the maps of a user namespace (`MOUNT_ATTR_IDMAP`).
///
/// # Errors
/// EINVAL for a file system that has no such mounts; EPERM without CAP_SYS_ADMIN
/// where the file system was mounted, for the first user namespace, or for a mount
/// that is mapped already.
pub fn set_id_map(
    fd: BorrowedFd<'_>,
    recursive: bool,
    user_namespace: BorrowedFd<'_>,
) -> Result<()> {
    let attributes = MountAttributes {
        userns: Some(user_namespace),
        ..MountAttributes::default()
    };
    set_attributes(fd, recursive, &attributes)
}

fn attributes_failed(
    errno: Errno,
    fd: BorrowedFd<'_>,
    recursive: bool,
    wanted: &libc::mount_attr,
) -> Error {
    let call = format!(
        "mount_setattr({}, \"\"{}, set {}, clear {}, propagation {:#x})",
        fd.as_raw_fd(),
        if recursive { ", AT_RECURSIVE" } else { "" },
        attribute_text(wanted.attr_set),
        attribute_text(wanted.attr_clr),
        wanted.propagation,
    );
    let error = Error::new(errno, call);
    if errno == Errno::NOSYS {
        return error.with_detail("needs Linux 5.12 for mount_setattr");
    }
    error
}

fn attribute_text(attributes: u64) -> String {
    let mut names = Vec::new();
    for (flag, name) in [
        (MOUNT_ATTR_RDONLY, "ro"),
        (MOUNT_ATTR_NOSUID, "nosuid"),
        (MOUNT_ATTR_NODEV, "nodev"),
        (MOUNT_ATTR_NOEXEC, "noexec"),
        (MOUNT_ATTR__ATIME, "atime"),
        (MOUNT_ATTR_NOATIME, "noatime"),
        (MOUNT_ATTR_STRICTATIME, "strictatime"),
        (MOUNT_ATTR_NODIRATIME, "nodiratime"),
        (MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"),
        (MOUNT_ATTR_IDMAP, "idmap"),
    ] {
        let whole_field = attributes & MOUNT_ATTR__ATIME == MOUNT_ATTR__ATIME;
        let is_mode = flag == MOUNT_ATTR_NOATIME || flag == MOUNT_ATTR_STRICTATIME;
        if attributes & flag == flag && !(is_mode && whole_field) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.join(",")
}

/// Places the mount `from` (detached or not) on what `to` names.
///
/// # Errors
/// Those of move_mount(2): EINVAL when only one of them is a directory, when
/// `to` is in another mount namespace, or when `from` is attached to a shared
/// mount.
pub fn move_mount(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(from, "", to, "", flags).map_err(|e| move_failed(e, from, to))
}

/// Places the mount `from` on the entry `name` of a directory nobody else can change; a
/// symlink is not followed.
///
/// # Errors
/// Those of move_mount(2).
pub fn move_mount_to(from: BorrowedFd<'_>, directory: BorrowedFd<'_>, name: &str) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(from, "", directory, name, flags).map_err(|e| {
        let (from, directory) = (from.as_raw_fd(), directory.as_raw_fd());
        Error::new(
            e,
            format!("move_mount({from}, \"\", {directory}, {name:?})"),
        )
    })
}

/// EINVAL has a dozen reasons; the likeliest can be seen.
fn move_failed(errno: Errno, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Error {
    let call = format!(
        "move_mount({}, \"\", {}, \"\")",
        from.as_raw_fd(),
        to.as_raw_fd()
    );
    let error = Error::new(errno, call);
    let (Ok(from), Ok(to)) = (stat(from), stat(to)) else {
        return error;
    };
    if (from.kind == FileKind::Directory) == (to.kind == FileKind::Directory) {
        return error;
    }
    error.with_detail(format!(
        "{} cannot be mounted on {}",
        from.kind.name(),
        to.kind.name()
    ))
}

/// Places the mount `from` on a path of the host; a final symlink is not followed.
///
/// # Errors
/// Those of move_mount(2).
pub fn move_mount_to_path(from: BorrowedFd<'_>, path: &str) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(from, "", CWD, path, flags).map_err(|e| {
        let from = from.as_raw_fd();
        Error::new(e, format!("move_mount({from}, \"\", {path:?})"))
    })
}

/// A file system being configured, fsopen(2).
///
/// The kernel tells such a context why it refused something; every error of
/// this type carries those words as its detail.
#[derive(Debug)]
pub struct FsContext {
    fd: OwnedFd,
}

impl FsContext {
    /// A new instance of file system `fstype`.
    ///
    /// # Errors
    /// Those of fsopen(2): ENODEV when the kernel has no such file system.
    pub fn open(fstype: &str) -> Result<Self> {
        match rustix::mount::fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(fd) => Ok(Self { fd }),
            Err(e) => {
                let error = Error::new(e, format!("fsopen({fstype:?})"));
                Err(if e == Errno::NODEV {
                    error.with_detail(format!("this kernel has no file system {fstype:?}"))
                } else {
                    error
                })
            }
        }
    }

    /// The file system of the mount `fd` is the root of, to be reconfigured.
    ///
    /// # Errors
    /// Those of fspick(2).
    pub fn pick(fd: BorrowedFd<'_>) -> Result<Self> {
        let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
        match rustix::mount::fspick(fd, "", flags) {
            Ok(fd) => Ok(Self { fd }),
            Err(e) => Err(Error::new(e, format!("fspick({}, \"\")", fd.as_raw_fd()))),
        }
    }

    /// `key=value`. The source of a file system is `source`.
    ///
    /// # Errors
    /// Those of fsconfig(2).
    pub fn set_string(&self, key: &str, value: &str) -> Result<()> {
        rustix::mount::fsconfig_set_string(&self.fd, key, value)
            .map_err(|e| self.failed(e, format!("fsconfig({key:?}, {value:?})")))
    }

    /// A parameter without a value, such as `ro` or `nodelalloc`.
    ///
    /// # Errors
    /// Those of fsconfig(2).
    pub fn set_flag(&self, key: &str) -> Result<()> {
        rustix::mount::fsconfig_set_flag(&self.fd, key)
            .map_err(|e| self.failed(e, format!("fsconfig({key:?})")))
    }

    /// A parameter whose value is a descriptor, such as FUSE's `fd`.
    ///
    /// # Errors
    /// Those of fsconfig(2).
    pub fn set_fd(&self, key: &str, value: BorrowedFd<'_>) -> Result<()> {
        rustix::mount::fsconfig_set_fd(&self.fd, key, value)
            .map_err(|e| self.failed(e, format!("fsconfig({key:?}, {})", value.as_raw_fd())))
    }

    /// Makes the instance (or finds one that may be shared).
    ///
    /// # Errors
    /// Those of fsconfig(2).
    pub fn create(&self) -> Result<()> {
        rustix::mount::fsconfig_create(&self.fd)
            .map_err(|e| self.failed(e, "fsconfig(FSCONFIG_CMD_CREATE)".to_owned()))
    }

    /// Applies the parameters to the existing instance.
    ///
    /// # Errors
    /// Those of fsconfig(2).
    pub fn reconfigure(&self) -> Result<()> {
        rustix::mount::fsconfig_reconfigure(&self.fd)
            .map_err(|e| self.failed(e, "fsconfig(FSCONFIG_CMD_RECONFIGURE)".to_owned()))
    }

    /// A detached mount of the instance with `MOUNT_ATTR_*`.
    ///
    /// # Errors
    /// Those of fsmount(2): EPERM when, in a user namespace, the mount would
    /// show what is covered in every visible one (procfs and sysfs).
    pub fn mount(&self, attributes: u64) -> Result<OwnedFd> {
        // The flags fsmount knows have all 32 bits; others are for the kernel to refuse.
        let flags = MountAttrFlags::from_bits_retain(u32::try_from(attributes).unwrap_or(u32::MAX));
        rustix::mount::fsmount(&self.fd, FsMountFlags::FSMOUNT_CLOEXEC, flags)
            .map_err(|e| self.failed(e, format!("fsmount({})", attribute_text(attributes))))
    }

    fn failed(&self, errno: Errno, call: String) -> Error {
        let error = Error::new(errno, call);
        let said = self.read_messages();
        if said.is_empty() {
            return error;
        }
        error.with_detail(said)
    }

    /// What the kernel wrote into the context, fsopen(2) "Messages": a line for
    /// each read, `e` for an error, `w` for a warning, `i` for information.
    fn read_messages(&self) -> String {
        let (mut errors, mut others) = (Vec::new(), Vec::new());
        let mut buffer = [0; 512];
        // The context keeps at most 8 messages; ENODATA when there is none left.
        while let Ok(length @ 1..) = rustix::io::read(&self.fd, &mut buffer) {
            let line = String::from_utf8_lossy(&buffer[..length]);
            match line.split_at_checked(2) {
                Some(("e ", text)) => errors.push(text.trim_end().to_owned()),
                Some((_, text)) => others.push(text.trim_end().to_owned()),
                None => {}
            }
        }
        if errors.is_empty() {
            errors = others;
        }
        errors.join("; ")
    }
}

/// Changes the propagation of the mount at `path` (mostly `/` or `.`), with
/// `recursive` of all below it too, by mount(2).
///
/// # Errors
/// Those of mount(2).
pub fn change_propagation(path: &str, recursive: bool, kind: Propagation) -> Result<()> {
    let mut flags = kind.flag();
    flags.set(MountPropagationFlags::REC, recursive);
    rustix::mount::mount_change(path, flags).map_err(|e| {
        let depth = if recursive { "|MS_REC" } else { "" };
        Error::new(e, format!("mount({path:?}, {}{depth})", kind.name()))
    })
}

/// Changes the propagation of the mount `fd` is the root of, with `recursive`
/// of all below it too.
///
/// # Errors
/// Those of [`set_attributes`].
pub fn change_propagation_fd(fd: BorrowedFd<'_>, recursive: bool, kind: Propagation) -> Result<()> {
    let attributes = MountAttributes {
        propagation: Some(kind),
        ..MountAttributes::default()
    };
    set_attributes(fd, recursive, &attributes)
}

/// Takes the mount at `path`, and all below it, out of sight
/// (`MNT_DETACH|UMOUNT_NOFOLLOW`); it goes when its last user is gone.
///
/// # Errors
/// Those of umount2(2).
pub fn unmount_detach(path: &str) -> Result<()> {
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    rustix::mount::unmount(path, flags)
        .map_err(|e| Error::new(e, format!("umount2({path:?}, MNT_DETACH|UMOUNT_NOFOLLOW)")))
}

/// The `MOUNT_ATTR_*` in force for what `fd` names. Read-only may also come
/// from the file system itself; statfs(2) does not tell them apart.
///
/// # Errors
/// Those of fstatfs(2).
pub fn mount_attributes(fd: BorrowedFd<'_>) -> Result<u64> {
    let found = rustix::fs::fstatvfs(fd)
        .map_err(|e| Error::new(e, format!("fstatfs({})", fd.as_raw_fd())))?
        .f_flag;
    let mut attributes = 0;
    for (flag, attribute) in [
        (StatVfsMountFlags::RDONLY, MOUNT_ATTR_RDONLY),
        (StatVfsMountFlags::NOSUID, MOUNT_ATTR_NOSUID),
        (StatVfsMountFlags::NODEV, MOUNT_ATTR_NODEV),
        (StatVfsMountFlags::NOEXEC, MOUNT_ATTR_NOEXEC),
        (StatVfsMountFlags::NOATIME, MOUNT_ATTR_NOATIME),
        (StatVfsMountFlags::NODIRATIME, MOUNT_ATTR_NODIRATIME),
        (
            StatVfsMountFlags::from_bits_retain(ST_NOSYMFOLLOW),
            MOUNT_ATTR_NOSYMFOLLOW,
        ),
    ] {
        if found.contains(flag) {
            attributes |= attribute;
        }
    }
    // Neither of the two is how statfs says strictatime.
    if !found.intersects(StatVfsMountFlags::NOATIME | StatVfsMountFlags::RELATIME) {
        attributes |= MOUNT_ATTR_STRICTATIME;
    }
    Ok(attributes)
}

/// `ST_NOSYMFOLLOW` of `<linux/statfs.h>` (since Linux 5.10), which no C library exports.
const ST_NOSYMFOLLOW: u64 = 0x2000;
