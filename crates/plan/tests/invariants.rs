//! Random configurations on random hosts: whatever comes out keeps the order.

#![allow(clippy::unwrap_used)]

use plan::{
    CgroupMode, HostFacts, InitOp, InitPhase, LastOp, Lsm, ParentOp, Plan, Request, TerminalHost,
};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use serde_json::{Value, json};

fn namespaces() -> impl Strategy<Value = Value> {
    let one = |kind: &'static str| {
        select(vec![0, 1, 1, 2, 3]).prop_map(move |how| match how {
            0 => None,
            1 => Some(json!({"type": kind})),
            2 => Some(json!({"type": kind, "path": format!("/proc/7/ns/{kind}")})),
            _ => Some(json!({"type": kind, "path": format!("/proc/self/ns/{kind}")})),
        })
    };
    let kinds = [
        "pid", "network", "ipc", "uts", "mount", "cgroup", "user", "time",
    ];
    kinds
        .map(one)
        .to_vec()
        .prop_map(|all| Value::Array(all.into_iter().flatten().collect()))
}

fn path() -> impl Strategy<Value = String> {
    let odd = select(vec!["rel", "", "/a\0b"]);
    let fine = select(vec![
        "/a",
        "/a/../b",
        "/../../etc",
        "//x//",
        "/proc",
        "/dev",
        "/dev/x",
        "/sys",
        "/a/./b",
        "/b",
    ]);
    prop_oneof![1 => odd, 60 => fine].prop_map(str::to_owned)
}

fn mount() -> impl Strategy<Value = Value> {
    let kind = select(vec![
        "tmpfs", "proc", "sysfs", "bind", "cgroup", "devpts", "mqueue", "none",
    ]);
    let options = proptest::collection::vec(
        prop_oneof![
            12 => select(vec!["ro", "rw", "bind", "rbind", "nosuid", "rro", "rshared"]),
            1 => select(vec!["size=1k", "tmpcopyup", "remount", "dest-nofollow", "iversion"]),
            1 => select(vec!["copy-symlink", "idmap", "src-nofollow", "ridmap=uids=0-7-9;gids=0-8-9"]),
        ],
        0..5,
    );
    (path(), kind, path(), options)
        .prop_map(|(to, kind, from, options)| json!({"destination": to, "type": kind, "source": from, "options": options}))
}

fn device() -> impl Strategy<Value = Value> {
    (path(), select(vec!["c", "b", "u", "p", "a"]), 0..300_i64).prop_map(
        |(path, kind, minor)| json!({"path": path, "type": kind, "major": 1, "minor": minor}),
    )
}

fn hook() -> impl Strategy<Value = Value> {
    (path(), prop_oneof![1 => Just(-1), 1 => Just(0), 30 => 1..9])
        .prop_map(|(path, timeout)| json!([{"path": path, "timeout": timeout}]))
}

fn process() -> impl Strategy<Value = Value> {
    let capabilities = proptest::collection::vec(
        select(vec!["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_BOGUS", "CAP_BPF"]),
        0..4,
    );
    (any::<bool>(), any::<Option<bool>>(), path(), capabilities, any::<u32>(), -1010..1010_i32).prop_map(
        |(terminal, sealed, cwd, capabilities, id, score)| {
            json!({
                "terminal": terminal, "noNewPrivileges": sealed, "cwd": cwd, "args": ["sh"],
                "env": ["PATH=/bin"], "user": {"uid": id % 3, "gid": id % 5, "additionalGids": [id % 7]},
                "capabilities": {"bounding": capabilities, "permitted": capabilities, "ambient": capabilities},
                "oomScoreAdj": score, "rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}],
            })
        },
    )
}

