use super::*;
use crate::build::fixture::Fixture;
use crate::{InitOp, Slot};
use serde_json::json;

#[test]
fn paths_are_cleaned_by_their_text() {
    let table = [
        ("/", "/"),
        ("", "/"),
        ("//", "/"),
        ("/..", "/"),
        ("/../../etc", "/etc"),
        ("etc", "/etc"),
        ("/a/./b//c/", "/a/b/c"),
        ("/a/../b", "/b"),
        ("a/b/../../../c", "/c"),
        ("/proc/../proc/./sys/", "/proc/sys"),
        ("/...", "/..."),
    ];
    for (path, wanted) in table {
        assert_eq!(clean(path), wanted, "{path:?}");
    }
}

#[test]
fn below_means_strictly_below() {
    assert!(is_below("/a/b", "/a"));
    assert!(is_below("/a", "/"));
    assert!(!is_below("/a", "/a"));
    assert!(!is_below("/ab", "/a"));
    assert!(!is_below("/", "/"));
}

#[test]
fn an_ordinary_root_is_opened_attached_and_pivoted_into() {
    let fixture = Fixture::new(json!({"root": {"path": "rootfs", "readonly": true}}));
    let built = fixture.build(build);
    assert_eq!(built.problems, Vec::<String>::new());
    assert_eq!(built.rootfs, "/bundle/rootfs");
    let open = ParentOp::OpenRoot {
        slot: Slot(0),
        path: "/bundle/rootfs".to_owned(),
    };
    assert_eq!(built.parent, [("root.path".to_owned(), open)]);
    let rslave = propagation("rslave").expect("a word of the table");
    let default = "linux.rootfsPropagation (default)";
    let wanted = [
        (default, InitOp::SetRootPropagation(rslave)),
        ("root.path", InitOp::AttachRoot { slot: Slot(0) }),
        ("root.path", InitOp::ChangeRoot(RootChange::Pivot)),
        ("root.readonly", InitOp::MakeRootReadOnly),
    ];
    assert_eq!(built.init, wanted.map(|(from, op)| (from.to_owned(), op)));
}

#[test]
fn roots_on_the_host() {
    let table = [
        ("rootfs", Ok("/bundle/rootfs")),
        ("./a/../rootfs/", Ok("/bundle/rootfs")),
        ("../other", Ok("/other")),
        ("/srv//images/./x", Ok("/srv/images/x")),
        (
            "",
            Err("root.path: missing: the directory of the container's root file system"),
        ),
        (
            "/",
            Err("root.path: this is the host's own root, which a container would change"),
        ),
        (
            "..",
            Err("root.path: this is the host's own root, which a container would change"),
        ),
        (
            "a\0b",
            Err(r#"root.path: expected a path without NUL bytes, found "a\u0000b""#),
        ),
    ];
    for (path, wanted) in table {
        let built = Fixture::new(json!({"root": {"path": path}})).build(build);
        match wanted {
            Ok(root) => assert_eq!((built.rootfs.as_str(), built.problems.len()), (root, 0)),
            Err(text) => assert_eq!(built.problems, [text], "{path:?}"),
        }
    }
}

#[test]
fn no_pivot_is_named_by_its_flag() {
    let mut fixture = Fixture::new(json!({"root": {"path": "r"}}));
    fixture.request.no_pivot = true;
    let built = fixture.build(build);
    let wanted = (
        "--no-pivot".to_owned(),
        InitOp::ChangeRoot(RootChange::Move),
    );
    assert!(built.init.contains(&wanted));
}

#[test]
fn every_propagation_word_is_carried_out_on_the_finished_root() {
    for word in PROPAGATION_WORDS.split(", ") {
        let spec = json!({"root": {"path": "r"}, "linux": {"rootfsPropagation": word}});
        let built = Fixture::new(spec).build(build);
        let wish = propagation(word).expect("a word of the table");
        let from = "linux.rootfsPropagation".to_owned();
        assert!(
            built.init.contains(&(from, InitOp::SetPropagation(wish))),
            "{word}"
        );
    }
}

#[test]
fn a_word_that_is_no_propagation_gets_the_list() {
    let spec = json!({"root": {"path": "r"}, "linux": {"rootfsPropagation": "rslaves"}});
    let built = Fixture::new(spec).build(build);
    let wanted = r#"linux.rootfsPropagation: unknown mount propagation "rslaves" (one of: shared, rshared, slave, rslave, private, rprivate, unbindable, runbindable)"#;
    assert_eq!(built.problems, [wanted]);
}

#[test]
fn a_shared_root_and_no_pivot_exclude_each_other() {
    let spec = json!({"root": {"path": "r"}, "linux": {"rootfsPropagation": "rshared"}});
    let mut fixture = Fixture::new(spec);
    fixture.request.no_pivot = true;
    let built = fixture.build(build);
    assert_eq!(built.problems.len(), 1);
    assert!(
        built.problems[0].starts_with("linux.rootfsPropagation: a shared root excludes --no-pivot")
    );
}

#[test]
fn without_a_mount_namespace_there_is_only_chroot() {
    let plain = Fixture::new(json!({"root": {"path": "r"}})).without(NamespaceKind::Mount);
    let built = plain.build(build);
    assert_eq!(built.problems, Vec::<String>::new());
    assert_eq!(built.parent, []);
    let wanted = [
        ("root.path".to_owned(), InitOp::OpenRootInPlace),
        (
            "root.path".to_owned(),
            InitOp::ChangeRoot(RootChange::Chroot),
        ),
    ];
    assert_eq!(built.init, wanted);

    let spec = json!({
        "root": {"path": "r", "readonly": true},
        "linux": {"rootfsPropagation": "private"},
    });
    let built = Fixture::new(spec)
        .without(NamespaceKind::Mount)
        .build(build);
    let names: Vec<_> = built.problems.iter().map(|p| p.split(':').next()).collect();
    assert_eq!(
        names,
        [Some("linux.rootfsPropagation"), Some("root.readonly")]
    );
}

#[test]
fn a_configuration_without_a_root_says_so() {
    // (The decoder fills in a root when the key is absent; null leaves it out.)
    let built = Fixture::new(json!({"root": null})).build(build);
    let wanted = "root: missing: the object that names the container's root file system";
    assert_eq!(built.problems, [wanted]);
}
