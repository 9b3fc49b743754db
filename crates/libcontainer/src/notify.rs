//! `NOTIFY_SOCKET`: the container's program tells the host's service manager that it
//! is ready (sd_notify(3)).
//!
//! ```text
//! program ──► /run/notify/notify.sock ═bind═ <root>/<id>/notify/notify.sock ──► us ──► $NOTIFY_SOCKET
//! ```
//!
//! The manager takes messages only from the processes of its unit, and knows the
//! container's init by another number. So nothing is passed through: from all that the
//! program says, `READY=...` alone is repeated, followed by the pid to watch: init's on
//! the host, or that of a `run` in the foreground.
//! A `start` or `run --detach` stays until then, or until init has ended.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use kernel::fs::{self, OFlags};
use kernel::readiness::{Wanted, poll_ready};
use kernel::{Errno, socket};

use crate::error::{Doing, Result};
use crate::store::ContainerDirectory;

/// Name of the socket in the directory that the container sees at
/// [`plan::NOTIFY_DIRECTORY`].
const SOCKET: &str = "notify.sock";

/// How long the manager may take to hear us out: until then we must not end, because
/// it looks up the sender of a message (sd_notify_barrier(3)).
const BARRIER: Duration = Duration::from_secs(30);

/// A message is a few lines.
const MESSAGE_BYTES: usize = 4096;

/// Passes on that a container is ready.
pub(crate) struct Relay {
    listener: UnixDatagram,
    manager: UnixDatagram,
}

impl Relay {
    /// Listens in the container's notify directory for the manager at `manager`, a
    /// path or `@` and a name. `None` when the container was created without one.
    ///
    /// # Errors
    /// A manager that is not there.
    pub(crate) fn open(directory: &ContainerDirectory<'_>, manager: &str) -> Result<Option<Self>> {
        let Some(place) = directory.open_notify()? else {
            return Ok(None);
        };
        let doing = || format!("NOTIFY_SOCKET {manager}");
        let manager = connect(manager)
            .map_err(as_kernel("connect"))
            .doing(doing)?;
        // One of an earlier `start` that was killed.
        let _ = fs::remove_file_at(place.as_fd(), SOCKET);
        // The path may be longer than an address.
        let path = format!("/proc/self/fd/{}/{SOCKET}", place.as_raw_fd());
        let listener = UnixDatagram::bind(path)
            .map_err(as_kernel("bind"))
            .doing(doing)?;
        let name = fs::open_at(place.as_fd(), SOCKET, OFlags::PATH | OFlags::NOFOLLOW);
        // Whoever the program runs as; nobody else gets through the state directory.
        name.and_then(|name| fs::change_mode(name.as_fd(), 0o777))
            .doing(doing)?;
        Ok(Some(Self { listener, manager }))
    }

    /// What to wait for.
    pub(crate) fn watched(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Reads one message; `true` when it was the one, and the manager has it, with the
    /// pid of the service's main process.
    pub(crate) fn pass_on(&self, pid: i32) -> Result<bool> {
        let mut buffer = [0; MESSAGE_BYTES];
        let doing = || "NOTIFY_SOCKET".to_owned();
        let length = self
            .listener
            .recv(&mut buffer)
            .map_err(as_kernel("recv"))
            .doing(doing)?;
        let message = buffer.get(..length).unwrap_or_default();
        let lines = message.split(|byte| *byte == b'\n');
        let Some(ready) = lines.into_iter().find(|line| line.starts_with(b"READY=")) else {
            return Ok(false);
        };
        let mainpid = format!("MAINPID={pid}");
        for message in [ready, mainpid.as_bytes()] {
            socket::send(self.manager.as_fd(), message).doing(doing)?;
        }
        Ok(true)
    }

    /// Stays until the container is ready or its init has ended.
    pub(crate) fn attend(&self, pid: i32, init: BorrowedFd<'_>) -> Result<()> {
        let doing = || "NOTIFY_SOCKET".to_owned();
        loop {
            let watched = [self.watched(), init].map(|fd| Some(Wanted::Input(fd)));
            let [said, ended] = poll_ready(watched, None).doing(doing)?;
            if said && self.pass_on(pid)? {
                return self.barrier();
            }
            if ended && !said {
                return Ok(());
            }
        }
    }

    /// Waits until the manager has worked through what was sent: it closes the pipe
    /// that comes with the last message.
    fn barrier(&self) -> Result<()> {
        let doing = || "NOTIFY_SOCKET".to_owned();
        let (ours, theirs) = io::pipe().map_err(as_kernel("pipe")).doing(doing)?;
        socket::send_with_fd(self.manager.as_fd(), b"BARRIER=1", theirs.as_fd()).doing(doing)?;
        drop(theirs);
        poll_ready([Some(Wanted::Input(ours.as_fd()))], Some(BARRIER)).doing(doing)?;
        Ok(())
    }
}

fn connect(manager: &str) -> io::Result<UnixDatagram> {
    let address = match manager.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(manager)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// A call of the standard library's.
fn as_kernel(call: &'static str) -> impl FnOnce(io::Error) -> kernel::Error {
    move |error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::INVAL);
        kernel::Error::new(errno, call)
    }
}
