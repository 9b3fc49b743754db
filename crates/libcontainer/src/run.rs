//! `run`: create and start in one, without a gate in between.
//!
//! In the foreground this process stays (`foreground.rs`) and ends as init ended.

use std::os::fd::{AsFd, OwnedFd};

use kernel::prctl;
use kernel::process::ExitStatus;
use plan::Plan;

use crate::create::{self, Built, CreateOptions};
use crate::delete::{run_poststop, stop_scope};
use crate::diagnose;
use crate::error::{Doing, Error, Result};
use crate::foreground;
use crate::parent::after_ready;
use crate::start::run_poststart;
use crate::store::Store;
use crate::terminal::TerminalSink;

/// What `run` needs beyond `create`.
#[derive(Debug, Default, Clone, Copy)]
pub struct RunOptions {
    /// `--detach`
    pub detach: bool,
    /// `--keep`: the stopped container stays.
    pub keep: bool,
    /// `--no-subreaper`
    pub no_subreaper: bool,
}

/// Runs a container. In the foreground the result is the exit status for the
/// caller: that of the container's program, or 128 + the signal that ended it.
///
/// # Errors
/// When the program could not be executed; everything made is undone.
pub fn run(store: &Store, plan: &Plan, options: &CreateOptions, how: RunOptions) -> Result<i32> {
    let terminal = TerminalSink::new(plan.terminal, options.console_socket.as_deref())?;
    let signals = if how.detach {
        None
    } else {
        if !how.no_subreaper {
            prctl::set_child_subreaper(true).doing(|| "subreaper".to_owned())?;
        }
        Some(foreground::collect_signals()?)
    };
    let built = create::build(store, plan, options, terminal, &after_ready)?;
    // From here on it is a running container like any other.
    let unlocked = built.directory.unlock();
    if let Err(error) = unlocked.and_then(|()| run_poststart(&built.state)) {
        // runtime.md: a failed poststart hook stops and destroys the container. So does
        // whatever else makes this command fail: nobody would expect one that runs.
        stop(&built)?;
        return Err(error);
    }
    let Some(signals) = signals else {
        if let Some(relay) = &built.notify {
            relay.attend(built.state.pid, built.init.pidfd.as_fd())?;
        }
        return Ok(0);
    };
    let status = attend(built, &signals, how.keep)?;
    Ok(status.shell_code())
}

/// Stays until init ends, then removes the container.
fn attend(mut built: Built<'_>, signals: &OwnedFd, keep: bool) -> Result<ExitStatus> {
    let terminal = std::mem::replace(&mut built.terminal, TerminalSink::None);
    let relay = built.notify.take();
    tracing::debug!("the program runs");
    let attended = foreground::attend(built.init.pidfd.as_fd(), terminal, signals, relay);
    let status = match attended {
        Ok(status) => status,
        Err(error) => {
            // Without us nobody would see its end.
            stop(&built)?;
            return Err(error);
        }
    };
    if diagnose::was_killed_for_memory(status, built.cgroup.as_ref()) {
        // The exit status alone looks like somebody's SIGKILL.
        tracing::warn!(
            "linux.resources.memory.limit: the kernel killed the container's program: \
             out of memory (the limit is too low for it)"
        );
    }
    if !keep {
        clean_up(&built)?;
    }
    Ok(status)
}

/// Kills init and removes the container.
fn stop(built: &Built<'_>) -> Result<()> {
    built.init.end();
    clean_up(built)
}

/// What `delete` would do, after init has ended; unless somebody else did it.
fn clean_up(built: &Built<'_>) -> Result<()> {
    match built.directory.lock() {
        Err(Error::NotFound(_)) => return Ok(()),
        locked => locked?,
    }
    tracing::debug!("remove the control group");
    if let Some(cgroup) = &built.cgroup {
        if !built.state.pid_namespace_is_private {
            cgroup.kill_all()?;
        }
        stop_scope(&built.state, cgroup)?;
        cgroup.remove()?;
    }
    tracing::debug!("remove the state");
    built.directory.remove()?;
    match run_poststop(&built.state) {
        // A failing poststop hook must not hide how the program ended.
        Ok(()) | Err(Error::Hook { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
