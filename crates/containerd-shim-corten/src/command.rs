//! Executing `corten`: `create` and `exec` clone, which a process with threads must
//! not do; `start` and `delete` of a container with hooks wait for programs that may
//! themselves ask this shim.

use std::process::{Command, Stdio};

use crate::io::ProcessEnds;
use crate::options::Options;
use crate::reaper::{Reaper, ended};

/// How `corten` is called for one container.
#[derive(Debug, Clone)]
pub struct Corten {
    pub options: Options,
    /// Directory of states.
    pub root: String,
    pub bundle: String,
    pub debug: bool,
}

impl Corten {
    /// A call of one command, its streams nowhere.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.options.binary());
        command
            .args(["--root", &self.root, "--log-format", "json"])
            .args(["--log", &self.log()]);
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
        command
    }

    fn log(&self) -> String {
        format!("{}/log.json", self.bundle)
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// The last words of its log.
    pub async fn run(&self, reaper: &Reaper, mut command: Command) -> Result<(), String> {
        // One command, one log: the last words are its own.
        let _ = std::fs::remove_file(self.log());
        let expectation = reaper.expect();
        let program = self.options.binary();
        let child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        // The ends that it inherited are the container's now.
        drop(command);
        let pid = i32::try_from(child.id()).map_err(|error| error.to_string())?;
        let mut end = expectation.of(pid);
        match ended(&mut end).await.status {
            0 => Ok(()),
            status => Err(self
                .last_words()
                .unwrap_or_else(|| format!("{} ended with status {status}", program.display()))),
        }
    }

    /// As [`run`](Self::run), with the streams of a process, and its terminal.
    pub async fn run_with(
        &self,
        reaper: &Reaper,
        mut command: Command,
        ends: ProcessEnds,
        arguments: &[&str],
    ) -> Result<Option<crate::io::ConsoleSocket>, String> {
        let [stdin, stdout, stderr] = ends.stdio;
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        if let Some(socket) = &ends.console {
            command.args(["--console-socket", socket.path()]);
        }
        command.args(arguments);
        self.run(reaper, command).await?;
        Ok(ends.console)
    }

    /// `msg` of the last line of the log.
    fn last_words(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Line {
            msg: String,
        }
        let text = std::fs::read_to_string(self.log()).ok()?;
        let line: Line = serde_json::from_str(text.lines().last()?).ok()?;
        Some(line.msg)
    }
}
