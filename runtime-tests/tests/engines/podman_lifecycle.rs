//! The life of a container: run, stop, kill, pause, restart, and what is told of it.

use runtime_tests::{Case, convention};

use crate::podman::{inspect, run, start, story};

const CHAPTER: &str = "podman: lifecycle";

/// Output on both streams, and the exit code.
#[convention("Output on both streams, and the exit code.")]
fn streams(case: &mut Case) {
    story(case, |session| {
        let finished = run(session, "", &["sh", "-c", "echo out; echo err >&2; exit 7"]);
        let finished = finished.exits(7);
        assert_eq!(finished.stdout, "out\n");
        assert_eq!(finished.stderr, "err\n");
        run(
            session,
            "",
            &[
                "sh",
                "-c",
                "dd if=/dev/zero bs=1k count=300 2>/dev/null | tr '\\0' x",
            ],
        )
        .ok();
    });
}

#[convention("run -i.")]
fn input(case: &mut Case) {
    story(case, |session| {
        let line = ["run", "--rm", "-i", "--net=none", "bb", "tr", "a-z", "A-Z"];
        let answer = session.command(&line).input("some words").run().ok();
        session.write_down(&answer);
        assert_eq!(answer.stdout, "SOME WORDS");
    });
}

#[convention("run -d, wait, logs, ps and rm.")]
fn detached(case: &mut Case) {
    story(case, |session| {
        let id = start(
            session,
            "--name c",
            &["sh", "-c", "echo logged; sleep 0.1; exit 5"],
        );
        let code = session.tell(&["wait", "c"]).ok().stdout;
        assert_eq!(code, "5\n");
        session.tell(&["logs", "c"]).ok();
        session
            .tell(&["ps", "-a", "--format", "{{.Names}} {{.ExitCode}}"])
            .ok();
        session.note(
            "state",
            &inspect(
                session,
                &id,
                "{{.State.Status}} {{.State.Pid}} {{.State.Error}}",
            ),
        );
        session.tell(&["rm", "c"]).ok();
    });
}

#[convention("create, init and start --attach.")]
fn create_and_start(case: &mut Case) {
    story(case, |session| {
        session
            .ask(&[
                "create",
                "--net=none",
                "--name",
                "c",
                "bb",
                "sh",
                "-c",
                "echo hi; exit 3",
            ])
            .ok();
        session.note("state", &inspect(session, "c", "{{.State.Status}}"));
        session.tell(&["start", "--attach", "c"]).exits(3);
        session.ask(&["init", "c"]).ok();
        session.note("state", &inspect(session, "c", "{{.State.Status}}"));
        session.tell(&["start", "--attach", "c"]).exits(3);
    });
}

/// SIGTERM first, then SIGKILL.
#[convention("stop sends the stop signal, and SIGKILL later.")]
fn stop(case: &mut Case) {
    story(case, |session| {
        let ready = "echo ready; while :; do sleep 0.05; done";
        for (options, script, code) in [
            ("", format!("trap 'exit 3' TERM; {ready}"), "3"),
            (
                "--stop-signal USR1",
                format!("trap 'exit 4' USR1; {ready}"),
                "4",
            ),
            (
                "--stop-signal RTMIN+2",
                format!("trap 'exit 5' 36; {ready}"),
                "5",
            ),
            ("", format!("trap '' TERM; {ready}"), "137"),
        ] {
            let id = start(session, options, &["sh", "-c", &script]);
            session.case.until("it is ready", || {
                session.ask(&["logs", &id]).stdout == "ready\n"
            });
            let time = if code == "137" { "1" } else { "20" };
            session.ask(&["stop", "-t", time, &id]).ok();
            let found = inspect(session, &id, "{{.State.ExitCode}}");
            assert_eq!(found, code, "{options}");
            session.note("exit code", &found);
        }
    });
}

#[convention("kill -s, real-time signals too.")]
fn signals(case: &mut Case) {
    story(case, |session| {
        let script =
            "trap 'echo usr1' USR1; trap 'echo rt' 35; echo ready; while :; do sleep 0.05; done";
        start(session, "--name c", &["sh", "-c", script]);
        let logged = |wanted: &str| {
            session.case.until(wanted, || {
                session.ask(&["logs", "c"]).stdout.ends_with(wanted)
            });
        };
        logged("ready\n");
        session.ask(&["kill", "-s", "USR1", "c"]).ok();
        logged("usr1\n");
        session.ask(&["kill", "-s", "SIGRTMIN+1", "c"]).ok();
        logged("rt\n");
        session.ask(&["kill", "-s", "12345", "c"]).fails();
        session.ask(&["kill", "c"]).ok();
        session.tell(&["wait", "c"]).ok();
    });
}

#[convention("pause and unpause.")]
fn pause(case: &mut Case) {
    story(case, |session| {
        let id = start(session, "--name c", &["sleep", "1000"]);
        session.tell(&["pause", "c"]).ok();
        session.note(
            "paused",
            &inspect(session, "c", "{{.State.Status}} {{.State.Paused}}"),
        );
        session.note_cgroup_files(&id, &["freezer.state", "cgroup.freeze"]);
        session
            .tell(&["ps", "--filter", "status=paused", "--format", "{{.Names}}"])
            .ok();
        session.tell(&["unpause", "c"]).ok();
        session.note("state", &inspect(session, "c", "{{.State.Status}}"));
        session.tell(&["exec", "c", "echo", "alive"]).ok();
        session.tell(&["pause", "c"]).ok();
        session.ask(&["rm", "-f", "-t0", "c"]).ok();
    });
}

