//! Numbers of a container as containerd's metrics: `io.containerd.cgroups.v1.Metrics`
//! where controllers are mounted one by one, `io.containerd.cgroups.v2.Metrics` where
//! there is one hierarchy.

use std::path::Path;

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{MessageFull, Result};
use libcgroups::stats::Limit;
use libcontainer::Usage;

/// What both versions of the message have, each with types of its own.
macro_rules! alike {
    () => {
        fn rdma(devices: &BTreeMap<String, Rdma>) -> RdmaStat {
            let entry = |device: &String, handles: u64, objects: u64| RdmaEntry {
                device: device.clone(),
                hca_handles: short(handles),
                hca_objects: short(objects),
                ..RdmaEntry::default()
            };
            let current =
                |(device, rdma): (&String, &Rdma)| entry(device, rdma.handles, rdma.objects);
            let most = |(device, rdma): (&String, &Rdma)| {
                entry(device, limit(rdma.handles_limit), limit(rdma.objects_limit))
            };
            RdmaStat {
                current: devices.iter().map(current).collect(),
                limit: devices.iter().map(most).collect(),
                ..RdmaStat::default()
            }
        }

        fn network(interface: &Interface) -> NetworkStat {
            NetworkStat {
                name: interface.name.clone(),
                rx_bytes: interface.rx.bytes,
                rx_packets: interface.rx.packets,
                rx_errors: interface.rx.errors,
                rx_dropped: interface.rx.dropped,
                tx_bytes: interface.tx.bytes,
                tx_packets: interface.tx.packets,
                tx_errors: interface.tx.errors,
                tx_dropped: interface.tx.dropped,
                ..NetworkStat::default()
            }
        }

        fn pids(pids: Pids) -> PidsStat {
            PidsStat {
                current: pids.current,
                limit: limit_or_zero(pids.limit),
                ..PidsStat::default()
            }
        }
    };
}
use alike;

mod v1;
mod v2;

/// The message that fits this host.
///
/// # Errors
/// Those of encoding.
pub fn metrics(usage: &Usage) -> Result<Any> {
    // Only the root of a pure cgroup2 has it.
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        encode(&v2::metrics(usage))
    } else {
        encode(&v1::metrics(usage))
    }
}

fn encode<M: MessageFull>(message: &M) -> Result<Any> {
    Ok(Any {
        type_url: M::descriptor().full_name().to_owned(),
        value: message.write_to_bytes()?,
        ..Any::default()
    })
}

/// No limit is the largest number.
fn limit(limit: Limit) -> u64 {
    limit.number().unwrap_or(u64::MAX)
}

/// No limit is 0, as `pids` has it.
fn limit_or_zero(limit: Limit) -> u64 {
    limit.number().unwrap_or(0)
}

/// What the message has 32 bits for.
fn short(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
