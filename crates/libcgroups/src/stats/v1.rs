//! The files of cgroup v1.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use kernel::Result;

use super::text::{blkio, flat_keyed, limit, list, number, page_sizes, rdma, text};
use super::{Counter, Cpu, CpuTime, Cpuset, Hugetlb, Io, Limit, Memory, Pids, Stats, Throttling};
use crate::{Cgroup, CgroupError};

/// `USER_HZ`, which `cpuacct.stat` counts in: 100 on every machine since Linux 2.6.
const NS_PER_TICK: u64 = 1_000_000_000 / 100;

/// The largest page count in bytes: what v1 says for no limit is at least nearly that.
const NO_LIMIT_FROM: u64 = i64::MAX as u64 / 65_536 * 65_536;

/// Reads what v1 controllers count.
pub(super) fn read(cgroup: &Cgroup) -> std::result::Result<Stats, CgroupError> {
    let mut stats = Stats::default();
    on(cgroup, "cpuacct", |dir| cpu(dir, &mut stats.cpu))?;
    on(cgroup, "cpu", |dir| {
        let text = text(dir, "cpu.stat")?;
        if let (Some(cpu), Some(text)) = (&mut stats.cpu, text) {
            cpu.throttling = throttling(&flat_keyed(&text), "throttled_time", 1);
        }
        Ok(())
    })?;
    on(cgroup, "cpuset", |dir| {
        stats.cpuset = cpuset(dir)?;
        Ok(())
    })?;
    on(cgroup, "memory", |dir| {
        stats.memory = memory(dir)?;
        Ok(())
    })?;
    on(cgroup, "pids", |dir| {
        stats.pids = pids(dir)?;
        Ok(())
    })?;
    on(cgroup, "blkio", |dir| {
        stats.io = io(dir)?;
        Ok(())
    })?;
    on(cgroup, "hugetlb", |dir| {
        stats.hugetlb = Some(hugetlb(dir)?);
        Ok(())
    })?;
    on(cgroup, "rdma", |dir| {
        stats.rdma = rdma(dir)?;
        Ok(())
    })?;
    Ok(stats)
}

/// Reads in the directory of a controller, if there is one.
fn on(
    cgroup: &Cgroup,
    controller: &str,
    read: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
) -> std::result::Result<(), CgroupError> {
    let Some(place) = cgroup.v1(controller) else {
        return Ok(());
    };
    match cgroup.existing(place)? {
        Some(dir) => Ok(read(dir).map_err(|e| cgroup.located(place, e))?),
        None => Ok(()),
    }
}

fn cpu(dir: BorrowedFd<'_>, cpu: &mut Option<Cpu>) -> Result<()> {
    let Some(total_ns) = number(dir, "cpuacct.usage")? else {
        return Ok(());
    };
    let ticks = flat_keyed(&text(dir, "cpuacct.stat")?.unwrap_or_default());
    let ns = |name: &str| ticks.get(name).map_or(0, |ticks| ticks * NS_PER_TICK);
    let totals = text(dir, "cpuacct.usage_percpu")?.unwrap_or_default();
    let parts = text(dir, "cpuacct.usage_all")?.unwrap_or_default();
    *cpu = Some(Cpu {
        total_ns,
        user_ns: ns("user"),
        kernel_ns: ns("system"),
        per_cpu: per_cpu(&totals, &parts),
        throttling: None,
        pressure: None,
    });
    Ok(())
}

/// The totals in one line, exact; then `cpu user system`, and a line for each processor,
/// whose two numbers are what the clock's ticks met.
fn per_cpu(totals: &str, parts: &str) -> Vec<CpuTime> {
    let number = |word: &str| word.parse().unwrap_or_default();
    let mut parts = parts.lines().skip(1).map(|line| {
        let mut words = line.split_whitespace().skip(1).map(number);
        (words.next().unwrap_or(0), words.next().unwrap_or(0))
    });
    let each = totals.split_whitespace().map(|total| {
        let (user_ns, kernel_ns) = parts.next().unwrap_or_default();
        CpuTime {
            total_ns: number(total),
            user_ns,
            kernel_ns,
        }
    });
    each.collect()
}

/// `cpu.stat`, whose times are in another unit in each version.
pub(super) fn throttling(
    stat: &BTreeMap<String, u64>,
    time: &str,
    ns_in_unit: u64,
) -> Option<Throttling> {
    Some(Throttling {
        periods: *stat.get("nr_periods")?,
        throttled_periods: *stat.get("nr_throttled")?,
        throttled_ns: stat.get(time)? * ns_in_unit,
    })
}

fn cpuset(dir: BorrowedFd<'_>) -> Result<Option<Cpuset>> {
    let Some(cpus) = text(dir, "cpuset.cpus")? else {
        return Ok(None);
    };
    let flag = |name: &str| Ok(number(dir, &format!("cpuset.{name}"))?.unwrap_or_default());
    let level = text(dir, "cpuset.sched_relax_domain_level")?.unwrap_or_default();
    Ok(Some(Cpuset {
        cpus: list(&cpus),
        mems: list(&text(dir, "cpuset.mems")?.unwrap_or_default()),
        cpu_exclusive: flag("cpu_exclusive")?,
        mem_hardwall: flag("mem_hardwall")?,
        mem_exclusive: flag("mem_exclusive")?,
        memory_migrate: flag("memory_migrate")?,
        memory_spread_page: flag("memory_spread_page")?,
        memory_spread_slab: flag("memory_spread_slab")?,
        memory_pressure: flag("memory_pressure")?,
        sched_load_balance: flag("sched_load_balance")?,
        sched_relax_domain_level: level.trim().parse().unwrap_or_default(),
    }))
}

