//! The tests of one binary, as its command line asks for them.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::child::{CHILD, Errand, run_one};
use crate::figures;
use crate::mutate;
use crate::report::{Files, Outcome, Record, Report};
use crate::test::Test;
use crate::undefended::Attacker;
use crate::view::{Isolation, View};
use crate::wishes::Wishes;

/// Runs the tests of this binary that the command line asks for. `probe` is the
/// path of the probe binary.
pub fn main(probe: &str) -> ExitCode {
    run_suite(probe, &View::wanted(), None)
}

/// [`main`] for tests that start daemons and make networks: each is isolated, and
/// runs in `views` unless `VIEW` asks for others.
pub fn main_isolated(probe: &str, views: &[View], isolation: Isolation) -> ExitCode {
    run_suite(probe, &View::wanted_or(views), Some(isolation))
}

fn run_suite(probe: &str, views: &[View], isolation: Option<Isolation>) -> ExitCode {
    let tests = Test::all();
    if let Ok(name) = std::env::var(CHILD) {
        return run_one(&name, &tests);
    }
    let mut words: Vec<String> = std::env::args().collect();
    let files = Files::take_from(&mut words);
    let mutation = mutate::Judge::take_from(&mut words, probe);
    let attacker = Attacker::take_from(&mut words);
    let wishes = match Wishes::take_from(&mut words, runtime_binary) {
        Ok(wishes) => Arc::new(wishes),
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    let arguments = Arguments::from_iter(words);
    let store = tempfile::Builder::new()
        .prefix("rt-store-")
        .tempdir()
        .expect("a temporary directory");
    crate::bundle::fill_store(store.path(), probe);
    // Orphans of a test that was killed for its time come to us, not to PID 1.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("subreaper");
    let records = Records::default();
    let mut trials = Vec::new();
    for &view in views {
        for test in tests.iter().copied() {
            let concerns = attacker.is_none() || Attacker::concerns(test);
            if !concerns || !wishes.include(test) {
                continue;
            }
            let plan = (view, test, isolation);
            let judges = (mutation.clone(), attacker.clone());
            let known = (Arc::clone(&wishes), Arc::clone(&records));
            trials.push(trial(plan, store.path(), judges, known));
        }
    }
    if arguments.list {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    let runtime = runtime_binary();
    println!("runtime under test: {runtime}");
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    if let Some(judge) = mutation {
        judge.conclude();
    }
    let records = std::mem::take(&mut *records.lock().expect("no test panics here"));
    match tell(runtime, records, &wishes, store.path()).write(&files) {
        Ok(()) => code,
        Err(error) => {
            eprintln!("the report cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what was found.
fn tell(runtime: String, records: Vec<Record>, wishes: &Wishes, store: &Path) -> Report {
    let ran = records.iter().map(|record| (record.test, &record.outcome));
    for name in wishes.outdated(ran) {
        println!("known to fail, but passes: {name}");
    }
    let report = Report::new(runtime, records);
    println!("{}", report.summary());
    if let Some(figures) = figures::summary(store) {
        println!("{figures}");
    }
    report
}

/// What has ended so far, in no order.
type Records = Arc<Mutex<Vec<Record>>>;

fn trial(
    (view, test, isolation): (View, &'static Test, Option<Isolation>),
    store: &Path,
    judges: (Option<mutate::Judge>, Option<Attacker>),
    (wishes, records): (Arc<Wishes>, Records),
) -> Trial {
    let store = store.to_owned();
    let runner = move || {
        let errand = Errand {
            test,
            view,
            isolation,
            runtime: &runtime_binary(),
            store: &store,
        };
        let begun = Instant::now();
        let outcome = match &judges {
            (Some(judge), _) => judge.examine(&errand),
            (_, Some(attacker)) => attacker.examine(&errand),
            _ => errand.run(&[]),
        };
        let record = Record {
            view,
            test,
            outcome: outcome.clone(),
            took: begun.elapsed(),
        };
        records.lock().expect("no test panics here").push(record);
        match (outcome, wishes.known(test)) {
            (Outcome::Failed(_), Some(why)) => Ok(Completion::ignored_with(format!(
                "fails, as is known: {why}"
            ))),
            (outcome, _) => completion(outcome),
        }
    };
    Trial::ignorable_test(format!("{}::{}", view.name(), test.name()), runner)
}

fn completion(outcome: Outcome) -> Result<Completion, Failed> {
    match outcome {
        Outcome::Passed => Ok(Completion::Completed),
        Outcome::Failed(text) => Err(text.into()),
        Outcome::Skipped(reason) => Ok(Completion::ignored_with(reason)),
    }
}

/// The binary under test.
pub fn runtime_binary() -> String {
    for name in ["RUNTIME", "CORTEN"] {
        if let Ok(path) = std::env::var(name)
            && !path.is_empty()
        {
            return path;
        }
    }
    // This executable is target/TRIPLE/PROFILE/NAME, or below its deps/.
    let own = std::env::current_exe().expect("own path");
    let profile = own.ancestors().skip(1).find(|path| !path.ends_with("deps"));
    let target = profile.and_then(Path::parent).expect("target directory");
    let candidates =
        ["fast", "release", "debug"].map(|profile| target.join(profile).join("corten"));
    let newest = candidates
        .iter()
        .filter_map(|path| Some((fs::metadata(path).ok()?.modified().ok()?, path)))
        .max();
    match newest {
        Some((_, path)) => path.to_string_lossy().into_owned(),
        None => panic!(
            "no corten in {}: build it, or set RUNTIME",
            target.display()
        ),
    }
}
