//! Files of the host.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use kernel::Errno;
use kernel::fs::{FileKind, OFlags};

use crate::sandbox::{in_mount_namespace, without_system_call};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn content_is_bounded_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let fd = kernel::fs::open_directory(text(dir.path())).unwrap();
    let content = vec![b'x'; 20_000];
    kernel::fs::create_file_at(fd.as_fd(), "file", 0o640, &content).unwrap();
    let read = |limit| kernel::fs::read_file_at(fd.as_fd(), "file", limit);
    assert_eq!(read(20_000).unwrap(), content);
    let error = read(19_999).unwrap_err();
    assert_eq!(error.errno(), Errno::FBIG);
    assert_eq!(error.to_string(), "read(\"file\"): longer than 19999 bytes");
    let again = kernel::fs::create_file_at(fd.as_fd(), "file", 0o640, b"");
    assert_eq!(again.unwrap_err().errno(), Errno::EXIST);
    kernel::fs::replace_file_at(fd.as_fd(), "file", 0o600, b"new").unwrap();
    assert_eq!(read(3).unwrap(), b"new");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_leftover_temporary_file_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let fd = kernel::fs::open_directory(text(dir.path())).unwrap();
    let leftover = format!(".state.{}", std::process::id());
    symlink("/dev/null", dir.path().join(&leftover)).unwrap();
    kernel::fs::replace_file_at(fd.as_fd(), "state", 0o600, b"new").unwrap();
    assert_eq!(fs::read(dir.path().join("state")).unwrap(), b"new");
    assert!(!dir.path().join(leftover).exists());
}

#[test]
fn values_go_into_existing_files_only() {
    let dir = tempfile::tempdir().unwrap();
    let fd = kernel::fs::open_directory(text(dir.path())).unwrap();
    let write = |name| kernel::fs::write_value_at(fd.as_fd(), name, "1");
    assert_eq!(write("missing").unwrap_err().errno(), Errno::NOENT);
    symlink("/dev/null", dir.path().join("link")).unwrap();
    assert_eq!(write("link").unwrap_err().errno(), Errno::LOOP);
    let error = kernel::fs::write_value("/dev/full", "42").unwrap_err();
    assert_eq!(
        error.to_string(),
        "write(\"/dev/full\", \"42\"): no space left on device"
    );
}

#[test]
fn directories_are_made_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    kernel::fs::make_directories(text(&deep), 0o755).unwrap();
    kernel::fs::make_directories(text(&deep), 0o755).unwrap();
    fs::write(deep.join("file"), "").unwrap();
    let over = kernel::fs::make_directories(text(&deep.join("file")), 0o755);
    assert_eq!(over.unwrap_err().errno(), Errno::NOTDIR);
    symlink("/etc", deep.join("link")).unwrap();
    let fd = kernel::fs::open_directory(text(&deep)).unwrap();
    for _ in 0..2 {
        let mut names = kernel::fs::read_directory(fd.as_fd()).unwrap();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            ("file".to_owned(), FileKind::File),
            ("link".to_owned(), FileKind::Symlink),
        ];
        assert_eq!(names, expected);
    }
    let top = kernel::fs::open_directory(text(dir.path())).unwrap();
    kernel::fs::remove_tree_at(top.as_fd(), "a").unwrap();
    kernel::fs::remove_tree_at(top.as_fd(), "a").unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn a_tree_is_not_removed_into_a_mount() {
    in_mount_namespace(|dir| {
        let target = dir.join("tree/mounted");
        fs::create_dir_all(&target).unwrap();
        fs::create_dir(dir.join("other")).unwrap();
        fs::write(dir.join("other/precious"), "").unwrap();
        let other = text(&dir.join("other")).to_owned();
        let copy = kernel::mount::open_tree(&other, true, false, false).unwrap();
        kernel::mount::move_mount_to_path(copy.as_fd(), text(&target)).unwrap();
        let top = kernel::fs::open_directory(text(dir)).unwrap();
        let error = kernel::fs::remove_tree_at(top.as_fd(), "tree").unwrap_err();
        assert_eq!(error.errno(), Errno::XDEV);
        assert!(dir.join("other/precious").exists());
        kernel::mount::unmount_detach(text(&target)).unwrap();
        kernel::fs::remove_tree_at(top.as_fd(), "tree").unwrap();
    });
}

