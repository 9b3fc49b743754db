use serde_json::{Value, json};

use crate::{Errors, HostFacts, InitOp, Plan, Request, build, spec, template};

/// The template with a writable cgroup mount; then as `change` wants it.
fn plan(host: &HostFacts, change: impl FnOnce(&mut Value)) -> Result<Plan, Errors> {
    let mut config: Value = serde_json::from_str(&template(None)).expect("a template");
    config["process"]["terminal"] = json!(false);
    config["process"]["user"] = json!({"uid": 5, "gid": 5});
    let mounts = config["mounts"].as_array_mut().expect("mounts");
    mounts.retain(|mount| mount["type"] != "cgroup");
    mounts.push(
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "rw"]}),
    );
    change(&mut config);
    let spec = spec::load(config.to_string().as_bytes()).expect("it decodes");
    build(&spec, &Request::create("c1", "/b"), host)
}

fn owner(host: &HostFacts, change: impl FnOnce(&mut Value)) -> Option<u32> {
    plan(host, change).expect("a plan").cgroup.owner
}

fn cgroup_mount(config: &mut Value) -> &mut Value {
    let mounts = config["mounts"].as_array_mut().expect("mounts");
    mounts.last_mut().expect("the cgroup mount")
}

fn namespaces(config: &mut Value) -> &mut Vec<Value> {
    let list = config["linux"]["namespaces"].as_array_mut();
    list.expect("namespaces")
}

fn mapped(config: &mut Value) {
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    namespaces(config).push(json!({"type": "user"}));
}

#[test]
fn the_user_of_the_process_owns_what_it_may_write() {
    let v2 = HostFacts::v2_root();
    assert_eq!(owner(&v2, |_| {}), Some(5));
    assert_eq!(owner(&v2, mapped), Some(100_005));
    let joined = |config: &mut Value| {
        namespaces(config).push(json!({"type": "user", "path": "/proc/7/ns/user"}));
    };
    assert_eq!(owner(&v2, joined), None, "who that is cannot be known");
}

#[test]
fn without_one_of_the_conditions_nothing_changes() {
    let v2 = HostFacts::v2_root();
    assert_eq!(owner(&HostFacts::hybrid_root(), |_| {}), None);
    let read_only = |config: &mut Value| cgroup_mount(config)["options"] = json!(["ro"]);
    assert_eq!(owner(&v2, read_only), None);
    let elsewhere = |config: &mut Value| cgroup_mount(config)["destination"] = json!("/mnt");
    assert_eq!(owner(&v2, elsewhere), None);
    let other = |config: &mut Value| cgroup_mount(config)["source"] = json!("none");
    assert_eq!(owner(&v2, other), None);
    let shared = |config: &mut Value| namespaces(config).retain(|one| one["type"] != "cgroup");
    assert_eq!(owner(&v2, shared), None);
}

#[test]
fn an_annotation_names_a_cgroup_below() {
    let asked = |value: &str| {
        let value = value.to_owned();
        move |config: &mut Value| {
            config["annotations"] = json!({"run.oci.delegate-cgroup": value});
        }
    };
    let built = plan(&HostFacts::v2_root(), asked("/init.scope/./x")).expect("a plan");
    let delegated = built.cgroup.delegated.expect("a cgroup");
    assert_eq!(
        (delegated.path.as_str(), delegated.uid),
        ("init.scope/x", Some(5))
    );
    let procs = delegated.procs;
    let entered = InitOp::EnterDelegatedCgroup { procs };
    assert!(built.init.iter().any(|step| step.op == entered));
    for wrong in ["", "/", "..", "a/../..", "a\nb"] {
        let errors = plan(&HostFacts::v2_root(), asked(wrong)).expect_err("a problem");
        let text = errors.to_string();
        assert!(
            text.starts_with("annotations[\"run.oci.delegate-cgroup\"]: "),
            "{text}"
        );
    }
    let errors = plan(&HostFacts::hybrid_root(), asked("x")).expect_err("a problem");
    assert!(errors.to_string().contains("v2"), "{errors}");
}

#[test]
fn a_subgroup_is_of_systemd_alone() {
    let asked = |manager: bool, delegated: bool| {
        let mut config: Value = serde_json::from_str(&template(None)).expect("a template");
        config["process"]["terminal"] = json!(false);
        config["annotations"] = json!({"run.oci.systemd.subgroup": "payload"});
        if delegated {
            config["annotations"]["run.oci.delegate-cgroup"] = json!("own");
        }
        let spec = spec::load(config.to_string().as_bytes()).expect("it decodes");
        let request = Request {
            systemd_cgroup: manager,
            ..Request::create("c1", "/b")
        };
        let mut host = HostFacts::v2_root();
        host.cgroup.systemd = Some(crate::SystemdFacts::Manager {
            control_group: String::new(),
            user: false,
        });
        let built = build(&spec, &request, &host).expect("a plan");
        let delegated = built.cgroup.delegated;
        delegated.map(|delegated| (delegated.path, delegated.uid))
    };
    assert_eq!(asked(true, false), Some(("payload".to_owned(), None)));
    assert_eq!(asked(true, true), Some(("payload/own".to_owned(), Some(0))));
    assert_eq!(asked(false, false), None);
}
