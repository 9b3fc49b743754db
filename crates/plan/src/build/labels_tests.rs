//! Labels as data: where each is written, when, and what stands in its way.

use serde_json::{Value, json};

use crate::{Errors, HostFacts, InitOp, InitPhase, LastOp, LastPhase, Lsm, Plan, Request};

const PROFILE: &str = "docker-default";
const CONTEXT: &str = "system_u:system_r:container_t:s0:c1,c2";

fn host(modules: &[Lsm]) -> HostFacts {
    HostFacts {
        lsm: modules.to_vec(),
        ..HostFacts::v2_root()
    }
}

fn plan(process: &Value, host: &HostFacts) -> Result<Plan, Errors> {
    let mut config: Value = serde_json::from_str(&crate::template(None)).expect("the template");
    config["process"]["terminal"] = json!(false);
    for (name, value) in process.as_object().expect("an object") {
        config["process"][name] = value.clone();
    }
    let spec = crate::spec::load(config.to_string().as_bytes()).expect("JSON");
    crate::build(&spec, &Request::create("c1", "/bundle"), host)
}

/// Position and text of each label in the stub's list.
fn written(plan: &Plan) -> Vec<(usize, Lsm, &str)> {
    let steps = plan.last.iter().enumerate();
    steps
        .filter_map(|(place, step)| match &step.op {
            LastOp::SetExecLabel { module, label } => Some((place, *module, label.as_str())),
            _ => None,
        })
        .collect()
}

#[test]
fn a_profile_is_set_before_no_new_privs_and_any_filter() {
    let process = json!({"apparmorProfile": PROFILE, "noNewPrivileges": true});
    let plan = plan(&process, &host(&[Lsm::AppArmor])).expect("a plan");
    let [(place, Lsm::AppArmor, "exec docker-default")] = written(&plan)[..] else {
        panic!("{:?}", written(&plan));
    };
    let step = &plan.last[place];
    assert_eq!(step.from.as_str(), "process.apparmorProfile");
    assert_eq!(step.op.phase(), LastPhase::Privileged);
    let sealed = plan
        .last
        .iter()
        .position(|s| s.op == LastOp::NoNewPrivileges);
    assert!(sealed.is_some_and(|sealed| place < sealed));
}

/// no_new_privs forbids leaving a profile, but one may be added to it.
#[test]
fn a_confined_runtime_stacks_under_no_new_privs() {
    let mut host = host(&[Lsm::AppArmor]);
    host.apparmor_confined = true;
    for (sealed, wanted) in [
        (true, "stack docker-default"),
        (false, "exec docker-default"),
    ] {
        let process = json!({"apparmorProfile": PROFILE, "noNewPrivileges": sealed});
        let plan = plan(&process, &host).expect("a plan");
        assert_eq!(written(&plan)[0].2, wanted);
    }
}

/// `unconfined` is written too: the kernel would else look for a profile that is
/// attached to the path of the program.
#[test]
fn unconfined_is_a_profile_where_there_are_profiles() {
    let process = json!({"apparmorProfile": "unconfined"});
    let with = plan(&process, &host(&[Lsm::AppArmor])).expect("a plan");
    assert_eq!(written(&with)[0].2, "exec unconfined");
    let without = plan(&process, &host(&[])).expect("a plan");
    assert_eq!(written(&without), []);
    let none = plan(&json!({"apparmorProfile": ""}), &host(&[Lsm::AppArmor]));
    assert_eq!(written(&none.expect("a plan")), []);
}

#[test]
fn a_context_is_set_on_the_program_and_on_its_keyring() {
    let process = json!({"selinuxLabel": CONTEXT});
    let plan = plan(&process, &host(&[Lsm::SELinux])).expect("a plan");
    assert_eq!(written(&plan).len(), 1);
    assert_eq!(written(&plan)[0].1, Lsm::SELinux);
    assert_eq!(written(&plan)[0].2, CONTEXT);
    let place = |wanted: fn(&InitOp) -> bool| plan.init.iter().position(|s| wanted(&s.op));
    let label = place(|op| matches!(op, InitOp::SetKeyLabel(label) if label == CONTEXT));
    let keyring = place(|op| matches!(op, InitOp::NewSessionKeyring { .. }));
    assert!(label.is_some() && label < keyring);
    // While the host's /proc is there.
    assert_eq!(label, Some(0));
    assert_eq!(plan.init[0].op.phase(), InitPhase::Enter);
}

#[test]
fn a_module_that_is_not_there_is_named() {
    let process = json!({"apparmorProfile": PROFILE, "selinuxLabel": CONTEXT});
    let errors = plan(&process, &host(&[])).expect_err("no modules");
    let found: Vec<_> = errors.all().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            r#"process.apparmorProfile: "docker-default" needs AppArmor, which is not active on this host (remove the property)"#,
            r#"process.selinuxLabel: "system_u:system_r:container_t:s0:c1,c2" needs SELinux, which is not active on this host (remove the property)"#,
        ]
    );
    let errors = plan(
        &json!({"selinuxLabel": "container_t"}),
        &host(&[Lsm::SELinux]),
    );
    let errors = errors.expect_err("no context");
    let line = errors.all()[0].to_string();
    assert!(line.contains("an SELinux context"), "{line}");
}
