//! How engines call a runtime: files, streams, lists, logs, signals, and what they read back.

use std::fs;

use runtime_tests::{Case, convention, must};
use serde_json::{Value, json};

const CHAPTER: &str = "Command line";

#[convention(
    "The pid file of `create` holds decimal digits without a newline: engines parse the whole file."
)]
fn pid_file(case: &mut Case) {
    let bundle = case.bundle();
    bundle.write();
    let path = case.directory.join("pid");
    let id = case.id();
    case.create_command(&bundle, &id, &["--pid-file", &path.to_string_lossy()])
        .run()
        .ok();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        case.pid(&id).to_string()
    );
    let others = fs::read_dir(&case.directory).unwrap().flatten();
    assert_eq!(
        others
            .filter(|entry| entry.file_name().to_string_lossy().contains("pid"))
            .count(),
        1
    );
    case.destroy(&id);
}

#[convention(
    "The pid file of `run` holds decimal digits without a newline: engines parse the whole file."
)]
fn pid_file_of_run(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    bundle.write();
    let path = case.directory.join("pid");
    fs::write(&path, "an older and longer text\n").unwrap();
    let id = case.id();
    case.run_command(
        &bundle,
        &id,
        &["--detach", "--pid-file", &path.to_string_lossy()],
    )
    .run()
    .ok();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        case.pid(&id).to_string()
    );
    case.destroy(&id);
}

#[convention("`run` ends with the exit code of the program.")]
fn run_exit_codes(case: &mut Case) {
    for code in [0, 1, 42, 255] {
        let mut bundle = case.bundle();
        bundle
            .config
            .args(&["/bin/probe", "fail", &code.to_string()]);
        case.run(&bundle).exits(code);
    }
}

#[convention("`run` ends with 128+n when signal n ended the program.")]
fn run_death_by_signal(case: &mut Case) {
    for (signal, code) in [("KILL", 137), ("TERM", 143)] {
        let mut bundle = case.bundle();
        // Pid 1 of a namespace ignores what it has no handler for, if it comes from inside.
        bundle
            .config
            .without_namespace("pid")
            .shell(&format!("kill -{signal} $$; sleep 1000"));
        case.run(&bundle).exits(code);
    }
}

#[convention("`run` deletes the container at its end, and the cgroup with it.")]
fn run_leaves_nothing(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    bundle.write();
    let id = case.id();
    case.run_command(&bundle, &id, &[]).run().ok();
    case.runtime().args(["state", &id]).run().fails();
}

#[convention("`run --keep` leaves the container to be deleted.")]
fn run_keep(case: &mut Case) {
    if case
        .runtime()
        .args(["run", "--help"])
        .run()
        .stdout
        .contains("--keep")
    {
        let mut bundle = case.bundle();
        bundle.config.args(&["/bin/probe", "fail", "3"]);
        bundle.write();
        let id = case.id();
        case.run_command(&bundle, &id, &["--keep"]).run().exits(3);
        assert_eq!(case.status(&id), "stopped");
        case.delete(&id);
    } else {
        runtime_tests::skip("this runtime has no --keep");
    }
}

#[convention("`run --detach` returns when the program runs.")]
fn run_detach(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    bundle.write();
    let id = case.id();
    case.run_command(&bundle, &id, &["--detach"]).run().ok();
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

/// They are the caller's.
#[must(
    "By default, only the stdin, stdout and stderr file descriptors are kept open for the application by the runtime."
)]
fn stdin_is_inherited(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/probe", "input"]);
    bundle.write();
    let id = case.id();
    let text = "line\n".repeat(30_000);
    let finished = case.run_command(&bundle, &id, &[]).input(&text).run().ok();
    assert_eq!(finished.stdout.len(), text.len());
}

