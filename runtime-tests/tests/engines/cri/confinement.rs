//! What holds a container, as the probe in it sees it.

use std::fs;

use runtime_tests::{Facts, Mount};
use serde_json::{Value, json};

use super::{EXITED, Plugin, Pod, run, run_pod, start};
use crate::facts;
use crate::session::Session;

fn security(context: Value) -> Value {
    json!({"linux": {"security_context": context}})
}

pub fn tell(session: &mut Session, _: &mut Plugin) {
    let pod = run_pod(session, "pod", json!({}));
    tell_facts(session, &pod, "default", json!({}));
    for (name, context) in [
        (
            "user",
            json!({"run_as_user": {"value": 1000}, "run_as_group": {"value": 7},
            "supplemental_groups": [8, 9], "no_new_privs": true}),
        ),
        ("username", json!({"run_as_username": "user"})),
        (
            "capabilities",
            json!({"capabilities": {
            "add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["CHOWN", "KILL"]}}),
        ),
        (
            "none",
            json!({"capabilities": {"drop_capabilities": ["ALL"]}}),
        ),
        ("readonly", json!({"readonly_rootfs": true})),
        (
            "paths",
            json!({"masked_paths": ["/proc/timer_list"], "readonly_paths": ["/proc/sys"]}),
        ),
        (
            "unmasked",
            json!({"masked_paths": [], "readonly_paths": []}),
        ),
    ] {
        tell_facts(session, &pod, name, security(context));
    }
    tell_seccomp(session, &pod);
    let device = json!({"devices": [{"container_path": "/dev/own", "host_path": "/dev/zero", "permissions": "r"}]});
    run(
        session,
        &pod,
        "device",
        "stat -c '%t:%T %A' /dev/own; head -c 3 /dev/own | wc -c",
        device,
    );
    tell_privileged(session);
}

fn tell_seccomp(session: &mut Session, pod: &Pod) {
    let profile = session.case.directory.join("seccomp.json");
    let rules = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]});
    fs::write(&profile, rules.to_string()).expect("profile");
    let path = profile.to_string_lossy();
    for (name, seccomp) in [
        ("runtime-default", json!({"profile_type": 0})),
        ("unconfined", json!({"profile_type": 1})),
        (
            "localhost",
            json!({"profile_type": 2, "localhost_ref": path}),
        ),
    ] {
        let line = "grep -E '^Seccomp:' /proc/self/status; mkdir /tmp/new; echo $?; unshare -m true; echo $?";
        run(
            session,
            pod,
            name,
            line,
            security(json!({"seccomp": seccomp})),
        );
    }
}

#[track_caller]
fn tell_facts(session: &mut Session, pod: &Pod, name: &str, more: Value) {
    let command = super::with(json!({"command": ["probe", "facts"]}), more);
    let container = start(session, pod, name, command);
    let status = container.until_state(session, EXITED);
    assert_eq!(status["exit_code"], 0, "{}", container.log());
    session.case.until("the log is whole", || {
        serde_json::from_str::<Value>(&container.log()).is_ok()
    });
    let found = Facts::parse(&container.log());
    // Descriptors are pipes of a shim; the ids of a container are its own.
    // Where peers differ from each other: flags that a bind mount keeps or loses, and
    // those of a superblock or a mask.
    let except = [
        "fds",
        "cgroup",
        "mount on /dev/shm",
        "mount on /sys",
        "mount on /proc/timer_list",
    ];
    facts::note(session, name, &found, &except);
    let mounts = found.mounts();
    for target in ["/dev/shm", "/sys", "/proc/timer_list"] {
        let kinds = mounts.iter().filter(|mount| mount.target == target);
        let kinds: Vec<&str> = kinds.map(|mount| mount.kind.as_str()).collect();
        session.note(&format!("{name}: {target}"), &kinds.join(" "));
    }
    let read_only = |mount: &Mount| mount.target == "/sys" && mount.has("ro");
    session.note(
        &format!("{name}: /sys is read-only"),
        &mounts.iter().any(read_only).to_string(),
    );
    container.remove(session);
}

/// Peers refuse capabilities that root itself lacks; the specification wants a warning.
fn tell_privileged(session: &mut Session) {
    if !session.is_tested() {
        return;
    }
    let privileged = security(json!({"privileged": true}));
    let pod = run_pod(session, "privileged", privileged.clone());
    let container = start(session, &pod, "main", privileged);
    let answer = container.exec(session, "grep ' /sys ' /proc/mounts | cut -d' ' -f4 | cut -c1-2; test -e /dev/kmsg; echo $?; mount -t tmpfs tmpfs /mnt; echo $?");
    assert_eq!(answer["stdout"], "rw\n0\n0\n", "{answer}");
}
