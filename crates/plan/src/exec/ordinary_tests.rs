use serde_json::{Value, json};

use super::super::compose::compose as through_the_tree;
use super::compose;
use crate::ExecRequest;

fn config() -> Value {
    json!({
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {
            "args": ["/bin/init"], "cwd": "/srv", "env": ["A=1"], "terminal": true,
            "user": {"uid": 5, "gid": 6, "additionalGids": [7]},
            "apparmorProfile": "p", "selinuxLabel": "u:r:t:s0", "noNewPrivileges": true,
            "oomScoreAdj": 7, "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 3},
            "scheduler": {"policy": "SCHED_BATCH", "nice": 3},
            "execCPUAffinity": {"initial": "0", "final": "0-1"},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}],
            "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"]}
        },
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]}
    })
}

fn command(change: impl Fn(&mut ExecRequest)) -> ExecRequest {
    let mut request = ExecRequest::command("c1", &["x", "y"]);
    change(&mut request);
    request
}

fn file(process: &Value) -> ExecRequest {
    command(|request| {
        request.args.clear();
        request.process = Some(process.to_string().into_bytes());
    })
}

/// Both ways come to the same configuration.
fn assert_same(config: &Value, request: &ExecRequest) {
    let config = config.to_string();
    let mut problems = Vec::new();
    let slow = through_the_tree(config.as_bytes(), request, &mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    let quick = compose(config.as_bytes(), request)
        .unwrap_or_else(|| panic!("no ordinary request: {request:?}"));
    assert_eq!(quick.decoded(), slow.decoded());
}

#[test]
fn commands_are_what_the_tree_makes_of_them() {
    for request in [
        command(|_| {}),
        command(|request| request.terminal = true),
        command(|request| request.no_new_privileges = true),
        command(|request| request.cwd = Some("/elsewhere".to_owned())),
        command(|request| request.env = vec!["B=2".to_owned(), "A=".to_owned()]),
        command(|request| request.args.clear()),
    ] {
        assert_same(&config(), &request);
    }
    let mut bare = config();
    bare["process"] = json!({"cwd": "/", "user": {"uid": 0, "gid": 0}});
    assert_same(
        &bare,
        &command(|request| request.env = vec!["B=2".to_owned()]),
    );
}

#[test]
fn process_files_keep_what_they_leave_out() {
    let user = json!({"uid": 1, "gid": 1});
    for process in [
        json!({"args": ["a"], "cwd": "/", "user": user}),
        json!({"args": ["a"], "cwd": "/", "user": user, "rlimits": [], "apparmorProfile": "",
            "selinuxLabel": "", "capabilities": null, "noNewPrivileges": null,
            "scheduler": null, "ioPriority": null, "execCPUAffinity": null}),
        json!({"args": ["a"], "cwd": "/", "user": user, "capabilities": {}}),
        json!({"args": ["a"], "cwd": "/", "user": user, "env": ["C=3"], "terminal": true,
            "consoleSize": {"height": 2, "width": 3}, "noNewPrivileges": false,
            "oomScoreAdj": 0, "apparmorProfile": "other", "selinuxLabel": "a:b:c:s1",
            "rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 2}],
            "scheduler": {"policy": "SCHED_OTHER"}, "execCPUAffinity": {"initial": "1"},
            "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0},
            "capabilities": {"bounding": ["CAP_CHOWN"]}, "unknown": {"x": 1}}),
    ] {
        assert_same(&config(), &file(&process));
    }
    let mut poor = config();
    poor["process"] = json!({"cwd": "/", "user": user});
    assert_same(
        &poor,
        &file(&json!({"args": ["a"], "cwd": "/", "user": user})),
    );
}

#[test]
fn whatever_is_odd_is_for_the_tree() {
    let quick = |config: &Value, request: &ExecRequest| {
        compose(config.to_string().as_bytes(), request).is_some()
    };
    for request in [
        command(|request| request.user = Some("1".to_owned())),
        command(|request| request.additional_gids = vec!["1".to_owned()]),
        command(|request| request.capabilities = vec!["CAP_KILL".to_owned()]),
        command(|request| request.apparmor_profile = Some("p".to_owned())),
        command(|request| request.process_label = Some("l".to_owned())),
        command(|request| request.env = vec!["=1".to_owned()]),
        command(|request| request.process = Some(b"{}".to_vec())),
        file(&json!({"args": "a", "cwd": "/", "user": {"uid": 1, "gid": 1}})),
        file(&json!({"args": ["a"], "cwd": "/"})),
        file(&json!([])),
    ] {
        assert!(!quick(&config(), &request), "{request:?}");
    }
    // What is no document alone must not become one by what is put around it.
    let smuggled = br#"{"args":["a"],"cwd":"/","user":{"uid":1,"gid":1}},"linux":{}"#;
    let request = command(|request| {
        request.args.clear();
        request.process = Some(smuggled.to_vec());
    });
    assert!(!quick(&config(), &request));
    assert!(!quick(&json!({"ociVersion": "1.3.0"}), &command(|_| {})));
    let mut wrong = config();
    wrong["hostname"] = json!(7);
    assert!(!quick(&wrong, &command(|_| {})));
}
