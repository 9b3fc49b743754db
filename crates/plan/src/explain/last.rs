//! What the sealed stub does, in words.

use super::inside::{say_hook, word};
use super::outside::say_limit;
use crate::build::capabilities::CAPABILITIES;
use crate::{CapabilitySets, LastOp, Lsm, MemoryPolicy, Program, Scheduler};

/// One operation.
pub(super) fn say(op: &LastOp, program: &Program) -> String {
    match op {
        LastOp::ForkIntoPidNamespace => {
            "fork into the joined pid namespace, where only the stub is seen".to_owned()
        }
        LastOp::TellPid => "put the process' own pid into LISTEN_PID".to_owned(),
        LastOp::SetRlimit(limit) => say_limit(limit),
        LastOp::SetScheduler(scheduler) => say_scheduler(scheduler),
        LastOp::SetIoPriority { class, level } => say_io_priority(class, *level),
        LastOp::SetMemoryPolicy(policy) => say_memory_policy(policy),
        LastOp::SetPersonality { domain } => format!("set the personality to {domain:#x}"),
        LastOp::SetExecLabel {
            module: Lsm::AppArmor,
            label,
        } => format!("have AppArmor confine the program: {label}"),
        LastOp::SetExecLabel {
            module: Lsm::SELinux,
            label,
        } => format!("have SELinux label the program {label}"),
        LastOp::NoNewPrivileges => "set no_new_privs".to_owned(),
        LastOp::LoadSeccomp {
            program, listener, ..
        } => {
            let size = program.instructions.len();
            let asks = match listener {
                Some(agent) => format!(", which asks the agent at {}", agent.path),
                None => String::new(),
            };
            format!("load the system call filter, {size} instructions{asks}")
        }
        LastOp::OwnStdio { uid } => format!("give stdio to uid {uid}"),
        LastOp::LimitBounding { keep, .. } => {
            format!("limit the bounding set to {}", say_capabilities(*keep))
        }
        LastOp::SetIdentity { uid, gid, groups } => {
            let groups = match groups {
                None => ", groups unchanged".to_owned(),
                Some(groups) if groups.is_empty() => ", no other groups".to_owned(),
                Some(groups) => {
                    let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
                    format!(", groups {}", groups.join(", "))
                }
            };
            format!("become uid {uid}, gid {gid}{groups}")
        }
        LastOp::ChangeDirectory => {
            "enter the working directory, verified to be inside the root".to_owned()
        }
        LastOp::SetCapabilities(sets) => say_sets(sets),
        LastOp::CheckProgram => "check that the program may be executed".to_owned(),
        LastOp::ReportReady => "report that the container is created".to_owned(),
        LastOp::AwaitStart => "wait for `start`".to_owned(),
        LastOp::RunHook(hook) => say_hook(hook, "in the container"),
        LastOp::CloseDescriptors { first } => {
            format!("close every descriptor from {first} on")
        }
        LastOp::Execute => {
            let args: Vec<_> = program.args.iter().map(|arg| word(arg)).collect();
            format!("execute {}", args.join(" "))
        }
    }
}

pub(super) fn say_io_priority(class: &str, level: u32) -> String {
    format!("set the I/O priority to {class}, level {level}")
}

/// What matters for the policy.
pub(super) fn say_scheduler(scheduler: &Scheduler) -> String {
    let mut text = format!("schedule by {}", scheduler.policy);
    if scheduler.priority != 0 {
        text.push_str(&format!(", priority {}", scheduler.priority));
    }
    if scheduler.nice != 0 {
        text.push_str(&format!(", nice {}", scheduler.nice));
    }
    if scheduler.runtime != 0 {
        text.push_str(&format!(
            ", {} ns until {} ns of every {} ns",
            scheduler.runtime, scheduler.deadline, scheduler.period
        ));
    }
    for flag in &scheduler.flags {
        text.push_str(&format!(", {flag}"));
    }
    text
}

fn say_memory_policy(policy: &MemoryPolicy) -> String {
    let mut text = format!("take memory by {}", policy.mode);
    if !policy.nodes.is_empty() {
        let nodes: Vec<_> = policy.nodes.iter().map(u32::to_string).collect();
        text.push_str(&format!(" from the nodes {}", nodes.join(", ")));
    }
    for flag in &policy.flags {
        text.push_str(&format!(", {flag}"));
    }
    text
}

/// Sets that are alike are named together.
fn say_sets(sets: &CapabilitySets) -> String {
    let named = [
        ("effective", sets.effective),
        ("permitted", sets.permitted),
        ("inheritable", sets.inheritable),
        ("ambient", sets.ambient),
    ];
    let mut groups: Vec<(u64, Vec<&str>)> = Vec::new();
    for (name, mask) in named {
        match groups.iter_mut().find(|(known, _)| *known == mask) {
            Some((_, names)) => names.push(name),
            None => groups.push((mask, vec![name])),
        }
    }
    let parts: Vec<_> = groups
        .iter()
        .map(|(mask, names)| format!("{} {}", names.join(" and "), say_capabilities(*mask)))
        .collect();
    format!("hold capabilities: {}", parts.join("; "))
}

/// `CHOWN KILL`, `none`, `all 41`.
pub(super) fn say_capabilities(mask: u64) -> String {
    let all = (1 << CAPABILITIES.len()) - 1;
    if mask & all == all {
        return format!("all {}", CAPABILITIES.len());
    }
    let names: Vec<_> = CAPABILITIES
        .iter()
        .enumerate()
        .filter(|(number, _)| mask >> number & 1 == 1)
        .map(|(_, (_, name))| name.trim_start_matches("CAP_"))
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(" ")
    }
}
