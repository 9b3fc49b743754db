//! What needs the container's own root: console, names, sysctls, working directory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use defence::Defence;
use kernel::fs::OFlags;
use kernel::procfs::Procfs;
use kernel::{Errno, fs, mount, process, system, tty};
use plan::{ConsoleSize, InitOp};

use super::{Build, refuse};
use crate::sync::InitMessage;

/// chown(2) leaves this id alone.
const KEEP: u32 = u32::MAX;

impl Build<'_> {
    pub(super) fn arrange(&mut self, op: &InitOp) -> kernel::Result<()> {
        match op {
            InitOp::OpenConsole { size, uid, device } => self.open_console(*size, *uid, *device),
            InitOp::SetHostname(name) => system::set_hostname(name),
            InitOp::SetDomainname(name) => system::set_domainname(name),
            InitOp::WriteSysctl { file, value } => self.write_sysctl(file, value),
            InitOp::MakeWorkingDirectory { path, uid, gid } => {
                self.make_working_directory(path, *uid, *gid)
            }
            InitOp::OpenWorkingDirectory { path } => self.open_working_directory(path),
            _ => Ok(()),
        }
    }

    /// The pty comes from the container's own devpts, verified to be one, and its
    /// slave from the master by ioctl: no name of the container's is trusted
    /// (CVE-2025-52565).
    fn open_console(
        &mut self,
        size: Option<ConsoleSize>,
        uid: u32,
        device: bool,
    ) -> kernel::Result<()> {
        if Defence::VerifyDevpts.is_off() {
            return self.open_console_by_name();
        }
        let devpts = self.root()?.look_up("/dev/pts")?;
        let tty::Pty { controller, peer } = tty::open_pty_in(devpts.as_fd())?;
        if let Some(ConsoleSize { height, width }) = size {
            let size = tty::Size {
                rows: height,
                columns: width,
            };
            tty::set_size(peer.as_fd(), size)?;
        }
        match fs::change_owner(peer.as_fd(), uid, KEEP) {
            // A user namespace without this id, or a read-only devpts.
            Err(error) if matches!(error.errno(), Errno::PERM | Errno::ROFS | Errno::INVAL) => {}
            changed => changed?,
        }
        if device {
            self.bind_console(&peer)?;
        }
        self.channel.say_with(&InitMessage::Console, &controller)?;
        if !self.plan.namespaces.fork_into_pid_namespace {
            tty::set_controlling(peer.as_fd())?;
        }
        for stream in 0..3 {
            process::duplicate_to(peer.as_fd(), stream, false)?;
        }
        Ok(())
    }

    /// `/dev/console` is the same terminal.
    pub(super) fn bind_console(&mut self, peer: &OwnedFd) -> kernel::Result<()> {
        let root = self.root()?;
        let target = match root.look_up_no_follow("/dev/console") {
            Err(error) if error.errno() == Errno::NOENT => root.make_file("/dev/console", 0o600)?,
            found => found?,
        };
        if fs::stat(target.as_fd())?.kind == fs::FileKind::Symlink {
            return Err(refuse(Errno::LOOP, "/dev/console in the root is a symlink"));
        }
        let tree = mount::open_tree_fd(peer.as_fd(), false)?;
        mount::move_mount(tree.as_fd(), target.as_fd())
    }

    /// Through a procfs of our own: the container's may be covered with anything
    /// (CVE-2025-52881).
    fn write_sysctl(&mut self, file: &str, value: &str) -> kernel::Result<()> {
        if Defence::OwnProcfs.is_off() {
            return fs::write_value(&format!("/proc/sys/{file}"), value);
        }
        if self.full_procfs.is_none() {
            self.full_procfs = Some(Procfs::new_full()?);
        }
        match &self.full_procfs {
            Some(procfs) => procfs.write(&format!("sys/{file}"), value),
            None => Ok(()),
        }
    }

    /// Only when it is missing: the root may be read-only by nature.
    fn make_working_directory(&mut self, path: &str, uid: u32, gid: u32) -> kernel::Result<()> {
        let root = self.root()?;
        if Defence::Descriptors.is_off() {
            return Ok(());
        }
        match root.look_up(path) {
            Err(error) if error.errno() == Errno::NOENT => {
                root.make_directories_owned(path, 0o755, uid, gid).map(drop)
            }
            found => found.map(drop),
        }
    }

    /// The descriptor replaces the placeholder whose number the stub knows. Found
    /// below the root without magic links, it cannot be a directory of the host
    /// (CVE-2024-21626); found after everything was mounted, it does not lie below a
    /// mask or a read-only path. An image chooses its working directory: one that was
    /// opened earlier would be a way to a writable /proc/sys.
    fn open_working_directory(&mut self, path: &str) -> kernel::Result<()> {
        let directory = if Defence::Descriptors.is_off() {
            fs::open_path(path)?
        } else {
            self.root()?.look_up(path)?
        };
        if fs::stat(directory.as_fd())?.kind != fs::FileKind::Directory {
            return Err(kernel::Error::new(
                Errno::NOTDIR,
                format!("openat2({path:?})"),
            ));
        }
        let number = self.descriptors.working_directory.as_raw_fd();
        process::duplicate_to(directory.as_fd(), number, true)
    }

    /// A file of the container, read whole, or nothing when there is none.
    pub(super) fn read_in_root(&self, path: &str, limit: usize) -> Option<Vec<u8>> {
        let root = self.root().ok()?;
        let is_file =
            |fd: BorrowedFd<'_>| fs::stat(fd).is_ok_and(|stat| stat.kind == fs::FileKind::File);
        // Looked at first: to open a device does something to it.
        is_file(root.look_up(path).ok()?.as_fd()).then_some(())?;
        // O_NONBLOCK: it may have become a fifo that nobody writes.
        let file = root.open(path, OFlags::RDONLY | OFlags::NONBLOCK).ok()?;
        is_file(file.as_fd()).then_some(())?;
        fs::read_to_end(file.as_fd(), limit).ok()
    }
}
