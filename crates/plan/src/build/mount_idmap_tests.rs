use serde_json::{Value, json};

use crate::build::fixture::{Built, Fixture};
use crate::build::mounts::build;
use crate::{IdMapping, MountIdMap, NamespaceKind, ParentOp, Slot};

const fn line(container_id: u32, host_id: u32, size: u32) -> IdMapping {
    IdMapping {
        container_id,
        host_id,
        size,
    }
}

fn map(host: u32) -> Value {
    json!([{"containerID": 0, "hostID": host, "size": 10}])
}

fn bind(options: &[&str]) -> Value {
    json!({"destination": "/d", "source": "/s", "options": options})
}

/// A container whose user namespace has the documentation's example of `@`.
fn in_user_namespace(mounts: Value) -> Built {
    let uids = json!([{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 2, "size": 1000}]);
    Fixture::new(json!({
        "root": {"path": "rootfs"},
        "mounts": mounts,
        "linux": {"uidMappings": uids, "gidMappings": map(500)},
    }))
    .with(NamespaceKind::User)
    .build(build)
}

/// The maps that are made, in order.
fn made(built: &Built) -> Vec<(Vec<IdMapping>, Vec<IdMapping>)> {
    assert_eq!(built.problems, Vec::<String>::new());
    let steps = built.parent.iter();
    steps
        .filter_map(|(_, op)| match op {
            ParentOp::MakeUserNamespace { uids, gids, .. } => Some((uids.clone(), gids.clone())),
            _ => None,
        })
        .collect()
}

/// Which trees are mapped, by which property, recursively or not.
fn mapped(built: &Built) -> Vec<(&str, bool)> {
    let steps = built.parent.iter();
    steps
        .filter_map(|(from, op)| match op {
            ParentOp::MapMount { recursive, .. } => Some((from.as_str(), *recursive)),
            _ => None,
        })
        .collect()
}

#[test]
fn mappings_of_the_mount_need_no_option() {
    let mut mount = bind(&["bind"]);
    mount["uidMappings"] = map(1000);
    mount["gidMappings"] = map(2000);
    let built = Fixture::mounts(json!([mount])).build(build);
    assert_eq!(
        made(&built),
        [(vec![line(0, 1000, 10)], vec![line(0, 2000, 10)])]
    );
    assert_eq!(mapped(&built), [("mounts[0].uidMappings", false)]);
    assert_eq!(built.mount().id_map, None, "the parent has done it");
}

#[test]
fn the_option_takes_the_containers() {
    let built = in_user_namespace(json!([
        bind(&["bind", "idmap"]),
        bind(&["rbind", "ridmap"])
    ]));
    let uids = vec![line(0, 0, 1), line(1, 2, 1000)];
    assert_eq!(
        made(&built),
        [(uids, vec![line(0, 500, 10)])],
        "one for both"
    );
    let wanted = [
        ("mounts[0].options[1]", false),
        ("mounts[1].options[1]", true),
    ];
    assert_eq!(mapped(&built), wanted);
}

#[test]
fn crun_writes_them_into_the_option() {
    let word = "idmap=uids=0-1-10#10-11-10;gids=0-100-10";
    let built = Fixture::mounts(json!([bind(&["bind", word])])).build(build);
    let uids = vec![line(0, 1, 10), line(10, 11, 10)];
    assert_eq!(made(&built), [(uids, vec![line(0, 100, 10)])]);
    let built = in_user_namespace(json!([bind(&["bind", "idmap=uids=@1-3-10;gids=@0-0-1"])]));
    assert_eq!(
        made(&built),
        [(vec![line(1, 4, 10)], vec![line(0, 500, 1)])]
    );
}

#[test]
fn a_new_file_system_is_mapped_by_init() {
    let mount =
        json!({"destination": "/d", "type": "tmpfs", "options": ["idmap=uids=0-1-10;gids=0-1-10"]});
    let built = Fixture::mounts(json!([mount])).build(build);
    assert_eq!(made(&built).len(), 1);
    let wanted = MountIdMap {
        user_namespace: Slot(0),
        recursive: false,
        from: crate::ConfigPath::new("mounts[0].options[0]"),
    };
    assert_eq!(built.mount().id_map, Some(wanted));
}

#[test]
fn what_is_refused() {
    let half =
        json!({"destination": "/d", "source": "/s", "options": ["bind"], "uidMappings": map(1)});
    let zero = json!({"destination": "/d", "source": "/s", "options": ["bind"],
        "uidMappings": [{"containerID": 0, "hostID": 1, "size": 0}], "gidMappings": map(1)});
    let table = [
        (
            bind(&["bind", "idmap"]),
            "mounts[0].options[1]: needs mappings",
        ),
        (half, "mounts[0].gidMappings: missing"),
        (zero, "mounts[0].uidMappings[0].size: expected at least 1"),
        (
            bind(&["bind", "idmap="]),
            "mounts[0].options[1]: expected idmap=uids=",
        ),
        (
            bind(&["bind", "idmap=uids=0-1"]),
            "mounts[0].options[1]: expected idmap=uids=",
        ),
        (
            bind(&["bind", "idmap=uids=0-1-1"]),
            "mounts[0].options[1]: expected both",
        ),
        (
            bind(&["bind", "idmap=uids=0-1-1;gids=0-1-0"]),
            "mounts[0].options[1]: expected at least 1",
        ),
        (
            bind(&["bind", "idmap=uids=@0-1-1;gids=0-1-1"]),
            "mounts[0].options[1]: expected ids that",
        ),
        (
            bind(&["remount", "bind", "idmap=uids=0-1-1;gids=0-1-1"]),
            "mounts[0].options[2]: ids can be mapped only",
        ),
        (
            json!({"destination": "/d", "type": "cgroup", "options": ["idmap=uids=0-1-1;gids=0-1-1"]}),
            "mounts[0].options[0]: ids of a cgroup mount",
        ),
    ];
    for (mount, start) in table {
        let built = Fixture::mounts(json!([mount])).build(build);
        assert_eq!(built.problems.len(), 1, "{mount}: {:?}", built.problems);
        assert!(built.problems[0].starts_with(start), "{:?}", built.problems);
    }
}
