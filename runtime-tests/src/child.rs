//! One test in a process of its own, inside its view, under a time limit, with the
//! host looked over afterwards.

use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::case::{Case, Skipped};
use crate::command::wait_exit;
use crate::figures;
use crate::host;
use crate::pace::paced;
use crate::report::Outcome;
use crate::test::Test;
use crate::view::{Isolation, View};

/// Told to the child that runs one test: `view::chapter::name`.
pub(crate) const CHILD: &str = "RUNTIME_TESTS_CHILD";
/// Where the child finds busybox and the probe.
const STORE: &str = "RUNTIME_TESTS_STORE";
/// No test may take longer, its clean-up included.
const LIMIT: Duration = Duration::from_secs(300);
/// Another limit, in seconds.
const LIMIT_VARIABLE: &str = "TEST_LIMIT";
/// The child's exit code for "cannot run here"; the reason is on stdout.
const SKIPPED: u8 = 77;

/// A test to be run, any number of times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub test: &'static Test,
    pub view: View,
    pub isolation: Option<Isolation>,
    pub runtime: &'a str,
    pub store: &'a Path,
}

fn limit() -> Duration {
    let seconds = std::env::var(LIMIT_VARIABLE).ok();
    let seconds = seconds.and_then(|text| text.parse().ok());
    paced(seconds.map_or(LIMIT, Duration::from_secs))
}

impl Errand<'_> {
    /// Runs the test in a new process, with these variables besides.
    pub fn run(&self, variables: &[(&str, &str)]) -> Outcome {
        if !rustix::process::geteuid().is_root() {
            return Outcome::Skipped("needs root".to_owned());
        }
        self.try_run(variables)
            .unwrap_or_else(|error| Outcome::Failed(format!("the test did not run: {error}")))
    }

    fn try_run(&self, variables: &[(&str, &str)]) -> std::io::Result<Outcome> {
        let mut output = tempfile::tempfile()?;
        let own = std::env::current_exe()?;
        let view = self.view;
        let mut command = view.isolated_command(&own.to_string_lossy(), self.isolation.as_ref());
        command
            .env(CHILD, format!("{}::{}", view.name(), self.test.name()))
            .env(STORE, self.store)
            .env("RUNTIME", self.runtime)
            .env("RUST_BACKTRACE", "0")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        let mut child = command.spawn()?;
        let pid = child.id().cast_signed();
        let limit = limit();
        let in_time = wait_exit(pid, limit);
        if !in_time {
            let below = host::descendants_of(pid);
            child.kill()?;
            host::end(&below);
        }
        let status = child.wait()?;
        let mut bytes = Vec::new();
        output.rewind()?;
        output.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(match status.code() {
            _ if !in_time => Outcome::Failed(format!("killed after {limit:?}\n{text}")),
            Some(0) => Outcome::Passed,
            Some(code) if code == i32::from(SKIPPED) => Outcome::Skipped(text.trim().to_owned()),
            _ => Outcome::Failed(text),
        })
    }
}

/// The child's side: runs the test and tells how it ended by the exit code.
pub(crate) fn run_one(name: &str, tests: &[&Test]) -> ExitCode {
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
            figures::add(&store, "leaks", left.len());
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
