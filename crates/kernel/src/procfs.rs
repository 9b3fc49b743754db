//! A procfs that is one: private where it matters, verified always.
//!
//! Whoever writes to `/proc` of a container by path can be made to write
//! somewhere else, by mounts over it (CVE-2019-16884, CVE-2025-52881).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::retry_on_intr;

use crate::fs::{
    PROC_MAGIC, filesystem_magic, flags_text, mount_id, open_directory, read_link, read_to_end,
    stat, write_once,
};
use crate::mount::{FsContext, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, open_tree};
use crate::{Errno, Error, Result};

/// `PROC_ROOT_INO`: inode number of the root of every procfs.
const PROC_ROOT_INODE: u64 = 1;

/// As for paths in a root: openat2 answers EAGAIN while others rename.
const TRIES: u32 = 128;

/// What `/proc/<pid>/stat` may be long.
const STAT_LIMIT: usize = 4096;

/// The root of a procfs. It shows the pid namespace of the process that made it.
#[derive(Debug)]
pub struct Procfs {
    fd: OwnedFd,
    mount_id: u64,
}

impl Procfs {
    /// A mount of its own, which nobody else can reach or mount over, with the
    /// directories of processes only (`subset=pid`, Linux 5.8).
    ///
    /// Its descriptor must not outlive exec: through a procfs that shows host
    /// processes, `<pid>/root` is the host.
    ///
    /// # Errors
    /// Those of fsopen(2), fsmount(2) and open_tree(2).
    pub fn new() -> Result<Self> {
        let context = FsContext::open("proc")?;
        context.set_string("subset", "pid")?;
        // Only hides more; the kernel has it since 5.8, LSMs may object.
        let _ = context.set_string("hidepid", "ptraceable");
        Self::create(&context)
    }

    /// [`Procfs::new`] with everything, for `sys`.
    ///
    /// # Errors
    /// Those of [`Procfs::new`].
    pub fn new_full() -> Result<Self> {
        Self::create(&FsContext::open("proc")?)
    }

    fn create(context: &FsContext) -> Result<Self> {
        context.create()?;
        match context.mount(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC) {
            // In a user namespace whose visible procfs all have something
            // mounted over them, a new one would uncover it. A copy of the
            // visible one, without what is mounted below it, is as private.
            Err(e) if e.errno() == Errno::PERM => {
                let copy = open_tree("/proc", true, false, true).map_err(|_| e)?;
                Self::verify(copy)
            }
            answer => Self::verify(answer?),
        }
    }

    /// The procfs this process sees at `/proc`, verified to be one. What is
    /// mounted below it is never entered.
    ///
    /// # Errors
    /// Those of open(2); EXDEV when `/proc` is no procfs.
    pub fn host() -> Result<Self> {
        Self::verify(open_directory("/proc")?)
    }

    /// A procfs from a descriptor of its root.
    ///
    /// # Errors
    /// EXDEV when it is no root of a procfs.
    pub fn verify(fd: OwnedFd) -> Result<Self> {
        let magic = filesystem_magic(fd.as_fd())?;
        let root = stat(fd.as_fd())?;
        if magic != PROC_MAGIC || root.ino != PROC_ROOT_INODE {
            return Err(
                Error::new(Errno::XDEV, "open(\"/proc\")").with_detail(format!(
                    "/proc is not the root of a procfs (file system {magic:#x}, inode {})",
                    root.ino
                )),
            );
        }
        Ok(Self {
            fd,
            mount_id: root.mount_id,
        })
    }

