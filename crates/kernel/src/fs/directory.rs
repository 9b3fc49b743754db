//! Names in directories: made, listed, renamed, removed.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, SeekFrom};

use super::FileKind;
use super::stat::statx_at;
use crate::{Errno, Error, Result};

/// What one getdents64(2) may return: some 200 names.
const ENTRIES_BYTES: usize = 8 * 1024;

/// Makes a directory of the host with `mode` less the umask.
///
/// # Errors
/// Those of mkdir(2), EEXIST among them.
pub fn make_directory(path: &str, mode: u32) -> Result<()> {
    make_directory_at(CWD, path, mode)
}

/// Makes the directory `name` in `dir` with `mode` less the umask.
///
/// # Errors
/// Those of mkdirat(2), EEXIST among them.
pub fn make_directory_at(dir: BorrowedFd<'_>, name: &str, mode: u32) -> Result<()> {
    rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(mode))
        .map_err(|e| Error::new(e, format!("mkdir({name:?}, {mode:#o})")))
}

/// Makes a directory of the host and those above it, as `mkdir -p` does.
///
/// # Errors
/// Those of mkdir(2); ENOTDIR when one of them exists and is something else.
pub fn make_directories(path: &str, mode: u32) -> Result<()> {
    match make_directory(path, mode) {
        Err(e) if e.errno() == Errno::NOENT => {}
        Err(e) if e.errno() == Errno::EXIST => return expect_directory(path, e),
        answer => return answer,
    }
    let Some((parent, _)) = path.trim_end_matches('/').rsplit_once('/') else {
        return make_directory(path, mode);
    };
    make_directories(parent, mode)?;
    match make_directory(path, mode) {
        Err(e) if e.errno() == Errno::EXIST => expect_directory(path, e),
        answer => answer,
    }
}

fn expect_directory(path: &str, error: Error) -> Result<()> {
    match super::stat_path(path)?.kind {
        FileKind::Directory => Ok(()),
        other => Err(Error::new(Errno::NOTDIR, error.call())
            .with_detail(format!("exists and is {}", other.name()))),
    }
}

/// Makes the FIFO `name` in `dir` with `mode` less the umask.
///
/// # Errors
/// Those of mknodat(2).
pub fn make_fifo_at(dir: BorrowedFd<'_>, name: &str, mode: u32) -> Result<()> {
    rustix::fs::mknodat(dir, name, FileType::Fifo, Mode::from_raw_mode(mode), 0)
        .map_err(|e| Error::new(e, format!("mknodat({name:?}, S_IFIFO|{mode:#o})")))
}

/// Removes the name of anything but a directory in `dir`.
///
/// # Errors
/// Those of unlinkat(2).
pub fn remove_file_at(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    rustix::fs::unlinkat(dir, name, AtFlags::empty())
        .map_err(|e| Error::new(e, format!("unlink({name:?})")))
}

/// Removes the empty directory `name` in `dir`.
///
/// # Errors
/// Those of unlinkat(2).
pub fn remove_directory_at(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
        .map_err(|e| Error::new(e, format!("rmdir({name:?})")))
}

/// Removes an empty directory of the host.
///
/// # Errors
/// Those of rmdir(2).
pub fn remove_directory(path: &str) -> Result<()> {
    remove_directory_at(CWD, path)
}

/// Renames within `dir`; an existing `new` is replaced.
///
/// # Errors
/// Those of renameat(2).
pub fn rename_at(dir: BorrowedFd<'_>, old: &str, new: &str) -> Result<()> {
    rustix::fs::renameat(dir, old, dir, new)
        .map_err(|e| Error::new(e, format!("rename({old:?}, {new:?})")))
}

/// The names in a directory (without `.` and `..`) and what they are. The
/// descriptor must be open for reading; it is read from the start. Names that
/// are not UTF-8 are changed to something readable that will not be found.
///
/// # Errors
/// Those of getdents64(2).
pub fn read_directory(dir: BorrowedFd<'_>) -> Result<Vec<(String, FileKind)>> {
    let entries = read_entries(dir)?;
    let named = entries
        .into_iter()
        .map(|(name, kind)| (name.to_string_lossy().into_owned(), kind));
    Ok(named.collect())
}