prop_compose! {
    fn config()(
        process in process(), namespaces in namespaces(), root in path(),
        mounts in proptest::collection::vec(mount(), 0..6), devices in proptest::collection::vec(device(), 0..3),
        hooks in [hook(), hook(), hook()], paths in proptest::collection::vec(path(), 0..3),
        flags in any::<[bool; 5]>(), keep in any::<u16>(),
    ) -> Value {
        let map = json!([{"containerID": 0, "hostID": 1000, "size": 65536}]);
        let mut config = json!({
            "ociVersion": "1.2.0", "process": process, "root": {"path": root, "readonly": flags[0]},
            "hostname": "h", "mounts": mounts,
            "hooks": {"prestart": hooks[0], "createContainer": hooks[1], "startContainer": hooks[2]},
            "linux": {
                "namespaces": namespaces, "devices": devices, "maskedPaths": paths, "readonlyPaths": paths,
                "sysctl": {"net.ipv4.ip_forward": "1"}, "uidMappings": map, "gidMappings": map,
                "resources": {"devices": [{"allow": false, "access": "rwm"}], "memory": {"limit": 1_048_576}},
                "seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]},
            },
        });
        // Maps fit a new user namespace.
        let list = config["linux"]["namespaces"].as_array().unwrap();
        let new_user = list.contains(&json!({"type": "user"}));
        // A part that clashes with too much is left out most of the time, so that
        // many of these configurations build.
        let linux = config["linux"].as_object_mut().unwrap();
        for (bit, key) in ["uidMappings", "gidMappings", "sysctl", "devices", "seccomp", "maskedPaths", "readonlyPaths"]
            .into_iter()
            .enumerate()
        {
            let map = key.ends_with("Mappings");
            let odd = keep >> 8 & 7 == 7;
            let wanted = if map && !odd { new_user } else { keep >> bit & 1 == 1 };
            if !wanted {
                linux.remove(key);
            }
        }
        for (flag, key) in [(flags[1], "hooks"), (flags[2], "hostname"), (flags[3], "mounts")] {
            if flag {
                config.as_object_mut().unwrap().remove(key);
            }
        }
        config
    }
}

fn host() -> impl Strategy<Value = HostFacts> {
    let modes = select(vec![
        CgroupMode::None,
        CgroupMode::V1,
        CgroupMode::Hybrid,
        CgroupMode::V2,
    ]);
    (
        modes,
        any::<bool>(),
        any::<bool>(),
        any::<u64>(),
        5..64_u32,
        any::<bool>(),
    )
        .prop_map(|(mode, full, lsm, capabilities, last, user)| {
            let mut host = match mode {
                CgroupMode::V2 | CgroupMode::None => HostFacts::v2_root(),
                CgroupMode::V1 | CgroupMode::Hybrid => HostFacts::hybrid_root(),
            };
            host.cgroup.mode = mode;
            host.in_user_namespace = user;
            if !full {
                host.effective_capabilities = capabilities;
                host.last_capability = last;
                host.effective_uid = 1000;
            }
            if lsm {
                host.lsm = vec![Lsm::AppArmor, Lsm::SELinux];
            }
            host
        })
}

fn request() -> impl Strategy<Value = Request> {
    let terminals = select(vec![
        TerminalHost::None,
        TerminalHost::Socket,
        TerminalHost::Foreground,
    ]);
    (any::<[bool; 4]>(), 0..4_u32, terminals).prop_map(|(flags, fds, terminal)| Request {
        start_at_once: flags[0],
        no_pivot: flags[1],
        overlay: None,
        no_new_keyring: flags[2],
        cgroups_disabled: flags[3],
        preserve_fds: fds,
        terminal,
        ..Request::create("c1", "/bundle")
    })
}

/// Mostly somebody for the terminal, where there is one.
fn fitting(config: &Value, request: Request) -> Request {
    let terminal = match config["process"]["terminal"] == json!(true) {
        _ if request.preserve_fds == 3 => request.terminal,
        true => TerminalHost::Socket,
        false => TerminalHost::None,
    };
    Request {
        terminal,
        ..request
    }
}

