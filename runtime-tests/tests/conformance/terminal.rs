//! Terminals and descriptors: `--console-socket`, the foreground terminal, `--preserve-fds`, `LISTEN_FDS`.

use std::fs;
use std::time::Duration;

use runtime_tests::{Bundle, Case, ConsoleSocket, Facts, Terminal, convention, may, must};
use serde_json::json;

const CHAPTER: &str = "config.md: Terminal and descriptors";

fn with_terminal(bundle: &mut Bundle) {
    bundle.config.set("/process/terminal", json!(true));
}

/// Creates with a console socket; the terminal comes during `create`.
fn create(case: &mut Case, bundle: &Bundle) -> (String, Terminal) {
    let socket = ConsoleSocket::listen(&case.directory);
    bundle.write();
    let id = case.id();
    case.create_command(
        bundle,
        &id,
        &["--console-socket", &socket.path.to_string_lossy()],
    )
    .run()
    .ok();
    let terminal = socket.receive();
    (id, terminal)
}

/// Starts, reads all that the terminal gives, and deletes.
fn output(case: &mut Case, bundle: &Bundle) -> String {
    let (id, terminal) = create(case, bundle);
    let pid = case.pid(&id);
    case.start(&id);
    let text = terminal.read_all().replace('\r', "");
    case.wait(pid);
    case.delete(&id);
    text
}

/// All three standard streams are the slave of the pty that was sent.
#[must("terminal (bool, OPTIONAL) specifies whether a terminal is attached to the process.")]
fn console_socket(case: &mut Case) {
    let mut bundle = case.bundle();
    with_terminal(&mut bundle);
    let facts = Facts::parse(&output(case, &bundle));
    for stream in ["stdin", "stdout", "stderr"] {
        assert_eq!(
            facts.at(&format!("/tty/{stream}")),
            &json!(true),
            "{stream}"
        );
    }
    let name = facts.text("/tty/name");
    assert!(
        name.starts_with("/dev/pts/") || name == "/dev/console",
        "{name}"
    );
    assert_eq!(facts.descriptors(), [0, 1, 2]);
}

#[convention("The master that `run --detach` sends works in both directions.")]
fn console_of_run_detach(case: &mut Case) {
    let mut bundle = case.bundle();
    with_terminal(&mut bundle);
    bundle
        .config
        .shell("read line; echo \"got $line\"; sleep 1000");
    let socket = ConsoleSocket::listen(&case.directory);
    bundle.write();
    let id = case.id();
    let options = [
        "--detach",
        "--console-socket",
        &socket.path.to_string_lossy(),
    ];
    case.run_command(&bundle, &id, &options).run().ok();
    let terminal = socket.receive();
    assert!(
        !terminal.label.is_empty() && terminal.label.len() < 4096,
        "{:?}",
        terminal.label
    );
    terminal.type_line("hello");
    let text = terminal.read_until(|text| text.contains("got hello"));
    assert!(text.contains("got hello"), "{text:?}");
    case.destroy(&id);
}

#[must("consoleSize (object, OPTIONAL) specifies the console size in characters of the terminal.")]
fn console_size(case: &mut Case) {
    let mut bundle = case.bundle();
    with_terminal(&mut bundle);
    bundle
        .config
        .set("/process/consoleSize", json!({"height": 33, "width": 111}));
    let facts = Facts::parse(&output(case, &bundle));
    assert_eq!(
        (facts.at("/tty/rows"), facts.at("/tty/columns")),
        (&json!(33), &json!(111))
    );
}

#[must("/dev/console is set up if terminal is enabled in the config.")]
fn console_device(case: &mut Case) {
    let mut bundle = case.bundle();
    with_terminal(&mut bundle);
    bundle
        .config
        .shell("echo written > /dev/console; test -c /dev/console && echo device");
    assert_eq!(output(case, &bundle), "written\ndevice\n");
}

#[convention("The terminal belongs to the program's user.")]
fn terminal_belongs_to_the_user(case: &mut Case) {
    let mut bundle = case.bundle();
    with_terminal(&mut bundle);
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle
        .config
        .shell("stat -c %u $(tty); echo again > $(tty)");
    assert_eq!(output(case, &bundle), "1000\nagain\n");
}

