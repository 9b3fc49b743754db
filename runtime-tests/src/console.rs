//! The receiving end of `--console-socket`.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::pace::paced;

/// A listening socket that waits for one terminal.
pub struct ConsoleSocket {
    listener: UnixListener,
    /// Where it listens.
    pub path: PathBuf,
}

/// The master side of a container's terminal.
pub struct Terminal {
    /// The descriptor that came over the socket.
    pub master: OwnedFd,
    /// The bytes that came with it.
    pub label: String,
}

impl ConsoleSocket {
    /// Listens in `directory`.
    pub fn listen(directory: &Path) -> Self {
        let path = directory.join("console.sock");
        Self {
            listener: UnixListener::bind(&path).expect("bind"),
            path,
        }
    }

    /// Takes the terminal that a finished `create` has sent: exactly one
    /// message with exactly one descriptor.
    #[track_caller]
    pub fn receive(&self) -> Terminal {
        assert!(
            readable(&self.listener, 10),
            "nobody connected to the console socket"
        );
        let (stream, _) = self.listener.accept().expect("accept");
        assert!(
            readable(&stream, 10),
            "nothing came over the console socket"
        );
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut label = [0; 4096];
        let mut parts = [IoSliceMut::new(&mut label)];
        let message = recvmsg(&stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC);
        let length = message.expect("recvmsg").bytes;
        let mut received: Vec<OwnedFd> = control
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(list) => Some(list),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(received.len(), 1, "exactly one descriptor");
        Terminal {
            master: received.remove(0),
            label: String::from_utf8_lossy(&label[..length]).into_owned(),
        }
    }
}

impl Terminal {
    /// Reads until the other side is closed (EIO) or the time is over.
    pub fn read_all(&self) -> String {
        self.read_until(|_| false)
    }

    /// Reads until `enough` holds of all that came.
    pub fn read_until(&self, enough: impl Fn(&str) -> bool) -> String {
        let mut all = Vec::new();
        let end = Instant::now() + paced(Duration::from_secs(30));
        let mut chunk = [0; 4096];
        while Instant::now() < end && !enough(&String::from_utf8_lossy(&all)) {
            if !readable(&self.master, 1) {
                continue;
            }
            match rustix::io::read(&self.master, &mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(count) => all.extend_from_slice(&chunk[..count]),
            }
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Types a line.
    pub fn type_line(&self, line: &str) {
        rustix::io::write(&self.master, format!("{line}\n").as_bytes()).expect("write");
    }
}

fn readable(fd: &impl std::os::fd::AsFd, seconds: i64) -> bool {
    let limit = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&limit)).expect("poll") > 0
}
