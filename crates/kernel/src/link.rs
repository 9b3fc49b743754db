//! Network devices and their addresses, by netlink: found in one network namespace,
//! moved to another, rtnetlink(7).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};

use crate::{Errno, Error, Result, namespace};

/// A conversation with the kernel about one network namespace.
pub struct LinkSocket {
    socket: Socket,
}

/// A network device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Whether it is up.
    pub is_up: bool,
}

/// An address of a device, as it is given to the device again elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(AddressMessage);

impl LinkSocket {
    /// About the network namespace that this process is in.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` for a kernel without netlink.
    pub fn open() -> Result<Self> {
        let call = "socket(AF_NETLINK, NETLINK_ROUTE)";
        let socket = Socket::new(NETLINK_ROUTE).map_err(|e| Error::new(errno_of(&e), call))?;
        Ok(Self { socket })
    }

    /// About another one: it is entered, and left again. Only for a process of one thread.
    ///
    /// # Errors
    /// Those of [`namespace::set_namespace`].
    pub fn open_in(network: BorrowedFd<'_>) -> Result<Self> {
        let own = namespace::open_own("net")?;
        namespace::set_namespace(network, namespace::NEW_NETWORK)?;
        let opened = Self::open();
        namespace::set_namespace(own.as_fd(), namespace::NEW_NETWORK)?;
        opened
    }

    /// The device of this name.
    ///
    /// # Errors
    /// `ENODEV` when there is none.
    pub fn find(&self, name: &str) -> Result<Link> {
        let mut wanted = LinkMessage::default();
        wanted
            .attributes
            .push(LinkAttribute::IfName(name.to_owned()));
        let call = format!("RTM_GETLINK({name})");
        let answers = self.ask(RouteNetlinkMessage::GetLink(wanted), 0, &call)?;
        let found = answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(Link {
                index: link.header.index,
                is_up: link.header.flags.contains(LinkFlags::Up),
            }),
            _ => None,
        });
        found.ok_or_else(|| Error::new(Errno::NODEV, call))
    }

    /// Its addresses that are permanent and of global scope: neither given for a time
    /// by the network nor made by the kernel.
    ///
    /// # Errors
    /// Of the kernel; none is usual.
    pub fn permanent_addresses(&self, link: Link) -> Result<Vec<Address>> {
        let wanted = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self.ask(wanted, NLM_F_DUMP, "RTM_GETADDR")?;
        let all = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(address) => Some(address),
            _ => None,
        });
        let kept = all.filter(|address| {
            let header = &address.header;
            header.index == link.index
                && header.scope == AddressScope::Universe
                && header.flags.contains(AddressHeaderFlags::Permanent)
        });
        Ok(kept.map(Address::portable).collect())
    }

    /// Moves a device to another network namespace, under another name. It is down
    /// there and without its addresses.
    ///
    /// # Errors
    /// `EINVAL` for one that cannot leave (`lo`); `EEXIST` when the name is taken there.
    pub fn move_to(&self, link: Link, network: BorrowedFd<'_>, name: &str) -> Result<()> {
        let attributes = vec![
            LinkAttribute::NetNsFd(network.as_raw_fd()),
            LinkAttribute::IfName(name.to_owned()),
        ];
        let call = format!("RTM_SETLINK({}, IFLA_NET_NS_FD, {name})", link.index);
        self.change(link, attributes, &call)
    }

    /// Gives a device that is down another name; one `%d` in it becomes the lowest
    /// number that is free.
    ///
    /// # Errors
    /// `EEXIST` when the name is taken, `EINVAL` for an impossible one.
    pub fn rename(&self, link: Link, name: &str) -> Result<()> {
        let attributes = vec![LinkAttribute::IfName(name.to_owned())];
        let call = format!("RTM_SETLINK({}, {name})", link.index);
        self.change(link, attributes, &call)
    }

    fn change(&self, link: Link, attributes: Vec<LinkAttribute>, call: &str) -> Result<()> {
        let mut wanted = LinkMessage::default();
        wanted.header.index = link.index;
        wanted.attributes = attributes;
        self.ask(RouteNetlinkMessage::SetLink(wanted), 0, call)
            .map(drop)
    }

    /// Sets a device up.
    ///
    /// # Errors
    /// Of the driver.
    pub fn set_up(&self, link: Link) -> Result<()> {
        let mut wanted = LinkMessage::default();
        wanted.header.index = link.index;
        wanted.header.flags = LinkFlags::Up;
        wanted.header.change_mask = LinkFlags::Up;
        let call = format!("RTM_SETLINK({}, IFF_UP)", link.index);
        self.ask(RouteNetlinkMessage::SetLink(wanted), 0, &call)
            .map(drop)
    }

    /// Gives a device an address.
    ///
    /// # Errors
    /// `EEXIST` when it has it.
    pub fn add_address(&self, link: Link, address: &Address) -> Result<()> {
        let mut wanted = address.0.clone();
        wanted.header.index = link.index;
        let call = format!("RTM_NEWADDR({})", link.index);
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.ask(RouteNetlinkMessage::NewAddress(wanted), flags, &call)
            .map(drop)
    }

    /// One request and all that is answered to it. A dump ends with `NLMSG_DONE`,
    /// everything else with an acknowledgement.
    fn ask(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        call: &str,
    ) -> Result<Vec<RouteNetlinkMessage>> {
        let failed = |errno| Error::new(errno, call);
        let mut request = NetlinkMessage::from(message);
        let end = if flags & NLM_F_DUMP == NLM_F_DUMP {
            0
        } else {
            NLM_F_ACK
        };
        request.header.flags = NLM_F_REQUEST | end | flags;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket
            .send(&bytes, 0)
            .map_err(|e| failed(errno_of(&e)))?;
        let mut answers = Vec::new();
        loop {
            let (packet, _) = self
                .socket
                .recv_from_full()
                .map_err(|e| failed(errno_of(&e)))?;
            let mut rest = packet.as_slice();
            while !rest.is_empty() {
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|_| failed(Errno::BADMSG))?;
                let length = (message.header.length as usize).next_multiple_of(4);
                rest = rest.get(length.max(4)..).unwrap_or_default();
                match message.payload {
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) => {
                        return match error.code {
                            None => Ok(answers),
                            Some(code) => Err(failed(Errno::from_raw_os_error(-code.get()))),
                        };
                    }
                    _ => {}
                }
            }
        }
    }
}

impl Address {
    /// Without what belongs to the place: label, times, and what the kernel found out.
    fn portable(mut message: AddressMessage) -> Self {
        use AddressAttribute as A;
        let asked = AddressFlags::Noprefixroute | AddressFlags::Nodad | AddressFlags::Homeaddress;
        message.attributes = message
            .attributes
            .into_iter()
            .filter_map(|attribute| match attribute {
                A::Flags(flags) => Some(A::Flags(flags & asked)),
                A::Address(_) | A::Local(_) | A::Broadcast(_) | A::RoutePriority(_) => {
                    Some(attribute)
                }
                _ => None,
            })
            .collect();
        message.header.flags = AddressHeaderFlags::empty();
        Self(message)
    }
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
