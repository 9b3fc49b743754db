//! Writes docs/conformance.md from the JSON reports of several runtimes:
//! `matrix DIFFERENCES.toml REPORT.json... > docs/conformance.md`.
//!
//! Every failed test must be explained in DIFFERENCES.toml, below the runtime's name;
//! one that is not is an error, and so is one that every runtime fails: then the test
//! is suspected first.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

use serde_json::Value;

/// `[runtime]`, then `"file::test" = "what it does, and since or until when"`.
type Explanations = BTreeMap<String, BTreeMap<String, String>>;

const INTRODUCTION: &str = "\
# Conformance

Written by `make matrix`, which runs the tests of `runtime-tests/tests/conformance` with each runtime;
`runtime-tests/README.md` tells how to run them with another one. A test names the sentence that it holds:

* **MUST**, **SHOULD**, **MAY**: a sentence of the runtime specification, shortened with `...`. What a property is said to
  do counts as MUST, because all properties MUST be applied.
* **convention**: not in the specification, but relied on by engines, or a promise of one runtime.

A runtime of another version does other things, and some differences are choices that the specification leaves. Tests of
what corten alone promises are skipped for others.
";

/// One test in one view, as a report tells it.
struct Row {
    view: String,
    chapter: String,
    name: String,
    level: String,
    sentence: String,
    outcome: String,
    reason: String,
}

/// The report of one runtime.
struct Run {
    name: String,
    version: String,
    rows: Vec<Row>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match write_document(&arguments) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("matrix: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_document(arguments: &[String]) -> Result<String, Box<dyn Error>> {
    let [differences, reports @ ..] = arguments else {
        return Err("usage: matrix DIFFERENCES.toml REPORT.json...".into());
    };
    let explanations: Explanations = toml::from_str(&std::fs::read_to_string(differences)?)?;
    let runs: Result<Vec<Run>, _> = reports.iter().map(|path| read(path)).collect();
    let runs = runs?;
    check(&runs, &explanations)?;
    let mut text = INTRODUCTION.to_owned();
    totals(&runs, &mut text)?;
    chapters(&runs, &mut text)?;
    for run in &runs {
        let known = explanations.get(&run.name).cloned().unwrap_or_default();
        differences_of(run, &known, &mut text)?;
    }
    catalogue(&runs, &mut text)?;
    Ok(text)
}

fn read(path: &str) -> Result<Run, Box<dyn Error>> {
    let value: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let tests = value["tests"].as_array().ok_or("no tests in the report")?;
    let rows = tests.iter().map(|test| Row {
        view: text(test, "view"),
        chapter: text(test, "chapter"),
        name: text(test, "name"),
        level: text(test, "level"),
        sentence: text(test, "sentence"),
        outcome: text(test, "outcome"),
        reason: text(test, "reason"),
    });
    Ok(Run {
        name: text(&value["runtime"], "name"),
        version: text(&value["runtime"], "version"),
        rows: rows.collect(),
    })
}

/// The tests that failed in at least one view, with these views.
fn failed(run: &Run) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in run.rows.iter().filter(|row| row.outcome == "failed") {
        found.entry(&row.name).or_default().insert(&row.view);
    }
    found
}

fn check(runs: &[Run], explanations: &Explanations) -> Result<(), Box<dyn Error>> {
    let mut problems = String::new();
    for run in runs {
        let known = explanations.get(&run.name);
        let names = failed(run);
        for (name, views) in &names {
            if known.is_none_or(|known| !known.contains_key(*name)) {
                writeln!(
                    problems,
                    "{} fails {name} ({views:?}): explain it",
                    run.name
                )?;
            }
        }
        for name in known.into_iter().flatten().map(|(name, _)| name) {
            if !names.contains_key(name.as_str()) {
                eprintln!(
                    "matrix: {} does not fail {name}: its explanation is stale",
                    run.name
                );
            }
        }
    }
    for name in runs.first().map(failed).unwrap_or_default().keys() {
        if runs.len() > 1 && runs.iter().all(|run| failed(run).contains_key(name)) {
            writeln!(problems, "every runtime fails {name}: is the test right?")?;
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(format!("\n{problems}").into())
    }
}

fn totals(runs: &[Run], text: &mut String) -> Result<(), std::fmt::Error> {
    writeln!(text, "\n## Runtimes\n")?;
    writeln!(
        text,
        "| runtime | version | view | passed | failed | skipped |"
    )?;
    writeln!(text, "|---|---|---|---:|---:|---:|")?;
    for run in runs {
        let views: BTreeSet<&str> = run.rows.iter().map(|row| row.view.as_str()).collect();
        for view in views {
            let [passed, failed, skipped] = count(run.rows.iter().filter(|row| row.view == view));
            let (name, version) = (&run.name, &run.version);
            writeln!(
                text,
                "| {name} | {version} | {view} | {passed} | {failed} | {skipped} |"
            )?;
        }
    }
    writeln!(
        text,
        "\nThe views are ways to see the control groups of one machine: `host` as they are (hybrid), \
         `v1` and `v2` alone."
    )
}

fn count<'a>(rows: impl Iterator<Item = &'a Row>) -> [usize; 3] {
    let mut counts = [0; 3];
    for row in rows {
        let column = match row.outcome.as_str() {
            "passed" => 0,
            "failed" => 1,
            _ => 2,
        };
        counts[column] += 1;
    }
    counts
}

