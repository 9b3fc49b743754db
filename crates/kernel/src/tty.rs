//! Pseudo-terminals and terminal settings.
//!
//! A container's pty must come from the container's own devpts (CVE-2025-52565):
//! nothing here goes by name. `ptsname(3)` is never asked, because the answer
//! means another file in another mount namespace.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, OptionalActions, Termios, Winsize};

use crate::answer::of_int;
use crate::{Errno, Error, Result};

/// `DEVPTS_SUPER_MAGIC`
const DEVPTS_MAGIC: i64 = 0x1cd1;
/// The inode of `ptmx` in every devpts, fixed in fs/devpts/inode.c.
const PTMX_INODE: u64 = 2;
/// `TTYAUX_MAJOR`:2, the device of `ptmx`.
const PTMX_DEVICE: (u32, u32) = (5, 2);

/// Both ends of a new pseudo-terminal, close-on-exec.
#[derive(Debug)]
pub struct Pty {
    /// What the terminal's owner reads and writes (the "master").
    pub controller: OwnedFd,
    /// What the program sees as its terminal (the "slave"), `O_NOCTTY`.
    pub peer: OwnedFd,
}

/// Size in character cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// Makes a pty in the devpts whose root is `pts` (a directory descriptor,
/// `O_PATH` is enough).
///
/// First the directory is verified: it is on a devpts. Then `ptmx` is opened in
/// it, never through a mount or a symlink: on that filesystem the name means
/// the real thing and nothing an image could place there is ever opened.
///
/// # Errors
/// `ENODEV` with what was found when `pts` is no devpts or `ptmx` is not 5:2;
/// `EXDEV` when something is mounted on `ptmx`; `EACCES` when its mode forbids
/// (`ptmxmode=000`); `ENOSPC` when kernel.pty.max or the mount's max is reached.
pub fn open_pty_in(pts: BorrowedFd<'_>) -> Result<Pty> {
    require_devpts(pts)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_XDEV
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS;
    let controller =
        rustix::fs::openat2(pts, c"ptmx", flags, Mode::empty(), resolve).map_err(|e| {
            let call = format!("openat2({}, \"ptmx\", O_RDWR|O_NOCTTY)", pts.as_raw_fd());
            Error::new(e, call)
        })?;
    verify_ptmx(controller.as_fd())?;
    open_peer(controller)
}

/// Makes sure that a descriptor, `O_PATH` or open, is the `ptmx` of a devpts:
/// the filesystem, the inode, the device.
///
/// # Errors
/// `ENODEV` with what was found.
pub fn verify_ptmx(fd: BorrowedFd<'_>) -> Result<()> {
    require_devpts(fd)?;
    let stat =
        rustix::fs::fstat(fd).map_err(|e| Error::new(e, format!("fstat({})", fd.as_raw_fd())))?;
    let device = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::CharacterDevice && stat.st_ino == PTMX_INODE && device == PTMX_DEVICE {
        return Ok(());
    }
    let call = format!("fstat({})", fd.as_raw_fd());
    Err(Error::new(Errno::NODEV, call).with_detail(format!(
        "is not the ptmx of a devpts (inode 2, character device 5:2) but inode {}, {kind:?} {}:{}",
        stat.st_ino, device.0, device.1
    )))
}

fn require_devpts(fd: BorrowedFd<'_>) -> Result<()> {
    let call = || format!("fstatfs({})", fd.as_raw_fd());
    let found = rustix::fs::fstatfs(fd).map_err(|e| Error::new(e, call()))?;
    let magic = found.f_type as i64;
    if magic == DEVPTS_MAGIC {
        return Ok(());
    }
    let detail = format!("is on a filesystem of type {magic:#x}, not on a devpts (0x1cd1)");
    Err(Error::new(Errno::NODEV, call()).with_detail(detail))
}

