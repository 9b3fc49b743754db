//! The machine's names and version, and waiting for descriptors.

use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFd;
use rustix::pipe::PipeFlags;

use crate::{Errno, Error, Result};

pub use rustix::event::{PollFd as Poll, PollFlags};

/// The kernel's version, `(6, 18)`; `(0, 0)` for a release without numbers.
#[must_use]
pub fn kernel_version() -> (u32, u32) {
    let names = rustix::system::uname();
    parse_version(&names.release().to_string_lossy())
}

fn parse_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (0, 0),
    }
}

/// The kernel's release, as `uname -r` prints it.
#[must_use]
pub fn kernel_release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// What random(4) calls the boot id: another one after each boot. Empty where
/// /proc does not show it. It is read once in each thread.
///
/// # Errors
/// Those of open(2) and read(2): not to know it is not to be another boot.
pub fn boot_id() -> Result<&'static str> {
    thread_local!(static ID: Cell<Option<&'static str>> = const { Cell::new(None) });
    if let Some(known) = ID.get() {
        return Ok(known);
    }
    let id = match crate::fs::open_read("/proc/sys/kernel/random/boot_id") {
        Err(error) if error.errno() == Errno::NOENT => String::new(),
        file => {
            // 36 characters and a newline, in one piece.
            let mut buffer = [0; 64];
            let length = crate::fs::read(file?.as_fd(), &mut buffer)?;
            let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
            text.trim_end().to_owned()
        }
    };
    let id: &str = id.leak();
    ID.set(Some(id));
    Ok(id)
}

/// The machine as the kernel names it: `x86_64`, `aarch64`, ...
#[must_use]
pub fn machine() -> String {
    rustix::system::uname()
        .machine()
        .to_string_lossy()
        .into_owned()
}

/// sethostname(2), of this UTS namespace; at most 64 bytes.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN in the namespace's owner; `EINVAL` when longer.
pub fn set_hostname(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes())
        .map_err(|e| Error::new(e, format!("sethostname({name:?})")))
}

/// setdomainname(2), of this UTS namespace; at most 64 bytes.
///
/// # Errors
/// As [`set_hostname`].
pub fn set_domainname(name: &str) -> Result<()> {
    rustix::system::setdomainname(name.as_bytes())
        .map_err(|e| Error::new(e, format!("setdomainname({name:?})")))
}

/// Waits until one of the descriptors is ready and returns how many are; 0
/// when `timeout` ran out. A signal does not shorten or lengthen the wait.
///
/// # Errors
/// `poll(2)`.
pub fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize> {
    // A wait of zero needs no clock.
    let timed = timeout.filter(|t| !t.is_zero());
    let deadline = timed.and_then(|t| Instant::now().checked_add(t));
    let mut left = timeout;
    loop {
        let spec = left.and_then(|t| rustix::time::Timespec::try_from(t).ok());
        match rustix::event::poll(fds, spec.as_ref()) {
            Ok(ready) => return Ok(ready),
            Err(Errno::INTR) => {}
            Err(e) => {
                let numbers: Vec<_> = fds.iter().map(|fd| fd.as_fd().as_raw_fd()).collect();
                return Err(Error::new(e, format!("poll({numbers:?}, {left:?})")));
            }
        }
        if let Some(deadline) = deadline {
            left = Some(deadline.saturating_duration_since(Instant::now()));
        }
    }
}

/// A pipe, close-on-exec: (read end, write end).
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| Error::new(e, "pipe2(O_CLOEXEC)"))
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_are_the_first_two_numbers() {
        assert_eq!(parse_version("6.18.2-amd64"), (6, 18));
        assert_eq!(parse_version("5.14.0-427.el9.x86_64"), (5, 14));
        assert_eq!(parse_version("6.1-rc3"), (6, 1));
        assert_eq!(parse_version("x"), (0, 0));
        assert_eq!(parse_version(""), (0, 0));
    }
}
