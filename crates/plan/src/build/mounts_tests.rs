use super::*;
use crate::build::fixture::Fixture;
use crate::{
    Atime, CgroupMode, ClassicFlags, HostFacts, Lsm, MountLabel, NamespaceKind, ParentOp,
    PropagationKind, Slot,
};
use serde_json::{Value, json};

/// The problems of one entry.
fn problems_of(mount: Value) -> Vec<String> {
    Fixture::mounts(json!([mount])).build(build).problems
}

fn tmpfs(target: &str, options: &[&str]) -> Value {
    json!({"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options})
}

fn bind(target: &str, options: &[&str]) -> Value {
    let options: Vec<_> = ["bind"].iter().chain(options).collect();
    json!({"destination": target, "source": "/src", "options": options})
}

#[test]
fn a_new_file_system_takes_its_parameters_and_attributes() {
    let options = ["nosuid", "strictatime", "mode=755", "sync", "size=65536k"];
    let built = Fixture::mounts(json!([tmpfs("/run", &options)])).build(build);
    let op = built.mount();
    assert_eq!(op.target, "/run");
    assert_eq!(op.attributes.set, AttrFlags::NO_SUID);
    assert_eq!(op.attributes.atime, Some(Atime::Strict));
    let MountSource::Filesystem {
        fstype,
        source,
        parameters,
        classic,
    } = &op.source
    else {
        panic!("{:?}", op.source)
    };
    assert_eq!(
        (fstype.as_str(), source.as_deref()),
        ("tmpfs", Some("tmpfs"))
    );
    assert_eq!(*classic, ClassicFlags::empty());
    let found: Vec<_> = parameters
        .iter()
        .map(|p| (p.key.as_str(), p.value.as_deref(), p.from.as_str()))
        .collect();
    let wanted = [
        ("sync", None, "mounts[0].options[3]"),
        ("mode", Some("755"), "mounts[0].options[2]"),
        ("size", Some("65536k"), "mounts[0].options[4]"),
    ];
    assert_eq!(found, wanted);
    assert_eq!(built.init[0].0, "mounts[0]");
}

#[test]
fn a_bind_mount_is_opened_by_the_parent() {
    let table = [
        (json!(["rbind"]), "/src", "/src", (true, false, false)),
        (
            json!(["bind"]),
            "src/./x/../y",
            "/bundle/src/y",
            (false, false, false),
        ),
        (
            json!(["bind", "src-nofollow"]),
            "/s",
            "/s",
            (false, true, false),
        ),
        (
            json!(["rbind", "copy-symlink"]),
            "/s",
            "/s",
            (true, false, true),
        ),
        // An absolute host path is the kernel's to resolve: `..` may cross a symlink.
        (json!(["bind"]), "/a/../b", "/a/../b", (false, false, false)),
    ];
    for (options, source, path, (recursive, no_follow, copy_symlink)) in table {
        // The type is a dummy.
        let mount =
            json!({"destination": "/d", "type": "ext4", "source": source, "options": options});
        let built = Fixture::mounts(json!([mount])).build(build);
        assert_eq!(built.mount().source, MountSource::Tree { slot: Slot(0) });
        let open = ParentOp::OpenMountSource {
            slot: Slot(0),
            path: path.to_owned(),
            recursive,
            no_follow,
            copy_symlink,
        };
        assert_eq!(built.parent, [("mounts[0].source".to_owned(), open)]);
    }
}

#[test]
fn recursive_words_stay_apart_only_where_something_can_be_below() {
    let built = Fixture::mounts(json!([bind("/a", &["rro", "rw"])])).build(build);
    let op = built.mount();
    assert_eq!(op.recursive_attributes.set, AttrFlags::READ_ONLY);
    assert_eq!(op.attributes.clear, AttrFlags::READ_ONLY);
    let proc = json!({"destination": "/proc", "type": "proc", "options": ["rro", "rnosuid"]});
    let built = Fixture::mounts(json!([proc])).build(build);
    let op = built.mount();
    assert!(op.recursive_attributes.is_empty());
    assert_eq!(op.attributes.set, AttrFlags::READ_ONLY | AttrFlags::NO_SUID);
}

#[test]
fn propagation_is_kept_in_order() {
    let built = Fixture::mounts(json!([bind("/a", &["rslave", "shared"])])).build(build);
    let kinds: Vec<_> = built
        .mount()
        .propagation
        .iter()
        .map(|p| (p.kind, p.recursive))
        .collect();
    assert_eq!(
        kinds,
        [
            (PropagationKind::Slave, true),
            (PropagationKind::Shared, false)
        ]
    );
}

#[test]
fn hostile_destinations_are_refused_by_their_path() {
    let root = "a mount on / would cover the container's root";
    let inside = "is inside procfs";
    let only = "only procfs can be mounted on /proc";
    let table = [
        ("/", root),
        ("//", root),
        ("/.", root),
        ("/a/..", root),
        ("..", root),
        ("/../..", root),
        ("/proc", only),
        ("/proc/", only),
        ("/./proc/.", only),
        ("/x/../proc", only),
        ("proc", only),
        ("/proc/self/attr", inside),
        ("/proc/sys/kernel", inside),
        ("/proc/1", inside),
        ("/proc/./sys", inside),
        ("/proc/../proc/sys", inside),
        ("/proc//meminfo/x", inside),
        ("proc/sys", inside),
        ("/proc/kcore", inside),
        ("", "expected an absolute path inside the container"),
        ("/a\0b", "expected an absolute path inside the container"),
    ];
    for (target, wanted) in table {
        for mount in [bind(target, &[]), tmpfs(target, &[])] {
            let problems = problems_of(mount);
            assert_eq!(problems.len(), 1, "{target:?}");
            assert!(
                problems[0].starts_with("mounts[0].destination: "),
                "{problems:?}"
            );
            assert!(problems[0].contains(wanted), "{problems:?}");
        }
    }
}

#[test]
fn what_may_be_mounted_in_proc() {
    let proc = json!({"destination": "/proc", "type": "proc", "source": "proc"});
    let bound = json!({"destination": "/proc", "source": "/proc", "options": ["rbind"]});
    let again = json!({"destination": "/proc", "options": ["remount", "ro"]});
    for mount in [proc, bound, again] {
        assert_eq!(problems_of(mount), Vec::<String>::new());
    }
    for file in PROC_FILES {
        assert_eq!(problems_of(bind(file, &[])), Vec::<String>::new());
    }
    // `proc` as the type of a bind mount means nothing.
    let fake = json!({"destination": "/proc", "type": "proc", "source": "/x", "options": ["bind"]});
    assert_eq!(problems_of(fake).len(), 1);
}

#[test]
fn proc_and_sysfs_follow_no_symlink_at_their_target() {
    for (kind, wanted) in [("proc", true), ("sysfs", true), ("tmpfs", false)] {
        let target = if kind == "proc" { "/proc" } else { "/t" };
        let mount = json!({"destination": target, "type": kind});
        let built = Fixture::mounts(json!([mount])).build(build);
        assert_eq!(built.mount().target_no_follow, wanted, "{kind}");
    }
    let built = Fixture::mounts(json!([bind("/a", &["dest-nofollow"])])).build(build);
    assert!(built.mount().target_no_follow);
}

#[test]
fn a_relative_destination_counts_from_the_root_with_a_warning() {
    let built = Fixture::mounts(json!([bind("data/../x", &[])])).build(build);
    assert_eq!(built.mount().target, "/x");
    let wanted = r#"mounts[0].destination: not absolute, as the spec wants it: "data/../x" is taken to be "/x""#;
    assert_eq!(built.warnings, [wanted]);
}

/// Each mount with what its problems say.
fn check_problems(table: &[(Value, &[&str])]) {
    for (mount, wanted) in table {
        let problems = problems_of(mount.clone());
        assert_eq!(problems.len(), wanted.len(), "{mount} {problems:?}");
        for (problem, wanted) in problems.iter().zip(*wanted) {
            assert!(problem.contains(wanted), "{problem}");
        }
    }
}

#[test]
fn sources_and_types_that_make_no_mount_are_named() {
    let table: [(Value, &[&str]); 8] = [
        (
            json!({"destination": "/d", "options": ["bind"]}),
            &["mounts[0].source: missing: the path on the host to bind"],
        ),
        (
            json!({"destination": "/d", "source": "", "options": ["rbind"]}),
            &["mounts[0].source: missing: the path on the host to bind"],
        ),
        (
            json!({"destination": "/d", "source": "/\u{0}", "options": ["rbind"]}),
            &["mounts[0].source: expected a path without NUL bytes"],
        ),
        (
            json!({"destination": "/d", "type": "tmpfs", "source": "\u{0}"}),
            &["mounts[0].source: expected a source without NUL bytes"],
        ),
        (
            json!({"destination": "/d", "source": "/s"}),
            &[
                "mounts[0].type: missing: the file system to mount, unless an option is bind or rbind",
            ],
        ),
        (
            json!({"destination": "/d", "type": "none", "source": "/s"}),
            &["mounts[0].type: missing: the file system to mount"],
        ),
        (
            json!({"destination": "/d", "type": "bind", "source": "/s", "options": ["ro"]}),
            &[
                r#"mounts[0].type: the type "bind" alone makes no bind mount: the kernel has no such file system (add bind or rbind to options)"#,
            ],
        ),
        (
            json!({"destination": "/d", "type": "t\u{0}"}),
            &["mounts[0].type: expected the name of a file system"],
        ),
    ];
    check_problems(&table);
}

#[test]
fn words_in_the_wrong_place_are_named() {
    let no_bind = "add the option bind or rbind";
    let table: [(Value, &[&str]); 5] = [
        (
            bind("/d", &["size=1", "ro", "acl"]),
            &[
                r#"mounts[0].options[1]: "size=1" is no option of a bind mount (options of file systems have no effect on bind mounts)"#,
                r#"mounts[0].options[3]: "acl" is no option of a bind mount"#,
            ],
        ),
        (
            bind("/d", &["tmpcopyup"]),
            &["mounts[0].options[1]: tmpcopyup fills a new tmpfs, and this mount is none"],
        ),
        (
            json!({"destination": "/d", "type": "ramfs", "options": ["tmpcopyup"]}),
            &["mounts[0].options[0]: tmpcopyup fills a new tmpfs"],
        ),
        (
            tmpfs("/d", &["copy-symlink", "src-nofollow"]),
            &[no_bind, no_bind],
        ),
        (
            json!({"destination": "/d", "options": ["remount", "bind", "size=1"]}),
            &[r#"mounts[0].options[2]: "size=1" is no option of a bind mount"#],
        ),
    ];
    check_problems(&table);
}

#[test]
fn defaults_is_fine_everywhere() {
    for mount in [
        bind("/d", &["defaults", ""]),
        tmpfs("/d", &["defaults", ""]),
    ] {
        let built = Fixture::mounts(json!([mount])).build(build);
        assert!(built.mount().attributes.is_empty());
        assert_eq!(built.warnings, Vec::<String>::new());
    }
}

#[test]
fn all_problems_of_a_list_are_told() {
    let mounts = json!([
        bind("/ok", &[]),
        {"destination": "/", "options": ["bind", "foo"]},
        tmpfs("/proc/x", &["idmap"]),
        tmpfs("/fine", &[]),
        {"destination": "/y"},
    ]);
    let built = Fixture::mounts(mounts).build(build);
    let paths: Vec<_> = built
        .problems
        .iter()
        .filter_map(|p| p.split(": ").next())
        .collect();
    let wanted = [
        "mounts[1].destination",
        "mounts[1].options[1]",
        "mounts[1].source",
        "mounts[2].destination",
        "mounts[2].options[0]",
        "mounts[4].type",
    ];
    assert_eq!(paths, wanted);
    // And the good ones were understood all the same.
    assert_eq!(built.mounts().len(), 2);
}

#[test]
fn superblock_words_are_idle_on_binds() {
    let built = Fixture::mounts(json!([bind(
        "/d",
        &["sync", "async", "mand", "silent", "loud"]
    )]));
    let built = built.build(build);
    assert_eq!(built.problems, Vec::<String>::new());
    let wanted =
        "mounts[0].options[3]: has no effect on a bind mount: it belongs to the file system";
    assert_eq!(built.warnings, [wanted]);
}

#[test]
fn read_only_goes_to_the_superblock_only_of_file_systems_that_own_theirs() {
    let table = [
        ("ext4", true),
        ("overlay", true),
        ("iso9660", true),
        ("proc", false),
        ("sysfs", false),
        ("devpts", false),
        ("mqueue", false),
        ("tmpfs", false),
    ];
    for (kind, wanted) in table {
        let target = if kind == "proc" { "/proc" } else { "/d" };
        let mount = json!({"destination": target, "type": kind, "options": ["ro"]});
        let built = Fixture::mounts(json!([mount])).build(build);
        let MountSource::Filesystem { parameters, .. } = &built.mount().source else {
            panic!("{kind}")
        };
        assert_eq!(parameters.iter().any(|p| p.key == "ro"), wanted, "{kind}");
    }
}

#[test]
fn what_fsconfig_cannot_carry_takes_the_classic_call() {
    let long = format!("lowerdir={}", "/layer:".repeat(60));
    let table = [
        (vec!["silent"], ClassicFlags::SILENT),
        (vec!["iversion"], ClassicFlags::I_VERSION),
        (vec!["iversion", "noiversion"], ClassicFlags::empty()),
        (vec![long.as_str()], ClassicFlags::LONG_VALUE),
    ];
    for (options, wanted) in table {
        let mount = json!({"destination": "/d", "type": "overlay", "options": options});
        let built = Fixture::mounts(json!([mount])).build(build);
        let MountSource::Filesystem { classic, .. } = &built.mount().source else {
            panic!("{options:?}")
        };
        assert_eq!(*classic, wanted);
    }
    let longer = format!("lowerdir={}", "/layer:".repeat(600));
    let mount = json!({"destination": "/d", "type": "overlay", "options": ["x=1", longer]});
    let wanted = "mounts[0].options[1]: expected options of at most 4095 bytes, all together, found 4214 bytes";
    assert_eq!(problems_of(mount), [wanted]);
}

#[test]
fn read_only_tmpfs_and_dev_wait_for_what_is_made_below() {
    let devtmpfs = json!({"destination": "/dev", "type": "devtmpfs", "options": ["ro"]});
    let table = [
        (json!([tmpfs("/dev", &["ro", "nosuid"])]), vec!["/dev"]),
        (json!([devtmpfs]), vec!["/dev"]),
        (
            json!([tmpfs("/a", &["rro"]), tmpfs("/b", &["rw"])]),
            vec!["/a"],
        ),
        (
            json!([tmpfs("/a", &["ro"]), tmpfs("/a/b", &["ro"])]),
            vec!["/a", "/a/b"],
        ),
        // Covered by a later mount: the path leads elsewhere by then.
        (json!([tmpfs("/a", &["ro"]), bind("/a", &[])]), vec![]),
        (json!([tmpfs("/a/b", &["ro"]), bind("/a", &[])]), vec![]),
        (json!([bind("/a", &["ro"])]), vec![]),
        (
            json!([{"destination": "/s", "type": "sysfs", "options": ["ro"]}]),
            vec![],
        ),
    ];
    for (mounts, wanted) in table {
        let built = Fixture::mounts(mounts.clone()).build(build);
        assert_eq!(built.problems, Vec::<String>::new());
        let later: Vec<_> = built
            .init
            .iter()
            .filter_map(|(from, op)| match op {
                InitOp::MakeReadOnly { target } => Some((from.as_str(), target.as_str())),
                _ => None,
            })
            .collect();
        let targets: Vec<_> = later.iter().map(|(_, target)| *target).collect();
        assert_eq!(targets, wanted, "{mounts}");
        assert!(later.iter().all(|(from, _)| from.ends_with(".options")));
        for op in built.mounts() {
            let delayed = wanted.contains(&op.target.as_str()) && op.read_only_later;
            assert!(!delayed || !op.attributes.set.contains(AttrFlags::READ_ONLY));
        }
    }
}

#[test]
fn a_remount_changes_what_is_there() {
    let mount = json!({"destination": "/d", "type": "none",
        "options": ["remount", "ro", "async", "size=1m"]});
    let built = Fixture::mounts(json!([mount])).build(build);
    let op = built.mount();
    assert_eq!(op.attributes.set, AttrFlags::READ_ONLY);
    let MountSource::Existing { parameters } = &op.source else {
        panic!("{:?}", op.source)
    };
    let keys: Vec<_> = parameters.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys, ["async", "size"]);
    let mount = json!({"destination": "/d", "options": ["remount", "bind", "ro", "sync"]});
    let built = Fixture::mounts(json!([mount])).build(build);
    let nothing = MountSource::Existing { parameters: vec![] };
    assert_eq!(built.mount().source, nothing);
    assert_eq!(built.warnings.len(), 1);
    assert_eq!(built.parent, []);
    for (word, cleared) in [
        ("ro", false),
        ("rro", false),
        ("nosuid", true),
        ("rw", true),
    ] {
        let mount = json!({"destination": "/d", "options": ["remount", word]});
        let built = Fixture::mounts(json!([mount])).build(build);
        let clear = built.mount().attributes.clear;
        assert_eq!(clear.contains(AttrFlags::READ_ONLY), cleared, "{word}");
    }
}

#[test]
fn cgroup_means_what_the_host_has() {
    let mount =
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "options": ["ro", "nsdelegate"]});
    let fixture = Fixture::mounts(json!([mount]));
    let built = fixture.build(build);
    let v2 = MountSource::CgroupV2 {
        own_namespace: true,
    };
    assert_eq!(built.mount().source, v2);
    assert_eq!(built.warnings.len(), 1);
    let mut fixture = fixture.without(NamespaceKind::Cgroup);
    let v2 = MountSource::CgroupV2 {
        own_namespace: false,
    };
    assert_eq!(fixture.build(build).mount().source, v2);

    fixture.host = HostFacts::hybrid_root();
    let facts = &mut fixture.host.cgroup;
    for controller in ["cpu", "cpuacct"] {
        let mount = "/sys/fs/cgroup/cpu,cpuacct".to_owned();
        facts.v1_mounts.insert(controller.to_owned(), mount);
    }
    let built = fixture.build(build);
    let MountSource::CgroupV1 {
        own_namespace,
        hierarchies,
        aliases,
    } = &built.mount().source
    else {
        panic!("{:?}", built.mount().source)
    };
    assert!(!own_namespace);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert!(hierarchies.contains(&pair("cpu,cpuacct", "cpu,cpuacct")));
    assert!(hierarchies.contains(&pair("memory", "memory")));
    assert!(hierarchies.contains(&pair("systemd", "name=systemd")));
    assert_eq!(hierarchies.last(), Some(&pair("unified", "")));
    let wanted = [pair("cpu", "cpu,cpuacct"), pair("cpuacct", "cpu,cpuacct")];
    assert_eq!(*aliases, wanted);
}

