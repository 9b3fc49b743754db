//! `linux.netDevices`: devices of this network namespace become the container's, and
//! come back when the container cannot be made.
//!
//! Init is in its network namespace by now, be it new or joined, and waits.

use std::os::fd::{AsFd, OwnedFd};

use kernel::link::{Address, Link, LinkSocket};
use kernel::{Errno, fs, namespace};
use plan::{ParentOp, ParentPhase, Plan};

use super::{failed, steps_of};
use crate::error::{Doing, Result};

/// Both ends of the move, and what was moved.
pub(crate) struct NetDevices {
    /// The network namespace of this process.
    own: OwnedFd,
    outside: LinkSocket,
    /// The container's.
    network: OwnedFd,
    inside: LinkSocket,
    moved: Vec<Moved>,
}

struct Moved {
    /// Its name outside.
    name: String,
    /// Its number inside.
    link: Link,
    was_up: bool,
    addresses: Vec<Address>,
}

impl NetDevices {
    /// Moves all. What was moved before one is refused comes back.
    pub(super) fn move_all(plan: &Plan, pid: i32) -> Result<Self> {
        let mut devices = Self::open(pid).doing(|| "network of the container".to_owned())?;
        for step in steps_of(plan, ParentPhase::Network) {
            let ParentOp::MoveNetDevice { name, inside } = &step.op else {
                continue;
            };
            if let Err(error) = devices.move_one(name, inside) {
                devices.bring_back();
                return Err(failed(step, &error));
            }
        }
        Ok(devices)
    }

    fn open(pid: i32) -> kernel::Result<Self> {
        let own = namespace::open_own("net")?;
        // A magic link, which the private procfs does not follow.
        let network = fs::open_read(&format!("/proc/{pid}/ns/net"))?;
        if namespace::same_namespace(own.as_fd(), network.as_fd())? {
            let text = "the container shares the network of the runtime";
            return Err(kernel::Error::new(Errno::INVAL, "check").with_detail(text));
        }
        Ok(Self {
            outside: LinkSocket::open()?,
            inside: LinkSocket::open_in(network.as_fd())?,
            own,
            network,
            moved: Vec::new(),
        })
    }

    /// The kernel takes a new name only when the old one is taken, and tells neither a
    /// number from `%d` nor the new index: so first a name that nobody else uses.
    fn move_one(&mut self, name: &str, inside: &str) -> kernel::Result<()> {
        let link = self.outside.find(name)?;
        let addresses = self.outside.permanent_addresses(link)?;
        let passing = format!("cor{}", link.index);
        self.outside.move_to(link, self.network.as_fd(), &passing)?;
        let there = self.inside.find(&passing)?;
        self.moved.push(Moved {
            name: name.to_owned(),
            link: there,
            was_up: link.is_up,
            addresses: addresses.clone(),
        });
        self.inside.rename(there, inside)?;
        for address in &addresses {
            self.inside.add_address(there, address)?;
        }
        self.inside.set_up(there)
    }

    /// As far as possible: the error that brought us here is the one to tell.
    pub(crate) fn bring_back(self) {
        for device in self.moved.iter().rev() {
            let _ = self.bring_one_back(device);
        }
    }

    fn bring_one_back(&self, device: &Moved) -> kernel::Result<()> {
        self.inside
            .move_to(device.link, self.own.as_fd(), &device.name)?;
        let link = self.outside.find(&device.name)?;
        for address in &device.addresses {
            self.outside.add_address(link, address)?;
        }
        if device.was_up {
            self.outside.set_up(link)?;
        }
        Ok(())
    }
}
