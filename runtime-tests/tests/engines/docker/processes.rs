//! More processes in a container, and terminals.

use runtime_tests::{Case, Finished, convention};

use super::{start, story};
use crate::session::{PATIENCE, Session, cgroup_parent};

const CHAPTER: &str = "Docker: processes";

/// `docker exec` in the container `box`, with words of options.
fn exec(session: &mut Session, options: &str, command: &[&str]) -> Finished {
    let mut line = vec!["exec"];
    line.extend(options.split_whitespace());
    line.push("box");
    line.extend(command);
    session.tell(&line)
}

#[convention("docker exec: user, directory, environment, privileges, input, in the background.")]
fn execs(case: &mut Case) {
    story(case, |session, _| {
        let options = "--env FROM=config --user 1000 --security-opt no-new-privileges";
        start(session, options, "box", "exec sleep 1000");
        let status = "id; pwd; echo $FROM $MORE; cut -d: -f2 /proc/self/cgroup | sort; \
            grep -E '^(Cap|NoNew|Seccomp|Groups)' /proc/self/status";
        exec(session, "", &["sh", "-c", status]).ok();
        exec(
            session,
            "-u 0:10 -w /tmp -e MORE=exec",
            &["sh", "-c", status],
        )
        .ok();
        let line = "read line; echo got $line; cat | wc -c";
        let typed = session.command(&["exec", "-i", "box", "sh", "-c", line]);
        let answer = typed.input("line\nmore\n").run().ok();
        session.write_down(&answer);
        exec(session, "-d -u 0", &["touch", "/made"]).ok();
        session.case.until("the file is made", || {
            let test = ["exec", "box", "test", "-e", "/made"];
            session.ask(&test).code() == Some(0)
        });
    });
}

#[convention("docker exec: exit codes, and the words of a program that cannot be run.")]
fn exec_failures(case: &mut Case) {
    story(case, |session, _| {
        start(session, "", "box", "exec sleep 1000");
        exec(session, "", &["sh", "-c", "echo out; echo err >&2; exit 4"]).exits(4);
        exec(session, "", &["sh", "-c", "kill -9 $$"]).exits(137);
        exec(session, "-u unknown", &["true"]).exits(126);
        // The words are the runtime's, and Docker writes them to stdout.
        for (options, program, problem) in [
            ("", "nosuch", "executable file not found"),
            ("", "/etc/passwd", "permission denied"),
            ("-w /nowhere", "true", "no such file or directory"),
        ] {
            let line = ["exec"].into_iter().chain(options.split_whitespace());
            let line: Vec<&str> = line.chain(["box", program]).collect();
            let finished = session.ask(&line).exits(126);
            assert!(finished.stdout.contains(problem), "{}", finished.describe());
        }
    });
}

/// A line of shell in which `$D` is the client; its standard streams are a terminal of
/// 30 rows and 100 columns.
#[track_caller]
fn on_terminal(session: &mut Session, line: &str) -> Finished {
    let client = format!(
        "{} -H unix://{}",
        super::CLIENT,
        super::socket(session.case).display()
    );
    let run = format!(
        "--runtime corten --cgroup-parent {} --net none",
        cgroup_parent(session.case)
    );
    let script = format!("stty rows 30 cols 100; D='{client}'; R='{run}'; {line}");
    let program = session.case.program("script").limit(PATIENCE);
    let mut finished = program.args(["-qec", &script, "/dev/null"]).run();
    // The end of `script`'s own input, echoed at any time.
    finished.stdout = finished
        .stdout
        .replace("^@", "")
        .replace("^D\u{8}\u{8}", "");
    finished
}

const LOOK: &str = "tty; until stty size 2> /dev/null | grep ^30.100; do sleep 0.05; done; test -t 0 -a -t 1 -a -t 2 && echo all; \
    ls -l /dev/console | cut -c1-10; echo $TERM";

#[convention("run -t and exec -t: a terminal of the client's size that follows it.")]
fn terminal(case: &mut Case) {
    story(case, |session, _| {
        let finished = on_terminal(
            session,
            &format!("$D run --rm -t $R bb sh -c '{LOOK}; exit 6'"),
        )
        .exits(6);
        assert!(finished.stdout.contains("all"), "{}", finished.describe());
        session.note("run -t", &finished.stdout);
        start(session, "", "box", "exec sleep 1000");
        let finished =
            on_terminal(session, &format!("$D exec -t box sh -c '{LOOK}; exit 6'")).exits(6);
        assert!(finished.stdout.contains("all"), "{}", finished.describe());
        session.note("exec -t", &finished.stdout);
        // The client hears of the new size by a signal.
        let resized = "until stty size 2> /dev/null | grep ^30.100; do sleep 0.05; done; touch /ready; \
            until stty size 2> /dev/null | grep ^40.90; do sleep 0.05; done";
        let line = format!(
            "(until $D exec box test -e /ready; do sleep 0.1; done; stty rows 40 cols 90 < /dev/tty) & \
            $D exec -t box sh -c '{resized}'"
        );
        let finished = on_terminal(session, &line).ok();
        assert!(finished.stdout.contains("40 90"), "{}", finished.describe());
    });
}

/// dockerd closes the output of an attached client when that client's input ends: what
/// the container says later is lost, with every runtime (measured: 57 of 60 with runc
/// where it answers at once, 60 of 60 where it waits for 0.3 s). So the input stays
/// open here until the container has ended.
#[convention(
    "attach: what is typed reaches a container in the background, and its end comes back."
)]
fn attach(case: &mut Case) {
    story(case, |session, _| {
        start(session, "-i", "box", "read line; echo got $line; exit 5");
        let client = session.command(&[]).line().to_owned();
        let line = format!("(echo typed; code=$({client} wait box); true) | {client} attach box");
        let attached = session.case.program("sh").args(["-c", &line]);
        let attached = attached.limit(PATIENCE).run().exits(5);
        assert_eq!(attached.stdout, "got typed\n", "{}", attached.describe());
        session.note("attach", &attached.stdout);
        start(
            session,
            "-i -t",
            "other",
            "read line; echo got $line; exit 5",
        );
        let line = "(sleep 1; echo typed) | script -qec \"$D attach other\" /dev/null";
        let finished = on_terminal(session, line).exits(5);
        assert!(
            finished.stdout.contains("got typed"),
            "{}",
            finished.describe()
        );
    });
}
