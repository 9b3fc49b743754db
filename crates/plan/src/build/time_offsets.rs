//! `linux.timeOffsets` -> the clocks of a new time namespace.

use super::Context;
use crate::{ConfigPath, NamespaceKind, ParentOp, PlanError, Problem};

/// The clocks that can be shifted, time_namespaces(7).
const CLOCKS: [&str; 2] = ["boottime", "monotonic"];
/// One second.
const NANOSECONDS: u32 = 1_000_000_000;

/// Adds a step for each clock. They can be shifted only while nobody is inside, so
/// the parent makes the namespace itself, and its next child is born in it.
pub(crate) fn build(context: &mut Context<'_>) {
    let linux = context.linux();
    let Some(offsets) = linux.and_then(|l| l.time_offsets().as_ref()) else {
        return;
    };
    let at = ConfigPath::new("linux.timeOffsets");
    if offsets.is_empty() {
        return;
    }
    if !context.namespaces.is_new(NamespaceKind::Time) {
        let text = "needs a new time namespace (without a path) in linux.namespaces";
        context.problem(PlanError::conflict(at, text));
        return;
    }
    let mut clocks: Vec<_> = offsets.iter().collect();
    clocks.sort_by_key(|(clock, _)| *clock);
    for (clock, offset) in clocks {
        let from = at.key(clock);
        if !CLOCKS.contains(&clock.as_str()) {
            let problem = Problem::Unknown {
                what: "clock",
                found: clock.clone(),
                one_of: CLOCKS.join(", "),
            };
            context.problem(PlanError::new(from, problem));
            continue;
        }
        let nanoseconds = offset.nanosecs().unwrap_or_default();
        if nanoseconds >= NANOSECONDS {
            let wanted = "an integer from 0 to 999999999";
            let found = nanoseconds.to_string();
            context.problem(PlanError::invalid(from.field("nanosecs"), wanted, found));
            continue;
        }
        let op = ParentOp::SetTimeOffset {
            clock: clock.clone(),
            seconds: offset.secs().unwrap_or_default(),
            nanoseconds,
        };
        context.parent(from, op);
    }
    context
        .namespaces
        .clone
        .retain(|kind| *kind != NamespaceKind::Time);
    context.namespaces.parent_unshares_time = true;
}
