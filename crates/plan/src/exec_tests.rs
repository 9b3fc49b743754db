use serde_json::{Value, json};

use super::{ExecPlan, ExecRequest, exec};
use crate::{CapabilitySets, HostFacts, InitOp, LastOp, NamespaceKind, ParentOp, TerminalHost};

fn config() -> Value {
    json!({
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {
            "args": ["/bin/init"], "cwd": "/srv", "env": ["A=1", "PATH=/bin"],
            "user": {"uid": 5, "gid": 6, "additionalGids": [7]}, "terminal": true,
            "noNewPrivileges": true,
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}],
            "capabilities": {
                "bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]
            }
        },
        "linux": {
            "namespaces": [
                {"type": "pid"}, {"type": "mount"}, {"type": "network", "path": "/run/netns/x"}
            ],
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}
        }
    })
}

fn plan_of(config: &Value, request: &ExecRequest) -> Result<ExecPlan, Vec<String>> {
    let host = HostFacts::v2_root();
    exec(config.to_string().as_bytes(), request, &host)
        .map_err(|errors| errors.all().iter().map(ToString::to_string).collect())
}

fn plan(request: &ExecRequest) -> ExecPlan {
    plan_of(&config(), request).unwrap()
}

fn problems(change: impl Fn(&mut ExecRequest)) -> Vec<String> {
    let mut request = ExecRequest::command("c1", &["x"]);
    change(&mut request);
    plan_of(&config(), &request).unwrap_err()
}

fn has(plan: &ExecPlan, wanted: &LastOp) -> bool {
    plan.process.last.iter().any(|step| step.op == *wanted)
}

fn capabilities(plan: &ExecPlan) -> (u64, CapabilitySets) {
    let mut found = (0, CapabilitySets::default());
    for step in &plan.process.last {
        match &step.op {
            LastOp::LimitBounding { keep, .. } => found.0 = *keep,
            LastOp::SetCapabilities(sets) => found.1 = *sets,
            _ => {}
        }
    }
    found
}

#[test]
fn a_command_has_everything_from_the_container() {
    let plan = plan(&ExecRequest::command("c1", &["x", "y"]));
    let process = &plan.process;
    assert_eq!(process.program.args, ["x", "y"]);
    assert_eq!(process.program.env, ["A=1", "PATH=/bin"]);
    assert!(!process.terminal);
    assert!(has(&plan, &LastOp::NoNewPrivileges));
    let identity = LastOp::SetIdentity {
        uid: 5,
        gid: 6,
        groups: Some(vec![7]),
    };
    assert!(has(&plan, &identity));
    let last = |test: fn(&LastOp) -> bool| process.last.iter().any(|step| test(&step.op));
    assert!(last(|op| matches!(
        op,
        LastOp::LoadSeccomp { late: true, .. }
    )));
    assert!(last(
        |op| matches!(op, LastOp::SetRlimit(limit) if limit.soft == 10)
    ));
    assert!(!last(|op| *op == LastOp::AwaitStart));
}

#[test]
fn nothing_is_made_and_all_namespaces_are_joined() {
    let plan = plan(&ExecRequest::command("c1", &["x"]));
    let [enter, keyring, umask, directory, program] = plan.process.init.as_slice() else {
        panic!("{:#?}", plan.process.init)
    };
    let InitOp::EnterContainer {
        namespaces, root, ..
    } = &enter.op
    else {
        panic!("{enter:?}")
    };
    use NamespaceKind::{Mount, Network, Pid};
    assert_eq!(namespaces, &[Network, Pid, Mount]);
    assert_eq!(*root, None);
    assert!(matches!(&keyring.op, InitOp::NewSessionKeyring { name } if name == "_ses.c1"));
    assert!(matches!(&directory.op, InitOp::OpenWorkingDirectory { path } if path == "/srv"));
    assert!(matches!(umask.op, InitOp::SetUmask(0o022)));
    assert_eq!(program.op, InitOp::FindProgram);
    assert!(plan.process.namespaces.clone.is_empty());
    assert_eq!(plan.process.last[0].op, LastOp::ForkIntoPidNamespace);
    assert!(plan.process.parent.is_empty());
}

