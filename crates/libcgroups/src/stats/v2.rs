//! The files of cgroup v2.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use kernel::Result;

use super::text::{
    device, flat_keyed, limit, nested_keyed, number, page_sizes, pressure, rdma, text,
};
use super::v1::{pids, throttling};
use super::{Counter, Cpu, Hugetlb, Io, IoEntry, Limit, Memory, Pressure, Stats};
use crate::{Cgroup, CgroupError};

const NS_PER_US: u64 = 1000;

/// Reads what the v1 hierarchies of a hybrid host have not told already.
pub(super) fn read_rest(
    cgroup: &Cgroup,
    stats: &mut Stats,
) -> std::result::Result<(), CgroupError> {
    let Some(place) = cgroup.v2() else {
        return Ok(());
    };
    match cgroup.existing(place)? {
        Some(dir) => Ok(read(dir, stats).map_err(|e| cgroup.located(place, e))?),
        None => Ok(()),
    }
}

fn read(dir: BorrowedFd<'_>, stats: &mut Stats) -> Result<()> {
    if stats.cpu.is_none() {
        stats.cpu = cpu(dir)?;
    }
    if stats.memory.is_none() {
        stats.memory = memory(dir)?;
    }
    if stats.pids.is_none() {
        stats.pids = pids(dir)?;
    }
    if stats.io.is_none() {
        stats.io = io(dir)?;
    }
    if stats.hugetlb.is_none() {
        stats.hugetlb = hugetlb(dir)?;
    }
    if stats.rdma.is_none() {
        stats.rdma = rdma(dir)?;
    }
    Ok(())
}

fn pressure_of(dir: BorrowedFd<'_>, file: &str) -> Result<Option<Pressure>> {
    Ok(text(dir, file)?.as_deref().and_then(pressure))
}

/// `cpu.stat` is there without the controller, too.
fn cpu(dir: BorrowedFd<'_>) -> Result<Option<Cpu>> {
    let stat = flat_keyed(&text(dir, "cpu.stat")?.unwrap_or_default());
    let ns = |name: &str| stat.get(name).map(|us| us * NS_PER_US);
    let Some(total_ns) = ns("usage_usec") else {
        return Ok(None);
    };
    Ok(Some(Cpu {
        total_ns,
        user_ns: ns("user_usec").unwrap_or_default(),
        kernel_ns: ns("system_usec").unwrap_or_default(),
        per_cpu: Vec::new(),
        throttling: throttling(&stat, "throttled_usec", NS_PER_US),
        pressure: pressure_of(dir, "cpu.pressure")?,
    }))
}

/// The files of `memory.` and `memory.swap.`.
fn counter(dir: BorrowedFd<'_>, prefix: &str) -> Result<Option<Counter>> {
    let Some(usage) = number(dir, &format!("{prefix}current"))? else {
        return Ok(None);
    };
    Ok(Some(Counter {
        usage,
        peak: number(dir, &format!("{prefix}peak"))?,
        limit: limit(dir, &format!("{prefix}max"))?.unwrap_or_default(),
        failures: None,
    }))
}

fn memory(dir: BorrowedFd<'_>) -> Result<Option<Memory>> {
    let Some(usage) = counter(dir, "memory.")? else {
        return Ok(None);
    };
    let swap = counter(dir, "memory.swap.")?;
    let stat = flat_keyed(&text(dir, "memory.stat")?.unwrap_or_default());
    let events = flat_keyed(&text(dir, "memory.events")?.unwrap_or_default());
    Ok(Some(Memory {
        usage,
        cache: stat.get("file").copied().unwrap_or_default(),
        swap,
        memory_and_swap: swap.map(|swap| together(usage, swap)),
        kernel: None,
        kernel_tcp: None,
        stat,
        oom_kills: events.get("oom_kill").copied(),
        pressure: pressure_of(dir, "memory.pressure")?,
    }))
}

