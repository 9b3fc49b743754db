//! `io.containerd.cgroups.v1.Metrics`

use std::collections::BTreeMap;

use containerd_shim_protos::cgroups::metrics::{
    BlkIOEntry, BlkIOStat, CPUStat, CPUUsage, HugetlbStat, MemoryEntry, MemoryOomControl,
    MemoryStat, Metrics, NetworkStat, PidsStat, RdmaEntry, RdmaStat, Throttle,
};
use containerd_shim_protos::protobuf::MessageField;
use libcgroups::stats::{Counter, Cpu, Hugetlb, Io, IoEntry, Limit, Memory, Pids, Rdma};
use libcontainer::{Interface, Usage};

use super::{limit_or_zero, short};

/// No limit is what the files of v1 hold then: the highest number of bytes in pages of
/// 4096.
fn limit(limit: Limit) -> u64 {
    limit.number().unwrap_or(0x7fff_ffff_ffff_f000)
}

/// All that is counted.
pub fn metrics(usage: &Usage) -> Metrics {
    let stats = &usage.stats;
    let oom = stats.memory.as_ref().and_then(|memory| memory.oom_kills);
    Metrics {
        hugetlb: stats.hugetlb.iter().flatten().map(hugetlb).collect(),
        pids: stats.pids.map(pids).into(),
        cpu: stats.cpu.as_ref().map(cpu).into(),
        memory: stats.memory.as_ref().map(memory).into(),
        blkio: stats.io.as_ref().map(blkio).into(),
        rdma: stats.rdma.as_ref().map(rdma).into(),
        network: usage.network.iter().map(network).collect(),
        memory_oom_control: oom.map(oom_control).into(),
        ..Metrics::default()
    }
}

fn hugetlb((size, pages): (&String, &Hugetlb)) -> HugetlbStat {
    HugetlbStat {
        usage: pages.pages.usage,
        max: pages.pages.peak.unwrap_or_default(),
        failcnt: pages.pages.failures.unwrap_or_default(),
        pagesize: size.clone(),
        ..HugetlbStat::default()
    }
}

fn cpu(cpu: &Cpu) -> CPUStat {
    let usage = CPUUsage {
        total: cpu.total_ns,
        kernel: cpu.kernel_ns,
        user: cpu.user_ns,
        per_cpu: cpu.per_cpu.iter().map(|time| time.total_ns).collect(),
        ..CPUUsage::default()
    };
    let throttling = cpu.throttling.map(|throttling| Throttle {
        periods: throttling.periods,
        throttled_periods: throttling.throttled_periods,
        throttled_time: throttling.throttled_ns,
        ..Throttle::default()
    });
    CPUStat {
        usage: MessageField::some(usage),
        throttling: throttling.into(),
        ..CPUStat::default()
    }
}

fn oom_control(kills: u64) -> MemoryOomControl {
    MemoryOomControl {
        oom_kill: kills,
        ..MemoryOomControl::default()
    }
}

fn entry(counter: &Counter) -> MemoryEntry {
    MemoryEntry {
        limit: limit(counter.limit),
        usage: counter.usage,
        max: counter.peak.unwrap_or_default(),
        failcnt: counter.failures.unwrap_or_default(),
        ..MemoryEntry::default()
    }
}

fn memory(memory: &Memory) -> MemoryStat {
    let mut stat = own_counts(&memory.stat);
    stat.usage = MessageField::some(entry(&memory.usage));
    // containerd calls memory and swap together "swap", as the files of v1 do.
    stat.swap = memory.memory_and_swap.as_ref().map(entry).into();
    stat.kernel = memory.kernel.as_ref().map(entry).into();
    stat.kernel_tcp = memory.kernel_tcp.as_ref().map(entry).into();
    stat
}

/// `memory.stat`: the group's own part, and with all groups below it.
fn own_counts(stat: &BTreeMap<String, u64>) -> MemoryStat {
    let of = |name: &str| stat.get(name).copied().unwrap_or_default();
    MemoryStat {
        cache: of("cache"),
        rss: of("rss"),
        rss_huge: of("rss_huge"),
        mapped_file: of("mapped_file"),
        dirty: of("dirty"),
        writeback: of("writeback"),
        pg_pg_in: of("pgpgin"),
        pg_pg_out: of("pgpgout"),
        pg_fault: of("pgfault"),
        pg_maj_fault: of("pgmajfault"),
        inactive_anon: of("inactive_anon"),
        active_anon: of("active_anon"),
        inactive_file: of("inactive_file"),
        active_file: of("active_file"),
        unevictable: of("unevictable"),
        hierarchical_memory_limit: of("hierarchical_memory_limit"),
        hierarchical_swap_limit: of("hierarchical_memsw_limit"),
        total_cache: of("total_cache"),
        total_rss: of("total_rss"),
        total_rss_huge: of("total_rss_huge"),
        total_mapped_file: of("total_mapped_file"),
        total_dirty: of("total_dirty"),
        total_writeback: of("total_writeback"),
        total_pg_pg_in: of("total_pgpgin"),
        total_pg_pg_out: of("total_pgpgout"),
        total_pg_fault: of("total_pgfault"),
        total_pg_maj_fault: of("total_pgmajfault"),
        total_inactive_anon: of("total_inactive_anon"),
        total_active_anon: of("total_active_anon"),
        total_inactive_file: of("total_inactive_file"),
        total_active_file: of("total_active_file"),
        total_unevictable: of("total_unevictable"),
        ..MemoryStat::default()
    }
}

fn blkio(io: &Io) -> BlkIOStat {
    let entries = |entries: &[IoEntry]| entries.iter().map(blkio_entry).collect();
    BlkIOStat {
        io_service_bytes_recursive: entries(&io.service_bytes),
        io_serviced_recursive: entries(&io.serviced),
        io_queued_recursive: entries(&io.queued),
        io_service_time_recursive: entries(&io.service_time),
        io_wait_time_recursive: entries(&io.wait_time),
        io_merged_recursive: entries(&io.merged),
        io_time_recursive: entries(&io.time),
        sectors_recursive: entries(&io.sectors),
        ..BlkIOStat::default()
    }
}

fn blkio_entry(entry: &IoEntry) -> BlkIOEntry {
    BlkIOEntry {
        op: entry.op.clone(),
        major: entry.major,
        minor: entry.minor,
        value: entry.value,
        ..BlkIOEntry::default()
    }
}

super::alike!();
