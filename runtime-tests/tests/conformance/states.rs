//! Every command on a container in every state: what it answers, and what the
//! container is afterwards.

use runtime_tests::{Case, convention};

const CHAPTER: &str = "Commands in every state";

/// States of a container; the last is none.
const STATES: [&str; 5] = ["created", "running", "paused", "stopped", "absent"];

/// What a command answers: its exit code, a word of what it says, the state afterwards.
type Answer = (i32, &'static str, &'static str);

const EXISTS: &str = "already exists";
const ABSENT: Answer = (1, "does not exist", "absent");
const NOT_PAUSED: &str = "container not paused";
const NOT_RUNNING: &str = "container not running";

/// The command with its options, and its answers in the order of [`STATES`].
type Row = (&'static [&'static str], [Answer; 5]);

#[rustfmt::skip]
const TABLE: &[Row] = &[
    (&["start"], [
        (0, "", "running"),
        (1, "cannot start an already running container", "running"),
        (1, "cannot start a", "paused"),
        (1, "cannot start a container that has stopped", "stopped"),
        ABSENT,
    ]),
    (&["state"], [(0, "", "created"), (0, "", "running"), (0, "", "paused"), (0, "", "stopped"), ABSENT]),
    (&["kill", "ID", "0"], [
        (0, "", "created"), (0, "", "running"), (0, "", "paused"), (1, NOT_RUNNING, "stopped"), ABSENT,
    ]),
    (&["kill", "ID", "KILL"], [
        (0, "", "stopped"), (0, "", "stopped"), (0, "", "stopped"), (1, NOT_RUNNING, "stopped"), ABSENT,
    ]),
    (&["kill", "--all", "ID", "KILL"], [
        (0, "", "stopped"), (0, "", "stopped"), (0, "", "stopped"), (0, "", "stopped"), ABSENT,
    ]),
    (&["resume"], [
        (1, NOT_PAUSED, "created"), (1, NOT_PAUSED, "running"), (0, "", "running"), (1, NOT_PAUSED, "stopped"), ABSENT,
    ]),
    (&["pause"], [
        (0, "", "created"), (0, "", "paused"), (1, NOT_RUNNING, "paused"), (1, NOT_RUNNING, "stopped"), ABSENT,
    ]),
    (&["ps"], [(0, "", "created"), (0, "", "running"), (0, "", "paused"), (0, "", "stopped"), ABSENT]),
    (&["ps", "--format", "json"], [
        (0, "", "created"), (0, "", "running"), (0, "", "paused"), (0, "", "stopped"), ABSENT,
    ]),
    (&["exec", "ID", "true"], [
        (0, "", "created"),
        (0, "", "running"),
        (255, "cannot exec in a paused container", "paused"),
        (255, "cannot exec in a stopped container", "stopped"),
        (255, "does not exist", "absent"),
    ]),
    (&["delete"], [
        (0, "", "absent"),
        (1, "that is not stopped: running", "running"),
        (1, "that is not stopped: paused", "paused"),
        (0, "", "absent"),
        ABSENT,
    ]),
    (&["delete", "--force"], [
        (0, "", "absent"), (0, "", "absent"), (0, "", "absent"), (0, "", "absent"), (0, "", "absent"),
    ]),
    (&["create", "--bundle", "BUNDLE"], [
        (1, EXISTS, "created"), (1, EXISTS, "running"), (1, EXISTS, "paused"), (1, EXISTS, "stopped"), (0, "", "created"),
    ]),
    (&["run", "--detach", "--bundle", "BUNDLE"], [
        (1, EXISTS, "created"), (1, EXISTS, "running"), (1, EXISTS, "paused"), (1, EXISTS, "stopped"), (0, "", "running"),
    ]),
];

