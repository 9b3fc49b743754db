//! containerd with corten's shim, beside containerd with Go's shim driving runc and
//! corten: what an idle shim holds, and how long `ctr` takes. The floor of a time is a
//! `ctr` that asks containerd for its version.
//!
//! Containers get a root file system of their own (`ctr run --rootfs`): no image is
//! unpacked or mounted. All of them and containerd are gone at the end.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use runtime_tests::{Bench, Contents, containerd_configuration};
use rustix::process::{Pid, Signal, kill_process};

use crate::contestant::{Contestant, time_line};
use crate::table::{Samples, Table};

/// Shims that are looked at, one container each.
const IDLE: usize = 10;
/// How long a shim may take to come to rest after its container was started.
const REST: Duration = Duration::from_secs(2);
/// `ctr` at a time where many containers are started.
const WORKERS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(20);

/// One way to run containers.
struct Way {
    name: &'static str,
    /// The options of `ctr run`.
    options: Vec<String>,
}

/// A private containerd.
struct Daemon<'a> {
    bench: &'a Bench,
    process: Child,
    socket: PathBuf,
    namespace: String,
    rootfs: String,
}

/// All tables; one that says why there are none where there is no containerd.
pub fn measure(
    contestants: &[Contestant],
    bench: &Bench,
    rounds: usize,
    many: usize,
) -> Vec<Table> {
    let named = |name: &str| contestants.iter().find(|one| one.name == name);
    let ways = named("corten").map(|corten| ways(corten, named("runc"), bench));
    match (ways, Daemon::start(bench)) {
        (Some(ways), Ok(daemon)) => {
            let mut tables = idle(&daemon, &ways);
            tables.extend(times(&daemon, &ways, rounds));
            tables.push(crowd(&daemon, &ways, many, rounds.div_ceil(5).min(5)));
            tables
        }
        (_, Err(failure)) => {
            let row = cannot("corten", failure);
            vec![table("ctr run --rm".to_owned(), "ms", vec![row])]
        }
        (None, _) => Vec::new(),
    }
}

fn ways(corten: &Contestant, runc: Option<&Contestant>, bench: &Bench) -> Vec<Way> {
    let mut ways = Vec::new();
    // A shim looks for corten beside itself.
    let built = Path::new(&runtime_tests::runtime_binary()).with_file_name(SHIM);
    let shim = Path::new(&corten.program).with_file_name(SHIM);
    if built.exists() && fs::copy(&built, &shim).is_ok() {
        ways.push(Way {
            name: "corten",
            options: vec!["--runtime".to_owned(), shim.to_string_lossy().into_owned()],
        });
    }
    let through_go = [("Go, runc", runc), ("Go, corten", Some(corten))];
    for (name, runtime) in through_go {
        let Some(runtime) = runtime else { continue };
        // The default root would outlive the measurement.
        let root = bench.state_root(&slug(name)).to_string_lossy().into_owned();
        let options = ["--runc-binary", &runtime.program, "--runc-root", &root];
        ways.push(Way {
            name,
            options: options.map(str::to_owned).into(),
        });
    }
    ways
}

/// A name in ids and paths.
fn slug(name: &str) -> String {
    name.replace(", ", "-")
}

const SHIM: &str = "containerd-shim-corten-v2";

