//! Configurations as engines write them: they build, and this is what they give.

#![allow(clippy::unwrap_used, clippy::panic)]

use plan::{
    HostFacts, InitOp, LastOp, MountSource, NamespaceKind, ParentOp, Plan, Request, TerminalHost,
    cgroup,
};
use serde_json::{Value, json};

fn build_on(host: &HostFacts, request: &Request, config: &Value) -> Plan {
    let spec = plan::spec::load(config.to_string().as_bytes()).unwrap();
    plan::build(&spec, request, host).unwrap_or_else(|errors| {
        let lines: Vec<String> = errors.all().iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

fn build(config: &Value) -> Plan {
    build_on(
        &HostFacts::v2_root(),
        &Request::create("c1", "/bundle"),
        config,
    )
}

fn template() -> Value {
    let mut config: Value = serde_json::from_str(&plan::template(None)).unwrap();
    config["process"]["terminal"] = json!(false);
    config
}

/// The names of the operations, in order.
fn names<Op: std::fmt::Debug>(steps: &[plan::Step<Op>]) -> Vec<String> {
    let name = |step: &plan::Step<Op>| {
        let text = format!("{:?}", step.op);
        let end = text
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(text.len());
        text[..end].to_owned()
    };
    let mut names: Vec<String> = steps.iter().map(name).collect();
    names.dedup();
    names
}

#[test]
fn the_template_in_order() {
    let plan = build(&template());
    assert_eq!(names(&plan.parent), ["OpenRoot"]);
    assert_eq!(
        names(&plan.init),
        [
            "NewSessionKeyring",
            "BringUpLoopback",
            "SetRootPropagation",
            "AttachRoot",
            "Mount",
            "MakeDevice",
            "MakeLink",
            "ChangeRoot",
            "SetHostname",
            "MakeWorkingDirectory",
            "MakeRootReadOnly",
            "ProtectPath",
            "MaskPath",
            "SetUmask",
            "OpenWorkingDirectory",
            "FindProgram",
        ]
    );
    assert_eq!(
        names(&plan.last),
        [
            "NoNewPrivileges",
            "SetRlimit",
            "OwnStdio",
            "LimitBounding",
            "ChangeDirectory",
            "SetIdentity",
            "SetCapabilities",
            "CheckProgram",
            "ReportReady",
            "AwaitStart",
            "CloseDescriptors",
            "Execute",
        ]
    );
    assert_eq!(plan.rootfs, "/bundle/rootfs");
    assert!(plan.namespaces.pid_namespace_is_private);
    assert!(plan.warnings.is_empty());
    let granted = 1 << 29 | 1 << 5 | 1 << 10;
    let keep = plan.last.iter().find_map(|s| match s.op {
        LastOp::LimitBounding { keep, .. } => Some(keep),
        _ => None,
    });
    assert_eq!(keep, Some(granted));
}

#[test]
fn run_with_a_terminal() {
    let config: Value = serde_json::from_str(&plan::template(None)).unwrap();
    let request = Request {
        terminal: TerminalHost::Foreground,
        start_at_once: true,
        ..Request::create("c1", "/bundle")
    };
    let plan = build_on(&HostFacts::v2_root(), &request, &config);
    assert!(plan.terminal);
    assert!(names(&plan.init).contains(&"OpenConsole".to_owned()));
    let last = names(&plan.last);
    assert!(!last.contains(&"AwaitStart".to_owned()) && !last.contains(&"OwnStdio".to_owned()));
}

/// Docker: a seccomp profile, limits, binds of three files, ambient-less capabilities.
fn docker_config() -> Value {
    let mut config = template();
    config["process"]["user"] = json!({"uid": 0, "gid": 0, "additionalGids": [0, 10]});
    config["process"]["oomScoreAdj"] = json!(0);
    config["process"]["capabilities"]["bounding"] =
        json!(["CAP_CHOWN", "CAP_BOGUS", "CAP_SYS_CHROOT"]);
    config["process"]["capabilities"]["effective"] = json!(["CAP_CHOWN"]);
    config["process"]["capabilities"]["permitted"] = json!(["CAP_CHOWN"]);
    config["process"]["noNewPrivileges"] = json!(false);
    for file in ["resolv.conf", "hostname", "hosts"] {
        config["mounts"].as_array_mut().unwrap().push(json!({
            "destination": format!("/etc/{file}"), "type": "bind",
            "source": format!("/var/lib/docker/containers/x/{file}"), "options": ["rbind", "rprivate"],
        }));
    }
    config["hooks"] = json!({"prestart": [{"path": "/proc/1/exe", "args": ["libnetwork-setkey", "-exec-root=/run"]}]});
    config["linux"]["sysctl"] = json!({"net.ipv4.ip_unprivileged_port_start": "0"});
    config["linux"]["cgroupsPath"] = json!("/docker/x");
    config["linux"]["resources"] = json!({
        "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"}],
        "memory": {"limit": 536_870_912, "swap": 1_073_741_824}, "cpu": {"shares": 0, "quota": 100_000, "period": 100_000},
        "pids": {"limit": 0}, "blockIO": {"weight": 0},
    });
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": ["read", "write", "execve"], "action": "SCMP_ACT_ALLOW"}],
    });
    config
}

