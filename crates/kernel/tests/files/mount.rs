//! Mounts, each test in a mount namespace of its own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use kernel::Errno;
use kernel::fs::{TMPFS_MAGIC, filesystem_magic, open_path};
use kernel::mount::{
    FsContext, MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME,
    MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_STRICTATIME, MountAttributes, Propagation, change_propagation_fd, mount_attributes,
    move_mount, open_tree, open_tree_fd, set_attributes, unmount_detach,
};

use crate::beneath::open_root;
use crate::sandbox::{in_mount_namespace, without_system_call};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn make_tmpfs(attributes: u64) -> OwnedFd {
    let context = FsContext::open("tmpfs").unwrap();
    context.set_string("source", "tmpfs").unwrap();
    context.set_string("size", "64k").unwrap();
    context.create().unwrap();
    context.mount(attributes).unwrap()
}

/// Mounts a tmpfs on a new directory `name` in `dir`.
fn mount_tmpfs(dir: &Path, name: &str) -> OwnedFd {
    let mount = make_tmpfs(0);
    let target = open_root(dir).make_directories(name, 0o755).unwrap();
    move_mount(mount.as_fd(), target.as_fd()).unwrap();
    mount
}

#[test]
fn a_file_system_is_placed_on_a_descriptor() {
    in_mount_namespace(|dir| {
        let root = open_root(dir);
        let target = root.make_directories("a/b", 0o755).unwrap();
        let mount = make_tmpfs(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        move_mount(mount.as_fd(), target.as_fd()).unwrap();
        let found = root.look_up("a/b").unwrap();
        assert_eq!(filesystem_magic(found.as_fd()).unwrap(), TMPFS_MAGIC);
        assert_eq!(
            mount_attributes(found.as_fd()).unwrap(),
            MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
        );
        assert_eq!(
            kernel::fs::mount_id(found.as_fd()).unwrap(),
            kernel::fs::mount_id(mount.as_fd()).unwrap()
        );
        let full = fs::write(dir.join("a/b/file"), vec![0; 100_000]);
        assert_eq!(full.unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    });
}

#[test]
fn the_kernel_tells_what_it_did_not_like() {
    let context = FsContext::open("tmpfs").unwrap();
    let error = context.set_string("sizee", "1m").unwrap_err();
    assert_eq!(error.errno(), Errno::INVAL);
    assert_eq!(
        error.to_string(),
        "fsconfig(\"sizee\", \"1m\"): tmpfs: Unknown parameter 'sizee'"
    );
    let error = context.set_string("size", "lots").unwrap_err();
    assert_eq!(error.detail(), Some("tmpfs: Bad value for 'size'"));
    let error = context.set_flag("quiet").unwrap_err();
    assert_eq!(error.detail(), Some("tmpfs: Unknown parameter 'quiet'"));
    let error = FsContext::open("nosuchfs").unwrap_err();
    assert_eq!(
        error.to_string(),
        "fsopen(\"nosuchfs\"): this kernel has no file system \"nosuchfs\""
    );
}

#[test]
fn a_file_is_bound_read_only_before_it_is_seen() {
    in_mount_namespace(|dir| {
        let source = dir.join("source");
        fs::write(&source, "content").unwrap();
        let copy = open_tree(text(&source), true, false, false).unwrap();
        let read_only = MountAttributes {
            set: MOUNT_ATTR_RDONLY,
            ..Default::default()
        };
        set_attributes(copy.as_fd(), false, &read_only).unwrap();
        let root = open_root(dir);
        let target = root.make_file("etc/target", 0o644).unwrap();
        move_mount(copy.as_fd(), target.as_fd()).unwrap();
        let target = dir.join("etc/target");
        assert_eq!(fs::read(&target).unwrap(), b"content");
        let refused = fs::write(&target, "x").unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EROFS));
        fs::write(&source, "changed").unwrap();
        let file = root.look_up("source").unwrap();
        let error = move_mount(make_tmpfs(0).as_fd(), file.as_fd()).unwrap_err();
        assert_eq!(
            error.detail(),
            Some("a directory cannot be mounted on a regular file")
        );
    });
}

