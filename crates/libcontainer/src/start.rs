//! `start`: one byte opens the gate.
//!
//! The gate is a fifo that init's stub reads. The stub holds it until its exec, so
//! when the last reader is gone, either the container's program runs, or the stub
//! has left a message in `exec.error`.

use std::os::fd::AsFd;

use kernel::pidfd;
use kernel::readiness::wait_closed;
use kernel::stub::{MESSAGE_SIZE, Message};
use plan::{Hook, Step};

use crate::delete::destroy;
use crate::error::{Doing, Error, Result};
use crate::notify::Relay;
use crate::parent::{StubSteps, run_hooks};
use crate::state::{AfterGate, HookSubject, State};
use crate::status::{self, Status};
use crate::store::{Loaded, Store};

/// Starts a created container. With a service manager at `notify_socket`
/// (`NOTIFY_SOCKET`) it returns when the container's program says that it is ready, or
/// has ended.
///
/// # Errors
/// Everything but a created container is left as it is; one whose `startContainer` or
/// `poststart` hook fails is stopped and removed.
pub fn start(store: &Store, id: &str, notify_socket: Option<&str>) -> Result<()> {
    let directory = store.find(id)?;
    directory.lock()?;
    let Some(loaded) = directory.load()? else {
        return Err(Error::StillCreating);
    };
    match status::derive(&directory, &loaded)? {
        Status::Stopped => return Err(Error::HasStopped),
        Status::Creating => return Err(Error::StillCreating),
        Status::Created | Status::Running | Status::Paused => {}
    }
    let Some(gate) = directory.open_gate()? else {
        return Err(Error::AlreadyRunning);
    };
    if loaded.state.is_frozen() {
        // The stub would never read the byte.
        return Err(Error::StartPaused);
    }
    let pid = loaded.state.pid;
    let relay = match notify_socket {
        Some(manager) => {
            let init = pidfd::open(pid).doing(|| "container init".to_owned())?;
            Relay::open(&directory, manager)?.map(|relay| (relay, init))
        }
        None => None,
    };
    kernel::fs::write_all(gate.as_fd(), b"s").doing(|| "start gate".to_owned())?;
    // Nobody else opens it from here on, so others need not be kept out any longer:
    // init may be stopped, and its hooks may hang.
    directory.remove_gate()?;
    directory.unlock()?;
    wait_closed(gate.as_fd()).doing(|| "start gate".to_owned())?;
    if let Some(message) = directory.read_exec_error() {
        let error = explain(&loaded, &message);
        if matches!(error, Error::Hook { .. }) {
            destroy(&directory)?;
        }
        return Err(error);
    }
    if let Err(error) = run_poststart(&loaded.state) {
        destroy(&directory)?;
        return Err(error);
    }
    match relay {
        Some((relay, init)) => relay.attend(pid, init.as_fd()),
        None => Ok(()),
    }
}

/// The stub left a message in place of becoming the program.
fn explain(loaded: &Loaded, message: &[u8]) -> Error {
    let state = &loaded.state;
    let damaged = |problem: &str| Error::BadState {
        id: state.id.clone(),
        problem: problem.to_owned(),
    };
    // A hook that cannot be executed leaves two: why, and its status.
    let first = message.get(..MESSAGE_SIZE).unwrap_or_default();
    let Some(message) = Message::decode(first) else {
        return damaged("exec.error is not a message");
    };
    let Some(after_gate) = AfterGate::decode(&loaded.bytes) else {
        return damaged("state.json: afterGate cannot be read");
    };
    StubSteps {
        steps: &after_gate.steps,
        first: after_gate.first,
        call_names: &[],
        program: &after_gate.program,
        rootfs: &state.rootfs,
    }
    .explain(message)
}

/// `hooks.poststart`: after the program was started, before `start` returns.
pub(crate) fn run_poststart(state: &State) -> Result<()> {
    if state.poststart.is_empty() {
        return Ok(());
    }
    let stdin = HookSubject::from(state).json(&Status::Running.to_string(), Some(state.pid));
    run_hooks(paths(&state.poststart), &stdin, Some(&state.bundle))
}

pub(crate) fn paths(hooks: &[Step<Hook>]) -> impl Iterator<Item = (&plan::ConfigPath, &Hook)> {
    hooks.iter().map(|step| (&step.from, &step.op))
}
