//! The conversation of `create`, over one `SOCK_SEQPACKET` pair, one packet a message.
//!
//! ```text
//! init, still the code of corten          parent
//!                       ◄──     Go, with systemd: the scope is there, init in it
//! NeedIdMap             ──►     write uid_map, gid_map
//!                       ◄──     Go
//! NeedNetDevices        ──►     network devices are moved in
//!                       ◄──     Go
//! ReadyForHooks         ──►     prestart, createRuntime hooks
//!                       ◄──     Go
//! Console (+ fd)        ──►     keep the pty's master
//!
//! init, now the sealed stub (16-byte messages, kernel::stub::Message)
//! Forked                ──►     that is the container's pid
//! Result                ──►     fetch the seccomp listener, send it to its agent
//!                       ◄──     Go
//! Ready                 ──►     resource limits; state.json, pid file; create returns
//!                       ◄──     Go: from now on the container has a state. Not awaited by
//!                               an `exec` that has nothing to do or to write here
//!
//! Failed                ──►     in place of any of the above: undo everything, one line
//! end of file           ──►     killed, or (run) the program was executed
//! ```
//!
//! A message that this configuration does not need is not sent. Whoever reads the
//! end of the file has lost its partner: init leaves, the parent looks how init died.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use kernel::system::{Poll, PollFlags, poll};
use kernel::{Errno, Error, Result, socket, stub};
use serde::{Deserialize, Serialize};

/// What init says before it becomes the stub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "say")]
pub(crate) enum InitMessage {
    /// It has its new user namespace and no ids in it.
    NeedIdMap,
    /// It is in its network namespace.
    NeedNetDevices,
    /// Everything is mounted and the old root still there.
    ReadyForHooks,
    /// The descriptor beside this message is the master of the container's terminal.
    Console,
    /// `mounts`: all steps are done.
    Done,
    /// A step failed.
    Failed(InitFailure),
    /// `hooks.createContainer` did not succeed.
    HookFailed(HookReport),
}

/// A step of `Plan::init` that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InitFailure {
    /// Index into `Plan::init`.
    pub step: usize,
    /// A property below that of the step (one option of a mount), if that is at fault.
    pub path: Option<plan::ConfigPath>,
    /// errno(3)
    pub errno: i32,
    /// The system call.
    pub call: String,
    /// The kernel's own words.
    pub detail: Option<String>,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HookReport {
    /// Index of its step.
    pub step: usize,
    /// "exited with status 3"
    pub how: String,
    /// What it said, cut.
    pub output: String,
}

/// One message at the parent's end.
pub(crate) enum Received {
    Init(InitMessage, Option<OwnedFd>),
    Stub(stub::Message),
    /// Nobody is at the other end any more.
    End,
}

/// Either end of the conversation.
pub(crate) struct Channel {
    socket: OwnedFd,
}

/// Longest packet; init cuts its texts to fit.
const PACKET_LIMIT: usize = 8 << 10;

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// The parent's side of every exchange.
    pub(crate) fn go(&self) -> Result<()> {
        socket::send(self.socket.as_fd(), b"g")
    }

    /// [`Channel::go`] with what init has waited for.
    pub(crate) fn go_with(&self, fd: Option<OwnedFd>) -> Result<()> {
        match fd {
            Some(fd) => socket::send_with_fd(self.socket.as_fd(), b"g", fd.as_fd()),
            None => self.go(),
        }
    }

    /// Init's side: waits for `Go`. A parent that has gone leaves nothing to do.
    pub(crate) fn await_go(&self) -> Result<()> {
        self.await_go_with().map(drop)
    }

    /// Init's side of [`Channel::go_with`].
    pub(crate) fn await_go_with(&self) -> Result<Option<OwnedFd>> {
        let mut buffer = [0; 8];
        match socket::receive(self.socket.as_fd(), &mut buffer)? {
            (0, _) => kernel::process::exit_now(1),
            (_, fd) => Ok(fd),
        }
    }

    pub(crate) fn say(&self, message: &InitMessage) -> Result<()> {
        let bytes = serde_json::to_vec(message).unwrap_or_default();
        socket::send(self.socket.as_fd(), &bytes)
    }

    pub(crate) fn say_with(&self, message: &InitMessage, fd: &OwnedFd) -> Result<()> {
        let bytes = serde_json::to_vec(message).unwrap_or_default();
        socket::send_with_fd(self.socket.as_fd(), &bytes, fd.as_fd())
    }

    /// Whether [`receive`](Self::receive) would not wait.
    pub(crate) fn has_message(&self) -> Result<bool> {
        let mut fds = [Poll::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(Duration::ZERO))?;
        Ok(fds.iter().any(|fd| !fd.revents().is_empty()))
    }

    /// The parent's side: waits for the next message.
    pub(crate) fn receive(&self) -> Result<Received> {
        let mut buffer = [0; PACKET_LIMIT];
        let (length, fd) = match socket::receive(self.socket.as_fd(), &mut buffer) {
            Ok(received) => received,
            Err(error) if error.errno() == Errno::CONNRESET => return Ok(Received::End),
            Err(error) => return Err(error),
        };
        Received::decode(buffer.get(..length).unwrap_or_default(), fd)
    }
}

impl Received {
    /// What one packet says, which somebody in a joined namespace may have written.
    pub(crate) fn decode(bytes: &[u8], fd: Option<OwnedFd>) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::End);
        }
        if let Some(message) = stub::Message::decode(bytes) {
            return Ok(Self::Stub(message));
        }
        match serde_json::from_slice(bytes) {
            Ok(message) => Ok(Self::Init(message, fd)),
            Err(_) => Err(Error::new(Errno::BADMSG, "receive(message of init)")),
        }
    }
}
