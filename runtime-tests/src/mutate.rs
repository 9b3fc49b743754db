//! `--mutate`: instead of running each test once, breaks the runtime under it in one
//! way after the other and looks whether the test notices.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::child::Errand;
use crate::mutation::{REAL_RUNTIME, RECORD, SABOTAGE};
use crate::report::Outcome;

/// What a broken command does: its work and the wrong exit code, its work without
/// stdout or stderr, or nothing at all.
const FAULTS: [&str; 4] = ["exit", "mute", "quiet", "idle"];

/// Commands that nearly every test calls.
const COMMON: [&str; 6] = ["state", "start", "delete", "create", "run", "--version"];

/// How a test was shown to be able to fail, the best proof first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    /// It failed without a property that it sets.
    Property,
    /// It failed without a property of the default config.
    Default,
    /// It failed when a command lied.
    Command,
    /// Nothing that was broken made it fail.
    None,
}

#[derive(Debug, Default)]
struct Findings {
    proofs: BTreeMap<String, Proof>,
    /// Each property that a test sets, and whether a test failed without it.
    properties: BTreeMap<String, bool>,
    runs: usize,
}

/// Breaks the runtime under one test after the other.
#[derive(Debug, Clone)]
pub(crate) struct Judge {
    saboteur: PathBuf,
    findings: Arc<Mutex<Findings>>,
}

impl Judge {
    /// Takes `--mutate` out of the arguments; the saboteur lies beside the probe.
    pub fn take_from(arguments: &mut Vec<String>, probe: &str) -> Option<Self> {
        let at = arguments.iter().position(|word| word == "--mutate")?;
        arguments.remove(at);
        Some(Self {
            saboteur: Path::new(probe).with_file_name("saboteur"),
            findings: Arc::default(),
        })
    }

    /// Passed when some fault made the test fail.
    pub fn examine(&self, errand: &Errand<'_>) -> Outcome {
        let saboteur = self.saboteur.to_string_lossy();
        let broken = Errand {
            runtime: &saboteur,
            ..*errand
        };
        let recorder = tempfile::NamedTempFile::new().expect("a temporary file");
        let path = recorder.path().to_string_lossy();
        let baseline = broken.run(&[(REAL_RUNTIME, errand.runtime), (RECORD, &path)]);
        match baseline {
            Outcome::Passed => {}
            Outcome::Skipped(reason) => return Outcome::Skipped(reason),
            Outcome::Failed(text) => {
                return Outcome::Skipped(format!(
                    "fails through the saboteur: {}",
                    last_line(&text)
                ));
            }
        }
        let record = std::fs::read_to_string(recorder.path()).unwrap_or_default();
        let lines: BTreeSet<&str> = record.lines().collect();
        let lines: Vec<Value> = lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let proof = self.prove(&broken, errand.runtime, &lines);
        let mut findings = self.findings.lock().expect("no test panics here");
        findings.proofs.insert(errand.test.name(), proof);
        match proof {
            Proof::None => Outcome::Failed(format!("nothing makes it fail; tried: {record}")),
            _ => Outcome::Passed,
        }
    }

    /// Every property that the test sets is taken away, for the count; of the weaker
    /// proofs the first one is enough.
    fn prove(&self, broken: &Errand<'_>, runtime: &str, lines: &[Value]) -> Proof {
        let notices = |sabotage: &Value| {
            self.findings.lock().expect("no test panics here").runs += 1;
            let text = sabotage.to_string();
            matches!(
                broken.run(&[(REAL_RUNTIME, runtime), (SABOTAGE, &text)]),
                Outcome::Failed(_)
            )
        };
        let mut proof = Proof::None;
        for line in lines.iter().filter(|line| line.get("config").is_some()) {
            let noticed = notices(&json!({"config": line["config"]}));
            let name = line["property"].as_str().unwrap_or_default().to_owned();
            let mut findings = self.findings.lock().expect("no test panics here");
            *findings.properties.entry(name).or_default() |= noticed;
            if noticed {
                proof = Proof::Property;
            }
        }
        let mut defaults = lines.iter().filter(|line| line.get("default").is_some());
        if proof == Proof::None && defaults.any(notices) {
            proof = Proof::Default;
        }
        let commands = lines.iter().filter_map(|line| line.get("command"));
        let mut commands: Vec<&Value> = commands.collect();
        // What every test calls proves least: last.
        commands.sort_by_key(|command| COMMON.iter().position(|common| *command == common));
        let mut faults = commands
            .iter()
            .flat_map(|command| FAULTS.map(|fault| json!({"command": command, "fault": fault})));
        if proof == Proof::None && faults.any(|fault| notices(&fault)) {
            proof = Proof::Command;
        }
        proof
    }

    /// Prints the figures.
    pub fn conclude(&self) {
        let findings = self.findings.lock().expect("no test panics here");
        let count = |wanted| {
            findings
                .proofs
                .values()
                .filter(|proof| **proof == wanted)
                .count()
        };
        println!(
            "{} tests, {} runs of them with something broken:",
            findings.proofs.len(),
            findings.runs
        );
        println!(
            "{:>5} fail without a property that they set",
            count(Proof::Property)
        );
        println!(
            "{:>5} fail without a property of the default config",
            count(Proof::Default)
        );
        println!(
            "{:>5} fail when a command of the runtime lies",
            count(Proof::Command)
        );
        println!("{:>5} fail never", count(Proof::None));
        let unproved = findings.properties.iter().filter(|(_, noticed)| !**noticed);
        let unproved: Vec<&String> = unproved.map(|(name, _)| name).collect();
        let all = findings.properties.len();
        println!(
            "{} of {all} properties that tests set are missed by a test when they are gone; not missed:",
            all - unproved.len()
        );
        unproved.iter().for_each(|name| println!("      {name}"));
    }
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().last().unwrap_or_default()
}
