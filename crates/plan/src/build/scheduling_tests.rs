use serde_json::{Value, json};

use super::parse_numbers;
use crate::{
    HostFacts, LastOp, MemoryPolicy, ParentOp, Plan, Request, Scheduler, build, spec, template,
};

fn plan(process: &Value, linux: &Value) -> Result<Plan, Vec<String>> {
    let mut config: Value = serde_json::from_str(&template(None)).expect("a template");
    config["process"]["terminal"] = json!(false);
    for (section, extra) in [("process", process), ("linux", linux)] {
        for (key, value) in extra.as_object().expect("an object") {
            config[section][key] = value.clone();
        }
    }
    let spec = spec::load(config.to_string().as_bytes()).expect("it decodes");
    build(&spec, &Request::create("c1", "/b"), &HostFacts::v2_root())
        .map_err(|errors| errors.all().iter().map(ToString::to_string).collect())
}

fn scheduler(value: &Value) -> Result<Scheduler, Vec<String>> {
    let plan = plan(&json!({"scheduler": value}), &json!({}))?;
    let mut ops = plan.last.into_iter().filter_map(|step| match step.op {
        LastOp::SetScheduler(scheduler) => Some(scheduler),
        _ => None,
    });
    Ok(ops.next().expect("a step"))
}

#[test]
fn policies_have_what_belongs_to_them() {
    let fifo =
        json!({"policy": "SCHED_FIFO", "priority": 10, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    let found = scheduler(&fifo).expect("fine");
    assert_eq!((found.policy.as_str(), found.priority), ("SCHED_FIFO", 10));
    assert_eq!(found.flags, ["SCHED_FLAG_RESET_ON_FORK"]);
    let batch = scheduler(&json!({"policy": "SCHED_BATCH", "nice": 19})).expect("fine");
    assert_eq!((batch.policy.as_str(), batch.nice), ("SCHED_BATCH", 19));
    let deadline = json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 2_000_000, "period": 3_000_000,
        "flags": ["SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_RECLAIM"]});
    let found = scheduler(&deadline).expect("fine");
    assert_eq!(
        (found.runtime, found.deadline, found.period),
        (1_000_000, 2_000_000, 3_000_000)
    );
    assert_eq!(found.flags, ["SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_RECLAIM"]);
}

#[test]
fn what_does_not_belong_to_a_policy_is_refused() {
    for (value, start) in [
        (
            json!({"policy": "SCHED_OTHER", "nice": 20}),
            "process.scheduler.nice: expected an integer from -20",
        ),
        (
            json!({"policy": "SCHED_OTHER", "priority": 1}),
            "process.scheduler.priority: only SCHED_FIFO",
        ),
        (
            json!({"policy": "SCHED_RR"}),
            "process.scheduler.priority: expected an integer from 1",
        ),
        (
            json!({"policy": "SCHED_BATCH", "period": 1}),
            "process.scheduler.period: belongs to",
        ),
        (
            json!({"policy": "SCHED_DEADLINE", "runtime": 1}),
            "process.scheduler.runtime: expected at least 1024",
        ),
        (
            json!({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 1}),
            "process.scheduler.deadline: expected",
        ),
        (
            json!({"policy": "SCHED_DEADLINE", "runtime": 2000, "deadline": 3000, "period": 1}),
            "process.scheduler.period: expected",
        ),
        (
            json!({"policy": "SCHED_ISO"}),
            "process.scheduler.policy: Linux never",
        ),
        (
            json!({"policy": "SCHED_NOPE"}),
            "process.scheduler.policy: ",
        ),
        (
            json!({"policy": "SCHED_OTHER", "flags": ["X"]}),
            "process.scheduler.flags[0]: ",
        ),
    ] {
        let problems = scheduler(&value).expect_err("refused");
        assert!(problems[0].starts_with(start), "{value}: {problems:?}");
    }
}

#[test]
fn io_priorities() {
    let plan_of = |value: Value| plan(&json!({"ioPriority": value}), &json!({}));
    let built = plan_of(json!({"class": "IOPRIO_CLASS_IDLE", "priority": 3})).expect("fine");
    let wanted = LastOp::SetIoPriority {
        class: "IOPRIO_CLASS_IDLE".to_owned(),
        level: 3,
    };
    assert!(built.last.iter().any(|step| step.op == wanted));
    let problems =
        plan_of(json!({"class": "IOPRIO_CLASS_BE", "priority": 8})).expect_err("refused");
    assert!(
        problems[0].starts_with("process.ioPriority.priority: expected an integer from 0 to 7")
    );
}