#[test]
fn attributes_reach_all_below_when_asked() {
    in_mount_namespace(|dir| {
        let top = mount_tmpfs(dir, "top");
        mount_tmpfs(&dir.join("top"), "below");
        let copy = open_tree_fd(top.as_fd(), true).unwrap();
        let read_only = MountAttributes {
            set: MOUNT_ATTR_RDONLY,
            ..Default::default()
        };
        set_attributes(copy.as_fd(), true, &read_only).unwrap();
        let target = open_root(dir).make_directories("t", 0o755).unwrap();
        move_mount(copy.as_fd(), target.as_fd()).unwrap();
        for name in ["t/x", "t/below/x"] {
            let refused = fs::write(dir.join(name), "").unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::EROFS), "{name}");
        }
        fs::write(dir.join("top/below/x"), "").unwrap();
        let shallow = open_tree_fd(top.as_fd(), false).unwrap();
        let target = open_root(dir).make_directories("s", 0o755).unwrap();
        move_mount(shallow.as_fd(), target.as_fd()).unwrap();
        assert!(!dir.join("s/below/x").exists());
    });
}

#[test]
fn every_attribute_is_read_back() {
    let mount = make_tmpfs(0);
    let all = MOUNT_ATTR_RDONLY
        | MOUNT_ATTR_NOSUID
        | MOUNT_ATTR_NODEV
        | MOUNT_ATTR_NOEXEC
        | MOUNT_ATTR_NODIRATIME
        | MOUNT_ATTR_NOSYMFOLLOW
        | MOUNT_ATTR_NOATIME;
    let change = |set, clear| {
        let wanted = MountAttributes {
            set,
            clear,
            ..Default::default()
        };
        set_attributes(mount.as_fd(), false, &wanted).unwrap();
        mount_attributes(mount.as_fd()).unwrap()
    };
    assert_eq!(change(0, 0), 0);
    assert_eq!(change(all, 0), all);
    assert_eq!(change(0, all & !MOUNT_ATTR_NOATIME), MOUNT_ATTR_NOATIME);
    assert_eq!(change(MOUNT_ATTR_STRICTATIME, 0), MOUNT_ATTR_STRICTATIME);
    assert_eq!(change(0, MOUNT_ATTR__ATIME), 0);
}

#[test]
fn a_refused_attribute_is_named() {
    let not_a_mount = open_path("/etc/passwd").unwrap();
    let wanted = MountAttributes {
        set: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME,
        clear: MOUNT_ATTR_NOSUID,
        ..Default::default()
    };
    let error = set_attributes(not_a_mount.as_fd(), true, &wanted).unwrap_err();
    assert_eq!(error.errno(), Errno::INVAL);
    assert!(
        error
            .call()
            .ends_with("AT_RECURSIVE, set ro,noatime, clear nosuid,atime, propagation 0x0)"),
        "{error}"
    );
    let error = without_system_call(libc::SYS_mount_setattr, move || {
        set_attributes(not_a_mount.as_fd(), false, &MountAttributes::default()).unwrap_err()
    });
    assert_eq!(error.detail(), Some("needs Linux 5.12 for mount_setattr"));
}

#[test]
fn a_copy_is_a_peer_until_it_is_made_private() {
    in_mount_namespace(|dir| {
        let original = mount_tmpfs(dir, "original");
        fs::create_dir(dir.join("original/point")).unwrap();
        change_propagation_fd(original.as_fd(), false, Propagation::Shared).unwrap();
        let seen = || {
            let path = dir.join("original/point/below");
            let seen = path.exists();
            if seen {
                unmount_detach(text(&dir.join("original/point"))).unwrap();
            }
            seen
        };
        for (kind, expected) in [
            (None, true),
            (Some(Propagation::Slave), false),
            (Some(Propagation::Private), false),
        ] {
            let copy = open_tree_fd(original.as_fd(), true).unwrap();
            if let Some(kind) = kind {
                change_propagation_fd(copy.as_fd(), true, kind).unwrap();
            }
            let target = open_root(dir).make_directories("copy", 0o755).unwrap();
            move_mount(copy.as_fd(), target.as_fd()).unwrap();
            let inner = make_tmpfs(0);
            let point = open_path(text(&dir.join("copy/point"))).unwrap();
            move_mount(inner.as_fd(), point.as_fd()).unwrap();
            fs::create_dir(dir.join("copy/point/below")).unwrap();
            assert_eq!(seen(), expected, "{kind:?}");
            unmount_detach(text(&dir.join("copy"))).unwrap();
        }
    });
}

