//! `linux.readonlyPaths` and `linux.maskedPaths`.
//!
//! Each path is resolved once, below the root, to a descriptor; what covers it is
//! placed on that descriptor (CVE-2025-31133, GHSA-3q8j-pf29-vwv8). A path that does
//! not exist has nothing to hide and is skipped.

use std::os::fd::{AsFd, OwnedFd};

use kernel::mount::{self, MountAttributes};
use kernel::{Errno, fs};
use plan::Slot;

use super::Build;
use super::filesystem::new_tmpfs;

impl Build<'_> {
    /// A clone of the tree below it, read-only, over itself. Its other attributes
    /// are kept.
    pub(super) fn protect(&mut self, path: &str) -> kernel::Result<()> {
        let Some(target) = self.existing(path)? else {
            return Ok(());
        };
        let tree = mount::open_tree_fd(target.as_fd(), true)?;
        mount::set_attributes(tree.as_fd(), true, &read_only())?;
        mount::move_mount(tree.as_fd(), target.as_fd())
    }

    /// Files become the host's /dev/null (the container's may be a lie), directories
    /// one empty file system of this container.
    pub(super) fn mask(
        &mut self,
        path: &str,
        null: Slot,
        label: Option<&str>,
    ) -> kernel::Result<()> {
        let Some(target) = self.existing(path)? else {
            return Ok(());
        };
        let cover = if fs::stat(target.as_fd())?.kind == fs::FileKind::Directory {
            self.empty_directory(label)?
        } else {
            self.null(null)?
        };
        mount::move_mount(cover.as_fd(), target.as_fd())
    }

    /// The first is the tree the parent opened, the others are clones of it: a tree
    /// that is never attached costs an RCU grace period when it is closed.
    fn null(&mut self, slot: Slot) -> kernel::Result<OwnedFd> {
        if let Some(first) = &self.null {
            return mount::open_tree_fd(first.as_fd(), false);
        }
        let first = self.slots.take(slot)?;
        mount::set_attributes(first.as_fd(), false, &read_only())?;
        self.null = first.try_clone().ok();
        Ok(first)
    }

    fn existing(&self, path: &str) -> kernel::Result<Option<OwnedFd>> {
        match self.root()?.look_up(path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first is made, the others are clones of it, at a third of the price.
    fn empty_directory(&mut self, label: Option<&str>) -> kernel::Result<OwnedFd> {
        if let Some(first) = &self.empty_directory {
            return mount::open_tree_fd(first.as_fd(), false);
        }
        let mut parameters = vec![
            ("source", "tmpfs"),
            ("nr_blocks", "1"),
            ("nr_inodes", "2"),
            ("mode", "555"),
        ];
        parameters.extend(label.map(|label| ("context", label)));
        let first = new_tmpfs(&parameters)?;
        mount::set_attributes(first.as_fd(), false, &read_only())?;
        self.empty_directory = first.try_clone().ok();
        Ok(first)
    }
}

fn read_only() -> MountAttributes<'static> {
    MountAttributes {
        set: mount::MOUNT_ATTR_RDONLY,
        ..Default::default()
    }
}
