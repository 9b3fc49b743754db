//! `pause` and `resume`: the container's cgroup is frozen and let go on.
//!
//! Frozen is a property of the cgroup, so a container whose init still waits for
//! `start` can be paused too; it is `created` all the while.

use crate::error::{Error, Result};
use crate::state::State;
use crate::status;
use crate::store::{ContainerDirectory, Store};

/// Freezes every process of a container; returns when all of them stand still.
///
/// # Errors
/// [`Error::NotRunning`] for a stopped container, [`Error::AlreadyPaused`].
pub fn pause(store: &Store, id: &str) -> Result<()> {
    let directory = store.find(id)?;
    directory.lock()?;
    let state = load(&directory)?;
    if !status::init_is_alive(&state)? {
        return Err(Error::NotRunning);
    }
    let cgroup = state.open_cgroup();
    if cgroup.is_frozen()? {
        return Err(Error::AlreadyPaused);
    }
    Ok(cgroup.freeze()?)
}

/// Lets the processes of a paused container go on.
///
/// # Errors
/// [`Error::NotPaused`]. Init may have ended while it was paused (a signal, the
/// OOM killer): what is left of the container goes on all the same.
pub fn resume(store: &Store, id: &str) -> Result<()> {
    let directory = store.find(id)?;
    directory.lock()?;
    let cgroup = load(&directory)?.open_cgroup();
    if !cgroup.is_frozen()? {
        return Err(Error::NotPaused);
    }
    Ok(cgroup.thaw()?)
}

fn load(directory: &ContainerDirectory<'_>) -> Result<State> {
    let Some(loaded) = directory.load()? else {
        return Err(Error::NotRunning);
    };
    if !loaded.state.has_cgroup() {
        return Err(Error::NoCgroup);
    }
    Ok(loaded.state)
}
