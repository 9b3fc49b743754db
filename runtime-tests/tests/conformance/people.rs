//! Commands for people, which other runtimes do not have: `stats`, `doctor`, `logs`,
//! `completion`, `help errors`, and `spec` with options.

use std::fs;
use std::process::Command;

use runtime_tests::{Case, convention};
use serde_json::Value;

use crate::cgroups::{has_v1, has_v2};

const CHAPTER: &str = "for people";

/// Whether this view has a controller.
fn counts(case: &Case, controller: &str) -> bool {
    has_v2(controller) || !case.view.is_unified() && has_v1(controller)
}

#[convention("`stats` shows what a container uses and its limits, once or as JSON.")]
fn stats_of_a_container(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.shell("while :; do :; done");
    if counts(case, "pids") {
        let pointer = "/linux/resources/pids/limit";
        bundle.config.set(pointer, serde_json::json!(17));
    }
    bundle.write();
    let id = case.launch(&bundle);
    let table = case
        .runtime()
        .args(["stats", "--no-stream", &id])
        .run()
        .ok();
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", table.describe());
    assert!(
        lines[0].starts_with("ID ") && lines[1].starts_with(&id),
        "{lines:?}"
    );
    assert!(!table.stdout.contains('\x1b'), "no colour in a pipe");
    let json = case
        .runtime()
        .args(["stats", "--no-stream", "--format", "json"])
        .run()
        .ok();
    let rows: Value = serde_json::from_str(&json.stdout).expect("one line of JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    assert_eq!(rows[0]["id"], id.as_str());
    if counts(case, "cpuacct") || counts(case, "cpu") {
        let busy = rows[0]["cpuPercent"].as_f64().expect("processor time");
        assert!((1.0..150.0).contains(&busy), "one busy process: {busy} %");
    }
    if !rows[0]["pids"].is_null() {
        assert_eq!(
            (&rows[0]["pids"], &rows[0]["pidsLimit"]),
            (&1.into(), &17.into())
        );
    }
    let percent = &rows[0]["memoryPercent"];
    if let (Some(used), Some(limit)) = (
        rows[0]["memoryBytes"].as_f64(),
        rows[0]["memoryLimitBytes"].as_f64(),
    ) {
        let wanted = used * 100.0 / limit;
        assert!(
            (percent.as_f64().expect("percent") - wanted).abs() < 0.01,
            "{rows}"
        );
    }
    case.destroy(&id);
}

#[convention("`stats` goes on until the containers that were named have ended.")]
fn stats_end_with_the_container(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    bundle.write();
    let id = case.launch(&bundle);
    let running = case.runtime().args(["stats", &id]).spawn();
    case.until("two tables", || {
        running.output().matches("PIDS").count() >= 2
    });
    case.kill(&id);
    running.finish().ok();
    case.runtime()
        .args(["stats", &id])
        .run()
        .exits(1)
        .says("is not running");
    case.delete(&id);
    case.runtime()
        .args(["stats", "none"])
        .run()
        .exits(1)
        .says("does not exist");
}

#[convention("`spec` with options is a container that runs as they say.")]
fn a_container_without_json(case: &mut Case) {
    case.only_corten();
    let bundle = case.bundle();
    fs::remove_file(bundle.path.join("config.json")).ok();
    let path = bundle.path.to_string_lossy();
    let options = [
        "spec",
        "--bundle",
        &path,
        "--env",
        "WORD=hello",
        "--user",
        "7:8",
        "--cap-drop",
        "ALL",
        "--mount",
        "/proc/self:/host:ro",
        "--hostname",
        "mine",
        "--cwd",
        "/bin",
        "--mount",
        "tmpfs:/scratch:size=64k,mode=1777",
        "--args",
        "sh",
        "-c",
        "echo $WORD; id -u; id -g; hostname; pwd; grep ^CapEff /proc/self/status; \
         echo x > /scratch/x && cat /scratch/x; test -e /host/status && echo bound",
    ];
    case.program(case.runtime_path()).args(options).run().ok();
    let id = case.id();
    let finished = case
        .runtime()
        .args(["run", "--bundle", &path, &id])
        .run()
        .ok();
    let wanted = "hello\n7\n8\nmine\n/bin\nCapEff:\t0000000000000000\nx\nbound\n";
    assert_eq!(finished.stdout, wanted, "{}", finished.describe());
    case.program(case.runtime_path())
        .args([
            "spec", "--file", "other", "--bundle", &path, "--memory", "lots",
        ])
        .run()
        .exits(1)
        .says("--memory: expected a number of bytes above zero");
}

#[convention("`doctor` judges the machine and says what to do.")]
fn doctor_reports(case: &mut Case) {
    case.only_corten();
    let text = case.runtime().args(["doctor"]).run();
    assert!(
        text.stdout.contains("kernel") && text.stdout.contains("cgroups"),
        "{}",
        text.describe()
    );
    let json = case.runtime().args(["doctor", "--format", "json"]).run();
    let report: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("checks");
    for check in checks {
        let state = check["state"].as_str().expect("a state");
        assert!(["ok", "degraded", "missing"].contains(&state), "{check}");
        assert_eq!(check["costs"].is_string(), state != "ok", "{check}");
    }
    let missing = checks.iter().any(|check| check["state"] == "missing");
    assert_eq!(json.code(), Some(i32::from(missing)));
    assert!(
        report["host"]["kernel"].is_array(),
        "what plans are made from"
    );
}

#[convention("`logs` says where the output of a container goes.")]
fn logs_say_where(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.shell("exec sleep 1000 > /dev/null");
    bundle.write();
    let id = case.launch(&bundle);
    case.until("the program", || {
        let link = format!("/proc/{}/fd/1", case.pid(&id));
        fs::read_link(link).is_ok_and(|target| target.ends_with("null"))
    });
    let finished = case.runtime().args(["logs", &id]).run().ok();
    assert!(finished.stdout.contains("keeps no output"));
    assert!(
        finished.stdout.contains("standard output: /dev/null"),
        "{}",
        finished.describe()
    );
    case.destroy(&id);
}

#[convention("Completions are scripts that their shells accept, and ids complete.")]
fn completions(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    bundle.write();
    let id = case.launch(&bundle);
    let script = case
        .program(case.runtime_path())
        .args(["completion", "bash"])
        .run()
        .ok()
        .stdout;
    let directory = std::path::Path::new(case.runtime_path())
        .parent()
        .expect("a directory");
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", directory.display());
    let complete = |line: &[&str]| {
        let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
        let ask = format!(
            "{script}\nCOMP_WORDS=({}) COMP_CWORD={}\n_corten\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            line.len() - 1
        );
        let bash = Command::new("bash")
            .args(["-c", &ask])
            .env("PATH", &path)
            .output();
        let bash = bash.expect("bash");
        assert!(
            bash.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&bash.stderr)
        );
        String::from_utf8_lossy(&bash.stdout).into_owned()
    };
    let root = case.state_root();
    let root = root.to_string_lossy();
    assert_eq!(
        complete(&["corten", "--root", &root, "kill", ""]),
        format!("{id}\n")
    );
    assert_eq!(
        complete(&["corten", "--root", "=", &root, "state", &id[..3]]),
        format!("{id}\n")
    );
    assert_eq!(complete(&["corten", "doc"]), "doctor\n");
    assert_eq!(
        complete(&["corten", "create", "--overlay-d"]),
        "--overlay-dir\n"
    );
    assert_eq!(complete(&["corten", "list", "--format", "j"]), "json\n");
    assert_eq!(
        complete(&["corten", "spec", "--network", ""]),
        "host\nnone\n"
    );
    case.destroy(&id);
}

