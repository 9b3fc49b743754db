//! What goes in and comes out: exec, attach, logs and ports.

use std::fs;
use std::io::Read;
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{EXITED, Plugin, Pod, call, log, logs, refused, run_pod, start};
use crate::session::Session;

pub fn tell(session: &mut Session, _: &mut Plugin) {
    let ports = json!([{"protocol": 0, "container_port": 8080, "host_port": 8081}]);
    let pod = run_pod(session, "pod", json!({"port_mappings": ports}));
    let container = start(session, &pod, "main", json!({}));
    container.tell(session, "echo out; echo err >&2; exit 4");
    container.tell(session, "head -c 100000 /dev/zero | tr '\\0' x");
    let request = json!({"container_id": container.id, "cmd": ["nosuch"]});
    let reason = refused(session, "ExecSync", request);
    session.note(
        "no program",
        &reason.contains("not found in $PATH").to_string(),
    );
    let request = json!({"container_id": container.id, "cmd": ["sleep", "1000"], "timeout": 1});
    let reason = refused(session, "ExecSync", request);
    session.note("too long", &reason.contains("DeadlineExceeded").to_string());
    let count = "grep -l sleep /proc/[0-9]*/comm | wc -l";
    session.case.until("the exec was killed", || {
        container.exec(session, count)["stdout"]
            .as_str()
            .map(str::trim)
            == Some("1")
    });

    let line = "read line; echo got $line; echo err >&2; exit 5";
    let exec = json!({"container_id": container.id, "cmd": ["sh", "-c", line],
        "stdin": true, "stdout": true, "stderr": true});
    stream(session, "Exec", exec, &[], "words\n");
    let line = "until stty size 2> /dev/null | grep '^30 100'; do sleep 0.05; done; test -t 0 -a -t 1 && echo all; exit 6";
    let exec = json!({"container_id": container.id, "cmd": ["sh", "-c", line],
        "stdin": true, "stdout": true, "tty": true});
    stream(session, "Exec", exec, &["100x30"], "");

    tell_attach(session, &pod);
    tell_log(session, &pod);
    tell_ports(session, &pod);
}

/// Takes the address that the method answers and is its client.
#[track_caller]
fn stream(session: &mut Session, method: &str, request: Value, more: &[&str], input: &str) {
    let label = format!("{method} {}", request["cmd"]);
    let answer = call(session, method, request);
    let url = answer["url"].as_str().expect("an address");
    let program = session.command(&[&["stream", url], more].concat());
    let finished = program.input(input).run();
    let told = format!(
        "{:?} {} {}",
        finished.code(),
        finished.stdout,
        finished.stderr
    );
    session.note(&label, &told);
}

fn tell_attach(session: &mut Session, pod: &Pod) {
    let line = "read line; echo got $line; echo err >&2; sleep 1; exit 7";
    let config = json!({"command": ["sh", "-c", line], "stdin": true});
    let container = start(session, pod, "attached", config);
    let request =
        json!({"container_id": container.id, "stdin": true, "stdout": true, "stderr": true});
    stream(session, "Attach", request, &[], "words\n");
    let status = container.until_state(session, EXITED);
    session.note(
        "after attach",
        &format!("{} {}", status["exit_code"], container.log()),
    );
}

fn tell_log(session: &mut Session, pod: &Pod) {
    let line = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.05; done";
    let container = start(
        session,
        pod,
        "talker",
        json!({"command": ["sh", "-c", line]}),
    );
    let file = logs(session.case).join("pod/talker.log");
    let rotated = file.with_extension("old");
    session
        .case
        .until("it has talked", || log(&file).contains("line 3"));
    fs::rename(&file, &rotated).expect("rotate the log");
    call(session, "ReopenContainerLog", container.request());
    session
        .case
        .until("the new log has lines", || !log(&file).is_empty());
    let whole = log(&rotated) + &log(&file);
    for (number, line) in whole.lines().enumerate() {
        assert_eq!(line, format!("line {}", number + 1), "nothing is lost");
    }
    call(session, "StopContainer", container.request());
}

fn tell_ports(session: &mut Session, pod: &Pod) {
    let line = "while :; do echo hello | nc -l -p 8080; done";
    let server = start(
        session,
        pod,
        "server",
        json!({"command": ["sh", "-c", line]}),
    );
    let request = json!({"pod_sandbox_id": pod.id});
    let status = call(session, "PodSandboxStatus", request.clone());
    let address = status["status"]["network"]["ip"]
        .as_str()
        .expect("an address");
    for (what, address) in [
        ("the pod's", format!("{address}:8080")),
        ("the host's", "10.88.0.1:8081".to_owned()),
    ] {
        let mut said = String::new();
        session.case.until(&format!("{address} answers"), || {
            let stream = TcpStream::connect(&address);
            stream.is_ok_and(|mut stream| {
                stream.read_to_string(&mut said).is_ok() && !said.is_empty()
            })
        });
        session.note(what, &said);
    }
    let mut said = String::new();
    session.case.until("the forwarded port answers", || {
        let forward = with_port(&request);
        let answer = call(session, "PortForward", forward);
        let url = answer["url"].as_str().expect("an address");
        said = session.ask(&["forward", url, "8080"]).stdout;
        !said.is_empty()
    });
    session.note("forwarded", &said);
    call(session, "StopContainer", server.request());
}

fn with_port(request: &Value) -> Value {
    super::with(request.clone(), json!({"port": [8080]}))
}
