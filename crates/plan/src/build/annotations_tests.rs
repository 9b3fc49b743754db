use serde_json::{Value, json};

use crate::{Errors, HostFacts, InitOp, LastOp, ParentOp, Plan, Request, build, spec, template};

fn plan(annotations: &Value, linux: &Value) -> Result<Plan, Errors> {
    let mut config: Value = serde_json::from_str(&template(None)).expect("a template");
    config["process"]["terminal"] = json!(false);
    config["annotations"] = annotations.clone();
    for (name, value) in linux.as_object().expect("an object") {
        config["linux"][name] = value.clone();
    }
    let spec = spec::load(config.to_string().as_bytes()).expect("it decodes");
    build(&spec, &Request::create("c1", "/b"), &HostFacts::v2_root())
}

fn lines(result: Result<Plan, Errors>) -> Vec<String> {
    let errors = result.expect_err("a problem");
    errors.all().iter().map(ToString::to_string).collect()
}

#[test]
fn groups_are_kept_when_asked() {
    let groups = |plan: &Plan| {
        plan.last.iter().find_map(|step| match &step.op {
            LastOp::SetIdentity { groups, .. } => Some(groups.clone()),
            _ => None,
        })
    };
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    let linux = json!({
        "uidMappings": map, "gidMappings": map,
        "namespaces": [{"type": "user"}, {"type": "mount"}, {"type": "uts"}, {"type": "network"}, {"type": "ipc"}]
    });
    for (value, kept) in [("1", true), ("0", false), ("", false)] {
        let asked = json!({"run.oci.keep_original_groups": value});
        let plan = plan(&asked, &linux).expect("a plan");
        assert_eq!(groups(&plan), Some((!kept).then(Vec::new)), "{value:?}");
        // Nor are they dropped on the way into the user namespace.
        let keep_groups = plan.init.iter().find_map(|step| match step.op {
            InitOp::AwaitIdMap { keep_groups } => Some(keep_groups),
            _ => None,
        });
        assert_eq!(keep_groups, Some(kept));
    }
}

#[test]
fn a_receiver_gets_the_pidfd_of_a_finished_init() {
    let asked = json!({"run.oci.pidfd_receiver": "/run/s"});
    let plan = plan(&asked, &json!({})).expect("a plan");
    let op = ParentOp::SendPidfd {
        path: "/run/s".to_owned(),
    };
    assert!(plan.parent.iter().any(|step| step.op == op));
}

#[test]
fn seccomp_by_annotation() {
    let rule = |name: &str, action: &str| {
        json!({"seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": [name], "action": action}]}})
    };
    let ask = rule("mkdir", "SCMP_ACT_NOTIFY");
    let agent = json!({"run.oci.seccomp.receiver": "/run/agent"});
    let plan_with_agent = plan(&agent, &ask).expect("a plan");
    let path = plan_with_agent.last.iter().find_map(|step| match &step.op {
        LastOp::LoadSeccomp { listener, .. } => listener.as_ref().map(|l| l.path.clone()),
        _ => None,
    });
    assert_eq!(path.as_deref(), Some("/run/agent"));
    let unknown = rule("no_such_call", "SCMP_ACT_ERRNO");
    assert_eq!(
        plan(&json!({}), &unknown).expect("a plan").warnings.len(),
        1
    );
    let strict = json!({"run.oci.seccomp_fail_unknown_syscall": "1"});
    let found = lines(plan(&strict, &unknown));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("linux.seccomp.syscalls[0].names[0]: "),
        "{found:?}"
    );
}

#[test]
fn values_that_mean_nothing_are_refused() {
    for (name, value) in [
        ("run.oci.keep_original_groups", "yes"),
        ("run.oci.seccomp_fail_unknown_syscall", "2"),
        ("run.oci.pidfd_receiver", "here"),
        ("run.oci.seccomp.receiver", "here"),
        ("run.oci.mount_context_type", "contexts"),
    ] {
        let found = lines(plan(&json!({name: value}), &json!({})));
        let start = format!("annotations[\"{name}\"]: expected ");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&start), "{found:?}");
    }
}
