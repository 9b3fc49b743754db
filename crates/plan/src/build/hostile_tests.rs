//! Whatever stands in the chapters about paths: nothing panics, and nothing is
//! planned outside the root, on `/` or inside procfs.

use super::fixture::Fixture;
use super::{Context, devices, masks, mount_options, mounts, rootfs};
use crate::{HostFacts, InitOp, NamespaceKind, ParentOp, Request, explain, spec};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Paths made of what is special in paths, and of anything.
fn path() -> impl Strategy<Value = String> {
    let pieces = vec![
        "/", "//", "..", ".", "proc", "/proc", "dev", "/dev", "sys", "meminfo", "a", "...", "ü",
        "\0", "\n", "ptmx", "null", "\u{202e}",
    ];
    prop_oneof![
        8 => vec(select(pieces), 0..8).prop_map(|pieces| pieces.concat()),
        4 => vec(select(vec!["..", "a", "proc", "dev", "."]), 1..6)
            .prop_map(|parts| format!("/{}", parts.join("/"))),
        1 => any::<String>(),
    ]
}

/// Known words, words that look like them, and anything.
fn word() -> impl Strategy<Value = String> {
    let odd = vec![
        "",
        "=",
        "=x",
        "size=64k",
        "a,b=c,\\,d",
        "gid=5",
        "uid=4294967296",
        "\"",
        "context=\"a,b\"",
        "idmap",
        "idmap=",
        "ridmap=x",
        "\0",
        "upperdir=..",
        "ro,rw",
    ];
    prop_oneof![
        6 => select(mount_options::words()).prop_map(str::to_owned),
        2 => select(odd).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[a-z]{300}=[a-z]{300}",
    ]
}

fn mount() -> impl Strategy<Value = Value> {
    let kinds = vec![
        "bind", "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay",
        "none", "", "x\0",
    ];
    let id_map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    (
        path(),
        option::of(path()),
        option::of(select(kinds)),
        option::of(vec(word(), 0..6)),
        option::weighted(0.1, Just(id_map)),
    )
        .prop_map(|(destination, source, kind, options, map)| {
            json!({
                "destination": destination, "source": source, "type": kind,
                "options": options, "uidMappings": map,
            })
        })
}

fn device() -> impl Strategy<Value = Value> {
    let number = || prop_oneof![-2_i64..10, any::<i64>()];
    (
        path(),
        select(vec!["a", "b", "c", "u", "p"]),
        number(),
        number(),
        option::of(any::<u32>()),
        option::of(any::<u32>()),
    )
        .prop_map(|(path, kind, major, minor, mode, id)| {
            json!({
                "path": path, "type": kind, "major": major, "minor": minor,
                "fileMode": mode, "uid": id, "gid": id,
            })
        })
}

/// A configuration with fewer than `limit` entries in each list: the fewer, the
/// more often there is nothing wrong with it.
fn config(limit: usize) -> impl Strategy<Value = Value> {
    (
        prop_oneof![1 => path(), 3 => Just("rootfs".to_owned())],
        vec(mount(), 0..limit),
        vec(device(), 0..limit),
        vec(path(), 0..limit),
        vec(path(), 0..limit),
        option::weighted(0.2, word()),
    )
        .prop_map(|(root, mounts, devices, masked, read_only, propagation)| {
            json!({
                "ociVersion": "1.3.0",
                "root": {"path": root, "readonly": true},
                "process": {"args": ["sh"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
                "mounts": mounts,
                "linux": {
                    "namespaces": [{"type": "mount"}, {"type": "pid"}],
                    "devices": devices, "maskedPaths": masked, "readonlyPaths": read_only,
                    "rootfsPropagation": propagation,
                },
            })
        })
}

fn build_chapters(context: &mut Context<'_>) {
    rootfs::build(context);
    mounts::build(context);
    devices::build(context);
    masks::build(context);
}

/// Absolute, no part of it special, and not the root itself.
fn is_safe(path: &str) -> bool {
    let special = |part: &str| matches!(part, "" | "." | "..");
    let parts = path.strip_prefix('/');
    parts.is_some_and(|parts| !parts.split('/').any(special)) && !path.contains('\0')
}

/// Whether a mount or a node may be put here.
fn may_hold(path: &str) -> bool {
    let free = path != "/proc" && !path.starts_with("/proc/");
    free || path == "/proc" || path == "/proc/meminfo"
}

fn check(op: &InitOp) -> Result<(), TestCaseError> {
    match op {
        InitOp::Mount(mount) => {
            prop_assert!(is_safe(&mount.target), "{mount:?}");
            prop_assert!(may_hold(&mount.target), "{mount:?}");
        }
        InitOp::MakeDevice(node) => {
            prop_assert!(is_safe(&node.path), "{node:?}");
            prop_assert!(!node.path.starts_with("/proc/"), "{node:?}");
        }
        InitOp::MakeLink { path, .. }
        | InitOp::ProtectPath { path }
        | InitOp::MaskPath { path, .. }
        | InitOp::MakeReadOnly { target: path } => prop_assert!(is_safe(path), "{op:?}"),
        _ => {}
    }
    Ok(())
}

/// The numbers of the slots, in the order of opening.
fn slots(ops: &[(String, ParentOp)]) -> Vec<usize> {
    let slot = |op: &ParentOp| match op {
        ParentOp::OpenRoot { slot, .. }
        | ParentOp::OpenMountSource { slot, .. }
        | ParentOp::OpenHostDevice { slot, .. } => Some(slot.0),
        _ => None,
    };
    ops.iter().filter_map(|(_, op)| slot(op)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_chapter_panics_or_leaves_the_root(config in config(6), user in any::<bool>(), hybrid in any::<bool>()) {
        let mut fixture = Fixture::new(config);
        if user {
            fixture = fixture.with(NamespaceKind::User);
        }
        if hybrid {
            fixture.host = HostFacts::hybrid_root();
        }
        let built = fixture.build(build_chapters);
        for (_, op) in &built.init {
            check(op)?;
        }
        let slots = slots(&built.parent);
        prop_assert_eq!(&slots, &(0..slots.len()).collect::<Vec<_>>());
        for problem in &built.problems {
            prop_assert!(!problem.contains('\0') , "{}", problem);
        }
    }

    #[test]
    fn what_is_explained_is_harmless_and_what_is_planned_can_be_written_down(config in config(2)) {
        let Ok(loaded) = spec::load(config.to_string().as_bytes()) else {
            return Ok(());
        };
        let request = Request::create("c1", "/bundle");
        let text = match crate::build(&loaded, &request, &HostFacts::v2_root()) {
            Ok(plan) => {
                let back = serde_json::from_value(explain::json(&plan));
                prop_assert_eq!(back.ok(), Some(plan.clone()));
                explain::text(&plan)
            }
            Err(errors) => explain::problems(&errors),
        };
        let is_harmless = |char: char| char == '\n' || !char.is_control() && char != '\u{202e}';
        prop_assert!(text.chars().all(is_harmless), "{}", text);
    }
}
