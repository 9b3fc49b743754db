//! `io.containerd.cgroups.v2.Metrics`

use std::collections::BTreeMap;

use containerd_shim_protos::cgroups_v2::metrics::{
    CPUStat, HugeTlbStat, IOEntry, IOStat, MemoryEvents, MemoryStat, Metrics, NetworkStat, PSIData,
    PSIStats, PidsStat, RdmaEntry, RdmaStat,
};
use containerd_shim_protos::protobuf::MessageField;
use libcgroups::stats::{Cpu, Hugetlb, Io, Memory, Pids, Pressure, Rdma, Stall};
use libcontainer::{Interface, Usage};

use super::{limit, limit_or_zero, short};

/// All that is counted.
pub fn metrics(usage: &Usage) -> Metrics {
    let stats = &usage.stats;
    let kills = stats.memory.as_ref().and_then(|memory| memory.oom_kills);
    let events = kills.map(|kills| MemoryEvents {
        oom_kill: kills,
        ..MemoryEvents::default()
    });
    Metrics {
        pids: stats.pids.map(pids).into(),
        cpu: stats.cpu.as_ref().map(cpu).into(),
        memory: stats.memory.as_ref().map(memory).into(),
        rdma: stats.rdma.as_ref().map(rdma).into(),
        io: stats.io.as_ref().map(io).into(),
        hugetlb: stats.hugetlb.iter().flatten().map(hugetlb).collect(),
        memory_events: events.into(),
        network: usage.network.iter().map(network).collect(),
        ..Metrics::default()
    }
}

fn pressure(pressure: &Pressure) -> PSIStats {
    let data = |stall: &Stall| PSIData {
        avg10: stall.avg10,
        avg60: stall.avg60,
        avg300: stall.avg300,
        total: stall.total_us,
        ..PSIData::default()
    };
    PSIStats {
        some: MessageField::some(data(&pressure.some)),
        full: pressure.full.as_ref().map(data).into(),
        ..PSIStats::default()
    }
}

fn cpu(cpu: &Cpu) -> CPUStat {
    let throttling = cpu.throttling.unwrap_or_default();
    CPUStat {
        usage_usec: cpu.total_ns / 1000,
        user_usec: cpu.user_ns / 1000,
        system_usec: cpu.kernel_ns / 1000,
        nr_periods: throttling.periods,
        nr_throttled: throttling.throttled_periods,
        throttled_usec: throttling.throttled_ns / 1000,
        psi: cpu.pressure.as_ref().map(pressure).into(),
        ..CPUStat::default()
    }
}

fn memory(memory: &Memory) -> MemoryStat {
    let of = |name: &str| memory.stat.get(name).copied().unwrap_or_default();
    let swap = memory.swap.unwrap_or_default();
    MemoryStat {
        anon: of("anon"),
        file: of("file"),
        kernel_stack: of("kernel_stack"),
        slab: of("slab"),
        sock: of("sock"),
        shmem: of("shmem"),
        file_mapped: of("file_mapped"),
        file_dirty: of("file_dirty"),
        file_writeback: of("file_writeback"),
        anon_thp: of("anon_thp"),
        inactive_anon: of("inactive_anon"),
        active_anon: of("active_anon"),
        inactive_file: of("inactive_file"),
        active_file: of("active_file"),
        unevictable: of("unevictable"),
        slab_reclaimable: of("slab_reclaimable"),
        slab_unreclaimable: of("slab_unreclaimable"),
        pgfault: of("pgfault"),
        pgmajfault: of("pgmajfault"),
        // Told apart by what was there since Linux 5.9.
        workingset_refault: of("workingset_refault_anon") + of("workingset_refault_file"),
        workingset_activate: of("workingset_activate_anon") + of("workingset_activate_file"),
        workingset_nodereclaim: of("workingset_nodereclaim"),
        pgrefill: of("pgrefill"),
        pgscan: of("pgscan"),
        pgsteal: of("pgsteal"),
        pgactivate: of("pgactivate"),
        pgdeactivate: of("pgdeactivate"),
        pglazyfree: of("pglazyfree"),
        pglazyfreed: of("pglazyfreed"),
        thp_fault_alloc: of("thp_fault_alloc"),
        thp_collapse_alloc: of("thp_collapse_alloc"),
        usage: memory.usage.usage,
        usage_limit: limit(memory.usage.limit),
        max_usage: memory.usage.peak.unwrap_or_default(),
        swap_usage: swap.usage,
        swap_limit: limit(swap.limit),
        swap_max_usage: swap.peak.unwrap_or_default(),
        psi: memory.pressure.as_ref().map(pressure).into(),
        ..MemoryStat::default()
    }
}

/// One entry for each device.
fn io(io: &Io) -> IOStat {
    let mut devices: BTreeMap<(u64, u64), IOEntry> = BTreeMap::new();
    for (entries, bytes) in [(&io.service_bytes, true), (&io.serviced, false)] {
        for entry in entries {
            let device = devices.entry((entry.major, entry.minor)).or_default();
            (device.major, device.minor) = (entry.major, entry.minor);
            match (entry.op.as_str(), bytes) {
                ("Read", true) => device.rbytes += entry.value,
                ("Write", true) => device.wbytes += entry.value,
                ("Read", false) => device.rios += entry.value,
                ("Write", false) => device.wios += entry.value,
                _ => {}
            }
        }
    }
    IOStat {
        usage: devices.into_values().collect(),
        psi: io.pressure.as_ref().map(pressure).into(),
        ..IOStat::default()
    }
}

fn hugetlb((size, pages): (&String, &Hugetlb)) -> HugeTlbStat {
    HugeTlbStat {
        current: pages.pages.usage,
        max: limit(pages.pages.limit),
        pagesize: size.clone(),
        failcnt: pages.pages.failures.unwrap_or_default(),
        ..HugeTlbStat::default()
    }
}

super::alike!();
