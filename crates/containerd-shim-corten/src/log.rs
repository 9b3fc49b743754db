//! The shim's log: lines that containerd copies into its own.
//!
//! containerd reads the fifo `log` of the bundle. It may die and come back, so the
//! fifo is opened for both directions (no write ever meets EPIPE) and never waited for.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, OnceLock};

static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    fifo: Mutex<OwnedFd>,
    debug: bool,
}

/// Opens `log` in the working directory; without it nothing is logged.
pub fn open(debug: bool) {
    let Ok(fifo) = kernel::fs::open_read_write("log") else {
        return;
    };
    if kernel::readiness::set_nonblocking(fifo.as_fd()).is_ok() {
        let _ = LOG.set(Log {
            fifo: Mutex::new(fifo),
            debug,
        });
    }
}

/// Something went wrong that no caller hears of.
pub fn error(message: &str) {
    write("error", message);
}

/// For `-debug` alone.
pub fn debug(message: &str) {
    if LOG.get().is_some_and(|log| log.debug) {
        write("debug", message);
    }
}

fn write(level: &str, message: &str) {
    let Some(log) = LOG.get() else { return };
    let now = kernel::time::utc_now();
    let line =
        format!("time=\"{now}\" level={level} msg={message:?} runtime=io.containerd.corten.v2\n");
    if let Ok(fifo) = log.fifo.lock() {
        // Full: nobody reads, and a shim does not wait for a reader of its log.
        let _ = kernel::fs::write_some(fifo.as_fd(), line.as_bytes());
    }
}