#[convention("stdout and stderr of the container stay two streams.")]
fn stdout_and_stderr_are_apart(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("echo out; echo err >&2");
    let finished = case.run(&bundle).ok();
    assert_eq!(
        (finished.stdout.as_str(), finished.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[convention("What the container says goes where `create` was told, not where `start` was.")]
fn stdout_of_create_is_the_containers(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("echo said; cat; exec >&-");
    bundle.write();
    let id = case.id();
    let out = case.directory.join("said");
    let line = format!(
        "echo typed > {0}.in; exec {1} --root {2} create --bundle {3} {id} < {0}.in > {0}",
        out.display(),
        case.runtime_path(),
        case.state_root().display(),
        bundle.path.display(),
    );
    case.program("sh").args(["-c", &line]).run().ok();
    let pid = case.pid(&id);
    let finished = case.runtime().args(["start", &id]).run().ok();
    assert_eq!(finished.stdout, "");
    case.wait(pid);
    assert_eq!(fs::read_to_string(&out).unwrap(), "said\ntyped\n");
    case.delete(&id);
}

#[convention("Without `--bundle` the current directory is the bundle.")]
fn bundle_is_the_working_directory(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["cat", "/etc/marker"]);
    bundle.write();
    let id = case.id();
    let finished = case
        .runtime()
        .args(["run", &id])
        .directory(&bundle.path)
        .run()
        .ok();
    assert_eq!(finished.stdout, "of the root\n");
}

#[must("bundle (string, REQUIRED) is the absolute path to the container's bundle directory.")]
fn bundle_path_is_made_absolute(case: &mut Case) {
    let bundle = case.bundle();
    bundle.write();
    let id = case.id();
    let create = case
        .runtime()
        .args(["create", "--bundle", "./bundle0", &id]);
    create.directory(&case.directory).run().ok();
    assert_eq!(case.state(&id)["bundle"], json!(bundle.path));
    case.destroy(&id);
}

#[convention("`list --format json` is an array of states.")]
fn list_json(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    let one = case.create(&bundle);
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    let two = case.launch(&bundle);
    for form in [&["--format=json"][..], &["-f", "json"]] {
        let finished = case.runtime().args(["list"]).args(form).run().ok();
        let list: Value = serde_json::from_str(&finished.stdout).unwrap();
        let list = list.as_array().unwrap();
        let status = |id: &str| {
            list.iter()
                .find(|one| one["id"] == id)
                .map(|one| one["status"].clone())
        };
        assert_eq!(
            (list.len(), status(&one), status(&two)),
            (2, Some(json!("created")), Some(json!("running")))
        );
    }
    case.destroy(&one);
    case.destroy(&two);
}

#[convention("`list --format json` of nothing is an empty array (or the null of old).")]
fn list_empty(case: &mut Case) {
    let finished = case.runtime().args(["list", "--format", "json"]).run().ok();
    let list: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert!(list.is_null() || list == json!([]), "{list}");
    if case.is_corten() {
        assert_eq!(list, json!([]));
    }
}

#[convention("`list` is a table for people, `list --quiet` the ids alone.")]
fn list_table_and_quiet(case: &mut Case) {
    let bundle = case.bundle();
    let id = case.create(&bundle);
    let table = case.runtime().args(["list"]).run().ok().stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    for word in ["PID", "STATUS", "BUNDLE", "CREATED", "OWNER"] {
        assert!(lines[0].contains(word), "{table}");
    }
    assert!(
        lines[1].starts_with(&id) && lines[1].contains("created"),
        "{table}"
    );
    assert_eq!(
        case.runtime().args(["list", "-q"]).run().ok().stdout,
        format!("{id}\n")
    );
    case.destroy(&id);
}

/// The word "version" appears only once.
#[convention("`--version` is `NAME version X.Y.Z`, then `commit: ` or `spec: ` lines.")]
fn version(case: &mut Case) {
    for flag in ["--version", "-v"] {
        let output = case
            .program(case.runtime_path())
            .args([flag])
            .run()
            .ok()
            .stdout;
        let first = output.lines().next().unwrap();
        let words: Vec<&str> = first.split(' ').collect();
        assert_eq!(words[1], "version", "{output}");
        assert!(
            words[2].starts_with(|letter: char| letter.is_ascii_digit()),
            "{output}"
        );
        assert!(
            output.lines().any(|line| line.starts_with("spec: 1.")),
            "{output}"
        );
        assert!(
            !output.lines().skip(1).any(|line| line.contains("version")),
            "{output}"
        );
    }
}

#[convention("Engines read `level`, `msg` and `time` of exactly one JSON object per failure.")]
fn log_json_is_one_line(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["no-such-program"]);
    bundle.write();
    let log = case.directory.join("log.json");
    let path = bundle.path.to_string_lossy().into_owned();
    let id = case.id();
    let globals = ["--log", &log.to_string_lossy(), "--log-format", "json"].map(str::to_owned);
    for _ in 0..2 {
        let finished = case
            .runtime()
            .args(&globals)
            .args(["create", "--bundle", &path, &id])
            .run()
            .exits(1);
        assert_eq!(
            finished.stderr.lines().count(),
            1,
            "{}",
            finished.describe()
        );
        assert!(
            !finished.stderr.contains("level"),
            "{}",
            finished.describe()
        );
    }
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 2, "appended, one line each: {text}");
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert_eq!(entry["level"], json!("error"));
        assert!(
            entry["msg"].as_str().unwrap().contains("no-such-program"),
            "{entry}"
        );
        let time = entry["time"].as_str().unwrap();
        assert!(time.len() >= 20 && time.contains('T'), "RFC 3339: {time}");
    }
}

