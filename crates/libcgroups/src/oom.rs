//! Processes that the kernel killed for want of memory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use kernel::system::{Poll, PollFlags};
use kernel::{fs, readiness};

use crate::directory::{Place, field, is_gone, read_text};
use crate::{Cgroup, CgroupError};

/// v1 and v2: where the number of kills is.
const OOM_CONTROL: &str = "memory.oom_control";
const EVENTS: &str = "memory.events";

impl Cgroup {
    /// How many processes the kernel killed here for want of memory; `None`
    /// without a memory controller.
    pub fn oom_kills(&self) -> Option<u64> {
        let (place, file) = self.memory(OOM_CONTROL, EVENTS)?;
        field(&read_text(self.fd(place).ok()?, file).ok()?, "oom_kill")
    }

    fn memory(&self, v1: &'static str, v2: &'static str) -> Option<(&Place, &'static str)> {
        match self.v1("memory") {
            Some(place) => Some((place, v1)),
            None => Some((self.v2()?, v2)),
        }
    }

    /// Being told when the cgroup is out of memory; `None` without a memory
    /// controller, or without the files for it (v1 with `PREEMPT_RT`).
    ///
    /// # Errors
    /// Those of opening the files and of `cgroup.event_control`.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>, CgroupError> {
        let Some((place, file)) = self.memory(OOM_CONTROL, EVENTS) else {
            return Ok(None);
        };
        let opened = self.fd(place).and_then(|dir| match place.directory.v2 {
            true => fs::open_read_at(dir, file).and_then(OomWatch::of_events),
            false => OomWatch::of_oom_control(dir, fs::open_read_at(dir, file)?),
        });
        match opened {
            Err(error) if is_gone(error.errno()) => Ok(None),
            Err(error) => Err(self.located(place, error).into()),
            Ok(watch) => Ok(Some(watch)),
        }
    }
}

/// Tells of every time that memory ran out.
#[derive(Debug)]
pub struct OomWatch(Source);

#[derive(Debug)]
enum Source {
    /// v2: `memory.events`, which wakes who polls it, and the kills that were told.
    Events { file: OwnedFd, told: u64 },
    /// v1: an eventfd, and `memory.oom_control`, which it is about.
    Control { counter: OwnedFd, file: OwnedFd },
}

impl OomWatch {
    fn of_events(file: OwnedFd) -> kernel::Result<Self> {
        let told = kills_in(file.as_fd())?;
        Ok(Self(Source::Events { file, told }))
    }

    /// cgroup-v1/memory.rst, "OOM Control": the numbers of an eventfd and of
    /// `memory.oom_control`.
    fn of_oom_control(dir: BorrowedFd<'_>, file: OwnedFd) -> kernel::Result<Self> {
        let counter = readiness::event_counter()?;
        let numbers = format!("{} {}", counter.as_raw_fd(), file.as_raw_fd());
        fs::write_value_at(dir, "cgroup.event_control", &numbers)?;
        Ok(Self(Source::Control { counter, file }))
    }

    /// What to poll for, along with other things.
    pub fn wanted(&self) -> Poll<'_> {
        let (fd, urgent) = self.descriptor();
        let flags = if urgent {
            PollFlags::PRI
        } else {
            PollFlags::IN
        };
        Poll::from_borrowed_fd(fd, flags)
    }

    /// The descriptor of [`wanted`](Self::wanted), and whether it is urgent data that is
    /// polled for.
    pub fn descriptor(&self) -> (BorrowedFd<'_>, bool) {
        match &self.0 {
            Source::Events { file, .. } => (file.as_fd(), true),
            Source::Control { counter, .. } => (counter.as_fd(), false),
        }
    }

    /// How many times since the last call, and nothing to poll for until the next;
    /// `None` when the cgroup is gone (which wakes who polls, too).
    ///
    /// # Errors
    /// Those of reading.
    pub fn take(&mut self) -> kernel::Result<Option<u64>> {
        let (times, now) = match &self.0 {
            Source::Events { file, .. } => (None, kills_in(file.as_fd())),
            Source::Control { counter, file } => {
                let times = readiness::take_count(counter.as_fd())?;
                (Some(times), kills_in(file.as_fd()))
            }
        };
        let now = match now {
            Err(error) if is_gone(error.errno()) => return Ok(None),
            now => now?,
        };
        match &mut self.0 {
            Source::Events { told, .. } => {
                let before = std::mem::replace(told, now);
                Ok(Some(now.saturating_sub(before)))
            }
            Source::Control { .. } => Ok(times),
        }
    }
}

/// `oom_kill` of an open file, read from its start.
fn kills_in(file: BorrowedFd<'_>) -> kernel::Result<u64> {
    let text = fs::reread(file, crate::FILE_LIMIT)?;
    Ok(field(&String::from_utf8_lossy(&text), "oom_kill").unwrap_or_default())
}
