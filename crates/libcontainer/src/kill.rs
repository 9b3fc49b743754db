//! `kill`: a signal to init, or to everything in the container.

use std::os::fd::{AsFd, OwnedFd};

use kernel::{Errno, pidfd, signal};

use crate::error::{Doing, Error, Result};
use crate::state::{NOT_YET, State};
use crate::status;
use crate::store::Store;

/// Sends a signal to init; with `all` to every process of the container's cgroup.
///
/// SIGKILL for a container that shares its pid namespace goes to its whole cgroup:
/// the death of such an init takes nobody along.
///
/// # Errors
/// [`Error::NotRunning`] for a stopped container, unless `all`.
pub fn kill(store: &Store, id: &str, signal: i32, all: bool) -> Result<()> {
    let directory = store.find(id)?;
    let Some(loaded) = directory.load()? else {
        return Err(Error::NotRunning);
    };
    let state = &loaded.state;
    if state.pid == NOT_YET {
        // Whose its cgroup is, is not known yet either.
        return Err(Error::NotRunning);
    }
    if all {
        return kill_everything(state, signal);
    }
    let init = status::open_init(state)?.ok_or(Error::NotRunning)?;
    if signal == signal::KILL && !state.pid_namespace_is_private {
        return kill_everything(state, signal);
    }
    send(&init, signal)?;
    if signal == signal::KILL {
        thaw(state)?;
    }
    Ok(())
}

/// By pidfd, whose identity was checked: the pid may be given to somebody else meanwhile.
pub(crate) fn send(init: &OwnedFd, number: i32) -> Result<()> {
    match pidfd::send_signal(init.as_fd(), number) {
        Err(error) if error.errno() == Errno::SRCH => Err(Error::NotRunning),
        sent => sent.doing(|| format!("signal {} to init", signal::name_of(number))),
    }
}

fn kill_everything(state: &State, number: i32) -> Result<()> {
    if !state.has_cgroup() {
        let init = status::open_init(state)?.ok_or(Error::NotRunning)?;
        return send(&init, number);
    }
    let Some(cgroup) = state.own_cgroup()? else {
        return Err(Error::NotRunning);
    };
    if number == signal::KILL {
        return Ok(cgroup.kill_all()?);
    }
    for pid in cgroup.pids()? {
        match pidfd::open(pid).and_then(|fd| pidfd::send_signal(fd.as_fd(), number)) {
            Err(error) if error.errno() != Errno::SRCH => {
                return Err(error)
                    .doing(|| format!("signal {} to process {pid}", signal::name_of(number)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A frozen process of a v1 freezer does not even die.
pub(crate) fn thaw(state: &State) -> Result<()> {
    if state.is_frozen() {
        state.open_cgroup().thaw()?;
    }
    Ok(())
}
