use super::*;
use crate::NamespaceKind;
use crate::build::fixture::Fixture;
use serde_json::json;

#[test]
fn each_path_is_covered_once() {
    let linux = json!({
        "maskedPaths": ["/proc/kcore", "/sys/firmware/", "/proc/./kcore"],
        "readonlyPaths": ["/proc/sys"],
    });
    let built = Fixture::linux(linux).build(build);
    assert_eq!(built.problems, Vec::<String>::new());
    assert_eq!(built.parent, []);
    let mask = |path: &str| InitOp::MaskPath {
        label: None,
        path: path.to_owned(),
    };
    let protect = InitOp::ProtectPath {
        path: "/proc/sys".to_owned(),
    };
    let wanted = [
        ("linux.readonlyPaths[0]".to_owned(), protect),
        ("linux.maskedPaths[0]".to_owned(), mask("/proc/kcore")),
        ("linux.maskedPaths[1]".to_owned(), mask("/sys/firmware")),
    ];
    assert_eq!(built.init, wanted);
}

#[test]
fn no_masks_open_nothing() {
    let built = Fixture::linux(json!({"maskedPaths": [], "readonlyPaths": []})).build(build);
    assert_eq!((built.parent.len(), built.init.len()), (0, 0));
}

#[test]
fn every_unusable_path_is_told() {
    let linux = json!({
        "maskedPaths": ["proc/kcore", "/", "/ok", ""],
        "readonlyPaths": ["/a/..", "/x\u{0}"],
    });
    let built = Fixture::linux(linux).build(build);
    let whole = "the whole root can be neither masked nor protected here (root.readonly makes it read-only)";
    let wanted = [
        format!("linux.readonlyPaths[0]: {whole}"),
        r#"linux.readonlyPaths[1]: expected an absolute path inside the container, found "/x\u0000""#.to_owned(),
        r#"linux.maskedPaths[0]: expected an absolute path inside the container, found "proc/kcore""#.to_owned(),
        format!("linux.maskedPaths[1]: {whole}"),
        r#"linux.maskedPaths[3]: expected an absolute path inside the container, found """#.to_owned(),
    ];
    assert_eq!(built.problems, wanted);
}

#[test]
fn protection_needs_a_mount_namespace_of_the_containers_own() {
    let linux = json!({"maskedPaths": ["/a"], "readonlyPaths": ["/b"]});
    let built = Fixture::linux(linux)
        .without(NamespaceKind::Mount)
        .build(build);
    let names: Vec<_> = built.problems.iter().map(|p| p.split(':').next()).collect();
    assert_eq!(
        names,
        [Some("linux.readonlyPaths"), Some("linux.maskedPaths")]
    );
}
