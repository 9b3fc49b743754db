//! Places that containerd names for a stream: a path, or a URI.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags, open};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::copy::{Sink, copy};

/// Where a stream comes from or goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: /dev/null.
    None,
    /// A fifo of the client, or a file.
    Path(String),
    /// `file://`: appended to, made if need be.
    File(String),
    /// `binary://`: a program that reads both output streams.
    Logger(String),
}

impl Place {
    /// Reads what the request says.
    ///
    /// # Errors
    /// One line that names the scheme.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            _ if text.is_empty() => Ok(Self::None),
            None => Ok(Self::Path(text.to_owned())),
            Some(("fifo", path)) => Ok(Self::Path(path.to_owned())),
            Some(("file", path)) => Ok(Self::File(path.to_owned())),
            Some(("binary", _)) => Ok(Self::Logger(text.to_owned())),
            Some((scheme, _)) => Err(format!(
                "stdio {text:?}: unknown scheme {scheme:?} (fifo, file or binary)"
            )),
        }
    }
}

/// An output's far end. With a fifo comes a reader that is never read: while it is
/// open, a client that goes away makes nobody's write fail.
#[derive(Debug)]
pub struct Output {
    pub sink: Sink,
    pub _reader: Option<OwnedFd>,
}

impl Output {
    /// Copies until the source ends. It takes the whole output: a block that names only
    /// the sink moves only the sink, and the reader would be closed at once.
    pub async fn fill_from(self, source: &AsyncFd<OwnedFd>) {
        copy(source, &self.sink).await;
    }
}

/// How long a client may take to open its end of an output.
const CLIENT_LIMIT: Duration = Duration::from_secs(10);

/// Opens the far end of standard output or error; nothing for [`Place::None`].
///
/// # Errors
/// One line that names the path.
pub async fn open_output(place: &Place) -> Result<Option<Output>, String> {
    let (path, create) = match place {
        Place::None | Place::Logger(_) => return Ok(None),
        Place::Path(path) => (path, false),
        Place::File(path) => (path, true),
    };
    let line = |error: std::io::Error| format!("{path}: {error}");
    if !create && is_fifo(path) {
        let output = open_fifo(path).await;
        return output.map(Some).map_err(line);
    }
    let mut flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    // A path without `file://` is the client's to make: a fifo that is not there yet would
    // become a file that nobody reads.
    if create {
        flags |= OFlags::CREATE;
        if let Some(parent) = std::path::Path::new(path).parent() {
            std::fs::create_dir_all(parent).map_err(line)?;
        }
    }
    let file = open(path, flags, Mode::from_raw_mode(0o644)).map_err(|error| line(error.into()))?;
    Ok(Some(Output {
        sink: Sink::File(file),
        _reader: None,
    }))
}

/// Opens a fifo when its client is there, too. A client opens its end in the background
/// and drops it if the process has ended before: a program that ends at once would have
/// said nothing. One that does not come is not waited for very long.
async fn open_fifo(path: &str) -> std::io::Result<Output> {
    let writing = OFlags::WRONLY | OFlags::CLOEXEC;
    let at_once = open(path, writing | OFlags::NONBLOCK, Mode::empty());
    // A name that stays, whatever the client does with its own.
    let fifo = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", fifo.as_raw_fd());
    let open_reader = || {
        let reading = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        open(&path, reading, Mode::empty())
    };
    let (writer, reader) = match at_once {
        Ok(writer) => (writer, open_reader()?),
        Err(Errno::NXIO) => {
            let name = path.clone();
            let mut opening =
                tokio::task::spawn_blocking(move || open(name, writing, Mode::empty()));
            let in_time = tokio::time::timeout(CLIENT_LIMIT, &mut opening).await;
            // It also lets a thread go that still waits.
            let reader = open_reader()?;
            let opened = match in_time {
                Ok(opened) => opened,
                Err(_) => opening.await,
            };
            (opened.map_err(std::io::Error::other)??, reader)
        }
        Err(error) => return Err(error.into()),
    };
    kernel::readiness::set_nonblocking(writer.as_fd()).map_err(std::io::Error::other)?;
    Ok(Output {
        sink: Sink::Waited(register(writer, Interest::WRITABLE)?),
        _reader: Some(reader),
    })
}

/// An input's far end, and the writer that keeps it from ending when a client goes
/// away: only `CloseIO` lets it end.
#[derive(Debug)]
pub struct Input {
    pub source: AsyncFd<OwnedFd>,
    pub keeper: OwnedFd,
}

/// Opens the far end of standard input; nothing for [`Place::None`].
///
/// # Errors
/// One line that names the path. A place that cannot be read from is one.
pub fn open_input(place: &Place) -> Result<Option<Input>, String> {
    let path = match place {
        Place::None => return Ok(None),
        Place::Path(path) => path,
        Place::File(_) | Place::Logger(_) => return Err("stdin: must be a fifo".to_owned()),
    };
    let line = |error: std::io::Error| format!("stdin {path}: {error}");
    let open_as = |access: OFlags| {
        open(
            path,
            access | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| line(error.into()))
    };
    let source = open_as(OFlags::RDONLY)?;
    let keeper = open_as(OFlags::WRONLY)?;
    Ok(Some(Input {
        source: register(source, Interest::READABLE).map_err(line)?,
        keeper,
    }))
}

fn is_fifo(path: &str) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// For reading or writing without waiting.
///
/// # Errors
/// One line.
pub fn waited(fd: OwnedFd) -> Result<AsyncFd<OwnedFd>, String> {
    kernel::readiness::set_nonblocking(fd.as_fd()).map_err(|error| error.to_string())?;
    register(fd, Interest::READABLE | Interest::WRITABLE).map_err(|error| error.to_string())
}

/// The one place where descriptors meet the poll loop.
///
/// # Errors
/// Those of epoll_ctl(2).
#[expect(
    deprecated,
    reason = "sound for an OwnedFd, which names one open descriptor as long as it lives"
)]
pub fn register(fd: OwnedFd, interest: Interest) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        assert_eq!(Place::parse(""), Ok(Place::None));
        assert_eq!(Place::parse("/a"), Ok(Place::Path("/a".to_owned())));
        assert_eq!(
            Place::parse("file:///a/b"),
            Ok(Place::File("/a/b".to_owned()))
        );
        assert!(matches!(
            Place::parse("binary:///l?a=b"),
            Ok(Place::Logger(_))
        ));
        assert!(Place::parse("npipe://x").is_err_and(|error| error.contains("npipe")));
    }
}
