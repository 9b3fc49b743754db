//! `delete`: the container's processes, cgroup and state directory go, then its
//! `poststop` hooks run.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use kernel::{pidfd, signal};

use crate::error::{Doing, Error, Result};
use crate::kill::{send, thaw};
use crate::parent::run_hooks;
use crate::resctrl;
use crate::start::paths;
use crate::state::{HookSubject, State};
use crate::status::{self, Status};
use crate::store::{ContainerDirectory, Loaded, Store};

/// How long a killed init may take to go. It is waited for by pidfd, so an
/// ordinary one takes no longer than it must.
const DEATH_LIMIT: Duration = Duration::from_secs(10);

/// Deletes a container. A created one is killed, a running one only with `force`,
/// which also removes what is left of a broken one, and is content with none.
///
/// Returns what failed without keeping the container: `poststop` hooks.
///
/// # Errors
/// The container stays as far as it could not be removed.
pub fn delete(store: &Store, id: &str, force: bool) -> Result<Option<Error>> {
    let directory = match store.find(id) {
        Err(Error::NotFound(_)) if force => return Ok(None),
        found => found?,
    };
    match lock(&directory, force) {
        Err(Error::NotFound(_)) if force => return Ok(None),
        locked => locked?,
    }
    match directory.load() {
        Ok(Some(loaded)) => delete_loaded(&directory, &loaded, force),
        // The maker was killed before it had made anything that runs.
        Ok(None) => directory.remove().map(|()| None),
        // Without a readable state there is no init to be sure of, but a cgroup may be known.
        Err(_) if force => match directory.load_claim() {
            Some(claim) => delete_loaded(&directory, &claim, force),
            None => directory.remove().map(|()| None),
        },
        Err(error) => Err(error),
    }
}

/// What runtime.md wants when a hook of `start` fails: the container is stopped, goes,
/// and its `poststop` hooks run. Whoever deleted it meanwhile has done that.
pub(crate) fn destroy(directory: &ContainerDirectory<'_>) -> Result<()> {
    match lock(directory, true) {
        Err(Error::NotFound(_)) => return Ok(()),
        locked => locked?,
    }
    match directory.load()? {
        // A failing poststop hook must not hide the one that failed first.
        Some(loaded) => delete_loaded(directory, &loaded, true).map(drop),
        None => Ok(()),
    }
}

/// With `force` the init that some other command waits for is killed: a `create` that
/// hangs gives up then, and undoes what it made.
fn lock(directory: &ContainerDirectory<'_>, force: bool) -> Result<()> {
    match directory.lock() {
        Err(Error::Busy { .. }) if force => {}
        locked => return locked,
    }
    if let Ok(Some(loaded)) = directory.load()
        && let Ok(Some(init)) = status::open_init(&loaded.state)
    {
        // It may have ended meanwhile.
        let _ = send(&init, signal::KILL);
    }
    directory.lock()
}

fn delete_loaded(
    directory: &ContainerDirectory<'_>,
    loaded: &Loaded,
    force: bool,
) -> Result<Option<Error>> {
    let state = &loaded.state;
    let (status, init) = status::look(directory, loaded)?;
    if matches!(status, Status::Running | Status::Paused) && !force {
        return Err(Error::NotStopped {
            id: state.id.clone(),
            status,
        });
    }
    if status == Status::Paused {
        // All at once: thawed, the others would run until init's end reaches them.
        state.open_cgroup().kill_all()?;
    }
    if let Some(init) = init {
        kill_and_wait(state, &init)?;
    }
    remove_cgroup(loaded, force)?;
    finish(directory, state)
}

/// After the processes of a container were written down and ended.
pub(crate) fn remove(directory: &ContainerDirectory<'_>, loaded: &Loaded) -> Result<Option<Error>> {
    remove_cgroup(loaded, true)?;
    finish(directory, &loaded.state)
}

fn finish(directory: &ContainerDirectory<'_>, state: &State) -> Result<Option<Error>> {
    resctrl::remove(&state.resctrl);
    directory.remove()?;
    Ok(run_poststop(state).err())
}

fn remove_cgroup(loaded: &Loaded, force: bool) -> Result<()> {
    let state = &loaded.state;
    let Some(cgroup) = state.own_cgroup()? else {
        return Ok(());
    };
    if !loaded.owns_cgroup {
        // The maker was killed before it knew that the cgroup is nobody else's:
        // nothing in it is killed, and what does not go is not ours.
        let _ = cgroup.remove();
        return Ok(());
    }
    if force || !state.pid_namespace_is_private || !loaded.complete {
        cgroup.kill_all()?;
    }
    stop_scope(state, &cgroup)?;
    Ok(cgroup.remove()?)
}

/// systemd removes what it made, and forgets that it failed, should its last process
/// have been killed for lack of memory. A scope whose cgroup is gone has ended by
/// itself, and the unit of that name may be somebody else's by now.
pub(crate) fn stop_scope(state: &State, cgroup: &libcgroups::Cgroup) -> Result<()> {
    let Some(scope) = &state.cgroup.scope else {
        return Ok(());
    };
    let is_there = state.cgroup.inode.is_some() && cgroup.inode()? == state.cgroup.inode;
    match libcgroups::systemd::Manager::connect(scope.user) {
        Ok(mut systemd) => {
            if is_there {
                systemd.stop(&scope.unit)?;
            }
            systemd.forget(&scope.unit);
        }
        // Without systemd the directories can be removed all the same.
        Err(error) => tracing::debug!(%error, "the scope is not stopped"),
    }
    Ok(())
}

fn kill_and_wait(state: &State, init: &OwnedFd) -> Result<()> {
    match send(init, signal::KILL) {
        Err(Error::NotRunning) => return Ok(()),
        sent => sent?,
    }
    thaw(state)?;
    let gone = pidfd::wait_exit(init.as_fd(), Some(DEATH_LIMIT))
        .doing(|| format!("end of process {}", state.pid))?;
    if gone {
        return Ok(());
    }
    Err(Error::Argument {
        argument: "container init",
        problem: format!("process {} is still there after SIGKILL", state.pid),
    })
}

/// `hooks.poststop`: all of them run, whatever one of them does; the first failure
/// is told, as a warning (runtime.md).
pub(crate) fn run_poststop(state: &State) -> Result<()> {
    let stdin = HookSubject::from(state).json(&Status::Stopped.to_string(), None);
    let mut first = Ok(());
    for hook in paths(&state.poststop) {
        let done = run_hooks(std::iter::once(hook), &stdin, Some("/"));
        if first.is_ok() {
            first = done;
        }
    }
    first
}
