//! A process with a terminal: `corten` sends its master over a socket.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use tokio::io::unix::AsyncFd;

use super::place::waited;
use crate::bootstrap::SOCKET_DIRECTORY;

/// The master of a terminal.
#[derive(Debug, Clone)]
pub struct Console(Arc<AsyncFd<OwnedFd>>);

impl Console {
    /// The descriptor, for copying.
    pub fn fd(&self) -> &AsyncFd<OwnedFd> {
        &self.0
    }

    /// Sets its size, in characters.
    ///
    /// # Errors
    /// That of ioctl(TIOCSWINSZ).
    pub fn resize(&self, width: u32, height: u32) -> Result<(), String> {
        let clip = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
        let size = kernel::tty::Size {
            columns: clip(width),
            rows: clip(height),
        };
        kernel::tty::set_size(self.0.get_ref().as_fd(), size).map_err(|error| error.to_string())
    }
}

/// The socket over which the master comes. Its name goes with it.
#[derive(Debug)]
pub struct ConsoleSocket {
    listener: UnixListener,
    path: String,
}

impl ConsoleSocket {
    /// Binds a new one.
    ///
    /// # Errors
    /// One line that names the path.
    pub fn bind() -> Result<Self, String> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // A bundle's path may be longer than the address of a socket.
        let path = format!("{SOCKET_DIRECTORY}/pty-{}-{number}", std::process::id());
        let _ = kernel::fs::remove_file(&path);
        let old = kernel::process::set_umask(0o177);
        let bound = UnixListener::bind(&path);
        kernel::process::set_umask(old);
        let listener = bound.map_err(|error| format!("console socket {path}: {error}"))?;
        Ok(Self { listener, path })
    }

    /// For `--console-socket`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The master that was sent; to be called when the sender has ended.
    ///
    /// # Errors
    /// One line; nothing having been sent is one.
    pub fn receive(&self) -> Result<Console, String> {
        let line = |error: std::io::Error| format!("console socket: {error}");
        self.listener.set_nonblocking(true).map_err(line)?;
        let (stream, _) = self.listener.accept().map_err(line)?;
        let mut name = [0; 4096];
        let (_, fd) = kernel::socket::receive(stream.as_fd(), &mut name)
            .map_err(|error| error.to_string())?;
        let master = fd.ok_or("console socket: no descriptor came over it")?;
        Ok(Console(Arc::new(waited(master)?)))
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        let _ = kernel::fs::remove_file(&self.path);
    }
}
