//! Waiting for descriptors: every wait of corten is a poll(2) of a pidfd, a socket,
//! a fifo or a signalfd, never a sleep.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fs::OFlags;

use crate::{Errno, Error, Result, system};

/// What to wait for.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'fd> {
    /// Something to read, or the end of it.
    Input(BorrowedFd<'fd>),
    /// Room to write, or nobody left to read it.
    Room(BorrowedFd<'fd>),
}

/// Waits until at least one is there, and tells which. `None` in the list never is.
///
/// # Errors
/// `poll(2)`.
pub fn poll_ready<const N: usize>(
    watched: [Option<Wanted<'_>>; N],
    timeout: Option<Duration>,
) -> Result<[bool; N]> {
    let mut fds: Vec<PollFd<'_>> = watched
        .iter()
        .flatten()
        .map(|wanted| match *wanted {
            Wanted::Input(fd) => PollFd::from_borrowed_fd(fd, PollFlags::IN),
            Wanted::Room(fd) => PollFd::from_borrowed_fd(fd, PollFlags::OUT),
        })
        .collect();
    system::poll(&mut fds, timeout)?;
    let mut answers = fds.iter().map(|fd| !fd.revents().is_empty());
    Ok(watched.map(|wanted| wanted.is_some() && answers.next().unwrap_or(false)))
}

/// Makes reads and writes that would wait fail with EAGAIN, for everybody who
/// shares the open file.
///
/// # Errors
/// `fcntl(2)`.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fcntl_setfl(fd, OFlags::NONBLOCK)
        .map_err(|e| Error::new(e, format!("fcntl({}, F_SETFL, O_NONBLOCK)", fd.as_raw_fd())))
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

/// A counter that the kernel adds to and that can be waited for, eventfd(2): close on
/// exec, and never waits when it is read.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn event_counter() -> Result<OwnedFd> {
    rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|e| Error::new(e, "eventfd2(0, EFD_CLOEXEC | EFD_NONBLOCK)"))
}

/// Takes what has been added to an [`event_counter`] since the last time.
///
/// # Errors
/// Those of read(2).
pub fn take_count(counter: BorrowedFd<'_>) -> Result<u64> {
    let mut count = [0; 8];
    match rustix::io::read(counter, &mut count) {
        Ok(_) => Ok(u64::from_ne_bytes(count)),
        Err(Errno::AGAIN) => Ok(0),
        Err(e) => Err(Error::new(e, format!("read({})", counter.as_raw_fd()))),
    }
}