fn position<T>(list: &[plan::Step<T>], test: impl Fn(&T) -> bool) -> Option<usize> {
    list.iter().position(|step| test(&step.op))
}

/// Paths of the container in the plan.
fn container_paths(plan: &Plan) -> Vec<&str> {
    let init = plan.init.iter().filter_map(|step| match &step.op {
        InitOp::Mount(mount) => Some(mount.target.as_str()),
        InitOp::MakeDevice(node) => Some(node.path.as_str()),
        InitOp::MakeLink { path, .. }
        | InitOp::MakeWorkingDirectory { path, .. }
        | InitOp::OpenWorkingDirectory { path }
        | InitOp::ProtectPath { path }
        | InitOp::MaskPath { path, .. } => Some(path),
        InitOp::MakeReadOnly { target } => Some(target),
        _ => None,
    });
    init.chain([plan.rootfs.as_str()]).collect()
}

fn check_init(plan: &Plan) {
    let pivots: Vec<usize> = plan
        .init
        .iter()
        .enumerate()
        .filter(|(_, s)| matches!(s.op, InitOp::ChangeRoot(_)))
        .map(|(n, _)| n)
        .collect();
    assert_eq!(pivots.len(), 1, "exactly one change of root");
    for (n, step) in plan.init.iter().enumerate() {
        let before = n < pivots[0];
        match step.op.phase() {
            InitPhase::Enter
            | InitPhase::Network
            | InitPhase::Root
            | InitPhase::Mounts
            | InitPhase::Devices
            | InitPhase::Hooks => assert!(before, "{:?}", step.op),
            InitPhase::Pivot => {}
            InitPhase::Inside | InitPhase::ReadOnly | InitPhase::Masks | InitPhase::Program => {
                assert!(!before, "{:?}", step.op);
            }
        }
    }
    assert!(matches!(plan.init.last().unwrap().op, InitOp::FindProgram));
    let opened = position(&plan.init, |op| {
        matches!(op, InitOp::OpenWorkingDirectory { .. })
    });
    let covers = |op: &InitOp| {
        use InitOp::{MakeReadOnly, MakeRootReadOnly, MaskPath, ProtectPath};
        matches!(
            op,
            ProtectPath { .. } | MaskPath { .. } | MakeReadOnly { .. } | MakeRootReadOnly
        )
    };
    let last_cover = plan.init.iter().rposition(|step| covers(&step.op));
    assert!(opened > last_cover, "nobody starts below a mask");
    for path in container_paths(plan) {
        assert!(path.starts_with('/') && !path.contains('\0'), "{path:?}");
        assert!(
            !path.split('/').any(|part| part == ".." || part == "."),
            "{path:?}"
        );
    }
}

fn check_last(plan: &Plan) {
    let last = &plan.last;
    let identity = position(last, |op| matches!(op, LastOp::SetIdentity { .. })).unwrap();
    let capabilities = position(last, |op| matches!(op, LastOp::SetCapabilities(_))).unwrap();
    assert!(
        identity < capabilities,
        "setresuid would clear what capset granted"
    );
    if let Some(bounding) = position(last, |op| matches!(op, LastOp::LimitBounding { .. })) {
        assert!(bounding < identity, "PR_CAPBSET_DROP needs CAP_SETPCAP");
    }
    let sealed = position(last, |op| *op == LastOp::NoNewPrivileges);
    let ready = position(last, |op| *op == LastOp::ReportReady).unwrap();
    let filter = last.iter().enumerate().find_map(|(n, s)| match s.op {
        LastOp::LoadSeccomp { late, .. } => Some((n, late)),
        _ => None,
    });
    if let Some((n, late)) = filter {
        assert_eq!(late, sealed.is_some());
        if late {
            assert!(
                sealed < Some(n) && n > capabilities && n + 1 == ready,
                "as late as possible"
            );
        } else {
            assert!(n < identity, "needs CAP_SYS_ADMIN");
        }
    }
    let close = position(last, |op| matches!(op, LastOp::CloseDescriptors { .. })).unwrap();
    assert_eq!(close + 2, last.len());
    assert_eq!(last.last().unwrap().op, LastOp::Execute);
}

