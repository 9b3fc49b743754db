//! `events`: what a running container uses, every so often, and when it was out of
//! memory.
//!
//! Between two numbers nothing is asked: one poll(2) waits for the time, for the
//! kernel's word about memory, and for the end of init, which is the end of the stream.

mod record;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use kernel::system::{Poll, PollFlags, poll};
use libcgroups::{Cgroup, OomWatch};

use crate::error::{Doing, Error, Result};
use crate::state::State;
use crate::status::{self, Status};
use crate::store::Store;
use crate::usage::{self, Usage};

pub use record::Event;

/// The events of one container.
pub struct EventStream {
    state: State,
    cgroup: Cgroup,
    init: OwnedFd,
    oom: Option<OomWatch>,
    /// OOM events that nobody has taken yet.
    waiting: u64,
    ended: bool,
    interval: Duration,
    next: Instant,
}

impl EventStream {
    /// Begins to watch a container that is created, running or paused. The first
    /// numbers come after the first interval.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NothingHappens`], [`Error::NoCgroup`]
    pub fn open(store: &Store, id: &str, interval: Duration) -> Result<Self> {
        let (state, cgroup) = find(store, id)?;
        let Some(init) = status::open_init(&state)? else {
            return Err(Error::NothingHappens(state.id));
        };
        let oom = cgroup.watch_oom()?;
        Ok(Self {
            state,
            cgroup,
            init,
            oom,
            waiting: 0,
            ended: false,
            interval,
            next: Instant::now() + interval,
        })
    }

    /// Waits for the next event; `None` is the end of the container.
    fn advance(&mut self) -> Result<Option<Event>> {
        loop {
            if self.waiting > 0 {
                self.waiting -= 1;
                return Ok(Some(Event::oom(&self.state.id)));
            }
            if self.ended {
                return Ok(None);
            }
            let now = Instant::now();
            if now >= self.next {
                self.next = now + self.interval;
                return numbers(&self.state, &self.cgroup).map(Some);
            }
            self.wait(self.next - now)?;
        }
    }

    fn wait(&mut self, patience: Duration) -> Result<()> {
        let doing = || "wait for an event".to_owned();
        let mut fds = vec![Poll::from_borrowed_fd(self.init.as_fd(), PollFlags::IN)];
        fds.extend(self.oom.as_ref().map(OomWatch::wanted));
        poll(&mut fds, Some(patience)).doing(doing)?;
        let woken = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        let (ended, oom) = (woken(0), woken(1));
        self.ended = ended;
        // What ended init may have been the want of memory.
        if (oom || ended)
            && let Some(watch) = &mut self.oom
        {
            match watch.take().doing(doing)? {
                Some(times) => self.waiting += times,
                None => self.oom = None,
            }
        }
        Ok(())
    }
}

/// Each waits for the next event. The end is that of the container; an error is one of
/// reading or of poll(2).
impl Iterator for EventStream {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl Event {
    /// The numbers of a container that is created, running or paused, as they are now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NothingHappens`], [`Error::NoCgroup`]
    pub fn now(store: &Store, id: &str) -> Result<Self> {
        let (state, cgroup) = find(store, id)?;
        numbers(&state, &cgroup)
    }
}

/// What a container that is created, running or paused uses now.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NothingHappens`], [`Error::NoCgroup`]
pub fn usage(store: &Store, id: &str) -> Result<Usage> {
    let (state, cgroup) = find(store, id)?;
    usage::read(&state, &cgroup)
}

/// Being told when a container is out of memory; `None` when nobody counts its memory.
///
/// # Errors
/// As [`usage`], and those of [`Cgroup::watch_oom`].
pub fn watch_oom(store: &Store, id: &str) -> Result<Option<OomWatch>> {
    let (_, cgroup) = find(store, id)?;
    Ok(cgroup.watch_oom()?)
}

fn find(store: &Store, id: &str) -> Result<(State, Cgroup)> {
    let directory = store.find(id)?;
    let nothing = || Error::NothingHappens(id.to_owned());
    let loaded = directory.load()?.ok_or_else(nothing)?;
    match status::derive(&directory, &loaded)? {
        Status::Creating | Status::Stopped => Err(nothing()),
        Status::Created | Status::Running | Status::Paused => {
            if !loaded.state.has_cgroup() {
                return Err(Error::NoCgroup);
            }
            let cgroup = loaded.state.open_cgroup();
            Ok((loaded.state, cgroup))
        }
    }
}

fn numbers(state: &State, cgroup: &Cgroup) -> Result<Event> {
    Ok(Event::stats(state, usage::read(state, cgroup)?))
}
