//! `linux.resources`, read and checked: what is asked for, before it is known
//! which kind of hierarchy will do it.

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxNetwork, LinuxRdma, LinuxResources};

use super::Problems;
use super::sheet::at;
use crate::error::quote;
use crate::{ConfigPath, PlanError, Warning};

pub(super) use super::block::{BlockIo, Throttle};

/// An amount that may be boundless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    Unlimited,
    Exactly(u64),
}

impl Amount {
    /// As the files of v2 want it.
    pub fn or_max(self) -> String {
        self.or("max")
    }

    /// As the files of v1 want it.
    pub fn or_minus_one(self) -> String {
        self.or("-1")
    }

    fn or(self, unlimited: &str) -> String {
        match self {
            Self::Unlimited => unlimited.to_owned(),
            Self::Exactly(n) => n.to_string(),
        }
    }
}

/// All of `linux.resources` but `devices`.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub memory: Memory,
    pub cpu: Cpu,
    pub cpus: Option<String>,
    pub mems: Option<String>,
    pub pids: Option<Amount>,
    pub block: BlockIo,
    /// Page size as the files name it, limit in bytes, index in the list.
    pub huge_pages: Vec<(String, Amount, usize)>,
    /// Device and limits, by device.
    pub rdma: Vec<(String, LinuxRdma)>,
    pub network: Network,
    /// File and value, by file.
    pub unified: Vec<(String, String)>,
}

/// `linux.resources.memory`, in bytes.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub limit: Option<Amount>,
    /// Memory and swap together.
    pub swap: Option<Amount>,
    pub reservation: Option<Amount>,
    pub kernel_tcp: Option<Amount>,
    pub swappiness: Option<u64>,
    pub disable_oom_killer: bool,
    pub check_before_update: bool,
}

/// `linux.resources.cpu` without the sets; times in microseconds.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    pub shares: Option<u64>,
    pub quota: Option<Amount>,
    pub period: Option<u64>,
    pub burst: Option<u64>,
    pub idle: Option<bool>,
    pub realtime_runtime: Option<i64>,
    pub realtime_period: Option<u64>,
}

/// `linux.resources.network`
#[derive(Debug, Default)]
pub(super) struct Network {
    pub class: Option<u32>,
    /// Interface and priority.
    pub priorities: Vec<(String, u32)>,
}

/// Reads and checks everything but `devices`.
pub(super) fn read(resources: Option<&LinuxResources>, out: &mut Problems) -> Limits {
    let Some(r) = resources else {
        return Limits::default();
    };
    let mut limits = Limits::default();
    if let Some(memory) = r.memory() {
        limits.memory = read_memory(memory, out);
    }
    if let Some(cpu) = r.cpu() {
        limits.cpu = read_cpu(cpu, out);
        limits.cpus = read_set(cpu.cpus().as_deref(), "cpu.cpus", out);
        limits.mems = read_set(cpu.mems().as_deref(), "cpu.mems", out);
    }
    limits.pids = r.pids().as_ref().map(|pids| match pids.limit() {
        n @ 0.. => Amount::Exactly(n.unsigned_abs()),
        _ => Amount::Unlimited,
    });
    if let Some(block) = r.block_io() {
        limits.block = super::block::read(block, out);
    }
    read_huge_pages(r, &mut limits, out);
    read_rdma(r, &mut limits, out);
    if let Some(network) = r.network() {
        limits.network = read_network(network, out);
    }
    for (file, value) in r.unified().iter().flatten() {
        limits.unified.push((file.clone(), value.clone()));
    }
    limits.unified.sort();
    limits
}

/// Bytes: 0 means "not set" to every engine, -1 "no limit".
fn read_bytes(value: Option<i64>, name: &str, out: &mut Problems) -> Option<Amount> {
    match value? {
        0 => None,
        -1 => Some(Amount::Unlimited),
        n @ 1.. => Some(Amount::Exactly(n.unsigned_abs())),
        n => {
            let wanted = "a number of bytes, or -1 for no limit";
            out.problems
                .push(PlanError::invalid(at(name), wanted, n.to_string()));
            None
        }
    }
}

