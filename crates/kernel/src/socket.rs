//! Sockets: packets between a parent and its child, descriptors in messages.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::{Errno, Error, Result};

/// How long a listener may keep a full queue before [`connect_stream`] gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Descriptors a message may carry before the kernel drops the rest.
const MOST_DESCRIPTORS: usize = 4;

/// Two connected sockets on which a send is a packet and a receive is one too.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::SEQPACKET, "SOCK_SEQPACKET")
}

/// Two connected stream sockets.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn stream_pair() -> Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::STREAM, "SOCK_STREAM")
}

fn pair(kind: SocketType, name: &str) -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
        .map_err(|e| Error::new(e, format!("socketpair(AF_UNIX, {name}|SOCK_CLOEXEC)")))
}

/// Sends one packet (all bytes or none on a packet socket). No SIGPIPE.
///
/// # Errors
/// `EPIPE` when the other end is closed; `EMSGSIZE` beyond the send buffer.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<()> {
    loop {
        match rustix::net::send(fd, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == bytes.len() => return Ok(()),
            Ok(_) => return Err(send_error(Errno::MSGSIZE, fd, bytes.len())),
            Err(Errno::INTR) => {}
            Err(e) => return Err(send_error(e, fd, bytes.len())),
        }
    }
}

fn send_error(errno: Errno, fd: BorrowedFd<'_>, length: usize) -> Error {
    Error::new(errno, format!("send({}, {length} bytes)", fd.as_raw_fd()))
}

/// Tells the other end that there will be no more.
///
/// # Errors
/// `ENOTCONN`.
pub fn end_sending(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::net::shutdown(fd, rustix::net::Shutdown::Write)
        .map_err(|e| Error::new(e, format!("shutdown({}, SHUT_WR)", fd.as_raw_fd())))
}

/// Sends one packet with one descriptor (`SCM_RIGHTS`). No SIGPIPE. The packet
/// must not be empty: a stream carries no descriptor without a byte.
///
/// # Errors
/// As [`send`]; `ETOOMANYREFS` when too many are in flight.
pub fn send_with_fd(fd: BorrowedFd<'_>, bytes: &[u8], passed: BorrowedFd<'_>) -> Result<()> {
    let passed_one = [passed];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    loop {
        let mut control = SendAncillaryBuffer::new(&mut space);
        // The space is for exactly this message.
        control.push(SendAncillaryMessage::ScmRights(&passed_one));
        let pieces = [IoSlice::new(bytes)];
        let failed = match rustix::net::sendmsg(fd, &pieces, &mut control, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == bytes.len() => return Ok(()),
            Ok(_) => Errno::MSGSIZE,
            Err(Errno::INTR) => continue,
            Err(e) => e,
        };
        let (to, length, what) = (fd.as_raw_fd(), bytes.len(), passed.as_raw_fd());
        return Err(Error::new(
            failed,
            format!("sendmsg({to}, {length} bytes, SCM_RIGHTS {what})"),
        ));
    }
}

/// Receives one packet and the descriptor in it, close-on-exec. Further
/// descriptors are closed. 0 bytes: the other end is closed.
///
/// # Errors
/// `EMSGSIZE` when `buffer` is smaller than the packet; `EAGAIN` on a
/// non-blocking socket; `ECONNRESET` when the other end closed unread data.
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let length = buffer.len();
    let call = || format!("recvmsg({}, {length} bytes)", fd.as_raw_fd());
    loop {
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut pieces = [IoSliceMut::new(buffer)];
        match rustix::net::recvmsg(fd, &mut pieces, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => {
                let mut first = None;
                for part in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(descriptors) = part {
                        // The iterator closes what is not taken from it.
                        let mut descriptors = descriptors;
                        first = first.or_else(|| descriptors.next());
                    }
                }
                if message.flags.contains(ReturnFlags::TRUNC) {
                    return Err(Error::new(Errno::MSGSIZE, call()));
                }
                return Ok((message.bytes, first));
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(Error::new(e, call())),
        }
    }
}

