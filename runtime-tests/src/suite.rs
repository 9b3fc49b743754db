//! The list of tests, and how each is run: in a process of its own, inside its
//! view, under a time limit, with the host looked over afterwards.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::case::{Case, Skipped};
use crate::command::wait_exit;
use crate::host;
use crate::test::Test;
use crate::view::{Isolation, View};

/// Told to the child that runs one test: `view::chapter::name`.
const CHILD: &str = "RUNTIME_TESTS_CHILD";
/// Where the child finds busybox and the probe.
const STORE: &str = "RUNTIME_TESTS_STORE";
/// No test may take longer, its clean-up included.
const LIMIT: Duration = Duration::from_secs(300);
/// The child's exit code for "cannot run here"; the reason is on stdout.
const SKIPPED: u8 = 77;

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
    let arguments = Arguments::from_args();
    let store = tempfile::Builder::new()
        .prefix("rt-store-")
        .tempdir()
        .expect("a temporary directory");
    crate::bundle::fill_store(store.path(), probe);
    // Orphans of a test that was killed for its time come to us, not to PID 1.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("subreaper");
    let mut trials = Vec::new();
    for &view in views {
        for test in &tests {
            let name = format!("{}::{}", view.name(), test.name());
            let store = store.path().to_owned();
            let runner = {
                let name = name.clone();
                move || run_child(view, isolation, &name, &store)
            };
            trials.push(Trial::ignorable_test(name, runner));
        }
    }
    if !arguments.list {
        println!("runtime under test: {}", runtime_binary());
    }
    libtest_mimic::run(&arguments, trials).exit_code()
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

fn run_child(
    view: View,
    isolation: Option<Isolation>,
    name: &str,
    store: &Path,
) -> Result<Completion, Failed> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Completion::ignored_with("needs root"));
    }
    let output = tempfile::tempfile().map_err(|error| Failed::from(error.to_string()))?;
    let mut errors = output
        .try_clone()
        .map_err(|error| Failed::from(error.to_string()))?;
    let own = std::env::current_exe().map_err(|error| Failed::from(error.to_string()))?;
    let mut command = view.isolated_command(&own.to_string_lossy(), isolation.as_ref());
    command
        .env(CHILD, name)
        .env(STORE, store)
        .env("RUNTIME", runtime_binary())
        .env("RUST_BACKTRACE", "0");
    command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors.try_clone()?);
    let mut child = command.spawn()?;
    let pid = child.id().cast_signed();
    let in_time = wait_exit(pid, LIMIT);
    if !in_time {
        let below = host::descendants(pid);
        child.kill()?;
        host::end(&below);
    }
    let status = child.wait()?;
    let mut text = String::new();
    std::io::Seek::rewind(&mut errors)?;
    std::io::Read::read_to_string(&mut errors, &mut text)?;
    match status.code() {
        _ if !in_time => Err(format!("killed after {LIMIT:?}\n{text}").into()),
        Some(0) => Ok(Completion::Completed),
        Some(code) if code == i32::from(SKIPPED) => Ok(Completion::ignored_with(text.trim())),
        _ => Err(text.into()),
    }
}

fn run_one(name: &str, tests: &[&Test]) -> ExitCode {
    let (view, rest) = name.split_once("::").expect("view::chapter::name");
    let view = View::parse(view).expect("a view");
    let test = tests
        .iter()
        .find(|test| test.name() == rest)
        .expect("a known test");
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("subreaper");
    let store = PathBuf::from(std::env::var_os(STORE).expect("the store"));
    let runtime = std::env::var("RUNTIME").expect("the runtime");
    let directory = tempfile::Builder::new()
        .prefix("rt")
        .tempdir()
        .expect("a temporary directory");
    let mut case = Case::new(view, &runtime, &store, directory.path());
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (test.run)(&mut case)));
    let verdict = match outcome {
        Ok(()) => {
            let left = case.leftovers();
            left.iter()
                .for_each(|line| eprintln!("left behind: {line}"));
            if left.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(payload) => match payload.downcast::<Skipped>() {
            Ok(reason) => {
                println!("{}", reason.0);
                ExitCode::from(SKIPPED)
            }
            // The panic hook has told the rest.
            Err(_) => ExitCode::FAILURE,
        },
    };
    case.clean();
    if std::env::var_os("KEEP").is_some() {
        eprintln!(
            "kept {} after {:?}",
            directory.keep().display(),
            begun.elapsed()
        );
    }
    verdict
}
