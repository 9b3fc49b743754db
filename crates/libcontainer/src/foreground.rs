//! Staying in the foreground: signals are passed on, the terminal is proxied, and
//! the process is waited for by pidfd (a signal could be lost, a pidfd cannot).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kernel::process::ExitStatus;
use kernel::readiness::Wanted;
use kernel::{pidfd, readiness, signal};

use crate::error::{Doing, Result};
use crate::notify::Relay;
use crate::terminal::{Proxy, TerminalSink};

/// Takes all signals from here on, before there is anything to miss; what is
/// cloned unblocks them again.
pub(crate) fn collect_signals() -> Result<OwnedFd> {
    let _ = signal::block_all().doing(|| "signals".to_owned())?;
    signal::signalfd(&signal::SignalSet::all()).doing(|| "signals".to_owned())
}

/// Stays until the process, a child of ours, ends. To a service manager we are the
/// main process: we end as it ends, and pass signals on.
pub(crate) fn attend(
    process: BorrowedFd<'_>,
    terminal: TerminalSink,
    signals: &OwnedFd,
    relay: Option<Relay>,
) -> Result<ExitStatus> {
    let mut proxy = match terminal {
        TerminalSink::Foreground(Some(master)) => Some(Proxy::new(master)?),
        _ => None,
    };
    // The proxy puts the caller's terminal right before anything is said on it.
    wait(process, signals, &mut proxy, relay)
}

fn wait(
    process: BorrowedFd<'_>,
    signals: &OwnedFd,
    proxy: &mut Option<Proxy>,
    mut relay: Option<Relay>,
) -> Result<ExitStatus> {
    let doing = || "wait for the container".to_owned();
    loop {
        let [ended, signalled, notified, output, room, input] = {
            let [output, room, input] = proxy.as_ref().map_or([None; 3], Proxy::watched);
            let [process, signals] = [process, signals.as_fd()].map(|fd| Some(Wanted::Input(fd)));
            let notify = relay.as_ref().map(|relay| Wanted::Input(relay.watched()));
            let patience = proxy.as_ref().and_then(Proxy::patience);
            readiness::poll_ready([process, signals, notify, output, room, input], patience)
                .doing(doing)?
        };
        if signalled {
            pass_on(process, signals, proxy.as_ref())?;
        }
        if notified && let Some(listening) = &relay
            // A manager that cannot be told must not cost the container its caretaker.
            && listening.pass_on(kernel::process::pid()).unwrap_or(true)
        {
            relay = None;
        }
        if let Some(proxy) = proxy {
            proxy.copy([output, room, input]);
        }
        if ended {
            return pidfd::wait(process).doing(doing);
        }
    }
}

/// Passes a signal on. SIGCHLD is about children of ours, SIGURG is noise, and
/// SIGWINCH is about the caller's terminal, which the container sees only through
/// its own.
fn pass_on(process: BorrowedFd<'_>, signals: &OwnedFd, proxy: Option<&Proxy>) -> Result<()> {
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
            // It may have ended meanwhile; the pidfd will say so.
            let _ = pidfd::send_signal(process, number);
            Ok(())
        }
    }
}
