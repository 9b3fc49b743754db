//! One connection to a message bus, or to systemd itself, without a thread.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use kernel::system::{Poll, PollFlags, poll};
use kernel::{Errno, Error, fs, identity, socket};

use super::message::{Call, Kind, Message, Writer};

/// How long systemd may take for an answer or a job. Peers wait as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum BusError {
    /// The connection.
    System(Error),
    /// The answer is an error.
    Refused {
        /// `org.freedesktop.systemd1.UnitExists`
        name: String,
        /// For people.
        text: String,
    },
}

impl From<Error> for BusError {
    fn from(error: Error) -> Self {
        Self::System(error)
    }
}

type Result<T> = std::result::Result<T, BusError>;

/// Where to connect to.
struct Address {
    path: String,
    /// systemd itself listens: there is no bus that would want to be greeted.
    direct: bool,
}

/// A connection that was let in.
pub(super) struct Bus {
    socket: OwnedFd,
    serial: u32,
    input: Vec<u8>,
    signals: VecDeque<Message>,
}

impl Bus {
    /// Connects to the system's bus, or the caller's own, and asks for the ends of jobs.
    pub fn connect(user: bool) -> Result<Self> {
        let mut first_error = None;
        for address in addresses(user) {
            match socket::connect_stream(&address.path) {
                Ok(socket) => return Self::greet(socket, address.direct),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        let none = || {
            let error = Error::new(Errno::NOENT, "connect to the user's bus");
            error.with_detail("XDG_RUNTIME_DIR and DBUS_SESSION_BUS_ADDRESS are not set")
        };
        Err(first_error.unwrap_or_else(none).into())
    }

    /// `EXTERNAL` without an identity: who we are is what the kernel says of the
    /// socket. A number of ours would be wrong inside a user namespace.
    fn greet(socket: OwnedFd, direct: bool) -> Result<Self> {
        let mut bus = Self {
            socket,
            serial: 0,
            input: Vec::new(),
            signals: VecDeque::new(),
        };
        // Nothing of this waits for an answer before the next is sent.
        let mut bytes = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n".to_vec();
        if !direct {
            bytes.extend(bus.next_call(&of_bus("Hello", None)));
            let rule = "type='signal',interface='org.freedesktop.systemd1.Manager',\
                        member='JobRemoved'";
            bytes.extend(bus.next_call(&of_bus("AddMatch", Some(rule))));
        }
        socket::send(bus.socket.as_fd(), &bytes)?;
        bus.await_entry()?;
        Ok(bus)
    }

    /// Two lines: a request for data, and `OK` with the server's id.
    fn await_entry(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") else {
                self.fill(deadline)?;
                continue;
            };
            let line: Vec<u8> = self.input.drain(..end + 2).collect();
            if line.starts_with(b"OK ") {
                return Ok(());
            }
            if !line.starts_with(b"DATA") {
                let said = String::from_utf8_lossy(&line).trim().to_owned();
                let error = Error::new(Errno::ACCESS, "authenticate to the message bus");
                return Err(error.with_detail(format!("the bus says {said:?}")).into());
            }
        }
    }

    fn next_call(&mut self, call: &Call<'_>) -> Vec<u8> {
        self.serial += 1;
        call.encode(self.serial)
    }

    /// Calls a method and waits for its answer. Signals that come meanwhile are kept.
    pub fn call(&mut self, call: &Call<'_>) -> Result<Message> {
        let deadline = Instant::now() + PATIENCE;
        let bytes = self.next_call(call);
        socket::send(self.socket.as_fd(), &bytes)?;
        loop {
            let message = self.receive(deadline)?;
            match message.kind {
                Kind::Signal => self.signals.push_back(message),
                Kind::Reply if message.answers == self.serial => return Ok(message),
                Kind::Error if message.answers == self.serial => {
                    let text = message.texts().into_iter().next().unwrap_or_default();
                    return Err(BusError::Refused {
                        name: message.error_name,
                        text,
                    });
                }
                // Of the greeting.
                _ => {}
            }
        }
    }

