//! One command with one of its system calls struck, for every one of them, and the
//! judge of what it leaves.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use runtime_tests::{
    Bundle, Case, Fault, Outcome, Running, Strike, cgroup_directories, descendants, held,
    mounts_below, process_is_alive,
};
use serde_json::Value;

/// What a container must be before the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    Absent,
    Created,
    Running,
    Paused,
    Stopped,
}

/// A command that is struck. `{id}` and `{bundle}` stand for those of the test, `{new}`
/// and `{mounted}` for lists of mounts that a container does not have, and has.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    pub before: Before,
    pub line: &'static [&'static str],
    /// 0 strikes the command, 1 its first child, 2 its second.
    pub process: usize,
}

/// What the program of a `run` in the foreground makes.
const MARK: &str = "/ran";

const NEW: &str = r#"[{"destination": "/new", "type": "tmpfs"},
    {"destination": "/new/usr", "source": "/usr", "options": ["rbind", "ro"]}]"#;
const MOUNTED: &str = r#"[{"destination": "/dev/shm"}, {"destination": "/dev/mqueue"}]"#;

/// Nobody needs more; a command that does has a loop.
pub const MOST_CALLS: usize = 3000;

/// `ABUSE=full`: everything, however long it takes.
pub fn is_full() -> bool {
    std::env::var("ABUSE").is_ok_and(|how| how == "full")
}

/// Calls `test` with a bundle fit for the command, with these resources if any.
pub fn with_target(
    case: &mut Case,
    command: Command,
    resources: Option<Value>,
    test: impl FnOnce(&Target<'_>),
) {
    case.only_corten();
    let mut bundle = case.bundle();
    let stays = command.line.contains(&"--detach") || command.before != Before::Absent;
    let leaves_a_mark: &[&str] = &["touch", MARK];
    let program = if stays {
        &["sleep", "1000"]
    } else {
        leaves_a_mark
    };
    bundle.config.args(program);
    if let Some(resources) = resources {
        bundle.config.set("/linux/resources", resources);
    }
    bundle.write();
    fs::write(bundle.path.join("new"), NEW).expect("list of mounts");
    fs::write(bundle.path.join("mounted"), MOUNTED).expect("list of mounts");
    let id = case.id();
    test(&Target {
        case,
        bundle: &bundle,
        id: &id,
    });
}

/// One container that is made again for each strike.
pub struct Target<'a> {
    pub case: &'a Case,
    pub bundle: &'a Bundle,
    pub id: &'a str,
}

impl Target<'_> {
    /// Strikes one call and returns how the command ended.
    pub fn strike(&self, command: Command, call: usize, fault: Fault) -> Outcome {
        self.forget_output();
        let _ = fs::remove_file(self.mark());
        self.prepare(command.before);
        let root = self.case.state_root().to_string_lossy().into_owned();
        let bundle = self.bundle.path.to_string_lossy().into_owned();
        let (new, mounted) = (format!("{bundle}/new"), format!("{bundle}/mounted"));
        let mut line = vec![self.case.runtime_path(), "--root", &root];
        line.extend(command.line.iter().map(|word| match *word {
            "{id}" => self.id,
            "{bundle}" => &bundle,
            "{new}" => &new,
            "{mounted}" => &mounted,
            other => other,
        }));
        let strike = Strike {
            process: command.process,
            call,
            fault,
        };
        strike.run(held(self.case.program("sh"), &line))
    }

    fn mark(&self) -> PathBuf {
        self.bundle.rootfs().join(MARK.trim_start_matches('/'))
    }

    /// What a failed command left that it should not have. Once its program has ended,
    /// a `run` whose clean-up is refused keeps state and cgroups, for `delete`.
    pub fn left_by_failure(&self) -> Vec<String> {
        let ran = self.mark().exists();
        self.in_time(|left| left.wrong(ran))
    }

    /// Each program's output is two files, and their number is that of the files.
    fn forget_output(&self) {
        let output = self.case.directory.join("output");
        for entry in fs::read_dir(output).into_iter().flatten().flatten() {
            let _ = fs::remove_file(entry.path());
        }
    }

    fn prepare(&self, before: Before) {
        if before == Before::Absent {
            return;
        }
        let case = self.case;
        case.create_command(self.bundle, self.id, &[]).run().ok();
        if before != Before::Created {
            case.start(self.id);
        }
        match before {
            Before::Paused => drop(case.runtime().args(["pause", self.id]).run().ok()),
            Before::Stopped => case.kill(self.id),
            _ => {}
        }
    }

    /// `list` works and names no living process that is dead, nor the other way round.
    pub fn check_list(&self, what: &str) {
        // Somebody may be dying just now.
        let end = Instant::now() + Duration::from_secs(10);
        while let Some(lie) = self.lie() {
            assert!(Instant::now() < end, "{what}: {lie}");
        }
    }

    fn lie(&self) -> Option<String> {
        let list = self.case.runtime().args(["list", "--format", "json"]).run();
        let list = list.ok();
        let entries: Value = serde_json::from_str(&list.stdout).expect("list is JSON");
        let entries = entries.as_array().into_iter().flatten();
        // A stopped container has no pid.
        let living: Vec<&Value> = entries.filter(|entry| entry["pid"] != 0).collect();
        for entry in &living {
            let pid = entry["pid"].as_i64().unwrap_or_default();
            if !process_is_alive(i32::try_from(pid).expect("a pid")) {
                return Some(format!("{entry} is dead"));
            }
        }
        // `creating` without a pid says as much: somebody was killed while he made it.
        let none = list.stdout.trim() == "null" || list.stdout.trim() == "[]";
        let others = descendants();
        (none && !others.is_empty()).then(|| format!("{others:?} live, and no container is listed"))
    }

    /// `delete --force` leaves nothing.
    pub fn clear(&self, what: &str) {
        let line = ["delete", "--force", self.id];
        let deleted = self.case.runtime().args(line).spawn();
        let deleted = Running::finish_as_reaper(vec![deleted]).remove(0);
        assert!(
            deleted.status.success(),
            "{what}: delete --force: {}",
            deleted.describe()
        );
        self.check_clean(what);
    }

    /// No state, cgroup, mount or process; the dying are given time.
    fn check_clean(&self, what: &str) {
        let left = self.in_time(|left| left.wrong(false));
        assert!(left.is_empty(), "{what}: left behind: {left:?}");
    }

    /// What stays of a container.
    fn in_time(&self, wrong: impl Fn(Leftovers) -> Vec<String>) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let left = wrong(self.leftovers());
            if left.is_empty() || Instant::now() > end {
                return left;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn leftovers(&self) -> Leftovers {
        let entries = fs::read_dir(self.case.state_root()).expect("state root");
        let state = entries.map(|entry| format!("state {:?}", entry.expect("entry").file_name()));
        let show = |path: &PathBuf| path.display().to_string();
        let cgroups = cgroup_directories(self.case.token());
        let mounts = mounts_below(&self.case.directory);
        let processes = descendants();
        Leftovers {
            of_a_stopped_one: state.chain(cgroups.iter().map(show)).collect(),
            others: mounts
                .iter()
                .map(show)
                .chain(processes.iter().map(|(pid, line)| format!("{pid} {line}")))
                .collect(),
        }
    }
}

