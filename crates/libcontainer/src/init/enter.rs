//! Into cgroups and namespaces.

use std::os::fd::AsFd;

use kernel::{Errno, fs, identity, keyring, namespace, netlink, prctl};
use plan::{InitOp, NamespaceKind, Slot};

use super::Build;
use crate::parent::{become_root, flag_of};
use crate::sync::InitMessage;

impl Build<'_> {
    pub(super) fn enter(&mut self, op: &InitOp) -> kernel::Result<()> {
        match op {
            InitOp::JoinCgroups => self.join_cgroups(),
            InitOp::AwaitIdMap => self.await_id_map(),
            InitOp::JoinNamespace { kind, slot } => self.join_namespace(*kind, *slot),
            InitOp::UnshareCgroup => namespace::unshare(namespace::NEW_CGROUP),
            InitOp::NewSessionKeyring { name } => {
                match keyring::join_session_keyring(name).map(drop) {
                    // A kernel without keyrings has none to leak.
                    Err(error) if error.errno() == Errno::NOSYS => Ok(()),
                    joined => joined,
                }
            }
            InitOp::AwaitNetDevices => {
                self.channel.say(&InitMessage::NeedNetDevices)?;
                self.channel.await_go()
            }
            InitOp::BringUpLoopback => netlink::bring_up_loopback(),
            _ => Ok(()),
        }
    }

    /// `0` is the writer itself. A process of one thread that moves itself through
    /// `tasks` waits for no RCU grace period, which a write to `cgroup.procs` does,
    /// 4 to 11 ms on an idle host.
    fn join_cgroups(&mut self) -> kernel::Result<()> {
        for tasks in self.tasks.drain(..) {
            fs::write_all(tasks.as_fd(), b"0")?;
        }
        Ok(())
    }

    /// Without ids in the new user namespace nothing can be owned or done there.
    fn await_id_map(&mut self) -> kernel::Result<()> {
        self.channel.say(&InitMessage::NeedIdMap)?;
        self.channel.await_go()?;
        become_root()?;
        match identity::set_groups(&[]) {
            // setgroups was denied by the writer of the map: the caller's stay.
            Err(error) if error.errno() == Errno::PERM => {}
            cleared => cleared?,
        }
        // The change of identity cleared both.
        prctl::set_parent_death_signal(Some(kernel::signal::KILL))?;
        prctl::set_dumpable(false)
    }

    fn join_namespace(&mut self, kind: NamespaceKind, slot: Slot) -> kernel::Result<()> {
        let fd = self.slots.take(slot)?;
        namespace::set_namespace(fd.as_fd(), flag_of(kind))?;
        if kind == NamespaceKind::User {
            become_root()?;
            prctl::set_dumpable(false)?;
        }
        Ok(())
    }
}
