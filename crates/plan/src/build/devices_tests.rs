use super::*;
use crate::Slot;
use crate::build::fixture::{Built, Fixture};
use serde_json::{Value, json};

fn nodes(built: &Built) -> Vec<(&str, &DeviceNode)> {
    built
        .init
        .iter()
        .filter_map(|(from, op)| match op {
            InitOp::MakeDevice(node) => Some((from.as_str(), node)),
            _ => None,
        })
        .collect()
}

fn links(built: &Built) -> Vec<(&str, &str, bool)> {
    built
        .init
        .iter()
        .filter_map(|(_, op)| match op {
            InitOp::MakeLink {
                path,
                target,
                replace,
            } => Some((path.as_str(), target.as_str(), *replace)),
            _ => None,
        })
        .collect()
}

fn device(path: &str, kind: &str, major: i64, minor: i64) -> Value {
    json!({"path": path, "type": kind, "major": major, "minor": minor})
}

#[test]
fn every_container_has_the_default_devices_and_links() {
    let built = Fixture::linux(json!({})).build(build);
    assert_eq!(built.problems, Vec::<String>::new());
    let found: Vec<_> = nodes(&built)
        .iter()
        .map(|(from, node)| {
            assert_eq!(*from, "linux.devices (default)");
            assert_eq!((node.mode, node.uid, node.gid), (0o666, 0, 0));
            let NodeKind::Device { major, minor, .. } = node.node else {
                panic!("{node:?}")
            };
            (node.path.as_str(), major, minor)
        })
        .collect();
    assert_eq!(found, DEFAULT_DEVICES);
    let wanted = [
        ("/dev/fd", "/proc/self/fd", false),
        ("/dev/stdin", "/proc/self/fd/0", false),
        ("/dev/stdout", "/proc/self/fd/1", false),
        ("/dev/stderr", "/proc/self/fd/2", false),
        ("/dev/ptmx", "pts/ptmx", true),
    ];
    assert_eq!(links(&built), wanted);
    assert_eq!(built.parent, []);
}

#[test]
fn configured_devices_of_every_type() {
    let linux = json!({"devices": [
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 1, "gid": 2},
        {"path": "/dev/sda", "type": "b", "major": 8, "minor": 0, "fileMode": 25008},
        {"path": "/dev/u", "type": "u", "major": 4095, "minor": 1_048_575},
        {"path": "/run//pipe", "type": "p"},
    ]});
    let built = Fixture::linux(linux).build(build);
    assert_eq!(built.problems, Vec::<String>::new());
    let made: Vec<_> = nodes(&built).split_off(DEFAULT_DEVICES.len());
    let dev = |device, major, minor| NodeKind::Device {
        device,
        major,
        minor,
    };
    let node = |path: &str, node, mode, uid, gid| DeviceNode {
        path: path.to_owned(),
        node,
        mode,
        uid,
        gid,
    };
    let wanted = [
        node("/dev/fuse", dev(DeviceKind::Char, 10, 229), 0o666, 1, 2),
        node("/dev/sda", dev(DeviceKind::Block, 8, 0), 0o660, 0, 0),
        node(
            "/dev/u",
            dev(DeviceKind::Char, 4095, 1_048_575),
            0o666,
            0,
            0,
        ),
        node("/run/pipe", NodeKind::Fifo, 0o666, 0, 0),
    ];
    for (index, (from, found)) in made.iter().enumerate() {
        assert_eq!(*from, format!("linux.devices[{index}]"));
        assert_eq!(**found, wanted[index]);
    }
    assert_eq!(made.len(), wanted.len());
}

#[test]
fn where_mknod_is_refused_the_hosts_node_is_bound() {
    let linux =
        json!({"devices": [device("/dev/fuse", "c", 10, 229), {"path": "/p", "type": "p"}]});
    let user = Fixture::linux(linux.clone()).with(NamespaceKind::User);
    let mut inside = Fixture::linux(linux.clone());
    inside.host.in_user_namespace = true;
    let mut weak = Fixture::linux(linux);
    weak.host.effective_capabilities &= !(1 << CAP_MKNOD);
    for fixture in [user, inside, weak] {
        let built = fixture.build(build);
        assert_eq!(built.problems, Vec::<String>::new());
        let opened: Vec<_> = built
            .parent
            .iter()
            .map(|(_, op)| match op {
                ParentOp::OpenHostDevice { slot, path, .. } => (slot.0, path.as_str()),
                _ => panic!("{op:?}"),
            })
            .collect();
        assert_eq!(opened.len(), DEFAULT_DEVICES.len() + 1);
        assert_eq!(opened[6], (6, "/dev/fuse"));
        let made = nodes(&built);
        let wanted = NodeKind::Bind {
            slot: Slot(6),
            device: DeviceKind::Char,
            major: 10,
            minor: 229,
        };
        assert_eq!(made[6].1.node, wanted);
        assert_eq!(made[7].1.node, NodeKind::Fifo);
    }
}

