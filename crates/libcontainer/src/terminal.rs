//! The outer side of the container's terminal: `--console-socket`, or this process
//! in the foreground.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use kernel::{readiness, socket, tty};

use crate::error::{Doing, Error, Result};

/// Where the master of the container's terminal goes.
pub(crate) enum TerminalSink {
    /// The container has no terminal.
    None,
    /// To the process that listens on `--console-socket`.
    Socket(OwnedFd),
    /// Kept here, to be proxied.
    Foreground(Option<OwnedFd>),
}

impl TerminalSink {
    /// Connects the console socket first, so that a wrong path changes nothing.
    pub(crate) fn new(terminal: bool, console_socket: Option<&str>) -> Result<Self> {
        match (terminal, console_socket) {
            (false, _) => Ok(Self::None),
            (true, None) => Ok(Self::Foreground(None)),
            (true, Some(path)) => socket::connect_stream(path)
                .map(Self::Socket)
                .doing(|| format!("--console-socket {path}")),
        }
    }

    /// Takes the master that init sent.
    pub(crate) fn receive(&mut self, master: OwnedFd) -> Result<()> {
        match self {
            Self::Socket(socket) => {
                // One packet: a name, which is only a label, and one descriptor.
                socket::send_with_fd(socket.as_fd(), b"/dev/ptmx", master.as_fd())
                    .doing(|| "--console-socket".to_owned())
            }
            Self::Foreground(kept) => {
                *kept = Some(master);
                Ok(())
            }
            Self::None => Err(Error::Argument {
                argument: "process.terminal",
                problem: "init sent a terminal that nobody asked for".to_owned(),
            }),
        }
    }
}

/// The caller's own terminal in raw mode while the container's is proxied through it.
pub(crate) struct Proxy {
    master: OwnedFd,
    saved: Option<tty::SavedTermios>,
    input_open: bool,
}

const STDIN: i32 = 0;
const STDOUT: i32 = 1;
/// ^D
const END_OF_TRANSMISSION: u8 = 4;

/// The caller's stdin or stdout.
fn own(stream: i32) -> Option<BorrowedFd<'static>> {
    kernel::process::borrow_raw(stream).ok()
}

impl Proxy {
    /// Puts stdin, if it is a terminal, in raw mode and takes over its size.
    pub(crate) fn new(master: OwnedFd) -> Result<Self> {
        let saved = match own(STDIN) {
            Some(stdin) if tty::is_tty(stdin) => {
                Some(tty::make_raw(stdin).doing(|| "raw mode of the terminal".to_owned())?)
            }
            _ => None,
        };
        let proxy = Self {
            master,
            saved,
            input_open: true,
        };
        proxy.take_over_size();
        Ok(proxy)
    }

    /// After SIGWINCH.
    pub(crate) fn take_over_size(&self) {
        let Some(stdin) = own(STDIN).filter(|_| self.saved.is_some()) else {
            return;
        };
        // A terminal without a size is still a terminal.
        if let Ok(size) = tty::get_size(stdin) {
            let _ = tty::set_size(self.master.as_fd(), size);
        }
    }

    /// What to poll: the master, and stdin while it is open.
    pub(crate) fn descriptors(&self) -> (BorrowedFd<'_>, Option<BorrowedFd<'static>>) {
        let input = own(STDIN).filter(|_| self.input_open);
        (self.master.as_fd(), input)
    }

    fn has_output(&self) -> bool {
        let master = [Some(self.master.as_fd())];
        readiness::poll_readable(master, Some(Duration::ZERO)).is_ok_and(|[ready]| ready)
    }

    /// Copies one bufferful of output; `false` at its end (EIO: no slave is open).
    pub(crate) fn copy_output(&self) -> bool {
        let mut buffer = [0; 8192];
        match kernel::fs::read(self.master.as_fd(), &mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(length) => own(STDOUT).is_some_and(|stdout| {
                kernel::fs::write_all(stdout, buffer.get(..length).unwrap_or_default()).is_ok()
            }),
        }
    }

    /// Copies one bufferful of input.
    pub(crate) fn copy_input(&mut self) {
        let mut buffer = [0; 8192];
        let Some(stdin) = own(STDIN) else {
            self.input_open = false;
            return;
        };
        match kernel::fs::read(stdin, &mut buffer) {
            Ok(length) if length > 0 => {
                let bytes = buffer.get(..length).unwrap_or_default();
                self.input_open = kernel::fs::write_all(self.master.as_fd(), bytes).is_ok();
            }
            // The end of a file or pipe is the end of the container's input too.
            _ => {
                let _ = kernel::fs::write_all(self.master.as_fd(), &[END_OF_TRANSMISSION]);
                self.input_open = false;
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // What is there already; something left behind may hold the terminal open.
        while self.has_output() && self.copy_output() {}
        if let (Some(saved), Some(stdin)) = (&self.saved, own(STDIN)) {
            let _ = tty::restore(stdin, saved);
        }
    }
}
