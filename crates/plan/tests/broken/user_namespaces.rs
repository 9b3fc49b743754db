//! Maps of user and group ids.

use plan::HostFacts;
use serde_json::{Value, json};

use crate::{check, problems_of, request, set, with};

/// The template with a user namespace and these maps.
fn with_maps(uids: Value, gids: Value) -> Value {
    let mut config = with("linux/uidMappings", uids);
    set(&mut config, "linux/gidMappings", gids);
    set(&mut config, "linux/namespaces/6", json!({"type": "user"}));
    config
}

fn map(container: u32, host: u32, size: u32) -> Value {
    json!({"containerID": container, "hostID": host, "size": size})
}

#[test]
fn user_namespaces() {
    let fine = || json!([map(0, 100_000, 65_536)]);
    check(&with_maps(fine(), fine()), &[]);
    let many: Vec<Value> = (0..341).map(|n| map(n, n + 1000, 1)).collect();
    for (uids, gids, expected) in [
        (
            json!([]),
            fine(),
            "linux.uidMappings: missing: at least one mapping, because the container has a user namespace",
        ),
        (
            fine(),
            json!([]),
            "linux.gidMappings: missing: at least one mapping, because the container has a user namespace",
        ),
        (
            json!([map(0, 1, 0)]),
            fine(),
            "linux.uidMappings[0].size: expected at least 1, found 0",
        ),
        (
            json!([map(0, 1000, 10), map(9, 2000, 10)]),
            fine(),
            "linux.uidMappings[1].containerID: overlaps linux.uidMappings[0]",
        ),
        (
            fine(),
            json!([map(0, 1000, 10), map(10, 1009, 10)]),
            "linux.gidMappings[1].hostID: overlaps linux.gidMappings[0]",
        ),
        (
            json!([map(0, 4_294_967_000, 1000)]),
            fine(),
            "linux.uidMappings[0].hostID: expected ids up to 4294967294, found 4294967000 with size 1000",
        ),
        (
            json!([map(1, 1000, 10)]),
            fine(),
            "linux.uidMappings: must map id 0 of the container, which builds it",
        ),
        (
            json!(many),
            fine(),
            "linux.uidMappings: expected at most 340 mappings, the kernel's limit, found 341",
        ),
    ] {
        let mut config = with_maps(uids.clone(), gids);
        // An id that is not mapped would be a second problem.
        if uids == json!([map(1, 1000, 10)]) {
            set(&mut config, "process/user/uid", json!(5));
        }
        let text = config.to_string();
        let found = problems_of(text.as_bytes(), &request(), &HostFacts::v2_root());
        assert!(
            found.contains(&expected.to_owned()),
            "{expected}\n{found:#?}"
        );
    }
    // A map that is broken itself says nothing about any id.
    let broken = [
        (
            "linux.uidMappings[0].size: expected at least 1, found 0",
            map(0, 1, 0),
        ),
        (
            "linux.uidMappings[0].size: missing: the spec requires it",
            json!({"containerID": 0, "hostID": 1}),
        ),
        (
            "linux.uidMappings[0].hostID: missing: the spec requires it",
            json!({"containerID": 0, "size": 1}),
        ),
        (
            "linux.uidMappings[0].containerID: missing: the spec requires it",
            json!({"containerID": null, "hostID": 1, "size": 1}),
        ),
    ];
    for (expected, line) in broken {
        check(&with_maps(json!([line, map(1, 5, 1)]), fine()), &[expected]);
    }
    let gids = json!([{"containerID": 0, "hostID": 1, "size": 0}]);
    check(
        &with_maps(fine(), gids),
        &["linux.gidMappings[0].size: expected at least 1, found 0"],
    );
    let mut config = with_maps(fine(), fine());
    set(&mut config, "process/user/uid", json!(65_536));
    set(
        &mut config,
        "process/user/additionalGids",
        json!([5, 70_000]),
    );
    check(
        &config,
        &[
            "process.user.uid: 65536 is not mapped by linux.uidMappings",
            "process.user.additionalGids[1]: 70000 is not mapped by linux.gidMappings",
        ],
    );
    check(
        &with("linux/uidMappings", fine()),
        &["linux.uidMappings: needs a user namespace in linux.namespaces"],
    );
}

#[test]
fn joined_user_namespaces() {
    let fine = || json!([map(0, 100_000, 65_536)]);
    let mut config = with_maps(fine(), fine());
    set(
        &mut config,
        "linux/namespaces/6/path",
        json!("/proc/42/ns/user"),
    );
    check(&config, &[]);
    set(&mut config, "linux/gidMappings", json!(null));
    check(
        &config,
        &[
            "linux.gidMappings: missing: at least one mapping, because the container has a user namespace",
        ],
    );
    set(&mut config, "linux/uidMappings", json!(null));
    check(&config, &[]);
    let mut config = with_maps(fine(), fine());
    set(
        &mut config,
        "linux/namespaces/0/path",
        json!("/proc/42/ns/pid"),
    );
    check(
        &config,
        &[
            "linux.namespaces[0].path: a pid namespace cannot be joined from a new user namespace, because only its owner may (join the user namespace that it belongs to as well)",
        ],
    );
}