/// The four files of `memory.`, `memory.memsw.`, `hugetlb.2MB.`.
fn counter(dir: BorrowedFd<'_>, prefix: &str) -> Result<Option<Counter>> {
    let Some(usage) = number(dir, &format!("{prefix}usage_in_bytes"))? else {
        return Ok(None);
    };
    let of = |name: &str| number(dir, &format!("{prefix}{name}"));
    let limit = of("limit_in_bytes")?.filter(|n| *n < NO_LIMIT_FROM);
    Ok(Some(Counter {
        usage,
        peak: of("max_usage_in_bytes")?,
        limit: limit.map_or(Limit::Unlimited, Limit::At),
        failures: of("failcnt")?,
    }))
}

fn memory(dir: BorrowedFd<'_>) -> Result<Option<Memory>> {
    let Some(usage) = counter(dir, "memory.")? else {
        return Ok(None);
    };
    let stat = flat_keyed(&text(dir, "memory.stat")?.unwrap_or_default());
    let control = flat_keyed(&text(dir, "memory.oom_control")?.unwrap_or_default());
    Ok(Some(Memory {
        usage,
        cache: stat.get("cache").copied().unwrap_or_default(),
        swap: None,
        memory_and_swap: counter(dir, "memory.memsw.")?,
        kernel: counter(dir, "memory.kmem.")?,
        kernel_tcp: counter(dir, "memory.kmem.tcp.")?,
        stat,
        oom_kills: control.get("oom_kill").copied(),
        pressure: None,
    }))
}

/// The same files in both versions.
pub(super) fn pids(dir: BorrowedFd<'_>) -> Result<Option<Pids>> {
    let Some(current) = number(dir, "pids.current")? else {
        return Ok(None);
    };
    let limit = limit(dir, "pids.max")?.unwrap_or_default();
    Ok(Some(Pids { current, limit }))
}

/// BFQ counts its own devices, the throttler all that is left.
fn io(dir: BorrowedFd<'_>) -> Result<Option<Io>> {
    let entries = |file: String| -> Result<Vec<super::IoEntry>> {
        Ok(blkio(&text(dir, &file)?.unwrap_or_default()))
    };
    let bfq = |name: &str| entries(format!("blkio.bfq.{name}_recursive"));
    let either = |name: &str| -> Result<Vec<super::IoEntry>> {
        let found = bfq(name)?;
        if found.is_empty() {
            return entries(format!("blkio.throttle.{name}_recursive"));
        }
        Ok(found)
    };
    if text(dir, "blkio.throttle.io_serviced")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Io {
        service_bytes: either("io_service_bytes")?,
        serviced: either("io_serviced")?,
        queued: bfq("io_queued")?,
        service_time: bfq("io_service_time")?,
        wait_time: bfq("io_wait_time")?,
        merged: bfq("io_merged")?,
        time: bfq("time")?,
        sectors: bfq("sectors")?,
        pressure: None,
    }))
}

fn hugetlb(dir: BorrowedFd<'_>) -> Result<BTreeMap<String, Hugetlb>> {
    let mut all = BTreeMap::new();
    for size in page_sizes(dir)? {
        if let Some(pages) = counter(dir, &format!("hugetlb.{size}."))? {
            let reserved = counter(dir, &format!("hugetlb.{size}.rsvd."))?;
            all.insert(size, Hugetlb { pages, reserved });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_one_by_one() {
        let found = per_cpu("121 8 \n", "cpu user system\n0 100 20\n1 0 7\n");
        let wanted = [(121, 100, 20), (8, 0, 7)];
        let wanted = wanted.map(|(total_ns, user_ns, kernel_ns)| CpuTime {
            total_ns,
            user_ns,
            kernel_ns,
        });
        assert_eq!(found, wanted);
        assert_eq!(per_cpu("5\n", "")[0].total_ns, 5);
        assert_eq!(per_cpu("", ""), []);
    }

    #[test]
    fn throttling_in_nanoseconds() {
        let v1 = flat_keyed("nr_periods 5\nnr_throttled 2\nthrottled_time 7000\n");
        let v2 = flat_keyed(
            "usage_usec 9\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\nnr_bursts 0\n",
        );
        let wanted = Some(Throttling {
            periods: 5,
            throttled_periods: 2,
            throttled_ns: 7000,
        });
        assert_eq!(throttling(&v1, "throttled_time", 1), wanted);
        assert_eq!(throttling(&v2, "throttled_usec", 1000), wanted);
        let without = flat_keyed("usage_usec 9\n");
        assert_eq!(throttling(&without, "throttled_usec", 1000), None);
    }
}
