//! One story, told with two runtimes: what the engine answers goes into a
//! transcript, and both transcripts must be the same.

use std::fs;
use std::path::Path;
use std::time::Duration;

use runtime_tests::{
    Case, Finished, Program, View, cgroup_directories, skip, wait_for_no_descendants,
};

/// The files that engines set limits in: of cgroup v1, and of v2.
pub const LIMIT_FILES: [&str; 18] = [
    "memory.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.swappiness",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.shares",
    "cpuset.cpus",
    "cpuset.mems",
    "pids.max",
    "blkio.weight",
    "memory.max",
    "memory.low",
    "memory.swap.max",
    "cpu.max",
    "cpu.weight",
    "io.weight",
    "io.bfq.weight",
];

/// How one engine is called: its command with global options and these arguments.
/// Containers must go below the cgroup [`cgroup_parent`].
pub type Engine = fn(&Case, &Runtime, &[&str]) -> Program;

/// One of the two runtimes.
pub struct Runtime {
    /// `tested` or `peer`: what engines that want a name know it by.
    pub name: &'static str,
    /// The binary.
    pub path: String,
}

/// An engine with one runtime, and what it has answered so far.
pub struct Session<'a> {
    /// The test.
    pub case: &'a Case,
    /// What the engine runs containers with.
    pub runtime: Runtime,
    engine: Engine,
    transcript: Vec<String>,
}

/// The runtime that the one under test is compared with.
pub fn peer(case: &Case) -> String {
    // crun refuses hybrid hosts, and Debian 12's wants CAP_SYS_RESOURCE on v2.
    peer_or(if case.view == View::V1 {
        "crun"
    } else {
        "runc"
    })
}

/// The peer that `PEER` asks for, else the program `default`.
pub fn peer_or(default: &str) -> String {
    std::env::var("PEER").unwrap_or_else(|_| {
        find_program(default).unwrap_or_else(|| skip(&format!("{default} is not installed")))
    })
}

/// Tells `story` with both runtimes and compares. What volatile things it meets
/// (ids, pids, times) it must not write down.
#[track_caller]
pub fn compare(case: &mut Case, engine: Engine, story: impl Fn(&mut Session)) {
    let peer = peer(case);
    compare_with(case, peer, engine, story);
}

/// [`compare`] with a peer of the test's choice.
#[track_caller]
pub fn compare_with(case: &mut Case, peer: String, engine: Engine, story: impl Fn(&mut Session)) {
    let tested = case.runtime_path().to_owned();
    let runtimes = [("tested", tested), ("peer", peer)];
    compare_all(case, runtimes, engine, story);
}

