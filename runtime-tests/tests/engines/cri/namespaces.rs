//! Whose namespaces a pod and its containers are in.

use std::fs;

use runtime_tests::{Case, skip};
use serde_json::{Value, json};

use super::{Plugin, run_pod, start, story, story_without_peer};
use crate::release::Release;
use crate::session::Session;

/// Modes of the interface.
const POD: u8 = 0;
const CONTAINER: u8 = 1;
const NODE: u8 = 2;
const TARGET: u8 = 3;

fn security(namespaces: Value) -> Value {
    json!({"linux": {"security_context": {"namespace_options": namespaces}}})
}

pub fn tell(session: &mut Session, _: &mut Plugin) {
    let dns = json!({"servers": ["10.9.8.7"], "searches": ["example.org"]});
    let sysctls =
        json!({"net.ipv4.ip_unprivileged_port_start": "80", "kernel.shm_rmid_forced": "1"});
    let pod = run_pod(
        session,
        "pod",
        json!({"dns_config": dns, "linux": {"sysctls": sysctls}}),
    );
    let own = start(session, &pod, "own", json!({}));
    own.tell(session, "cat /etc/resolv.conf /etc/hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced");
    own.tell(session, "cat /proc/1/comm");
    tell_shared(session, &own);
    own.exec(session, "echo shared > /dev/shm/file");

    let of_pod = start(session, &pod, "of-pod", security(json!({"pid": POD})));
    of_pod.tell(
        session,
        "cat /proc/1/cmdline | tr '\\0' ' '; cat /dev/shm/file",
    );
    let target = json!({"pid": TARGET, "target_id": own.id});
    let other = start(session, &pod, "other", security(target));
    other.tell(
        session,
        "cat /proc/1/comm; readlink /proc/1/ns/mnt | grep -c mnt",
    );
    let same = own.exec(session, "readlink /proc/self/ns/pid")
        == other.exec(session, "readlink /proc/self/ns/pid");
    session.note("the target's", &same.to_string());

    let host = security(json!({"network": NODE, "pid": NODE, "ipc": NODE}));
    let pod = run_pod(
        session,
        "host",
        super::with(host.clone(), json!({"hostname": ""})),
    );
    let container = start(session, &pod, "main", host);
    tell_shared(session, &container);
    container.tell(session, "ls /sys/class/net | grep -v veth");
    // Its end is the end of everything in it, though it has no namespace that dies.
    container.exec(session, "(sleep 1000 & sleep 1000 &) > /dev/null 2>&1");
    super::call(session, "StopContainer", container.request());
    container.remove(session);
    let private = start(
        session,
        &pod,
        "private",
        security(json!({"network": NODE, "pid": CONTAINER})),
    );
    tell_shared(session, &private);
}

/// Which namespaces are those of the machine, here the test's.
fn tell_shared(session: &mut Session, container: &super::Container) {
    for kind in ["net", "pid", "ipc", "uts", "mnt", "user", "cgroup"] {
        let here = fs::read_link(format!("/proc/self/ns/{kind}")).expect("namespace");
        let there = container.exec(session, &format!("readlink /proc/self/ns/{kind}"));
        let there = there["stdout"]
            .as_str()
            .unwrap_or_default()
            .trim()
            .to_owned();
        let shared = here.to_string_lossy() == there;
        session.note(&format!("{kind} of the node"), &shared.to_string());
    }
}

pub fn tell_users(case: &mut Case, release: Release) {
    match release {
        Release::System => skip("containerd 1.6 has no user namespaces for pods"),
        Release::Trixie => story(case, release, tell_user),
        // It mounts volumes with mapped ids, which Debian 12's runc has not.
        Release::Forky => story_without_peer(case, release, tell_user),
    }
}

fn tell_user(session: &mut Session, plugin: &mut Plugin) {
    if plugin.release() == Release::Forky {
        // The kubelet asks for what is advertised.
        let status = super::call(session, "Status", json!({}));
        let handlers = status["runtime_handlers"].as_array().expect("handlers");
        let name = session.runtime.name;
        let handler = handlers.iter().find(|handler| handler["name"] == name);
        let wanted = json!({"recursive_read_only_mounts": true, "user_namespaces": true});
        assert_eq!(
            handler.map(|handler| &handler["features"]),
            Some(&wanted),
            "{status}"
        );
    }
    let ids = json!([{"container_id": 0, "host_id": 300_000, "length": 65_536}]);
    let users = json!({"userns_options": {"mode": POD, "uids": ids, "gids": ids}});
    let context = super::with(security(users), security(json!({"pid": CONTAINER})));
    let pod = run_pod(session, "pod", context.clone());
    let container = start(session, &pod, "main", context);
    container.tell(session, "cat /proc/self/uid_map /proc/self/gid_map; id; stat -c '%u:%g %n' / /proc/self; touch /root/file; stat -c %u /root/file");
    let line = "cat /proc/self/uid_map | tr -s ' '; stat -c %u:%g /bin/sh";
    let answer = container.exec(session, line);
    assert_eq!(answer["stdout"], " 0 300000 65536\n0:0\n", "{answer}");
    container.tell(
        session,
        "cat /etc/hostname; grep Cap /proc/self/status; mount -t tmpfs tmpfs /mnt; echo $?",
    );
}
