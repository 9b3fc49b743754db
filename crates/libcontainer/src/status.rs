//! What state a container is in: derived from what the kernel knows, never stored.
//!
//! | what is there | status |
//! |---|---|
//! | only `creating.json`, init alive, or not even that, and somebody at work | creating |
//! | init alive, and it reads `exec.fifo` | created |
//! | init alive, its own cgroup frozen | paused |
//! | init alive | running |
//! | no init: no such pid, a zombie, or another start time | stopped |

use std::fmt;
use std::os::fd::AsFd;

use kernel::{Errno, pidfd};
use serde::Serialize;

use crate::error::{Doing, Result};
use crate::state::{NOT_YET, State};
use crate::store::{ContainerDirectory, Loaded};

/// `status` of the OCI state (runtime.md), with the `paused` that all runtimes add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `create` is at work. What it leaves when it is killed is stopped.
    Creating,
    /// Waits for `start`.
    Created,
    /// Its program runs.
    Running,
    /// Frozen.
    Paused,
    /// Init has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// Derives the status.
pub(crate) fn derive(directory: &ContainerDirectory<'_>, loaded: &Loaded) -> Result<Status> {
    if !loaded.complete && loaded.state.pid == NOT_YET {
        return Ok(Status::Creating);
    }
    if !init_is_alive(&loaded.state)? {
        return Ok(Status::Stopped);
    }
    if !loaded.complete {
        return Ok(Status::Creating);
    }
    if directory.open_gate()?.is_some() {
        return Ok(Status::Created);
    }
    if loaded.state.has_cgroup() && loaded.state.open_cgroup().is_frozen().unwrap_or(false) {
        return Ok(Status::Paused);
    }
    Ok(Status::Running)
}

/// Whether init still is the process we made: the pid alone says nothing, it may
/// have been given to a stranger, and after a boot so may all that goes with it.
pub(crate) fn init_is_alive(state: &State) -> Result<bool> {
    // Never the machine's own init, whoever wrote its number down.
    if state.pid <= 1 || !state.is_of_this_boot()? {
        return Ok(false);
    }
    match is_init(state) {
        Err(error) if matches!(error.errno(), Errno::NOENT | Errno::SRCH) => Ok(false),
        answer => answer.doing(|| format!("state of process {}", state.pid)),
    }
}

fn is_init(state: &State) -> kernel::Result<bool> {
    let stat = kernel::procfs::read_process_stat(state.pid)?;
    if stat.start_time != state.start_time || matches!(stat.state, b'Z' | b'X' | b'x') {
        return Ok(false);
    }
    let found = pidfd::open(state.pid)?;
    Ok(pidfd::inode(found.as_fd())? == state.pidfd_inode)
}
