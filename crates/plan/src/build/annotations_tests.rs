use serde_json::{Value, json};

use crate::{
    Errors, HookOutput, HostFacts, InitOp, LastOp, ParentOp, Plan, Request, build, spec, template,
};

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
fn clocks_in_the_words_of_the_kernel() {
    let linux = json!({"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"},
        {"type": "uts"}, {"type": "network"}, {"type": "time"}]});
    let asked = json!({"run.oci.timens_offset": "monotonic -5 1\n7 100 0\n"});
    let plan = plan(&asked, &linux).expect("a plan");
    let shifts = plan.parent.iter().filter_map(|step| match &step.op {
        ParentOp::SetTimeOffset {
            clock,
            seconds,
            nanoseconds,
        } => Some((clock.as_str(), *seconds, *nanoseconds)),
        _ => None,
    });
    let shifts: Vec<_> = shifts.collect();
    assert_eq!(shifts, [("monotonic", -5, 1), ("boottime", 100, 0)]);
}

#[test]
fn offsets_by_annotation_and_by_property_clash() {
    let asked = json!({"run.oci.timens_offset": "monotonic 5 1"});
    let property = json!({"timeOffsets": {"boottime": {"secs": 1}}});
    let found = lines(plan(&asked, &property));
    let start = "annotations[\"run.oci.timens_offset\"]: ";
    assert!(found[0].starts_with(start) && found.len() == 1, "{found:?}");
}

/// Outside by its path, inside by a descriptor that the parent opened once for all.
#[test]
fn output_of_hooks_goes_to_files() {
    let mut config: Value = serde_json::from_str(&template(None)).expect("a template");
    config["process"]["terminal"] = json!(false);
    config["annotations"] = json!({"run.oci.hooks.stdout": "/log"});
    let hook = json!([{"path": "/bin/a"}, {"path": "/bin/b"}]);
    config["hooks"] = json!({"prestart": hook, "createContainer": hook, "startContainer": hook, "poststop": hook});
    let spec = spec::load(config.to_string().as_bytes()).expect("it decodes");
    let plan = build(&spec, &Request::create("c1", "/b"), &HostFacts::v2_root()).expect("a plan");
    let opened = plan.parent.iter().filter_map(|step| match &step.op {
        ParentOp::OpenHookOutput { slot, path } => Some((*slot, path.as_str())),
        _ => None,
    });
    let opened: Vec<_> = opened.collect();
    let &[(slot, "/log")] = opened.as_slice() else {
        panic!("{opened:?}");
    };
    let outside = plan.parent.iter().filter_map(|step| match &step.op {
        ParentOp::RunHook(hook) => Some(hook),
        _ => None,
    });
    let outside = outside.chain(plan.poststop.iter().map(|step| &step.op));
    let (file, slot) = (HookOutput::File("/log".to_owned()), HookOutput::Slot(slot));
    assert!(
        outside.clone().count() == 4
            && outside
                .clone()
                .all(|hook| hook.stdout.as_ref() == Some(&file))
    );
    let created = plan.init.iter().filter_map(|step| match &step.op {
        InitOp::RunHook(hook) => Some(hook),
        _ => None,
    });
    let started = plan.last.iter().filter_map(|step| match &step.op {
        LastOp::RunHook(hook) => Some(hook),
        _ => None,
    });
    let inside: Vec<_> = created.chain(started).collect();
    assert_eq!(inside.len(), 4);
    assert!(
        inside
            .iter()
            .all(|hook| hook.stdout.as_ref() == Some(&slot) && hook.stderr.is_none())
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
        ("run.oci.hooks.stdout", "log"),
        ("run.oci.hooks.stderr", ""),
        ("run.oci.timens_offset", "monotonic 1"),
        ("run.oci.seccomp_bpf_data", "a filter"),
    ] {
        let found = lines(plan(&json!({name: value}), &json!({})));
        let start = format!("annotations[\"{name}\"]: expected ");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&start), "{found:?}");
    }
}

#[test]
fn an_old_systemd_gets_its_hierarchy_on_v2_alone() {
    let annotations = json!({"run.oci.systemd.force_cgroup_v1": "/sys/fs/cgroup/systemd"});
    let built = plan(&annotations, &json!({})).expect("a plan");
    let at = "annotations[\"run.oci.systemd.force_cgroup_v1\"]";
    let step = built
        .init
        .iter()
        .rfind(|step| matches!(step.op, InitOp::Mount(_)));
    assert_eq!(step.expect("a mount").from.to_string(), at);
}
