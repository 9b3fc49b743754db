//! What a running container uses: what its cgroup counts, and its network devices.

use std::os::fd::AsFd;

use kernel::{fs, namespace};
use libcgroups::stats::{self, Stats};

use crate::error::Result;
use crate::state::State;
use crate::status;

/// No machine has so many network devices.
const NET_DEV_LIMIT: usize = 1 << 20;

/// What a container uses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    /// By controller.
    pub stats: Stats,
    /// Network devices of a network namespace that is not the caller's, without `lo`.
    pub network: Vec<Interface>,
}

/// A network device, seen from inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// As it is called inside.
    pub name: String,
    /// Received.
    pub rx: Traffic,
    /// Sent.
    pub tx: Traffic,
}

/// What went through a network device one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes
    pub bytes: u64,
    /// Packets
    pub packets: u64,
    /// Packets that were not as they should be.
    pub errors: u64,
    /// Packets that there was no room for.
    pub dropped: u64,
}

/// Reads what a container uses.
pub(crate) fn read(state: &State, cgroup: &libcgroups::Cgroup) -> Result<Usage> {
    Ok(Usage {
        stats: stats::read(cgroup)?,
        network: network(state).unwrap_or_default(),
    })
}

/// `None` when init ended meanwhile: its number may be a stranger's by now.
fn network(state: &State) -> Option<Vec<Interface>> {
    let theirs = fs::open_read(&format!("/proc/{}/ns/net", state.pid)).ok()?;
    let ours = namespace::open_own("net").ok()?;
    if namespace::same_namespace(theirs.as_fd(), ours.as_fd()).ok()? {
        return None;
    }
    let text = fs::read_file(&format!("/proc/{}/net/dev", state.pid), NET_DEV_LIMIT).ok()?;
    let alive = status::init_is_alive(state).ok()?;
    alive.then(|| interfaces(&String::from_utf8_lossy(&text)))
}

/// proc_pid_net(5): two lines of titles, then `NAME: ` and eight numbers each way.
fn interfaces(text: &str) -> Vec<Interface> {
    let lines = text.lines().skip(2).filter_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        let traffic = |first: usize| {
            let [bytes, packets, errors, dropped] = *numbers.get(first..first + 4)? else {
                return None;
            };
            Some(Traffic {
                bytes,
                packets,
                errors,
                dropped,
            })
        };
        Some(Interface {
            name: name.trim().to_owned(),
            rx: traffic(0)?,
            tx: traffic(8)?,
        })
    });
    lines.filter(|interface| interface.name != "lo").collect()
}

#[cfg(test)]
mod tests {
    use super::{Interface, Traffic, interfaces};

    #[test]
    fn numbers_of_network_devices() {
        let text = "Inter-|   Receive                          |  Transmit\n \
            face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed\n    \
            lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  \
            eth0:    1296      16    3    4    0     0          0         0      936      12    1    2    0     0       0          0\n";
        let traffic = |bytes, packets, errors, dropped| Traffic {
            bytes,
            packets,
            errors,
            dropped,
        };
        let eth0 = Interface {
            name: "eth0".to_owned(),
            rx: traffic(1296, 16, 3, 4),
            tx: traffic(936, 12, 1, 2),
        };
        assert_eq!(interfaces(text), [eth0]);
        assert_eq!(interfaces(""), []);
    }
}