/// Unlocks a controller and opens its other end by `TIOCGPTPEER`, which asks
/// the device, not a path.
fn open_peer(controller: OwnedFd) -> Result<Pty> {
    let number = controller.as_raw_fd();
    rustix::pty::unlockpt(&controller)
        .map_err(|e| Error::new(e, format!("ioctl({number}, TIOCSPTLCK, 0)")))?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let peer = rustix::pty::ioctl_tiocgptpeer(&controller, flags)
        .map_err(|e| Error::new(e, format!("ioctl({number}, TIOCGPTPEER)")))?;
    Ok(Pty { controller, peer })
}

/// Sets the size; the foreground process group hears SIGWINCH if it changed.
///
/// # Errors
/// `ENOTTY`.
pub fn set_size(fd: BorrowedFd<'_>, size: Size) -> Result<()> {
    let wanted = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(fd, wanted).map_err(|e| {
        let (rows, columns) = (size.rows, size.columns);
        Error::new(
            e,
            format!("ioctl({}, TIOCSWINSZ, {rows}x{columns})", fd.as_raw_fd()),
        )
    })
}

/// The size.
///
/// # Errors
/// `ENOTTY`.
pub fn get_size(fd: BorrowedFd<'_>) -> Result<Size> {
    rustix::termios::tcgetwinsize(fd)
        .map(|found| Size {
            rows: found.ws_row,
            columns: found.ws_col,
        })
        .map_err(|e| Error::new(e, format!("ioctl({}, TIOCGWINSZ)", fd.as_raw_fd())))
}

/// Makes it the controlling terminal of this session, which must have none.
///
/// # Errors
/// `EPERM` when the caller leads no session, or the terminal has one already.
pub fn set_controlling(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: takes integers; 0 does not steal the terminal from another session.
    of_int(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) })
        .map(drop)
        .map_err(|e| Error::new(e, format!("ioctl({}, TIOCSCTTY, 0)", fd.as_raw_fd())))
}

/// The settings of a terminal before [`make_raw`].
#[derive(Debug, Clone)]
pub struct SavedTermios(Termios);

/// Every byte passes through as it is, from now on.
///
/// # Errors
/// `ENOTTY`.
pub fn make_raw(fd: BorrowedFd<'_>) -> Result<SavedTermios> {
    let saved = rustix::termios::tcgetattr(fd)
        .map_err(|e| Error::new(e, format!("ioctl({}, TCGETS2)", fd.as_raw_fd())))?;
    let mut raw = saved.clone();
    raw.make_raw();
    apply(fd, &raw)?;
    Ok(SavedTermios(saved))
}

/// Puts the settings back.
///
/// # Errors
/// `ENOTTY`; `EIO` when the terminal is gone.
pub fn restore(fd: BorrowedFd<'_>, saved: &SavedTermios) -> Result<()> {
    apply(fd, &saved.0)
}

fn apply(fd: BorrowedFd<'_>, termios: &Termios) -> Result<()> {
    // "Now": waiting for output to drain can hang on a stopped terminal.
    rustix::termios::tcsetattr(fd, OptionalActions::Now, termios)
        .map_err(|e| Error::new(e, format!("ioctl({}, TCSETS2)", fd.as_raw_fd())))
}

/// Whether programs read whole lines of it (`ICANON`). A controller tells the
/// settings of its other end.
///
/// # Errors
/// `ENOTTY`; `EIO` when the other end is gone.
pub fn reads_lines(fd: BorrowedFd<'_>) -> Result<bool> {
    rustix::termios::tcgetattr(fd)
        .map(|found| found.local_modes.contains(LocalModes::ICANON))
        .map_err(|e| Error::new(e, format!("ioctl({}, TCGETS2)", fd.as_raw_fd())))
}

/// Whether a descriptor is a terminal.
#[must_use]
pub fn is_tty(fd: BorrowedFd<'_>) -> bool {
    rustix::termios::isatty(fd)
}