#[test]
fn descriptors_of_a_service_manager_come_with_the_pid_of_the_process() {
    let mut request = ExecRequest::command("c1", &["x"]);
    (request.listen_fds, request.preserve_fds) = (1, 1);
    let plan = plan_of(&config(), &request).unwrap().process;
    assert_eq!(plan.program.env[0], "LISTEN_PID=          ");
    assert!(plan.program.env.contains(&"LISTEN_FDS=1".to_owned()));
    // Behind the fork: before it the number would be another one.
    assert_eq!(plan.last[0].op, LastOp::ForkIntoPidNamespace);
    assert!(plan.last.iter().any(|step| step.op == LastOp::TellPid));
}

#[test]
fn without_a_mount_namespace_of_its_own_the_root_is_entered() {
    let mut config = config();
    config["linux"]["namespaces"] = json!([{"type": "mount", "path": "/run/mnt"}]);
    let plan = plan_of(&config, &ExecRequest::command("c1", &["x"])).unwrap();
    let InitOp::EnterContainer { root, .. } = &plan.process.init[0].op else {
        panic!()
    };
    assert_eq!(*root, Some(ExecPlan::ROOT));
    assert_ne!(plan.process.last[0].op, LastOp::ForkIntoPidNamespace);
}

#[test]
fn a_process_file_leaves_the_rest_to_the_container() {
    let mut request = ExecRequest::command("c1", &[]);
    let file = json!({"args": ["z"], "cwd": "/", "user": {"uid": 1, "gid": 2}, "terminal": true});
    request.process = Some(file.to_string().into_bytes());
    let plan = plan(&request);
    assert_eq!(plan.process.program.args, ["z"]);
    assert!(plan.process.program.env.is_empty());
    assert!(plan.process.terminal);
    assert!(has(&plan, &LastOp::NoNewPrivileges));
    assert_eq!(capabilities(&plan).0, 1 << 5);
    assert!(has(
        &plan,
        &LastOp::SetIdentity {
            uid: 1,
            gid: 2,
            groups: Some(vec![])
        }
    ));

    let mut file = file;
    file["noNewPrivileges"] = json!(false);
    file["capabilities"] = json!({});
    file["rlimits"] = json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]);
    request.process = Some(file.to_string().into_bytes());
    let plan = plan_of(&config(), &request).unwrap();
    assert!(!has(&plan, &LastOp::NoNewPrivileges));
    assert_eq!(capabilities(&plan), (0, CapabilitySets::default()));
    let limits = plan
        .process
        .last
        .iter()
        .filter(|s| matches!(s.op, LastOp::SetRlimit(_)));
    assert_eq!(limits.count(), 1);
}

#[test]
fn options_change_what_they_name() {
    let mut request = ExecRequest::command("c1", &["x"]);
    request.cwd = Some("/tmp".into());
    request.env = vec!["A=2".into(), "B=3".into()];
    request.user = Some("8".into());
    request.additional_gids = vec!["9".into()];
    request.capabilities = vec!["CAP_NET_ADMIN".into(), "chown".into()];
    request.terminal = true;
    request.cgroups = vec!["/a/b".into()];
    let plan = plan(&request);
    assert_eq!(plan.process.program.env, ["PATH=/bin", "A=2", "B=3"]);
    let identity = LastOp::SetIdentity {
        uid: 8,
        gid: 6,
        groups: Some(vec![7, 9]),
    };
    assert!(has(&plan, &identity));
    let wanted = 1 << 5 | 1 << 12 | 1;
    let (bounding, sets) = capabilities(&plan);
    assert_eq!(
        (bounding, sets.effective, sets.permitted),
        (wanted, wanted, wanted)
    );
    // CVE-2022-29162
    assert_eq!((sets.inheritable, sets.ambient), (0, 0));
    assert!(
        plan.process
            .init
            .iter()
            .any(|s| matches!(s.op, InitOp::OpenConsole { device: false, .. }))
    );
    assert_eq!(plan.cgroups[0].path, "/a/b");
}