impl<'a> Daemon<'a> {
    fn start(bench: &'a Bench) -> Result<Self, String> {
        let directory = bench.directory().join("containerd");
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let socket = directory.join("containerd.sock");
        let config = containerd_configuration(&directory, &socket);
        let file = directory.join("config.toml");
        fs::write(&file, config).map_err(|error| error.to_string())?;
        let log = File::create(directory.join("log")).map_err(|error| error.to_string())?;
        let mut command = Command::new("containerd");
        command.arg("--config").arg(&file).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(log);
        let process = command
            .spawn()
            .map_err(|error| format!("containerd: {error}"))?;
        let rootfs = bench.bundle(Contents::Sleep).join("rootfs");
        let daemon = Self {
            bench,
            process,
            socket,
            namespace: bench.id("shim", 0),
            rootfs: rootfs.to_string_lossy().into_owned(),
        };
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(&daemon.socket).is_err() {
            if Instant::now() > deadline {
                return Err("containerd does not answer".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(daemon)
    }

    /// `ctr` with these words; how long it took in milliseconds.
    fn ctr(&self, words: &[&str]) -> Result<f64, String> {
        let socket = self.socket.to_string_lossy();
        let own = ["ctr", "--address", &socket, "--namespace", &self.namespace];
        let line = [&own[..], words].concat();
        let line: Vec<String> = line.into_iter().map(str::to_owned).collect();
        time_line(self.bench, &line).map(|time| time as f64 / 1000.0)
    }

    fn run(&self, way: &Way, before: &[&str], id: &str, program: &[&str]) -> Result<f64, String> {
        let options: Vec<&str> = way.options.iter().map(String::as_str).collect();
        let words = [
            &["run", "--null-io", "--rootfs"],
            before,
            &options,
            &[&self.rootfs, id],
            program,
        ];
        self.ctr(&words.concat())
    }

    /// A container that sleeps.
    fn launch(&self, way: &Way, id: &str) -> Result<f64, String> {
        self.run(way, &["--detach"], id, &["/bin/sleep", "1000"])
    }

    fn remove(&self, ids: &[String]) {
        in_parallel(ids, |id| {
            let _ = self.ctr(&["task", "rm", "--force", id]);
            let _ = self.ctr(&["container", "rm", id]);
            Ok(())
        });
    }

    fn ids(&self, way: &Way, count: usize) -> Vec<String> {
        let name = slug(way.name);
        (0..count)
            .map(|number| format!("{name}-{number}"))
            .collect()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.process.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if !runtime_tests::wait_exit(self.process.id().cast_signed(), PATIENCE) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
        // The one that all containers of the namespace were below stays otherwise.
        for group in runtime_tests::cgroup_directories(&self.namespace)
            .iter()
            .rev()
        {
            let _ = fs::remove_dir(group);
        }
    }
}

/// What some of them fail with is the failure of all.
fn in_parallel(ids: &[String], act: impl Fn(&str) -> Result<(), String> + Sync) -> Option<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failure = None;
        while let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
            failure = act(id).err().or(failure);
        }
        failure
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended.fold(None, |first, failure| first.or(failure.ok().flatten()))
    })
}

/// The memory and threads of shims whose containers sleep.
fn idle(daemon: &Daemon<'_>, ways: &[Way]) -> Vec<Table> {
    let mut found: Vec<(&str, Result<Vec<Shim>, String>)> = Vec::new();
    for way in ways {
        let ids = daemon.ids(way, IDLE);
        let launched = in_parallel(&ids, |id| daemon.launch(way, id).map(drop));
        std::thread::sleep(REST);
        let shims = match launched {
            Some(failure) => Err(failure),
            None => Ok(shims(&daemon.namespace)),
        };
        daemon.remove(&ids);
        found.push((way.name, shims));
    }
    let columns: [(&str, &str, &'static str); 4] = [
        ("Rss", "resident memory of a shim", "KiB"),
        ("Pss", "its proportional share of that", "KiB"),
        ("Private_Dirty", "private dirty memory of a shim", "KiB"),
        (THREADS, "threads of a shim", "threads"),
    ];
    let row = |key: &str, (name, shims): &(&str, Result<Vec<Shim>, String>)| match shims {
        Ok(shims) => Samples {
            name: (*name).to_owned(),
            values: shims
                .iter()
                .filter_map(|shim| shim.get(key).copied())
                .collect(),
            failure: None,
        },
        Err(failure) => cannot(name, failure.clone()),
    };
    let one = |(key, what, unit): (&str, &str, &'static str)| {
        let rows = found.iter().map(|found| row(key, found)).collect();
        table(format!("{what}, {IDLE} idle"), unit, rows)
    };
    columns.map(one).into()
}

/// Lines of smaps_rollup, proc_pid_smaps(5), and [`THREADS`].
type Shim = HashMap<String, f64>;
const THREADS: &str = "threads";

/// All shims of a namespace.
fn shims(namespace: &str) -> Vec<Shim> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = entry.path();
        let line = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        let mut words = line.split('\0');
        let is_shim = words
            .next()
            .is_some_and(|program| program.contains("containerd-shim"));
        if !is_shim || !words.any(|word| word == namespace) {
            continue;
        }
        let rollup = fs::read_to_string(path.join("smaps_rollup")).unwrap_or_default();
        let mut shim: Shim = rollup
            .lines()
            .filter_map(|line| {
                let (key, value) = line.split_once(':')?;
                Some((
                    key.to_owned(),
                    value.split_whitespace().next()?.parse().ok()?,
                ))
            })
            .collect();
        let threads = fs::read_dir(path.join("task"))
            .into_iter()
            .flatten()
            .count();
        shim.insert(THREADS.to_owned(), threads as f64);
        found.push(shim);
    }
    found
}

