//! `update`, struck at every one of its system calls: limits in force and the
//! container's configuration never disagree for longer than until the next `update`.

use std::fs;
use std::path::PathBuf;

use runtime_tests::{Case, Fault, Outcome, View, cgroup_directories, convention, skip};
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::stricken::{Before, Command, MOST_CALLS, Target, is_full, with_target};

const CHAPTER: &str = "Faults";

const COMMAND: Command = Command {
    before: Before::Running,
    line: &[
        "update",
        "--pids-limit",
        "77",
        "--memory",
        "104857600",
        "{id}",
    ],
    process: 0,
};
/// `pids.max` and the limit of memory, before and after.
const OLD: [&str; 2] = ["55", "209715200"];
const NEW: [&str; 2] = ["77", "104857600"];
const FILES: [&[&str]; 2] = [&["pids.max"], &["memory.max", "memory.limit_in_bytes"]];

/// What a module, memory, a signal and a full disk answer.
const ANSWERS: [Errno; 4] = [Errno::PERM, Errno::NOMEM, Errno::INTR, Errno::NOSPC];
/// Calls of the language's own that it cannot do without; those that do not return.
const LANGUAGE: [i64; 11] = [0, 7, 9, 10, 11, 12, 13, 15, 25, 60, 318];

fn limits(target: &Target<'_>) -> [String; 2] {
    let directories = cgroup_directories(target.case.token());
    FILES.map(|names| {
        let paths = directories
            .iter()
            .flat_map(|directory| names.iter().map(|name| directory.join(name)));
        let mut texts = paths.filter_map(|path| fs::read_to_string(path).ok());
        texts.next().unwrap_or_default().trim().to_owned()
    })
}

/// The same two of the configuration that the container has now.
fn configured(target: &Target<'_>) -> [String; 2] {
    let path: PathBuf = target.case.state_root().join(target.id).join("config.json");
    let config: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let resources = &config["linux"]["resources"];
    [&resources["pids"]["limit"], &resources["memory"]["limit"]].map(Value::to_string)
}

/// Strikes one call after the other; `judge` looks at the container then.
fn everywhere(
    case: &mut Case,
    fault: impl Fn(usize) -> Fault,
    figure: &str,
    judge: impl Fn(&Target<'_>, &Outcome, &str),
) {
    if case.view != View::Host {
        skip("needs the controllers of the host");
    }
    let resources = json!({
        "pids": {"limit": 55}, "memory": {"limit": 209_715_200},
        "devices": [{"allow": false, "access": "rwm"}],
    });
    with_target(case, COMMAND, Some(resources), |target| {
        for call in 1..MOST_CALLS {
            let outcome = target.strike(COMMAND, call, fault(call));
            let what = format!("call {call} ({:?})", outcome.struck);
            target.check_list(&what);
            assert_eq!(target.case.status(target.id), "running", "{what}");
            judge(target, &outcome, &what);
            target.clear(&what);
            target
                .case
                .count(figure, usize::from(outcome.struck.is_some()));
            if outcome.struck.is_none() {
                return;
            }
        }
        panic!("no end of calls");
    });
}

#[convention(
    "Killed before any of its system calls, `update` leaves each limit and the configuration as they were or as they shall be, and can be repeated."
)]
fn killed(case: &mut Case) {
    everywhere(
        case,
        |_| Fault::Kill,
        "kill points",
        |target, _, what| {
            for found in [limits(target), configured(target)] {
                for (at, value) in found.iter().enumerate() {
                    assert!(value == OLD[at] || value == NEW[at], "{what}: {found:?}");
                }
            }
            let line = COMMAND.line.iter().map(|word| match *word {
                "{id}" => target.id,
                other => other,
            });
            target.case.runtime().args(line).run().ok();
            assert_eq!(limits(target), NEW, "{what}");
            assert_eq!(configured(target), NEW, "{what}");
        },
    );
}

#[convention(
    "Whichever of its system calls fails, `update` has all of its limits in force and in the configuration, or says in one line why none of them."
)]
fn failing(case: &mut Case) {
    let answer = |call: usize| Fault::Error(ANSWERS[call % ANSWERS.len()].raw_os_error());
    everywhere(case, answer, "failing calls", |target, outcome, what| {
        let finished = &outcome.finished;
        let wanted = if finished.status.success() { NEW } else { OLD };
        let told = format!("{what}: {}", finished.describe());
        assert_eq!(limits(target), wanted, "{told}");
        assert_eq!(configured(target), wanted, "{told}");
        let lines = finished.stderr.lines().count();
        let excused = outcome.struck.is_some_and(|call| LANGUAGE.contains(&call))
            || matches!(outcome.struck, Some(1 | 20));
        let good = finished.status.success() || lines == 1 || excused;
        assert!(good || is_full() && lines <= 1, "{told}");
    });
}
