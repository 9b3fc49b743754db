//! config-linux.md, "Namespaces", "User namespace mappings", "Offset for Time Namespace".

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use runtime_tests::{Case, convention, must, should, skip};
use serde_json::json;

const CHAPTER: &str = "config-linux.md: Namespaces";

const KINDS: &[(&str, &str)] = &[
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("cgroup", "cgroup"),
];

fn own(kind: &str) -> String {
    fs::read_link(format!("/proc/self/ns/{kind}"))
        .unwrap()
        .display()
        .to_string()
}

#[must("If path is not specified, the runtime MUST create a new container namespace of type type.")]
fn new_ones_differ(case: &mut Case) {
    let bundle = case.bundle();
    let facts = case.facts(&bundle);
    for (_, file) in KINDS {
        assert_ne!(facts.text(&format!("/namespaces/{file}")), own(file));
    }
    assert_eq!(facts.text("/namespaces/user"), own("user"));
}

#[must(
    "If a namespace type is not specified in the namespaces array, the container MUST inherit the runtime namespace of that type."
)]
fn absent_ones_are_shared(case: &mut Case) {
    for (kind, file) in [
        ("network", "net"),
        ("ipc", "ipc"),
        ("uts", "uts"),
        ("cgroup", "cgroup"),
    ] {
        let mut bundle = case.bundle();
        bundle.config.without_namespace(kind);
        if kind == "uts" {
            bundle.config.remove("", "hostname");
        }
        if kind == "network" {
            // The network namespace's own sysfs belongs to the host then.
            bundle
                .config
                .mount("/sys", "none", "/sys", &["rbind", "ro"]);
        }
        assert_eq!(
            case.facts(&bundle).text(&format!("/namespaces/{file}")),
            own(file),
            "{kind}"
        );
    }
}

/// Only a mount namespace: the process is the host's in every other way.
#[must(
    "If a namespace type is not specified in the namespaces array, the container MUST inherit the runtime namespace of that type."
)]
fn no_namespaces_at_all_but_mount(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/namespaces", json!([{"type": "mount"}]));
    bundle.config.remove("", "hostname");
    let facts = case.facts(&bundle);
    for file in ["pid", "net", "ipc", "uts", "cgroup"] {
        assert_eq!(facts.text(&format!("/namespaces/{file}")), own(file));
    }
    assert_ne!(facts.text("/namespaces/mnt"), own("mnt"));
    assert_ne!(facts.at("/pid"), &json!(1));
}

#[must(
    "hostname (string, OPTIONAL) specifies the container's hostname as seen by processes running inside the container."
)]
fn hostname(case: &mut Case) {
    let bundle = case.bundle();
    assert_eq!(case.facts(&bundle).text("/hostname"), "tested");
}

#[must("domainname (string, OPTIONAL) specifies the container's domainname.")]
fn domainname(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/domainname", json!("tested.example"));
    assert_eq!(case.facts(&bundle).text("/domainname"), "tested.example");
}

#[convention("Without `hostname` the name is inherited.")]
fn hostname_absent(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.remove("", "hostname");
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(case.facts(&bundle).text("/hostname"), own.trim());
}

#[convention("The loopback of a new network namespace works, and there is no other interface.")]
fn loopback_is_up(case: &mut Case) {
    let mut bundle = case.bundle();
    let output = case.shell(
        &mut bundle,
        "cat /sys/class/net/lo/flags; grep -c : /proc/net/dev",
    );
    // IFF_UP | IFF_LOOPBACK (| IFF_RUNNING is not in this file)
    assert_eq!(output, "0x9\n1");
}

fn joins(case: &mut Case, kind: &str, file: &str) {
    let mut first = case.bundle();
    first.config.shell("sleep 1000");
    let id = case.launch(&first);
    let pid = case.pid(&id);
    let path = format!("/proc/{pid}/ns/{file}");
    let mut second = case.bundle();
    second.config.join_namespace(kind, &path);
    if kind == "uts" {
        second.config.remove("", "hostname");
    }
    let wanted = fs::read_link(&path).unwrap().display().to_string();
    let facts = case.facts(&second);
    assert_eq!(facts.text(&format!("/namespaces/{file}")), wanted);
    if kind == "uts" {
        assert_eq!(facts.text("/hostname"), "tested");
    }
    if kind == "pid" {
        assert_ne!(facts.at("/pid"), &json!(1));
        assert_eq!(facts.at("/ppid"), &json!(0));
    }
    case.destroy(&id);
}

