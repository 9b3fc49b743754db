//! Who ended, when and how. Every orphan of a container becomes the shim's child
//! (it is their subreaper), so one loop waits for all of them.
//!
//! A process may end before anybody knows that it is of interest: the pid of a
//! container comes from the program that made it. Between [`Reaper::expect`] and the
//! end of what it returns, the ends of strangers are kept. No longer, and for nobody who
//! began to expect later: their pids are given to other processes again.

use std::collections::{BTreeSet, HashMap};
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
    strangers: HashMap<i32, Stranger>,
    /// When those began who expect something now.
    expecting: BTreeSet<u64>,
    now: u64,
}

#[derive(Debug, Clone, Copy)]
struct Stranger {
    exit: Exit,
    ended: u64,
}

impl Table {
    /// A time that comes only once.
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn end(&mut self, pid: i32, exit: Exit) {
        if let Some(sender) = self.wanted.remove(&pid) {
            let _ = sender.send(Some(exit));
        } else if !self.expecting.is_empty() {
            let ended = self.tick();
            self.strangers.insert(pid, Stranger { exit, ended });
        }
    }

    fn expect(&mut self) -> u64 {
        let began = self.tick();
        self.expecting.insert(began);
        began
    }

    fn find(&mut self, pid: i32, began: u64) -> ExitWatch {
        match self.strangers.remove(&pid) {
            Some(stranger) if stranger.ended > began => watch::channel(Some(stranger.exit)).1,
            _ => {
                let (sender, receiver) = watch::channel(None);
                self.wanted.insert(pid, sender);
                receiver
            }
        }
    }

    fn forget(&mut self, began: u64) {
        self.expecting.remove(&began);
        match self.expecting.first() {
            Some(&first) => self.strangers.retain(|_, stranger| stranger.ended > first),
            None => self.strangers.clear(),
        }
    }
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
    began: u64,
}

impl Reaper {
    /// To be called before a program is started whose children matter.
    pub fn expect(&self) -> Expectation {
        Expectation {
            reaper: self.clone(),
            began: self.with(Table::expect),
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
            self.with(|table| table.end(pid, exit));
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
        self.reaper.with(|table| table.find(pid, self.began))
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        self.reaper.with(|table| table.forget(self.began));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(status: u32) -> Exit {
        Exit {
            status,
            at: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_end_before_anybody_asked_is_kept() {
        let reaper = Reaper::default();
        let expectation = reaper.expect();
        reaper.with(|table| table.end(7, exit(3)));
        assert_eq!(*expectation.of(7).borrow(), Some(exit(3)));
        let later = expectation.of(8);
        reaper.with(|table| table.end(8, exit(4)));
        assert_eq!(*later.borrow(), Some(exit(4)));
    }

    #[test]
    fn a_pid_that_is_given_again_has_no_old_end() {
        let reaper = Reaper::default();
        let busy = reaper.expect();
        reaper.with(|table| table.end(7, exit(3)));
        let expectation = reaper.expect();
        assert_eq!(*expectation.of(7).borrow(), None);
        reaper.with(|table| table.end(9, exit(1)));
        drop(busy);
        assert_eq!(*expectation.of(9).borrow(), Some(exit(1)));
        drop(expectation);
        assert!(reaper.with(|table| table.strangers.is_empty() && table.expecting.is_empty()));
    }
}