/// [`compare`] of several ways to call the runtime under test with the last of these.
#[track_caller]
pub fn compare_all<const COUNT: usize>(
    case: &mut Case,
    runtimes: [(&'static str, String); COUNT],
    engine: Engine,
    story: impl Fn(&mut Session),
) {
    let told = runtimes.map(|(name, path)| {
        let mut session = Session {
            case,
            runtime: Runtime { name, path },
            engine,
            transcript: Vec::new(),
        };
        story(&mut session);
        (name, session.end())
    });
    let Some(((_, theirs), all)) = told.split_last() else {
        return;
    };
    for (name, mine) in all {
        let differences: Vec<String> = mine
            .iter()
            .zip(theirs)
            .filter(|(mine, theirs)| mine != theirs)
            .map(|(mine, theirs)| format!("- {mine}\n+ {theirs}"))
            .collect();
        let differences = differences.join("\n");
        assert!(
            differences.is_empty(),
            "- here ({name}), + with the peer:\n{differences}"
        );
        assert_eq!(mine.len(), theirs.len(), "one story is longer ({name})");
    }
}

impl Session<'_> {
    /// Whether this is the telling with the runtime under test.
    pub fn is_tested(&self) -> bool {
        self.runtime.path == self.case.runtime_path()
    }

    /// Runs the engine; the answer is not compared.
    #[track_caller]
    pub fn ask(&self, args: &[&str]) -> Finished {
        self.command(args).run()
    }

    /// The engine's command, unfinished.
    pub fn command(&self, args: &[&str]) -> Program {
        (self.engine)(self.case, &self.runtime, args)
    }

    /// Runs the engine; exit code and stdout must be the peer's.
    #[track_caller]
    pub fn tell(&mut self, args: &[&str]) -> Finished {
        let finished = self.ask(args);
        self.write_down(&finished);
        finished
    }

    /// Puts exit code and stdout of any command into the transcript.
    pub fn write_down(&mut self, finished: &Finished) {
        let label = self.label(finished);
        if !finished.status.success() {
            // Of use should the transcripts differ.
            eprintln!("{} {label}: {}", self.runtime.name, finished.stderr);
        }
        self.note(
            &label,
            &format!("{:?} {}", finished.code(), finished.stdout),
        );
    }

    /// The command line without what is the same in all of them.
    pub fn label(&self, finished: &Finished) -> String {
        let engine = self.command(&[]);
        let rest = finished.line.strip_prefix(engine.line());
        let line = rest.unwrap_or(&finished.line).trim();
        // containerd is told of a runtime by its binary, or by the shim beside it.
        let shim = crate::shim::shim_of(&self.runtime.path);
        line.replace(&*shim.to_string_lossy(), "RUNTIME")
            .replace(&self.runtime.path, "RUNTIME")
            .replace("--runc-binary RUNTIME", "--runtime RUNTIME")
    }

    /// Puts anything else into the transcript. The runtime's own name is no difference.
    pub fn note(&mut self, what: &str, found: &str) {
        let found = found.replace(&self.runtime.path, "RUNTIME");
        self.transcript.push(format!("{what}: {found}"));
    }

    /// Writes down files of the cgroups that belong to a container of this id: every
    /// hierarchy's file of these names.
    pub fn note_cgroup_files(&mut self, id: &str, files: &[&str]) {
        for directory in cgroup_directories(id) {
            for name in files {
                if let Ok(content) = fs::read_to_string(directory.join(name)) {
                    self.note(name, &content);
                }
            }
        }
    }

    /// Engines never remove the cgroup they were told to use, nor podman its
    /// monitors' and all of its pods'. Containers' own are the runtime's to remove:
    /// they stay, for the suite to find.
    fn remove_cgroup_parents(&self) {
        let token = self.case.token();
        if uses_systemd(self.case) {
            let stop = self.case.program("systemctl");
            stop.args(["stop", &cgroup_parent(self.case)]).run();
        }
        for directory in cgroup_directories(token).iter().rev() {
            let name = directory.file_name().unwrap_or_default();
            if !name.to_string_lossy().starts_with("libpod-") {
                let _ = fs::remove_dir(directory);
            }
        }
    }

    /// The engine cleans up behind containers after they have ended: waits for that.
    #[track_caller]
    fn end(self) -> Vec<String> {
        let left = wait_for_no_descendants(PATIENCE);
        assert!(left.is_empty(), "the engine's processes stay: {left:?}");
        self.remove_cgroup_parents();
        self.transcript
    }
}

/// The cgroup of this test that an engine makes and leaves; what is in it must be gone.
pub fn cgroup_parent(case: &Case) -> String {
    match uses_systemd(case) {
        true => format!("{}.slice", case.token()),
        false => format!("/{}", case.token()),
    }
}

/// Whether systemd makes the cgroups: where it runs the machine, on cgroup v2 alone.
pub fn uses_systemd(case: &Case) -> bool {
    case.view.is_unified() && Path::new("/run/systemd/system").exists()
}

/// Where a program is: in PATH, where only root looks, or where only podman does.
pub fn find_program(name: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path
        .split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/lib/podman"]);
    let mut candidates = places.map(|place| Path::new(place).join(name));
    let found = candidates.find(|path| path.is_file())?;
    Some(found.to_string_lossy().into_owned())
}

/// Skips the test by the name of the first program that is missing.
pub fn require(programs: &[&str]) {
    for program in programs {
        if find_program(program).is_none() {
            skip(&format!("{program} is not installed (`make test-deps`)"));
        }
    }
}

/// Longer than the library's own limit: an engine starts a dozen programs.
pub const PATIENCE: Duration = Duration::from_secs(120);
