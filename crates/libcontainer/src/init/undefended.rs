//! What a runtime does that has not been attacked yet. Reached only in a build with
//! the feature `undefended`, when [`Defence::is_off`](defence::Defence::is_off) says
//! so: each is the mistake of a published advisory, for its test to notice.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use kernel::fs::OFlags;
use kernel::process::{self, Clone3, Forked};
use kernel::stub::Message;
use kernel::{Errno, mount, socket, tty};

use super::protect::read_only;
use super::{Build, refuse};
use crate::sync::InitMessage;

impl Build<'_> {
    /// GHSA-3q8j-pf29-vwv8: bound, and made read-only by its path afterwards.
    pub(super) fn protect_twice_resolved(
        &self,
        path: &str,
        tree: &OwnedFd,
        target: &OwnedFd,
    ) -> kernel::Result<()> {
        mount::move_mount(tree.as_fd(), target.as_fd())?;
        // The attacker's chance, which a slow disk would give him.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let again = self.root()?.look_up(path)?;
        mount::set_attributes(again.as_fd(), false, &read_only())
    }

    /// CVE-2025-31133: the image's /dev/null, whatever it is.
    pub(super) fn whatever_null_is(&self, path: &str) -> kernel::Result<OwnedFd> {
        let node = self.root()?.look_up(path)?;
        let tree = mount::open_tree_fd(node.as_fd(), false)?;
        mount::set_attributes(tree.as_fd(), false, &read_only())?;
        Ok(tree)
    }

    /// CVE-2025-52565: the controller through whatever `ptmx` is, and the other end by
    /// the name that it should have.
    pub(super) fn open_console_by_name(&mut self) -> kernel::Result<()> {
        let root = self.root()?;
        // As if somebody had opened the symlink /dev/pts/ptmx -> /pts/ptmx.
        let devpts = root.look_up("/pts")?;
        let tty::Pty { controller, peer } = tty::open_pty_in(devpts.as_fd())?;
        let named = root.open("/dev/pts/0", OFlags::PATH)?;
        self.bind_console(&named)?;
        self.channel.say_with(&InitMessage::Console, &controller)?;
        tty::set_controlling(peer.as_fd())?;
        for stream in 0..3 {
            process::duplicate_to(peer.as_fd(), stream, false)?;
        }
        Ok(())
    }

    /// CVE-2019-5736, CVE-2016-9962: the host's binary executes the program itself, with
    /// a number in the container's pid namespace.
    pub(super) fn execute_as_we_are(
        &self,
        argv: &[CString],
        env: &[CString],
    ) -> kernel::Result<kernel::Error> {
        let socket = self.descriptors.socket.as_fd();
        let tell = |message: Message| socket::send(socket, &message.encode().unwrap_or([0; 16]));
        if self.plan.namespaces.fork_into_pid_namespace {
            let sibling = Clone3 {
                parent_is_ours: true,
                ..Clone3::default()
            };
            if let Forked::Parent { pid, .. } = process::clone3(&sibling)? {
                tell(Message::Forked { pid })?;
                process::exit_now(0);
            }
        }
        tell(Message::Ready)?;
        self.channel.await_go()?;
        match argv.split_first() {
            Some((program, argv)) => Ok(process::execute(program, argv, env)),
            None => Err(refuse(Errno::NOENT, "no program was found")),
        }
    }
}
