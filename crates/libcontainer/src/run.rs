//! `run`: create and start in one, without a gate in between.
//!
//! In the foreground this process stays: it passes signals on, proxies the
//! terminal, waits for init by pidfd (a signal could be lost, a pidfd cannot) and
//! ends as init ended.

use std::os::fd::{AsFd, OwnedFd};

use kernel::process::ExitStatus;
use kernel::{pidfd, prctl, readiness, signal};
use plan::Plan;

use crate::create::{self, Built, CreateOptions};
use crate::delete::run_poststop;
use crate::error::{Doing, Error, Result};
use crate::parent::after_ready;
use crate::start::run_poststart;
use crate::store::Store;
use crate::terminal::{Proxy, TerminalSink};

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
        // Blocked before there is anything to miss; init unblocks them again.
        let _ = signal::block_all().doing(|| "signals".to_owned())?;
        Some(signal::signalfd(&signal::SignalSet::all()).doing(|| "signals".to_owned())?)
    };
    let built = create::build(store, plan, options, terminal, &after_ready)?;
    if let Err(error) = run_poststart(&built.state) {
        // runtime.md: a failed poststart hook stops and destroys the container.
        let _ = pidfd::send_signal(built.init.pidfd.as_fd(), signal::KILL);
        let _ = pidfd::wait(built.init.pidfd.as_fd());
        clean_up(&built)?;
        return Err(error);
    }
    let Some(signals) = signals else {
        return Ok(0);
    };
    let status = attend(built, &signals, how.keep)?;
    Ok(status.shell_code())
}

/// Stays until init ends, then removes the container.
fn attend(mut built: Built<'_>, signals: &OwnedFd, keep: bool) -> Result<ExitStatus> {
    let terminal = std::mem::replace(&mut built.terminal, TerminalSink::None);
    let mut proxy = match terminal {
        TerminalSink::Foreground(Some(master)) => Some(Proxy::new(master)?),
        _ => None,
    };
    let waited = wait(&built, signals, &mut proxy);
    // Puts the caller's terminal right before anything is said on it.
    drop(proxy);
    let status = waited?;
    if !keep {
        clean_up(&built)?;
    }
    Ok(status)
}

fn wait(built: &Built<'_>, signals: &OwnedFd, proxy: &mut Option<Proxy>) -> Result<ExitStatus> {
    let init = built.init.pidfd.as_fd();
    let doing = || "wait for the container".to_owned();
    let mut output_open = true;
    loop {
        let ready = {
            let (master, input) = match &*proxy {
                Some(proxy) => {
                    let (master, input) = proxy.descriptors();
                    (Some(master).filter(|_| output_open), input)
                }
                None => (None, None),
            };
            let watched = [Some(init), Some(signals.as_fd()), master, input];
            readiness::poll_readable(watched, None).doing(doing)?
        };
        let [ended, signalled, output, input] = ready;
        if signalled {
            pass_on(built, signals, proxy.as_ref())?;
        }
        if let Some(proxy) = proxy {
            if output {
                output_open = proxy.copy_output();
            }
            if input {
                proxy.copy_input();
            }
        }
        if ended {
            return pidfd::wait(init).doing(doing);
        }
    }
}

/// Passes a signal on to init. SIGCHLD is about children of ours, SIGURG is noise,
/// and SIGWINCH is about the caller's terminal, which the container sees only
/// through its own.
fn pass_on(built: &Built<'_>, signals: &OwnedFd, proxy: Option<&Proxy>) -> Result<()> {
    let received = signal::read_signal(signals.as_fd()).doing(|| "signals".to_owned())?;
    let Some(signal::Received { number, .. }) = received else {
        return Ok(());
    };
    match (number, proxy) {
        (signal::CHILD | signal::URGENT, _) => Ok(()),
        (signal::WINDOW_CHANGE, Some(proxy)) => {
            proxy.take_over_size();
            Ok(())
        }
        _ => {
            // Init may have ended meanwhile; the pidfd will say so.
            let _ = pidfd::send_signal(built.init.pidfd.as_fd(), number);
            Ok(())
        }
    }
}

/// What `delete` would do, after init has ended.
fn clean_up(built: &Built<'_>) -> Result<()> {
    if let Some(cgroup) = &built.cgroup {
        if !built.state.pid_namespace_is_private {
            cgroup.kill_all()?;
        }
        cgroup.remove()?;
    }
    built.directory.remove()?;
    match run_poststop(&built.state) {
        // A failing poststop hook must not hide how the program ended.
        Ok(()) | Err(Error::Hook { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