/// [`read_directory`] with the names as the kernel has them.
pub(crate) fn read_entries(dir: BorrowedFd<'_>) -> Result<Vec<(CString, FileKind)>> {
    let call = |e| Error::new(e, format!("getdents64({})", dir.as_raw_fd()));
    rustix::fs::seek(dir, SeekFrom::Start(0)).map_err(call)?;
    let mut buffer = Vec::with_capacity(ENTRIES_BYTES);
    let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(call)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems leave it to stat.
            FileType::Unknown => statx_at(dir, name).map_or(FileKind::Other, |found| found.kind),
            known => known.into(),
        };
        found.push((name.to_owned(), kind));
    }
    Ok(found)
}

/// Removes `name` in `dir` and all below it, by descriptor, following no
/// symlink and going into no mount. What does not exist is removed already.
///
/// # Errors
/// Those of openat2(2) and unlinkat(2): EXDEV where something is mounted.
pub fn remove_tree_at(dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    let call = || format!("unlink({name:?})");
    let name = CString::new(name).map_err(|_| Error::new(Errno::INVAL, call()))?;
    if remove_unless_directory(dir, &name)? {
        return Ok(());
    }
    // A list, not recursion: the depth of the tree is not ours to choose.
    let Some(top) = Branch::open(dir, name)? else {
        return Ok(());
    };
    let mut branches = vec![top];
    while let Some(branch) = branches.last_mut() {
        if let Some((child, _)) = branch.children.pop() {
            if !remove_unless_directory(branch.fd.as_fd(), &child)?
                && let Some(below) = Branch::open(branch.fd.as_fd(), child)?
            {
                branches.push(below);
            }
        } else if let Some(emptied) = branches.pop() {
            let parent = branches.last().map_or(dir, |above| above.fd.as_fd());
            remove_name(parent, &emptied.name, AtFlags::REMOVEDIR)
                .map_err(|e| Error::new(e, format!("rmdir({:?})", emptied.name)))?;
        }
    }
    Ok(())
}

/// A directory on the way of [`remove_tree_at`].
struct Branch {
    fd: OwnedFd,
    name: CString,
    children: Vec<(CString, FileKind)>,
}

impl Branch {
    /// `None` when it is gone.
    fn open(dir: BorrowedFd<'_>, name: CString) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let fd = match rustix::fs::openat2(dir, &name, flags, Mode::empty(), resolve) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::XDEV) => {
                return Err(Error::new(Errno::XDEV, format!("openat2({name:?})"))
                    .with_detail("something is mounted there; unmount it first"));
            }
            Err(e) => return Err(Error::new(e, format!("openat2({name:?})"))),
        };
        let children = read_entries(fd.as_fd())?;
        Ok(Some(Self { fd, name, children }))
    }
}

/// `false`: it is a directory.
fn remove_unless_directory(dir: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    match remove_name(dir, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(e) => Err(Error::new(e, format!("unlink({name:?})"))),
    }
}

fn remove_name(dir: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(dir, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        answer => answer,
    }
}

/// Removes a file by the path of a trusted caller.
///
/// # Errors
/// `unlink(2)`
pub fn remove_file(path: &str) -> Result<()> {
    rustix::fs::unlink(path).map_err(|e| Error::new(e, format!("unlink({path:?})")))
}

/// Makes a symlink.
///
/// # Errors
/// `symlinkat(2)`
pub fn make_symlink_at(dir: BorrowedFd<'_>, name: &str, target: &str) -> Result<()> {
    rustix::fs::symlinkat(target, dir, name).map_err(|e| {
        Error::new(
            e,
            format!("symlinkat({target:?}, {}, {name:?})", dir.as_raw_fd()),
        )
    })
}
