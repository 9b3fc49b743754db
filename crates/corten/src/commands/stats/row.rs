//! One container: numbers for programs, cells for people.

use std::time::Duration;

use libcgroups::stats::Pressure;
use libcontainer::Usage;
use serde::Serialize;

use crate::amount::bytes;
use crate::paint::Style;

/// Titles of [`Row::cells`].
pub const HEADER: [&str; 8] = [
    "ID",
    "CPU %",
    "MEM USED / LIMIT",
    "MEM %",
    "NET IN / OUT",
    "BLOCK IN / OUT",
    "PIDS",
    "PRESSURE CPU / MEM / IO",
];

/// What `--format json` prints of one container; `null` is what nobody counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    id: String,
    /// 100 for each processor that is kept busy.
    cpu_percent: Option<f64>,
    /// Without the page cache that nobody has touched for long.
    memory_bytes: Option<u64>,
    /// Of the container, or of the machine if that has less.
    memory_limit_bytes: Option<u64>,
    memory_percent: Option<f64>,
    network_in_bytes: Option<u64>,
    network_out_bytes: Option<u64>,
    block_in_bytes: Option<u64>,
    block_out_bytes: Option<u64>,
    pids: Option<u64>,
    /// `null` is also no limit.
    pids_limit: Option<u64>,
    /// Percent of the last ten seconds in which something waited.
    pressure: Stalls,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Stalls {
    cpu: Option<f64>,
    memory: Option<f64>,
    io: Option<f64>,
}

impl Row {
    /// What was used between two moments, and at the second. `memory` is that of the
    /// machine in bytes.
    pub fn new(
        id: &str,
        before: &Usage,
        now: &Usage,
        elapsed: Duration,
        memory: Option<u64>,
    ) -> Self {
        let stats = &now.stats;
        let used = stats.memory.as_ref().map(|memory| memory.working_set());
        let own = stats.memory.as_ref().and_then(|m| m.usage.limit.number());
        let limit = used.and(own.into_iter().chain(memory).min());
        // A namespace that is not the caller's, and has devices but lo.
        let network = (!now.network.is_empty()).then_some(&now.network);
        let sum = |of: fn(&libcontainer::Interface) -> u64| {
            network.map(|devices| devices.iter().map(of).sum())
        };
        let block = stats.io.as_ref().map(|io| io.bytes());
        let waited = |pressure: Option<Pressure>| pressure.map(|pressure| pressure.some.avg10);
        Self {
            id: id.to_owned(),
            cpu_percent: processor(before, now, elapsed),
            memory_bytes: used,
            memory_limit_bytes: limit,
            memory_percent: share(used, limit),
            network_in_bytes: sum(|device| device.rx.bytes),
            network_out_bytes: sum(|device| device.tx.bytes),
            block_in_bytes: block.map(|(read, _)| read),
            block_out_bytes: block.map(|(_, written)| written),
            pids: stats.pids.map(|pids| pids.current),
            pids_limit: stats.pids.and_then(|pids| pids.limit.number()),
            pressure: Stalls {
                cpu: waited(stats.cpu.as_ref().and_then(|cpu| cpu.pressure)),
                memory: waited(stats.memory.as_ref().and_then(|m| m.pressure)),
                io: waited(stats.io.as_ref().and_then(|io| io.pressure)),
            },
        }
    }

    /// For a table.
    pub fn cells(&self) -> [String; 8] {
        let pids = match (self.pids, self.pids_limit) {
            (Some(pids), Some(limit)) => format!("{pids} / {limit}"),
            (Some(pids), None) => pids.to_string(),
            (None, _) => "-".to_owned(),
        };
        let stalls = [self.pressure.cpu, self.pressure.memory, self.pressure.io];
        let pressure = match stalls {
            [None, None, None] => "-".to_owned(),
            _ => stalls.map(|stall| decimal(stall, 1)).join(" / "),
        };
        [
            self.id.clone(),
            decimal(self.cpu_percent, 1),
            pair(self.memory_bytes, self.memory_limit_bytes),
            decimal(self.memory_percent, 1),
            pair(self.network_in_bytes, self.network_out_bytes),
            pair(self.block_in_bytes, self.block_out_bytes),
            pids,
            pressure,
        ]
    }

