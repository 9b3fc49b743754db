//! What state a container is in: derived from what the kernel knows, never stored.
//!
//! | what is there | status |
//! |---|---|
//! | only `creating.json`, init alive, or not even that, and somebody at work | creating |
//! | init alive, and it reads `exec.fifo` | created |
//! | init alive, its own cgroup frozen | paused |
//! | init alive | running |
//! | no init: no such pid, a zombie, or another process | stopped |

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};

use kernel::{Errno, pidfd};
use serde::Serialize;

use crate::error::{Doing, Result};
use crate::state::{Identity, NOT_YET, State};
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
    Ok(look(directory, loaded)?.0)
}

/// The status, and init if it is alive.
pub(crate) fn look(
    directory: &ContainerDirectory<'_>,
    loaded: &Loaded,
) -> Result<(Status, Option<OwnedFd>)> {
    if !loaded.complete && loaded.state.pid == NOT_YET {
        return Ok((Status::Creating, None));
    }
    let state = &loaded.state;
    let Some(init) = open_init(state)? else {
        return Ok((Status::Stopped, None));
    };
    let status = if !loaded.complete {
        Status::Creating
    } else if directory.open_gate()?.is_some() {
        Status::Created
    } else if state.is_frozen() {
        Status::Paused
    } else {
        Status::Running
    };
    Ok((status, Some(init)))
}

/// The status of a container that was made to its end, for who only wants to know.
pub(crate) fn tell(
    directory: &ContainerDirectory<'_>,
    identity: &Identity<'_>,
    is_frozen: impl FnOnce() -> bool,
) -> Result<Status> {
    // Init alone reads the gate, and the kernel closes it with init's end: nothing else
    // has to be asked for.
    if directory.open_gate()?.is_some() {
        return Ok(Status::Created);
    }
    Ok(match open(identity)? {
        None => Status::Stopped,
        Some(_) if is_frozen() => Status::Paused,
        Some(_) => Status::Running,
    })
}

/// Whether init still is the process we made.
pub(crate) fn init_is_alive(state: &State) -> Result<bool> {
    Ok(open_init(state)?.is_some())
}

/// Init, if it is alive and still the process we made: the pid alone says nothing, it
/// may have been given to a stranger, and after a boot so may all that goes with it.
pub(crate) fn open_init(state: &State) -> Result<Option<OwnedFd>> {
    open(&state.identity())
}

fn open(identity: &Identity<'_>) -> Result<Option<OwnedFd>> {
    // Never the machine's own init, whoever wrote its number down.
    if identity.pid <= 1 || !identity.is_of_this_boot()? {
        return Ok(None);
    }
    match find(identity) {
        // EINVAL: the number is that of a thread by now.
        Err(error) if matches!(error.errno(), Errno::NOENT | Errno::SRCH | Errno::INVAL) => {
            Ok(None)
        }
        found => found.doing(|| format!("state of process {}", identity.pid)),
    }
}

fn find(identity: &Identity<'_>) -> kernel::Result<Option<OwnedFd>> {
    let Identity {
        pid,
        start_time,
        pidfd_inode,
        ..
    } = *identity;
    let init = pidfd::open(pid)?;
    let fd = init.as_fd();
    // The start time is asked for once the pidfd is held: from then on the number cannot
    // be given to anybody else without its owner having ended.
    let is_ours = pidfd::inode(fd)? == pidfd_inode
        && (pidfd::has_inode_of_its_own(fd)?
            || kernel::procfs::read_process_stat(pid)?.start_time == start_time);
    let is_alive = is_ours && !pidfd::has_ended(fd)?;
    Ok(is_alive.then_some(init))
}
