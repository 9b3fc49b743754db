//! The root: attached, changed, made read-only.

use std::os::fd::{AsFd, OwnedFd};

use kernel::beneath::Root;
use kernel::{Errno, fs, mount};
use plan::{InitOp, PropagationKind, RootChange, Slot};

use super::attributes::{kind_of, propagation_of};
use super::{Build, refuse};

impl Build<'_> {
    pub(super) fn change_root(&mut self, op: &InitOp) -> kernel::Result<()> {
        match op {
            InitOp::SetRootPropagation(propagation) => {
                self.default_propagation = Some(*propagation);
                // Shared would carry our mounts to the host, and pivot_root refuses
                // it; `SetPropagation` makes the new root shared after the pivot.
                // Everything in this namespace, or what is not covered would leak.
                mount::change_propagation("/", true, kind_of(self.kind_for_trees()))
            }
            InitOp::AttachRoot { slot } => self.attach_root(*slot),
            InitOp::OverlayRoot {
                slot,
                layer,
                user_xattrs,
            } => self.overlay_root(*slot, *layer, *user_xattrs),
            InitOp::OpenRootInPlace => {
                let directory = fs::open_path(&self.plan.rootfs)?;
                self.root = Some(Root::new(directory));
                Ok(())
            }
            InitOp::ChangeRoot(change) => self.enter_root(*change),
            InitOp::SetPropagation(propagation) => {
                mount::change_propagation("/", propagation.recursive, kind_of(propagation.kind))
            }
            InitOp::MakeReadOnly { target } => {
                let target = self.root()?.look_up(target)?;
                make_read_only(target.as_fd())
            }
            InitOp::MakeRootReadOnly => make_read_only(self.root()?.fd()),
            _ => Ok(()),
        }
    }

    /// Moves the detached tree onto its own path, where hooks expect it, in this
    /// mount namespace.
    fn attach_root(&mut self, slot: Slot) -> kernel::Result<()> {
        let (tree, target) = self.root_tree(slot)?;
        mount::move_mount(tree.as_fd(), target.as_fd())?;
        self.root = Some(Root::new(tree));
        Ok(())
    }

    /// The detached tree, and the directory it was cloned from.
    pub(super) fn root_tree(&mut self, slot: Slot) -> kernel::Result<(OwnedFd, OwnedFd)> {
        let tree = self.slots.take(slot)?;
        // A tree keeps its peer group when it is cloned; what is mounted in it from
        // here on must not show up on the host.
        let kind = self.kind_for_trees();
        mount::set_attributes(tree.as_fd(), true, &propagation_of(kind))?;
        let target = match self.root_target.take() {
            Some(target) => target,
            None => fs::open_path(&self.plan.rootfs)?,
        };
        Ok((tree, target))
    }

    /// What trees of the host become in this mount namespace: as `/` is, but never
    /// a peer of what they were cloned from.
    pub(super) fn kind_for_trees(&self) -> PropagationKind {
        match self.default_propagation {
            Some(p) if p.kind != PropagationKind::Shared => p.kind,
            _ => PropagationKind::Slave,
        }
    }

    fn enter_root(&mut self, change: RootChange) -> kernel::Result<()> {
        let root = self.root()?.fd();
        mount::change_directory(root)?;
        match change {
            RootChange::Pivot => {
                // The new root is put where the old one is, and the old one on top of it.
                mount::pivot_root_here()?;
                mount::unmount_detach(".")?;
                mount::change_directory_path("/")
            }
            RootChange::Move => mount::move_root_and_chroot(),
            RootChange::Chroot => {
                mount::chroot_here()?;
                mount::change_directory_path("/")
            }
        }
    }
}

fn make_read_only(fd: std::os::fd::BorrowedFd<'_>) -> kernel::Result<()> {
    let read_only = mount::MountAttributes {
        set: mount::MOUNT_ATTR_RDONLY,
        ..Default::default()
    };
    mount::set_attributes(fd, false, &read_only).map_err(|error| {
        if error.errno() == Errno::INVAL {
            return refuse(Errno::INVAL, "it is not a mount of its own");
        }
        error
    })
}
