//! Creating: what is asked for, and never anything outside.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use kernel::Errno;
use kernel::beneath::{Directory, Node, NodeKind, Root};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::beneath::{open_root, while_exchanging};
use crate::hostile_tree;
use crate::sandbox::{identity, in_mount_namespace, memory_directory};

fn make_node(root: &Root, path: &str, node: &Node) -> kernel::Result<()> {
    let (directory, name) = Directory::of(root, path, None)?;
    directory.make_node(name, node)
}

const FIFO: Node = Node {
    kind: NodeKind::Fifo,
    major: 0,
    minor: 0,
    mode: 0o640,
    uid: 1,
    gid: 2,
};

const NULL: Node = Node {
    kind: NodeKind::Char,
    major: 1,
    minor: 3,
    mode: 0o666,
    uid: 0,
    gid: 0,
};

fn create_everything(root: &Root, path: &str) {
    let _ = root.make_directories(&format!("{path}/1/2"), 0o755);
    let _ = root.make_directories_owned(path, 0o700, 3, 4);
    let _ = root.make_file(&format!("{path}/file"), 0o644);
    let _ = root.make_file(path, 0o644);
    let _ = make_node(root, &format!("{path}/node"), &FIFO);
    let _ = root.make_symlink(&format!("{path}/link"), "../../../..", false);
    let _ = root.make_symlink(path, "/..", true);
}

/// Names, owners and modes of all that is not the root.
fn look_around(outer: &Path) -> Vec<(String, u32, u32)> {
    let mut seen = Vec::new();
    for dir in [outer.to_owned(), outer.join("a"), outer.join("b")] {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let is = entry.metadata().unwrap();
            seen.push((
                entry.path().to_string_lossy().into_owned(),
                is.mode(),
                is.uid(),
            ));
        }
    }
    seen.sort();
    seen
}

/// A directory with the names the random trees know, and a root in it.
fn make_surroundings() -> tempfile::TempDir {
    let outer = memory_directory();
    for dir in ["a", "b", "root"] {
        fs::create_dir(outer.path().join(dir)).unwrap();
    }
    outer
}

#[test]
fn nothing_is_made_outside_by_random_hostile_trees() {
    let cases = ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let paths = proptest::collection::vec(hostile_tree::path(), 1..8);
    TestRunner::new(cases)
        .run(&(hostile_tree::tree(), paths), |(tree, paths)| {
            let outer = make_surroundings();
            let root = outer.path().join("root");
            hostile_tree::build(&root, &tree);
            let before = look_around(outer.path());
            for path in &paths {
                create_everything(&open_root(&root), path);
            }
            prop_assert_eq!(before, look_around(outer.path()));
            Ok(())
        })
        .unwrap();
}

#[test]
fn nothing_is_made_outside_by_an_attacker_who_renames() {
    let outer = make_surroundings();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("x/dir")).unwrap();
    symlink("../../a", root.join("x/link")).unwrap();
    let before = look_around(outer.path());
    let handle = open_root(&root);
    while_exchanging(&root.join("x"), "dir", "link", || {
        for round in 0..1_000 {
            create_everything(&handle, &format!("x/dir/{round}"));
        }
    });
    assert_eq!(before, look_around(outer.path()));
}

#[test]
fn directories_are_made_through_dangling_links() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("var/lib")).unwrap();
    symlink("/run", dir.path().join("var/run")).unwrap();
    symlink("../../up", dir.path().join("var/lib/up")).unwrap();
    symlink("self/..", dir.path().join("var/bad")).unwrap();
    let root = open_root(dir.path());
    for (asked, made) in [
        ("/var/run/a/b/", "run/a/b"),
        ("var/lib/up/x", "up/x"),
        ("var/lib/../lib/./y", "var/lib/y"),
        ("", ""),
    ] {
        let fd = root.make_directories(asked, 0o755).unwrap();
        let found = fs::metadata(dir.path().join(made)).unwrap();
        assert_eq!(identity(fd), (found.dev(), found.ino()), "{asked}");
    }
    let error = root.make_directories("new/../x", 0o755).unwrap_err();
    assert_eq!(error.errno(), Errno::INVAL);
    assert!(!dir.path().join("new").exists());
    assert!(root.make_directories("var/bad/x", 0o755).is_err());
    fs::write(dir.path().join("file"), "").unwrap();
    for path in ["file", "file/x"] {
        let error = root.make_directories(path, 0o755).unwrap_err();
        assert_eq!(error.errno(), Errno::NOTDIR, "{path}");
    }
}

