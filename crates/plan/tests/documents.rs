//! Documents that come from outside beside `config.json`: `exec --process`, `update
//! --resources`, the list of `mounts add`. Whatever they hold, they are planned or
//! refused. `fuzz/` asks the same with coverage to guide it.

#![allow(clippy::unwrap_used)]

use plan::{
    ExecRequest, HostFacts, MountsChange, MountsRequest, Plan, Request, UpdateRequest, spec,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Names of properties and words that have a meaning in one of the documents.
const WORDS: [&str; 44] = [
    "args",
    "cwd",
    "env",
    "user",
    "uid",
    "gid",
    "additionalGids",
    "capabilities",
    "bounding",
    "ambient",
    "rlimits",
    "type",
    "hard",
    "soft",
    "RLIMIT_NOFILE",
    "CAP_KILL",
    "noNewPrivileges",
    "memory",
    "limit",
    "swap",
    "cpu",
    "quota",
    "period",
    "cpus",
    "0-1",
    "pids",
    "blockIO",
    "weight",
    "hugepageLimits",
    "pageSize",
    "2MB",
    "unified",
    "memory.high",
    "../x",
    "destination",
    "source",
    "options",
    "bind",
    "tmpfs",
    "/proc",
    "/a/..",
    "",
    "\0",
    "A=b",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![9 => select(WORDS.to_vec()).prop_map(str::to_owned), 1 => any::<String>()]
}

fn document() -> impl Strategy<Value = Value> {
    let numbers = vec![
        0,
        1,
        -1,
        1024,
        4_294_967_295,
        4_294_967_296,
        i64::MIN,
        i64::MAX,
    ];
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        4 => select(numbers).prop_map(Value::from),
        6 => word().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            2 => btree_map(word(), inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

/// A document that is right but for what the random one puts into it.
fn around(good: &'static str) -> impl Strategy<Value = Value> {
    let good: Value = serde_json::from_str(good).unwrap();
    btree_map(word(), document(), 0..3).prop_map(move |changes| {
        let mut whole = good.clone();
        for (name, value) in changes {
            whole[name] = value;
        }
        whole
    })
}

const PROCESS: &str =
    r#"{"args": ["/bin/a"], "cwd": "/", "env": ["A=b"], "user": {"uid": 0, "gid": 0}}"#;
const RESOURCES: &str =
    r#"{"memory": {"limit": 1048576}, "cpu": {"shares": 100}, "pids": {"limit": 5}}"#;
const MOUNT: &str = r#"{"destination": "/x", "type": "bind", "source": "/y", "options": ["bind"]}"#;

fn config() -> Vec<u8> {
    json!({
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"args": ["sh"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "cgroup"}],
            "resources": {"memory": {"limit": 4_194_304}},
        },
    })
    .to_string()
    .into_bytes()
}

fn can_be_written_down(plan: &Plan) -> Result<(), TestCaseError> {
    let text = serde_json::to_vec(plan).unwrap();
    prop_assert_eq!(
        serde_json::from_slice::<Plan>(&text).ok(),
        Some(plan.clone())
    );
    Ok(())
}

fn is_told(errors: &plan::Errors) -> Result<(), TestCaseError> {
    let text = errors.to_string();
    prop_assert!(
        !text.is_empty() && !text.contains(['\0', '\x1b']),
        "{:?}",
        text
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_configuration_of_the_tests_is_good(host in select(vec![HostFacts::v2_root(), HostFacts::hybrid_root()])) {
        let spec = spec::load(&config()).unwrap();
        let built = plan::build(&spec, &Request::create("c1", "/bundle"), &host);
        prop_assert!(built.is_ok(), "{:?}", built.err());
    }

    #[test]
    fn process_of_exec(process in prop_oneof![document(), around(PROCESS)]) {
        let mut request = ExecRequest::command("c1", &[]);
        request.process = Some(process.to_string().into_bytes());
        match plan::exec(&config(), &request, &HostFacts::v2_root()) {
            Ok(plan) => can_be_written_down(&plan.process)?,
            Err(errors) => is_told(&errors)?,
        }
    }

    #[test]
    fn resources_of_update(
        resources in prop_oneof![document(), around(RESOURCES)],
        hybrid in any::<bool>(),
        systemd_cgroup in any::<bool>(),
    ) {
        let request = UpdateRequest {
            id: "c1".to_owned(),
            systemd_cgroup,
            resources: Some(resources.to_string().into_bytes()),
            options: Vec::new(),
        };
        let host = if hybrid { HostFacts::hybrid_root() } else { HostFacts::v2_root() };
        match plan::update(&config(), &request, &host) {
            Ok(plan) => {
                // What is kept is read by the next command.
                let spec = spec::load(&plan.config).unwrap();
                let again = plan::build(&spec, &Request::create("c1", "/bundle"), &host);
                prop_assert!(again.is_ok(), "{:?}", again.err());
                for setting in &plan.settings {
                    let inside = !setting.file.contains(['/', '\0']) && !setting.file.starts_with('.');
                    prop_assert!(inside && !setting.value.contains('\0'), "{:?}", setting);
                }
            }
            Err(errors) => is_told(&errors)?,
        }
    }

    #[test]
    fn list_of_mounts(list in vec(around(MOUNT), 0..3), add in any::<bool>()) {
        let request = MountsRequest {
            id: "c1".to_owned(),
            change: if add { MountsChange::Add } else { MountsChange::Remove },
            list: json!(list).to_string().into_bytes(),
            bundle: "/bundle".to_owned(),
            init: 77,
        };
        match plan::change_mounts(&config(), &request, &HostFacts::v2_root()) {
            Ok(plan) => can_be_written_down(&plan)?,
            Err(errors) => is_told(&errors)?,
        }
    }

    #[test]
    fn bytes_that_are_no_document(bytes in vec(any::<u8>(), 0..64)) {
        let mut request = ExecRequest::command("c1", &[]);
        request.process = Some(bytes.clone());
        if let Err(errors) = plan::exec(&config(), &request, &HostFacts::v2_root()) {
            is_told(&errors)?;
        }
        drop(spec::load(&bytes));
    }
}
