//! Waiting for the kernel: by its events where it has them.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use kernel::fs;
use kernel::system::{Poll, PollFlags, poll};

use crate::FILE_LIMIT;
use crate::directory::{field, is_gone};

/// Waits until `key` of `cgroup.events` is `wanted`; `false` when the deadline
/// came first. A directory that is gone has no events left.
pub(crate) fn event(
    dir: BorrowedFd<'_>,
    key: &str,
    wanted: u64,
    deadline: Instant,
) -> kernel::Result<bool> {
    loop {
        // The file remembers what its reader saw; a change since then wakes poll.
        let file = match fs::open_read_at(dir, "cgroup.events") {
            Err(e) if is_gone(e.errno()) => return Ok(true),
            file => file?,
        };
        let text = match fs::read_to_end(file.as_fd(), FILE_LIMIT) {
            Err(e) if is_gone(e.errno()) => return Ok(true),
            text => text?,
        };
        if field(&String::from_utf8_lossy(&text), key) == Some(wanted) {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let mut fds = [Poll::new(&file, PollFlags::PRI)];
        poll(&mut fds, Some(left))?;
    }
}

/// Waits that grow from 1 ms to 16 ms, for v1, which has no events.
pub(crate) struct Backoff {
    next: Duration,
    deadline: Instant,
}

impl Backoff {
    pub fn until(deadline: Instant) -> Self {
        Self {
            next: Duration::from_millis(1),
            deadline,
        }
    }

    /// Waits once; `false` when the deadline has passed.
    pub fn wait(&mut self) -> kernel::Result<bool> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        poll(&mut [], Some(self.next.min(left)))?;
        self.next = (self.next * 2).min(Duration::from_millis(16));
        Ok(true)
    }
}
