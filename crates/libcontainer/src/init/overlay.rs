//! A writable layer over the root, which stays as it is (`--overlay`).
//!
//! ```text
//! root.path ── tmpfs ── lower        the tree that was cloned
//!                 │ ├── layer/upper  a directory of the tmpfs, or of the host
//!                 │ └── layer/work
//!                 └── overlay of the three: the container's root
//! ```
//!
//! All of it is mounted in init's own mount namespace and nothing on the host, so there
//! is nothing to take down, whoever is killed when. After the pivot the overlay alone is
//! left; it holds clones of what it is made of.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kernel::beneath::Root;
use kernel::mount::FsContext;
use kernel::{Errno, fs, mount};
use plan::Slot;

use super::Build;

impl Build<'_> {
    /// Makes the root of the detached tree and a layer.
    pub(super) fn overlay_root(
        &mut self,
        slot: Slot,
        layer: Option<Slot>,
        user_xattrs: bool,
    ) -> kernel::Result<()> {
        let (tree, target) = self.root_tree(slot)?;
        let scratch = FsContext::open("tmpfs")?;
        scratch.set_string("source", "layer")?;
        scratch.set_string("mode", "0755")?;
        scratch.create()?;
        let scratch = scratch.mount(0)?;
        // Attached: until Linux 6.15 overlayfs takes no layer from a detached mount.
        mount::move_mount(scratch.as_fd(), target.as_fd())?;
        for name in ["lower", "layer"] {
            fs::make_directory_at(scratch.as_fd(), name, 0o755)?;
        }
        let lower = fs::open_path_at(scratch.as_fd(), "lower")?;
        mount::move_mount(tree.as_fd(), lower.as_fd())?;
        if let Some(slot) = layer {
            let layer = self.slots.take(slot)?;
            let place = fs::open_path_at(scratch.as_fd(), "layer")?;
            mount::move_mount(layer.as_fd(), place.as_fd())?;
        }
        make_layer(scratch.as_fd(), tree.as_fd())?;
        // Paths relative to the working directory need no /proc and cannot be somebody
        // else's; a colon or comma in root.path would have a meaning.
        mount::change_directory(scratch.as_fd())?;
        let merged = open_overlay(user_xattrs)?;
        mount::move_mount(merged.as_fd(), scratch.as_fd())?;
        self.root = Some(Root::new(merged));
        Ok(())
    }
}

fn open_overlay(user_xattrs: bool) -> kernel::Result<OwnedFd> {
    let overlay = FsContext::open("overlay")?;
    overlay.set_string("source", "overlay")?;
    overlay.set_string("lowerdir", "lower")?;
    overlay.set_string("upperdir", "layer/upper")?;
    overlay.set_string("workdir", "layer/work")?;
    if user_xattrs {
        overlay.set_flag("userxattr")?;
    }
    overlay.create()?;
    overlay.mount(0)
}

/// `layer/upper` and `layer/work`. A layer that is there already is gone on with.
fn make_layer(scratch: BorrowedFd<'_>, tree: BorrowedFd<'_>) -> kernel::Result<()> {
    let layer = fs::open_directory_at(scratch, "layer")?;
    for name in ["upper", "work"] {
        match fs::make_directory_at(layer.as_fd(), name, 0o755) {
            // The upper directory is what the container sees as `/`.
            Ok(()) if name == "upper" => resemble(layer.as_fd(), name, tree)?,
            Err(error) if error.errno() != Errno::EXIST => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Mode and owner of `model`. An owner that is not mapped here cannot be given.
fn resemble(directory: BorrowedFd<'_>, name: &str, model: BorrowedFd<'_>) -> kernel::Result<()> {
    let stat = fs::stat(model)?;
    let made = fs::open_path_at(directory, name)?;
    let _ = fs::change_owner(made.as_fd(), stat.uid, stat.gid);
    fs::change_mode(made.as_fd(), stat.mode)
}
