//! What a run found: a summary on the terminal, JSON and JUnit for programs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use crate::test::{Level, Test};
use crate::view::View;

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// What the test printed.
    Failed(String),
    /// Why it cannot run here.
    Skipped(String),
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Passed => None,
            Self::Failed(text) | Self::Skipped(text) => Some(text),
        }
    }
}

/// One test in one view.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub view: View,
    pub test: &'static Test,
    pub outcome: Outcome,
    pub took: Duration,
}

/// Where the reports go; nowhere unless asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    /// `--json FILE` or `REPORT_JSON`.
    pub json: Option<PathBuf>,
    /// `--junit FILE` or `REPORT_JUNIT`.
    pub junit: Option<PathBuf>,
}

impl Files {
    /// Takes the options out of the arguments; what is left is for libtest-mimic.
    pub fn take_from(arguments: &mut Vec<String>) -> Self {
        let mut take = |option: &str, variable: &str| {
            let at = arguments.iter().position(|word| word == option);
            let value = at.map(|at| {
                arguments
                    .drain(at..(at + 2).min(arguments.len()))
                    .next_back()
            });
            value.flatten().or_else(|| std::env::var(variable).ok())
        };
        Self {
            json: take("--json", "REPORT_JSON").map(PathBuf::from),
            junit: take("--junit", "REPORT_JUNIT").map(PathBuf::from),
        }
    }
}

/// A whole run of one runtime.
#[derive(Debug)]
pub(crate) struct Report {
    /// First line of `--version`: `NAME version X.Y.Z`.
    pub version: String,
    /// The binary's path.
    pub runtime: String,
    pub records: Vec<Record>,
}

impl Report {
    /// Asks the runtime for its version and puts the tests in order.
    pub fn new(runtime: String, mut records: Vec<Record>) -> Self {
        let version = std::process::Command::new(&runtime)
            .arg("--version")
            .output();
        let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let version = version.unwrap_or_default();
        records.sort_by_key(|record| {
            let test = record.test;
            (record.view.name(), test.module, test.line, test.function)
        });
        Self {
            version: version.lines().next().unwrap_or_default().to_owned(),
            runtime,
            records,
        }
    }

    fn name_and_version(&self) -> (&str, &str) {
        let name = self.version.split(' ').next().unwrap_or_default();
        (name, self.version.rsplit(' ').next().unwrap_or_default())
    }

    /// Writes the files that were asked for.
    pub fn write(&self, files: &Files) -> std::io::Result<()> {
        if let Some(path) = &files.json {
            std::fs::write(path, format!("{:#}\n", self.json()))?;
        }
        if let Some(path) = &files.junit {
            let text = self.junit().to_string().map_err(std::io::Error::other)?;
            std::fs::write(path, text)?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let (name, version) = self.name_and_version();
        let tests: Vec<Value> = self
            .records
            .iter()
            .map(|record| {
                json!({
                    "view": record.view.name(),
                    "chapter": record.test.chapter,
                    "name": record.test.name(),
                    "level": record.test.level.name(),
                    "sentence": record.test.sentence,
                    "outcome": record.outcome.name(),
                    "reason": record.outcome.reason(),
                    "seconds": record.took.as_secs_f64(),
                })
            })
            .collect();
        json!({"runtime": {"name": name, "version": version, "path": self.runtime}, "tests": tests})
    }

    fn junit(&self) -> Junit {
        let (name, version) = self.name_and_version();
        let mut junit = Junit::new(format!("{name} {version}"));
        let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
        for record in &self.records {
            let (kind, test) = (record.outcome.name(), record.test);
            let status = match &record.outcome {
                Outcome::Passed => TestCaseStatus::success(),
                Outcome::Failed(text) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(kind).set_description(text);
                    status
                }
                Outcome::Skipped(reason) => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(reason);
                    status
                }
            };
            let title = format!("{}::{}", record.view.name(), test.name());
            let mut case = TestCase::new(title, status);
            case.set_classname(test.chapter).set_time(record.took);
            case.add_property(("level", test.level.name()));
            case.add_property(("sentence", test.sentence));
            case.add_property(("runtime", self.version.as_str()));
            let suite = suites.entry(test.chapter);
            suite
                .or_insert_with(|| TestSuite::new(test.chapter))
                .add_test_case(case);
        }
        junit.add_test_suites(suites.into_values());
        junit
    }

    /// Chapters and levels with what became of their tests, then why some cannot run.
    pub fn summary(&self) -> String {
        let mut rows: BTreeMap<(&str, Level), [usize; 3]> = BTreeMap::new();
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        let mut sum = [0; 3];
        for record in &self.records {
            let column = match &record.outcome {
                Outcome::Passed => 0,
                Outcome::Failed(_) => 1,
                Outcome::Skipped(reason) => {
                    *reasons.entry(reason).or_default() += 1;
                    2
                }
            };
            rows.entry((record.test.chapter, record.test.level))
                .or_default()[column] += 1;
            sum[column] += 1;
        }
        let line = |chapter: &str, level: &str, [passed, failed, skipped]: [usize; 3]| {
            format!("{chapter:<66} {level:<10} {passed:>6} {failed:>6} {skipped:>7}\n")
        };
        let mut text = format!("\n{:<66} {:<10} passed failed skipped\n", self.version, "");
        for ((chapter, level), counts) in rows {
            text += &line(chapter, level.name(), counts);
        }
        text += &line("all", "", sum);
        for (reason, count) in reasons {
            // What a runtime did with a broken config is one line for each.
            if !reason.starts_with("recorded: ") {
                text += &format!("skipped {count:>3}: {reason}\n");
            }
        }
        text
    }
}
