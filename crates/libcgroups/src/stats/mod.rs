//! What a container uses, in one form for v1, v2 and the hybrid of both.
//!
//! ```text
//! read ─┬─ v1.rs   the files of the v1 hierarchies
//!       ├─ v2.rs   those of the v2 directory, for controllers that v1 does not have
//!       └─ text.rs the forms that cgroup files have
//! ```
//!
//! Times are nanoseconds, sizes bytes, whatever the files have. A controller that the
//! container does not have is `None`, never zero: nobody counted.

mod text;
mod v1;
mod v2;

use std::collections::BTreeMap;

use crate::{Cgroup, CgroupError};

/// What is used, by controller.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Processor time.
    pub cpu: Option<Cpu>,
    /// v1: the sets of processors and memory nodes.
    pub cpuset: Option<Cpuset>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Tasks.
    pub pids: Option<Pids>,
    /// Block devices.
    pub io: Option<Io>,
    /// Huge pages, by their size (`2MB`).
    pub hugetlb: Option<BTreeMap<String, Hugetlb>>,
    /// RDMA, by device.
    pub rdma: Option<BTreeMap<String, Rdma>>,
}

/// Reads the files of a cgroup.
///
/// # Errors
/// Those of reading. A file that is not there is not counted; in a cgroup that is gone
/// nothing is.
pub fn read(cgroup: &Cgroup) -> Result<Stats, CgroupError> {
    let mut stats = v1::read(cgroup)?;
    v2::read_rest(cgroup, &mut stats)?;
    Ok(stats)
}

/// How much there may be of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Limit {
    /// As much as the host has.
    #[default]
    Unlimited,
    /// So much.
    At(u64),
}

impl Limit {
    /// The number, if there is one.
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::At(number) => Some(number),
        }
    }
}

/// Something of which so much is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counter {
    /// Now, in bytes.
    pub usage: u64,
    /// The most there was, in bytes; v2 since Linux 5.19 (`memory.peak`).
    pub peak: Option<u64>,
    /// The most there may be, in bytes.
    pub limit: Limit,
    /// How often the limit was met; v1 only, but for huge pages.
    pub failures: Option<u64>,
}

/// Processor time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cpu {
    /// Nanoseconds of all processors together.
    pub total_ns: u64,
    /// The part of it in programs.
    pub user_ns: u64,
    /// The part of it in the kernel.
    pub kernel_ns: u64,
    /// v1: for each processor, by number.
    pub per_cpu: Vec<CpuTime>,
    /// What the quota did; needs the controller `cpu`.
    pub throttling: Option<Throttling>,
    /// v2: what waited for a processor.
    pub pressure: Option<Pressure>,
}

/// The time of one processor, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// All of it.
    pub total_ns: u64,
    /// In programs.
    pub user_ns: u64,
    /// In the kernel.
    pub kernel_ns: u64,
}

/// What the quota of processor time did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Periods in which the group wanted to run.
    pub periods: u64,
    /// Those in which it had to stop.
    pub throttled_periods: u64,
    /// For how long it had to, in nanoseconds.
    pub throttled_ns: u64,
}

/// The cpuset of v1, cgroup-v1/cpusets.rst.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpuset {
    /// `cpuset.cpus`, each by number.
    pub cpus: Vec<u16>,
    /// `cpuset.mems`
    pub mems: Vec<u16>,
    /// `cpuset.cpu_exclusive`
    pub cpu_exclusive: u64,
    /// `cpuset.mem_hardwall`
    pub mem_hardwall: u64,
    /// `cpuset.mem_exclusive`
    pub mem_exclusive: u64,
    /// `cpuset.memory_migrate`
    pub memory_migrate: u64,
    /// `cpuset.memory_spread_page`
    pub memory_spread_page: u64,
    /// `cpuset.memory_spread_slab`
    pub memory_spread_slab: u64,
    /// `cpuset.memory_pressure`
    pub memory_pressure: u64,
    /// `cpuset.sched_load_balance`
    pub sched_load_balance: u64,
    /// `cpuset.sched_relax_domain_level`, -1 for the system's.
    pub sched_relax_domain_level: i64,
}

/// Memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// All memory that is counted for the group, page cache included.
    pub usage: Counter,
    /// The page cache, in bytes.
    pub cache: u64,
    /// Swap alone; v2 only.
    pub swap: Option<Counter>,
    /// Memory and swap together, as v1 counts them and the runtime spec limits them;
    /// on v2 the sum of the two.
    pub memory_and_swap: Option<Counter>,
    /// v1: `memory.kmem.*`
    pub kernel: Option<Counter>,
    /// v1: `memory.kmem.tcp.*`
    pub kernel_tcp: Option<Counter>,
    /// `memory.stat` as it is: bytes, pages and counts by name.
    pub stat: BTreeMap<String, u64>,
    /// Processes that were killed for want of memory.
    pub oom_kills: Option<u64>,
    /// v2: what waited for memory.
    pub pressure: Option<Pressure>,
}

impl Memory {
    /// What could not be had back without swap or harm: usage without the part of the
    /// page cache that nobody has touched for long, in bytes.
    pub fn working_set(&self) -> u64 {
        let names = ["total_inactive_file", "inactive_file"];
        let idle = names.iter().find_map(|name| self.stat.get(*name));
        self.usage.usage.saturating_sub(*idle.unwrap_or(&0))
    }
}

/// Tasks: processes and their threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pids {
    /// Now.
    pub current: u64,
    /// The most there may be.
    pub limit: Limit,
}

/// Block devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Io {
    /// Bytes, by device and operation.
    pub service_bytes: Vec<IoEntry>,
    /// Operations.
    pub serviced: Vec<IoEntry>,
    /// v1 with statistics of BFQ: requests in the queue.
    pub queued: Vec<IoEntry>,
    /// The same: nanoseconds from dispatch to end.
    pub service_time: Vec<IoEntry>,
    /// The same: nanoseconds in the queue.
    pub wait_time: Vec<IoEntry>,
    /// The same: requests that became part of others.
    pub merged: Vec<IoEntry>,
    /// The same: milliseconds of the device.
    pub time: Vec<IoEntry>,
    /// The same: sectors.
    pub sectors: Vec<IoEntry>,
    /// v2: what waited for devices.
    pub pressure: Option<Pressure>,
}

impl Io {
    /// Bytes that all devices read and wrote.
    pub fn bytes(&self) -> (u64, u64) {
        let sum = |op: &str| {
            let of_op = self.service_bytes.iter().filter(|entry| entry.op == op);
            of_op.map(|entry| entry.value).sum()
        };
        (sum("Read"), sum("Write"))
    }
}

/// One number of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoEntry {
    /// Of the device.
    pub major: u64,
    /// Of the device.
    pub minor: u64,
    /// `Read`, `Write`, `Discard`; v1 also `Sync`, `Async`, `Total`; empty where the
    /// number is of all.
    pub op: String,
    /// How much.
    pub value: u64,
}

/// Huge pages of one size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hugetlb {
    /// Pages in use, in bytes.
    pub pages: Counter,
    /// Pages that are reserved, in use or not; since Linux 5.7.
    pub reserved: Option<Counter>,
}

/// One RDMA device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rdma {
    /// Handles in use.
    pub handles: u64,
    /// The most there may be.
    pub handles_limit: Limit,
    /// Objects in use.
    pub objects: u64,
    /// The most there may be.
    pub objects_limit: Limit,
}

/// Pressure stall information, accounting/psi.rst: the share of time in which tasks
/// waited for something.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// At least one task did.
    pub some: Stall,
    /// All tasks did; for processors since Linux 5.13.
    pub full: Option<Stall>,
}

/// One line of a pressure file.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stall {
    /// Percent of the last ten seconds.
    pub avg10: f64,
    /// Percent of the last minute.
    pub avg60: f64,
    /// Percent of the last five minutes.
    pub avg300: f64,
    /// Microseconds since the group was made.
    pub total_us: u64,
}