#[convention("`--log-format text` has `time`, `level` and `msg` as words.")]
fn log_text(case: &mut Case) {
    let log = case.directory.join("log");
    let path = log.to_string_lossy().into_owned();
    case.runtime()
        .args(["--log", &path, "state", "no-such"])
        .run()
        .fails();
    let text = fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("level=error")
            && text.contains("does not exist")
            && text.lines().count() == 1,
        "{text}"
    );
    case.runtime()
        .args(["--log", &path, "--log-format", "bogus", "state", "x"])
        .run()
        .fails();
}

#[convention("Nothing is printed on success: engines parse stdout and stderr together.")]
fn success_is_silent(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    bundle.write();
    let id = case.id();
    let silent = |finished: runtime_tests::Finished| {
        let finished = finished.ok();
        assert_eq!(
            (finished.stdout.as_str(), finished.stderr.as_str()),
            ("", ""),
            "{}",
            finished.line
        );
    };
    silent(case.create_command(&bundle, &id, &[]).run());
    silent(case.runtime().args(["start", &id]).run());
    let pid = case.pid(&id);
    silent(case.runtime().args(["kill", &id, "KILL"]).run());
    case.wait(pid);
    silent(case.runtime().args(["delete", &id]).run());
}

#[convention("A signal to the foreground runtime is one to the container.")]
fn signals_of_the_foreground_runtime_are_forwarded(case: &mut Case) {
    for (signal, code) in [("TERM", 21), ("INT", 22), ("HUP", 23), ("USR1", 24)] {
        let mut bundle = case.bundle();
        let line = "trap 'exit 21' TERM; trap 'exit 22' INT; trap 'exit 23' HUP; trap 'exit 24' USR1; \
            echo ready; while :; do sleep 0.1; done";
        bundle.config.shell(line);
        bundle.write();
        let id = case.id();
        let running = case.run_command(&bundle, &id, &[]).spawn();
        case.until("the traps are set", || running.output().contains("ready"));
        let pid = running.pid().to_string();
        case.program("kill")
            .args([&format!("-{signal}"), &pid])
            .run()
            .ok();
        running.finish().exits(code);
    }
}

#[convention("An id has letters, digits and `_+-.`.")]
fn ids_of_every_form(case: &mut Case) {
    for extra in ["_under", "+plus", ".dot", "-dash", "UPPER", "0"] {
        let mut bundle = case.bundle();
        bundle.config.args(&["echo", "ran"]);
        bundle.write();
        let id = format!("{}{extra}", case.token());
        let run = case.run_command(&bundle, &id, &[]).run().ok();
        assert_eq!(run.stdout, "ran\n", "{id}");
    }
}

#[convention("Engines call with hardly any environment, and with an empty XDG_RUNTIME_DIR.")]
fn environment_without_path_or_home(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["cat", "/etc/marker"]);
    bundle.write();
    let id = case.id();
    let root = case.state_root().display().to_string();
    let path = bundle.path.display().to_string();
    let env = case
        .program("env")
        .args(["-i", "XDG_RUNTIME_DIR=", case.runtime_path()]);
    let finished = env
        .args(["--root", &root, "run", "--bundle", &path, &id])
        .run()
        .ok();
    assert_eq!(finished.stdout, "of the root\n");
}