/// `ctr run` and `ctr task exec`, in interleaved rounds.
fn times(daemon: &Daemon<'_>, ways: &[Way], rounds: usize) -> Vec<Table> {
    let beside = |way: &Way| format!("beside-{}", slug(way.name));
    let running: Vec<Option<String>> = ways
        .iter()
        .map(|way| daemon.launch(way, &beside(way)).err())
        .collect();
    let tables = ["ctr run --rm", "ctr task exec"].map(|what| {
        let time = |index: usize, round: usize| {
            let way = &ways[index];
            let id = format!("{}-{round}", slug(way.name));
            match (what, &running[index]) {
                (_, Some(failure)) => Err(failure.clone()),
                ("ctr run --rm", _) => daemon.run(way, &["--rm"], &id, &["/bin/true"]),
                _ => {
                    let words = ["task", "exec", "--exec-id", &id, &beside(way), "/bin/true"];
                    daemon.ctr(&words)
                }
            }
        };
        interleave(daemon, ways, what.to_owned(), rounds, time)
    });
    let ids: Vec<String> = ways.iter().map(beside).collect();
    daemon.remove(&ids);
    tables.into()
}

fn interleave(
    daemon: &Daemon<'_>,
    ways: &[Way],
    what: String,
    rounds: usize,
    time: impl Fn(usize, usize) -> Result<f64, String>,
) -> Table {
    let name = |way: &Way| way.name.to_owned();
    let names = std::iter::once("floor".to_owned()).chain(ways.iter().map(name));
    let mut rows: Vec<Samples> = names
        .map(|name| Samples {
            name,
            values: Vec::new(),
            failure: None,
        })
        .collect();
    // Round 0 warms the caches and finds out who cannot.
    for round in 0..=rounds {
        for (index, row) in rows.iter_mut().enumerate() {
            if row.failure.is_some() {
                continue;
            }
            let took = match index.checked_sub(1) {
                None => daemon.ctr(&["version"]),
                Some(way) => time(way, round),
            };
            match took {
                Ok(_) if round == 0 => {}
                Ok(took) => row.values.push(took),
                Err(failure) => row.failure = Some(failure),
            }
        }
    }
    table(what, "ms", rows)
}

/// As many containers as a full machine has, started by a few `ctr` at a time.
fn crowd(daemon: &Daemon<'_>, ways: &[Way], many: usize, rounds: usize) -> Table {
    let time = |index: usize, _| {
        let ids = daemon.ids(&ways[index], many);
        let begun = Instant::now();
        let failure = in_parallel(&ids, |id| daemon.launch(&ways[index], id).map(drop));
        let time = begun.elapsed();
        daemon.remove(&ids);
        failure.map_or(Ok(time.as_secs_f64() * 1000.0), Err)
    };
    let mut table = interleave(
        daemon,
        ways,
        format!("start of {many} containers, {WORKERS} at a time"),
        rounds,
        time,
    );
    // One `ctr` is no floor of a hundred.
    table.rows.remove(0);
    table
}

fn table(what: String, unit: &'static str, rows: Vec<Samples>) -> Table {
    Table {
        what,
        unit,
        gap: "",
        rows,
    }
}

fn cannot(name: &str, failure: String) -> Samples {
    Samples {
        name: name.to_owned(),
        values: Vec::new(),
        failure: Some(failure),
    }
}