#[convention("`/dev/tty` works: the pty is the controlling terminal of the session.")]
fn controlling_terminal(case: &mut Case) {
    let mut bundle = case.bundle();
    with_terminal(&mut bundle);
    bundle.config.shell("echo through > /dev/tty");
    assert_eq!(output(case, &bundle), "through\n");
}

#[must(
    "terminal (bool, OPTIONAL) specifies whether a terminal is attached to the process, defaults to false."
)]
fn no_terminal_without_asking(case: &mut Case) {
    let bundle = case.bundle();
    bundle.write();
    let id = case.id();
    let line = format!(
        "{} --root {} run --bundle {} {id} </dev/null >{}/out",
        case.runtime_path(),
        case.state_root().display(),
        bundle.path.display(),
        case.directory.display(),
    );
    case.program("script")
        .args(["-qec", &line, "/dev/null"])
        .run()
        .ok();
    let facts = Facts::parse(&fs::read_to_string(case.directory.join("out")).unwrap());
    assert_eq!(facts.at("/tty/stdin"), &json!(false));
}

#[convention("The path of a console socket may be longer than `sockaddr_un` holds.")]
fn console_socket_path_may_be_long(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    with_terminal(&mut bundle);
    bundle.config.shell("echo long");
    let deep = case.directory.join("d".repeat(120));
    fs::create_dir(&deep).unwrap();
    // Bound by its short name, called by its long one.
    let socket = ConsoleSocket::listen(&case.directory);
    let long = deep.join("console.sock");
    fs::hard_link(&socket.path, &long).unwrap();
    bundle.write();
    let id = case.id();
    case.create_command(&bundle, &id, &["--console-socket", &long.to_string_lossy()])
        .run()
        .ok();
    let terminal = socket.receive();
    let pid = case.pid(&id);
    case.start(&id);
    assert!(terminal.read_all().contains("long"));
    case.wait(pid);
    case.delete(&id);
}

#[convention("`run` in a terminal: its own is passed on.")]
fn foreground_terminal(case: &mut Case) {
    let mut bundle = case.bundle();
    with_terminal(&mut bundle);
    bundle
        .config
        .shell("test -t 0 && test -t 1 && test -t 2 && echo terminal; exit 5");
    bundle.write();
    let id = case.id();
    let line = format!(
        "{} --root {} run --bundle {} {id}",
        case.runtime_path(),
        case.state_root().display(),
        bundle.path.display(),
    );
    let finished = case
        .program("script")
        .args(["-qec", &line, "/dev/null"])
        .run()
        .exits(5);
    // `script` types an end of file first, because its own input is empty.
    let text = finished.stdout.replace('\r', "");
    assert!(text.contains("terminal\n"), "{}", finished.describe());
}

/// Also for a shell that turns from lines to raw input meanwhile, and in the middle of a line.
#[convention("The end of the caller's input is that of the container's.")]
fn foreground_end_of_input(case: &mut Case) {
    case.only_corten();
    for (program, input) in [("sh", ""), ("sh", "echo typed\n"), ("cat", "no newline")] {
        let mut bundle = case.bundle();
        with_terminal(&mut bundle);
        bundle.config.args(&[program]);
        bundle.write();
        let id = case.id();
        let run = case.run_command(&bundle, &id, &[]).input(input);
        let finished = run.limit(Duration::from_secs(20)).run().ok();
        assert!(
            finished.stdout.contains(input.trim_end()),
            "{}",
            finished.describe()
        );
    }
}

#[convention(
    "A program may write more than a terminal holds before it reads what is more than a terminal holds."
)]
fn foreground_much_input(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    with_terminal(&mut bundle);
    bundle
        .config
        .shell("stty -echo; sleep 0.3; seq 1 50000; wc -l");
    bundle.write();
    let id = case.id();
    let run = case
        .run_command(&bundle, &id, &[])
        .input(&"line\n".repeat(50_000));
    let finished = run.limit(Duration::from_secs(20)).run().ok();
    let text = finished.stdout.replace('\r', "");
    assert!(text.ends_with("\n50000\n50000\n"), "{text:.200}");
}