    /// The root directory.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The root directory.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Opens `path` below the root (`self/attr/exec`). Nothing that is mounted
    /// over a part of it is entered, no magic link is followed, nor a symlink
    /// as the last part.
    ///
    /// # Errors
    /// Those of openat2(2): EXDEV when something is mounted over a part of the
    /// path, ELOOP for a magic link.
    pub fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        let open = || rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve);
        let mut tries = TRIES;
        let fd = loop {
            match retry_on_intr(open) {
                Ok(fd) => break fd,
                Err(Errno::AGAIN) if tries > 1 => tries -= 1,
                Err(e) => return Err(open_failed(path, flags, e)),
            }
        };
        // openat2 promised this already. One more call, and a mistake in the
        // flags above is an error and not a write to somewhere else.
        if mount_id(fd.as_fd())? != self.mount_id {
            return Err(open_failed(path, flags, Errno::XDEV));
        }
        Ok(fd)
    }

    /// Reads the file `path`, at most `limit` bytes.
    ///
    /// # Errors
    /// Those of [`Procfs::open`] and read(2); EFBIG when it is longer.
    pub fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>> {
        read_to_end(self.open(path, OFlags::RDONLY)?.as_fd(), limit)
    }

    /// Writes `value` to the file `path` with one write(2).
    ///
    /// # Errors
    /// Those of [`Procfs::open`] and write(2); EIO when the write was short.
    pub fn write(&self, path: &str, value: &str) -> Result<()> {
        write_once(self.open(path, OFlags::WRONLY)?.as_fd(), path, value)
    }

    /// The target of the (magic) symlink `path`, as text: `self/exe`, `<pid>/ns/net`.
    ///
    /// # Errors
    /// Those of [`Procfs::open`] and readlinkat(2).
    pub fn read_link(&self, path: &str) -> Result<String> {
        read_link(self.open(path, OFlags::PATH)?.as_fd())
    }

    /// The kernel's name for what `fd` of this process is, for messages.
    ///
    /// # Errors
    /// Those of [`Procfs::read_link`].
    pub fn fd_path(&self, fd: BorrowedFd<'_>) -> Result<String> {
        self.read_link(&format!("thread-self/fd/{}", fd.as_raw_fd()))
    }

    /// Opens what the `O_PATH` descriptor `fd` names with other flags.
    ///
    /// # Errors
    /// Those of openat(2): ELOOP for a symlink; EXDEV when something is mounted
    /// over the descriptor's entry.
    pub fn reopen(&self, fd: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd> {
        let path = format!("thread-self/fd/{}", fd.as_raw_fd());
        // Proves that the link is the kernel's, which a directory entry of a
        // procfs cannot change into something else afterwards.
        drop(self.open(&path, OFlags::PATH)?);
        let flags = flags | OFlags::CLOEXEC;
        retry_on_intr(|| rustix::fs::openat(&self.fd, path.as_str(), flags, Mode::empty()))
            .map_err(|e| open_failed(&path, flags, e))
    }

    /// `<pid>/stat`.
    ///
    /// # Errors
    /// ENOENT or ESRCH when there is no such process.
    pub fn read_process_stat(&self, pid: i32) -> Result<ProcessStat> {
        let path = format!("{pid}/stat");
        let content = self.read(&path, STAT_LIMIT)?;
        parse_process_stat(&content).ok_or_else(|| {
            Error::new(Errno::INVAL, format!("read({path:?})"))
                .with_detail("not in the format of proc_pid_stat(5)")
        })
    }
}

fn open_failed(path: &str, flags: OFlags, errno: Errno) -> Error {
    let call = format!("openat2(procfs, {path:?}, {})", flags_text(flags));
    let error = Error::new(errno, call);
    match errno {
        Errno::NOSYS => error.with_detail("needs Linux 5.6 for openat2"),
        Errno::XDEV => error.with_detail("something is mounted over it"),
        _ => error,
    }
}

/// What proc_pid_stat(5) says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat {
    /// Field 3, a letter: `R`, `S`, `D`, `T`, `Z` and more.
    pub state: u8,
    /// Field 5.
    pub process_group: i32,
    /// Field 6.
    pub session: i32,
    /// Field 22, in clock ticks since boot: with the pid, which process it is.
    pub start_time: u64,
}

/// Parses proc_pid_stat(5). Field 2 is the name the process gave itself: it
/// may hold parentheses, spaces and newlines, and what follows never does.
#[must_use]
pub fn parse_process_stat(content: &[u8]) -> Option<ProcessStat> {
    let end = content.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(content.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let _parent = fields.next()?;
    let process_group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // Fields 7 to 21 are of no interest here.
    let start_time = fields.nth(15)?.parse().ok()?;
    Some(ProcessStat {
        state,
        process_group,
        session,
        start_time,
    })
}

/// `/proc/<pid>/stat` of the host's procfs.
///
/// # Errors
/// Those of [`Procfs::host`]; ENOENT or ESRCH when there is no such process.
pub fn read_process_stat(pid: i32) -> Result<ProcessStat> {
    Procfs::host()?.read_process_stat(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "S 10 11 12 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";

    #[test]
    fn a_hostile_name_cannot_move_the_fields() {
        for name in ["sh", "a) R 1 1 1", ")", "x\n1 (y) Z 9", "((", "\u{fffd}"] {
            let line = format!("7 ({name}) {REST}\n");
            let found = parse_process_stat(line.as_bytes()).unwrap();
            assert_eq!((found.state, found.start_time), (b'S', 987_654), "{name:?}");
            assert_eq!((found.process_group, found.session), (11, 12));
        }
        let mut bytes = b"7 (\xff\xfe) ".to_vec();
        bytes.extend_from_slice(REST.as_bytes());
        assert!(parse_process_stat(&bytes).is_some());
    }

    proptest::proptest! {
        #[test]
        fn no_name_moves_the_fields(name in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
            let line = [b"7 (", name.as_slice(), b") ", REST.as_bytes()].concat();
            let found = parse_process_stat(&line).unwrap();
            proptest::prop_assert_eq!((found.session, found.start_time), (12, 987_654));
            // And without an end it is nothing, or what the name made of it: no panic.
            let _ = parse_process_stat(&line[..line.len() / 2]);
        }
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for line in [
            "",
            "7",
            "7 (sh",
            "7 (sh)",
            "7 (sh) S 1 2 3 4 5",
            "7 (sh) S x 1 1",
        ] {
            assert_eq!(parse_process_stat(line.as_bytes()), None, "{line:?}");
        }
    }
}
