//! `binary://`: a program that reads a container's output.
//!
//! It finds the two streams as descriptors 3 and 4, and closes descriptor 5 when it
//! is ready (containerd's runtime v2 documentation, "Logging").

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::io::{read, retry_on_intr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::place::waited;
use crate::reaper::{ExitWatch, Reaper, ended};

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub container: &'a str,
    pub namespace: &'a str,
    pub reaper: &'a Reaper,
}

/// Waiting for a logger ends here: the container would never be started.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a logger may go on when both streams have ended, and when it was asked to end.
const LAST: Duration = Duration::from_secs(2);

/// A logger that has been started. Dropped, it is killed.
#[derive(Debug)]
pub struct Logger {
    path: String,
    pid: i32,
    end: ExitWatch,
    ready: AsyncFd<OwnedFd>,
}

/// Starts the program of `uri`.
///
/// # Errors
/// One line that names the program.
pub fn start(uri: &str, subject: Subject<'_>, streams: [OwnedFd; 2]) -> Result<Logger, String> {
    let (path, query) = uri
        .strip_prefix("binary://")
        .map(|rest| rest.split_once('?').unwrap_or((rest, "")))
        .unwrap_or_default();
    let line = |error: std::io::Error| format!("logger {path}: {error}");
    let (ready_read, ready_write) = std::io::pipe().map_err(line)?;
    let mut command = Command::new(path);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        command.arg(decode(key));
        if !value.is_empty() {
            command.arg(decode(value));
        }
    }
    let [stdout, stderr] = streams;
    let mapping = |parent_fd: OwnedFd, child_fd| FdMapping {
        parent_fd,
        child_fd,
    };
    command
        .fd_mappings(vec![
            mapping(stdout, 3),
            mapping(stderr, 4),
            mapping(ready_write.into(), 5),
        ])
        .map_err(|error| format!("logger {path}: {error}"))?;
    command
        .env("CONTAINER_ID", subject.container)
        .env("CONTAINER_NAMESPACE", subject.namespace)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let ready = waited(ready_read.into())?;
    let expectation = subject.reaper.expect();
    let child = command.spawn().map_err(line)?;
    // Ours is the only other writer, and it has to go before the end can be seen.
    drop(command);
    let pid = i32::try_from(child.id()).map_err(|error| error.to_string())?;
    Ok(Logger {
        path: path.to_owned(),
        pid,
        end: expectation.of(pid),
        ready,
    })
}

impl Logger {
    /// Until the logger has closed its end, with or without a byte before. Other
    /// requests are answered meanwhile.
    ///
    /// # Errors
    /// One line that names the program.
    pub async fn ready(&self) -> Result<(), String> {
        let first = self.ready.async_io(Interest::READABLE, |pipe| {
            Ok(retry_on_intr(|| read(pipe, &mut [0]))?)
        });
        match tokio::time::timeout(PATIENCE, first).await {
            Ok(answer) => answer
                .map(drop)
                .map_err(|error| format!("logger {}: {error}", self.path)),
            Err(_) => Err(format!(
                "logger {}: did not close descriptor 5 within {} s",
                self.path,
                PATIENCE.as_secs()
            )),
        }
    }
}

impl Logger {
    /// Until it has written what it read, which it is given a little time for.
    pub async fn finish(mut self) {
        if tokio::time::timeout(LAST, ended(&mut self.end))
            .await
            .is_ok()
        {
            return;
        }
        self.signal(rustix::process::Signal::TERM.as_raw());
        let _ = tokio::time::timeout(LAST, ended(&mut self.end)).await;
    }

    fn signal(&self, signal: i32) {
        // It is our child: before its end is known, its pid is its own.
        if self.end.borrow().is_none()
            && let Ok(pidfd) = kernel::pidfd::open(self.pid)
        {
            let _ = kernel::pidfd::send_signal(pidfd.as_fd(), signal);
        }
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        self.signal(kernel::signal::KILL);
    }
}

/// Percent-encoding of a query (RFC 3986).
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = bytes
            .get(at + 1..at + 3)
            .filter(|_| byte == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        assert_eq!(decode("a%2Fb+c"), "a/b c");
        assert_eq!(decode("100%"), "100%");
    }
}
