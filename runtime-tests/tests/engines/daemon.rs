//! Daemons of engines: each lives as long as a part of one story, with its files and
//! its socket in the test's directory and in the test's namespaces.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime_tests::{Case, Program, Running, containerd_configuration, wait_exit};
use rustix::process::{Pid, Signal, kill_process};

use crate::session::{PATIENCE, find_program};

/// A daemon that ends with this value.
pub struct Daemon {
    process: Option<Running>,
}

impl Daemon {
    /// Starts it and waits until it listens on `socket`.
    #[track_caller]
    pub fn start(case: &Case, program: Program, socket: &Path) -> Self {
        let process = program.limit(Duration::from_secs(600)).spawn();
        let daemon = Self {
            process: Some(process),
        };
        case.until(&format!("{} answers", socket.display()), || {
            UnixStream::connect(socket).is_ok()
        });
        daemon
    }

    /// Ends it as a crash does: nothing is cleaned up.
    pub fn crash(&mut self) {
        self.end(Signal::KILL);
    }

    fn end(&mut self, signal: Signal) {
        let Some(process) = self.process.take() else {
            return;
        };
        kill(process.pid(), signal);
        if !wait_exit(process.pid(), PATIENCE) {
            kill(process.pid(), Signal::KILL);
        }
        process.finish();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end(Signal::TERM);
    }
}

/// Sends a signal to a process of the test's.
pub fn kill(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// A private containerd without CRI.
pub struct Containerd {
    daemon: Daemon,
    directory: PathBuf,
}

impl Containerd {
    /// Starts it in `directory`, where an earlier one may have left its state.
    #[track_caller]
    pub fn start(case: &Case, directory: &Path) -> Self {
        fs::create_dir_all(directory).expect("containerd's directory");
        let socket = Self::socket(directory);
        let config = containerd_configuration(directory, &socket);
        let file = directory.join("config.toml");
        fs::write(&file, config).expect("containerd's configuration");
        let program = case.program(&find_program("containerd").expect("required before"));
        let program = program.args(["--config", &file.to_string_lossy()]);
        Self {
            daemon: Daemon::start(case, program, &socket),
            directory: directory.to_owned(),
        }
    }

    /// Where the one in `directory` listens.
    pub fn socket(directory: &Path) -> PathBuf {
        directory.join("containerd.sock")
    }

    /// Kills it.
    pub fn crash(&mut self) {
        self.daemon.crash();
    }

    /// Starts another one on what a killed one left.
    #[track_caller]
    pub fn restart(&mut self, case: &Case) {
        let directory = self.directory.clone();
        *self = Self::start(case, &directory);
    }
}

/// The shims of containerd with all these words in their command lines: other tests
/// have theirs too.
pub fn shims(words: &[&str]) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let line: Vec<&str> = line.split('\0').collect();
        if line[0].contains("containerd-shim") && words.iter().all(|word| line.contains(word)) {
            found.push(pid);
        }
    }
    found
}

/// Detaches what a daemon left mounted below its directory, and removes that.
pub fn remove_with_mounts(directory: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    for line in mounts.lines().rev() {
        let place = line.split(' ').nth(4).map(Path::new);
        if let Some(place) = place.filter(|place| place.starts_with(directory)) {
            let _ = rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH);
        }
    }
    fs::remove_dir_all(directory).expect("the daemon's directory");
}
