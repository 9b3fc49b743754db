//! Child processes with a time limit. Output goes to files, never to pipes: a
//! container that inherits a pipe would keep it open and the reader waiting.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::pace::paced;

/// Generous, because two cores may be busy with eight other things.
const LIMIT: Duration = Duration::from_secs(60);

/// Every pid that [`Program`] gave a [`Running`], who alone may reap it.
static SPAWNED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Whether the pid is that of a [`Program`] that was started.
pub(crate) fn was_spawned(pid: i32) -> bool {
    SPAWNED.lock().expect("no panic").contains(&pid)
}

/// What a finished child left.
#[derive(Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Finished {
    /// The exit code, or `None` for a death by signal.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Panics unless the child exited with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "{}", self.describe());
        self
    }

    /// Panics unless the child exited with `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{}", self.describe());
        self
    }

    /// Panics unless the child failed by itself (a crash is not a failure).
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(
            self.code().is_some_and(|code| code != 0),
            "wanted an error: {}",
            self.describe()
        );
        self
    }

    /// Panics unless stderr contains `needle`, whatever the case.
    #[track_caller]
    pub fn says(self, needle: &str) -> Self {
        assert!(
            self.stderr.to_lowercase().contains(&needle.to_lowercase()),
            "stderr lacks {needle:?}: {}",
            self.describe()
        );
        self
    }

    /// The whole story in a few lines.
    pub fn describe(&self) -> String {
        format!(
            "`{}` ended with {} after {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.line,
            self.status,
            self.took,
            cut(&self.stdout),
            cut(&self.stderr)
        )
    }
}

fn cut(text: &str) -> String {
    text.chars().take(4000).collect()
}

/// One program to run, with its output kept in `keep`.
pub struct Program {
    command: Command,
    keep: PathBuf,
    limit: Duration,
    line: String,
}

impl Program {
    /// A program whose output files go to the directory `keep`.
    pub fn new(keep: &Path, program: &str) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self {
            command,
            keep: keep.to_owned(),
            limit: LIMIT,
            line: program.to_owned(),
        }
    }

    /// The command line so far, for messages.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Appends arguments.
    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        for arg in args {
            self.line.push(' ');
            self.line.push_str(arg.as_ref());
            self.command.arg(arg.as_ref());
        }
        self
    }

    /// Sets one variable of the child's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the child's working directory.
    pub fn directory(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Gives the child this text as standard input.
    pub fn input(mut self, text: &str) -> Self {
        let path = self.keep.join("stdin");
        fs::write(&path, text).expect("stdin file");
        self.command.stdin(File::open(path).expect("stdin file"));
        self
    }

    /// Kills the child after this long and fails the test.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts the child and leaves it running.
    pub fn spawn(mut self) -> Running {
        let number = fs::read_dir(&self.keep).map_or(0, Iterator::count);
        let stdout = self.keep.join(format!("{number}.out"));
        let stderr = self.keep.join(format!("{number}.err"));
        self.command
            .stdout(File::create(&stdout).expect("stdout file"));
        self.command
            .stderr(File::create(&stderr).expect("stderr file"));
        let begun = Instant::now();
        let child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.line));
        SPAWNED
            .lock()
            .expect("no panic")
            .insert(child.id().cast_signed());
        Running {
            child,
            stdout,
            stderr,
            begun,
            limit: paced(self.limit),
            line: self.line,
        }
    }

    /// Runs the child to its end; a hang kills it and fails the test.
    #[track_caller]
    pub fn run(self) -> Finished {
        self.spawn().finish()
    }
}

/// A child that has been started.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    begun: Instant,
    limit: Duration,
    line: String,
}

impl Running {
    /// The child's pid.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// What the child has written to stdout so far.
    pub fn output(&self) -> String {
        read(&self.stdout)
    }

    /// Waits for the end; a hang kills the child and fails the test.
    #[track_caller]
    pub fn finish(self) -> Finished {
        let in_time = wait_exit(self.pid(), self.limit);
        self.finished(in_time)
    }

    /// Ends the child.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// [`Running::finish`] of several, and buries meanwhile every orphan that dies, as
    /// PID 1 does: a pid namespace ends only when all of its zombies are gone.
    #[track_caller]
    pub fn finish_as_reaper(mut all: Vec<Self>) -> Vec<Finished> {
        let mut finished = Vec::new();
        while let Some(next) = all.first() {
            let late = next.begun.elapsed() > next.limit;
            if late || wait_exit(next.pid(), Duration::from_millis(2)) {
                finished.push(all.remove(0).finished(!late));
                continue;
            }
            let spared: Vec<i32> = all.iter().map(Self::pid).collect();
            if let Some(ended) = crate::host::reap_all_but(&spared) {
                let place = spared.iter().position(|pid| *pid == ended);
                finished.push(all.remove(place.expect("one of them")).finished(true));
            }
        }
        finished
    }

    #[track_caller]
    fn finished(mut self, in_time: bool) -> Finished {
        if !in_time {
            let _ = self.child.kill();
        }
        let status = self.child.wait().expect("wait");
        let finished = Finished {
            status,
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            took: self.begun.elapsed(),
            line: self.line,
        };
        assert!(in_time, "hung, killed: {}", finished.describe());
        finished
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Waits until the process is a zombie or gone; false when `limit` ran out first.
pub fn wait_exit(pid: i32, limit: Duration) -> bool {
    let Some(pid) = Pid::from_raw(pid) else {
        return true;
    };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return true;
    };
    let limit = Timespec::try_from(limit).expect("a limit below a century");
    let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
    poll(&mut watched, Some(&limit)).expect("poll") > 0
}

impl Running {
    /// Waits for the end without judging it, for clean-up.
    pub(crate) fn finish_quietly(mut self) {
        if !wait_exit(self.pid(), self.limit) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
