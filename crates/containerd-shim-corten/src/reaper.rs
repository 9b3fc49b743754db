//! Who ended, when and how. Every orphan of a container becomes the shim's child
//! (it is their subreaper), so one loop waits for all of them.
//!
//! A process may end before anybody knows that it is of interest: the pid of a
//! container comes from the program that made it. Between [`Reaper::expect`] and the
//! end of what it returns, the ends of strangers are kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustix::process::{WaitOptions, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its code, or 128 and the number of the signal.
    pub status: u32,
    /// When it was reaped.
    pub at: SystemTime,
}

impl Exit {
    /// Of a process that never was, or that nobody waits for any more.
    pub fn unknown() -> Self {
        Self {
            status: 255,
            at: SystemTime::now(),
        }
    }
}

/// How a process is waited for: `None` until it has ended.
pub type ExitWatch = watch::Receiver<Option<Exit>>;

#[derive(Debug, Default)]
struct Table {
    wanted: HashMap<i32, watch::Sender<Option<Exit>>>,
    strangers: HashMap<i32, Exit>,
    expecting: usize,
}

/// The one that waits.
#[derive(Debug, Clone, Default)]
pub struct Reaper {
    table: Arc<Mutex<Table>>,
}

/// While it lives, no end is forgotten.
#[derive(Debug)]
pub struct Expectation {
    reaper: Reaper,
}

impl Reaper {
    /// To be called before a program is started whose children matter.
    pub fn expect(&self) -> Expectation {
        self.with(|table| table.expecting += 1);
        Expectation {
            reaper: self.clone(),
        }
    }

    /// Reaps until the end of this process.
    ///
    /// # Errors
    /// When SIGCHLD cannot be waited for.
    pub async fn run(self) -> std::io::Result<()> {
        let mut children = signal(SignalKind::child())?;
        loop {
            self.reap();
            if children.recv().await.is_none() {
                return Ok(());
            }
        }
    }

    fn reap(&self) {
        while let Ok(Some((pid, ended))) = wait(WaitOptions::NOHANG) {
            let status = match (ended.exit_status(), ended.terminating_signal()) {
                (Some(code), _) => u32::try_from(code).unwrap_or(255),
                (None, Some(signal)) => 128 + u32::try_from(signal).unwrap_or(0),
                (None, None) => 255,
            };
            let exit = Exit {
                status,
                at: SystemTime::now(),
            };
            let pid = pid.as_raw_nonzero().get();
            self.with(|table| match table.wanted.remove(&pid) {
                Some(sender) => drop(sender.send(Some(exit))),
                None if table.expecting > 0 => drop(table.strangers.insert(pid, exit)),
                None => {}
            });
        }
    }

    fn with<R>(&self, body: impl FnOnce(&mut Table) -> R) -> R {
        // A table is whole between two statements, so a panic elsewhere is no reason to stop.
        body(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Expectation {
    /// The end of a process that was started since.
    pub fn of(&self, pid: i32) -> ExitWatch {
        self.reaper
            .with(|table| match table.strangers.remove(&pid) {
                Some(exit) => watch::channel(Some(exit)).1,
                None => {
                    let (sender, receiver) = watch::channel(None);
                    table.wanted.insert(pid, sender);
                    receiver
                }
            })
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.reaper.with(|table| {
            table.expecting -= 1;
            if table.expecting == 0 {
                table.strangers.clear();
            }
        });
    }
}

/// Waits for it.
pub async fn ended(watch: &mut ExitWatch) -> Exit {
    match watch.wait_for(Option::is_some).await.map(|exit| *exit) {
        Ok(Some(exit)) => exit,
        // The reaper is gone, and this process with it.
        _ => Exit::unknown(),
    }
}
