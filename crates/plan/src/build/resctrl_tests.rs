use serde_json::{Value, json};

use super::build;
use crate::build::fixture::{Built, Fixture};
use crate::{HostFacts, ParentOp, Request, ResctrlGroup, spec, template};

fn built(rdt: &Value) -> Built {
    let mut fixture = Fixture::linux(json!({"intelRdt": rdt}));
    fixture.host.resctrl = Some("/sys/fs/resctrl".to_owned());
    fixture.build(build)
}

fn group(rdt: &Value) -> ResctrlGroup {
    let built = built(rdt);
    assert_eq!(built.problems, Vec::<String>::new());
    match &built.parent[..] {
        [
            (_, ParentOp::MakeResctrlGroup(group)),
            (_, ParentOp::JoinResctrlGroups(directories)),
        ] => {
            assert_eq!(directories[0], group.directory);
            assert_eq!(directories.get(1), group.monitor.as_ref());
            group.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_is_named_by_its_class_or_the_container() {
    let own = group(&json!({}));
    assert_eq!(own.directory, "/sys/fs/resctrl/c1");
    assert!(!own.must_exist && own.monitor.is_none() && own.schemata.is_empty());
    let prepared = group(&json!({"closID": "gold"}));
    assert_eq!(prepared.directory, "/sys/fs/resctrl/gold");
    assert!(prepared.must_exist);
    let made = group(&json!({"closID": "gold", "memBwSchema": "MB:0=50"}));
    assert!(!made.must_exist);
    let default = group(&json!({"closID": "/", "enableMonitoring": true}));
    assert_eq!(default.directory, "/sys/fs/resctrl");
    let monitor = "/sys/fs/resctrl/mon_groups/c1";
    assert_eq!(default.monitor.as_deref(), Some(monitor));
}

/// Under the names that the spec had before 1.3, through the decoder.
#[test]
fn monitoring_by_its_older_names() {
    for old in ["enableCMT", "enableMBM"] {
        let mut config: Value = serde_json::from_str(&template(None)).expect("a template");
        config["process"]["terminal"] = json!(false);
        config["linux"]["intelRdt"] = json!({old: true});
        let spec = spec::load(config.to_string().as_bytes()).expect("it decodes");
        let host = HostFacts {
            resctrl: Some("/r".to_owned()),
            ..HostFacts::v2_root()
        };
        let plan = crate::build(&spec, &Request::create("c1", "/b"), &host).expect("a plan");
        let monitored = plan.parent.iter().any(|step| match &step.op {
            ParentOp::MakeResctrlGroup(group) => group.monitor.is_some(),
            _ => false,
        });
        assert!(monitored, "{old}");
    }
}

#[test]
fn lines_are_combined_in_the_order_of_the_spec() {
    let rdt = json!({
        "l3CacheSchema": "L3:0=f\nMB:0=10\nL2:0=3", "memBwSchema": "MB:0=50",
        "schemata": ["L3:0=7"]
    });
    assert_eq!(
        group(&rdt).schemata,
        ["L3:0=f", "L2:0=3", "MB:0=50", "L3:0=7"]
    );
    // Nothing takes the place of this one.
    let rdt = json!({"l3CacheSchema": "L3:0=f\nMB:0=10"});
    assert_eq!(group(&rdt).schemata, ["L3:0=f", "MB:0=10"]);
}

#[test]
fn what_is_refused() {
    for (rdt, path) in [
        (json!({"closID": "a/b"}), "linux.intelRdt.closID"),
        (json!({"closID": ".."}), "linux.intelRdt.closID"),
        (json!({"closID": "mon_groups"}), "linux.intelRdt.closID"),
        (
            json!({"memBwSchema": "L3:0=f"}),
            "linux.intelRdt.memBwSchema",
        ),
        (
            json!({"memBwSchema": "MB:0=1\nMB:1=1"}),
            "linux.intelRdt.memBwSchema",
        ),
        (
            json!({"l3CacheSchema": "all of it"}),
            "linux.intelRdt.l3CacheSchema",
        ),
        (
            json!({"schemata": ["L3:0=f", "x"]}),
            "linux.intelRdt.schemata[1]",
        ),
    ] {
        let problems = built(&rdt).problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(&format!("{path}: ")),
            "{problems:?}"
        );
    }
}

#[test]
fn a_host_without_resctrl_is_told_so() {
    let problems = Fixture::linux(json!({"intelRdt": {}}))
        .build(build)
        .problems;
    assert_eq!(
        problems,
        [
            "linux.intelRdt: needs resctrl, which is not mounted on this host (mount -t resctrl resctrl /sys/fs/resctrl, where the processor has Intel RDT)"
        ]
    );
}
