//! `process.scheduler`, `process.ioPriority`, `process.execCPUAffinity`.

use oci_spec::runtime::{
    LinuxIOPriority, LinuxSchedulerFlag, LinuxSchedulerPolicy, Process, Scheduler as Asked,
};

use super::{Context, memory_policy};
use crate::error::quote;
use crate::{ConfigPath, LastOp, NamespaceKind, ParentOp, PlanError, Scheduler};

/// CAP_SYS_NICE.
const CAP_SYS_NICE: u32 = 23;
/// Nice values, sched(7).
const NICE: std::ops::RangeInclusive<i32> = -20..=19;
/// Priorities of SCHED_FIFO and SCHED_RR, sched(7).
const REAL_TIME: std::ops::RangeInclusive<i32> = 1..=99;
/// The shortest runtime in nanoseconds that sched_setattr(2) takes.
const SHORTEST_RUNTIME: u64 = 1024;
/// Levels of a class of I/O, ioprio_set(2).
const IO_LEVELS: std::ops::RangeInclusive<i64> = 0..=7;
/// More CPUs than any kernel is built for (`NR_CPUS`).
const MOST_CPUS: u32 = 8192;

/// Adds the steps of this chapter.
pub(crate) fn build(context: &mut Context<'_>, process: &Process) {
    if let Some(asked) = process.scheduler() {
        add_scheduler(context, asked);
    }
    if let Some(asked) = process.io_priority() {
        add_io_priority(context, asked);
    }
    memory_policy::build(context);
    // Only `exec` acts on it, with the private copy of the configuration.
    if let Some(affinity) = process.exec_cpu_affinity() {
        let at = ConfigPath::new("process.execCPUAffinity");
        let lists = [
            ("initial", affinity.initial()),
            ("final", affinity.cpu_affinity_final()),
        ];
        for (field, list) in lists {
            let Some(list) = list.as_ref().filter(|list| !list.is_empty()) else {
                continue;
            };
            if let Err(wanted) = parse_numbers(list, MOST_CPUS) {
                let problem = PlanError::invalid(at.field(field), wanted, quote(list));
                context.problem(problem);
            }
        }
    }
}

/// `0-3,7` -> the numbers, sorted; or what would have been one.
pub(super) fn parse_numbers(list: &str, most: u32) -> Result<Vec<u32>, String> {
    let wanted = || format!("a list of numbers and ranges below {most}, \"0-3,7\"");
    let mut numbers = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let number = text.parse().ok().filter(|n: &u32| digits && *n < most);
            number.ok_or_else(wanted)
        };
        let (first, last) = (number(first.trim())?, number(last.trim())?);
        if first > last {
            return Err(wanted());
        }
        numbers.extend(first..=last);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

fn add_scheduler(context: &mut Context<'_>, asked: &Asked) {
    let at = ConfigPath::new("process.scheduler");
    let before = context.problems.len();
    let policy = *asked.policy();
    let name = policy_name(policy);
    if policy == LinuxSchedulerPolicy::SchedIso {
        let text = "Linux never had SCHED_ISO";
        context.problem(PlanError::unsupported(at.field("policy"), text));
    }
    let nice = asked.nice().unwrap_or_default();
    if !NICE.contains(&nice) {
        let wanted = "an integer from -20 to 19";
        context.problem(PlanError::invalid(
            at.field("nice"),
            wanted,
            nice.to_string(),
        ));
    } else if nice != 0 && !is_fair(policy) {
        let text = format!("has no effect under {name}");
        context.warn(at.field("nice"), text);
    }
    let priority = check_priority(context, &at, asked);
    check_deadline(context, &at, asked);
    let mut flags = Vec::new();
    for (n, flag) in asked.flags().iter().flatten().enumerate() {
        if matches!(
            flag,
            LinuxSchedulerFlag::SchedFlagUtilClampMin | LinuxSchedulerFlag::SchedFlagUtilClampMax
        ) {
            let text = "the spec has no value for it: the limit that changes nothing is set";
            context.warn(at.field("flags").index(n), text);
        }
        flags.push(flag_name(*flag).to_owned());
    }
    if context.problems.len() > before {
        return;
    }
    let scheduler = Scheduler {
        policy: name.to_owned(),
        flags,
        nice,
        priority,
        runtime: asked.runtime().unwrap_or_default(),
        deadline: asked.deadline().unwrap_or_default(),
        period: asked.period().unwrap_or_default(),
    };
    if from_outside(context) {
        context.parent(at, ParentOp::SetScheduler(scheduler));
    } else {
        context.last(at, LastOp::SetScheduler(scheduler));
    }
}

/// Inside a user namespace nobody has CAP_SYS_NICE where the kernel wants it, in the
/// first one. The runtime may have it there; if not, the process itself can still do
/// what needs no privilege.
fn from_outside(context: &Context<'_>) -> bool {
    context.has(NamespaceKind::User)
        && !context.host.in_user_namespace
        && context.host.effective_capabilities >> CAP_SYS_NICE & 1 == 1
}

