//! Writes docs/engines/features.md from the JSON reports of the engine tests:
//! `engine_table DIFFERENCES.toml PEER=REPORT.json... > docs/engines/features.md`.
//!
//! A passed test did the same with corten and with the peer. A failed one must be
//! explained in DIFFERENCES.toml, below the peer's name; one that is not is an error.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

use serde_json::Value;

const INTRODUCTION: &str = "\
# Engines and their features

Written by `make engine-table`, which runs the tests of `runtime-tests/tests/engines` twice: with corten beside runc, and
with corten beside crun. Each test tells an engine the same story with both runtimes and compares what the engine
answers, exit codes, what a probe sees inside the container, and the files of the cgroups. \"same\" means that nothing
differed; \"differs\" says what the other runtime does. All are those of Debian 12
(podman 4.3, Docker 20.10, containerd 1.6, buildah 1.28; runc 1.1, crun 1.8), but for newer releases of containerd where one
is named; on control groups v1.
";

/// How one test ended beside each peer: `same`, what differs, or why it was not run.
type Answers = BTreeMap<String, String>;

/// `[peer]`, then `"file::test" = "what it does"`.
type Explanations = BTreeMap<String, BTreeMap<String, String>>;

/// A test: its name, and the sentence it holds.
type Row = (String, String);

/// Engine, part of it, rows in the order of the report.
#[derive(Default)]
struct Table {
    rows: BTreeMap<String, BTreeMap<String, Vec<Row>>>,
    answers: BTreeMap<String, Answers>,
    peers: Vec<String>,
    explanations: Explanations,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match write_document(&arguments) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("engine_table: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_document(arguments: &[String]) -> Result<String, Box<dyn Error>> {
    const USAGE: &str = "usage: engine_table DIFFERENCES.toml PEER=REPORT.json...";
    let [differences, reports @ ..] = arguments else {
        return Err(USAGE.into());
    };
    let mut table = Table {
        explanations: toml::from_str(&std::fs::read_to_string(differences)?)?,
        ..Table::default()
    };
    for argument in reports {
        let (peer, path) = argument.split_once('=').ok_or(USAGE)?;
        let report: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        table.add(peer, &report)?;
    }
    table.render()
}

impl Table {
    fn add(&mut self, peer: &str, report: &Value) -> Result<(), Box<dyn Error>> {
        self.peers.push(peer.to_owned());
        for test in report["tests"].as_array().ok_or("no tests in the report")? {
            let text = |name: &str| test[name].as_str().unwrap_or_default();
            let name = text("name").to_owned();
            let answer = match text("outcome") {
                "passed" => "same".to_owned(),
                "skipped" => format!("not run: {}", text("reason")),
                _ => match self
                    .explanations
                    .get(peer)
                    .and_then(|known| known.get(&name))
                {
                    Some(why) => format!("differs: {why}"),
                    None => return Err(format!("{name} failed beside {peer}").into()),
                },
            };
            let (engine, part) = text("chapter")
                .split_once(": ")
                .unwrap_or((text("chapter"), ""));
            let part = self
                .rows
                .entry(engine.to_owned())
                .or_default()
                .entry(part.to_owned())
                .or_default();
            let answers = self.answers.entry(name.clone()).or_default();
            if answers.is_empty() {
                part.push((name, text("sentence").to_owned()));
            }
            answers.insert(peer.to_owned(), answer);
        }
        Ok(())
    }

    fn render(&self) -> Result<String, Box<dyn Error>> {
        let mut text = INTRODUCTION.to_owned();
        for (engine, parts) in &self.rows {
            writeln!(text, "\n## {engine}\n")?;
            let peers: Vec<String> = self
                .peers
                .iter()
                .map(|peer| format!(" beside {peer} |"))
                .collect();
            writeln!(text, "| what | test |{}", peers.concat())?;
            writeln!(text, "|---|---|{}", "---|".repeat(self.peers.len()))?;
            for (part, rows) in parts {
                for (name, sentence) in rows {
                    let part = match part.as_str() {
                        "" => String::new(),
                        part => format!("**{part}**: "),
                    };
                    let answers = self.peers.iter().map(|peer| self.answer(name, peer));
                    let answers: Vec<String> =
                        answers.map(|answer| format!(" {answer} |")).collect();
                    let sentence = sentence.replace('|', "\\|");
                    writeln!(text, "| {part}{sentence} | `{name}` |{}", answers.concat())?;
                }
            }
        }
        Ok(text)
    }

    fn answer(&self, name: &str, peer: &str) -> &str {
        let answers = self.answers.get(name);
        answers
            .and_then(|answers| answers.get(peer))
            .map_or("not run", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use serde_json::json;

    use super::Table;

    /// `podman_limits::update` for each test of a file, by the line with its function.
    fn tests_of(file: &Path, module: &str) -> Vec<String> {
        let text = fs::read_to_string(file).unwrap();
        let mut found = Vec::new();
        // Tests that several files have.
        for line in text.lines().filter(|line| line.starts_with("include!(")) {
            let included = line.split('"').nth(1).unwrap();
            found.extend(tests_of(&file.with_file_name(included), module));
        }
        let mut registered = false;
        for line in text.lines() {
            registered |= line.starts_with("#[convention(");
            if let Some(rest) = line.strip_prefix("fn ").filter(|_| registered) {
                let name = rest.split('(').next().unwrap_or_default();
                found.push(format!("{module}{name}"));
                registered = false;
            }
        }
        found
    }

    fn tests_below(directory: &Path, prefix: &str) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let module = format!("{prefix}{stem}::");
            if path.is_dir() {
                found.extend(tests_below(&path, &module));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.extend(tests_of(&path, &module));
            }
        }
        found
    }

    /// A new test wants `make engine-table`.
    #[test]
    fn the_page_names_the_tests_that_there_are() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = fs::read_to_string(package.join("../docs/engines/features.md")).unwrap();
        let rows = page.lines().filter(|line| line.starts_with("| "));
        let named: BTreeSet<String> = rows
            .filter_map(|line| line.split('`').rev().nth(1))
            .map(str::to_owned)
            .collect();
        let there: BTreeSet<String> = tests_below(&package.join("tests/engines"), "")
            .into_iter()
            .collect();
        assert_eq!(named, there);
    }

    #[test]
    fn a_row_for_each_test_and_a_column_for_each_peer() {
        let report = |outcome: &str| {
            json!({"tests": [
                {"chapter": "podman: limits", "name": "a::b", "sentence": "x | y", "outcome": outcome, "reason": "no z"},
                {"chapter": "buildah", "name": "c::d", "sentence": "s", "outcome": "passed"}
            ]})
        };
        let mut table = Table::default();
        table.add("runc", &report("passed")).unwrap();
        table.add("crun", &report("skipped")).unwrap();
        let text = table.render().unwrap();
        assert!(
            text.contains("| **limits**: x \\| y | `a::b` | same | not run: no z |"),
            "{text}"
        );
        assert!(text.contains("| s | `c::d` | same | same |"), "{text}");
        assert!(table.add("kata", &report("failed")).is_err());
    }
}
