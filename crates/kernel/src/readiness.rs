//! Waiting for descriptors: every wait of corten is a poll(2) of a pidfd, a socket,
//! a fifo or a signalfd, never a sleep.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use crate::{Result, system};

/// Waits until at least one descriptor can be read or has reached its end, and
/// tells which. `None` in the list is never ready.
///
/// # Errors
/// `poll(2)`.
pub fn poll_readable<const N: usize>(
    watched: [Option<BorrowedFd<'_>>; N],
    timeout: Option<Duration>,
) -> Result<[bool; N]> {
    let mut fds: Vec<PollFd<'_>> = watched
        .iter()
        .flatten()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    system::poll(&mut fds, timeout)?;
    let mut answers = fds.iter().map(|fd| !fd.revents().is_empty());
    Ok(watched.map(|fd| fd.is_some() && answers.next().unwrap_or(false)))
}

/// Waits until nobody reads this end of a pipe or fifo any more.
///
/// # Errors
/// `poll(2)`.
pub fn wait_closed(writer: BorrowedFd<'_>) -> Result<()> {
    // POLLERR is always reported, and is what a pipe without readers gives its writers.
    let mut fds = [PollFd::from_borrowed_fd(writer, PollFlags::empty())];
    system::poll(&mut fds, None).map(drop)
}