/// The runtime under a shell that opens descriptors for it.
fn with_descriptors(
    case: &mut Case,
    bundle: &Bundle,
    options: &str,
    shell: &str,
) -> runtime_tests::Finished {
    bundle.write();
    let id = case.id();
    let line = format!(
        "exec {} --root {} run --bundle {} {options} {id} {shell}",
        case.runtime_path(),
        case.state_root().display(),
        bundle.path.display(),
    );
    case.program("bash").args(["-c", &line]).run()
}

/// `--preserve-fds N`: 3..3+N.
#[may(
    "The runtime MAY pass additional file descriptors to the application to support features such as socket activation."
)]
fn preserve_fds(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("cat <&3; cat <&4");
    let file = case.directory.join("file");
    fs::write(&file, "kept\n").unwrap();
    let file = file.display();
    let finished = with_descriptors(
        case,
        &bundle,
        "--preserve-fds 2",
        &format!("3<{file} 4<{file}"),
    )
    .ok();
    assert_eq!(finished.stdout, "kept\nkept\n");
}

/// None beyond the asked ones.
#[must(
    "By default, only the stdin, stdout and stderr file descriptors are kept open for the application by the runtime."
)]
fn preserve_fds_none_beyond(case: &mut Case) {
    let bundle = case.bundle();
    let finished = with_descriptors(
        case,
        &bundle,
        "--preserve-fds 1",
        "3</etc/passwd 4</etc/passwd 8</etc/passwd",
    )
    .ok();
    assert_eq!(Facts::parse(&finished.stdout).descriptors(), [0, 1, 2, 3]);
}

/// The descriptors and the variables, with the pid that the program has.
#[may(
    "The runtime MAY pass additional file descriptors to the application to support features such as socket activation."
)]
fn listen_fds(case: &mut Case) {
    let bundle = case.bundle();
    bundle.write();
    let id = case.id();
    let line = format!(
        "export LISTEN_FDS=2 LISTEN_PID=$$; exec {} --root {} run --bundle {} {id} 3</etc/passwd 4</etc/passwd 5</etc/passwd",
        case.runtime_path(),
        case.state_root().display(),
        bundle.path.display(),
    );
    let finished = case.program("bash").args(["-c", &line]).run().ok();
    let facts = Facts::parse(&finished.stdout);
    assert_eq!(facts.descriptors(), [0, 1, 2, 3, 4]);
    assert_eq!(
        (facts.env("LISTEN_FDS"), facts.env("LISTEN_PID")),
        (Some("2"), Some("1"))
    );
}

/// The runtime under a shell that is activated with three descriptors, one of them named.
fn activated(case: &Case, command: &str, id: &str) -> Facts {
    let line = format!(
        "export LISTEN_FDS=2 LISTEN_FDNAMES=web:log LISTEN_PID=$$; \
         exec {} --root {} {command} {id} 3</etc/passwd 4</etc/passwd 5</etc/passwd",
        case.runtime_path(),
        case.state_root().display(),
    );
    let finished = case.program("bash").args(["-c", &line]).run().ok();
    Facts::parse(&finished.stdout)
}

/// sd_listen_fds(3) takes none where the pid is another one.
#[convention("`LISTEN_PID` is the pid that the program has, also where that is not 1.")]
fn listen_fds_with_the_hosts_pids(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.without_namespace("pid");
    bundle.write();
    let id = case.id();
    let command = format!("run --bundle {}", bundle.path.display());
    let facts = activated(case, &command, &id);
    assert_eq!(facts.descriptors(), [0, 1, 2, 3, 4]);
    let pid = facts.at("/pid").to_string();
    assert_eq!(facts.env("LISTEN_PID"), Some(pid.as_str()));
    assert_eq!(facts.env("LISTEN_FDNAMES"), Some("web:log"));
}

