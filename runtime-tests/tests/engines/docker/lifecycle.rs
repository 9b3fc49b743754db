//! The life of a container: from create to rm, as its events tell it.

use std::time::{SystemTime, UNIX_EPOCH};

use runtime_tests::{Case, convention};

use super::{inspect, run, start, story, until};

const CHAPTER: &str = "Docker: lifecycle";

#[convention("docker run: output on both streams, exit codes, --rm, logs.")]
fn runs(case: &mut Case) {
    story(case, |session, _| {
        let finished = run(session, "", "echo out; echo err >&2; exit 7").exits(7);
        assert_eq!(
            (finished.stdout.as_str(), finished.stderr.as_str()),
            ("out\n", "err\n")
        );
        session.tell(&["ps", "-aq"]).ok();
        let input = session.command(&super::run_command("-i", &["cat"]));
        let echoed = input.input("typed\n").run().ok();
        session.write_down(&echoed);
        start(session, "", "box", "echo out; echo err >&2; exit 3");
        session.tell(&["wait", "box"]).ok();
        let logs = session.tell(&["logs", "box"]).ok();
        assert_eq!(
            (logs.stdout.as_str(), logs.stderr.as_str()),
            ("out\n", "err\n")
        );
        until(session, "box", ".State.Status", "exited");
        session.note("code", &inspect(session, "box", ".State.ExitCode"));
    });
}

#[convention("create, start, stop, kill, restart, rm; and all of it in `docker events`.")]
fn life(case: &mut Case) {
    story(case, |session, _| {
        let line = "trap 'echo term; exit 3' TERM; echo started; while :; do sleep 0.1; done";
        session
            .ask(&[
                "create",
                "--name",
                "box",
                "--net=none",
                "bb",
                "sh",
                "-c",
                line,
            ])
            .ok();
        until(session, "box", ".State.Status", "created");
        session.tell(&["start", "box"]).ok();
        until_started(session, 1);
        session.tell(&["start", "box"]).ok();
        session.tell(&["rm", "box"]).exits(1);
        session.tell(&["stop", "box"]).ok();
        session.note("code", &inspect(session, "box", ".State.ExitCode"));
        session.tell(&["start", "box"]).ok();
        until_started(session, 2);
        session.tell(&["kill", "-s", "TERM", "box"]).ok();
        session.tell(&["wait", "box"]).ok();
        session.tell(&["kill", "box"]).exits(1);
        session.tell(&["start", "box"]).ok();
        until_started(session, 3);
        session.tell(&["restart", "box"]).ok();
        until_started(session, 4);
        session.tell(&["kill", "box"]).ok();
        session.tell(&["wait", "box"]).ok();
        session.tell(&["logs", "box"]).ok();
        session.tell(&["rename", "box", "other"]).ok();
        session.tell(&["rm", "other"]).ok();
        // Past the next second, or the last events would not be in yet.
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a time");
        let end = (now.as_secs() + 2).to_string();
        let format = "{{.Action}} {{.Actor.Attributes.exitCode}}";
        let events = session.ask(&[
            "events",
            "--since",
            "1h",
            "--until",
            &end,
            "--filter",
            "type=container",
            "--format",
            format,
        ]);
        session.note("events", &events.ok().stdout);
    });
}

/// Waits until the container has been started so many times and has set its trap.
#[track_caller]
fn until_started(session: &crate::session::Session, times: usize) {
    session
        .case
        .until("the container says that it has started", || {
            session
                .ask(&["logs", "box"])
                .ok()
                .stdout
                .matches("started")
                .count()
                == times
        });
}

#[convention("A health check runs in the container and is judged by its exit code.")]
fn health(case: &mut Case) {
    story(case, |session, _| {
        let words = |command: &str, name: &str| {
            start(
                session,
                &format!("--health-interval 200ms --health-retries 1 --health-cmd {command}"),
                name,
                "exec sleep 1000",
            )
        };
        words("true", "well");
        words("false", "ill");
        until(session, "well", ".State.Health.Status", "healthy");
        until(session, "ill", ".State.Health.Status", "unhealthy");
    });
}

#[convention("Restart policies: on failure so many times, and not after a stop.")]
fn restart_policies(case: &mut Case) {
    story(case, |session, _| {
        start(session, "--restart on-failure:2", "failing", "exit 4");
        start(session, "--restart on-failure:2", "good", "exit 0");
        start(session, "--restart always", "always", "exec sleep 1000");
        until(session, "failing", ".RestartCount", "2");
        until(session, "failing", ".State.Status", "exited");
        until(session, "good", ".State.Status", "exited");
        session.note("count", &inspect(session, "good", ".RestartCount"));
        let before = inspect(session, "always", ".State.Pid");
        let pid = before.parse().expect("a pid");
        crate::daemon::kill(pid, rustix::process::Signal::KILL);
        until(session, "always", ".RestartCount", "1");
        until(session, "always", ".State.Status", "running");
        session.tell(&["stop", "-t", "0", "always"]).ok();
        until(session, "always", ".State.Status", "exited");
    });
}

#[convention("docker build: every RUN is a container.")]
fn build(case: &mut Case) {
    story(case, |session, _| {
        let context = session.case.directory.join("context");
        std::fs::create_dir_all(&context).unwrap();
        let file = "FROM bb\nRUN echo made > /made\nUSER 1000\nWORKDIR /tmp\nRUN id > who && cat /made\nCMD cat /tmp/who /made\n";
        std::fs::write(context.join("Dockerfile"), file).unwrap();
        let context = context.to_string_lossy().into_owned();
        let parent = crate::session::cgroup_parent(session.case);
        session
            .ask(&[
                "build",
                "-q",
                "--cgroup-parent",
                &parent,
                "--network",
                "none",
                "-t",
                "built",
                &context,
            ])
            .ok();
        session.tell(&["run", "--rm", "--net=none", "built"]).ok();
    });
}
