//! `linux.memoryPolicy`: from which nodes memory is taken, set_mempolicy(2).

use oci_spec::runtime::{MemoryPolicyFlagType as Flag, MemoryPolicyModeType as Mode};

use super::Context;
use super::scheduling::parse_numbers;
use crate::error::quote;
use crate::{ConfigPath, LastOp, MemoryPolicy, PlanError, Problem};

/// `MAX_NUMNODES` of the kernels with the most.
const MOST_NODES: u32 = 1024;

/// Adds the step of this chapter.
pub(super) fn build(context: &mut Context<'_>) {
    let linux = context.linux();
    let Some(asked) = linux.and_then(|l| l.memory_policy().as_ref()) else {
        return;
    };
    let at = ConfigPath::new("linux.memoryPolicy");
    let before = context.problems.len();
    let mode = asked.mode();
    let text = asked.nodes().as_deref().unwrap_or_default();
    let nodes = read_nodes(context, &at, text);
    let has_flags = asked.flags().as_ref().is_some_and(|f| !f.is_empty());
    check_nodes(context, &at, mode, (text, has_flags));
    let flags = asked.flags().as_deref().unwrap_or_default();
    check_flags(context, &at, mode, flags);
    if context.problems.len() > before {
        return;
    }
    let policy = MemoryPolicy {
        mode: mode.to_string(),
        flags: flags.iter().map(ToString::to_string).collect(),
        nodes,
    };
    context.last(at, LastOp::SetMemoryPolicy(policy));
}

fn read_nodes(context: &mut Context<'_>, at: &ConfigPath, text: &str) -> Vec<u32> {
    if text.is_empty() {
        return Vec::new();
    }
    parse_numbers(text, MOST_NODES).unwrap_or_else(|wanted| {
        let problem = PlanError::invalid(at.field("nodes"), wanted, quote(text));
        context.problem(problem);
        Vec::new()
    })
}

/// Two modes name no nodes, MPOL_PREFERRED may (none: those of the CPU), all others must.
fn check_nodes(
    context: &mut Context<'_>,
    at: &ConfigPath,
    mode: Mode,
    (nodes, has_flags): (&str, bool),
) {
    let field = at.field("nodes");
    match (mode, nodes.is_empty()) {
        (Mode::MpolDefault | Mode::MpolLocal, false) => {
            let text = format!("{mode} takes no nodes");
            context.problem(PlanError::conflict(field, text));
        }
        (Mode::MpolDefault | Mode::MpolLocal, true) | (_, false) => {}
        (Mode::MpolPreferred, true) if !has_flags => {}
        (_, true) => {
            let wanted = "the nodes that the mode is about, \"0-3,7\"";
            context.problem(PlanError::new(field, Problem::Missing { wanted }));
        }
    }
}

/// Which flags exclude each other and which need a mode, set_mempolicy(2).
fn check_flags(context: &mut Context<'_>, at: &ConfigPath, mode: Mode, flags: &[Flag]) {
    let place = |flag| flags.iter().position(|f| *f == flag);
    let field = |index| at.field("flags").index(index);
    if let (Some(a), Some(b)) = (
        place(Flag::MpolFStaticNodes),
        place(Flag::MpolFRelativeNodes),
    ) {
        let text = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other";
        context.problem(PlanError::conflict(field(a.max(b)), text));
    }
    if matches!(mode, Mode::MpolDefault | Mode::MpolLocal) && !flags.is_empty() {
        let text = format!("{mode} takes no flags");
        context.problem(PlanError::conflict(field(0), text));
    } else if let Some(index) = place(Flag::MpolFNumaBalancing)
        && !matches!(mode, Mode::MpolBind | Mode::MpolPreferredMany)
    {
        let text = format!("{mode} has no MPOL_F_NUMA_BALANCING, MPOL_BIND has");
        context.problem(PlanError::conflict(field(index), text));
    }
}
