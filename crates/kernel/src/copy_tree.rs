//! A directory's content copied into another, for `tmpcopyup`.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::retry_on_intr;

use crate::fs::{
    FileKind, Stat, change_owner, read_entries, reopen_directory, stat, statx_at, write_all,
};
use crate::{Errno, Error, Result};

/// What one read(2) asks for.
const CHUNK_BYTES: usize = 64 * 1024;

/// Copies what is in `from` into the directory `to`: files, directories,
/// symlinks, FIFOs and device nodes, with owners and modes, and extended
/// attributes where the target takes them. Sockets are left out; hard links
/// become files of their own. `to` itself stays as it is. Both may be `O_PATH`.
///
/// The tree may change while it is copied: nothing is followed, and what is no
/// longer what it was is refused.
///
/// # Errors
/// Those of the calls: ENOSPC when the target is full, EEXIST when it is not empty.
pub fn copy_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    // A list, not recursion: the depth of the tree is not ours to choose.
    let mut branches = vec![Branch::open(
        reopen_directory(from)?,
        reopen_directory(to)?,
    )?];
    while let Some(branch) = branches.last_mut() {
        let Some((name, kind)) = branch.children.pop() else {
            branches.pop();
            continue;
        };
        if kind == FileKind::Directory {
            let below = branch.copy_directory(&name)?;
            branches.push(below);
        } else {
            branch.copy_entry(&name)?;
        }
    }
    Ok(())
}

/// A directory on the way, and its copy.
struct Branch {
    from: OwnedFd,
    to: OwnedFd,
    children: Vec<(CString, FileKind)>,
}

impl Branch {
    fn open(from: OwnedFd, to: OwnedFd) -> Result<Self> {
        let children = read_entries(from.as_fd())?;
        Ok(Self { from, to, children })
    }

    fn copy_directory(&self, name: &CStr) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let from = open(self.from.as_fd(), name, flags, 0)?;
        rustix::fs::mkdirat(&self.to, name, Mode::RWXU).map_err(|e| failed("mkdirat", name, e))?;
        let to = open(self.to.as_fd(), name, flags, 0)?;
        copy_metadata(from.as_fd(), to.as_fd(), &stat(from.as_fd())?)?;
        Self::open(from, to)
    }

    fn copy_entry(&self, name: &CStr) -> Result<()> {
        let is = statx_at(self.from.as_fd(), name)?;
        match is.kind {
            FileKind::File => self.copy_file(name),
            FileKind::Symlink => {
                let target = rustix::fs::readlinkat(&self.from, name, Vec::new())
                    .map_err(|e| failed("readlinkat", name, e))?;
                rustix::fs::symlinkat(target.as_c_str(), &self.to, name)
                    .map_err(|e| failed("symlinkat", name, e))?;
                self.give(name, &is)
            }
            FileKind::Fifo => self.copy_node(name, FileType::Fifo, &is),
            FileKind::Char => self.copy_node(name, FileType::CharacterDevice, &is),
            FileKind::Block => self.copy_node(name, FileType::BlockDevice, &is),
            // A socket without the process behind it is of no use. A directory
            // was something else a moment ago.
            FileKind::Socket | FileKind::Directory | FileKind::Other => Ok(()),
        }
    }

    fn copy_file(&self, name: &CStr) -> Result<()> {
        // NONBLOCK: what was a file when it was looked at may be a FIFO now.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let from = open(self.from.as_fd(), name, flags, 0)?;
        let is = stat(from.as_fd())?;
        if is.kind != FileKind::File {
            return Err(failed("openat", name, Errno::STALE)
                .with_detail(format!("{name:?} became {}", is.kind.name())));
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let to = open(self.to.as_fd(), name, flags, 0o600)?;
        copy_content(from.as_fd(), to.as_fd()).map_err(|e| failed("write", name, e.errno()))?;
        copy_metadata(from.as_fd(), to.as_fd(), &is)
    }

    fn copy_node(&self, name: &CStr, kind: FileType, is: &Stat) -> Result<()> {
        let device = rustix::fs::makedev(is.rdev.0, is.rdev.1);
        rustix::fs::mknodat(&self.to, name, kind, Mode::from_raw_mode(is.mode), device)
            .map_err(|e| failed("mknodat", name, e))?;
        self.give(name, is)?;
        // mknod took the umask off. Nobody else is in the target yet, so the
        // name is still the node.
        rustix::fs::chmodat(
            &self.to,
            name,
            Mode::from_raw_mode(is.mode),
            AtFlags::empty(),
        )
        .map_err(|e| failed("fchmodat", name, e))
    }

    fn give(&self, name: &CStr, is: &Stat) -> Result<()> {
        let (owner, group) = (Uid::from_raw(is.uid), Gid::from_raw(is.gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&self.to, name, Some(owner), Some(group), flags)
            .map_err(|e| failed("fchownat", name, e))
    }
}

fn copy_content(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    loop {
        buffer.clear();
        let read =
            retry_on_intr(|| rustix::io::read(from, rustix::buffer::spare_capacity(&mut buffer)))
                .map_err(|e| Error::new(e, "read"))?;
        if read == 0 {
            return Ok(());
        }
        write_all(to, &buffer)?;
    }
}

/// Owner, mode, extended attributes, in this order: chown(2) clears set-id bits
/// and file capabilities.
fn copy_metadata(from: BorrowedFd<'_>, to: BorrowedFd<'_>, is: &Stat) -> Result<()> {
    change_owner(to, is.uid, is.gid)?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(is.mode)).map_err(|e| Error::new(e, "fchmod"))?;
    copy_attributes(from, to);
    Ok(())
}

/// Best effort: tmpfs takes `user.*` since Linux 6.6 only, and labels are for
/// the LSM to allow.
fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
    let mut names = vec![0; 1024];
    let mut value = vec![0; 4096];
    let Ok(length) = rustix::fs::flistxattr(from, &mut names) else {
        return;
    };
    for name in names[..length].split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        if let Ok(length) = rustix::fs::fgetxattr(from, name, &mut value) {
            let _ = rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty());
        }
    }
}

fn open(dir: BorrowedFd<'_>, name: &CStr, flags: OFlags, mode: u32) -> Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(mode)))
        .map_err(|e| failed("openat", name, e))
}

fn failed(call: &str, name: &CStr, errno: Errno) -> Error {
    Error::new(errno, format!("{call}({name:?})"))
}
