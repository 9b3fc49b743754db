//! Whole processes, one after another, in interleaved rounds: what each command
//! costs, beside the floor (`floor/floor.c`, only the kernel's work) and the peers.
//!
//! ```text
//! bench [--quick] [--rounds N] [--view v1|v2|host]... [--section NAME]... [--json FILE] [NAME=PATH]...
//! bench page FILE.json PAGE.md PLOT.svg     puts the tables into a page, draws the plot
//! ```
//!
//! Each command is timed back to back and again with 50 ms of idleness before it,
//! because idleness makes what waits for RCU grace periods visible. Compare ratios
//! inside one table, never times of two tables.

mod commands;
mod contestant;
mod memory;
mod page;
mod plot;
mod scale;
mod shim;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use runtime_tests::{Bench, View};
use serde_json::{Value, json};

use crate::table::Table;

/// Tells a re-executed bench that it is inside its view.
const INSIDE: &str = "RUNTIME_BENCH_VIEW";
const SECTIONS: [&str; 8] = [
    "commands",
    "docker",
    "lifecycle",
    "memory",
    "alive",
    "mounts",
    "cgroups",
    "shim",
];
/// Where containerd's figures stand: not among those of commands.
const CONTAINERD: &str = "containerd";
const USAGE: &str = "usage: bench [--quick] [--rounds N] [--view host|v1|v2]... [--section NAME]... \
    [--json FILE] [NAME=PATH]...\n       bench page FILE.json PAGE.md PLOT.svg\n\
    sections: commands docker lifecycle memory alive mounts cgroups shim";

struct Options {
    rounds: usize,
    quick: bool,
    views: Vec<View>,
    sections: Vec<String>,
    json: Option<PathBuf>,
    contestants: Vec<(String, String)>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, json, page, plot] = words.as_slice()
        && first == "page"
    {
        page::write(Path::new(json), Path::new(page), Path::new(plot));
        return ExitCode::SUCCESS;
    }
    let Some(options) = parse(words.into_iter()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    match std::env::var(INSIDE) {
        Ok(view) => measure(&options, &view),
        Err(_) => enter_views(&options),
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        rounds: 0,
        quick: false,
        views: Vec::new(),
        sections: Vec::new(),
        json: None,
        contestants: Vec::new(),
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => options.quick = true,
            "--rounds" => options.rounds = words.next()?.parse().ok()?,
            "--view" => options.views.push(View::parse(&words.next()?)?),
            "--section" => options.sections.push(words.next()?),
            "--json" => options.json = Some(PathBuf::from(words.next()?)),
            _ if word.starts_with('-') => return None,
            _ => {
                let (name, path) = word
                    .split_once('=')
                    .unwrap_or_else(|| (word.rsplit('/').next().unwrap_or(&word), &word));
                options.contestants.push((name.to_owned(), path.to_owned()));
            }
        }
    }
    if options.rounds == 0 {
        options.rounds = if options.quick { 8 } else { 60 };
    }
    let known = |name: &String| SECTIONS.contains(&name.as_str());
    options.sections.iter().all(known).then_some(options)
}

/// Runs this program again inside each view and gathers what they measured.
fn enter_views(options: &Options) -> ExitCode {
    let views = if options.views.is_empty() {
        vec![View::V1, View::V2]
    } else {
        options.views.clone()
    };
    let own = std::env::current_exe().expect("own path");
    let directory = tempfile::tempdir().expect("a directory");
    let mut tables = Vec::new();
    for view in views {
        let part = directory.path().join(view.name());
        let mut command = view.command(&own.to_string_lossy());
        command
            .args(std::env::args().skip(1))
            .arg("--json")
            .arg(&part);
        let status = command.env(INSIDE, view.name()).status();
        if !status.expect("the view can be entered").success() {
            return ExitCode::FAILURE;
        }
        let text = fs::read_to_string(&part).expect("the figures of a view");
        let part: Value = serde_json::from_str(&text).expect("JSON");
        tables.extend(part.as_array().cloned().unwrap_or_default());
    }
    let document = json!({
        "machine": machine(), "rounds": options.rounds, "quick": options.quick, "tables": tables,
    });
    if let Some(path) = &options.json {
        fs::write(path, format!("{document:#}\n")).expect("the JSON file can be written");
    }
    ExitCode::SUCCESS
}

/// What the figures were taken on.
fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = read("/proc/meminfo");
    let total = memory
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(1));
    json!({
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "processor": model.map(|(_, name)| name),
        "processors": cpus.lines().filter(|line| line.starts_with("processor")).count(),
        "memoryKiB": total,
        "load": read("/proc/loadavg").trim(),
    })
}

/// Inside a view: measures, prints each table as it is done, leaves the figures.
fn measure(options: &Options, view: &str) -> ExitCode {
    let bench = Bench::new();
    let all = contestant::list(&options.contestants, &bench);
    let mut figures = Vec::new();
    for section in SECTIONS {
        let asked = if options.sections.is_empty() {
            is_usual(section, view)
        } else {
            options.sections.iter().any(|name| name == section)
        };
        if !asked {
            continue;
        }
        for table in measure_section(section, options, &all, &bench) {
            let value = table.json(if section == "shim" { CONTAINERD } else { view });
            println!("{}", table::text(&value));
            figures.push(value);
        }
    }
    let path = options.json.as_ref().expect("the outer bench names a file");
    fs::write(path, Value::from(figures).to_string()).expect("the figures can be written");
    ExitCode::SUCCESS
}

/// Without `--section`. Debian's crun refuses hybrid hosts and, in a user's place,
/// cgroup2: all peers meet in v1. Limits need controllers that this view may lack.
fn is_usual(section: &str, view: &str) -> bool {
    match section {
        "commands" => true,
        "mounts" | "cgroups" => view != "v1",
        // Whether cgroup2 has the controllers that `ctr` wants is another question.
        "shim" => view == "v1",
        _ => view != "v2",
    }
}

fn measure_section(
    section: &str,
    options: &Options,
    all: &[contestant::Contestant],
    bench: &Bench,
) -> Vec<Table> {
    let rounds = options.rounds;
    let (few, lives, alive, crowd) = if options.quick {
        (3, 8, 50, 20)
    } else {
        (20, 40, 500, 100)
    };
    match section {
        "commands" => commands::measure(all, bench, rounds),
        "docker" => commands::measure_docker(all, bench, rounds),
        "lifecycle" => commands::measure_lifecycles(all, bench, few.min(5), lives),
        "memory" => {
            let mut tables = memory::measure(all, bench);
            tables.push(memory::measure_smallest_limit(all, bench));
            tables
        }
        "alive" => scale::measure_alive(all, bench, alive, few),
        "mounts" => scale::measure_mounts(all, bench, few),
        "shim" => shim::measure(all, bench, few, crowd),
        _ => scale::measure_cgroups(all, bench, 30_000, few),
    }
}