#[convention("`exec` takes the descriptors of a service manager, as `run` does.")]
fn listen_fds_of_exec(case: &mut Case) {
    case.only_corten();
    for hosts_pids in [false, true] {
        let mut bundle = case.bundle();
        bundle.config.args(&["/bin/sleep", "1000"]);
        if hosts_pids {
            bundle.config.without_namespace("pid");
        }
        let id = case.launch(&bundle);
        let facts = activated(case, "exec", &format!("{id} /bin/probe facts"));
        assert_eq!(facts.descriptors(), [0, 1, 2, 3, 4]);
        let pid = facts.at("/pid").to_string();
        let variables = ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"];
        let found = variables.map(|name| facts.env(name).unwrap_or_default());
        assert_eq!(found, ["2", "web:log", &pid]);
        case.destroy(&id);
    }
}

#[convention("Descriptors that were meant for another process are not passed on.")]
fn listen_fds_of_somebody_else(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/sleep", "1000"]);
    let id = case.launch(&bundle);
    for (command, words) in [("exec", "/bin/probe facts"), ("run", "")] {
        let mut bundle = case.bundle();
        bundle.config.args(&["/bin/probe", "facts"]);
        bundle.write();
        let (options, id) = match command {
            "exec" => (String::new(), id.clone()),
            _ => (format!("--bundle {}", bundle.path.display()), case.id()),
        };
        let line = format!(
            "export LISTEN_FDS=2 LISTEN_PID=1; exec {} --root {} {command} {options} {id} {words} 3</etc/passwd",
            case.runtime_path(),
            case.state_root().display(),
        );
        let finished = case.program("bash").args(["-c", &line]).run().ok();
        let facts = Facts::parse(&finished.stdout);
        assert_eq!(facts.descriptors(), [0, 1, 2], "{command}");
        assert_eq!(facts.env("LISTEN_FDS"), None, "{command}");
    }
    case.destroy(&id);
}

/// podman's `--preserve-fd 5` counts up to 5 and leaves the others closed.
#[convention(
    "`--preserve-fds` counts numbers, whether they are open or not, for `run` and `exec`."
)]
fn preserve_fds_with_holes(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    let open = "5</etc/passwd 7</etc/passwd";
    let options = "--preserve-fds 3";
    let finished = with_descriptors(case, &bundle, options, open).ok();
    assert_eq!(Facts::parse(&finished.stdout).descriptors(), [0, 1, 2, 5]);
    bundle.config.args(&["/bin/sleep", "1000"]);
    let id = case.launch(&bundle);
    let line = format!(
        "exec {} --root {} exec {options} {id} /bin/probe facts {open}",
        case.runtime_path(),
        case.state_root().display(),
    );
    let finished = case.program("bash").args(["-c", &line]).run().ok();
    assert_eq!(Facts::parse(&finished.stdout).descriptors(), [0, 1, 2, 5]);
    case.destroy(&id);
}

#[convention(
    "A caller may have closed the standard descriptors: nothing else takes their numbers."
)]
fn standard_descriptors_closed(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle
        .config
        .shell("echo to nowhere; ls -l /proc/self/fd > /fds; exit 6");
    with_descriptors(case, &bundle, "", "<&- >&- 2>&-").exits(6);
    let text = fs::read_to_string(bundle.rootfs().join("fds")).unwrap();
    assert!(
        !text.contains("state") && !text.contains("socket"),
        "{text}"
    );
}

#[convention("Programs of users open `/dev/stdout`, which needs the pipe to be theirs.")]
fn stdout_can_be_reopened_by_a_user(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    bundle.config.shell("echo reopened > /dev/stdout");
    let finished = with_descriptors(case, &bundle, "", "| cat; exit ${PIPESTATUS[0]}").ok();
    assert_eq!(finished.stdout, "reopened\n");
}

#[must("Runtimes MUST ignore consoleSize if terminal is false or unset.")]
fn console_size_without_a_terminal(case: &mut Case) {
    let mut bundle = case.bundle();
    let size = json!({"height": 33, "width": 111});
    bundle.config.set("/process/consoleSize", size);
    assert_eq!(case.facts(&bundle).at("/tty/stdin"), &json!(false));
}
