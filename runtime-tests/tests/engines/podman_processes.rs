//! More processes in a container, terminals, descriptors and notifications.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use runtime_tests::{Case, Finished, convention};

use crate::facts::write_down;
use crate::podman::{inspect, start, story};
use crate::session::{PATIENCE, Session, cgroup_parent};

const CHAPTER: &str = "podman: processes";

#[convention("exec with --env, --user, --workdir and --privileged.")]
fn exec(case: &mut Case) {
    story(case, |session| {
        start(session, "--name c -e A=container", &["sleep", "1000"]);
        let line = "echo out; echo err >&2; echo $A $B; pwd; id; exit 4";
        for options in [
            &["-e", "B=exec"][..],
            &["-e", "A=exec"],
            &["--user", "user"],
            &["--user", "5:6", "--workdir", "/tmp"],
            &["--privileged"],
        ] {
            let line = [&["exec"], options, &["c", "sh", "-c", line]].concat();
            let finished = session.tell(&line).exits(4);
            assert_eq!(finished.stderr, "err\n");
        }
    });
}

/// All that a further process sees: filter, capabilities, limits are the container's.
#[convention("A further process has filter, capabilities and limits of the container.")]
fn exec_facts(case: &mut Case) {
    story(case, |session| {
        for options in [
            "",
            "--privileged",
            "--user 1000 --cap-drop ALL --read-only",
            "--uidmap 0:100000:5000",
        ] {
            let options = format!("--hostname=c {options}");
            let id = start(session, &options, &["sleep", "1000"]);
            for more in [&[][..], &["--user", "1000"], &["--privileged"]] {
                let line = [&["exec"], more, &[&id, "probe", "facts"]].concat();
                let mut finished = session.ask(&line);
                finished.line = finished.line.replace(&id, "c");
                write_down(session, finished, &["pgid", "sid"]);
            }
            // podman may still be cleaning up behind the sessions.
            session.case.until("it is removed", || {
                session.ask(&["rm", "-f", "-t0", &id]).status.success()
            });
        }
    });
}

#[convention("exec -d.")]
fn exec_detached(case: &mut Case) {
    story(case, |session| {
        start(session, "--name c", &["sleep", "1000"]);
        session
            .ask(&["exec", "-d", "c", "sh", "-c", "echo done > /tmp/x"])
            .ok();
        session.case.until("it has run", || {
            session.ask(&["exec", "c", "cat", "/tmp/x"]).stdout == "done\n"
        });
    });
}

#[convention("exec -i.")]
fn exec_with_input(case: &mut Case) {
    story(case, |session| {
        start(session, "--name c", &["sleep", "1000"]);
        let answer = session
            .command(&["exec", "-i", "c", "rev"])
            .input("abc\n")
            .run()
            .ok();
        session.write_down(&answer);
    });
}

/// A line of shell in which `$P` is the engine and `$G` what `run` needs for cgroups.
fn shell_line(session: &Session, line: &str) -> String {
    let engine = session.command(&[]);
    let parent = cgroup_parent(session.case);
    format!("G=--cgroup-parent={parent}; P='{}'; {line}", engine.line())
}

/// Runs a line of shell whose standard streams are a terminal of 30 rows and 100
/// columns.
#[track_caller]
fn on_terminal(session: &Session, line: &str) -> Finished {
    let script = format!("stty rows 30 cols 100; {}", shell_line(session, line));
    let program = session.case.program("script").limit(PATIENCE);
    let mut finished = program.args(["-qec", &script, "/dev/null"]).run();
    // The end of `script`'s own input, echoed at any time.
    finished.stdout = finished.stdout.replace("^@", "").replace("^D", "");
    finished
}

/// Writes down what a line has to say that must be on a terminal with all its streams.
#[track_caller]
fn note_terminal(session: &mut Session, line: &str) {
    let finished = on_terminal(session, line).exits(6);
    assert!(
        finished.stdout.contains("pts") && finished.stdout.contains("all"),
        "{}",
        finished.describe()
    );
    session.note("terminal", &finished.stdout);
}

#[convention("run -it.")]
fn terminal(case: &mut Case) {
    story(case, |session| {
        let line = "$P run $G --rm -it --net=none bb sh -c 'tty; until stty size 2>/dev/null | grep -q ^30.100; do sleep 0.05; done; test -t 0 -a -t 1 -a -t 2 && echo all; ls -l /dev/console | cut -c1-10; echo $TERM; exit 6'";
        note_terminal(session, line);
    });
}

#[convention("exec -it.")]
fn terminal_of_exec(case: &mut Case) {
    story(case, |session| {
        start(session, "--name c", &["sleep", "1000"]);
        let line = "$P exec -it c sh -c 'tty; until stty size 2>/dev/null | grep -q ^30.100; do sleep 0.05; done; test -t 0 -a -t 1 -a -t 2 && echo all; exit 6'";
        note_terminal(session, line);
    });
}