#[test]
fn docker_like() {
    let plan = build(&docker_config());
    let warnings: Vec<String> = plan
        .warnings
        .iter()
        .map(|w| format!("{}: {}", w.path, w.text))
        .collect();
    assert_eq!(
        warnings,
        [r#"process.capabilities.bounding[1]: unknown capability "CAP_BOGUS", ignored"#]
    );
    assert_eq!(
        names(&plan.last),
        [
            "SetRlimit",
            "LoadSeccomp",
            "OwnStdio",
            "LimitBounding",
            "ChangeDirectory",
            "SetIdentity",
            "SetCapabilities",
            "CheckProgram",
            "ReportReady",
            "AwaitStart",
            "CloseDescriptors",
            "Execute",
        ]
    );
    assert!(names(&plan.init).contains(&"AwaitHooks".to_owned()));
    assert!(
        plan.parent
            .iter()
            .any(|s| s.from.as_str() == "hooks.prestart[0]")
    );
    assert_eq!(plan.cgroup.path, "/docker/x");
}

/// Podman: joined namespaces by path, all sets, a umask, an empty list of readonly paths.
#[test]
fn podman_like() {
    let mut config = template();
    config["process"]["user"] =
        json!({"uid": 1000, "gid": 1000, "umask": 18, "additionalGids": [1000]});
    config["process"]["capabilities"]["inheritable"] = json!(["CAP_KILL"]);
    config["process"]["capabilities"]["ambient"] = json!(["CAP_KILL"]);
    config["process"]["env"] = json!(["A=1", "PATH=/bin", "A=2", "B="]);
    config["linux"]["namespaces"] = json!([
        {"type": "pid"}, {"type": "network", "path": "/run/user/0/netns/netns-1"}, {"type": "ipc", "path": "/proc/5/ns/ipc"},
        {"type": "uts", "path": "/proc/5/ns/uts"}, {"type": "mount"}, {"type": "cgroup"},
    ]);
    config["annotations"] = json!({"io.podman.annotations.init": "FALSE"});
    let plan = build(&config);
    let kinds: Vec<NamespaceKind> = plan.namespaces.join.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [
            NamespaceKind::Ipc,
            NamespaceKind::Uts,
            NamespaceKind::Network
        ]
    );
    assert!(!plan.namespaces.via_user_namespace);
    assert_eq!(
        names(&plan.init)[..2],
        ["JoinNamespace", "NewSessionKeyring"]
    );
    assert_eq!(plan.program.env, ["PATH=/bin", "A=2", "B="]);
    assert!(plan.init.iter().any(|s| s.op == InitOp::SetUmask(0o022)));
    let sets = plan.last.iter().find_map(|s| match s.op {
        LastOp::SetCapabilities(sets) => Some(sets),
        _ => None,
    });
    // Inheritable within bounding, ambient within permitted and inheritable.
    assert_eq!(sets.unwrap().ambient, 1 << 5);
}