#[must(
    "path (string, OPTIONAL) - namespace file ... the runtime MUST place the container process in the namespace associated with that path."
)]
fn network_joined_by_path(case: &mut Case) {
    joins(case, "network", "net");
}

#[must(
    "path (string, OPTIONAL) - namespace file ... the runtime MUST place the container process in the namespace associated with that path."
)]
fn ipc_joined_by_path(case: &mut Case) {
    joins(case, "ipc", "ipc");
}

#[must(
    "path (string, OPTIONAL) - namespace file ... the runtime MUST place the container process in the namespace associated with that path."
)]
fn uts_joined_by_path(case: &mut Case) {
    joins(case, "uts", "uts");
}

#[must(
    "path (string, OPTIONAL) - namespace file ... the runtime MUST place the container process in the namespace associated with that path."
)]
fn pid_joined_by_path(case: &mut Case) {
    joins(case, "pid", "pid");
}

/// A cgroup namespace can be joined as well.
#[must("The runtime MUST place the container process in the namespace associated with that path.")]
fn cgroup_joined_by_path(case: &mut Case) {
    joins(case, "cgroup", "cgroup");
}

/// A mount namespace that is joined is not changed for its other users.
#[must("The runtime MUST place the container process in the namespace associated with that path.")]
fn mount_joined_by_path_is_entered(case: &mut Case) {
    let mut first = case.bundle();
    first.config.shell("sleep 1000");
    let id = case.launch(&first);
    let path = format!("/proc/{}/ns/mnt", case.pid(&id));
    let mut second = case.bundle();
    second.config.join_namespace("mount", &path);
    second.write();
    let other = case.id();
    // The runtime may refuse; what it may not do is to harm the first container.
    let finished = case.run_command(&second, &other, &[]).run();
    assert!(finished.code().is_some(), "{}", finished.describe());
    let root = fs::read_link(format!("/proc/{}/root", case.pid(&id))).unwrap();
    assert_eq!(root.display().to_string(), "/");
    assert!(fs::metadata(format!("/proc/{}/root/bin/sleep", case.pid(&id))).is_ok());
    case.destroy(&id);
}

#[convention(
    "The host's own namespace under another path than /proc/self may be joined, but what the configuration writes must not reach it."
)]
fn the_hosts_namespace_by_another_path(case: &mut Case) {
    let mut bundle = case.bundle();
    let path = format!("/proc/{}/ns/net", std::process::id());
    bundle.config.join_namespace("network", &path);
    let facts = case.facts(&bundle);
    assert_eq!(facts.text("/namespaces/net"), own("net"));
    bundle
        .config
        .set("/linux/sysctl", json!({"net.ipv4.ip_default_ttl": "65"}));
    let before = fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap();
    case.run(&bundle).fails();
    let after = fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap();
    assert_eq!(before, after);
}

#[must(
    "The runtime MUST generate an error if path is not associated with a namespace of type type."
)]
fn wrong_kind_of_path_is_refused(case: &mut Case) {
    case.works();
    let mut bundle = case.bundle();
    bundle.config.join_namespace("network", "/proc/self/ns/ipc");
    case.run(&bundle).fails();
}

#[must(
    "uidMappings (array of objects, OPTIONAL) describes the user namespace uid mappings from the host to the container."
)]
fn user_mappings(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    let facts = case.facts(&bundle);
    assert_ne!(facts.text("/namespaces/user"), own("user"));
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeeze(facts.text("/uid_map")), "0 100000 65536");
    assert_eq!(squeeze(facts.text("/gid_map")), "0 100000 65536");
    assert_eq!(facts.at("/uid"), &json!(0));
}

/// Several ranges, in any order.
#[must(
    "uidMappings (array of objects, OPTIONAL) describes the user namespace uid mappings from the host to the container."
)]
fn user_mapping_of_several_ranges(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    let map = json!([
        {"containerID": 1000, "hostID": 300_000, "size": 10},
        {"containerID": 0, "hostID": 100_000, "size": 1000}
    ]);
    bundle
        .config
        .set("/linux/uidMappings", map.clone())
        .set("/linux/gidMappings", map);
    bundle.config.set(
        "/process/user",
        json!({"uid": 1000, "gid": 1000, "additionalGids": [5, 1001]}),
    );
    bundle.give_directories_to(100_000);
    let facts = case.facts(&bundle);
    assert_eq!(facts.text("/uid_map").lines().count(), 2);
    assert_eq!(facts.at("/uid"), &json!(1000));
    assert_eq!(facts.at("/groups"), &json!([5, 1001]));
}

