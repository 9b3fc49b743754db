//! A pod and its containers, from the first to the last call.

use serde_json::{Value, json};

use super::{
    CREATED, Container, EXITED, Plugin, Pod, RUNNING, call, create, refused, run, run_pod, start,
};
use crate::daemon::shims;
use crate::session::Session;

pub fn tell(session: &mut Session, _: &mut Plugin) {
    let pod = run_pod(session, "pod", json!({"labels": {"app": "test"}}));
    let request = json!({"pod_sandbox_id": pod.id});
    let status = call(session, "PodSandboxStatus", request.clone());
    let status = &status["status"];
    session.note("state", &status["state"].to_string());
    session.note("labels", &status["labels"].to_string());
    let address = status["network"]["ip"].as_str().expect("an address");
    assert!(address.starts_with("10.88."), "{status}");

    let container = create(session, &pod, "first", json!({}));
    container.until_state(session, CREATED);
    call(session, "StartContainer", container.request());
    container.until_state(session, RUNNING);
    container.tell(session, "hostname; cat /proc/1/comm; ls /sys/class/net");
    tell_shims(session);
    tell_ends(session, &pod, container);

    call(session, "StopPodSandbox", request.clone());
    let status = call(session, "PodSandboxStatus", request.clone());
    session.note("state after stop", &status["status"]["state"].to_string());
    call(session, "RemovePodSandbox", request);
    let left = call(session, "ListPodSandbox", json!({}));
    session.note("pods", &count(&left["items"]));
    session
        .case
        .until("the shim has gone", || own_shims(session) == 0);

    let request = json!({"config": {"metadata": {"name": "x", "uid": "x", "namespace": "x"}},
        "runtime_handler": "nosuch"});
    let reason = refused(session, "RunPodSandbox", request);
    assert!(reason.contains("nosuch"), "{reason}");
}

fn count(list: &Value) -> String {
    list.as_array().map_or(0, Vec::len).to_string()
}

/// The ways in which a container ends.
fn tell_ends(session: &mut Session, pod: &Pod, container: Container) {
    let listed = call(session, "ListContainers", json!({}));
    session.note("containers", &count(&listed["containers"]));
    // Nobody removes what runs, unless by force.
    call(
        session,
        "StopContainer",
        json!({"container_id": container.id, "timeout": 0}),
    );
    tell_end(session, &container, "stopped at once");
    container.remove(session);

    let line = "trap 'exit 9' TERM; touch /ready; while :; do sleep 0.1; done";
    let command = json!({"command": ["sh", "-c", line]});
    let polite = start(session, pod, "polite", command);
    session.case.until("the trap is set", || {
        polite.exec(session, "test -e /ready")["exit_code"] == 0
    });
    call(
        session,
        "StopContainer",
        json!({"container_id": polite.id, "timeout": 30}),
    );
    tell_end(session, &polite, "stopped with SIGTERM");
    polite.remove(session);

    run(
        session,
        pod,
        "completed",
        "echo said; echo err >&2",
        json!({}),
    );
    run(session, pod, "failed", "exit 3", json!({}));
    let killed = json!({"command": ["sh", "-c", "kill -9 $$"]});
    let killed = start(session, pod, "killed", killed);
    tell_end(session, &killed, "killed");
    killed.remove(session);
    tell_missing(session, pod);
}

#[track_caller]
fn tell_end(session: &mut Session, container: &Container, how: &str) {
    let status = container.until_state(session, EXITED);
    session.note(
        how,
        &format!("{} {}", status["exit_code"], status["reason"]),
    );
}

/// A program that is not there: the start fails, and the container says so.
fn tell_missing(session: &mut Session, pod: &Pod) {
    let missing = create(session, pod, "missing", json!({"command": ["nosuch"]}));
    let reason = refused(session, "StartContainer", missing.request());
    assert!(reason.contains("nosuch"), "{reason}");
    let known = reason.contains("not found in $PATH");
    session.note("a program that is missing", &known.to_string());
    tell_end(session, &missing, "never started");
    missing.remove(session);
}

fn own_shims(session: &Session) -> usize {
    let socket = super::socket(session.case);
    shims(&["-address", &socket.to_string_lossy()]).len()
}

fn tell_shims(session: &mut Session) {
    let found = own_shims(session);
    session.note("shims", &found.to_string());
    assert_eq!(found, 1, "one for the pod");
}
