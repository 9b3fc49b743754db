//! Into cgroups and namespaces.

use std::os::fd::AsFd;

use defence::Defence;
use kernel::beneath::Root;
use kernel::procfs::Procfs;
use kernel::{Errno, affinity, fs, identity, keyring, mount, namespace, netlink, prctl};
use plan::{InitOp, NamespaceKind, Slot};

use super::Build;
use crate::parent::{become_root, flag_of};
use crate::sync::InitMessage;

impl Build<'_> {
    pub(super) fn enter(&mut self, op: &InitOp) -> kernel::Result<()> {
        match op {
            InitOp::JoinCgroups => self.join_cgroups(),
            InitOp::AwaitScope => self.await_scope(),
            InitOp::AwaitIdMap { keep_groups } => self.await_id_map(*keep_groups),
            InitOp::JoinNamespace { kind, slot } => self.join_namespace(*kind, *slot),
            InitOp::EnterContainer {
                namespaces,
                init,
                root,
                keep_groups,
            } => self.enter_container(namespaces, *init, *root, *keep_groups),
            InitOp::SetCpuAffinity { cpus } => affinity::set(cpus),
            InitOp::EnterDelegatedCgroup { procs } => self.enter_delegated_cgroup(*procs),
            InitOp::UnshareCgroup => namespace::unshare(namespace::NEW_CGROUP),
            InitOp::NewSessionKeyring { name } => self.join_keyring(name),
            InitOp::SetKeyLabel(label) => {
                Procfs::host()?.write("thread-self/attr/keycreate", label)
            }
            InitOp::AwaitNetDevices => {
                self.channel.say(&InitMessage::NeedNetDevices)?;
                self.channel.await_go()
            }
            InitOp::BringUpLoopback => netlink::bring_up_loopback(),
            _ => Ok(()),
        }
    }

    /// What lies below the scope could not be opened before there was one.
    fn await_scope(&mut self) -> kernel::Result<()> {
        let procs = self.channel.await_go_with()?;
        if let Some((procs, delegated)) = procs.zip(self.plan.cgroup.delegated.as_ref()) {
            self.slots.put(delegated.procs, procs);
        }
        Ok(())
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

    /// The move waits for a grace period, which who asks for it pays.
    fn enter_delegated_cgroup(&mut self, procs: Slot) -> kernel::Result<()> {
        fs::write_all(self.slots.take(procs)?.as_fd(), b"0")
    }

    /// Without ids in the new user namespace nothing can be owned or done there.
    fn await_id_map(&mut self, keep_groups: bool) -> kernel::Result<()> {
        self.channel.say(&InitMessage::NeedIdMap)?;
        self.channel.await_go()?;
        become_root()?;
        if !keep_groups {
            drop_groups()?;
        }
        // The change of identity cleared both.
        prctl::set_parent_death_signal(Some(kernel::signal::KILL))?;
        prctl::set_dumpable(false)
    }

    /// The session keyring of this name, made if there is none. `exec` joins by name,
    /// and the kernel finds by name only what may be searched.
    fn join_keyring(&self, name: &str) -> kernel::Result<()> {
        /// `KEY_USR_SEARCH`, keyctl_setperm(3)
        const USER_MAY_SEARCH: u32 = 0x0008_0000;
        if Defence::SessionKeyring.is_off() {
            return Ok(());
        }
        let serial = match keyring::join_session_keyring(name) {
            // A kernel without keyrings has none to leak.
            Err(error) if error.errno() == Errno::NOSYS => return Ok(()),
            joined => joined?,
        };
        keyring::add_permissions(serial, USER_MAY_SEARCH)
    }

    /// All namespaces in one call, or none. From here on the root, too, is the
    /// container's.
    fn enter_container(
        &mut self,
        namespaces: &[NamespaceKind],
        init: Slot,
        root: Option<Slot>,
        keep_groups: bool,
    ) -> kernel::Result<()> {
        // Where the pid namespace is shared, what lives in it may see us.
        prctl::set_dumpable(false)?;
        let init = self.slots.take(init)?;
        let root = root.map(|slot| self.slots.take(slot)).transpose()?;
        let flags = namespaces
            .iter()
            .fold(0, |flags, kind| flags | flag_of(*kind));
        if flags != 0 {
            namespace::set_namespace(init.as_fd(), flags)?;
        }
        if let Some(root) = root {
            mount::change_directory(root.as_fd())?;
            mount::chroot_here()?;
        }
        if namespaces.contains(&NamespaceKind::User) {
            become_root()?;
            if !keep_groups {
                drop_groups()?;
            }
        }
        // A change of identity clears both.
        if self.ends_with_parent {
            prctl::set_parent_death_signal(Some(kernel::signal::KILL))?;
        }
        prctl::set_dumpable(false)?;
        self.root = Some(Root::new(fs::open_path("/")?));
        Ok(())
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

/// None of the caller's leak in.
fn drop_groups() -> kernel::Result<()> {
    match identity::set_groups(&[]) {
        // setgroups was denied by the writer of the map: the caller's stay.
        Err(error) if error.errno() == Errno::PERM => Ok(()),
        dropped => dropped,
    }
}