#[test]
fn kubernetes_pause() {
    let mut config = template();
    config["process"]["args"] = json!(["/pause"]);
    config["process"]["user"] = json!({"uid": 65_535, "gid": 65_535, "additionalGids": [65_535]});
    config["process"]["oomScoreAdj"] = json!(-998);
    config["process"]["apparmorProfile"] = json!("");
    config["process"]["selinuxLabel"] = json!("");
    config["linux"]["mountLabel"] = json!("");
    config["linux"]["cgroupsPath"] = json!("/kubepods/besteffort/pod1/c1");
    config["linux"]["resources"]["cpu"] = json!({"shares": 2});
    let plan = build(&config);
    assert!(
        plan.parent
            .iter()
            .any(|s| s.op == ParentOp::SetOomScore(-998))
    );
}

#[test]
fn user_namespace() {
    let mut config = template();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "user"}));
    let plan = build(&config);
    assert!(plan.namespaces.clone.contains(&NamespaceKind::User));
    assert_eq!(names(&plan.init)[0], "AwaitIdMap");
    let maps = plan
        .parent
        .iter()
        .filter(|s| matches!(s.op, ParentOp::WriteIdMap { .. }));
    assert_eq!(maps.count(), 2);
    // Beside it a joined network namespace, which only the outside can join.
    config["linux"]["namespaces"][1]["path"] = json!("/run/netns/x");
    let plan = build(&config);
    assert!(plan.namespaces.via_user_namespace);
    assert_eq!(plan.namespaces.before_clone, plan.namespaces.join);
    assert!(!names(&plan.init).contains(&"JoinNamespace".to_owned()));
}

