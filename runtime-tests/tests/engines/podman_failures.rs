//! Exit codes and the words that engines look for in what a runtime says.

use std::fs;

use runtime_tests::{Case, convention};
use rustix::process::{Pid, Signal, kill_process};

use crate::podman::{inspect, run, start, story};

const CHAPTER: &str = "podman: failures";

/// 125: the engine's or the runtime's fault; 126: cannot be executed; 127: not there.
#[convention("125, 126 and 127 of run, and the words they come from.")]
fn exit_codes(case: &mut Case) {
    story(case, |session| {
        run(session, "", &["sh", "-c", "exit 42"]).exits(42);
        run(session, "", &["nosuch"])
            .exits(127)
            .says("executable file");
        run(session, "", &["/nosuch/at/all"])
            .exits(127)
            .says("no such file or directory");
        run(session, "", &["/etc/passwd"])
            .exits(126)
            .says("permission denied");
        run(session, "", &["/etc"]).exits(126);
        run(session, "--nosuch", &["true"]).exits(125);
        run(session, "--sysctl net.nosuch=1", &["true"]).exits(127);
        run(session, "--workdir /etc/passwd", &["true"]);
        run(session, "-v /nosuch:/mnt", &["true"]).exits(125);
        // All that is left of a failed container is a record, if anything.
        let left = session.tell(&["ps", "-a", "--format", "{{.State}}"]).ok();
        assert_eq!(left.stdout, "");
    });
}

#[convention("126 and 127 of exec, and the words they come from.")]
fn exit_codes_of_exec(case: &mut Case) {
    story(case, |session| {
        let id = start(session, "--name c", &["sleep", "1000"]);
        for (command, code) in [
            (&["sh", "-c", "exit 9"][..], 9),
            (&["nosuch"], 127),
            (&["/nosuch/at/all"], 127),
            (&["/etc/passwd"], 126),
            (&["sh", "-c", "kill -15 $$"], 143),
        ] {
            let line = [&["exec", "c"], command].concat();
            session.tell(&line).exits(code);
        }
        session.tell(&["exec", "--workdir", "/nosuch", "c", "true"]);
        session.tell(&["exec", "--user", "nosuch", "c", "true"]);
        session.tell(&["exec", "nosuch", "true"]).exits(125);
        session.ask(&["rm", "-f", "-t0", &id]).ok();
    });
}

/// Commands that the state of the container does not allow.
#[convention("Commands that the state of the container does not allow.")]
fn wrong_states(case: &mut Case) {
    story(case, |session| {
        session
            .ask(&["create", "--net=none", "--name", "c", "bb", "sleep", "1000"])
            .ok();
        for command in ["pause", "unpause", "kill", "exec", "stop"] {
            let more: &[&str] = if command == "exec" { &["true"] } else { &[] };
            session.tell(&[&[command, "c"], more].concat());
        }
        session.tell(&["start", "c"]).ok();
        session.tell(&["start", "c"]);
        session.tell(&["unpause", "c"]);
        session.tell(&["rm", "c"]);
        session.tell(&["pause", "c"]).ok();
        session.tell(&["pause", "c"]);
        session.tell(&["exec", "c", "true"]);
        // Some runtimes do not kill what is paused.
        session.ask(&["kill", "-s", "KILL", "c"]);
        session.ask(&["rm", "-f", "-t0", "c"]).ok();
    });
}

/// The monitor is killed while its container runs: the engine may have lost it, the
/// runtime has not.
#[convention(
    "When the monitor was killed, the runtime still lists, kills and deletes its container."
)]
fn killed_monitor(case: &mut Case) {
    story(case, |session| {
        let id = start(session, "--name c", &["sleep", "1000"]);
        let monitor: i32 = inspect(session, &id, "{{.State.ConmonPid}}")
            .parse()
            .unwrap();
        let pid = inspect(session, &id, "{{.State.Pid}}");
        kill_process(Pid::from_raw(monitor).unwrap(), Signal::KILL).unwrap();
        let path = session.runtime.path.clone();
        let runtime = |args: &[&str]| session.case.program(&path).args(args).run();
        let listed = runtime(&["list", "-q"]);
        assert_eq!(listed.ok().stdout.trim(), id);
        let state = runtime(&["state", &id]).ok().stdout;
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        assert_eq!(state["pid"].to_string(), pid);
        assert_eq!(state["status"], "running");
        runtime(&["kill", &id, "KILL"]).ok();
        session.case.until("init is gone", || {
            fs::read_to_string(format!("/proc/{pid}/stat"))
                .map_or(true, |stat| stat.contains(") Z"))
        });
        runtime(&["delete", "--force", &id]).ok();
        assert_eq!(runtime(&["list", "-q"]).ok().stdout, "");
        session.ask(&["rm", "-f", "-t0", "c"]);
    });
}
