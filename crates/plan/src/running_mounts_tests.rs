//! Lists of mounts against the plans and the problems that come of them.

use serde_json::{Value, json};

use super::{MountsChange, MountsRequest, change_mounts};
use crate::{AttrFlags, HostFacts, InitOp, MountSource, NamespaceKind, ParentOp, Plan, Step};

fn config() -> Value {
    json!({
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"args": ["/bin/sh"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network"}],
            "maskedPaths": ["/proc/kcore", "/sys/firmware"],
            "readonlyPaths": ["/proc/sys"]
        }
    })
}

fn change(config: &Value, change: MountsChange, list: &str) -> Result<Plan, Vec<String>> {
    let request = MountsRequest {
        id: "c1".to_owned(),
        change,
        list: list.as_bytes().to_vec(),
        bundle: "/bundle".to_owned(),
        init: 4711,
    };
    let config = config.to_string();
    change_mounts(config.as_bytes(), &request, &HostFacts::v2_root())
        .map_err(|errors| errors.all().iter().map(ToString::to_string).collect())
}

fn problems(config: &Value, what: MountsChange, list: &str) -> Vec<String> {
    change(config, what, list).unwrap_err()
}

#[test]
fn entries_mean_what_they_mean_in_a_configuration() {
    let list = json!([
        {"destination": "/data", "source": "data", "options": ["rbind", "ro"]},
        {"destination": "/tmp/x", "type": "tmpfs", "source": "x", "options": ["ro", "size=64k"]}
    ]);
    let plan = change(&config(), MountsChange::Add, &list.to_string()).unwrap();
    let [open] = plan.parent.as_slice() else {
        panic!("{:?}", plan.parent);
    };
    assert!(
        matches!(&open.op, ParentOp::OpenMountSource { path, recursive: true, slot, .. }
            if path == "/bundle/data" && slot.0 == 2),
        "{open:?}"
    );
    let [enter, data, tmp] = plan.init.as_slice() else {
        panic!("{:?}", plan.init);
    };
    // Never into the pid namespace.
    let kinds = [NamespaceKind::Network, NamespaceKind::Mount];
    assert!(
        matches!(&enter.op, InitOp::EnterContainer { namespaces, .. } if *namespaces == kinds),
        "{enter:?}"
    );
    assert!(
        matches!(&data.op, InitOp::Mount(op) if op.target == "/data"),
        "{data:?}"
    );
    // Read-only from the first moment on.
    assert!(
        matches!(&tmp.op, InitOp::Mount(op)
            if op.attributes.set == AttrFlags::READ_ONLY && !op.read_only_later
                && matches!(op.source, MountSource::Filesystem { .. })),
        "{tmp:?}"
    );
}

#[test]
fn the_last_of_the_list_is_removed_first() {
    let list = r#"[{"destination": "/a"}, {"destination": "/a/b/"}]"#;
    let plan = change(&config(), MountsChange::Remove, list).unwrap();
    let target = |step: &Step<InitOp>| match &step.op {
        InitOp::Unmount { target, protected } => {
            assert_eq!(protected, &["/proc/kcore", "/sys/firmware", "/proc/sys"]);
            Some(target.clone())
        }
        _ => None,
    };
    let targets: Vec<_> = plan.init.iter().filter_map(target).collect();
    assert_eq!(targets, ["/a/b", "/a"]);
}

#[test]
fn what_cannot_be_added() {
    let entry = |entry: Value| json!([entry]).to_string();
    let tmpfs = |target: &str| entry(json!({"destination": target, "type": "tmpfs"}));
    let table = [
        ("{}".to_owned(), "FILE: expected a list, found an object"),
        ("[".to_owned(), "FILE: "),
        (
            entry(json!({"type": "tmpfs"})),
            "mounts[0].destination: missing",
        ),
        (
            tmpfs("/"),
            "mounts[0].destination: a mount on / would cover",
        ),
        (
            tmpfs("/sys"),
            "mounts[0].destination: a mount on \"/sys\" would cover /sys/firmware, which is in linux.maskedPaths",
        ),
        (
            tmpfs("/proc/x"),
            "mounts[0].destination: \"/proc/x\" is inside procfs",
        ),
        (
            entry(json!({"destination": "/x", "options": ["remount", "ro"]})),
            "mounts[0].options: a remount changes",
        ),
        (
            entry(json!({"destination": "/x", "type": "proc"})),
            "mounts[0].type: procfs and control groups",
        ),
        (
            entry(json!({"destination": "/x", "type": "cgroup"})),
            "mounts[0].type: procfs and control groups",
        ),
        (
            entry(json!({"destination": "/x", "options": ["bind"]})),
            "mounts[0].source: missing",
        ),
    ];
    for (list, wanted) in table {
        let found = problems(&config(), MountsChange::Add, &list);
        assert!(found[0].starts_with(wanted), "{list}: {found:?}");
    }
}

#[test]
fn what_cannot_be_removed() {
    let table = [
        ("", "mounts[0].destination: expected an absolute path"),
        ("/", "mounts[0].destination: the root cannot be taken away"),
        (
            "/a/..",
            "mounts[0].destination: the root cannot be taken away",
        ),
        (
            "/sys/firmware",
            "mounts[0].destination: \"/sys/firmware\" is in linux.maskedPaths",
        ),
        (
            "/proc",
            "mounts[0].destination: \"/proc\" belongs to procfs",
        ),
        (
            "/proc/1/x",
            "mounts[0].destination: \"/proc/1/x\" belongs to procfs",
        ),
    ];
    for (target, wanted) in table {
        let list = json!([{"destination": target}]).to_string();
        let found = problems(&config(), MountsChange::Remove, &list);
        assert!(found[0].starts_with(wanted), "{target}: {found:?}");
    }
    let lxcfs = r#"[{"destination": "/proc/meminfo"}]"#;
    assert!(change(&config(), MountsChange::Remove, lxcfs).is_ok());
}

#[test]
fn the_mounts_of_others_are_left_alone() {
    let mut shared = config();
    shared["linux"]["namespaces"] = json!([{"type": "pid"}]);
    let list = r#"[{"destination": "/a", "type": "tmpfs"}]"#;
    for what in [MountsChange::Add, MountsChange::Remove] {
        let found = problems(&shared, what, list);
        assert!(
            found[0].contains("no mount namespace of its own"),
            "{found:?}"
        );
        // Nothing is nothing.
        assert!(change(&shared, what, "[]").is_ok());
    }
}

#[test]
fn a_joined_user_namespace_is_that_of_init() {
    let mut joined = config();
    joined["linux"]["namespaces"] =
        json!([{"type": "mount"}, {"type": "user", "path": "/proc/1/ns/user"}]);
    let list = r#"[{"destination": "/a", "source": "/b", "options": ["bind", "idmap"]}]"#;
    let plan = change(&joined, MountsChange::Add, list).unwrap();
    let opens = plan.parent.iter().any(|step| {
        matches!(&step.op, ParentOp::OpenNamespace { kind: NamespaceKind::User, path, .. }
            if path == "/proc/4711/ns/user")
    });
    assert!(opens, "{:?}", plan.parent);
}