/// What there still is of a container.
struct Leftovers {
    /// State and cgroups, as one has that has stopped.
    of_a_stopped_one: Vec<String>,
    /// Mounts and processes.
    others: Vec<String>,
}

impl Leftovers {
    /// What should not be there; `stopped`: a stopped container may.
    fn wrong(self, stopped: bool) -> Vec<String> {
        match stopped {
            true => self.others,
            false => [self.of_a_stopped_one, self.others].concat(),
        }
    }
}

/// A test for each command that changes something, and for each process that one makes
/// on the way to the container's program: number 0 is the command itself. After the
/// sentence come those that the caller wants beside.
macro_rules! every_command {
    ($sentence:tt; $($more:tt)*) => {
        $crate::stricken::commands! {
            $sentence;
            create: 0 of ["create", "--bundle", "{bundle}", "{id}"], Absent;
            init_of_create: 1 of ["create", "--bundle", "{bundle}", "{id}"], Absent;
            run_detached: 0 of ["run", "--detach", "--bundle", "{bundle}", "{id}"], Absent;
            init_of_run: 1 of ["run", "--bundle", "{bundle}", "{id}"], Absent;
            run_in_the_foreground: 0 of ["run", "--bundle", "{bundle}", "{id}"], Absent;
            start: 0 of ["start", "{id}"], Created;
            exec: 0 of ["exec", "{id}", "true"], Running;
            joiner_of_exec: 1 of ["exec", "{id}", "true"], Running;
            process_of_exec: 2 of ["exec", "{id}", "true"], Running;
            kill: 0 of ["kill", "{id}", "KILL"], Running;
            pause: 0 of ["pause", "{id}"], Running;
            resume: 0 of ["resume", "{id}"], Paused;
            mounts_add: 0 of ["mounts", "add", "{id}", "{new}"], Running;
            visitor_of_mounts_add: 1 of ["mounts", "add", "{id}", "{new}"], Running;
            mounts_remove: 0 of ["mounts", "remove", "{id}", "{mounted}"], Running;
            visitor_of_mounts_remove: 1 of ["mounts", "remove", "{id}", "{mounted}"], Running;
            delete: 0 of ["delete", "{id}"], Stopped;
            delete_of_a_running_one: 0 of ["delete", "--force", "{id}"], Running;
            $($more)*
        }
    };
}
pub(crate) use every_command;

macro_rules! commands {
    ($sentence:tt; $($name:ident: $process:literal of $line:expr, $before:ident;)*) => {
        $(#[convention($sentence)]
        fn $name(case: &mut Case) {
            everywhere(case, Command {
                before: Before::$before,
                line: &$line,
                process: $process,
            });
        })*
    };
}
pub(crate) use commands;
