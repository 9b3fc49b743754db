//! Reading and writing what is in a file.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::retry_on_intr;

use super::{flags_text, open_at, open_read, open_read_at, open_write, rename_at};
use crate::{Errno, Error, Result};

/// What one read(2) asks for. Files of procfs and cgroupfs fit into one.
const CHUNK_BYTES: usize = 8 * 1024;

/// Reads to the end of the file, at most `limit` bytes.
///
/// # Errors
/// Those of read(2); EFBIG when there is more than `limit`.
pub fn read_to_end(fd: BorrowedFd<'_>, limit: usize) -> Result<Vec<u8>> {
    gather(fd, limit, |read, _| read == 0)
}

/// Reads until `is_last` says so of the bytes that were read and asked for.
fn gather(
    fd: BorrowedFd<'_>,
    limit: usize,
    is_last: impl Fn(usize, usize) -> bool,
) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        // The read that finds the end needs no second chunk.
        if content.capacity() - content.len() < CHUNK_BYTES / 2 {
            content.reserve(CHUNK_BYTES);
        }
        let asked = content.capacity() - content.len();
        let read =
            retry_on_intr(|| rustix::io::read(fd, rustix::buffer::spare_capacity(&mut content)))
                .map_err(|e| Error::new(e, format!("read({})", fd.as_raw_fd())))?;
        if content.len() > limit {
            return Err(Error::new(Errno::FBIG, format!("read({})", fd.as_raw_fd()))
                .with_detail(format!("longer than {limit} bytes")));
        }
        if is_last(read, asked) {
            return Ok(content);
        }
    }
}

/// Reads an open file anew, from its start: for files that say something else each time.
///
/// # Errors
/// Those of lseek(2) and [`read_to_end`].
pub fn reread(fd: BorrowedFd<'_>, limit: usize) -> Result<Vec<u8>> {
    rustix::fs::seek(fd, rustix::fs::SeekFrom::Start(0))
        .map_err(|e| Error::new(e, format!("lseek({}, 0)", fd.as_raw_fd())))?;
    read_to_end(fd, limit)
}

/// Reads a whole file of the host.
///
/// # Errors
/// Those of open(2) and [`read_to_end`].
pub fn read_file(path: &str, limit: usize) -> Result<Vec<u8>> {
    let fd = open_read(path)?;
    read_to_end(fd.as_fd(), limit).map_err(|e| rename_call(e, || format!("read({path:?})")))
}

/// Reads the whole file `name` in `dir`; a symlink there is an error.
///
/// # Errors
/// Those of openat(2) and [`read_to_end`].
pub fn read_file_at(dir: BorrowedFd<'_>, name: &str, limit: usize) -> Result<Vec<u8>> {
    let fd = open_read_at(dir, name)?;
    read_to_end(fd.as_fd(), limit).map_err(|e| rename_call(e, || format!("read({name:?})")))
}

/// [`read_file_at`] for a file that a rename put there whole: on a regular file a short
/// read is the last one, so none is made to find the end.
///
/// # Errors
/// Those of [`read_file_at`].
pub fn read_whole_file_at(dir: BorrowedFd<'_>, name: &str, limit: usize) -> Result<Vec<u8>> {
    let fd = open_read_at(dir, name)?;
    gather(fd.as_fd(), limit, |read, asked| read < asked)
        .map_err(|e| rename_call(e, || format!("read({name:?})")))
}

/// The same failure told with the name of the file in place of a number.
fn rename_call(error: Error, call: impl FnOnce() -> String) -> Error {
    let renamed = Error::new(error.errno(), call());
    match error.detail() {
        Some(detail) => renamed.with_detail(detail),
        None => renamed,
    }
}

/// Writes all of `bytes`, in as many write(2) as it takes.
///
/// # Errors
/// Those of write(2); EIO when the file takes no more.
pub fn write_all(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let call = || format!("write({}, {} bytes)", fd.as_raw_fd(), bytes.len());
        match retry_on_intr(|| rustix::io::write(fd, rest)) {
            Ok(0) => return Err(Error::new(Errno::IO, call())),
            Ok(written) => rest = &rest[written..],
            Err(e) => return Err(Error::new(e, call())),
        }
    }
    Ok(())
}

/// Writes `value` with one write(2), as the files of procfs and cgroupfs want
/// it: there, the rest of a short write would be taken for a second value.
/// `name` is for the text of the error.
///
/// # Errors
/// Those of write(2); EIO when the write was short.
pub fn write_once(fd: BorrowedFd<'_>, name: &str, value: &str) -> Result<()> {
    let call = || format!("write({name:?}, {value:?})");
    match retry_on_intr(|| rustix::io::write(fd, value.as_bytes())) {
        Ok(written) if written == value.len() => Ok(()),
        Ok(written) => Err(Error::new(Errno::IO, call())
            .with_detail(format!("only {written} of {} bytes taken", value.len()))),
        Err(e) => Err(Error::new(e, call())),
    }
}