#[test]
fn only_new_directories_get_the_owner() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("old")).unwrap();
    let root = open_root(dir.path());
    root.make_directories_owned("old/new/er", 0o700, 5, 6)
        .unwrap();
    let owner = |path: &str| fs::metadata(dir.path().join(path)).unwrap().uid();
    assert_eq!(
        (owner("old"), owner("old/new"), owner("old/new/er")),
        (0, 5, 5)
    );
}

#[test]
fn files_are_made_or_found() {
    let dir = tempfile::tempdir().unwrap();
    symlink("/etc/real", dir.path().join("link")).unwrap();
    symlink("turn", dir.path().join("turn")).unwrap();
    let root = open_root(dir.path());
    let made = identity(root.make_file("/link", 0o644).unwrap());
    let real = fs::metadata(dir.path().join("etc/real")).unwrap();
    assert!(real.is_file());
    assert_eq!(made, (real.dev(), real.ino()));
    assert_eq!(identity(root.make_file("etc/real", 0o644).unwrap()), made);
    assert_eq!(
        identity(root.make_file("etc", 0o644).unwrap()),
        identity(root.look_up("etc").unwrap())
    );
    assert_eq!(
        root.make_file("turn", 0o644).unwrap_err().errno(),
        Errno::LOOP
    );
    assert_eq!(
        root.make_file("etc/..", 0o644).unwrap().metadata_kind(),
        kernel::fs::FileKind::Directory
    );
}

trait MetadataKind {
    fn metadata_kind(&self) -> kernel::fs::FileKind;
}

impl MetadataKind for std::os::fd::OwnedFd {
    fn metadata_kind(&self) -> kernel::fs::FileKind {
        kernel::fs::stat(std::os::fd::AsFd::as_fd(self))
            .unwrap()
            .kind
    }
}

#[test]
fn nodes_are_made_whatever_the_umask_and_verified() {
    in_mount_namespace(|dir| {
        let root = open_root(dir);
        make_node(&root, "/dev/null", &NULL).unwrap();
        let null = fs::metadata(dir.join("dev/null")).unwrap();
        assert!(null.file_type().is_char_device());
        assert_eq!(null.permissions().mode() & 0o7777, 0o666);
        make_node(&root, "dev/fifo", &FIFO).unwrap();
        let fifo = fs::metadata(dir.join("dev/fifo")).unwrap();
        assert_eq!(
            (fifo.uid(), fifo.gid(), fifo.mode() & 0o7777),
            (1, 2, 0o640)
        );

        let stricter = Node {
            mode: 0o600,
            ..NULL
        };
        make_node(&root, "/dev/null", &stricter).unwrap();
        let null = fs::metadata(dir.join("dev/null")).unwrap();
        assert_eq!(
            null.mode() & 0o7777,
            0o666,
            "an existing node keeps its mode"
        );

        let zero = Node { minor: 5, ..NULL };
        let error = make_node(&root, "dev/null", &zero).unwrap_err();
        assert_eq!(error.errno(), Errno::EXIST);
        assert_eq!(
            error.detail(),
            Some("there is a character device 1:3, wanted character device 1:5")
        );
        symlink("/dev/null", dir.join("dev/link")).unwrap();
        let error = make_node(&root, "dev/link", &NULL).unwrap_err();
        assert_eq!(
            error.detail(),
            Some("there is a symbolic link, wanted character device 1:3")
        );
    });
}

#[test]
fn symlinks_are_made_kept_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let root = open_root(dir.path());
    let target = || fs::read_link(dir.path().join("dev/fd")).unwrap();
    root.make_symlink("/dev/fd", "/proc/self/fd", false)
        .unwrap();
    root.make_symlink("/dev/fd", "/proc/self/fd", false)
        .unwrap();
    let error = root.make_symlink("/dev/fd", "/x", false).unwrap_err();
    assert_eq!(error.errno(), Errno::EXIST);
    assert_eq!(target(), Path::new("/proc/self/fd"));
    root.make_symlink("/dev/fd", "/x", true).unwrap();
    assert_eq!(target(), Path::new("/x"));
    let error = root.make_symlink("dev", "/x", true).unwrap_err();
    assert_eq!(error.errno(), Errno::ISDIR);
}
