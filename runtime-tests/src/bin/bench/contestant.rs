//! Who takes part, and what each of them calls a command.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use runtime_tests::{Bench, Contents, runtime_binary};
use serde_json::Value;

/// Whoever takes longer has hung.
const LIMIT: Duration = Duration::from_secs(20);

/// One program that is measured.
pub struct Contestant {
    /// As tables show it.
    pub name: String,
    /// Its path.
    pub program: String,
}

/// A command about one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Run(Contents),
    Create(Contents),
    Start,
    State,
    /// SIGURG, which no program minds.
    Kill,
    /// One more /bin/true.
    Exec,
    /// `--force`
    Delete,
}

/// The floor, the runtime under test, and those named, by default the host's.
pub fn list(named: &[(String, String)], bench: &Bench) -> Vec<Contestant> {
    let mut all = vec![("floor".to_owned(), bench.c_program("floor"))];
    all.push(("corten".to_owned(), runtime_binary()));
    all.extend(named.iter().cloned());
    if named.is_empty() {
        for (name, path) in [("crun", "/usr/bin/crun"), ("runc", "/usr/sbin/runc")] {
            if Path::new(path).exists() {
                all.push((name.to_owned(), path.to_owned()));
            }
        }
    }
    all.into_iter()
        .map(|(name, program)| Contestant {
            program: installed(bench, &name, &program),
            name,
        })
        .collect()
}

/// A copy of the program, as an installation makes it. What a linker has written lies
/// in the page cache page by page, and is mapped more slowly than what was written in
/// one piece: 0.1 ms of a program of 6 MB.
fn installed(bench: &Bench, name: &str, program: &str) -> String {
    let copy = bench.directory().join("installed").join(name);
    fs::create_dir_all(copy.with_file_name("")).expect("a directory for the contestants");
    let content = fs::read(program).unwrap_or_else(|error| panic!("{program}: {error}"));
    fs::write(&copy, content).expect("a copy of a contestant");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("its mode");
    copy.to_string_lossy().into_owned()
}

impl Contestant {
    /// Whether it is the C program with words of its own.
    pub fn is_floor(&self) -> bool {
        self.name == "floor"
    }

    /// The command line of a verb.
    pub fn line(&self, bench: &Bench, verb: Verb, id: &str) -> Vec<String> {
        let root = bench.state_root(&self.name).to_string_lossy().into_owned();
        let bundle = |contents| bench.bundle(contents).to_string_lossy().into_owned();
        let words: Vec<String> = if self.is_floor() {
            match verb {
                Verb::Run(Contents::Docker) => {
                    vec!["docker".into(), bundle(Contents::Docker), id.into()]
                }
                Verb::Run(contents) => vec!["run".into(), bundle(contents), id.into()],
                Verb::Create(contents) => {
                    vec!["create".into(), bundle(contents), id.into(), root]
                }
                Verb::Start => vec!["start".into(), id.into(), root],
                Verb::State => vec!["state".into(), id.into(), root],
                Verb::Kill => vec!["kill".into(), id.into(), root, "23".into()],
                Verb::Exec => vec!["exec".into(), id.into(), root],
                Verb::Delete => vec!["delete".into(), id.into(), root],
            }
        } else {
            let words: Vec<String> = match verb {
                Verb::Run(contents) => {
                    vec!["run".into(), "--bundle".into(), bundle(contents), id.into()]
                }
                Verb::Create(contents) => {
                    vec![
                        "create".into(),
                        "--bundle".into(),
                        bundle(contents),
                        id.into(),
                    ]
                }
                Verb::Start => vec!["start".into(), id.into()],
                Verb::State => vec!["state".into(), id.into()],
                Verb::Kill => vec!["kill".into(), id.into(), "URG".into()],
                Verb::Exec => vec!["exec".into(), id.into(), "/bin/true".into()],
                Verb::Delete => vec!["delete".into(), "--force".into(), id.into()],
            };
            [vec!["--root".to_owned(), root], words].concat()
        };
        [vec![self.program.clone()], words].concat()
    }

    /// Runs a verb to its end; how long it took in microseconds.
    pub fn time(&self, bench: &Bench, verb: Verb, id: &str) -> Result<u64, String> {
        time_line(bench, &self.line(bench, verb, id))
    }

    /// Runs a verb whose time does not matter.
    pub fn perform(&self, bench: &Bench, verb: Verb, id: &str) -> Result<(), String> {
        self.time(bench, verb, id).map(drop)
    }

    /// `list`; the floor has none.
    pub fn time_list(&self, bench: &Bench) -> Result<u64, String> {
        let root = bench.state_root(&self.name).to_string_lossy().into_owned();
        let line = [&self.program, "--root", &root, "list"].map(str::to_owned);
        time_line(bench, &line)
    }

    /// Pid of a container's init.
    pub fn init_pid(&self, bench: &Bench, id: &str) -> Result<i32, String> {
        if self.is_floor() {
            let file = bench.state_root(&self.name).join(format!("{id}.pid"));
            let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
            return text.trim().parse().map_err(|_| "no pid".to_owned());
        }
        let line = self.line(bench, Verb::State, id);
        let output = Command::new(&line[0]).args(&line[1..]).output();
        let output = output.map_err(|error| error.to_string())?;
        let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let pid = state["pid"]
            .as_i64()
            .ok_or_else(|| "no pid in the state".to_owned())?;
        i32::try_from(pid).map_err(|_| "no pid".to_owned())
    }
}

/// Runs a command line to its end; how long it took in microseconds. Output goes to
/// files: init inherits it, and a pipe would have to be drained.
pub fn time_line(bench: &Bench, line: &[String]) -> Result<u64, String> {
    let thread = format!("{:?}", std::thread::current().id());
    let errors = bench
        .directory()
        .join(format!("stderr-{}", thread.replace(['(', ')'], "")));
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
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
        let last: String = text
            .lines()
            .last()
            .unwrap_or_default()
            .chars()
            .take(160)
            .collect();
        return Err(format!("{status}: {last}"));
    }
    Ok(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