    /// How the row should look when something in it is about to run out.
    pub fn urgency(&self) -> Option<Style> {
        let pids = share(self.pids, self.pids_limit);
        let shares = [
            self.memory_percent,
            pids,
            self.pressure.memory.map(|stall| stall * 2.0),
        ];
        let highest = shares.into_iter().flatten().fold(0.0, f64::max);
        match highest {
            95.0.. => Some(Style::Bad),
            80.0.. => Some(Style::Warn),
            _ => None,
        }
    }
}

/// 100 is one processor.
fn processor(before: &Usage, now: &Usage, elapsed: Duration) -> Option<f64> {
    let (before, now) = (before.stats.cpu.as_ref()?, now.stats.cpu.as_ref()?);
    let used = now.total_ns.saturating_sub(before.total_ns);
    let elapsed = elapsed.as_nanos();
    (elapsed > 0).then(|| round(used as f64 * 100.0 / elapsed as f64))
}

fn share(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    match (part, whole) {
        (Some(part), Some(whole)) if whole > 0 => Some(round(part as f64 * 100.0 / whole as f64)),
        _ => None,
    }
}

/// Two digits behind the point: more would be noise.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn decimal(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
}

fn pair(one: Option<u64>, other: Option<u64>) -> String {
    let show = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), bytes);
    match (one, other) {
        (None, None) => "-".to_owned(),
        _ => format!("{} / {}", show(one), show(other)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use libcgroups::stats::{Counter, Cpu, Limit, Memory, Pids};
    use libcontainer::Usage;

    use super::Row;
    use crate::paint::Style;

    fn usage(total_ns: u64, memory: u64) -> Usage {
        let mut usage = Usage::default();
        usage.stats.cpu = Some(Cpu {
            total_ns,
            ..Cpu::default()
        });
        usage.stats.memory = Some(Memory {
            usage: Counter {
                usage: memory,
                limit: Limit::At(64 << 20),
                ..Counter::default()
            },
            stat: [("inactive_file".to_owned(), 1 << 20)].into(),
            ..Memory::default()
        });
        usage.stats.pids = Some(Pids {
            current: 3,
            limit: Limit::At(10),
        });
        usage
    }

    #[test]
    fn numbers_between_two_moments() {
        let half = Duration::from_millis(500);
        let (before, now) = (usage(1_000, 0), usage(750_001_000, 33 << 20));
        let row = Row::new("c1", &before, &now, half, Some(32 << 30));
        let wanted = [
            "c1",
            "150.0",
            "32 MiB / 64 MiB",
            "50.0",
            "-",
            "-",
            "3 / 10",
            "-",
        ];
        assert_eq!(row.cells(), wanted);
        assert_eq!(row.urgency(), None);
        let full = Row::new("c1", &before, &usage(0, 64 << 20), half, Some(32 << 30));
        assert_eq!(full.urgency(), Some(Style::Bad));
        assert_eq!(full.cells()[1], "0.0", "a clock that went back");
    }

    #[test]
    fn the_machine_may_be_the_limit() {
        let mut now = usage(0, 2 << 20);
        if let Some(memory) = &mut now.stats.memory {
            memory.usage.limit = Limit::Unlimited;
        }
        let row = Row::new("c1", &now, &now, Duration::from_secs(1), Some(4 << 20));
        assert_eq!(row.cells()[2], "1 MiB / 4 MiB");
    }

    #[test]
    fn what_nobody_counts_is_a_dash() {
        let nothing = Usage::default();
        let row = Row::new("c1", &nothing, &nothing, Duration::from_secs(1), Some(1));
        assert_eq!(row.cells(), ["c1", "-", "-", "-", "-", "-", "-", "-"]);
    }
}