/// What another container of a pod joins: the stub alone enters the pid namespace.
#[test]
fn joined_pid_and_user_namespaces() {
    let mut config = template();
    for (index, kind) in [(0, "pid"), (1, "net")] {
        config["linux"]["namespaces"][index]["path"] = json!(format!("/proc/7/ns/{kind}"));
    }
    config["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .push(json!({"type": "user", "path": "/proc/7/ns/user"}));
    let plan = build(&config);
    assert!(plan.namespaces.fork_into_pid_namespace && plan.namespaces.via_user_namespace);
    let early: Vec<NamespaceKind> = plan
        .namespaces
        .before_clone
        .iter()
        .map(|(kind, _)| *kind)
        .collect();
    assert_eq!(early, [NamespaceKind::Network, NamespaceKind::User]);
    assert_eq!(names(&plan.init)[0], "JoinNamespace");
    assert_eq!(names(&plan.last)[0], "ForkIntoPidNamespace");
    // A procfs is its maker's, and init is not inside: one is made there for it.
    let made = plan.parent.iter().find_map(|step| match &step.op {
        ParentOp::OpenProcfs { slot, .. } => Some(*slot),
        _ => None,
    });
    let mounted = plan.init.iter().find_map(|step| match &step.op {
        InitOp::Mount(mount) if mount.target == "/proc" => Some(mount.source.clone()),
        _ => None,
    });
    assert_eq!(mounted, made.map(|slot| MountSource::Tree { slot }));
    assert!(made.is_some());
}

/// On v1 the root of the cgroup namespace is the cgroup at the time of unshare.
#[test]
fn cgroup_namespace_of_v1() {
    let request = Request::create("c1", "/bundle");
    let plan = build_on(&HostFacts::hybrid_root(), &request, &template());
    assert!(!plan.namespaces.clone.contains(&NamespaceKind::Cgroup));
    assert!(plan.namespaces.unshare_cgroup && plan.namespaces.has(NamespaceKind::Cgroup));
    assert_eq!(names(&plan.init)[..2], ["JoinCgroups", "UnshareCgroup"]);
    let disabled = Request {
        cgroups_disabled: true,
        ..request
    };
    let plan = build_on(&HostFacts::hybrid_root(), &disabled, &template());
    assert!(plan.namespaces.clone.contains(&NamespaceKind::Cgroup));
    assert_eq!(plan.cgroup.manager, cgroup::CgroupManager::Disabled);
}

/// Unknown properties and other platforms are ignored, whatever is in them.
#[test]
fn what_is_not_for_us_is_ignored() {
    let mut config = template();
    config["windows"] = json!("x");
    config["vm"] = json!(["x"]);
    config["uidMappings"] = json!(7);
    config["x-unknown"] = json!({"a": [[1], {"b": null}]});
    config["process"]["x"] = json!([1]);
    config["linux"]["resources"]["pids"] = json!({});
    config["process"]["user"] = Value::Null;
    config["process"]["execCPUAffinity"] = json!({"initial": "0-1,3"});
    config["linux"]["personality"] = json!({"domain": "LINUX"});
    let plan = build(&config);
    assert!(plan.cgroup.settings.iter().all(|s| s.file != "pids.max"));
}

/// The limit is a number of its own since runtime-spec 1.3; before, 0 was how engines
/// left it out, and podman 4 how it says "no limit".
#[test]
fn zero_is_a_limit_of_processes_since_1_3() {
    for (version, limited) in [("1.0.2-dev", false), ("1.2.1", false), ("1.3.0", true)] {
        let mut config = template();
        config["ociVersion"] = json!(version);
        config["linux"]["resources"]["pids"] = json!({"limit": 0});
        let plan = build(&config);
        let found = plan.cgroup.settings.iter().any(|s| s.file == "pids.max");
        assert_eq!(found, limited, "{version}");
    }
}

#[test]
fn capabilities_absent_and_not_held() {
    let mut config = template();
    config["process"]["capabilities"] = Value::Null;
    let host = HostFacts {
        bounding_capabilities: 0xff,
        effective_capabilities: 0xf,
        ..HostFacts::v2_root()
    };
    let request = Request::create("c1", "/bundle");
    let only = |config: &Value| {
        let mut config = config.clone();
        config["linux"]["namespaces"]
            .as_array_mut()
            .unwrap()
            .push(json!({"type": "user", "path": "/proc/7/ns/user"}));
        config
    };
    // Inside a user namespace the runtime's own sets do not matter.
    let plan = build_on(&host, &request, &only(&config));
    assert!(!names(&plan.last).contains(&"LimitBounding".to_owned()));
    let sets = plan.last.iter().find_map(|s| match s.op {
        LastOp::SetCapabilities(sets) => Some(sets),
        _ => None,
    });
    assert_eq!(sets.unwrap().permitted, 0x1ff_ffff_ffff);
    // Outside they do, and a kernel that is older than a name too.
    config["process"]["capabilities"] = json!({
        "bounding": ["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"],
        "permitted": ["CAP_CHOWN", "CAP_SYS_PTRACE"],
        "effective": ["CAP_CHOWN", "CAP_KILL"],
        "ambient": ["CAP_CHOWN"],
    });
    let host = HostFacts {
        last_capability: 37,
        bounding_capabilities: 0x3f_ffff_ffff,
        effective_capabilities: 0x3f_ffff_ffff & !(1 << 19),
        ..HostFacts::v2_root()
    };
    let plan = build_on(&host, &request, &config);
    let warnings: Vec<String> = plan
        .warnings
        .iter()
        .map(|w| format!("{}: {}", w.path, w.text))
        .collect();
    assert_eq!(
        warnings,
        [
            "process.capabilities.bounding: CAP_CHECKPOINT_RESTORE is unknown to this kernel, ignored",
            "process.capabilities.permitted: CAP_SYS_PTRACE is not held by the runtime, ignored",
            "process.capabilities.effective: CAP_KILL is not in the permitted set, ignored",
            "process.capabilities.ambient: CAP_CHOWN is not in both the permitted and the inheritable set, ignored",
        ]
    );
}

#[test]
fn socket_activation_and_preserved_descriptors() {
    let mut config = template();
    config["process"]["env"] = json!(["LISTEN_FDS=9", "PATH=/bin"]);
    let request = Request {
        preserve_fds: 3,
        listen_fds: 2,
        ..Request::create("c1", "/bundle")
    };
    let plan = build_on(&HostFacts::v2_root(), &request, &config);
    assert_eq!(
        plan.program.env,
        ["PATH=/bin", "LISTEN_FDS=2", "LISTEN_PID=1"]
    );
    assert!(
        plan.last
            .iter()
            .any(|s| s.op == LastOp::CloseDescriptors { first: 6 })
    );
    // In a pid namespace of others only the process itself knows its number.
    let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "pid");
    let request = Request {
        listen_fd_names: Some("a:b".to_owned()),
        ..request
    };
    let plan = build_on(&HostFacts::v2_root(), &request, &config);
    assert_eq!(
        plan.program.env,
        [
            "LISTEN_PID=          ",
            "PATH=/bin",
            "LISTEN_FDS=2",
            "LISTEN_FDNAMES=a:b"
        ]
    );
    assert!(names(&plan.last).iter().any(|name| name == "TellPid"));
}