#[convention("restart, and --restart of what has failed.")]
fn restart(case: &mut Case) {
    story(case, |session| {
        let id = start(
            session,
            "--name c",
            &[
                "sh",
                "-c",
                "touch /seen; ls / | grep -c seen; trap 'exit 0' TERM; while :; do sleep 0.05; done",
            ],
        );
        let first = inspect(session, &id, "{{.State.Pid}}");
        session.ask(&["restart", "-t", "20", "c"]).ok();
        assert_ne!(inspect(session, &id, "{{.State.Pid}}"), first);
        session.case.until("it has run twice", || {
            session.ask(&["logs", "c"]).stdout == "1\n1\n"
        });
        // The engine starts a container that failed again, as often as it was told to.
        let again = [
            "run",
            "-d",
            "--name",
            "r",
            "--net=none",
            "--restart",
            "on-failure:2",
            "bb",
            "sh",
            "-c",
            "exit 3",
        ];
        session.ask(&again).ok();
        session.case.until("it has failed three times", || {
            inspect(session, "r", "{{.State.Status}} {{.RestartCount}}") == "exited 2"
        });
    });
}

/// What the engine tells of the runtime it used.
#[convention("inspect and info name the runtime and the state.")]
fn inspection(case: &mut Case) {
    story(case, |session| {
        let id = start(session, "--name c", &["sleep", "1000"]);
        let runtime = inspect(session, &id, "{{.OCIRuntime}}");
        assert_eq!(runtime, session.runtime.name);
        let pid: i32 = inspect(session, &id, "{{.State.Pid}}").parse().unwrap();
        assert!(runtime_tests::process_is_alive(pid));
        for property in [
            "{{.State.Status}} {{.State.Running}} {{.State.OciVersion}} {{.State.ExitCode}}",
            "{{.ProcessLabel}} {{.MountLabel}} {{.AppArmorProfile}}",
            "{{.EffectiveCaps}}",
            "{{json .HostConfig.Ulimits}}",
        ] {
            session.note(property, &inspect(session, &id, property));
        }
        let info = session.ask(&[
            "info",
            "--format",
            "{{.Host.OCIRuntime.Path}} {{.Host.OCIRuntime.Version}}",
        ]);
        let info = info.ok().stdout;
        assert!(info.starts_with(&session.runtime.path), "{info}");
    });
}

#[convention("top sees the processes.")]
fn top(case: &mut Case) {
    story(case, |session| {
        start(session, "--name c --user 1000", &["sleep", "1000"]);
        session.ask(&["exec", "-d", "c", "sleep", "1001"]).ok();
        session
            .tell(&[
                "top", "c", "pid", "ppid", "comm", "args", "capeff", "seccomp", "user",
            ])
            .ok();
        let table = session.ask(&["top", "c", "-o", "args"]);
        session.note("table", &table.stdout);
    });
}

/// Checks by hand: there is no systemd here that would do them in time.
#[convention("healthcheck run.")]
fn health(case: &mut Case) {
    story(case, |session| {
        let line = [
            "run",
            "-d",
            "--name",
            "c",
            "--net=none",
            "--health-interval",
            "disable",
            "--health-retries",
            "1",
            "--health-cmd",
            "test -e /tmp/well",
            "bb",
            "sleep",
            "1000",
        ];
        session.ask(&line).ok();
        session.tell(&["healthcheck", "run", "c"]).exits(1);
        session.ask(&["exec", "c", "touch", "/tmp/well"]).ok();
        session.tell(&["healthcheck", "run", "c"]).ok();
        session.note("health", &inspect(session, "c", "{{.State.Health.Status}}"));
        session.ask(&["rm", "-f", "-t0", "c"]).ok();
    });
}

#[convention("ps, its filters, diff and rename.")]
fn listing(case: &mut Case) {
    story(case, |session| {
        for name in ["a", "b", "c"] {
            start(
                session,
                &format!("--name {name} --label x={name}"),
                &["sleep", "1000"],
            );
        }
        session.ask(&["stop", "-t0", "b"]).ok();
        let format = "{{.Names}} {{.ExitCode}} {{.Labels}}";
        session
            .tell(&["ps", "-a", "--sort", "names", "--format", format])
            .ok();
        session
            .tell(&["ps", "--filter", "label=x=c", "--format", format])
            .ok();
        session.tell(&["diff", "a"]).ok();
        session.tell(&["rename", "a", "z"]).ok();
        session.tell(&["exec", "z", "echo", "renamed"]).ok();
    });
}

#[convention("kill --all, wait for all, rm --all.")]
fn kill_all_at_once(case: &mut Case) {
    story(case, |session| {
        for name in ["a", "b", "c", "d"] {
            start(session, &format!("--name {name}"), &["sleep", "1000"]);
        }
        session.ask(&["kill", "-a", "-s", "KILL"]).ok();
        session.tell(&["wait", "a", "b", "c", "d"]).ok();
        let removed = session.ask(&["rm", "-a"]).ok().stdout;
        session.note("removed", &removed.lines().count().to_string());
    });
}