/// Policies for which nice means something.
const fn is_fair(policy: LinuxSchedulerPolicy) -> bool {
    use LinuxSchedulerPolicy as P;
    matches!(policy, P::SchedOther | P::SchedBatch | P::SchedIdle)
}

/// SCHED_FIFO and SCHED_RR have one, no other policy has.
fn check_priority(context: &mut Context<'_>, at: &ConfigPath, asked: &Asked) -> u32 {
    use LinuxSchedulerPolicy as P;
    let priority = asked.priority().unwrap_or_default();
    let field = at.field("priority");
    if matches!(asked.policy(), P::SchedFifo | P::SchedRr) {
        if !REAL_TIME.contains(&priority) {
            let wanted = "an integer from 1 to 99, because the policy is one of real time";
            context.problem(PlanError::invalid(field, wanted, priority.to_string()));
        }
    } else if priority != 0 {
        let text = format!(
            "only SCHED_FIFO and SCHED_RR have priorities, {} has none",
            policy_name(*asked.policy())
        );
        context.problem(PlanError::conflict(field, text));
    }
    priority.unsigned_abs()
}

/// Runtime, deadline and period belong to SCHED_DEADLINE and are ordered, sched(7).
fn check_deadline(context: &mut Context<'_>, at: &ConfigPath, asked: &Asked) {
    let value = |value: &Option<u64>| value.unwrap_or_default();
    let (runtime, deadline, period) = (
        value(asked.runtime()),
        value(asked.deadline()),
        value(asked.period()),
    );
    if *asked.policy() != LinuxSchedulerPolicy::SchedDeadline {
        for (name, value) in [
            ("runtime", runtime),
            ("deadline", deadline),
            ("period", period),
        ] {
            if value != 0 {
                let text = "belongs to SCHED_DEADLINE, and the policy is another one";
                context.problem(PlanError::conflict(at.field(name), text));
            }
        }
        return;
    }
    if runtime < SHORTEST_RUNTIME {
        let wanted = format!("at least {SHORTEST_RUNTIME} (nanoseconds)");
        let problem = PlanError::invalid(at.field("runtime"), wanted, runtime.to_string());
        context.problem(problem);
    } else if deadline < runtime {
        let wanted = format!("at least the runtime, {runtime}");
        let problem = PlanError::invalid(at.field("deadline"), wanted, deadline.to_string());
        context.problem(problem);
    } else if period != 0 && period < deadline {
        let wanted = format!("at least the deadline, {deadline}");
        let problem = PlanError::invalid(at.field("period"), wanted, period.to_string());
        context.problem(problem);
    }
}

fn add_io_priority(context: &mut Context<'_>, asked: &LinuxIOPriority) {
    let at = ConfigPath::new("process.ioPriority");
    let level = asked.priority();
    let valid = u32::try_from(level)
        .ok()
        .filter(|_| IO_LEVELS.contains(&level));
    let Some(level) = valid else {
        let wanted = "an integer from 0 to 7";
        let problem = PlanError::invalid(at.field("priority"), wanted, level.to_string());
        context.problem(problem);
        return;
    };
    let class = asked.class().to_string();
    if from_outside(context) {
        context.parent(at, ParentOp::SetIoPriority { class, level });
    } else {
        context.last(at, LastOp::SetIoPriority { class, level });
    }
}

/// As the kernel and the spec write it.
const fn policy_name(policy: LinuxSchedulerPolicy) -> &'static str {
    match policy {
        LinuxSchedulerPolicy::SchedOther => "SCHED_OTHER",
        LinuxSchedulerPolicy::SchedFifo => "SCHED_FIFO",
        LinuxSchedulerPolicy::SchedRr => "SCHED_RR",
        LinuxSchedulerPolicy::SchedBatch => "SCHED_BATCH",
        LinuxSchedulerPolicy::SchedIso => "SCHED_ISO",
        LinuxSchedulerPolicy::SchedIdle => "SCHED_IDLE",
        LinuxSchedulerPolicy::SchedDeadline => "SCHED_DEADLINE",
    }
}

/// As the kernel and the spec write it; the decoder's own names differ.
const fn flag_name(flag: LinuxSchedulerFlag) -> &'static str {
    use LinuxSchedulerFlag as F;
    match flag {
        F::SchedResetOnFork => "SCHED_FLAG_RESET_ON_FORK",
        F::SchedFlagReclaim => "SCHED_FLAG_RECLAIM",
        F::SchedFlagDLOverrun => "SCHED_FLAG_DL_OVERRUN",
        F::SchedFlagKeepPolicy => "SCHED_FLAG_KEEP_POLICY",
        F::SchedFlagKeepParams => "SCHED_FLAG_KEEP_PARAMS",
        F::SchedFlagUtilClampMin => "SCHED_FLAG_UTIL_CLAMP_MIN",
        F::SchedFlagUtilClampMax => "SCHED_FLAG_UTIL_CLAMP_MAX",
    }
}

#[cfg(test)]
#[path = "scheduling_tests.rs"]
mod tests;
