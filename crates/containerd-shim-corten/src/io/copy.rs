//! Copying between two descriptors without a thread.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, read, write};
use tokio::io::unix::AsyncFd;

/// Bytes read at once: the size of a pipe. Held only while there is something to copy.
const CHUNK: usize = 64 * 1024;

/// Where the bytes go.
#[derive(Debug)]
pub enum Sink {
    /// A fifo, a pipe or a terminal; nonblocking.
    Waited(AsyncFd<OwnedFd>),
    /// A regular file or a device that takes everything at once.
    File(OwnedFd),
}

impl Sink {
    async fn write_all(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            let written = match self {
                Self::File(file) => write(file, bytes),
                Self::Waited(fd) => {
                    let Ok(mut ready) = fd.writable().await else {
                        return Err(Errno::BADF);
                    };
                    let written = write(fd.get_ref(), bytes);
                    if written == Err(Errno::AGAIN) {
                        ready.clear_ready();
                    }
                    written
                }
            };
            match written {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Copies until the source ends. A sink that takes no more is read for all the same:
/// the process that writes must not stop because its client has gone.
pub async fn copy(from: &AsyncFd<OwnedFd>, to: &Sink) {
    let mut broken = false;
    loop {
        let Ok(mut ready) = from.readable().await else {
            return;
        };
        let mut buffer = vec![0; CHUNK];
        loop {
            match read(from.get_ref(), &mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    broken = broken || to.write_all(bytes).await.is_err();
                }
                Err(Errno::AGAIN) => {
                    ready.clear_ready();
                    break;
                }
                Err(Errno::INTR) => {}
                // EIO is how a terminal ends.
                Err(_) => return,
            }
        }
    }
}
