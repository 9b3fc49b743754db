//! Exit codes of commands that fail, and engines that die.

use runtime_tests::{Case, convention, process_is_alive};
use rustix::process::Signal;

use super::{inspect, run_command, start, story, story_with, until};
use crate::daemon::{kill, shims};

const CHAPTER: &str = "Docker: failures";

#[convention("125: Docker's or the runtime's failure; 126: not executable; 127: not found.")]
fn exit_codes(case: &mut Case) {
    story(case, |session, _| {
        session
            .tell(&run_command("", &["nosuch"]))
            .exits(127)
            .says("executable file not found in $PATH");
        session
            .tell(&run_command("", &["/no/such"]))
            .exits(127)
            .says("no such file or directory");
        session
            .tell(&run_command("", &["/etc/passwd"]))
            .exits(126)
            .says("permission denied");
        session.tell(&run_command("", &["/etc"])).exits(126);
        // Judged by Docker's reading of the whole message, its own words included.
        for options in [
            "--workdir /etc/passwd",
            "--sysctl kernel.nosuch=1",
            "--device /dev/nosuch",
            "-m 1",
            "-v /etc/passwd:/tmp",
        ] {
            session.tell(&run_command(options, &["true"])).fails();
        }
        session.tell(&["ps", "-aq"]).ok();
    });
}

#[convention("dockerd killed: its containers are ended by the next one and can be started again.")]
fn dockerd_is_killed(case: &mut Case) {
    story(case, |session, daemons| {
        start(session, "", "box", "exec sleep 1000");
        let pid = inspect(session, "box", ".State.Pid")
            .parse()
            .expect("a pid");
        daemons.crash_dockerd(session);
        until(session, "box", ".State.Status", "exited");
        assert!(!process_is_alive(pid));
        session.tell(&["start", "box"]).ok();
        until(session, "box", ".State.Status", "running");
        session.tell(&["rm", "-f", "box"]).ok();
    });
}

#[convention("dockerd --live-restore killed: its containers stay, and the next one has them.")]
fn live_restore(case: &mut Case) {
    story_with(case, &["--live-restore"], |session, daemons| {
        start(
            session,
            "",
            "box",
            "trap 'exit 5' TERM; while :; do sleep 0.1; done",
        );
        let pid = inspect(session, "box", ".State.Pid");
        daemons.crash_dockerd(session);
        until(session, "box", ".State.Status", "running");
        assert_eq!(inspect(session, "box", ".State.Pid"), pid);
        session.tell(&["exec", "box", "echo", "still"]).ok();
        daemons.containerd.crash();
        daemons.containerd.restart(session.case);
        session.case.until("dockerd finds containerd", || {
            session.ask(&["exec", "box", "true"]).code() == Some(0)
        });
        session.tell(&["stop", "box"]).ok();
        session.note("code", &inspect(session, "box", ".State.ExitCode"));
    });
}

#[convention("The shim killed: the container is ended, and can be started again.")]
fn shim_is_killed(case: &mut Case) {
    story(case, |session, _| {
        let id = start(session, "", "box", "exec sleep 1000");
        let pid = inspect(session, "box", ".State.Pid")
            .parse()
            .expect("a pid");
        let shims = shims(&[&id]);
        assert_eq!(shims.len(), 1, "{shims:?}");
        kill(shims[0], Signal::KILL);
        until(session, "box", ".State.Status", "exited");
        session.case.until_ended(pid);
        session.tell(&["start", "box"]).ok();
        until(session, "box", ".State.Status", "running");
    });
}
