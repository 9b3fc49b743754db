//! The program as engines meet it: streams, exit statuses, log files. What needs a
//! container is in `runtime-tests`.

#![allow(clippy::unwrap_used, reason = "a test panics to say what failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// What the program said and how it ended.
fn corten(root: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_corten"))
        .arg("--root")
        .arg(root)
        .args(args)
        .env_remove("LISTEN_FDS")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn fails(root: &Path, args: &[&str]) -> String {
    let output = corten(root, args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    assert_eq!(text(&output.stdout), "", "{args:?}");
    let line = text(&output.stderr);
    assert_eq!(line.lines().count(), 1, "{args:?}: {line}");
    line
}

#[test]
fn a_missing_container_is_named_in_the_words_of_engines() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("none");
    for command in ["state", "start", "kill", "delete"] {
        assert_eq!(
            fails(&root, &[command, "c1"]),
            format!("corten: {command} c1: container \"c1\" does not exist\n")
        );
    }
    let forced = corten(&root, &["delete", "--force", "c1"]);
    assert!(forced.status.success() && forced.stderr.is_empty());
    assert!(!root.exists(), "looking makes nothing");
}

#[test]
fn a_failure_is_one_line_in_the_log_and_one_on_standard_error() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let name = log.to_str().unwrap();
    let file = format!("file:{name}");
    let plain = "corten: state c1: container \"c1\" does not exist\n";
    let root = directory.path();
    assert_eq!(
        fails(
            root,
            &["--log", name, "--log-format", "json", "state", "c1"]
        ),
        plain
    );
    assert_eq!(fails(root, &["--log", &file, "state", "c1"]), plain);
    let usage = fails(
        root,
        &["--log", name, "--log-format=json", "state", "--nope", "c1"],
    );
    assert!(
        usage.starts_with("corten: state: unknown option '--nope'"),
        "{usage}"
    );

    let lines = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    let start = "{\"level\":\"error\",\"msg\":\"state c1: container \\\"c1\\\" does not exist\",\"time\":\"2";
    assert!(lines[0].starts_with(start), "{}", lines[0]);
    assert!(lines[1].starts_with("time=\"2"), "{}", lines[1]);
    let end = " level=error msg=\"state c1: container \\\"c1\\\" does not exist\"";
    assert!(lines[1].ends_with(end), "{}", lines[1]);
    assert!(lines[2].contains("unknown option"), "{}", lines[2]);
}

#[test]
fn without_a_file_the_log_is_standard_error() {
    let directory = tempfile::tempdir().unwrap();
    let line = fails(directory.path(), &["--log-format", "json", "state", "c1"]);
    assert!(
        line.starts_with("{\"level\":\"error\",\"msg\":\"state c1: "),
        "{line}"
    );
}

#[test]
fn a_root_that_is_everything_is_refused() {
    for root in ["/", "//", ""] {
        let line = fails(Path::new(root), &["list"]);
        assert!(line.starts_with("corten: list: --root: "), "{line}");
    }
}

#[test]
fn spec_never_overwrites() {
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().to_str().unwrap();
    assert!(
        corten(directory.path(), &["spec", "--bundle", bundle])
            .status
            .success()
    );
    let written = fs::read(directory.path().join("config.json")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&written).unwrap();
    let line = fails(directory.path(), &["spec", "-b", bundle]);
    assert!(
        line.ends_with("config.json exists. Remove it first\n"),
        "{line}"
    );
    assert_eq!(
        fs::read(directory.path().join("config.json")).unwrap(),
        written
    );
}

#[test]
fn version_is_what_engines_parse() {
    let output = corten(Path::new("/x"), &["--version"]);
    let text = text(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    let wanted = format!("corten version {}", env!("CARGO_PKG_VERSION"));
    assert_eq!((lines[0], lines[2]), (wanted.as_str(), "spec: 1.3.0"));
    assert!(
        lines[1].starts_with("commit: ") && lines[1].len() > 8,
        "{text}"
    );
    assert_eq!(text.matches("version").count(), 1, "{text}");
}

#[test]
fn explain_lists_every_problem_and_fails() {
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().to_str().unwrap();
    fs::write(directory.path().join("config.json"), "{\"ociVersion\": 7, ").unwrap();
    let output = corten(directory.path(), &["explain", "--bundle", bundle]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stdout.is_empty());
    assert!(
        text(&output.stderr).starts_with("corten: explain: "),
        "{output:?}"
    );
    let output = corten(
        directory.path(),
        &["explain", "-b", bundle, "--format", "json"],
    );
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        !object["problems"].as_array().unwrap().is_empty(),
        "{object}"
    );
}
