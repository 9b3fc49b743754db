//! The outer side of the container's terminal: `--console-socket`, or this process
//! in the foreground.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use kernel::readiness::Wanted;
use kernel::{Errno, readiness, socket, tty};

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
                // Before the program runs: it may ask at once, and once only.
                take_over_size(master.as_fd());
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
    output_open: bool,
    input: Input,
    /// Read from the caller and not yet taken by the container's terminal. While
    /// there is some, no more is read, but output and signals go on: a program that
    /// writes much before it reads would otherwise wait for us, and we for it.
    pending: Vec<u8>,
    mid_line: bool,
}

/// How far the caller's input is.
#[derive(Clone, Copy)]
enum Input {
    Open,
    /// The container was told its end, which is a ^D, while its program read `lines`.
    Ended {
        lines: bool,
    },
    /// The container's terminal takes no more.
    Closed,
}

const STDIN: i32 = 0;
const STDOUT: i32 = 1;
const BUFFER: usize = 8192;
/// ^D
const END_OF_TRANSMISSION: u8 = 4;
/// How often to look whether the end of the input must be told again.
const AGAIN: Duration = Duration::from_millis(100);

/// The caller's stdin or stdout.
fn own(stream: i32) -> Option<BorrowedFd<'static>> {
    kernel::process::borrow_raw(stream).ok()
}

/// The size of the caller's terminal for the container's, if there is one.
fn take_over_size(master: BorrowedFd<'_>) {
    let Some(stdin) = own(STDIN).filter(|stdin| tty::is_tty(*stdin)) else {
        return;
    };
    // A terminal without a size is still a terminal.
    if let Ok(size) = tty::get_size(stdin) {
        let _ = tty::set_size(master, size);
    }
}

impl Proxy {
    /// Puts stdin, if it is a terminal, in raw mode and takes over its size.
    pub(crate) fn new(master: OwnedFd) -> Result<Self> {
        readiness::set_nonblocking(master.as_fd()).doing(|| "terminal".to_owned())?;
        let saved = match own(STDIN) {
            Some(stdin) if tty::is_tty(stdin) => {
                Some(tty::make_raw(stdin).doing(|| "raw mode of the terminal".to_owned())?)
            }
            _ => None,
        };
        let proxy = Self {
            master,
            saved,
            output_open: true,
            input: Input::Open,
            pending: Vec::new(),
            mid_line: false,
        };
        // It may have changed since init sent the terminal.
        proxy.take_over_size();
        Ok(proxy)
    }

    /// After SIGWINCH.
    pub(crate) fn take_over_size(&self) {
        take_over_size(self.master.as_fd());
    }

    /// What to wait for: output of the container, room for input, input.
    pub(crate) fn watched(&self) -> [Option<Wanted<'_>>; 3] {
        let master = self.master.as_fd();
        let reads = matches!(self.input, Input::Open) && self.pending.is_empty();
        [
            self.output_open.then_some(Wanted::Input(master)),
            (!self.pending.is_empty()).then_some(Wanted::Room(master)),
            own(STDIN).filter(|_| reads).map(Wanted::Input),
        ]
    }

    /// How long to wait for it at most.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let ended = matches!(self.input, Input::Ended { .. });
        (ended && self.output_open).then_some(AGAIN)
    }

    /// Copies what there is of [`Self::watched`].
    pub(crate) fn copy(&mut self, [output, room, input]: [bool; 3]) {
        if output {
            self.output_open = self.copy_output();
        }
        if input {
            self.read_input();
        }
        if room || input {
            self.write_pending();
        }
        self.repeat_end();
    }

    fn has_output(&self) -> bool {
        let master = [Some(Wanted::Input(self.master.as_fd()))];
        readiness::poll_ready(master, Some(Duration::ZERO)).is_ok_and(|[ready]| ready)
    }

    /// Copies one bufferful of output; `false` at its end (EIO: no slave is open).
    fn copy_output(&self) -> bool {
        let mut buffer = [0; BUFFER];
        match kernel::fs::read(self.master.as_fd(), &mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(length) => own(STDOUT).is_some_and(|stdout| {
                kernel::fs::write_all(stdout, buffer.get(..length).unwrap_or_default()).is_ok()
            }),
        }
    }

    fn read_input(&mut self) {
        let mut buffer = [0; BUFFER];
        let read = own(STDIN).map(|stdin| kernel::fs::read(stdin, &mut buffer));
        match read {
            Some(Ok(length)) if length > 0 => {
                let bytes = buffer.get(..length).unwrap_or_default();
                self.mid_line = bytes.last() != Some(&b'\n');
                self.pending.extend_from_slice(bytes);
            }
            // The end of a file or pipe is the end of the container's input too.
            _ => self.tell_end(),
        }
    }

    fn tell_end(&mut self) {
        let lines = tty::reads_lines(self.master.as_fd()).unwrap_or(true);
        if lines && self.mid_line {
            // The first ^D only passes on the line that was begun.
            self.pending.push(END_OF_TRANSMISSION);
            self.mid_line = false;
        }
        self.pending.push(END_OF_TRANSMISSION);
        self.input = Input::Ended { lines };
    }

    /// The kernel makes a NUL of a ^D that is still unread when the program turns
    /// from lines to raw input (n_tty_set_termios), as every shell does at its
    /// start; a shell would then wait for ever.
    fn repeat_end(&mut self) {
        let Input::Ended { lines } = self.input else {
            return;
        };
        let now = tty::reads_lines(self.master.as_fd()).unwrap_or(lines);
        if self.pending.is_empty() && now != lines {
            self.tell_end();
            self.write_pending();
        }
    }

    fn write_pending(&mut self) {
        match kernel::fs::write_some(self.master.as_fd(), &self.pending) {
            Ok(written) => drop(self.pending.drain(..written)),
            Err(error) if error.errno() == Errno::AGAIN => {}
            Err(_) => {
                self.pending.clear();
                self.input = Input::Closed;
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
