//! `tmpcopyup`.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use kernel::Errno;
use rustix::fs::XattrFlags;

fn open(path: &Path) -> std::os::fd::OwnedFd {
    kernel::fs::open_path(path.to_str().unwrap()).unwrap()
}

fn make_source(from: &Path) {
    fs::create_dir_all(from.join("dir/empty")).unwrap();
    fs::set_permissions(from.join("dir"), fs::Permissions::from_mode(0o1751)).unwrap();
    chown(from.join("dir"), Some(5), Some(6)).unwrap();
    fs::write(from.join("dir/file"), vec![b'x'; 200_000]).unwrap();
    chown(from.join("dir/file"), Some(7), Some(8)).unwrap();
    fs::set_permissions(from.join("dir/file"), fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("/etc/passwd", from.join("link")).unwrap();
    lchown(from.join("link"), Some(9), Some(10)).unwrap();
    let fd = kernel::fs::open_directory(from.to_str().unwrap()).unwrap();
    kernel::fs::make_fifo_at(fd.as_fd(), "fifo", 0o600).unwrap();
    let file = kernel::fs::open_read(from.join("dir/file").to_str().unwrap()).unwrap();
    rustix::fs::fsetxattr(file, "trusted.x", b"1", XattrFlags::empty()).unwrap();
}

#[test]
fn everything_is_copied_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    make_source(&from);
    kernel::copy_tree::copy_tree(open(&from).as_fd(), open(&to).as_fd()).unwrap();
    for name in ["dir", "dir/empty", "dir/file", "link", "fifo"] {
        let was = fs::symlink_metadata(from.join(name)).unwrap();
        let is = fs::symlink_metadata(to.join(name)).unwrap();
        assert_eq!(
            (is.mode(), is.uid(), is.gid()),
            (was.mode(), was.uid(), was.gid()),
            "{name}"
        );
    }
    assert_eq!(fs::read(to.join("dir/file")).unwrap().len(), 200_000);
    assert_eq!(
        fs::read_link(to.join("link")).unwrap(),
        Path::new("/etc/passwd")
    );
    assert!(
        fs::symlink_metadata(to.join("fifo"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    let copy = kernel::fs::open_read(to.join("dir/file").to_str().unwrap()).unwrap();
    let mut value = [0; 8];
    assert_eq!(rustix::fs::fgetxattr(copy, "trusted.x", &mut value), Ok(1));
}

#[test]
fn what_is_there_already_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(from.join("file"), "new").unwrap();
    fs::write(dir.path().join("victim"), "old").unwrap();
    symlink("../victim", to.join("file")).unwrap();
    let answer = kernel::copy_tree::copy_tree(open(&from).as_fd(), open(&to).as_fd());
    assert_eq!(answer.unwrap_err().errno(), Errno::EXIST);
    assert_eq!(fs::read(dir.path().join("victim")).unwrap(), b"old");
}