#[test]
fn a_capability_is_ambient_only_where_it_is_inheritable_already() {
    let mut config = config();
    config["process"]["capabilities"]["inheritable"] = json!(["CAP_KILL"]);
    let mut request = ExecRequest::command("c1", &["x"]);
    request.capabilities = vec!["CAP_KILL".into(), "CAP_CHOWN".into()];
    let (_, sets) = capabilities(&plan_of(&config, &request).unwrap());
    assert_eq!((sets.inheritable, sets.ambient), (1 << 5, 1 << 5));
}

#[test]
fn odd_users_are_refused() {
    for user in [
        "",
        " ",
        ":",
        ":0",
        "1:",
        "x",
        "-1",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "1x",
        "1:x",
        "0x1",
        "+1",
        "1 0",
        "1:2:3",
        "1:-1",
    ] {
        let found = problems(|request| request.user = Some(user.into()));
        assert!(
            found[0].starts_with("--user: expected UID"),
            "{user:?}: {found:?}"
        );
        let found = problems(|request| request.additional_gids = vec![user.into()]);
        assert!(
            found[0].starts_with("--additional-gids: expected"),
            "{user:?}: {found:?}"
        );
    }
}

#[test]
fn all_problems_are_told_with_their_places() {
    let found = problems(|request| {
        request.env = vec!["novalue".into()];
        request.capabilities = vec!["CAP_FLY".into()];
        request.cgroups = vec!["../out".into()];
        request.cwd = Some("relative".into());
    });
    for start in [
        "--env: ",
        "--cap: ",
        "--cgroup: ",
        "process.cwd: expected an absolute path",
    ] {
        assert!(
            found.iter().any(|text| text.starts_with(start)),
            "{start}: {found:?}"
        );
    }
    let found = problems(|request| request.args.clear());
    assert_eq!(found, ["process.args: must name a program"]);
    let found = problems(|request| request.process = Some(b"{]".to_vec()));
    assert!(found[0].starts_with("--process: "), "{found:?}");
    let found = problems(|request| request.process = Some(b"[]".to_vec()));
    assert!(
        found[0].starts_with("--process: expected an object"),
        "{found:?}"
    );
    let found = problems(|request| request.process = Some(br#"{"args":["x"],"cwd":"/"}"#.to_vec()));
    assert!(found[0].starts_with("COMMAND: "), "{found:?}");
    let found = problems(|request| {
        request.args.clear();
        request.process = Some(br#"{"args":["x"],"cwd":"/","user":{"uid":"0"}}"#.to_vec());
    });
    assert!(found[0].starts_with("process.user.uid: "), "{found:?}");
}

#[test]
fn terminals_need_somebody_at_the_other_end() {
    let found = problems(|request| {
        request.terminal = true;
        request.terminal_host = TerminalHost::None;
    });
    assert!(found[0].contains("cannot allocate tty"), "{found:?}");
    let found = problems(|request| request.terminal_host = TerminalHost::Socket);
    assert!(found[0].contains("cannot use console socket"), "{found:?}");
}

#[test]
fn in_a_user_namespace_ids_must_be_mapped_and_limits_come_from_outside() {
    let mut config = config();
    config["linux"]["namespaces"] = json!([{"type": "user"}, {"type": "mount"}]);
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 100}]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    let mut request = ExecRequest::command("c1", &["x"]);
    let plan = plan_of(&config, &request).unwrap();
    let limit = |op: &ParentOp| matches!(op, ParentOp::SetRlimit(_));
    assert!(plan.process.parent.iter().all(|step| limit(&step.op)));
    assert_eq!(plan.process.parent.len(), 1);
    request.user = Some("100".into());
    let found = plan_of(&config, &request).unwrap_err();
    assert_eq!(
        found,
        ["process.user.uid: 100 is not mapped by linux.uidMappings"]
    );
}

#[test]
fn cpus_before_and_after_the_control_group() {
    let mut config = config();
    config["process"]["execCPUAffinity"] = json!({"initial": "0-1", "final": "3"});
    let plan = plan_of(&config, &ExecRequest::command("c1", &["x"])).unwrap();
    assert_eq!(plan.initial_cpus, Some(vec![0, 1]));
    assert!(
        plan.process
            .init
            .iter()
            .any(|s| s.op == InitOp::SetCpuAffinity { cpus: vec![3] })
    );
}