#[test]
fn cgroup_versions_the_host_lacks_are_named() {
    let mount = json!({"destination": "/c", "type": "cgroup2"});
    let mut fixture = Fixture::mounts(json!([mount]));
    fixture.host.cgroup.mode = CgroupMode::V1;
    let problems = fixture.build(build).problems;
    assert!(problems[0].starts_with("mounts[0].type: this host mounts only cgroup v1"));
    fixture.host.cgroup.mode = CgroupMode::None;
    let problems = fixture.build(build).problems;
    assert_eq!(
        problems,
        ["mounts[0].type: this host has no cgroup file system mounted"]
    );
}

#[test]
fn ids_in_options_must_be_mapped() {
    let fixture = |options: &[&str], kind: &str| {
        let mount = json!({"destination": "/d", "type": kind, "options": options});
        let map = json!([{"containerID": 0, "hostID": 1000, "size": 5}]);
        Fixture::new(json!({
            "root": {"path": "r"},
            "mounts": [mount],
            "linux": {"uidMappings": map, "gidMappings": map},
        }))
        .with(NamespaceKind::User)
    };
    let problems = |options: &[&str], kind: &str| fixture(options, kind).build(build).problems;
    let wanted = r#"mounts[0].options[1]: expected an id that linux.gidMappings maps, found "gid=5" (remove the option, or map the id)"#;
    assert_eq!(problems(&["newinstance", "gid=5"], "devpts"), [wanted]);
    assert_eq!(problems(&["uid=4294967295"], "tmpfs").len(), 1);
    assert_eq!(problems(&["gid=4", "uid=0", "gid=x"], "devpts").len(), 0);
    assert_eq!(problems(&["gid=5"], "ext4").len(), 0);
    let root = fixture(&["gid=5"], "devpts").without(NamespaceKind::User);
    assert_eq!(root.build(build).problems.len(), 0);
}

