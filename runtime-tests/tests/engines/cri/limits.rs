//! Resources, what is used of them, and the end of memory.

use runtime_tests::cgroup_directories;
use serde_json::{Value, json};

use super::{EXITED, Plugin, call, run_pod, start, with};
use crate::session::{LIMIT_FILES, Session};

pub fn tell(session: &mut Session, _: &mut Plugin) {
    let pod = run_pod(session, "pod", json!({}));
    let resources = json!({"cpu_period": 100_000, "cpu_quota": 50_000, "cpu_shares": 512,
        "memory_limit_in_bytes": 128 << 20, "oom_score_adj": 999, "cpuset_cpus": "0"});
    let container = start(
        session,
        &pod,
        "main",
        json!({"linux": {"resources": resources}}),
    );
    container.tell(
        session,
        "cat /proc/1/oom_score_adj; grep Cpus_allowed_list /proc/self/status",
    );
    tell_files(session, &container.id);
    let update = json!({"linux": {"cpu_period": 100_000, "cpu_quota": 20_000, "cpu_shares": 256,
        "memory_limit_in_bytes": 64 << 20, "cpuset_cpus": "0"}});
    call(
        session,
        "UpdateContainerResources",
        with(container.request(), update),
    );
    tell_files(session, &container.id);
    container.tell(session, "echo the same container");

    let stats = call(session, "ContainerStats", container.request());
    let stats = &stats["stats"];
    for value in [
        "/cpu/usage_core_nano_seconds/value",
        "/memory/working_set_bytes/value",
        "/memory/usage_bytes/value",
    ] {
        let used = stats
            .pointer(value)
            .and_then(Value::as_u64)
            .unwrap_or_default();
        session.note(value, &(used > 0).to_string());
    }
    let all = call(session, "ListContainerStats", json!({}));
    session.note(
        "stats of all",
        &all["stats"].as_array().map_or(0, Vec::len).to_string(),
    );
    let pod_stats = session.ask(&[
        "PodSandboxStats",
        &json!({"pod_sandbox_id": pod.id}).to_string(),
    ]);
    session.note("stats of the pod", &format!("{:?}", pod_stats.code()));

    let resources = json!({"memory_limit_in_bytes": 32 << 20});
    let eater = json!({"command": ["tail", "/dev/zero"], "linux": {"resources": resources}});
    let eater = start(session, &pod, "eater", eater);
    let mut status = eater.until_state(session, EXITED);
    // The event may come after the exit.
    let what = format!("{} says why", session.runtime.name);
    session.case.until(&what, || {
        status = eater.status(session);
        status["reason"] == "OOMKilled"
    });
    session.note("out of memory", &status["exit_code"].to_string());
}

fn tell_files(session: &mut Session, id: &str) {
    assert!(!cgroup_directories(id).is_empty(), "{id}");
    session.note_cgroup_files(id, &LIMIT_FILES);
}