fn read_memory(m: &LinuxMemory, out: &mut Problems) -> Memory {
    let memory = Memory {
        limit: read_bytes(m.limit(), "memory.limit", out),
        swap: read_bytes(m.swap(), "memory.swap", out),
        reservation: read_bytes(m.reservation(), "memory.reservation", out),
        kernel_tcp: read_bytes(m.kernel_tcp(), "memory.kernelTCP", out),
        // Engines write -1 for "leave it", which arrives here as the largest number.
        swappiness: m.swappiness().filter(|n| *n != u64::MAX),
        disable_oom_killer: m.disable_oom_killer() == Some(true),
        check_before_update: m.check_before_update() == Some(true),
    };
    if let Some(n) = memory.swappiness.filter(|n| *n > 100) {
        let path = at("memory.swappiness");
        out.problems.push(PlanError::invalid(
            path,
            "a number from 0 to 100",
            n.to_string(),
        ));
    }
    check_swap(&memory, out);
    #[allow(deprecated)] // read only to say that it has no effect
    let kernel = read_bytes(m.kernel(), "memory.kernel", out);
    if matches!(kernel, Some(Amount::Exactly(_))) {
        out.warnings.push(Warning {
            path: at("memory.kernel"),
            text: "ignored: kernels since 5.4 count kernel memory against memory.limit".to_owned(),
        });
    }
    memory
}

/// `swap` is the sum of memory and swap, so it is nothing without `limit`.
fn check_swap(memory: &Memory, out: &mut Problems) {
    let Some(Amount::Exactly(sum)) = memory.swap else {
        return;
    };
    let path = at("memory.swap");
    match memory.limit {
        None => out.problems.push(
            PlanError::conflict(path, "unable to set swap limit without memory limit")
                .hint("it is memory and swap together: set memory.limit too"),
        ),
        Some(Amount::Exactly(limit)) if sum < limit => out.problems.push(PlanError::conflict(
            path,
            format!("memory+swap limit should be >= memory limit: {sum} is below {limit}"),
        )),
        Some(_) => {}
    }
}

/// `kernel/sched/core.c`: quota and period of at least 1 ms, period of at most 1 s.
const SHORTEST_MICROSECONDS: u64 = 1_000;
const LONGEST_MICROSECONDS: u64 = 1_000_000;

fn read_cpu(c: &LinuxCpu, out: &mut Problems) -> Cpu {
    let mut bad = |name: &str, wanted: String, found: String| {
        out.problems
            .push(PlanError::invalid(at(name), wanted, found));
    };
    let period = c.period().filter(|p| *p != 0);
    if let Some(p) = period.filter(|p| !(SHORTEST_MICROSECONDS..=LONGEST_MICROSECONDS).contains(p))
    {
        bad(
            "cpu.period",
            "microseconds from 1000 to 1000000".to_owned(),
            p.to_string(),
        );
    }
    let quota = c.quota().filter(|q| *q != 0).map(|q| match q {
        1.. => Amount::Exactly(q.unsigned_abs()),
        _ => Amount::Unlimited,
    });
    let burst = c.burst();
    if let Some(Amount::Exactly(q)) = quota {
        if q < SHORTEST_MICROSECONDS {
            let wanted = "at least 1000 microseconds, or -1 for no limit";
            bad("cpu.quota", wanted.to_owned(), q.to_string());
        }
        if let Some(b) = burst.filter(|b| *b > q) {
            bad(
                "cpu.burst",
                format!("at most the quota, {q}"),
                b.to_string(),
            );
        }
    }
    let idle = match c.idle() {
        None => None,
        Some(0) => Some(false),
        Some(1) => Some(true),
        Some(n) => {
            bad("cpu.idle", "0 or 1".to_owned(), n.to_string());
            None
        }
    };
    Cpu {
        shares: c.shares().filter(|s| *s != 0),
        quota,
        period,
        burst,
        idle,
        realtime_runtime: c.realtime_runtime().filter(|n| *n != 0),
        realtime_period: c.realtime_period().filter(|n| *n != 0),
    }
}