fn check_parent(plan: &Plan) {
    let slots: Vec<usize> = plan
        .parent
        .iter()
        .filter_map(|step| match &step.op {
            ParentOp::OpenNamespace { slot, .. }
            | ParentOp::OpenRoot { slot, .. }
            | ParentOp::OpenLayer { slot, .. }
            | ParentOp::OpenMountSource { slot, .. }
            | ParentOp::OpenHostDevice { slot, .. }
            | ParentOp::OpenProcfs { slot, .. }
            | ParentOp::MakeUserNamespace { slot, .. }
            | ParentOp::OpenHookOutput { slot, .. } => Some(slot.0),
            _ => None,
        })
        .collect();
    assert!(
        slots.iter().copied().eq(0..slots.len()),
        "slots are dense, in order: {slots:?}"
    );
    let joined = plan
        .init
        .iter()
        .filter(|s| matches!(s.op, InitOp::JoinNamespace { .. }))
        .count();
    assert_eq!(
        joined + plan.namespaces.before_clone.len(),
        plan.namespaces.join.len()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_keeps_the_order(config in config(), host in host(), request in request()) {
        let request = fitting(&config, request);
        let spec = plan::spec::load(config.to_string().as_bytes()).unwrap();
        match plan::build(&spec, &request, &host) {
            Ok(plan) => {
                let text = serde_json::to_string(&plan).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Plan>(&text).unwrap(), &plan);
                check_parent(&plan);
                check_init(&plan);
                check_last(&plan);
            }
            Err(errors) => {
                prop_assert!(!errors.all().is_empty());
                for problem in errors.all() {
                    let line = problem.to_string();
                    prop_assert!(!line.contains(['\n', '\0']), "{}", line);
                }
            }
        }
    }

    /// Whatever the bytes, an answer.
    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>()) {
        let _ = plan::spec::load(&bytes);
        let mut text = plan::template(None).into_bytes();
        let at = at.index(text.len());
        text[at] = bytes.first().copied().unwrap_or(0);
        if let Ok(spec) = plan::spec::load(&text) {
            let _ = plan::build(&spec, &Request::create("c1", "/b"), &HostFacts::v2_root());
        }
    }

    /// Any value in the place of any other: named or accepted, never a panic.
    #[test]
    fn values_in_the_wrong_place_never_panic(config in config(), picks in proptest::collection::vec(any::<usize>(), 12), what in 0..7_usize) {
        let mut config = config;
        let mut at = &mut config;
        for pick in picks {
            let empty = match at {
                Value::Object(object) => object.is_empty(),
                Value::Array(list) => list.is_empty(),
                _ => true,
            };
            if empty || pick % 5 == 0 {
                break;
            }
            at = match at {
                Value::Object(object) => {
                    let n = pick % object.len();
                    object.iter_mut().nth(n).unwrap().1
                }
                Value::Array(list) => {
                    let n = pick % list.len();
                    &mut list[n]
                }
                _ => unreachable!(),
            };
        }
        *at = [json!(null), json!(-1), json!("x"), json!([]), json!({}), json!(1.5), json!([[{}]])][what].clone();
        if let Ok(spec) = plan::spec::load(config.to_string().as_bytes()) {
            let _ = plan::build(&spec, &Request::create("c1", "/b"), &HostFacts::v2_root());
        }
    }
}

/// The strategy must not be so wild that nothing builds.
#[test]
fn many_of_them_build() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut built = 0;
    for _ in 0..500 {
        let next = (config(), request())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let spec = plan::spec::load(next.0.to_string().as_bytes()).unwrap();
        let request = fitting(&next.0, next.1);
        built += usize::from(plan::build(&spec, &request, &HostFacts::v2_root()).is_ok());
    }
    assert!(built > 25, "{built} of 500");
}
