//! Executing `corten`: `create` and `exec` clone, which a process with threads must
//! not do; `start` and `delete` of a container with hooks wait for programs that may
//! themselves ask this shim.

use std::process::{Command, Stdio};

use crate::io::ProcessEnds;
use crate::options::Options;
use crate::reaper::{Reaper, ended};

/// A status above is that of a signal; `corten` itself ends with small ones.
const SIGNALS: u32 = 128;

/// How `corten` is called for one container.
#[derive(Debug, Clone)]
pub struct Corten {
    pub options: Options,
    /// Directory of states.
    pub root: String,
    pub bundle: String,
    pub debug: bool,
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    words: String,
    /// It did not fail by itself: what it had made it did not take away again.
    pub was_killed: bool,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.words)
    }
}

impl Failure {
    fn own(words: impl ToString) -> Self {
        Self {
            words: words.to_string(),
            was_killed: false,
        }
    }
}

/// One call of `corten`, and the log that is its own.
#[derive(Debug)]
pub struct Call {
    pub command: Command,
    log: String,
}

impl Corten {
    /// A call that changes the container, its streams nowhere. There is one at a time.
    pub fn call(&self, name: &str) -> Call {
        self.call_with_log(name, format!("{}/log.json", self.bundle))
    }

    /// A call beside others.
    pub fn call_with_log(&self, name: &str, log: String) -> Call {
        let mut command = Command::new(self.options.binary());
        command
            .args(["--root", &self.root, "--log-format", "json"])
            .args(["--log", &log]);
        if self.debug {
            command.arg("--debug");
        }
        if self.options.systemd_cgroup {
            command.arg("--systemd-cgroup");
        }
        command
            .arg(name)
            .current_dir(&self.bundle)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Call { command, log }
    }

    /// Where `create` and `restore` write the pid of init.
    pub fn pid_file(&self) -> String {
        format!("{}/init.pid", self.bundle)
    }

    /// What the options say of making a container.
    pub fn add_create_options(&self, call: &mut Call) {
        if self.options.no_pivot_root {
            call.command.arg("--no-pivot");
        }
        if self.options.no_new_keyring {
            call.command.arg("--no-new-keyring");
        }
    }
}

impl Call {
    /// Runs it to its end.
    ///
    /// # Errors
    /// The last words of its log.
    pub async fn run(self, reaper: &Reaper) -> Result<(), Failure> {
        let Self { mut command, log } = self;
        // One command, one log: the last words are its own.
        let _ = std::fs::remove_file(&log);
        let expectation = reaper.expect();
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .spawn()
            .map_err(|error| Failure::own(format!("{program}: {error}")))?;
        // The ends that it inherited are the container's now.
        drop(command);
        let pid = i32::try_from(child.id()).map_err(Failure::own)?;
        let mut end = expectation.of(pid);
        match ended(&mut end).await.status {
            0 => Ok(()),
            status => Err(Failure {
                words: last_words(&log)
                    .unwrap_or_else(|| format!("{program} ended with status {status}")),
                was_killed: status > SIGNALS,
            }),
        }
    }

    /// As [`run`](Self::run), with the streams of a process, and its terminal.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub async fn run_with(
        mut self,
        reaper: &Reaper,
        ends: ProcessEnds,
        id: &str,
    ) -> Result<Option<crate::io::ConsoleSocket>, Failure> {
        let [stdin, stdout, stderr] = ends.stdio;
        self.command.stdin(stdin).stdout(stdout).stderr(stderr);
        if let Some(socket) = &ends.console {
            self.command.args(["--console-socket", socket.path()]);
        }
        self.command.arg(id);
        self.run(reaper).await?;
        Ok(ends.console)
    }
}

/// `msg` of the last line of a log.
fn last_words(log: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Line {
        msg: String,
    }
    let text = std::fs::read_to_string(log).ok()?;
    let line: Line = serde_json::from_str(text.lines().last()?).ok()?;
    Some(line.msg)
}
