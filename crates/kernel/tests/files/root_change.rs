//! The root of a process, each test with a root and mounts of its own.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use kernel::Errno;
use kernel::mount::{
    FsContext, change_directory, change_directory_path, chroot_here, classic_mount_on_fd,
    current_directory, mount_attributes, move_mount, move_root_and_chroot, pivot_to,
};

use crate::sandbox::in_mount_namespace;

/// A tmpfs with one file, mounted on `dir`.
fn mount_root(dir: &Path) -> OwnedFd {
    let context = FsContext::open("tmpfs").unwrap();
    context.create().unwrap();
    let mount = context.mount(0).unwrap();
    let target = kernel::fs::open_path(dir.to_str().unwrap()).unwrap();
    move_mount(mount.as_fd(), target.as_fd()).unwrap();
    fs::write(dir.join("new"), "").unwrap();
    mount
}

fn names_in_root() -> Vec<String> {
    let root = kernel::fs::open_directory("/").unwrap();
    let entries = kernel::fs::read_directory(root.as_fd()).unwrap();
    entries.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn pivot_leaves_nothing_of_the_old_root() {
    in_mount_namespace(|dir| {
        let mount = mount_root(dir);
        pivot_to(mount.as_fd()).unwrap();
        assert_eq!(names_in_root(), ["new"]);
        assert_eq!(current_directory().unwrap(), "/");
        change_directory_path("..").unwrap();
        assert_eq!(current_directory().unwrap(), "/");
        let procfs = kernel::procfs::Procfs::new().unwrap();
        let mounts = procfs.read("thread-self/mountinfo", 1 << 20).unwrap();
        let mounts = String::from_utf8(mounts).unwrap();
        assert_eq!(mounts.lines().count(), 1, "{mounts}");
    });
}

#[test]
fn the_root_is_moved_where_it_cannot_be_pivoted() {
    in_mount_namespace(|dir| {
        let mount = mount_root(dir);
        change_directory(mount.as_fd()).unwrap();
        move_root_and_chroot().unwrap();
        assert_eq!(names_in_root(), ["new"]);
    });
}

#[test]
fn a_directory_outside_of_the_root_is_named() {
    in_mount_namespace(|dir| {
        let outside = kernel::fs::open_path("/").unwrap();
        change_directory_path(dir.to_str().unwrap()).unwrap();
        chroot_here().unwrap();
        assert_eq!(current_directory().unwrap(), "/");
        change_directory(outside.as_fd()).unwrap();
        let error = current_directory().unwrap_err();
        assert_eq!(
            error.to_string(),
            "getcwd(): \"(unreachable)/\" is outside of the root"
        );
    });
}

#[test]
fn mount_2_takes_a_descriptor_too() {
    in_mount_namespace(|dir| {
        let target = kernel::fs::open_path(dir.to_str().unwrap()).unwrap();
        change_directory_path("/etc").unwrap();
        let flags = u32::try_from(libc::MS_NOSUID | libc::MS_SILENT).unwrap();
        classic_mount_on_fd("none", target.as_fd(), "tmpfs", flags, "size=64k").unwrap();
        assert_eq!(current_directory().unwrap(), "/etc");
        let found = kernel::fs::open_path(dir.to_str().unwrap()).unwrap();
        assert_eq!(
            mount_attributes(found.as_fd()).unwrap(),
            kernel::mount::MOUNT_ATTR_NOSUID
        );
        let error =
            classic_mount_on_fd("none", target.as_fd(), "tmpfs", flags, "size=lots").unwrap_err();
        assert_eq!(error.errno(), Errno::INVAL);
        assert_eq!(current_directory().unwrap(), "/etc");
    });
}
