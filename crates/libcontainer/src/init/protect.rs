//! `linux.readonlyPaths` and `linux.maskedPaths`.
//!
//! Each path is resolved once, below the root, to a descriptor; what covers it is
//! placed on that descriptor (CVE-2025-31133, GHSA-3q8j-pf29-vwv8). A path that does
//! not exist has nothing to hide and is skipped.

use std::os::fd::{AsFd, OwnedFd};

use defence::Defence;
use kernel::mount::{self, MountAttributes};
use kernel::{Errno, fs};

use super::filesystem::new_tmpfs;
use super::{Build, refuse};

/// What reads as empty and takes everything.
const NULL: &str = "/dev/null";

impl Build<'_> {
    /// A clone of the tree below it, read-only, over itself. Its other attributes
    /// are kept.
    pub(super) fn protect(&mut self, path: &str) -> kernel::Result<()> {
        let Some(target) = self.existing(path)? else {
            return Ok(());
        };
        let tree = mount::open_tree_fd(target.as_fd(), true)?;
        if Defence::ResolveOnce.is_off() {
            return self.protect_twice_resolved(path, &tree, &target);
        }
        mount::set_attributes(tree.as_fd(), true, &read_only())?;
        mount::move_mount(tree.as_fd(), target.as_fd())
    }

    /// Files become the container's /dev/null, directories one empty file system of
    /// this container. Neither is the host's: with CAP_SYS_ADMIN a mask can be made
    /// writable, and then mode, owner and times of a node of the host would change.
    pub(super) fn mask(&mut self, path: &str, label: Option<&str>) -> kernel::Result<()> {
        let Some(target) = self.existing(path)? else {
            return Ok(());
        };
        let cover = if fs::stat(target.as_fd())?.kind == fs::FileKind::Directory {
            self.empty_directory(label)?
        } else {
            self.null()?
        };
        mount::move_mount(cover.as_fd(), target.as_fd())
    }

    /// The first is a clone of the node that is there, which the image may have put
    /// there: it is held by a descriptor and verified to be the null device
    /// (CVE-2025-31133, CVE-2025-62161). The others are clones of the first.
    fn null(&mut self) -> kernel::Result<OwnedFd> {
        if let Some(first) = &self.null {
            return mount::open_tree_fd(first.as_fd(), false);
        }
        if Defence::VerifyNull.is_off() {
            return self.whatever_null_is(NULL);
        }
        let node = self.root()?.look_up_no_follow(NULL)?;
        let stat = fs::stat(node.as_fd())?;
        if stat.kind != fs::FileKind::Char || stat.rdev != (1, 3) {
            let what = format!("{NULL} in the root is not the device 1:3, so it hides nothing");
            return Err(refuse(Errno::NODEV, what));
        }
        let first = mount::open_tree_fd(node.as_fd(), false)?;
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

pub(super) fn read_only() -> MountAttributes<'static> {
    MountAttributes {
        set: mount::MOUNT_ATTR_RDONLY,
        ..Default::default()
    }
}