/// Writes `value` with one write(2) to the existing file `name` in `dir`; a
/// symlink there is an error.
///
/// # Errors
/// Those of openat(2) and [`write_once`].
pub fn write_value_at(dir: BorrowedFd<'_>, name: &str, value: &str) -> Result<()> {
    let fd = open_at(dir, name, OFlags::WRONLY | OFlags::NOFOLLOW)?;
    write_once(fd.as_fd(), name, value)
}

/// Writes `value` with one write(2) to an existing file of the host.
///
/// # Errors
/// Those of open(2) and [`write_once`].
pub fn write_value(path: &str, value: &str) -> Result<()> {
    let fd = open_write(path)?;
    write_once(fd.as_fd(), path, value)
}

/// Makes the file `name` in `dir` with `mode` (less the umask) and `content`.
/// A file that could not be written whole is removed again.
///
/// # Errors
/// Those of openat(2), EEXIST among them, and of write(2).
pub fn create_file_at(dir: BorrowedFd<'_>, name: &str, mode: u32, content: &[u8]) -> Result<()> {
    let fd = create(
        dir,
        name,
        OFlags::WRONLY | OFlags::EXCL | OFlags::NOFOLLOW,
        mode,
    )?;
    write_all(fd.as_fd(), content).inspect_err(|_| {
        let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
    })
}

/// Puts a file with `mode` (less the umask) and `content` in the place of
/// `name` in `dir`, whole at every moment: a reader sees the old or the new.
/// Nothing is synced; the directories this is for live on tmpfs.
///
/// # Errors
/// Those of openat(2), write(2) and renameat(2).
pub fn replace_file_at(dir: BorrowedFd<'_>, name: &str, mode: u32, content: &[u8]) -> Result<()> {
    let temporary = format!(".{name}.{}", rustix::process::getpid().as_raw_nonzero());
    match create_file_at(dir, &temporary, mode, content) {
        Err(e) if e.errno() == Errno::EXIST => {
            // Left by a process of the same pid that was killed at this point.
            let _ = rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty());
            create_file_at(dir, &temporary, mode, content)?;
        }
        other => other?,
    }
    rename_at(dir, &temporary, name).inspect_err(|_| {
        let _ = rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty());
    })
}

/// Opens a file of the host for appending, and makes it with `mode` (less the
/// umask) when it is missing.
///
/// # Errors
/// Those of open(2).
pub fn append_or_create(path: &str, mode: u32) -> Result<OwnedFd> {
    create(CWD, path, OFlags::WRONLY | OFlags::APPEND, mode)
}

fn create(dir: BorrowedFd<'_>, name: &str, flags: OFlags, mode: u32) -> Result<OwnedFd> {
    let flags = flags | OFlags::CREATE | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(mode))).map_err(|e| {
        let flags = flags_text(flags);
        Error::new(e, format!("openat({name:?}, {flags}, {mode:#o})"))
    })
}

/// One read(2): up to `buffer.len()` bytes, 0 at the end.
///
/// # Errors
/// `read(2)`; EINTR is retried.
pub fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match rustix::io::read(fd, &mut *buffer) {
            Err(Errno::INTR) => {}
            Ok(length) => return Ok(length),
            Err(e) => return Err(Error::new(e, format!("read({})", fd.as_raw_fd()))),
        }
    }
}

/// One write(2): how many of `bytes` were taken.
///
/// # Errors
/// `write(2)`; EINTR is retried.
pub fn write_some(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    retry_on_intr(|| rustix::io::write(fd, bytes)).map_err(|e| {
        let call = format!("write({}, {} bytes)", fd.as_raw_fd(), bytes.len());
        Error::new(e, call)
    })
}

/// [`replace_file_at`] for the absolute or relative path of a trusted caller.
///
/// # Errors
/// `open(2)`, `write(2)`, `rename(2)`
pub fn replace_file(path: &str, mode: u32, content: &[u8]) -> Result<()> {
    let (directory, name) = path
        .rsplit_once('/')
        .map_or((".", path), |(directory, name)| {
            (if directory.is_empty() { "/" } else { directory }, name)
        });
    let directory = super::open_directory(directory)?;
    replace_file_at(directory.as_fd(), name, mode, content)
}
