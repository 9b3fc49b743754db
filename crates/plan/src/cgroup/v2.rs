//! `linux.resources` in the files of cgroup v2.

use super::limits::{Amount, Cpu, Limits, Memory, Throttle};
use super::sheet::{Need, Sheet, at};
use crate::ConfigPath;

/// Periods are 100 ms unless somebody says otherwise.
const PERIOD_MICROSECONDS: u64 = 100_000;

pub(super) fn memory(limits: &Limits, sheet: &mut Sheet<'_>) {
    let m = &limits.memory;
    if let Some(limit) = m.limit {
        let need = Need::unless(limit == Amount::Unlimited);
        sheet.put("memory.max", limit.or_max(), need, at("memory.limit"));
        if m.check_before_update {
            sheet.not_below("memory.current");
        }
    }
    swap(m, sheet);
    match m.reservation {
        // v1's "no soft limit" is v2's "no protection", not its opposite `max`.
        Some(Amount::Unlimited) => {
            sheet.put("memory.low", 0, Need::Default, at("memory.reservation"));
        }
        Some(Amount::Exactly(n)) => {
            sheet.put("memory.low", n, Need::Required, at("memory.reservation"));
        }
        None => {}
    }
    if matches!(m.kernel_tcp, Some(Amount::Exactly(_))) {
        let text = "ignored: cgroup v2 counts socket buffers against memory.limit";
        sheet.warn(at("memory.kernelTCP"), text);
    }
    if m.swappiness.is_some() {
        let text = "ignored: cgroup v2 has no swappiness";
        sheet.warn(at("memory.swappiness"), text);
    }
    if m.disable_oom_killer {
        let text = "ignored: cgroup v2 cannot switch the OOM killer off";
        sheet.warn(at("memory.disableOOMKiller"), text);
    }
}

/// The spec's swap is memory and swap together, the file's is swap alone.
fn swap(m: &Memory, sheet: &mut Sheet<'_>) {
    let from = at("memory.swap");
    let alone = match (m.limit, m.swap) {
        (Some(Amount::Unlimited), None) => {
            return sheet.put("memory.swap.max", "max", Need::Default, at("memory.limit"));
        }
        (_, None) => return,
        (_, Some(Amount::Unlimited)) => Amount::Unlimited,
        (Some(Amount::Exactly(limit)), Some(Amount::Exactly(sum))) => {
            Amount::Exactly(sum.saturating_sub(limit))
        }
        (_, Some(swap)) => swap,
    };
    // Without swap accounting nothing is swapped: 0 is what happens anyway.
    let need = Need::unless(matches!(alone, Amount::Unlimited | Amount::Exactly(0)));
    sheet.put("memory.swap.max", alone.or_max(), need, from);
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
    // The weight of an idle group cannot be written (EINVAL) and means nothing.
    if let Some(shares) = c.shares.filter(|_| c.idle != Some(true)) {
        let weight = weight_of_shares(shares);
        sheet.put(
            "cpu.weight",
            weight,
            Need::unless(weight == 100),
            at("cpu.shares"),
        );
    }
    bandwidth(c, sheet);
    let realtime = [
        ("cpu.realtimeRuntime", c.realtime_runtime.is_some()),
        ("cpu.realtimePeriod", c.realtime_period.is_some()),
    ];
    for (name, _) in realtime.iter().filter(|(_, set)| *set) {
        sheet.unsupported(at(name), "cgroup v2 has no realtime limits");
    }
}

fn bandwidth(c: &Cpu, sheet: &mut Sheet<'_>) {
    if c.quota.is_some() || c.period.is_some() {
        let quota = c.quota.unwrap_or(Amount::Unlimited);
        let period = c.period.unwrap_or(PERIOD_MICROSECONDS);
        let from = if c.quota.is_some() {
            "cpu.quota"
        } else {
            "cpu.period"
        };
        let need = Need::unless(quota == Amount::Unlimited);
        sheet.put(
            "cpu.max",
            format!("{} {period}", quota.or_max()),
            need,
            at(from),
        );
    }
    // After the quota: the kernel refuses a burst above it.
    if let Some(burst) = c.burst {
        sheet.put(
            "cpu.max.burst",
            burst,
            Need::unless(burst == 0),
            at("cpu.burst"),
        );
    }
}

/// `cpu.shares` (2 to 262144, 1024 by default) as `cpu.weight` (1 to 10000, 100
/// by default): the curve that runtimes agreed on in 2025, which meets both
/// defaults and both ends. <https://github.com/kubernetes/kubernetes/issues/131216>
pub(super) fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            // No shares in this range are too many for a float.
            let l = f64::from(u32::try_from(shares).unwrap_or(u32::MAX)).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            // 1024 must be 100 on every machine, whatever the last bit of its powf.
            (10_f64.powf(exponent) - 1e-9).ceil() as u64
        }
    }
}

