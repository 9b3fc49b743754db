//! Memory: of each command, of a container that waits, and how little is enough.

use std::fs;

use runtime_tests::{Bench, Contents};

use crate::contestant::{Contestant, Verb, time_line};
use crate::table::{Samples, Table};

/// Peak resident memory of one command line, in KiB, its waited children included.
fn peak(bench: &Bench, measure: &str, line: &[String]) -> Result<f64, String> {
    let file = bench.directory().join("measured");
    let words = [
        vec![measure.to_owned(), file.to_string_lossy().into_owned()],
        line.to_vec(),
    ];
    time_line(bench, &words.concat())?;
    let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [peak, _, "0"] => peak.parse().map_err(|_| text.clone()),
        _ => Err(format!("measured {text:?}")),
    }
}

/// Peak of each command, and the waiting container.
pub fn measure(contestants: &[Contestant], bench: &Bench) -> Vec<Table> {
    let helper = bench.c_program("measure");
    let made = |verb| (verb, Some(Verb::Create(Contents::True)));
    let commands = [
        ("run", (Verb::Run(Contents::True), None)),
        ("create", (Verb::Create(Contents::True), None)),
        ("start", made(Verb::Start)),
        ("state", made(Verb::State)),
        ("kill", made(Verb::Kill)),
        ("delete --force", made(Verb::Delete)),
    ];
    let mut tables = Vec::new();
    for (name, (verb, before)) in commands {
        let rows = rows(contestants, |one| {
            let id = bench.id(&one.name, 0);
            if let Some(before) = before {
                one.perform(bench, before, &id)?;
            }
            let measured = peak(bench, &helper, &one.line(bench, verb, &id));
            if !matches!(verb, Verb::Run(_) | Verb::Delete) {
                let _ = one.perform(bench, Verb::Delete, &id);
            }
            measured
        });
        tables.push(table(format!("peak memory of {name}"), rows));
    }
    let exec = rows(contestants, |one| {
        let id = bench.id(&one.name, 0);
        let started = [Verb::Create(Contents::Sleep), Verb::Start];
        let measured = started
            .iter()
            .try_for_each(|verb| one.perform(bench, *verb, &id))
            .and_then(|()| peak(bench, &helper, &one.line(bench, Verb::Exec, &id)));
        let _ = one.perform(bench, Verb::Delete, &id);
        measured
    });
    tables.push(table("peak memory of exec".to_owned(), exec));
    for what in ["Rss", "Pss"] {
        let rows = rows(contestants, |one| waiting(one, bench, what));
        tables.push(table(format!("{what} of a created container"), rows));
    }
    tables
}

fn rows(
    contestants: &[Contestant],
    measure: impl Fn(&Contestant) -> Result<f64, String>,
) -> Vec<Samples> {
    let row = |one: &Contestant| {
        let (values, failure) = match measure(one) {
            Ok(value) => (vec![value], None),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        Samples {
            name: one.name.clone(),
            values,
            failure,
        }
    };
    contestants.iter().map(row).collect()
}

fn table(what: String, rows: Vec<Samples>) -> Table {
    Table {
        what,
        unit: "KiB",
        gap: "",
        rows,
    }
}

/// One line of smaps_rollup, proc_pid_smaps(5), of a container that waits for `start`.
fn waiting(one: &Contestant, bench: &Bench, what: &str) -> Result<f64, String> {
    let id = bench.id(&one.name, 0);
    one.perform(bench, Verb::Create(Contents::True), &id)?;
    let read = || -> Result<f64, String> {
        let pid = one.init_pid(bench, &id)?;
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .map_err(|error| error.to_string())?;
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{what}:")));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .ok_or_else(|| format!("no {what}"))
    };
    let found = read();
    let _ = one.perform(bench, Verb::Delete, &id);
    found
}

/// The smallest memory limit, in steps of 64 KiB, in which `/bin/true` runs: three
/// times in a row. The floor reads no limit from a config, so it has no row.
pub fn measure_smallest_limit(contestants: &[Contestant], bench: &Bench) -> Table {
    const STEP: u64 = 64 << 10;
    const MOST: u64 = 256;
    let runtimes: Vec<&Contestant> = contestants.iter().filter(|one| !one.is_floor()).collect();
    let works = |one: &Contestant, steps: u64| {
        (0..3).all(|attempt| {
            let id = bench.id(&one.name, attempt);
            let verb = Verb::Run(Contents::Limited(steps * STEP));
            let done = one.perform(bench, verb, &id).is_ok();
            if !done {
                let _ = one.perform(bench, Verb::Delete, &id);
            }
            done
        })
    };
    let row = |one: &&Contestant| {
        let (mut fails, mut enough) = (0, MOST);
        let failure = (!works(one, MOST)).then(|| "not even in 16 MiB".to_owned());
        while failure.is_none() && enough - fails > 1 {
            let middle = fails.midpoint(enough);
            if works(one, middle) {
                enough = middle;
            } else {
                fails = middle;
            }
        }
        Samples {
            name: one.name.clone(),
            values: vec![((enough * STEP) >> 10) as f64],
            failure,
        }
    };
    table(
        "smallest memory limit".to_owned(),
        runtimes.iter().map(row).collect(),
    )
}