#[test]
fn a_deep_tree_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut fd = kernel::fs::open_directory(text(dir.path())).unwrap();
    for _ in 0..300 {
        kernel::fs::make_directory_at(fd.as_fd(), "deeper", 0o700).unwrap();
        fd = kernel::fs::open_directory_at(fd.as_fd(), "deeper").unwrap();
    }
    let top = kernel::fs::open_directory(text(dir.path())).unwrap();
    kernel::fs::remove_tree_at(top.as_fd(), "deeper").unwrap();
}

#[test]
fn modes_and_owners_change_by_path_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    let fd = kernel::fs::open_path_no_follow(text(&path)).unwrap();
    let stat = || kernel::fs::stat(fd.as_fd()).unwrap();
    kernel::fs::change_mode(fd.as_fd(), 0o4711).unwrap();
    assert_eq!(stat().mode, 0o4711);
    kernel::fs::change_owner(fd.as_fd(), 7, u32::MAX).unwrap();
    assert_eq!((stat().uid, stat().gid), (7, 0));
    assert_eq!(stat().kind, FileKind::File);
    let found = fs::metadata(&path).unwrap();
    assert_eq!((stat().dev, stat().ino), (found.dev(), found.ino()));
}

#[test]
fn modes_change_before_linux_6_6_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    let fd = kernel::fs::open_path(text(&path)).unwrap();
    let opened = kernel::fs::open_read(text(&path)).unwrap();
    without_system_call(libc::SYS_fchmodat2, move || {
        kernel::fs::change_mode(fd.as_fd(), 0o640).unwrap();
        assert_eq!(kernel::fs::stat(fd.as_fd()).unwrap().mode, 0o640);
        kernel::fs::change_mode(opened.as_fd(), 0o604).unwrap();
        assert_eq!(kernel::fs::stat(fd.as_fd()).unwrap().mode, 0o604);
    });
}

#[test]
fn locks_say_when_another_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let first = kernel::fs::append_or_create(text(&path), 0o600).unwrap();
    let second = kernel::fs::open_read_write(text(&path)).unwrap();
    assert!(kernel::fs::lock_exclusive(first.as_fd(), true).unwrap());
    assert!(!kernel::fs::lock_exclusive(second.as_fd(), false).unwrap());
    assert!(!kernel::fs::lock_shared(second.as_fd(), false).unwrap());
    drop(first);
    assert!(kernel::fs::lock_shared(second.as_fd(), false).unwrap());
}

#[test]
fn only_programs_are_executable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    let fd = kernel::fs::open_path(text(&path)).unwrap();
    let error = kernel::fs::access_execute(fd.as_fd()).unwrap_err();
    assert_eq!(error.errno(), Errno::ACCESS);
    kernel::fs::change_mode(fd.as_fd(), 0o755).unwrap();
    kernel::fs::access_execute(fd.as_fd()).unwrap();
}

#[test]
fn paths_of_the_host_are_made_canonical() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/etc", dir.path().join("link")).unwrap();
    let path = dir.path().join("link/../etc/passwd");
    assert_eq!(kernel::fs::resolve(text(&path)).unwrap(), "/etc/passwd");
    let link = kernel::fs::open_path_no_follow(text(&dir.path().join("link"))).unwrap();
    assert_eq!(kernel::fs::read_link(link.as_fd()).unwrap(), "/etc");
    assert_eq!(
        kernel::fs::filesystem_magic(kernel::fs::open_path("/proc").unwrap().as_fd()).unwrap(),
        kernel::fs::PROC_MAGIC
    );
    let missing = kernel::fs::open_at(link.as_fd(), "x", OFlags::RDONLY).unwrap_err();
    assert_eq!(missing.errno(), Errno::NOTDIR);
}
