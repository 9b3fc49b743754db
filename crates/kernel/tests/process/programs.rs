//! Running programs to their end, in all the ways they can misbehave.

use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use kernel::Errno;
use kernel::process::{self, ExitStatus};
use kernel::spawn::{Command, Finished, OUTPUT_LIMIT, run_command};
use kernel::{pidfd, signal};

use crate::{isolated, tests};

tests![
    a_program_gets_its_input_and_its_output_comes_back,
    output_and_errors_keep_their_order,
    a_stream_may_go_to_a_descriptor,
    arguments_environment_and_directory_are_exact,
    without_an_environment_ours_is_inherited,
    the_signal_that_ended_a_program_is_told,
    a_program_that_is_not_there,
    a_program_that_is_not_executable,
    a_directory_that_is_not_there,
    a_script_without_its_interpreter,
    a_nul_byte_is_refused,
    a_program_that_takes_too_long_is_killed_with_its_children,
    a_program_that_never_stops_writing_is_killed,
    a_program_that_never_reads_does_not_block,
    a_program_that_leaves_before_reading_does_not_hurt,
    a_large_input_arrives_whole,
    a_child_left_behind_is_not_waited_for,
    a_program_may_close_its_output,
    of_a_long_output_the_end_is_kept,
    nothing_but_three_descriptors_is_inherited,
    signals_are_at_their_defaults,
    it_works_without_descriptors_0_to_2,
    it_works_when_children_are_ignored,
];

fn shell(script: &str) -> Command<'static> {
    Command {
        path: "/bin/sh".to_owned(),
        args: ["sh", "-c", script].map(str::to_owned).to_vec(),
        ..Command::default()
    }
}

fn run(command: &Command<'_>) -> Finished {
    run_command(command).unwrap()
}

fn text(finished: &Finished) -> String {
    String::from_utf8_lossy(&finished.output).into_owned()
}

fn a_program_gets_its_input_and_its_output_comes_back() {
    let command = Command {
        stdin: br#"{"id":"x"}"#.to_vec(),
        ..shell("cat; exit 3")
    };
    let finished = run(&command);
    assert_eq!(finished.status, ExitStatus::Code(3));
    assert_eq!(text(&finished), r#"{"id":"x"}"#);
    assert!(!finished.timed_out);
}

fn output_and_errors_keep_their_order() {
    let finished = run(&shell("echo one; echo two >&2; echo three; cat"));
    assert_eq!(text(&finished), "one\ntwo\nthree\n");
}

fn a_stream_may_go_to_a_descriptor() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let command = Command {
        stdout: Some(file.as_fd()),
        ..shell("echo out; echo err >&2")
    };
    assert_eq!(text(&run(&command)), "err\n");
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "out\n");
}

fn arguments_environment_and_directory_are_exact() {
    let command = Command {
        path: "/bin/sh".to_owned(),
        args: [
            "other name",
            "-c",
            "echo \"$0:$1\"; env | sort; pwd",
            "zero",
            "one two",
        ]
        .map(str::to_owned)
        .to_vec(),
        env: Some(vec!["A=1".to_owned(), "PATH=/usr/bin:/bin".to_owned()]),
        cwd: Some("/usr".to_owned()),
        ..Command::default()
    };
    let output = text(&run(&command));
    assert!(output.starts_with("zero:one two\nA=1\n"), "{output}");
    assert!(
        output.ends_with("/usr\n") && !output.contains("CARGO"),
        "{output}"
    );
}

fn without_an_environment_ours_is_inherited() {
    let ours = std::env::vars().find(|(key, _)| key == "PATH").unwrap().1;
    assert_eq!(text(&run(&shell("echo $PATH"))), format!("{ours}\n"));
    let none = Command {
        path: "/usr/bin/env".to_owned(),
        args: vec!["env".to_owned()],
        env: Some(Vec::new()),
        ..Command::default()
    };
    assert_eq!(text(&run(&none)), "");
}

fn the_signal_that_ended_a_program_is_told() {
    let finished = run(&shell("kill -USR1 $$"));
    assert_eq!(finished.status, ExitStatus::Signal(libc::SIGUSR1));
}

fn a_program_that_is_not_there() {
    let command = Command {
        path: "/nonexistent/hook".to_owned(),
        args: vec!["hook".to_owned()],
        ..Command::default()
    };
    let error = run_command(&command).unwrap_err();
    let wanted = r#"execve("/nonexistent/hook", ["hook"]): no such file or directory"#;
    assert_eq!(error.to_string(), wanted);
}

fn a_program_that_is_not_executable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let command = Command {
        path,
        args: vec!["x".to_owned()],
        ..Command::default()
    };
    assert_eq!(run_command(&command).unwrap_err().errno(), Errno::ACCESS);
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = file.into_temp_path();
    std::fs::write(&path, "no program").unwrap();
    assert_eq!(run_command(&command).unwrap_err().errno(), Errno::NOEXEC);
    let directory = Command {
        path: "/usr".to_owned(),
        ..command
    };
    assert_eq!(run_command(&directory).unwrap_err().errno(), Errno::ACCESS);
}

fn a_directory_that_is_not_there() {
    let command = Command {
        cwd: Some("/nonexistent".to_owned()),
        ..shell("true")
    };
    let error = run_command(&command).unwrap_err();
    assert_eq!(
        error.to_string(),
        "chdir(\"/nonexistent\"): no such file or directory"
    );
}

