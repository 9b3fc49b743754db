//! `binary://`: a program that reads a container's output.
//!
//! It finds the two streams as descriptors 3 and 4, and closes descriptor 5 when it
//! is ready (containerd's runtime v2 documentation, "Logging").

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::io::{read, retry_on_intr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::place::waited;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub container: &'a str,
    pub namespace: &'a str,
}

/// Waiting for a logger ends here: the container would never be started.
const PATIENCE: Duration = Duration::from_secs(10);

/// A logger that has been started.
#[derive(Debug)]
pub struct Logger {
    path: String,
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
    // The reaper waits for it, as for every child.
    command.spawn().map_err(line)?;
    // Ours is the only other writer, and it has to go before the end can be seen.
    drop(command);
    Ok(Logger {
        path: path.to_owned(),
        ready: waited(ready_read.into())?,
    })
}

impl Logger {
    /// Until the logger has closed its end, with or without a byte before. Other
    /// requests are answered meanwhile.
    ///
    /// # Errors
    /// One line that names the program.
    pub async fn ready(self) -> Result<(), String> {
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
