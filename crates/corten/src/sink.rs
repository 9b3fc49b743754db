//! Where the log goes: a file, or the daemon that keeps the machine's.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;

use crate::cli::LogLevel;
use crate::report::CommandError;

/// Where syslog(3) sends to.
const SYSLOG: &str = "/dev/log";
/// Where sd_journal_send(3) sends to.
const JOURNAL: &str = "/run/systemd/journal/socket";
/// syslog(3), "generic user-level messages", where it belongs in a priority.
const FACILITY_USER: u8 = 1 << 3;

/// An open `--log`.
pub enum Sink {
    /// `FILE` or `file:FILE`
    File(File),
    /// `syslog:NAME`
    Syslog(Daemon),
    /// `journald:NAME`
    Journal(Daemon),
}

/// A log daemon, and who we are to it.
pub struct Daemon {
    socket: UnixDatagram,
    name: String,
}

/// One message.
pub struct Line {
    /// How serious it is; a daemon keeps it apart.
    pub level: LogLevel,
    /// The message alone, for a daemon.
    pub message: String,
    /// The whole line with its newline, for a file.
    pub rendered: String,
}

impl Sink {
    /// Opens it. A file is appended to: all commands about one container share it.
    ///
    /// # Errors
    /// When the file or the daemon's socket cannot be opened.
    pub fn open(log: &str) -> Result<Self, CommandError> {
        match log.split_once(':') {
            Some(("syslog", name)) => Daemon::connect(SYSLOG, name).map(Self::Syslog),
            Some(("journald", name)) => Daemon::connect(JOURNAL, name).map(Self::Journal),
            Some(("file", path)) => open_file(path),
            _ => open_file(log),
        }
    }

    /// One write(2) a line, so that lines of concurrent commands do not mix. A full
    /// disk must not change what a command does.
    pub fn write(&self, line: &Line) {
        let _ = match self {
            Self::File(file) => {
                let mut file: &File = file;
                file.write_all(line.rendered.as_bytes())
            }
            Self::Syslog(daemon) => daemon.send(&daemon.syslog(line)),
            Self::Journal(daemon) => daemon.send(&daemon.journal(line)),
        };
    }
}

fn open_file(path: &str) -> Result<Sink, CommandError> {
    let opened = File::options()
        .append(true)
        .create(true)
        .mode(0o644)
        .open(path);
    opened.map(Sink::File).map_err(failed("open", path))
}

fn failed(doing: &'static str, path: &str) -> impl FnOnce(io::Error) -> CommandError {
    let path = path.to_owned();
    move |source| CommandError::File {
        argument: "--log",
        doing,
        path,
        source,
    }
}

impl Daemon {
    fn connect(path: &str, name: &str) -> Result<Self, CommandError> {
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.connect(path)?;
            Ok(socket)
        });
        Ok(Self {
            socket: socket.map_err(failed("connect to", path))?,
            name: if name.is_empty() { "corten" } else { name }.to_owned(),
        })
    }

    fn send(&self, text: &str) -> io::Result<()> {
        self.socket.send(text.as_bytes()).map(drop)
    }

    /// RFC 3164 without the time, which the daemon adds.
    fn syslog(&self, line: &Line) -> String {
        let priority = FACILITY_USER | severity(line.level);
        let pid = std::process::id();
        format!("<{priority}>{}[{pid}]: {}", self.name, line.message)
    }

    /// systemd's native journal protocol; a message of ours is one line.
    fn journal(&self, line: &Line) -> String {
        let priority = severity(line.level);
        format!(
            "PRIORITY={priority}\nSYSLOG_IDENTIFIER={}\nMESSAGE={}\n",
            self.name, line.message
        )
    }
}

/// syslog(3)
fn severity(level: LogLevel) -> u8 {
    match level {
        LogLevel::Error => 3,
        LogLevel::Warning => 4,
        LogLevel::Info => 6,
        LogLevel::Debug => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::{Daemon, Line, Sink};
    use crate::cli::LogLevel;

    fn received(sink: impl Fn(Daemon) -> Sink) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let sink = sink(Daemon::connect(&path.to_string_lossy(), "c1").ok().unwrap());
        sink.write(&Line {
            level: LogLevel::Warning,
            message: "odd".to_owned(),
            rendered: "whole line\n".to_owned(),
        });
        let mut buffer = [0; 200];
        let length = daemon.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn daemons_get_the_level_and_the_message() {
        let pid = std::process::id();
        assert_eq!(received(Sink::Syslog), format!("<12>c1[{pid}]: odd"));
        let journal = "PRIORITY=4\nSYSLOG_IDENTIFIER=c1\nMESSAGE=odd\n";
        assert_eq!(received(Sink::Journal), journal);
    }

    #[test]
    fn a_colon_in_a_path_is_a_colon() {
        let directory = tempfile::tempdir().unwrap();
        for (prefix, name) in [("", "a:b"), ("file:", "syslog:x")] {
            let path = directory.path().join(name);
            let log = format!("{prefix}{}", path.display());
            assert!(matches!(Sink::open(&log), Ok(Sink::File(_))), "{log}");
            assert!(path.exists(), "{log}");
        }
    }
}
