//! Networks, and pods that share namespaces.

use runtime_tests::{Case, convention};

use crate::podman::{facts, shell, start, story};
use crate::session::Session;

const CHAPTER: &str = "podman: networks";

#[convention("--network none, host and bridge.")]
fn kinds(case: &mut Case) {
    story(case, |session| {
        for network in ["none", "host"] {
            facts(session, &format!("--hostname=c --network={network}"));
        }
        let facts = facts(session, "--hostname=c --network=bridge");
        assert!(facts.text("/interfaces").contains("eth0"));
    });
}

/// Two containers of one network reach each other; hooks of the network have run.
#[convention("Two containers of one network reach each other.")]
fn bridge(case: &mut Case) {
    story(case, |session| {
        session
            .ask(&["network", "create", "--subnet", "10.99.0.0/24", "n"])
            .ok();
        start(
            session,
            "--name a --network n --ip 10.99.0.7",
            &["sleep", "1000"],
        );
        let answer = shell(
            session,
            "--network n --ip 10.99.0.9",
            "ping -c1 -W5 10.99.0.7 >/dev/null && echo reached; ip route | sort | head -1",
        );
        assert!(answer.starts_with("reached"), "{answer}");
        session.ask(&["rm", "-f", "-t0", "a"]).ok();
        session.ask(&["network", "rm", "n"]).ok();
    });
}

#[convention("--publish.")]
fn published_port(case: &mut Case) {
    story(case, |session| {
        let line = "mkdir /w; echo served > /w/index.html; httpd -f -p 80 -h /w";
        start(
            session,
            "--name a --network bridge -p 127.0.0.1:8099:80",
            &["sh", "-c", line],
        );
        let get =
            "exec 3<>/dev/tcp/127.0.0.1/8099; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -1 <&3";
        let fetch = || session.case.program("bash").args(["-c", get]).run();
        session
            .case
            .until("the server answers", || fetch().stdout == "served\n");
    });
}

#[convention("--network, --ipc and --pid of another container.")]
fn shared_with_a_container(case: &mut Case) {
    story(case, |session| {
        start(
            session,
            "--name a --hostname=c --network bridge --ipc shareable",
            &["sleep", "1000"],
        );
        let network = shell(
            session,
            "--network container:a --ipc container:a --pid container:a",
            "ls /sys/class/net; test $$ = 1; echo $?",
        );
        assert!(network.contains("eth0"), "{network}");
        let line = "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc";
        let mine = session.ask(&["exec", "a", "sh", "-c", line]).ok().stdout;
        let theirs = [
            "run",
            "--rm",
            "--network=container:a",
            "--ipc=container:a",
            "bb",
            "sh",
            "-c",
            line,
        ];
        assert_eq!(session.ask(&theirs).ok().stdout, mine);
    });
}

/// Containers of a pod share network, ipc and names, and a file system each.
#[convention("Containers of a pod share network, ipc and names.")]
fn pods(case: &mut Case) {
    story(case, |session| {
        session
            .ask(&["pod", "create", "--name", "p", "--hostname", "pod"])
            .ok();
        start(
            session,
            "--pod p --name a",
            &[
                "sh",
                "-c",
                "mkdir /w; echo answer > /w/index.html; httpd -f -p 7000 -h /w",
            ],
        );
        start(session, "--pod p --name b", &["sleep", "1000"]);
        session.case.until("the server listens", || {
            let line = ["exec", "b", "wget", "-q", "-O-", "http://127.0.0.1:7000/"];
            session.ask(&line).stdout == "answer\n"
        });
        session.tell(&["exec", "b", "hostname"]).ok();
        note_shared(session, "a", "b");
        session
            .tell(&["pod", "ps", "--format", "{{.Name}} {{.NumberOfContainers}}"])
            .ok();
        session.ask(&["pod", "pause", "p"]).ok();
        session.ask(&["pod", "unpause", "p"]).ok();
        session.ask(&["pod", "stop", "-t0", "p"]).ok();
        session.ask(&["pod", "start", "p"]).ok();
        session
            .tell(&["pod", "ps", "--format", "{{.Name}} {{.Status}}"])
            .ok();
    });
}

/// A shared pid namespace: the pause process is the first of all.
#[convention("Containers of a pod may share their processes.")]
fn pod_with_processes(case: &mut Case) {
    story(case, |session| {
        session
            .ask(&["pod", "create", "--name", "p", "--share", "net,pid"])
            .ok();
        start(session, "--pod p --name a", &["sleep", "1000"]);
        start(session, "--pod p --name b", &["sleep", "1001"]);
        session.tell(&["exec", "b", "cat", "/proc/1/comm"]).ok();
        let list = session.ask(&["exec", "b", "ps", "-o", "args"]).ok().stdout;
        assert!(
            list.contains("sleep 1000") && list.contains("sleep 1001"),
            "{list}"
        );
        note_shared(session, "a", "b");
        session.ask(&["stop", "-t0", "a"]).ok();
        let list = session.ask(&["exec", "b", "ps", "-o", "args"]).ok().stdout;
        assert!(
            !list.contains("sleep 1000") && list.contains("sleep 1001"),
            "{list}"
        );
    });
}

fn note_shared(session: &mut Session, one: &str, other: &str) {
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "uts"] {
        let file = format!("/proc/self/ns/{kind}");
        let [one, other] =
            [one, other].map(|name| session.ask(&["exec", name, "readlink", &file]).ok().stdout);
        session.note(kind, &format!("shared: {}", one == other));
    }
}