#[convention("`help errors` explains the messages.")]
fn help_about_errors(case: &mut Case) {
    case.only_corten();
    let finished = case
        .program(case.runtime_path())
        .args(["help", "errors"])
        .run()
        .ok();
    assert!(
        finished.stdout.starts_with("# Errors"),
        "{}",
        finished.describe()
    );
}

#[convention(
    "`explain` names what is dangerous, compares two bundles, and decides as another machine."
)]
fn explain_grown_up(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.write();
    let mut other = case.bundle();
    other.config.without_namespace("pid");
    other.config.mount("/host", "bind", "/", &["rbind"]);
    other.write();
    let paths = [&bundle, &other].map(|bundle| bundle.path.to_string_lossy().into_owned());
    let explain = |options: &[&str]| {
        let program = case.program(case.runtime_path()).args(["explain"]);
        program.args(options.iter().copied()).run().ok().stdout
    };
    let story = explain(&["--bundle", &paths[1]]);
    for wanted in ["danger", "the host's / can be written", "no pid namespace"] {
        assert!(story.contains(wanted), "{wanted}: {story}");
    }
    assert!(!explain(&["--bundle", &paths[0]]).contains("danger"));
    let diff = explain(&["--bundle", &paths[0], "--diff", &paths[1]]);
    for wanted in ["- linux.namespaces[pid]", "+ mounts[/host]"] {
        assert!(diff.contains(wanted), "{wanted}: {diff}");
    }
    assert_eq!(explain(&["--bundle", &paths[0], "--diff", &paths[0]]), "");
    let info = case
        .program(case.runtime_path())
        .args(["info"])
        .run()
        .ok()
        .stdout;
    let mut facts: Value = serde_json::from_str(&info).expect("JSON");
    facts["host"]["cgroup"] = serde_json::json!({"mode": "none", "v2Mount": null,
        "v2Controllers": [], "v1Mounts": {}, "delegated": null});
    let file = case.directory.join("host.json");
    fs::write(&file, facts.to_string()).expect("host.json");
    bundle
        .config
        .set("/linux/resources/memory/limit", serde_json::json!(1 << 26));
    bundle.write();
    case.program(case.runtime_path())
        .args([
            "explain",
            "--bundle",
            &paths[0],
            "--host",
            &file.to_string_lossy(),
        ])
        .run()
        .exits(1)
        .says("problems (listed on standard output)");
}

#[convention("Colour is for terminals, and never with NO_COLOR or on a terminal that cannot.")]
fn colour_only_at_terminals(case: &mut Case) {
    case.only_corten();
    let bundle = case.bundle();
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let commands = [
        format!("{} doctor", case.runtime_path()),
        format!("{} explain --bundle {path}", case.runtime_path()),
        format!(
            "{} --root {} stats --no-stream",
            case.runtime_path(),
            case.directory.display()
        ),
    ];
    for command in &commands {
        // script(1) runs it at a terminal.
        let at_terminal = |name: &str, value: &str| {
            case.program("script")
                .args(["-qec", command, "/dev/null"])
                .env("TERM", "xterm")
                .env(name, value)
                .run()
                .stdout
        };
        assert!(at_terminal("LANG", "C").contains("\x1b["), "{command}");
        assert!(!at_terminal("NO_COLOR", "1").contains("\x1b["), "{command}");
        assert!(!at_terminal("TERM", "dumb").contains("\x1b["), "{command}");
        let piped = case
            .program("sh")
            .args(["-c", command])
            .env("TERM", "xterm")
            .run();
        assert!(!piped.stdout.contains('\x1b'), "{command}");
    }
}