#[test]
fn a_node_that_can_be_neither_made_nor_bound_is_told() {
    let linux = json!({"devices": [device("/dev/fuse", "c", 10, 229)]});
    let fixture = Fixture::linux(linux)
        .with(NamespaceKind::User)
        .without(NamespaceKind::Mount);
    let built = fixture.build(build);
    assert_eq!(built.problems.len(), 1);
    assert!(built.problems[0].starts_with("linux.devices[0]: \"/dev/fuse\" can be neither made"));
    assert_eq!(built.warnings.len(), 1);
}

#[test]
fn nothing_is_made_in_a_bound_dev() {
    let spec = |mounts: Value| {
        let devices = json!([device("/dev/fuse", "c", 10, 229), device("/x", "c", 1, 3)]);
        Fixture::new(
            json!({"root": {"path": "r"}, "mounts": mounts, "linux": {"devices": devices}}),
        )
    };
    let bound = json!({"destination": "/dev/", "source": "/dev", "options": ["rbind"]});
    let tmpfs = json!({"destination": "/dev", "type": "tmpfs"});
    let again = json!({"destination": "/dev", "options": ["remount", "bind", "ro"]});

    let built = spec(json!([tmpfs, bound, again])).build(build);
    let paths: Vec<_> = nodes(&built).iter().map(|(_, n)| n.path.as_str()).collect();
    assert_eq!(paths, ["/x"]);
    assert_eq!(links(&built), []);
    let wanted = "linux.devices[0]: not made, because mounts puts a bind mount on /dev";
    assert_eq!(built.warnings, [wanted]);

    let built = spec(json!([bound, tmpfs, again])).build(build);
    assert_eq!(nodes(&built).len(), DEFAULT_DEVICES.len() + 2);
}

#[test]
fn what_the_configuration_puts_in_place_of_a_default_stays() {
    let mounts = json!([
        {"destination": "/dev/random", "source": "/dev/urandom", "options": ["bind"]},
        {"destination": "/dev/stdin", "source": "/x", "options": ["bind"]},
    ]);
    let devices = json!([
        {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 384},
        device("/dev/ptmx", "c", 5, 2),
    ]);
    let spec = json!({"root": {"path": "r"}, "mounts": mounts, "linux": {"devices": devices}});
    let built = Fixture::new(spec).build(build);
    assert_eq!(built.problems, Vec::<String>::new());
    let made = nodes(&built);
    assert!(made.iter().all(|(_, node)| node.path != "/dev/random"));
    assert!(made.iter().all(|(_, node)| node.path != "/dev/ptmx"));
    let null: Vec<_> = made.iter().filter(|(_, n)| n.path == "/dev/null").collect();
    assert_eq!(
        (null.len(), null[0].0, null[0].1.mode),
        (1, "linux.devices[0]", 0o600)
    );
    let links = links(&built);
    assert!(links.iter().all(|(path, ..)| *path != "/dev/stdin"));
    assert!(links.contains(&("/dev/ptmx", "pts/ptmx", true)));
}

#[test]
fn every_unusable_device_is_told() {
    let linux = json!({"devices": [
        device("dev/x", "c", 1, 3),
        device("/", "c", 1, 3),
        device("/dev/", "c", 1, 3),
        device("/proc/x", "c", 1, 3),
        device("/dev/a", "a", 1, 3),
        device("/dev/b", "b", -1, 1_048_576),
        {"path": "/dev/c", "type": "c", "major": 4096, "minor": 0, "fileMode": 65536},
        device("/dev/d", "c", 1, 3),
        device("/dev/../dev/d", "c", 1, 5),
        device("/dev/d", "c", 1, 3),
    ]});
    let built = Fixture::linux(linux).build(build);
    let path = "expected the absolute path of a device node inside the container";
    let wanted = [
        format!(r#"linux.devices[0].path: {path}, found "dev/x""#),
        format!(r#"linux.devices[1].path: {path}, found "/""#),
        format!(r#"linux.devices[2].path: {path}, found "/dev/""#),
        "linux.devices[3].path: \"/proc/x\" is in /proc, where no device node can be made".to_owned(),
        r#"linux.devices[4].type: unknown device type "a" (one of: c, b, u, p)"#.to_owned(),
        "linux.devices[5].major: expected a device number from 0 to 4095, found -1 (-1 is a wildcard only in linux.resources.devices)".to_owned(),
        "linux.devices[5].minor: expected a device number from 0 to 1048575, found 1048576".to_owned(),
        "linux.devices[6].major: expected a device number from 0 to 4095, found 4096".to_owned(),
        "linux.devices[6].fileMode: expected permission bits as a decimal number (438 is 0666), found 65536".to_owned(),
        r#"linux.devices[8].path: duplicate device path "/dev/d" (already at linux.devices[7].path)"#.to_owned(),
    ];
    assert_eq!(built.problems, wanted);
    let wanted = "linux.devices[9].path: the same device as linux.devices[7], made once";
    assert_eq!(built.warnings, [wanted]);
}