#[test]
fn hooks_everywhere() {
    let mut config = template();
    let hook =
        json!([{"path": "/h"}, {"path": "/h", "args": ["h", "x"], "env": ["A=1"], "timeout": 5}]);
    config["hooks"] = json!({"prestart": hook, "createRuntime": hook, "createContainer": hook,
        "startContainer": hook, "poststart": hook, "poststop": hook});
    let plan = build(&config);
    let outside = plan
        .parent
        .iter()
        .filter(|s| matches!(s.op, ParentOp::RunHook(_)));
    let places: Vec<&str> = outside.map(|s| s.from.as_str()).collect();
    assert_eq!(
        places,
        [
            "hooks.prestart[0]",
            "hooks.prestart[1]",
            "hooks.createRuntime[0]",
            "hooks.createRuntime[1]"
        ]
    );
    assert_eq!(plan.poststart[0].op.args, ["/h"]);
    assert_eq!(plan.poststart[0].op.env, None);
    assert_eq!(plan.poststop[1].op.args, ["h", "x"]);
    assert_eq!(plan.poststop[1].op.timeout_seconds, Some(5));
    let last = names(&plan.last);
    let place = |name: &str| last.iter().position(|n| n == name);
    assert!(place("AwaitStart") < place("RunHook") && place("RunHook") < place("CloseDescriptors"));
}

#[test]
fn features_and_templates_are_json_in_the_specs_order() {
    let text = serde_json::to_string(&plan::features()).unwrap();
    let keys = [
        "ociVersionMin",
        "ociVersionMax",
        "hooks",
        "mountOptions",
        "linux",
        "annotations",
        "potentiallyUnsafeConfigAnnotations",
    ];
    let places: Vec<_> = keys
        .iter()
        .map(|k| text.find(&format!("\"{k}\":")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{text}");
    let decoded: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        decoded["linux"]["capabilities"].as_array().unwrap().len(),
        41
    );
    assert!(
        decoded["mountOptions"]
            .as_array()
            .unwrap()
            .contains(&json!("rro"))
    );
    assert!(
        plan::template(None).starts_with(
            "{\n\t\"ociVersion\": \"1.3.0\",\n\t\"process\": {\n\t\t\"terminal\": true,"
        )
    );
    let rootless: Value = serde_json::from_str(&plan::template(Some((1000, 100)))).unwrap();
    assert_eq!(rootless["linux"]["gidMappings"][0]["hostID"], 100);
    assert!(rootless["linux"].get("resources").is_none());
}