#[test]
fn memory_policies() {
    let plan_of = |value: &Value| plan(&json!({}), &json!({"memoryPolicy": value}));
    let value =
        json!({"mode": "MPOL_INTERLEAVE", "nodes": "0-1,3", "flags": ["MPOL_F_STATIC_NODES"]});
    let wanted = LastOp::SetMemoryPolicy(MemoryPolicy {
        mode: "MPOL_INTERLEAVE".to_owned(),
        flags: vec!["MPOL_F_STATIC_NODES".to_owned()],
        nodes: vec![0, 1, 3],
    });
    let built = plan_of(&value).expect("fine");
    assert!(built.last.iter().any(|step| step.op == wanted));
    for good in [
        json!({"mode": "MPOL_LOCAL"}),
        json!({"mode": "MPOL_PREFERRED"}),
    ] {
        plan_of(&good).expect("fine");
    }
    let both = ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"];
    for (value, start) in [
        (
            json!({"mode": "MPOL_DEFAULT", "nodes": "0"}),
            "linux.memoryPolicy.nodes: MPOL_DEFAULT",
        ),
        (
            json!({"mode": "MPOL_BIND"}),
            "linux.memoryPolicy.nodes: missing",
        ),
        (
            json!({"mode": "MPOL_BIND", "nodes": "x"}),
            "linux.memoryPolicy.nodes: expected a list",
        ),
        (
            json!({"mode": "MPOL_BIND", "nodes": "1024"}),
            "linux.memoryPolicy.nodes: expected a list",
        ),
        (
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": both}),
            "linux.memoryPolicy.flags[1]: ",
        ),
        (
            json!({"mode": "MPOL_LOCAL", "flags": ["MPOL_F_STATIC_NODES"]}),
            "linux.memoryPolicy.flags[0]: MPOL_LOCAL",
        ),
        (
            json!({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}),
            "linux.memoryPolicy.flags[0]: ",
        ),
        (json!({"mode": "MPOL_NOPE"}), "linux.memoryPolicy.mode: "),
    ] {
        let problems = plan_of(&value).expect_err("refused");
        assert!(problems[0].starts_with(start), "{value}: {problems:?}");
    }
}

#[test]
fn affinities_are_checked() {
    let plan_of = |value: Value| plan(&json!({"execCPUAffinity": value}), &json!({}));
    plan_of(json!({"initial": "0-3,7", "final": "1"})).expect("fine");
    for (value, start) in [
        (
            json!({"initial": "3-1"}),
            "process.execCPUAffinity.initial: expected",
        ),
        (
            json!({"final": "a"}),
            "process.execCPUAffinity.final: expected",
        ),
    ] {
        let problems = plan_of(value.clone()).expect_err("refused");
        assert!(problems[0].starts_with(start), "{value}: {problems:?}");
    }
}

#[test]
fn lists_of_numbers() {
    assert_eq!(parse_numbers("3,0-1,1", 8), Ok(vec![0, 1, 3]));
    for bad in ["", ",", "1,", "1-", "-1", "2-1", "8", "+1", "a", "0-3:1/2"] {
        assert!(parse_numbers(bad, 8).is_err(), "{bad}");
    }
}

/// The kernel wants CAP_SYS_NICE in the first user namespace: nobody inside has it.
#[test]
fn a_privileged_runtime_does_it_for_a_user_namespace() {
    let mut config: Value = serde_json::from_str(&template(None)).expect("a template");
    config["process"]["terminal"] = json!(false);
    config["process"]["scheduler"] = json!({"policy": "SCHED_FIFO", "priority": 2});
    config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_RT", "priority": 1});
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    let namespaces = config["linux"]["namespaces"].as_array_mut();
    namespaces.expect("a list").push(json!({"type": "user"}));
    let spec = spec::load(config.to_string().as_bytes()).expect("it decodes");
    let plan = |host: &HostFacts| build(&spec, &Request::create("c1", "/b"), host);
    let outside = |plan: &Plan| {
        let is_outside = |op: &ParentOp| {
            matches!(
                op,
                ParentOp::SetScheduler(_) | ParentOp::SetIoPriority { .. }
            )
        };
        plan.parent.iter().filter(|s| is_outside(&s.op)).count()
    };
    let inside = |plan: &Plan| {
        let is_inside =
            |op: &LastOp| matches!(op, LastOp::SetScheduler(_) | LastOp::SetIoPriority { .. });
        plan.last.iter().filter(|s| is_inside(&s.op)).count()
    };
    let privileged = plan(&HostFacts::v2_root()).expect("a plan");
    assert_eq!((outside(&privileged), inside(&privileged)), (2, 0));
    let host = HostFacts {
        in_user_namespace: true,
        ..HostFacts::v2_root()
    };
    let nested = plan(&host).expect("a plan");
    assert_eq!((outside(&nested), inside(&nested)), (0, 2));
}
