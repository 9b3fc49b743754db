//! `run`, `state` and `exec` of the default container.
//!
//! The budgets hold for cgroup2: on v1 the counts grow with the number of hierarchies
//! a host has. They include what `/bin/true` itself does (about 17 calls, 37 faults).
//! The machine moves them a little (which masked paths exist, whether an unwritten
//! file is there): the slack is for that.

use runtime_tests::{Bundle, Case, compile, convention, skip};

const CHAPTER: &str = "budget";

/// At most these; measured, and the slack on top.
struct Budget {
    system_calls: u64,
    page_faults: u64,
}

const SLACK_CALLS: u64 = 12;
const SLACK_FAULTS: u64 = 16;

const RUN: Budget = Budget {
    system_calls: 585,
    page_faults: 210,
};
const STATE: Budget = Budget {
    system_calls: 41,
    // 45 as it is shipped; a build of the profile `fast`, as the linker has just left it
    // in the page cache, up to 74.
    page_faults: 64,
};
const EXEC: Budget = Budget {
    system_calls: 316,
    page_faults: 160,
};

/// Start-up of a container is what engines wait for.
#[convention("The cost of `run` does not grow unnoticed.")]
fn run(case: &mut Case) {
    let bundle = default_bundle(case);
    let words =
        |id: &str| ["run", "--bundle", &bundle.path.to_string_lossy(), id].map(str::to_owned);
    let ids = [case.id(), case.id(), case.id()];
    let lines = ids.map(|id| words(&id).to_vec());
    hold(case, &RUN, &lines);
}

/// Engines ask for it all the time.
#[convention("The cost of `state` does not grow unnoticed.")]
fn state(case: &mut Case) {
    let id = sleeping(case);
    let line = ["state", &id].map(str::to_owned).to_vec();
    hold(case, &STATE, &[line.clone(), line.clone(), line]);
    case.destroy(&id);
}

/// Health checks are made of it.
#[convention("The cost of `exec` does not grow unnoticed.")]
fn exec(case: &mut Case) {
    let id = sleeping(case);
    let line = ["exec", &id, "/bin/true"].map(str::to_owned).to_vec();
    hold(case, &EXEC, &[line.clone(), line.clone(), line]);
    case.destroy(&id);
}

fn default_bundle(case: &mut Case) -> Bundle {
    case.only_corten();
    if !case.view.is_unified() {
        skip("the budgets are those of cgroup2");
    }
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    bundle.write();
    bundle
}

/// A running container.
fn sleeping(case: &mut Case) -> String {
    let mut bundle = default_bundle(case);
    bundle.config.args(&["/bin/sleep", "1000"]);
    bundle.write();
    let id = case.id();
    case.create_command(&bundle, &id, &[]).run().ok();
    case.runtime().args(["start", &id]).run().ok();
    id
}

/// Three runs of the same: the first warms up, the others are counted, one for each
/// kind of count.
#[track_caller]
fn hold(case: &Case, budget: &Budget, lines: &[Vec<String>; 3]) {
    let [warm, calls, faults] = lines;
    case.runtime().args(warm).run().ok();
    let calls = system_calls(case, calls);
    let faults = page_faults(case, faults);
    println!("{calls} system calls, {faults} page faults");
    let Budget {
        system_calls,
        page_faults,
    } = budget;
    assert!(
        calls <= system_calls + SLACK_CALLS,
        "{calls} system calls, the budget is {system_calls} and {SLACK_CALLS} of slack"
    );
    assert!(
        faults <= page_faults + SLACK_FAULTS,
        "{faults} page faults, the budget is {page_faults} and {SLACK_FAULTS} of slack"
    );
}

/// All calls of the command and its children, counted by strace(1).
#[track_caller]
fn system_calls(case: &Case, words: &[String]) -> u64 {
    let table = case.directory.join("calls");
    case.program("strace")
        .args(["-f", "-c", "-o", &table.to_string_lossy()])
        .args([case.runtime_path(), "--root", &state_root(case)])
        .args(words)
        .run()
        .ok();
    let table = std::fs::read_to_string(table).expect("strace's table");
    let total = table.lines().find(|line| line.ends_with(" total"));
    // % time, seconds, usecs/call, calls, errors (where there are any), "total"
    let number = total.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    number.unwrap_or_else(|| panic!("no total in strace's table:\n{table}"))
}

/// Minor faults of the command and its waited children, as getrusage(2) counts them.
#[track_caller]
fn page_faults(case: &Case, words: &[String]) -> u64 {
    let measure = compile("measure", &case.directory);
    let counts = case.directory.join("counts");
    case.program(&measure)
        .args([&*counts.to_string_lossy(), case.runtime_path()])
        .args(["--root", &state_root(case)])
        .args(words)
        .run()
        .ok();
    let counts = std::fs::read_to_string(counts).expect("the counts");
    let words: Vec<&str> = counts.split_whitespace().collect();
    match words.as_slice() {
        [_, faults, "0"] => faults.parse().expect("a number"),
        _ => panic!("measured {counts:?}"),
    }
}

fn state_root(case: &Case) -> String {
    case.state_root().to_string_lossy().into_owned()
}