/// Connects to the stream socket at a path of the host, of any length.
///
/// The path is resolved once, by an `O_PATH` open; the connection goes through
/// `/proc/self/fd`, so neither the 107 bytes of `sun_path` nor somebody who
/// renames in between matters.
///
/// # Errors
/// `ENOENT`; `ENOTSOCK` for anything else than a socket; `ECONNREFUSED` when
/// nobody listens; `EAGAIN` when the listener's queue stays full for 10 s;
/// `EPROTOTYPE` when it is no stream socket.
pub fn connect_stream(path: &str) -> Result<OwnedFd> {
    let call = || format!("connect({path:?})");
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::new(e, call()))?;
    let stat = rustix::fs::fstat(&found).map_err(|e| Error::new(e, call()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(Error::new(Errno::NOTSOCK, call()).with_detail("is not a socket"));
    }
    let name = format!("/proc/self/fd/{}", found.as_raw_fd());
    let address = SocketAddrUnix::new(name.as_str()).map_err(|e| Error::new(e, call()))?;
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|e| Error::new(e, "socket(AF_UNIX, SOCK_STREAM)"))?;
    let timeout = rustix::net::sockopt::Timeout::Send;
    rustix::net::sockopt::set_socket_timeout(&socket, timeout, Some(PATIENCE))
        .map_err(|e| Error::new(e, "setsockopt(SO_SNDTIMEO)"))?;
    rustix::net::connect(&socket, &address).map_err(|e| Error::new(e, call()))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_packet_stays_a_packet() {
        let (a, b) = seqpacket_pair().unwrap();
        send(a.as_fd(), b"one").unwrap();
        send(a.as_fd(), b"three").unwrap();
        let mut buffer = [0; 64];
        assert_eq!(receive(b.as_fd(), &mut buffer).unwrap().0, 3);
        assert_eq!(receive(b.as_fd(), &mut buffer).unwrap().0, 5);
        drop(a);
        assert_eq!(receive(b.as_fd(), &mut buffer).unwrap().0, 0);
        let error = send(b.as_fd(), b"x").unwrap_err();
        assert_eq!(error.errno(), Errno::PIPE, "an error, not a signal");
    }

    #[test]
    fn a_packet_that_does_not_fit_is_an_error() {
        let (a, b) = seqpacket_pair().unwrap();
        send(a.as_fd(), &[1; 100]).unwrap();
        let error = receive(b.as_fd(), &mut [0; 10]).unwrap_err();
        assert_eq!(error.errno(), Errno::MSGSIZE);
        assert!(error.to_string().contains("10 bytes"), "{error}");
    }

    #[test]
    fn a_descriptor_travels_and_is_close_on_exec() {
        let (a, b) = seqpacket_pair().unwrap();
        let (read, write) = crate::system::pipe().unwrap();
        send_with_fd(a.as_fd(), b"pipe", write.as_fd()).unwrap();
        drop(write);
        let mut buffer = [0; 16];
        let (length, passed) = receive(b.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"pipe");
        let passed = passed.expect("a descriptor");
        let flags = rustix::io::fcntl_getfd(&passed).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        rustix::io::write(&passed, b"hi").unwrap();
        assert_eq!(rustix::io::read(&read, &mut buffer).unwrap(), 2);
        send(a.as_fd(), b"none").unwrap();
        assert!(receive(b.as_fd(), &mut buffer).unwrap().1.is_none());
    }

    #[test]
    fn descriptors_beyond_the_first_are_closed() {
        let (a, b) = seqpacket_pair().unwrap();
        let (read, write) = crate::system::pipe().unwrap();
        let many = [a.as_fd(), write.as_fd(), write.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&many)));
        rustix::net::sendmsg(&a, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).unwrap();
        drop(write);
        let (_, first) = receive(b.as_fd(), &mut [0; 4]).unwrap();
        assert!(first.is_some());
        assert_eq!(
            rustix::io::read(&read, &mut [0; 4]).unwrap(),
            0,
            "write ends are closed"
        );
    }

    #[test]
    fn a_listener_behind_a_long_path_is_reached() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let short = directory.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&short).unwrap();
        let path = deep.join("socket");
        std::fs::rename(&short, &path).unwrap();
        let client = connect_stream(path.to_str().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        send_with_fd(client.as_fd(), b"/dev/pts/0", client.as_fd()).unwrap();
        let (length, passed) = receive(server.as_fd(), &mut [0; 32]).unwrap();
        assert!(length == 10 && passed.is_some());
    }

    #[test]
    fn what_cannot_be_connected_to_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let missing = connect_stream(&path("missing")).unwrap_err();
        assert_eq!(missing.errno(), Errno::NOENT);
        std::fs::write(path("file"), "").unwrap();
        let file = connect_stream(&path("file")).unwrap_err();
        assert!(file.to_string().ends_with("is not a socket"), "{file}");
        drop(std::os::unix::net::UnixListener::bind(path("dead")).unwrap());
        let dead = connect_stream(&path("dead")).unwrap_err();
        assert_eq!(dead.errno(), Errno::CONNREFUSED);
    }
}