/// The size follows that of the engine's terminal, for both kinds of processes. The
/// engine listens some time after it has begun, so it changes more than once.
#[convention("The size of terminals follows the engine's.")]
fn resize(case: &mut Case) {
    let shared = case.directory.join("shared");
    fs::create_dir(&shared).unwrap();
    let volume = shared.to_string_lossy().into_owned();
    story(case, |session| {
        start(
            session,
            &format!("--name c -v {volume}:/s"),
            &["sleep", "1000"],
        );
        let run = format!("run $G --rm -it --net=none -v {volume}:/s bb");
        for verb in [run.as_str(), "exec -it c"] {
            let _ = fs::remove_file(shared.join("done"));
            let outside = format!(
                "until test -e {volume}/done; do stty -F $T rows 9 cols 9; sleep 0.1; \
                 stty -F $T rows 41 cols 121; sleep 0.3; done"
            );
            let inside =
                "until test \"$(stty size)\" = \"41 121\"; do sleep 0.05; done; touch /s/done";
            let line = format!(
                "T=$(tty); ({outside}) & $P {verb} sh -c '{inside}'; touch {volume}/done; wait"
            );
            on_terminal(session, &line).ok();
        }
    });
}

#[convention("--preserve-fds of run and exec.")]
fn preserved_descriptors(case: &mut Case) {
    for name in ["three", "four"] {
        fs::write(case.directory.join(name), format!("{name}\n")).unwrap();
    }
    story(case, |session| {
        let three = session.case.directory.join("three");
        let four = session.case.directory.join("four");
        let open = format!("exec 3<{} 4<{}; ", three.display(), four.display());
        start(session, "--name c", &["sleep", "1000"]);
        for verb in [
            "run $G --rm --net=none --preserve-fds 2 bb",
            "exec --preserve-fds 2 c",
        ] {
            let line = format!("{open}$P {verb} sh -c 'cat <&3; cat <&4; ls /proc/self/fd'");
            let line = shell_line(session, &line);
            let finished = session
                .case
                .program("sh")
                .args(["-c", &line])
                .limit(PATIENCE)
                .run();
            assert!(
                finished.stdout.starts_with("three\nfour\n"),
                "{}",
                finished.describe()
            );
            session.note(verb, &finished.stdout);
        }
    });
}

/// What the service manager is told, by the monitor and by the container.
#[convention("--sdnotify: what the service manager is told.")]
fn notification(case: &mut Case) {
    story(case, |session| {
        for mode in ["conmon", "container", "ignore"] {
            let path = session.case.directory.join("notify");
            let _ = fs::remove_file(&path);
            let socket = UnixDatagram::bind(&path).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(1)))
                .unwrap();
            let option = format!("--sdnotify={mode}");
            let line = [
                "run",
                "-d",
                "--net=none",
                &option,
                "--name=c",
                "bb",
                "sh",
                "-c",
                "echo ${NOTIFY_SOCKET:+told}; sleep 1000",
            ];
            let program = session
                .command(&line)
                .env("NOTIFY_SOCKET", &path.to_string_lossy());
            let id = if mode == "container" {
                // The engine waits for a word of the container, which says none.
                String::new()
            } else {
                program.run().ok().stdout.trim().to_owned()
            };
            let mut words = Vec::new();
            let mut text = [0; 512];
            while let Ok(length) = socket.recv(&mut text) {
                let message = String::from_utf8_lossy(&text[..length]).into_owned();
                let names = message.lines().filter_map(|line| line.split_once('='));
                words.extend(names.map(|(name, _)| name.to_owned()));
            }
            session.note(mode, &words.join(" "));
            if !id.is_empty() {
                session.tell(&["logs", "c"]);
                session.note(
                    "pid",
                    &(inspect(session, &id, "{{.State.Pid}}") != "0").to_string(),
                );
                session.ask(&["rm", "-f", "-t0", &id]).ok();
            }
        }
    });
}

#[convention("cp into and out of a running container.")]
fn copy(case: &mut Case) {
    let file = case.directory.join("file");
    fs::write(&file, "copied\n").unwrap();
    story(case, |session| {
        let file = file.to_string_lossy().into_owned();
        start(session, "--name c", &["sleep", "1000"]);
        session.ask(&["cp", &file, "c:/tmp/file"]).ok();
        session.tell(&["exec", "c", "cat", "/tmp/file"]).ok();
        let back = format!("{file}.back");
        session.ask(&["cp", "c:/tmp/file", &back]).ok();
        assert_eq!(fs::read_to_string(back).unwrap(), "copied\n");
    });
}