fn a_script_without_its_interpreter() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&path, "#!/nonexistent/python\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let command = Command {
        path: path.to_str().unwrap().to_owned(),
        args: vec!["x".to_owned()],
        ..Command::default()
    };
    let error = run_command(&command).unwrap_err();
    assert_eq!(error.errno(), Errno::NOENT);
    assert!(
        error.to_string().ends_with("its interpreter does not"),
        "{error}"
    );
}

fn a_nul_byte_is_refused() {
    let error = run_command(&shell("echo a\0b")).unwrap_err();
    assert!(error.to_string().ends_with("holds a NUL byte"), "{error}");
}

/// Waits until a process that is not our child is gone or a zombie.
fn wait_gone(pid: i32) {
    if let Ok(process) = pidfd::open(pid) {
        let gone = pidfd::wait_exit(process.as_fd(), Some(Duration::from_secs(5))).unwrap();
        assert!(gone, "{pid} lives on");
    }
}

fn a_program_that_takes_too_long_is_killed_with_its_children() {
    let command = Command {
        timeout: Some(Duration::from_millis(200)),
        ..shell("sleep 100 & echo $!; sleep 100")
    };
    let begin = Instant::now();
    let finished = run(&command);
    let took = begin.elapsed();
    assert!(finished.timed_out);
    assert_eq!(finished.status, ExitStatus::Signal(libc::SIGKILL));
    assert!(
        took >= Duration::from_millis(200) && took < Duration::from_secs(5),
        "{took:?}"
    );
    wait_gone(text(&finished).trim().parse().unwrap());
}

fn a_program_that_never_stops_writing_is_killed() {
    let command = Command {
        timeout: Some(Duration::from_millis(200)),
        ..shell("exec yes")
    };
    let begin = Instant::now();
    let finished = run(&command);
    assert!(finished.timed_out && begin.elapsed() < Duration::from_secs(5));
    assert!(finished.output.len() <= OUTPUT_LIMIT);
}

fn a_program_that_never_reads_does_not_block() {
    let command = Command {
        stdin: vec![b'x'; 1 << 20],
        ..shell("sleep 0.2; echo done")
    };
    assert_eq!(text(&run(&command)), "done\n");
}

fn a_program_that_leaves_before_reading_does_not_hurt() {
    isolated(|| {
        // As a program starts that is not written in Rust.
        signal::reset_all().unwrap();
        let stdin = vec![b'x'; 1 << 20];
        let command = Command {
            stdin,
            ..shell("exec <&-; sleep 0.1; exit 9")
        };
        assert_eq!(run(&command).status, ExitStatus::Code(9));
    });
}

fn a_large_input_arrives_whole() {
    let command = Command {
        stdin: vec![b'x'; 1 << 20],
        ..shell("wc -c; echo end")
    };
    let output = text(&run(&command));
    assert_eq!(
        output.split_whitespace().collect::<Vec<_>>(),
        ["1048576", "end"]
    );
}

fn a_child_left_behind_is_not_waited_for() {
    let begin = Instant::now();
    let finished = run(&shell("sleep 30 & echo $!"));
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(finished.status, ExitStatus::Code(0));
    let left: i32 = text(&finished).trim().parse().unwrap();
    let process = pidfd::open(left).expect("it was not killed");
    pidfd::send_signal(process.as_fd(), libc::SIGKILL).unwrap();
    pidfd::wait_exit(process.as_fd(), None).unwrap();
}

fn a_program_may_close_its_output() {
    let finished = run(&shell("echo first; exec >&- 2>&-; sleep 0.1; exit 4"));
    assert_eq!(
        (finished.status, text(&finished).as_str()),
        (ExitStatus::Code(4), "first\n")
    );
}

fn of_a_long_output_the_end_is_kept() {
    let finished = run(&shell("head -c 1048576 /dev/zero; echo the end"));
    assert_eq!(finished.output.len(), OUTPUT_LIMIT);
    assert!(finished.output.ends_with(b"\0the end\n"));
}

fn nothing_but_three_descriptors_is_inherited() {
    let null = std::fs::File::open("/dev/null").unwrap();
    isolated(|| {
        for number in [50, 500] {
            process::duplicate_to(null.as_fd(), number, false).unwrap();
        }
        // The shell's own glob opens one more, which is its first free number.
        let listed = text(&run(&shell("echo /proc/self/fd/*")));
        assert_eq!(
            listed,
            "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n"
        );
    });
}

fn signals_are_at_their_defaults() {
    isolated(|| {
        // SAFETY: runs no code.
        unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
        let _old = signal::block_all().unwrap();
        let command = Command {
            path: "/bin/grep".to_owned(),
            args: ["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"]
                .map(str::to_owned)
                .to_vec(),
            ..Command::default()
        };
        let output = text(&run(&command));
        assert_eq!(
            output,
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
        );
    });
}

fn it_works_without_descriptors_0_to_2() {
    isolated(|| {
        let (probe, _) = kernel::system::pipe().unwrap();
        for number in 0..3 {
            drop(process::take_raw(number).unwrap());
        }
        let command = Command {
            stdin: b"in".to_vec(),
            ..shell("cat; echo err >&2")
        };
        let finished = run_command(&command);
        // An assertion could not be printed; the code tells.
        let _ = probe;
        assert!(finished.is_ok_and(|f| f.output == b"inerr\n"));
    });
}

fn it_works_when_children_are_ignored() {
    isolated(|| {
        // SAFETY: runs no code.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        assert_eq!(run(&shell("exit 6")).status, ExitStatus::Code(6));
    });
}