    /// The next signal, one that came before or one to come.
    pub fn signal(&mut self, deadline: Instant) -> Result<Message> {
        if let Some(message) = self.signals.pop_front() {
            return Ok(message);
        }
        loop {
            let message = self.receive(deadline)?;
            if message.kind == Kind::Signal {
                return Ok(message);
            }
        }
    }

    /// When to give up waiting for a job.
    pub fn deadline() -> Instant {
        Instant::now() + PATIENCE
    }

    fn receive(&mut self, deadline: Instant) -> Result<Message> {
        let malformed = |_| Error::new(Errno::BADMSG, "read a message of the bus");
        loop {
            match Message::length(&self.input).map_err(malformed)? {
                Some(length) if length <= self.input.len() => {
                    let bytes: Vec<u8> = self.input.drain(..length).collect();
                    return Ok(Message::decode(&bytes).map_err(malformed)?);
                }
                _ => self.fill(deadline)?,
            }
        }
    }

    fn fill(&mut self, deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fds = [Poll::new(&self.socket, PollFlags::IN)];
        if left.is_zero() || poll(&mut fds, Some(left))? == 0 {
            let error = Error::new(Errno::TIMEDOUT, "wait for systemd");
            return Err(error.with_detail("no answer for 30 seconds").into());
        }
        let mut buffer = [0; 4096];
        let length = fs::read(self.socket.as_fd(), &mut buffer)?;
        if length == 0 {
            let error = Error::new(Errno::CONNRESET, "read from the message bus");
            return Err(error
                .with_detail("the bus has closed the connection")
                .into());
        }
        self.input
            .extend_from_slice(buffer.get(..length).unwrap_or_default());
        Ok(())
    }
}

/// A call to the bus itself.
fn of_bus<'a>(member: &'a str, argument: Option<&str>) -> Call<'a> {
    let mut body = Writer::default();
    if let Some(argument) = argument {
        body.text(argument);
    }
    Call {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member,
        signature: if argument.is_some() { "s" } else { "" },
        body: body.into_bytes(),
    }
}

/// The bus first. A minimal host has none, and then systemd listens all the same.
fn addresses(user: bool) -> Vec<Address> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (named, standard, own) = if user {
        let runtime = variable("XDG_RUNTIME_DIR");
        let runtime = runtime.unwrap_or_else(|| format!("/run/user/{}", identity::effective_uid()));
        (
            variable("DBUS_SESSION_BUS_ADDRESS"),
            format!("{runtime}/bus"),
            format!("{runtime}/systemd/private"),
        )
    } else {
        (
            variable("DBUS_SYSTEM_BUS_ADDRESS"),
            "/run/dbus/system_bus_socket".to_owned(),
            "/run/systemd/private".to_owned(),
        )
    };
    let mut paths = named.as_deref().map(unix_paths).unwrap_or_default();
    paths.push(standard);
    let buses = paths.into_iter().map(|path| Address {
        path,
        direct: false,
    });
    let itself = Address {
        path: own,
        direct: true,
    };
    buses.chain([itself]).collect()
}

/// `unix:path=/run/user/1000/bus,guid=0123;...`; other transports are passed over.
fn unix_paths(addresses: &str) -> Vec<String> {
    let path_of = |address: &str| {
        let keys = address.strip_prefix("unix:")?;
        let path = keys.split(',').find_map(|key| key.strip_prefix("path="))?;
        unescape(path)
    };
    addresses.split(';').filter_map(path_of).collect()
}

/// `%2f` is a slash.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::unix_paths;

    #[test]
    fn addresses_of_buses() {
        assert_eq!(unix_paths("unix:path=/run/user/1/bus"), ["/run/user/1/bus"]);
        let two = "unix:abstract=/tmp/x,guid=1;unix:guid=2,path=/a%20b;tcp:host=h";
        assert_eq!(unix_paths(two), ["/a b"]);
        assert!(unix_paths("unix:path=/%g").is_empty());
        assert!(unix_paths("").is_empty());
    }
}