/// A list of CPUs or memory nodes, `0-3,7`.
fn read_set(list: Option<&str>, name: &str, out: &mut Problems) -> Option<String> {
    let list = list.filter(|list| !list.is_empty())?;
    if !list.split(',').all(is_range) {
        let wanted = "a list of numbers and ranges like \"0-3,7\"";
        out.problems
            .push(PlanError::invalid(at(name), wanted, quote(list)));
    }
    Some(list.to_owned())
}

/// `7`, `0-3` or `0-15:2/4` (groups of 4 of which the first 2), as the kernel reads lists.
fn is_range(text: &str) -> bool {
    let number = |text: &str| -> Option<u32> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| digits)
    };
    let (range, groups) = match text.split_once(':') {
        Some((range, groups)) => (range, Some(groups)),
        None => (text, None),
    };
    let groups_are_good = groups.is_none_or(|groups| {
        groups.split_once('/').is_some_and(|(used, of)| {
            matches!((number(used), number(of)), (Some(u), Some(n)) if u <= n && n > 0)
        })
    });
    let range_is_good = match range.split_once('-') {
        Some((a, b)) => matches!((number(a), number(b)), (Some(a), Some(b)) if a <= b),
        None => groups.is_none() && number(range).is_some(),
    };
    range_is_good && groups_are_good
}

fn read_huge_pages(r: &LinuxResources, limits: &mut Limits, out: &mut Problems) {
    let list = r.hugepage_limits().iter().flatten();
    for (index, huge) in list.enumerate() {
        let path = at("hugepageLimits").index(index);
        let size = huge.page_size();
        if !is_page_size(size) {
            out.problems.push(PlanError::invalid(
                path.field("pageSize"),
                "a size like \"64KB\", \"2MB\" or \"1GB\"",
                quote(size),
            ));
            continue;
        }
        let limit = match huge.limit() {
            -1 => Amount::Unlimited,
            n @ 0.. => Amount::Exactly(n.unsigned_abs()),
            n => {
                out.problems.push(PlanError::invalid(
                    path.field("limit"),
                    "a number of bytes",
                    n.to_string(),
                ));
                continue;
            }
        };
        limits.huge_pages.push((size.clone(), limit, index));
    }
}

fn is_page_size(size: &str) -> bool {
    let number = ["KB", "MB", "GB"]
        .iter()
        .find_map(|unit| size.strip_suffix(unit));
    number.is_some_and(|n| {
        !n.starts_with('0') && !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())
    })
}

/// A name that stands as one word in a line of a cgroup file.
fn check_word(name: &str, what: &str, path: ConfigPath, out: &mut Problems) -> bool {
    let good = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '\0');
    if !good {
        out.problems
            .push(PlanError::invalid(path, what, quote(name)));
    }
    good
}

fn read_rdma(r: &LinuxResources, limits: &mut Limits, out: &mut Problems) {
    for (device, rdma) in r.rdma().iter().flatten() {
        let path = at("rdma").key(device);
        if check_word(device, "the name of an RDMA device", path, out) {
            limits.rdma.push((device.clone(), *rdma));
        }
    }
    limits.rdma.sort_by(|a, b| a.0.cmp(&b.0));
}

fn read_network(n: &LinuxNetwork, out: &mut Problems) -> Network {
    let mut network = Network {
        class: n.class_id().filter(|class| *class != 0),
        priorities: Vec::new(),
    };
    for (index, entry) in n.priorities().iter().flatten().enumerate() {
        let path = at("network.priorities").index(index).field("name");
        if check_word(entry.name(), "the name of a network interface", path, out) {
            network
                .priorities
                .push((entry.name().clone(), entry.priority()));
        }
    }
    network
}