const LEVELS: [&str; 4] = ["MUST", "SHOULD", "MAY", "convention"];

fn chapters_of(runs: &[Run]) -> BTreeSet<&str> {
    let rows = runs.iter().flat_map(|run| &run.rows);
    rows.map(|row| row.chapter.as_str()).collect()
}

fn chapters(runs: &[Run], text: &mut String) -> Result<(), std::fmt::Error> {
    writeln!(
        text,
        "\n## Chapters\n\nPassed, failed and skipped tests of all views.\n"
    )?;
    let names: Vec<String> = runs
        .iter()
        .map(|run| format!("{} {}", run.name, run.version))
        .collect();
    writeln!(text, "| chapter | level | {} |", names.join(" | "))?;
    writeln!(text, "|---|---|{}", "---|".repeat(runs.len()))?;
    for chapter in chapters_of(runs) {
        for level in LEVELS {
            let cells: Vec<String> = runs
                .iter()
                .map(|run| {
                    let of_cell = |row: &&Row| row.chapter == chapter && row.level == level;
                    cell(count(run.rows.iter().filter(of_cell)))
                })
                .collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                writeln!(text, "| {chapter} | {level} | {} |", cells.join(" | "))?;
            }
        }
    }
    Ok(())
}

/// `12`, or `12, 1 failed, 3 skipped`.
fn cell([passed, failed, skipped]: [usize; 3]) -> String {
    let named = [(failed, " failed"), (skipped, " skipped")];
    let named = named.iter().filter(|(count, _)| *count > 0);
    let mut words: Vec<String> = named
        .map(|(count, word)| format!("{count}{word}"))
        .collect();
    if passed > 0 || !words.is_empty() {
        words.insert(0, passed.to_string());
    }
    words.join(", ")
}

fn differences_of(
    run: &Run,
    known: &BTreeMap<String, String>,
    text: &mut String,
) -> Result<(), std::fmt::Error> {
    writeln!(text, "\n## {} {}\n", run.name, run.version)?;
    let failed = failed(run);
    if failed.is_empty() {
        writeln!(text, "No test fails.\n")?;
    } else {
        writeln!(text, "| test | views | what it does |\n|---|---|---|")?;
    }
    for (name, views) in failed {
        let views: Vec<&str> = views.into_iter().collect();
        let why = known.get(name).map_or("", String::as_str);
        writeln!(text, "| `{name}` | {} | {why} |", views.join(", "))?;
    }
    let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in run.rows.iter().filter(|row| row.outcome == "skipped") {
        reasons.entry(&row.reason).or_default().insert(&row.name);
    }
    if !reasons.is_empty() {
        writeln!(text, "\n| skipped because | tests |\n|---|---|")?;
    }
    for (reason, names) in reasons {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        writeln!(
            text,
            "| {} | {} |",
            reason.replace('|', "\\|"),
            names.join(", ")
        )?;
    }
    Ok(())
}

fn catalogue(runs: &[Run], text: &mut String) -> Result<(), std::fmt::Error> {
    writeln!(text, "\n## Sentences and their tests")?;
    for chapter in chapters_of(runs) {
        writeln!(text, "\n### {chapter}\n")?;
        let mut sentences: BTreeMap<(usize, &str), BTreeSet<&str>> = BTreeMap::new();
        let rows = runs.iter().flat_map(|run| &run.rows);
        for row in rows.filter(|row| row.chapter == chapter) {
            let level = LEVELS.iter().position(|level| *level == row.level);
            let key = (level.unwrap_or(LEVELS.len()), row.sentence.as_str());
            sentences.entry(key).or_default().insert(&row.name);
        }
        for ((level, sentence), names) in sentences {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let level = LEVELS.get(level).copied().unwrap_or_default();
            writeln!(text, "* **{level}** {sentence} {}", names.join(", "))?;
        }
    }
    Ok(())
}