#[test]
fn a_file_system_is_reconfigured() {
    let mount = make_tmpfs(0);
    let context = FsContext::pick(mount.as_fd()).unwrap();
    context.set_string("size", "128k").unwrap();
    context.reconfigure().unwrap();
    let found = rustix::fs::fstatvfs(&mount).unwrap();
    assert_eq!(found.f_blocks * found.f_frsize, 128 * 1024);
    let context = FsContext::pick(mount.as_fd()).unwrap();
    context.set_flag("ro").unwrap();
    context.reconfigure().unwrap();
    assert_eq!(mount_attributes(mount.as_fd()).unwrap(), MOUNT_ATTR_RDONLY);
}

#[test]
fn owners_are_mapped_by_a_user_namespace() {
    in_mount_namespace(|dir| {
        let mut holder = Command::new("unshare")
            .args(["-U", "sh", "-c", "echo; read x"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1) of util-linux");
        let mut ready = String::new();
        BufReader::new(holder.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let process = format!("/proc/{}", holder.id());
        fs::write(format!("{process}/uid_map"), "0 1000 1000").unwrap();
        fs::write(format!("{process}/gid_map"), "0 1000 1000").unwrap();
        let userns = kernel::fs::open_read(&format!("{process}/ns/user")).unwrap();

        let original = mount_tmpfs(dir, "original");
        fs::write(dir.join("original/file"), "").unwrap();
        let copy = open_tree_fd(original.as_fd(), false).unwrap();
        let mapped = MountAttributes {
            userns: Some(userns.as_fd()),
            ..Default::default()
        };
        set_attributes(copy.as_fd(), false, &mapped).unwrap();
        let target = open_root(dir).make_directories("copy", 0o755).unwrap();
        move_mount(copy.as_fd(), target.as_fd()).unwrap();
        let found = fs::metadata(dir.join("copy/file")).unwrap();
        assert_eq!((found.uid(), found.gid()), (1000, 1000));
        holder.stdin.take().unwrap().write_all(b"\n").unwrap();
        holder.wait().unwrap();
    });
}

#[test]
fn unmounting_follows_no_link() {
    in_mount_namespace(|dir| {
        mount_tmpfs(dir, "mounted");
        symlink("mounted", dir.join("link")).unwrap();
        let error = unmount_detach(text(&dir.join("link"))).unwrap_err();
        assert_eq!(error.errno(), Errno::INVAL);
        unmount_detach(text(&dir.join("mounted"))).unwrap();
    });
}

#[test]
fn a_symlink_itself_is_bound() {
    in_mount_namespace(|dir| {
        symlink("/somewhere", dir.join("link")).unwrap();
        fs::write(dir.join("target"), "").unwrap();
        let copy = open_tree(text(&dir.join("link")), true, false, true).unwrap();
        let target = open_path(text(&dir.join("target"))).unwrap();
        move_mount(copy.as_fd(), target.as_fd()).unwrap();
        assert_eq!(
            fs::read_link(dir.join("target")).unwrap(),
            Path::new("/somewhere")
        );
        unmount_detach(text(&dir.join("target"))).unwrap();
    });
}

/// A kernel without SELinux stores the attribute for root.
#[test]
fn a_root_directory_gets_its_label() {
    in_mount_namespace(|dir| {
        let mount = mount_tmpfs(dir, "a");
        kernel::fs::set_label(mount.as_fd(), "system_u:object_r:tmpfs_t:s0").unwrap();
        let mut value = [0; 64];
        let length = rustix::fs::getxattr(dir.join("a"), "security.selinux", &mut value).unwrap();
        assert_eq!(&value[..length], b"system_u:object_r:tmpfs_t:s0\0");
    });
}