#[test]
fn labels_need_selinux() {
    let mounts = json!([
        {"destination": "/proc", "type": "proc"},
        tmpfs("/t", &[]),
        {"destination": "/m", "type": "mqueue"},
        bind("/b", &[]),
        tmpfs("/own", &["context=\"a:b:c:s0:c1,c2\""]),
    ]);
    let spec =
        json!({"root": {"path": "r"}, "mounts": mounts, "linux": {"mountLabel": "u:r:t:s0"}});
    let mut fixture = Fixture::new(spec);
    let wanted = r#"linux.mountLabel: "u:r:t:s0" needs SELinux, which is not active on this host (remove the property)"#;
    assert_eq!(fixture.build(build).problems, [wanted]);
    fixture.host.lsm = vec![Lsm::SELinux];
    let built = fixture.build(build);
    assert_eq!(built.problems, Vec::<String>::new());
    let labels: Vec<_> = built.mounts().iter().map(|op| op.label.clone()).collect();
    let option = MountLabel::Option {
        name: "context".to_owned(),
        label: "u:r:t:s0".to_owned(),
    };
    let attribute = MountLabel::Attribute("u:r:t:s0".to_owned());
    assert_eq!(labels, [None, Some(option), Some(attribute), None, None]);
    let MountSource::Filesystem { parameters, .. } = &built.mounts()[4].source else {
        panic!("a tmpfs")
    };
    // The quotes are for mount(2) alone.
    assert_eq!(parameters[0].value.as_deref(), Some("a:b:c:s0:c1,c2"));
}

#[test]
fn mounts_need_a_mount_namespace_of_the_containers_own() {
    let fixture = Fixture::mounts(json!([tmpfs("/a", &[]), tmpfs("/", &[])]));
    let problems = fixture.without(NamespaceKind::Mount).build(build).problems;
    let wanted = r#"mounts: the container has no mount namespace of its own, so nothing can be mounted or protected in it (add {"type": "mount"} without a path to linux.namespaces)"#;
    assert_eq!(problems.len(), 2);
    assert_eq!(problems[0], wanted);
}
