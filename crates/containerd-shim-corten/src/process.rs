//! One process of a container: its init, or an exec.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use containerd_shim_protos::api::Status;
use tokio::sync::watch;

use crate::io::{Plumbing, Wanted};
use crate::reaper::Exit;

/// The state of a process, as containerd counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Made, not started. An exec has no pid yet.
    Created,
    /// Its program runs, or is just about to.
    Running,
    /// It has ended, and its end was told.
    Stopped(Exit),
}

/// A pid, as messages have it.
pub fn message_pid(pid: i32) -> u32 {
    u32::try_from(pid).unwrap_or(0)
}

/// A process.
#[derive(Debug)]
pub struct Process {
    /// Empty for init.
    pub exec_id: String,
    /// What its streams are connected to.
    pub wanted: Wanted,
    pub plumbing: Plumbing,
    now: Mutex<Now>,
    /// Tells those who wait.
    end: watch::Sender<Option<Exit>>,
}

#[derive(Debug, Clone, Copy)]
struct Now {
    pid: i32,
    phase: Phase,
    /// Somebody is starting it.
    is_starting: bool,
}

impl Process {
    /// One that does not run yet.
    pub fn new(exec_id: String, wanted: Wanted, pid: i32) -> Self {
        Self {
            exec_id,
            wanted,
            plumbing: Plumbing::default(),
            now: Mutex::new(Now {
                pid,
                phase: Phase::Created,
                is_starting: false,
            }),
            end: watch::Sender::new(None),
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// 0 before an exec was started, or an init of a checkpoint.
    pub fn pid(&self) -> i32 {
        self.now().pid
    }

    /// The pid, as messages have it.
    pub fn message_pid(&self) -> u32 {
        message_pid(self.pid())
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        self.now().phase
    }

    /// An init that waits for its start.
    pub fn set_pid(&self, pid: i32) {
        self.now().pid = pid;
    }

    /// Whether somebody is starting it.
    pub fn is_starting(&self) -> bool {
        self.now().is_starting
    }

    /// Before it is started: one at a time, and only what was not.
    ///
    /// # Errors
    /// What it is instead of created.
    pub fn begin_start(&self) -> Result<(), &'static str> {
        let mut now = self.now();
        match now.phase {
            Phase::Created if !now.is_starting => {
                now.is_starting = true;
                Ok(())
            }
            Phase::Created | Phase::Running => Err("cannot start a running process"),
            Phase::Stopped(_) => Err("cannot start a stopped process"),
        }
    }

    /// After it was started, or was not.
    pub fn end_start(&self) {
        self.now().is_starting = false;
    }

    /// Its program runs.
    pub fn set_running(&self, pid: i32) {
        let mut now = self.now();
        now.pid = pid;
        if now.phase == Phase::Created {
            now.phase = Phase::Running;
        }
    }

    /// It has ended; everybody who waits hears it.
    pub fn set_stopped(&self, exit: Exit) {
        self.now().phase = Phase::Stopped(exit);
        self.end.send_replace(Some(exit));
    }

    /// Waits for its end.
    pub async fn wait(&self) -> Exit {
        crate::reaper::ended(&mut self.end.subscribe()).await
    }

    /// How long its last words may take to reach the client.
    pub fn drain_limit(&self) -> Duration {
        match self.exec_id.as_str() {
            "" => Duration::from_secs(10),
            _ => Duration::from_secs(2),
        }
    }

    /// As containerd names it. `Paused` is a state of the container.
    pub fn status(&self) -> Status {
        match self.phase() {
            Phase::Created => Status::CREATED,
            Phase::Running => Status::RUNNING,
            Phase::Stopped(_) => Status::STOPPED,
        }
    }
}
