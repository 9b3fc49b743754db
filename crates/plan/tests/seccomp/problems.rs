//! Profiles that are wrong: the path, the wording, and all of it at once.

use plan::SeccompProgram;
use plan::seccomp::compile_json;
use serde_json::{Value, json};

fn problems(profile: &Value) -> Vec<String> {
    let errors = compile_json(profile).expect_err("a broken profile");
    errors.all().iter().map(ToString::to_string).collect()
}

fn one(profile: &Value) -> String {
    let problems = problems(profile);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.into_iter().next().expect("one")
}

fn allow(syscalls: Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": syscalls})
}

#[test]
fn an_argument_that_does_not_exist() {
    let good = json!({"names": ["read"], "action": "SCMP_ACT_ERRNO"});
    let profile = allow(json!([good, {
        "names": ["socket"], "action": "SCMP_ACT_ERRNO",
        "args": [
            {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
            {"index": 6, "value": 1, "op": "SCMP_CMP_EQ"},
        ],
    }]));
    assert_eq!(
        one(&profile),
        "linux.seccomp.syscalls[1].args[1].index: \
         expected the index of an argument, 0 to 5, found 6"
    );
}

#[test]
fn an_errno_where_none_is_returned() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_KILL", "defaultErrnoRet": 1,
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 0}],
    });
    let why = "returns no errno: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take one";
    assert_eq!(
        problems(&profile),
        [
            format!("linux.seccomp.defaultErrnoRet: SCMP_ACT_KILL {why}"),
            format!("linux.seccomp.syscalls[0].errnoRet: SCMP_ACT_ALLOW {why}"),
        ]
    );
}

#[test]
fn an_errno_that_is_none() {
    let rule =
        |action, errno| allow(json!([{"names": ["read"], "action": action, "errnoRet": errno}]));
    assert_eq!(
        one(&rule("SCMP_ACT_ERRNO", 4096)),
        "linux.seccomp.syscalls[0].errnoRet: expected a number from 0 to 4095, found 4096"
    );
    assert_eq!(
        one(&rule("SCMP_ACT_TRACE", 65536)),
        "linux.seccomp.syscalls[0].errnoRet: expected a number from 0 to 65535, found 65536"
    );
    compile_json(&rule("SCMP_ACT_ERRNO", 4095)).expect("the largest errno");
    compile_json(&rule("SCMP_ACT_TRACE", 65535)).expect("the largest message");
    compile_json(&rule("SCMP_ACT_ERRNO", 0)).expect("a call that pretends to succeed");
}

#[test]
fn a_listener_that_could_never_answer() {
    let profile = json!({
        "defaultAction": "SCMP_ACT_NOTIFY",
        "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_NOTIFY"}],
    });
    let problems = problems(&profile);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be"));
    assert!(problems[1].starts_with("linux.seccomp.syscalls[0].names[1]: SCMP_ACT_NOTIFY cannot"));
    assert_eq!(
        problems[2],
        "linux.seccomp.listenerPath: missing: the socket of the agent that SCMP_ACT_NOTIFY asks"
    );
}

#[test]
fn names_that_are_missing_or_empty() {
    let profile = allow(json!([
        {"names": [], "action": "SCMP_ACT_ERRNO"},
        {"names": ["read", ""], "action": "SCMP_ACT_ERRNO"},
    ]));
    assert_eq!(
        problems(&profile),
        [
            "linux.seccomp.syscalls[0].names: missing: at least one syscall name",
            "linux.seccomp.syscalls[1].names[1]: expected the name of a syscall, found \"\"",
        ]
    );
}

/// (The wording is the decoder's; `plan::spec` has its own.)
#[test]
fn words_that_are_not_in_their_list() {
    let rule = |key: &str, value: Value| {
        let mut rule = json!({"names": ["read"], "action": "SCMP_ACT_ERRNO"});
        rule[key] = value;
        allow(json!([rule]))
    };
    let argument = json!([{"index": 0, "value": 1, "op": "SCMP_CMP_ALMOST"}]);
    let with = |key: &str, value: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", key: value});
    let cases = [
        (
            json!({"defaultAction": "SCMP_ACT_DENY"}),
            "defaultAction",
            "SCMP_ACT_KILL",
        ),
        (
            rule("action", json!("allow")),
            "syscalls[0].action",
            "SCMP_ACT_KILL",
        ),
        (
            rule("args", argument),
            "syscalls[0].args[0].op",
            "SCMP_CMP_NE",
        ),
        (
            with("architectures", json!(["VAX"])),
            "architectures[0]",
            "SCMP_ARCH_X86_64",
        ),
        (
            with("flags", json!(["FAST"])),
            "flags[0]",
            "SECCOMP_FILTER_FLAG_LOG",
        ),
    ];
    for (profile, path, word) in cases {
        let problem = one(&profile);
        assert!(
            problem.starts_with(&format!("linux.seccomp.{path}: ")),
            "{problem}"
        );
        assert!(problem.contains(word), "{problem}");
    }
}

#[test]
fn a_filter_the_kernel_would_refuse() {
    let args = |value| json!([{"index": 1, "value": value, "op": "SCMP_CMP_EQ"}]);
    let rules: Vec<Value> = (0..5000)
        .map(|value| json!({"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "args": args(value)}))
        .collect();
    let problem = one(&allow(Value::from(rules)));
    assert!(
        problem.starts_with("linux.seccomp.syscalls: the filter is "),
        "{problem}"
    );
    assert!(
        problem.contains("instructions long, the kernel takes at most 4096"),
        "{problem}"
    );
}

fn program(profile: &Value) -> SeccompProgram {
    compile_json(profile).expect("it compiles")
}

#[test]
fn flags_are_the_kernels() {
    let flags = |flags: Value| {
        let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW"});
        if !flags.is_null() {
            profile["flags"] = flags;
        }
        program(&profile).flags
    };
    // Absent: the mitigation that costs most is off, as everywhere in the field.
    assert_eq!(flags(Value::Null), 1 << 2);
    assert_eq!(flags(json!([])), 0);
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_LOG"])), 1 << 1);
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW"])), 1 << 2);
    // No thread to synchronise with; no listener to wait for.
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_TSYNC"])), 0);
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])), 0);
}

#[test]
fn a_listener_is_asked_for() {
    let program = program(&json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "listenerPath": "/run/agent.sock",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}],
    }));
    assert!(program.notifies);
    assert_eq!(program.flags, 1 << 3 | 1 << 5);
}

#[test]
fn an_unknown_name_is_no_problem() {
    let with = allow(json!([{"names": ["read", "frobnicate"], "action": "SCMP_ACT_ERRNO"}]));
    let without = allow(json!([{"names": ["read"], "action": "SCMP_ACT_ERRNO"}]));
    assert_eq!(program(&with), program(&without));
}
