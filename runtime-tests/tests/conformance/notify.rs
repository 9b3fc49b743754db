//! `NOTIFY_SOCKET`: a service manager waits until the container is ready.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use runtime_tests::{Bundle, Case, Program, convention, skip};

const CHAPTER: &str = "Service managers";

/// The socket of a manager, and what came to it.
struct Manager(UnixDatagram, String);

impl Manager {
    fn new(case: &Case) -> Self {
        if case.version().starts_with("crun") {
            skip("it mounts the manager's own socket");
        }
        let path = case.directory.join("manager");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Self(socket, path.to_string_lossy().into_owned())
    }

    /// The messages up to `last`. A barrier is passed by reading it: its pipe is closed.
    fn hear(&self, pid: i32, last: &str) {
        let mut heard = String::new();
        while !heard.contains(last) {
            let mut buffer = [0; 1000];
            let length = self.0.recv(&mut buffer).unwrap();
            heard += &String::from_utf8_lossy(&buffer[..length]);
            heard.push('\n');
        }
        assert!(heard.starts_with("READY=1"), "{heard}");
        assert!(heard.contains(&format!("MAINPID={pid}\n")), "{heard}");
        assert!(!heard.contains("STATUS"), "{heard}");
    }

    fn told(&self, program: Program) -> Program {
        program.env("NOTIFY_SOCKET", &self.1)
    }
}

/// The last message of a runtime that leaves. runc 1.1 sends no barrier yet.
fn last(case: &Case) -> &'static str {
    if case.version().starts_with("runc version 1.1") {
        return "MAINPID";
    }
    "BARRIER=1"
}

/// Until then `state` may know no container, or one without a pid.
fn until_running(case: &Case, id: &str) {
    case.until("it runs", || {
        let state = case.runtime().args(["state", id]).run();
        state.stdout.contains("\"running\"")
    });
}

/// A user's program that says something else first.
fn bundle(case: &mut Case) -> Bundle {
    let mut bundle = case.bundle();
    bundle.config.set(
        "/process/user",
        serde_json::json!({"uid": 1000, "gid": 1000}),
    );
    let line = "probe notify STATUS=starts; probe notify READY=1; exec sleep 1000";
    bundle.config.shell(line);
    bundle.write();
    bundle
}

#[convention("`start` with NOTIFY_SOCKET returns when the program has said READY=1.")]
fn start(case: &mut Case) {
    let manager = Manager::new(case);
    let bundle = bundle(case);
    let id = case.id();
    manager
        .told(case.create_command(&bundle, &id, &[]))
        .run()
        .ok();
    let start = manager.told(case.runtime()).args(["start", &id]).spawn();
    manager.hear(case.pid(&id), last(case));
    start.finish().ok();
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

#[convention("`run --detach` with NOTIFY_SOCKET too.")]
fn run_detached(case: &mut Case) {
    let manager = Manager::new(case);
    let bundle = bundle(case);
    let id = case.id();
    let run = manager
        .told(case.run_command(&bundle, &id, &["--detach"]))
        .spawn();
    until_running(case, &id);
    manager.hear(case.pid(&id), last(case));
    run.finish().ok();
    case.destroy(&id);
}

#[convention("`run` passes the message on and stays.")]
fn run_in_the_foreground(case: &mut Case) {
    let manager = Manager::new(case);
    let bundle = bundle(case);
    let id = case.id();
    let run = manager.told(case.run_command(&bundle, &id, &[])).spawn();
    until_running(case, &id);
    // It ends when the program ends, so it is what the manager watches.
    manager.hear(run.pid(), "MAINPID");
    case.runtime().args(["kill", &id, "KILL"]).run().ok();
    run.finish().exits(137);
}

#[convention("`start` does not wait for the word of a program that has ended.")]
fn ends_without_a_word(case: &mut Case) {
    // Not so with runc 1.1.
    case.only_corten();
    let manager = Manager::new(case);
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    bundle.write();
    let id = case.id();
    manager
        .told(case.create_command(&bundle, &id, &[]))
        .run()
        .ok();
    let pid = case.pid(&id);
    manager.told(case.runtime()).args(["start", &id]).run().ok();
    case.wait(pid);
    case.delete(&id);
}
