//! Stands where the runtime is expected, calls the real one, and breaks one of its
//! commands as `RUNTIME_TESTS_SABOTAGE` says: `{"command": "kill", "fault": "exit"}`.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use runtime_tests::mutation::{REAL_RUNTIME, RECORD, SABOTAGE, record};
use rustix::fs::{Mode, OFlags};
use serde_json::{Value, json};

/// Global options that have a value of their own.
const WITH_VALUE: &[&str] = &[
    "--root",
    "--log",
    "--log-format",
    "--log-level",
    "--cgroup-manager",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = std::env::var(REAL_RUNTIME).expect("the real runtime");
    let mut real = Command::new(runtime);
    let command = command_of(&arguments);
    record(&json!({"command": command}));
    let sabotage = std::env::var(SABOTAGE).unwrap_or_default();
    let sabotage: Value = serde_json::from_str(&sabotage).unwrap_or_default();
    for variable in [RECORD, SABOTAGE, REAL_RUNTIME] {
        real.env_remove(variable);
    }
    let faulty = sabotage["command"] == json!(command);
    let leaks = faulty && sabotage["fault"] == "leak";
    for argument in &arguments {
        real.arg(argument);
        if leaks && argument == command {
            real.args(["--preserve-fds", &leak().to_string()]);
        }
    }
    if leaks || !faulty {
        panic!("{}", real.exec());
    }
    match sabotage["fault"].as_str() {
        // Says that all went well, and has done nothing.
        Some("idle") => return ExitCode::SUCCESS,
        Some("mute") => drop(real.stdout(Stdio::null())),
        Some("quiet") => drop(real.stderr(Stdio::null())),
        _ => {}
    }
    let status = real.status().expect("the real runtime");
    let lies = sabotage["fault"] == "exit";
    match status.code() {
        Some(0) if lies => ExitCode::FAILURE,
        _ if lies => ExitCode::SUCCESS,
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => ExitCode::FAILURE,
    }
}

/// Opens the host's root a few times, as the lowest descriptors above 2, and tells how often.
fn leak() -> usize {
    const COUNT: usize = 8;
    for _ in 0..COUNT {
        let root = rustix::fs::open("/", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
        std::mem::forget(root.expect("the root"));
    }
    COUNT
}

/// The first word that is neither an option nor the value of one; or the only option.
fn command_of(arguments: &[String]) -> &str {
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            return word;
        }
    }
    arguments.first().map_or("", String::as_str)
}
