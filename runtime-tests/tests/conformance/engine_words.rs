//! What engines look for in the words of a runtime: each needle, who looks for it, and
//! where. An engine that does not find it takes one kind of failure for another.

use std::fs;

use runtime_tests::{Case, ConsoleSocket, Finished, convention, skip};
use serde_json::{Value, json};

const CHAPTER: &str = "Words that engines look for";

/// A failing command with `--log` in JSON, and what is in the log afterwards.
fn logged(case: &Case, words: &[&str]) -> (Finished, String) {
    let log = case.directory.join("oci-log");
    let _ = fs::remove_file(&log);
    let path = log.to_string_lossy();
    let globals = ["--log-format=json", "--log", &path];
    let finished = case.runtime().args(globals).args(words).run().fails();
    (finished, fs::read_to_string(&log).unwrap_or_default())
}

/// podman: `json.Unmarshal` of the whole file; containerd: a stream of objects, the last
/// one of level `error`, `time` a `time.Time`.
#[track_caller]
fn message_of(log: &str) -> String {
    let entry: Value = serde_json::from_str(log).unwrap_or_else(|e| panic!("{e}: {log:?}"));
    assert_eq!(entry["level"], "error", "{log}");
    let time = entry["time"].as_str().unwrap();
    // RFC 3339: 2026-11-23T15:41:48Z, with a fraction or an offset.
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert!(shape.starts_with("0000-00-00T00:00:00"), "{time}");
    assert!(
        time.ends_with('Z') || time.contains('+') || shape.rfind('-') > Some(10),
        "{time}"
    );
    entry["msg"].as_str().unwrap().to_owned()
}

#[track_caller]
fn says(case: &Case, words: &[&str], needle: &str) {
    let (finished, log) = logged(case, words);
    let message = message_of(&log);
    for text in [&message, &finished.stderr] {
        let found = text.to_lowercase().contains(&needle.to_lowercase());
        assert!(found, "{needle:?} in {text:?}");
    }
    if case.is_corten() {
        assert_eq!(
            finished.stderr.lines().count(),
            1,
            "{}",
            finished.describe()
        );
    }
}

#[convention("containerd: `does not exist` is a container that is gone, for every command.")]
fn does_not_exist(case: &mut Case) {
    case.only_corten();
    let commands = [
        "state", "start", "kill", "delete", "ps", "pause", "resume", "events", "update",
    ];
    for command in commands {
        says(case, &[command, "none"], "does not exist");
    }
    says(case, &["exec", "none", "true"], "does not exist");
}

/// containerd's `checkKillError`, CRI-O's `runtimeCmd`.
#[convention("containerd, CRI-O: `container not running` is a process that has ended.")]
fn container_not_running(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    case.start(&id);
    case.wait(pid);
    for words in [
        &["kill", &id, "15"][..],
        &["pause", &id],
        &["update", "--pids-limit", "5", &id],
    ] {
        says(case, words, "container not running");
    }
    // A pid namespace that is shared: the shim kills what may be left.
    case.runtime().args(["kill", "--all", &id, "9"]).run().ok();
    case.delete(&id);
}

/// podman's `getOCIRuntimeError`, moby's `daemon/errors.go`.
#[convention("podman, Docker: 127 for what is not there, 126 for what cannot be executed.")]
fn programs_that_cannot_run(case: &mut Case) {
    case.works();
    let table = [
        (
            "none",
            &["executable file not found in", "no such file or directory"][..],
        ),
        ("/none", &["no such file or directory"]),
        (
            "/etc/passwd",
            &["permission denied", "operation not permitted"],
        ),
        (
            "/etc",
            &[
                "permission denied",
                "operation not permitted",
                "is a directory",
            ],
        ),
    ];
    for (program, needles) in table {
        let mut bundle = case.bundle();
        bundle.config.args(&[program]);
        bundle.write();
        let id = case.id();
        let path = bundle.path.to_string_lossy();
        let (finished, log) = logged(case, &["create", "--bundle", &path, &id]);
        let message = message_of(&log).to_lowercase();
        let found = |text: &str| needles.iter().any(|needle| text.contains(needle));
        assert!(found(&message), "{program}: {message}");
        assert!(
            found(&finished.stderr.to_lowercase()),
            "{}",
            finished.describe()
        );
        // What engines do next, whatever happened.
        case.runtime().args(["delete", "--force", &id]).run().ok();
    }
}

#[convention("podman: a refusal by the kernel is one of permission, 126.")]
fn operation_not_permitted(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    // Not to be raised without CAP_SYS_RESOURCE.
    bundle.config.set(
        "/process/rlimits",
        json!([{"type": "RLIMIT_NOFILE", "soft": 1u64 << 40, "hard": 1u64 << 40}]),
    );
    bundle.write();
    let id = case.id();
    let path = bundle.path.to_string_lossy();
    says(
        case,
        &["create", "--bundle", &path, &id],
        "operation not permitted",
    );
}

/// podman decodes the whole file as one object.
#[convention("A failure after warnings is one line all the same.")]
fn one_line_after_warnings(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.args(&["/none"]);
    bundle.config.push(
        "/mounts",
        json!({"destination": "relative", "type": "tmpfs", "source": "tmpfs"}),
    );
    bundle
        .config
        .push("/process/capabilities/bounding", json!("CAP_OF_THE_FUTURE"));
    bundle.write();
    let id = case.id();
    let path = bundle.path.to_string_lossy().into_owned();
    says(
        case,
        &["create", "--bundle", &path, &id],
        "no such file or directory",
    );
    // Without the failure the warnings are there.
    bundle.config.args(&["/bin/true"]);
    bundle.write();
    let log = case.directory.join("warnings");
    let globals = ["--log-format=json", "--log", &log.to_string_lossy()];
    let create = case.runtime().args(globals);
    create.args(["create", "--bundle", &path, &id]).run().ok();
    let text = fs::read_to_string(log).unwrap();
    assert!(text.lines().count() >= 2, "{text}");
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert_eq!(entry["level"], "warning", "{line}");
    }
    case.destroy(&id);
}