/// Two peaks need not have been at the same time: the sum had at least the larger.
fn together(memory: Counter, swap: Counter) -> Counter {
    let limit = match (memory.limit, swap.limit) {
        (Limit::At(memory), Limit::At(swap)) => Limit::At(memory.saturating_add(swap)),
        _ => Limit::Unlimited,
    };
    Counter {
        usage: memory.usage.saturating_add(swap.usage),
        peak: memory.peak.max(swap.peak),
        limit,
        failures: None,
    }
}

fn io(dir: BorrowedFd<'_>) -> Result<Option<Io>> {
    Ok(match text(dir, "io.stat")? {
        Some(stat) => Some(Io {
            pressure: pressure_of(dir, "io.pressure")?,
            ..io_of(&stat)
        }),
        None => None,
    })
}

fn io_of(stat: &str) -> Io {
    let mut io = Io::default();
    for (key, pairs) in stat.lines().filter_map(nested_keyed) {
        let Some((major, minor)) = device(key) else {
            continue;
        };
        for (name, value) in pairs {
            let (list, op) = match name {
                "rbytes" => (&mut io.service_bytes, "Read"),
                "wbytes" => (&mut io.service_bytes, "Write"),
                "dbytes" => (&mut io.service_bytes, "Discard"),
                "rios" => (&mut io.serviced, "Read"),
                "wios" => (&mut io.serviced, "Write"),
                "dios" => (&mut io.serviced, "Discard"),
                _ => continue,
            };
            list.push(IoEntry {
                major,
                minor,
                op: op.to_owned(),
                value: value.parse().unwrap_or_default(),
            });
        }
    }
    io
}

fn hugetlb(dir: BorrowedFd<'_>) -> Result<Option<BTreeMap<String, Hugetlb>>> {
    let sizes = page_sizes(dir)?;
    if sizes.is_empty() {
        return Ok(None);
    }
    let mut all = BTreeMap::new();
    for size in sizes {
        let prefix = format!("hugetlb.{size}.");
        let Some(mut pages) = counter(dir, &prefix)? else {
            continue;
        };
        let events = flat_keyed(&text(dir, &format!("{prefix}events"))?.unwrap_or_default());
        pages.failures = events.get("max").copied();
        let reserved = counter(dir, &format!("{prefix}rsvd."))?;
        all.insert(size, Hugetlb { pages, reserved });
    }
    Ok(Some(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_the_names_of_v1() {
        let io = io_of(
            "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n\
             8:16 rbytes=1 wbytes=0 rios=1 wios=0 dbytes=3 dios=1 cost.usage=5\n8:32\n",
        );
        let line = |e: &IoEntry| format!("{}:{} {} {}", e.major, e.minor, e.op, e.value);
        let bytes: Vec<String> = io.service_bytes.iter().map(line).collect();
        let wanted = [
            "254:0 Read 4096",
            "254:0 Write 8192",
            "254:0 Discard 0",
            "8:16 Read 1",
            "8:16 Write 0",
            "8:16 Discard 3",
        ];
        assert_eq!(bytes, wanted);
        assert_eq!(io.serviced.len(), 6);
        assert_eq!(io.bytes(), (4097, 8192));
    }

    #[test]
    fn memory_and_swap_are_added_up() {
        let counter = |usage, peak, limit| Counter {
            usage,
            peak,
            limit,
            failures: None,
        };
        let memory = counter(10, Some(50), Limit::At(100));
        let sum = together(memory, counter(3, Some(60), Limit::At(20)));
        assert_eq!(sum, counter(13, Some(60), Limit::At(120)));
        let sum = together(memory, counter(3, None, Limit::Unlimited));
        assert_eq!(sum, counter(13, Some(50), Limit::Unlimited));
    }

    #[test]
    fn the_working_set_leaves_out_idle_cache() {
        let mut memory = Memory::default();
        memory.usage.usage = 100;
        assert_eq!(memory.working_set(), 100);
        memory.stat.insert("inactive_file".to_owned(), 30);
        assert_eq!(memory.working_set(), 70);
        memory.stat.insert("total_inactive_file".to_owned(), 200);
        assert_eq!(memory.working_set(), 0);
    }
}
