//! Where a program begins: `main` as the C library calls it.
//!
//! The language's own start-up code reads `/proc/self/maps`, gives signal handlers a
//! stack and takes all that back at the end: a dozen calls and as many page faults in
//! a program that lives for half a millisecond. It also makes sure of the standard
//! streams and ignores SIGPIPE, and that is done here. What is lost is the sentence that
//! a stack overflow would say; the guard page still ends the program.

use std::os::fd::{AsRawFd, IntoRawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::stdio;

/// Exit status of a program, as wait(2) passes it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// 0
    pub const SUCCESS: Self = Self(0);
    /// 1
    pub const FAILURE: Self = Self(1);
}

impl From<u8> for ExitCode {
    fn from(status: u8) -> Self {
        Self(status)
    }
}

/// Makes `main` of a function without arguments that returns an [`ExitCode`]. The crate
/// says `#![no_main]`.
#[macro_export]
macro_rules! entry {
    ($function:path) => {
        // SAFETY: the one `main` of a program, of the type that the C library calls.
        #[unsafe(no_mangle)]
        extern "C" fn main() -> ::std::ffi::c_int {
            $crate::entry::enter($function)
        }
    };
}

/// Runs a program.
pub fn enter(program: fn() -> ExitCode) -> std::ffi::c_int {
    if guard_streams().is_err() {
        // There is nobody to tell.
        return 1;
    }
    crate::signal::ignore_pipe_signal();
    program().0.into()
}

/// A standard stream that is closed becomes `/dev/null`: the next file that is opened
/// would take its number, and messages would be written into it.
fn guard_streams() -> crate::Result<()> {
    let streams = [stdio::stdin(), stdio::stdout(), stdio::stderr()];
    let mut polled = streams.map(|stream| PollFd::from_borrowed_fd(stream, PollFlags::empty()));
    let now = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let asked = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&now)));
    let closed = |stream: &PollFd<'_>| stream.revents().contains(PollFlags::NVAL);
    if asked.is_ok() && !polled.iter().any(closed) {
        return Ok(());
    }
    // Lowest numbers first: each open fills the lowest that is free.
    loop {
        let opened = rustix::fs::openat(CWD, "/dev/null", OFlags::RDWR, Mode::empty());
        let opened = opened.map_err(|e| crate::Error::new(e, "openat(\"/dev/null\")"))?;
        if opened.as_raw_fd() > 2 {
            return Ok(());
        }
        // Kept: it is a standard stream now.
        let _ = opened.into_raw_fd();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_passed_on() {
        assert_eq!(enter(|| ExitCode::from(7)), 7);
        assert_eq!(enter(|| ExitCode::SUCCESS), 0);
    }
}