/// A file made by container root belongs to its host id.
#[must(
    "user: the container will be able to remap user and group IDs from the host to local users and groups within the container."
)]
fn user_namespace_root_owns_its_files(case: &mut Case) {
    use std::os::unix::fs::MetadataExt;
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    let output = case.shell(
        &mut bundle,
        "touch /root/made; stat -c '%u:%g' /root/made /dev/null /dev/pts",
    );
    assert!(output.starts_with("0:0\n"), "{output}");
    let made = fs::metadata(bundle.rootfs().join("root/made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (100_000, 100_000));
}

#[convention("What belongs to host root stays out of reach of a user namespace.")]
fn user_namespace_denies_the_host(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    fs::write(bundle.rootfs().join("secret"), "of root").unwrap();
    let secret = bundle.rootfs().join("secret");
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let output = case.shell(&mut bundle, "cat /secret 2>/dev/null || echo denied");
    assert_eq!(output, "denied");
}

/// A user namespace can be joined; no mappings are given then.
#[must("The runtime MUST place the container process in the namespace associated with that path.")]
fn user_namespace_joined_by_path(case: &mut Case) {
    let mut first = case.bundle();
    first.config.user_namespace(100_000).shell("sleep 1000");
    first.give_directories_to(100_000);
    let id = case.launch(&first);
    let path = format!("/proc/{}/ns/user", case.pid(&id));
    let mut second = case.bundle();
    second.config.join_namespace("user", &path);
    second.give_directories_to(100_000);
    let wanted = fs::read_link(&path).unwrap().display().to_string();
    assert_eq!(case.facts(&second).text("/namespaces/user"), wanted);
    case.destroy(&id);
}

#[convention("A pod: the network belongs to a user namespace, both are joined.")]
fn network_owned_by_a_joined_user_namespace(case: &mut Case) {
    let mut first = case.bundle();
    first.config.user_namespace(100_000).shell("sleep 1000");
    first.give_directories_to(100_000);
    let id = case.launch(&first);
    let pid = case.pid(&id);
    let mut second = case.bundle();
    for (kind, file) in [("user", "user"), ("network", "net"), ("ipc", "ipc")] {
        second
            .config
            .join_namespace(kind, &format!("/proc/{pid}/ns/{file}"));
    }
    second.give_directories_to(100_000);
    let facts = case.facts(&second);
    for file in ["user", "net", "ipc"] {
        let wanted = fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
        assert_eq!(
            facts.text(&format!("/namespaces/{file}")),
            wanted.display().to_string()
        );
    }
    case.destroy(&id);
}

#[must("timeOffsets (object, OPTIONAL) sets the offset for Time Namespace.")]
fn time_offsets(case: &mut Case) {
    if fs::metadata("/proc/self/ns/time").is_err() {
        skip("the kernel has no time namespaces");
    }
    let mut bundle = case.bundle();
    bundle
        .config
        .push("/linux/namespaces", json!({"type": "time"}));
    bundle.config.set(
        "/linux/timeOffsets",
        json!({"boottime": {"secs": 1_000_000_000, "nanosecs": 0}}),
    );
    let facts = case.facts(&bundle);
    assert_ne!(facts.text("/namespaces/time"), own("time"));
    let uptime: f64 = facts
        .text("/uptime")
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(uptime > 1e9, "{uptime}");
}

#[must(
    "pid: processes inside the container will only be able to see other processes inside the same container."
)]
fn pid_namespace_has_its_own_processes(case: &mut Case) {
    let mut bundle = case.bundle();
    let output = case.shell(&mut bundle, "ls /proc | grep -c '^[0-9]*$'; echo $$");
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines[0].parse::<u32>().unwrap() <= 3, "{output}");
    assert_eq!(lines[1], "1");
}

#[should(
    "The runtime SHOULD NOT modify the ownership of referenced filesystems to realize the mapping."
)]
fn owners_of_files_stay(case: &mut Case) {
    let volume = crate::mounts::volume(case, "volume");
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    bundle.config.bind(&volume, "/mnt", &["bind"]);
    let root = bundle.rootfs();
    let files = [volume.join("file"), root.join("etc/passwd"), root];
    let owners = || {
        let owner = |path: &PathBuf| {
            let found = fs::metadata(path).unwrap();
            (found.uid(), found.gid())
        };
        files.iter().map(owner).collect::<Vec<_>>()
    };
    let before = owners();
    case.facts(&bundle);
    assert_eq!(owners(), before);
}
