//! `linux.resources` in the files of cgroup v1. `pids` and `rdma` are as in v2.

use super::limits::{Amount, Limits, Memory, Throttle};
use super::sheet::{Need, Sheet, at};
use crate::PlanError;

pub(super) fn memory(limits: &Limits, sheet: &mut Sheet<'_>) {
    let m = &limits.memory;
    // The limit can never be above memory and swap together: going up, the sum
    // goes first; coming down, last.
    if m.limit == Some(Amount::Unlimited) {
        swap(m, sheet);
        limit(m, sheet);
    } else {
        limit(m, sheet);
        swap(m, sheet);
    }
    if let Some(n) = m.reservation {
        let need = Need::unless(n == Amount::Unlimited);
        sheet.put(
            "memory.soft_limit_in_bytes",
            n.or_minus_one(),
            need,
            at("memory.reservation"),
        );
    }
    if let Some(n) = m.kernel_tcp {
        let need = Need::unless(n == Amount::Unlimited);
        sheet.put(
            "memory.kmem.tcp.limit_in_bytes",
            n.or_minus_one(),
            need,
            at("memory.kernelTCP"),
        );
    }
    if let Some(n) = m.swappiness {
        sheet.put(
            "memory.swappiness",
            n,
            Need::Required,
            at("memory.swappiness"),
        );
    }
    if m.disable_oom_killer {
        sheet.put(
            "memory.oom_control",
            1,
            Need::Required,
            at("memory.disableOOMKiller"),
        );
    }
}

fn limit(m: &Memory, sheet: &mut Sheet<'_>) {
    // `checkBeforeUpdate` needs no help here: v1 itself refuses a limit below usage.
    if let Some(limit) = m.limit {
        let need = Need::unless(limit == Amount::Unlimited);
        sheet.put(
            "memory.limit_in_bytes",
            limit.or_minus_one(),
            need,
            at("memory.limit"),
        );
    }
}

fn swap(m: &Memory, sheet: &mut Sheet<'_>) {
    let file = "memory.memsw.limit_in_bytes";
    match (m.limit, m.swap) {
        (Some(Amount::Unlimited), None) => sheet.put(file, "-1", Need::Default, at("memory.limit")),
        (Some(Amount::Unlimited), Some(Amount::Exactly(sum))) => sheet.problem(PlanError::invalid(
            at("memory.swap"),
            "-1 because memory.limit is -1: it is memory and swap together",
            sum.to_string(),
        )),
        (limit, Some(sum)) => {
            // Without swap accounting nothing is swapped: no swap is what happens anyway.
            let need = Need::unless(sum == Amount::Unlimited || Some(sum) == limit);
            sheet.put(file, sum.or_minus_one(), need, at("memory.swap"));
        }
        (_, None) => {}
    }
}

pub(super) fn cpu(limits: &Limits, sheet: &mut Sheet<'_>) {
    let c = &limits.cpu;
    if let Some(idle) = c.idle {
        sheet.put(
            "cpu.idle",
            u8::from(idle),
            Need::unless(!idle),
            at("cpu.idle"),
        );
    }
    // The shares of an idle group cannot be written (EINVAL) and mean nothing.
    if let Some(shares) = c.shares.filter(|_| c.idle != Some(true)) {
        sheet.put(
            "cpu.shares",
            shares,
            Need::unless(shares == 1024),
            at("cpu.shares"),
        );
    }
    let limited = matches!(c.quota, Some(Amount::Exactly(_)));
    if let Some(period) = c.period {
        sheet.put(
            "cpu.cfs_period_us",
            period,
            Need::unless(!limited),
            at("cpu.period"),
        );
    }
    if let Some(quota) = c.quota {
        let need = Need::unless(!limited);
        sheet.put(
            "cpu.cfs_quota_us",
            quota.or_minus_one(),
            need,
            at("cpu.quota"),
        );
    }
    // After the quota: the kernel refuses a burst above it.
    if let Some(burst) = c.burst {
        sheet.put(
            "cpu.cfs_burst_us",
            burst,
            Need::unless(burst == 0),
            at("cpu.burst"),
        );
    }
    if let Some(period) = c.realtime_period {
        sheet.put(
            "cpu.rt_period_us",
            period,
            Need::Required,
            at("cpu.realtimePeriod"),
        );
    }
    if let Some(runtime) = c.realtime_runtime {
        sheet.put(
            "cpu.rt_runtime_us",
            runtime,
            Need::Required,
            at("cpu.realtimeRuntime"),
        );
    }
}

pub(super) fn blkio(limits: &Limits, sheet: &mut Sheet<'_>) {
    if let Some(w) = limits.block.weight {
        sheet.put(
            "blkio.bfq.weight",
            w,
            Need::unless(w == 100),
            at("blockIO.weight"),
        );
        sheet.or_else("blkio.weight", w);
    }
    for entry in &limits.block.weight_devices {
        let value = format!("{} {}", entry.device, entry.weight);
        sheet.put(
            "blkio.bfq.weight_device",
            &value,
            Need::Required,
            entry.from.clone(),
        );
        sheet.or_else("blkio.weight_device", value);
    }
    for entry in &limits.block.rates {
        let file = match entry.kind {
            Throttle::ReadBytes => "blkio.throttle.read_bps_device",
            Throttle::WriteBytes => "blkio.throttle.write_bps_device",
            Throttle::ReadOperations => "blkio.throttle.read_iops_device",
            Throttle::WriteOperations => "blkio.throttle.write_iops_device",
        };
        let value = format!("{} {}", entry.device, entry.rate);
        sheet.put(
            file,
            value,
            Need::unless(entry.rate == 0),
            entry.from.clone(),
        );
    }
}

pub(super) fn hugetlb(limits: &Limits, sheet: &mut Sheet<'_>) {
    for (size, limit, index) in &limits.huge_pages {
        let from = || at("hugepageLimits").index(*index);
        let need = Need::unless(*limit == Amount::Unlimited);
        let value = limit.or_minus_one();
        sheet.put(
            format!("hugetlb.{size}.limit_in_bytes"),
            &value,
            need,
            from(),
        );
        // Reservations: without a limit there, mmap succeeds and the first touch kills.
        let file = format!("hugetlb.{size}.rsvd.limit_in_bytes");
        sheet.put(file, value, Need::Default, from());
    }
}

pub(super) fn net_cls(limits: &Limits, sheet: &mut Sheet<'_>) {
    if let Some(class) = limits.network.class {
        sheet.put(
            "net_cls.classid",
            class,
            Need::Required,
            at("network.classID"),
        );
    }
}

pub(super) fn net_prio(limits: &Limits, sheet: &mut Sheet<'_>) {
    for (index, (name, priority)) in limits.network.priorities.iter().enumerate() {
        let from = at("network.priorities").index(index);
        sheet.put(
            "net_prio.ifpriomap",
            format!("{name} {priority}"),
            Need::Required,
            from,
        );
    }
}
