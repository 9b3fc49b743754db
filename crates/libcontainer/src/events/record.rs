//! The records of `events`, field by field as `go-runc` and its callers decode them:
//! the names, the order, and what is left out when it is 0 are runc's.

use std::collections::BTreeMap;

use libcgroups::stats::{self, Counter, Hugetlb, IoEntry, Limit, Stats};
use serde::Serialize;

use crate::state::State;
use crate::usage::{Interface, Usage};

/// One line of `events`.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// `stats` or `oom`
    #[serde(rename = "type")]
    kind: &'static str,
    /// Container id.
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

#[derive(Debug, Clone, Serialize)]
struct Data {
    cpu: Cpu,
    cpuset: Cpuset,
    memory: Memory,
    pids: Pids,
    blkio: Blkio,
    hugetlb: BTreeMap<String, HugePages>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rdma: BTreeMap<String, Rdma>,
    intel_rdt: IntelRdt,
    network_interfaces: Option<Vec<NetworkInterface>>,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Cpu {
    usage: CpuUsage,
    throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

/// Nanoseconds.
#[derive(Debug, Clone, Default, Serialize)]
struct CpuUsage {
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    percpu_user: Vec<u64>,
    kernel: u64,
    user: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_periods: u64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    throttled_time: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Cpuset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cpus: Vec<u16>,
    cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mems: Vec<u16>,
    mem_hardwall: u64,
    mem_exclusive: u64,
    memory_migrate: u64,
    memory_spread_page: u64,
    memory_spread_slab: u64,
    memory_pressure: u64,
    sched_load_balance: u64,
    sched_relax_domain_level: i64,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Memory {
    #[serde(skip_serializing_if = "is_zero")]
    cache: u64,
    usage: MemoryEntry,
    /// Memory and swap together, on v2 too.
    swap: MemoryEntry,
    kernel: MemoryEntry,
    #[serde(rename = "kernelTCP")]
    kernel_tcp: MemoryEntry,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Debug, Clone, Default, Serialize)]
struct MemoryEntry {
    limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    /// 0 is no limit.
    #[serde(skip_serializing_if = "is_zero")]
    limit: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blkio {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_queue_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_wait_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_merged_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_time_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sectors_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Debug, Clone, Serialize)]
struct BlkioEntry {
    #[serde(skip_serializing_if = "is_zero")]
    major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    minor: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    op: String,
    #[serde(skip_serializing_if = "is_zero")]
    value: u64,
}

#[derive(Debug, Clone, Serialize)]
struct HugePages {
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

/// What resctrl counts is not told yet.
#[derive(Debug, Clone, Serialize)]
struct IntelRdt {}

/// The only record that runc does not have.
#[derive(Debug, Clone, Serialize)]
struct Rdma {
    hca_handles: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hca_handles_limit: Option<u64>,
    hca_objects: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hca_objects_limit: Option<u64>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkInterface {
    name: String,
    rx_bytes: u64,
    rx_packets: u64,
    rx_errors: u64,
    rx_dropped: u64,
    tx_bytes: u64,
    tx_packets: u64,
    tx_errors: u64,
    tx_dropped: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Psi {
    some: PsiLine,
    full: PsiLine,
}

/// Percent, and microseconds.
#[derive(Debug, Clone, Serialize)]
struct PsiLine {
    avg10: f64,
    avg60: f64,
    avg300: f64,
    total: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Event {
    /// The container was out of memory.
    pub(super) fn oom(id: &str) -> Self {
        Self {
            kind: "oom",
            id: id.to_owned(),
            data: None,
        }
    }

    /// What the container uses.
    pub(super) fn stats(state: &State, usage: Usage) -> Self {
        let directories = &state.cgroup.directories;
        let memory_is_v1 = directories
            .iter()
            .any(|directory| directory.controllers.iter().any(|c| c == "memory"));
        // What the file of v1 says: the largest number of whole pages.
        let no_limit = if memory_is_v1 {
            i64::MAX.unsigned_abs() / 4096 * 4096
        } else {
            u64::MAX
        };
        Self {
            kind: "stats",
            id: state.id.clone(),
            data: Some(data(usage, no_limit)),
        }
    }
}

fn data(usage: Usage, no_limit: u64) -> Data {
    let Usage { stats, network } = usage;
    let Stats {
        cpu,
        cpuset,
        memory,
        pids,
        io,
        hugetlb,
        rdma,
    } = stats;
    let network: Vec<NetworkInterface> = network.into_iter().map(Into::into).collect();
    let hugetlb = hugetlb.unwrap_or_default().into_iter();
    let rdma = rdma.unwrap_or_default().into_iter();
    Data {
        cpu: cpu.map(Into::into).unwrap_or_default(),
        cpuset: cpuset.map(Into::into).unwrap_or_default(),
        memory: memory
            .map(|memory| memory_of(memory, no_limit))
            .unwrap_or_default(),
        pids: pids.map(Into::into).unwrap_or_default(),
        blkio: io.map(Into::into).unwrap_or_default(),
        hugetlb: hugetlb.map(|(size, pages)| (size, pages.into())).collect(),
        rdma: rdma.map(|(device, rdma)| (device, rdma.into())).collect(),
        intel_rdt: IntelRdt {},
        network_interfaces: (!network.is_empty()).then_some(network),
    }
}

impl From<stats::Cpu> for Cpu {
    fn from(cpu: stats::Cpu) -> Self {
        let each = |of: fn(&stats::CpuTime) -> u64| cpu.per_cpu.iter().map(of).collect();
        let throttling = cpu.throttling.unwrap_or_default();
        Self {
            usage: CpuUsage {
                total: cpu.total_ns,
                percpu: each(|one| one.total_ns),
                percpu_kernel: each(|one| one.kernel_ns),
                percpu_user: each(|one| one.user_ns),
                kernel: cpu.kernel_ns,
                user: cpu.user_ns,
            },
            throttling: Throttling {
                periods: throttling.periods,
                throttled_periods: throttling.throttled_periods,
                throttled_time: throttling.throttled_ns,
            },
            psi: cpu.pressure.map(Into::into),
        }
    }
}

impl From<stats::Cpuset> for Cpuset {
    fn from(set: stats::Cpuset) -> Self {
        Self {
            cpus: set.cpus,
            cpu_exclusive: set.cpu_exclusive,
            mems: set.mems,
            mem_hardwall: set.mem_hardwall,
            mem_exclusive: set.mem_exclusive,
            memory_migrate: set.memory_migrate,
            memory_spread_page: set.memory_spread_page,
            memory_spread_slab: set.memory_spread_slab,
            memory_pressure: set.memory_pressure,
            sched_load_balance: set.sched_load_balance,
            sched_relax_domain_level: set.sched_relax_domain_level,
        }
    }
}

fn memory_of(memory: stats::Memory, no_limit: u64) -> Memory {
    let entry = |counter: Option<Counter>| match counter {
        None => MemoryEntry::default(),
        Some(counter) => MemoryEntry {
            limit: counter.limit.number().unwrap_or(no_limit),
            usage: counter.usage,
            max: counter.peak.unwrap_or_default(),
            failcnt: counter.failures.unwrap_or_default(),
        },
    };
    Memory {
        cache: memory.cache,
        usage: entry(Some(memory.usage)),
        swap: entry(memory.memory_and_swap),
        kernel: entry(memory.kernel),
        kernel_tcp: entry(memory.kernel_tcp),
        raw: memory.stat,
        psi: memory.pressure.map(Into::into),
    }
}

impl From<stats::Pids> for Pids {
    fn from(pids: stats::Pids) -> Self {
        Self {
            current: pids.current,
            limit: pids.limit.number().unwrap_or_default(),
        }
    }
}

impl From<stats::Io> for Blkio {
    fn from(io: stats::Io) -> Self {
        let entries = |list: Vec<IoEntry>| list.into_iter().map(Into::into).collect();
        Self {
            io_service_bytes_recursive: entries(io.service_bytes),
            io_serviced_recursive: entries(io.serviced),
            io_queue_recursive: entries(io.queued),
            io_service_time_recursive: entries(io.service_time),
            io_wait_time_recursive: entries(io.wait_time),
            io_merged_recursive: entries(io.merged),
            io_time_recursive: entries(io.time),
            sectors_recursive: entries(io.sectors),
            psi: io.pressure.map(Into::into),
        }
    }
}

impl From<IoEntry> for BlkioEntry {
    fn from(entry: IoEntry) -> Self {
        Self {
            major: entry.major,
            minor: entry.minor,
            op: entry.op,
            value: entry.value,
        }
    }
}

/// The reserved ones where they are counted: that is what a container cannot have more of.
impl From<Hugetlb> for HugePages {
    fn from(pages: Hugetlb) -> Self {
        let counter = pages.reserved.unwrap_or(pages.pages);
        let failures = counter.failures.or(pages.pages.failures);
        Self {
            usage: counter.usage,
            max: counter.peak.unwrap_or_default(),
            failcnt: failures.unwrap_or_default(),
        }
    }
}

impl From<stats::Rdma> for Rdma {
    fn from(rdma: stats::Rdma) -> Self {
        let number = Limit::number;
        Self {
            hca_handles: rdma.handles,
            hca_handles_limit: number(rdma.handles_limit),
            hca_objects: rdma.objects,
            hca_objects_limit: number(rdma.objects_limit),
        }
    }
}

impl From<Interface> for NetworkInterface {
    fn from(interface: Interface) -> Self {
        let Interface { name, rx, tx } = interface;
        Self {
            name,
            rx_bytes: rx.bytes,
            rx_packets: rx.packets,
            rx_errors: rx.errors,
            rx_dropped: rx.dropped,
            tx_bytes: tx.bytes,
            tx_packets: tx.packets,
            tx_errors: tx.errors,
            tx_dropped: tx.dropped,
        }
    }
}

impl From<stats::Pressure> for Psi {
    fn from(pressure: stats::Pressure) -> Self {
        let line = |stall: stats::Stall| PsiLine {
            avg10: stall.avg10,
            avg60: stall.avg60,
            avg300: stall.avg300,
            total: stall.total_us,
        };
        Self {
            some: line(pressure.some),
            full: line(pressure.full.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_nobody_counted_has_the_form_of_runc() {
        let record = serde_json::to_value(data(Usage::default(), u64::MAX)).unwrap();
        let entry = json!({"limit": 0, "failcnt": 0});
        assert_eq!(
            record,
            json!({
                "cpu": {"usage": {"kernel": 0, "user": 0}, "throttling": {}},
                "cpuset": {"cpu_exclusive": 0, "mem_hardwall": 0, "mem_exclusive": 0,
                    "memory_migrate": 0, "memory_spread_page": 0, "memory_spread_slab": 0,
                    "memory_pressure": 0, "sched_load_balance": 0, "sched_relax_domain_level": 0},
                "memory": {"usage": entry, "swap": entry, "kernel": entry, "kernelTCP": entry},
                "pids": {}, "blkio": {}, "hugetlb": {}, "intel_rdt": {},
                "network_interfaces": null,
            })
        );
        let oom = serde_json::to_value(Event::oom("c1")).unwrap();
        assert_eq!(oom, json!({"type": "oom", "id": "c1"}));
    }

    #[test]
    fn what_was_counted_has_the_names_of_runc() {
        let usage = Usage {
            stats: Stats {
                memory: Some(stats::Memory {
                    usage: Counter {
                        usage: 5,
                        peak: Some(9),
                        limit: Limit::Unlimited,
                        failures: None,
                    },
                    ..stats::Memory::default()
                }),
                pids: Some(stats::Pids {
                    current: 2,
                    limit: Limit::At(7),
                }),
                io: Some(stats::Io {
                    serviced: vec![IoEntry {
                        major: 8,
                        minor: 0,
                        op: "Read".to_owned(),
                        value: 3,
                    }],
                    pressure: Some(stats::Pressure::default()),
                    ..stats::Io::default()
                }),
                ..Stats::default()
            },
            network: vec![Interface {
                name: "eth0".to_owned(),
                ..Interface::default()
            }],
        };
        let record = serde_json::to_value(data(usage, 77)).unwrap();
        assert_eq!(
            record["memory"]["usage"],
            json!({"limit": 77, "usage": 5, "max": 9, "failcnt": 0})
        );
        assert_eq!(record["pids"], json!({"current": 2, "limit": 7}));
        let line = json!({"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0});
        assert_eq!(
            record["blkio"],
            json!({"ioServicedRecursive": [{"major": 8, "op": "Read", "value": 3}],
                "psi": {"some": line, "full": line}})
        );
        let interface = &record["network_interfaces"][0];
        assert_eq!(interface["Name"], "eth0");
        assert_eq!(interface.as_object().unwrap().len(), 9);
    }
}