pub(super) fn cpuset(limits: &Limits, sheet: &mut Sheet<'_>) {
    if let Some(cpus) = &limits.cpus {
        sheet.put("cpuset.cpus", cpus, Need::Required, at("cpu.cpus"));
    }
    if let Some(mems) = &limits.mems {
        sheet.put("cpuset.mems", mems, Need::Required, at("cpu.mems"));
    }
}

/// The same file in both versions. 0 would keep even the first process out
/// (`CLONE_INTO_CGROUP` is counted), so it becomes 1: no further process.
pub(super) fn pids(limits: &Limits, sheet: &mut Sheet<'_>) {
    let from = || at("pids.limit");
    match limits.pids {
        Some(Amount::Unlimited) => sheet.put("pids.max", "max", Need::Default, from()),
        Some(Amount::Exactly(n)) => sheet.put("pids.max", n.max(1), Need::Required, from()),
        None => {}
    }
}

/// Of a weight from 10 to 1000 in the scale of `io.weight`, 1 to 10000.
pub(super) fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990
}

pub(super) fn io(limits: &Limits, sheet: &mut Sheet<'_>) {
    if let Some(w) = limits.block.weight {
        // BFQ, where it is built in, takes the spec's scale as it is.
        sheet.put(
            "io.bfq.weight",
            w,
            Need::unless(w == 100),
            at("blockIO.weight"),
        );
        sheet.or_else("io.weight", io_weight(w));
    }
    for entry in &limits.block.weight_devices {
        let value = format!("{} {}", entry.device, entry.weight);
        sheet.put("io.bfq.weight", value, Need::Required, entry.from.clone());
        sheet.or_else(
            "io.weight",
            format!("{} {}", entry.device, io_weight(entry.weight)),
        );
    }
    for entry in &limits.block.rates {
        let key = match entry.kind {
            Throttle::ReadBytes => "rbps",
            Throttle::WriteBytes => "wbps",
            Throttle::ReadOperations => "riops",
            Throttle::WriteOperations => "wiops",
        };
        let rate = match entry.rate {
            0 => "max".to_owned(),
            n => n.to_string(),
        };
        let need = Need::unless(entry.rate == 0);
        sheet.put(
            "io.max",
            format!("{} {key}={rate}", entry.device),
            need,
            entry.from.clone(),
        );
    }
}

pub(super) fn hugetlb(limits: &Limits, sheet: &mut Sheet<'_>) {
    for (size, limit, index) in &limits.huge_pages {
        let from = || at("hugepageLimits").index(*index);
        let need = Need::unless(*limit == Amount::Unlimited);
        sheet.put(format!("hugetlb.{size}.max"), limit.or_max(), need, from());
        // Reservations: without a limit there, mmap succeeds and the first touch kills.
        let file = format!("hugetlb.{size}.rsvd.max");
        sheet.put(file, limit.or_max(), Need::Default, from());
    }
}

/// The same file in both versions.
pub(super) fn rdma(limits: &Limits, sheet: &mut Sheet<'_>) {
    for (device, limit) in &limits.rdma {
        let mut line = device.clone();
        if let Some(n) = limit.hca_handles() {
            line.push_str(&format!(" hca_handle={n}"));
        }
        if let Some(n) = limit.hca_objects() {
            line.push_str(&format!(" hca_object={n}"));
        }
        if line.len() > device.len() {
            sheet.put("rdma.max", line, Need::Required, at("rdma").key(device));
        }
    }
}

/// v2 has neither; packets are matched by cgroup path there.
pub(super) fn net_cls(limits: &Limits, sheet: &mut Sheet<'_>) {
    if limits.network.class.is_some() {
        no_network(at("network.classID"), sheet);
    }
}

/// See [`net_cls`].
pub(super) fn net_prio(limits: &Limits, sheet: &mut Sheet<'_>) {
    if !limits.network.priorities.is_empty() {
        no_network(at("network.priorities"), sheet);
    }
}

fn no_network(from: ConfigPath, sheet: &mut Sheet<'_>) {
    sheet.unsupported(from, "cgroup v2 has no network classes and priorities");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_meet_both_defaults_and_both_ends() {
        let known = [
            (1, 1),
            (2, 1),
            (3, 2),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (262_143, 10_000),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ];
        for (shares, weight) in known {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        let all: Vec<u64> = (2..262_144).map(weight_of_shares).collect();
        assert!(all.is_sorted(), "more shares never weigh less");
    }

    #[test]
    fn io_weights_meet_both_ends() {
        assert_eq!(io_weight(10), 1);
        assert_eq!(io_weight(100), 910);
        assert_eq!(io_weight(1000), 10_000);
    }
}