/// conmon reads 8191 bytes of stderr, once.
#[convention("A failure is short, and one line, whatever a configuration holds.")]
fn short_whatever_it_is_about(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle
        .config
        .args(&[&format!("/{}\n\"quoted\"\u{1b}[31m", "x".repeat(3000))]);
    bundle.write();
    let id = case.id();
    let path = bundle.path.to_string_lossy();
    let (finished, log) = logged(case, &["create", "--bundle", &path, &id]);
    message_of(&log);
    assert_eq!(
        finished.stderr.lines().count(),
        1,
        "{}",
        finished.describe()
    );
    assert!(finished.stderr.len() < 8191, "{}", finished.stderr.len());
    assert!(
        !finished.stderr.contains('\u{1b}'),
        "{}",
        finished.describe()
    );
}

#[convention("The text log is that of logrus: words, with the message quoted.")]
fn text_log(case: &mut Case) {
    case.only_corten();
    let log = case.directory.join("text");
    let globals = ["--log", &log.to_string_lossy()];
    case.runtime()
        .args(globals)
        .args(["state", "none"])
        .run()
        .fails();
    let text = fs::read_to_string(log).unwrap();
    let rest = text.strip_prefix("time=\"").unwrap();
    let (_, rest) = rest.split_once('"').unwrap();
    let wanted = " level=error msg=\"state none: container \\\"none\\\" does not exist\"\n";
    assert_eq!(rest, wanted);
}

/// Skips unless the command has the option.
fn needs_pidfd_socket(case: &Case) {
    let help = case.runtime().args(["create", "--help"]).run().stdout;
    if !help.contains("--pidfd-socket") {
        skip("this runtime has no --pidfd-socket");
    }
}

/// The process behind a pidfd that was received, and the label it came with.
fn received(socket: &ConsoleSocket) -> (i32, String) {
    use std::os::fd::AsRawFd;
    let message = socket.receive();
    let info = format!("/proc/self/fdinfo/{}", message.master.as_raw_fd());
    let info = fs::read_to_string(info).unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    (pid.expect("a pidfd").trim().parse().unwrap(), message.label)
}

#[convention("`--pidfd-socket` receives one pidfd of init, during `create` and `run`.")]
fn pidfd_of_init(case: &mut Case) {
    needs_pidfd_socket(case);
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/sleep", "1000"]);
    bundle.write();
    let socket = ConsoleSocket::listen(&case.directory);
    let option = ["--pidfd-socket", &socket.path.to_string_lossy()].map(str::to_owned);
    let option = option.each_ref().map(String::as_str);
    let id = case.id();
    case.create_command(&bundle, &id, &option).run().ok();
    assert_eq!(received(&socket), (case.pid(&id), "standard".to_owned()));
    case.destroy(&id);
    let id = case.id();
    let options = [&["--detach"][..], &option].concat();
    case.run_command(&bundle, &id, &options).run().ok();
    assert_eq!(received(&socket), (case.pid(&id), "standard".to_owned()));
    case.destroy(&id);
}

#[convention("`--pidfd-socket` of `exec` receives one pidfd of its process.")]
fn pidfd_of_exec(case: &mut Case) {
    needs_pidfd_socket(case);
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/sleep", "1000"]);
    let id = case.launch(&bundle);
    let socket = ConsoleSocket::listen(&case.directory);
    let pid_file = case.directory.join("exec.pid");
    let options = [
        "--detach",
        "--pidfd-socket",
        &socket.path.to_string_lossy(),
        "--pid-file",
        &pid_file.to_string_lossy(),
    ];
    let exec = case.runtime().args(["exec"]).args(options);
    exec.args([&id, "/bin/sleep", "1000"]).run().ok();
    let pid: i32 = fs::read_to_string(pid_file).unwrap().parse().unwrap();
    assert_eq!(received(&socket), (pid, "setns".to_owned()));
    case.program("kill")
        .args(["-KILL", &pid.to_string()])
        .run()
        .ok();
    case.wait(pid);
    case.destroy(&id);
}

#[convention("A pidfd socket that nobody listens on fails `create`, and nothing is left.")]
fn pidfd_socket_that_is_none(case: &mut Case) {
    needs_pidfd_socket(case);
    case.works();
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/sleep", "1000"]);
    bundle.write();
    let id = case.id();
    let create = case.create_command(&bundle, &id, &["--pidfd-socket", "/none/socket"]);
    create.run().fails();
    assert!(!case.state_root().join(&id).exists());
}

#[convention("`list` below a root that is not there fails; one that is empty is a list.")]
fn list_below_a_missing_root(case: &mut Case) {
    case.only_corten();
    let missing = case
        .directory
        .join("missing")
        .to_string_lossy()
        .into_owned();
    let list = case.program(case.runtime_path());
    let list = list.args(["--root", &missing, "list"]).run();
    list.exits(1).says("no such file or directory");
    for top in ["/", "", "//", "/.", "/tmp/.."] {
        let list = case.program(case.runtime_path());
        list.args(["--root", top, "list"])
            .run()
            .exits(1)
            .says("--root");
    }
    let list = case.program(case.runtime_path()).directory("/".as_ref());
    list.args(["--root", ".", "list"])
        .run()
        .exits(1)
        .says("--root");
    let list = case.runtime().args(["list", "--format=json"]).run().ok();
    assert_eq!(list.stdout, "[]\n");
}