/// What another runtime answers in place of the table's: runtime, command, state.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, &str, &str, Answer)] = &[
    // A created container that is paused is paused to runc; nobody can tell then that
    // it was never started.
    ("runc", "pause", "created", (0, "", "paused")),
    ("crun", "start", "running", (1, "exec.fifo", "running")),
    ("crun", "start", "paused", (1, "exec.fifo", "paused")),
    ("crun", "start", "stopped", (1, "is not running", "stopped")),
    ("crun", "kill ID 0", "stopped", (1, "no such process", "stopped")),
    ("crun", "kill ID KILL", "stopped", (1, "no such process", "stopped")),
    ("crun", "resume", "created", (0, "", "created")),
    ("crun", "resume", "running", (0, "", "running")),
    ("crun", "resume", "stopped", (1, "is not running", "stopped")),
    ("crun", "pause", "paused", (0, "", "paused")),
    ("crun", "pause", "stopped", (1, "is not running", "stopped")),
    ("crun", "exec ID true", "paused", (1, "is paused", "paused")),
    ("crun", "exec ID true", "stopped", (1, "is not running", "stopped")),
    ("crun", "delete", "running", (1, "is not in `created` or `stopped` state", "running")),
    ("crun", "delete", "paused", (1, "is not in `created` or `stopped` state", "paused")),
    ("crun", "ps", "absent", (253, "no such file or directory", "absent")),
    ("crun", "ps --format json", "absent", (253, "no such file or directory", "absent")),
];

/// Where crun's versions differ from each other.
const UNSETTLED: &[(&str, &str)] = &[
    ("ps", "stopped"),
    ("ps --format json", "stopped"),
    ("kill ID KILL", "paused"),
    ("kill --all ID KILL", "paused"),
];

/// The answer that the runtime under test gives; `None` is not known.
fn expected(case: &Case, row: &Row, index: usize) -> Option<Answer> {
    let state = STATES[index];
    let command = row.0.join(" ");
    let runtime = case.version().split(' ').next().unwrap_or_default();
    let is =
        |one: &&(&str, &str, &str, Answer)| one.0 == runtime && one.1 == command && one.2 == state;
    if let Some(other) = DIFFERENCES.iter().find(is) {
        return Some(other.3);
    }
    let (code, word, after) = row.1[index];
    if runtime != "crun" {
        return Some((code, word, after));
    }
    if UNSETTLED.contains(&(&command, state)) {
        return None;
    }
    if state == "absent" && code != 0 {
        return Some((1, "no such file or directory", after));
    }
    Some((code, word, after))
}

/// Brings a new container into a state.
fn container_in(case: &mut Case, state: &str) -> (String, String) {
    let mut bundle = case.bundle();
    bundle.config.shell("exec sleep 1000");
    let path = bundle.path.to_string_lossy().into_owned();
    if state == "absent" {
        bundle.write();
        return (case.id(), path);
    }
    let id = case.create(&bundle);
    match state {
        "created" => {}
        "running" => case.start(&id),
        "paused" => {
            case.start(&id);
            case.runtime().args(["pause", &id]).run().ok();
        }
        _ => {
            case.start(&id);
            case.kill(&id);
        }
    }
    (id, path)
}

/// The state of a container, or that there is none.
fn state_of(case: &Case, id: &str) -> String {
    let finished = case.runtime().args(["state", id]).run();
    if finished.code() != Some(0) {
        return "absent".to_owned();
    }
    let state: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    state["status"].as_str().expect("a status").to_owned()
}

fn check(case: &mut Case, row: &Row, index: usize) -> Result<(), String> {
    let state = STATES[index];
    let Some((code, word, after)) = expected(case, row, index) else {
        return Ok(());
    };
    let (id, bundle) = container_in(case, state);
    let mut words: Vec<String> = row
        .0
        .iter()
        .map(|word| match *word {
            "ID" => id.clone(),
            "BUNDLE" => bundle.clone(),
            word => word.to_owned(),
        })
        .collect();
    if !row.0.contains(&"ID") {
        words.push(id.clone());
    }
    let finished = case.runtime().args(&words).run();
    let ends = after == "stopped" || after == "absent";
    if ends && state != "stopped" && state != "absent" && code == 0 {
        // A killed init ends when the kernel comes to it.
        case.until("it ended", || state_of(case, &id) == after);
    }
    let found = state_of(case, &id);
    let said = finished
        .stderr
        .to_lowercase()
        .contains(&word.to_lowercase());
    let line = finished.stderr.lines().count();
    let told = line == usize::from(code != 0) || !case.is_corten();
    case.runtime().args(["delete", "--force", &id]).run().ok();
    if finished.code() == Some(code) && said && told && found == after {
        return Ok(());
    }
    Err(format!(
        "{state}: wanted {code}, {word:?}, {after}; is {found} after {}",
        finished.describe()
    ))
}

#[convention("Each command has one answer for each state, and leaves the state it says.")]
fn every_command_in_every_state(case: &mut Case) {
    let mut wrong = Vec::new();
    for row in TABLE {
        for index in 0..STATES.len() {
            wrong.extend(check(case, row, index).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
