//! `--mutate`: instead of running each test once, breaks the runtime under it in one
//! way after the other and looks whether the test notices.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::child::Errand;
use crate::mutation::{REAL_RUNTIME, RECORD, SABOTAGE};
use crate::report::Outcome;

/// What a broken command does: its work with descriptors of the host left open in the
/// container, with the wrong exit code, without stdout or stderr, or no work at all.
const FAULTS: [&str; 5] = ["leak", "exit", "mute", "quiet", "idle"];
/// The commands that can leak.
const LEAKING: [&str; 3] = ["create", "run", "exec"];

/// Commands that nearly every test calls.
const COMMON: [&str; 6] = ["state", "start", "delete", "create", "run", "--version"];

/// A test that takes longer is not repeated for each property of the default config.
const SLOW: Duration = Duration::from_secs(4);

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
        let begun = Instant::now();
        let baseline = broken.run(&[(REAL_RUNTIME, errand.runtime), (RECORD, &path)]);
        let slow = begun.elapsed() > SLOW;
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
        let proof = self.prove(&broken, errand.runtime, &lines, slow);
        let mut findings = self.findings.lock().expect("no test panics here");
        findings.proofs.insert(errand.test.name(), proof);
        match proof {
            Proof::None => Outcome::Failed(format!("nothing makes it fail; tried: {record}")),
            _ => Outcome::Passed,
        }
    }

    /// Every property that the test sets is taken away, for the count; of the weaker
    /// proofs the first one is enough.
    fn prove(&self, broken: &Errand<'_>, runtime: &str, lines: &[Value], slow: bool) -> Proof {
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
        if proof == Proof::Property {
            return proof;
        }
        let mut weaker = [
            (Proof::Default, defaults_of(lines)),
            (Proof::Command, faults_of(lines)),
        ];
        if slow {
            // The first lie of a command ends a test that starts hundreds of containers.
            weaker.reverse();
        }
        let proved = weaker.iter().find(|(_, faults)| faults.iter().any(notices));
        proved.map_or(Proof::None, |(proof, _)| *proof)
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

fn defaults_of(lines: &[Value]) -> Vec<Value> {
    let is_default = |line: &&Value| line.get("default").is_some();
    lines.iter().filter(is_default).cloned().collect()
}

/// Every fault that a command which was called can have, what nearly every test calls last:
/// it proves least.
fn faults_of(lines: &[Value]) -> Vec<Value> {
    let commands = lines.iter().filter_map(|line| line["command"].as_str());
    let mut commands: Vec<&str> = commands.collect();
    commands.sort_by_key(|command| COMMON.iter().position(|common| command == common));
    let mut faults = Vec::new();
    for command in commands {
        for fault in FAULTS {
            if fault != "leak" || LEAKING.contains(&command) {
                faults.push(json!({"command": command, "fault": fault}));
            }
        }
    }
    faults
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().last().unwrap_or_default()
}
