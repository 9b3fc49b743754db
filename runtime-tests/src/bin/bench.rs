//! Whole processes, one after another, in interleaved rounds: what `run` costs.
//!
//! ```text
//! bench [--rounds N] [--view v1|v2|host] [--config spec|docker] [--json FILE] [NAME=PATH | PATH]...
//! ```
//!
//! Contestants: the floor (`floor/floor.c`, only the kernel's work), corten, and
//! the runtimes named on the command line, by default those of the host. Each is
//! measured back to back and again with 50 ms of idleness before every run,
//! because idleness makes what waits for RCU grace periods visible. Compare
//! ratios inside one table, never times of two tables.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use runtime_tests::{Bench, View, runtime_binary};
use serde_json::{Value, json};

/// Tells a re-executed bench that it is inside its view.
const INSIDE: &str = "RUNTIME_BENCH_VIEW";
const GAP: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(20);

struct Options {
    rounds: usize,
    view: View,
    docker: bool,
    json: Option<PathBuf>,
    contestants: Vec<(String, String)>,
}

struct Contestant {
    name: String,
    program: String,
    /// In microseconds: back to back, then with gaps.
    times: [Vec<u64>; 2],
    failure: Option<String>,
}

fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!(
            "usage: bench [--rounds N] [--view host|v1|v2] [--config spec|docker] [--json FILE] [NAME=PATH]..."
        );
        return ExitCode::from(64);
    };
    if std::env::var_os(INSIDE).is_none() {
        return enter(&options);
    }
    let bench = Bench::new(options.docker);
    let mut all = contestants(&options, &bench);
    for one in &mut all {
        one.failure = run(one, &bench, 0).err();
    }
    for round in 1..=options.rounds {
        for gap in [false, true] {
            for one in all.iter_mut().filter(|one| one.failure.is_none()) {
                if gap {
                    std::thread::sleep(GAP);
                }
                match run(one, &bench, round) {
                    Ok(time) => one.times[usize::from(gap)].push(time),
                    Err(failure) => one.failure = Some(failure),
                }
            }
        }
    }
    report(&options, &all);
    ExitCode::SUCCESS
}

fn parse(arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        rounds: 100,
        view: View::V2,
        docker: false,
        json: None,
        contestants: Vec::new(),
    };
    let mut words = arguments;
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => options.rounds = words.next()?.parse().ok()?,
            "--view" => options.view = View::parse(&words.next()?)?,
            "--config" => options.docker = words.next()? == "docker",
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
    Some(options)
}

/// Runs this program again inside the view.
fn enter(options: &Options) -> ExitCode {
    let own = std::env::current_exe().expect("own path");
    let mut command = options.view.command(&own.to_string_lossy());
    command
        .args(std::env::args().skip(1))
        .env(INSIDE, options.view.name());
    let status = command.status().expect("the view can be entered");
    ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}

fn contestants(options: &Options, bench: &Bench) -> Vec<Contestant> {
    let mut list = Vec::new();
    if !options.docker {
        list.push(("floor".to_owned(), build_floor(bench.directory())));
    }
    if std::env::var_os("CORTEN").is_some() || options.contestants.is_empty() {
        list.push(("corten".to_owned(), runtime_binary()));
    }
    list.extend(options.contestants.iter().cloned());
    if options.contestants.is_empty() {
        for (name, path) in [("crun", "/usr/bin/crun"), ("runc", "/usr/sbin/runc")] {
            if Path::new(path).exists() {
                list.push((name.to_owned(), path.to_owned()));
            }
        }
    }
    list.into_iter()
        .map(|(name, program)| Contestant {
            name,
            program,
            times: [Vec::new(), Vec::new()],
            failure: None,
        })
        .collect()
}

fn build_floor(directory: &Path) -> String {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/floor/floor.c");
    let binary = directory.join("floor");
    let mut cc = Command::new("cc");
    cc.args(["-static", "-O2", "-o"]).arg(&binary).arg(source);
    assert!(
        cc.status().expect("cc").success(),
        "the floor does not compile"
    );
    binary.to_string_lossy().into_owned()
}

/// One whole process; its time in microseconds.
fn run(one: &Contestant, bench: &Bench, round: usize) -> Result<u64, String> {
    let mut command = Command::new(&one.program);
    let id = bench.id(&one.name, round);
    let bundle = bench.bundle().to_string_lossy().into_owned();
    if one.name == "floor" {
        command.args([&bundle, &id]);
    } else {
        let root = bench.state_root(&one.name).to_string_lossy().into_owned();
        command.args(["--root", &root, "run", "--bundle", &bundle, &id]);
    }
    let errors = bench.directory().join("stderr");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(File::create(&errors).expect("stderr file"));
    let begun = Instant::now();
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let in_time = runtime_tests::wait_exit(child.id().cast_signed(), LIMIT);
    let time = begun.elapsed();
    if !in_time {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() {
        let text = fs::read_to_string(errors).unwrap_or_default();
        let last = text.lines().last().unwrap_or_default();
        return Err(format!(
            "{status}: {}",
            last.chars().take(160).collect::<String>()
        ));
    }
    Ok(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// Minimum, tenth percentile and median, in microseconds.
fn summary(times: &[u64]) -> Option<[u64; 3]> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = |part: f64| {
        sorted
            .get(((sorted.len() as f64 - 1.0) * part).round() as usize)
            .copied()
    };
    Some([*sorted.first()?, at(0.1)?, at(0.5)?])
}

fn report(options: &Options, all: &[Contestant]) {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "run of a static /bin/true, view {}, config {}, {} interleaved rounds, load {}",
        options.view.name(),
        if options.docker { "docker" } else { "spec" },
        options.rounds,
        load.split(' ').next().unwrap_or_default(),
    );
    println!(
        "{:24}{:>9}{:>9}{:>9}{:>8}   {:>9}{:>9}{:>9}{:>8}",
        "", "min ms", "p10", "median", "ratio", "50ms: min", "p10", "median", "ratio"
    );
    let first = all.iter().find(|one| one.failure.is_none());
    let base = first.map(|one| one.times.clone().map(|times| summary(&times)));
    let mut rows = Vec::new();
    for one in all {
        if let Some(failure) = &one.failure {
            println!("{:24}cannot run here: {failure}", one.name);
            rows.push(json!({"name": one.name, "failure": failure}));
            continue;
        }
        let mut line = format!("{:24}", one.name);
        let mut row = json!({"name": one.name, "program": one.program});
        for (index, kind) in ["backToBack", "gap50ms"].into_iter().enumerate() {
            let Some(figures) = summary(&one.times[index]) else {
                continue;
            };
            let of = base
                .as_ref()
                .and_then(|base| base[index])
                .map_or(1, |base| base[2].max(1));
            let ratio = figures[2] as f64 / of as f64;
            let [min, p10, median] = figures.map(|time| time as f64 / 1000.0);
            line.push_str(&format!(
                "{min:>9.2}{p10:>9.2}{median:>9.2}{ratio:>7.2}x   "
            ));
            row[kind] =
                json!({"minMs": min, "p10Ms": p10, "medianMs": median, "ratioOfMedians": ratio});
        }
        println!("{}", line.trim_end());
        rows.push(row);
    }
    write_json(options, &load, rows);
}

fn write_json(options: &Options, load: &str, rows: Vec<Value>) {
    let Some(path) = &options.json else { return };
    let document = json!({
        "view": options.view.name(),
        "config": if options.docker { "docker" } else { "spec" },
        "rounds": options.rounds,
        "load": load.trim(),
        "contestants": rows,
    });
    fs::write(path, format!("{document:#}\n")).expect("the JSON file can be written");
}
