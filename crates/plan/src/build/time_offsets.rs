//! `linux.timeOffsets` -> the clocks of a new time namespace.

use super::{Context, annotations};
use crate::error::quote;
use crate::{ConfigPath, NamespaceKind, ParentOp, PlanError, Problem};

/// The clocks that can be shifted, time_namespaces(7).
const CLOCKS: [&str; 2] = ["boottime", "monotonic"];
/// One second.
const NANOSECONDS: u32 = 1_000_000_000;

/// One clock and how far it is shifted.
struct Shift {
    from: ConfigPath,
    clock: String,
    seconds: i64,
    nanoseconds: u32,
}

/// Adds a step for each clock. They can be shifted only while nobody is inside, so
/// the parent makes the namespace itself, and its next child is born in it.
pub(crate) fn build(context: &mut Context<'_>) {
    let (at, shifts) = match (of_property(context), of_annotation(context)) {
        (property, None) => (ConfigPath::new("linux.timeOffsets"), property),
        (property, Some(annotated)) => {
            let at = annotations::at(annotations::TIME_OFFSETS);
            if !property.is_empty() {
                let text = "linux.timeOffsets is set, too";
                context.problem(PlanError::conflict(at, text));
                return;
            }
            (at, annotated)
        }
    };
    if shifts.is_empty() {
        return;
    }
    if !context.namespaces.is_new(NamespaceKind::Time) {
        let text = "needs a new time namespace (without a path) in linux.namespaces";
        context.problem(PlanError::conflict(at, text));
        return;
    }
    for shift in shifts {
        add(context, shift);
    }
    context
        .namespaces
        .clone
        .retain(|kind| *kind != NamespaceKind::Time);
    context.namespaces.parent_unshares_time = true;
}

fn of_property(context: &Context<'_>) -> Vec<Shift> {
    let linux = context.linux();
    let offsets = linux.and_then(|l| l.time_offsets().as_ref());
    let mut shifts: Vec<_> = offsets
        .into_iter()
        .flatten()
        .map(|(clock, offset)| Shift {
            from: ConfigPath::new("linux.timeOffsets").key(clock),
            clock: clock.clone(),
            seconds: offset.secs().unwrap_or_default(),
            nanoseconds: offset.nanosecs().unwrap_or_default(),
        })
        .collect();
    shifts.sort_by(|a, b| a.clock.cmp(&b.clock));
    shifts
}

/// The annotation has the lines that `/proc/self/timens_offsets` takes: clock,
/// seconds, nanoseconds.
fn of_annotation(context: &mut Context<'_>) -> Option<Vec<Shift>> {
    let text = annotations::time_offsets(context)?;
    let from = annotations::at(annotations::TIME_OFFSETS);
    let read = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[clock, seconds, nanoseconds] = words.as_slice() else {
            return None;
        };
        let clock = match clock {
            // The kernel's own numbers of these clocks, clock_gettime(2).
            "1" => "monotonic",
            "7" => "boottime",
            name => name,
        };
        Some(Shift {
            from: from.clone(),
            clock: clock.to_owned(),
            seconds: seconds.parse().ok()?,
            nanoseconds: nanoseconds.parse().ok()?,
        })
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let shifts: Option<Vec<_>> = lines.map(read).collect();
    if shifts.is_none() {
        let wanted = "lines of a clock, its seconds and its nanoseconds, like `monotonic 86400 0`";
        let problem = PlanError::invalid(from.clone(), wanted, quote(text));
        context.problem(problem);
    }
    Some(shifts.unwrap_or_default())
}

fn add(context: &mut Context<'_>, shift: Shift) {
    let Shift {
        from,
        clock,
        seconds,
        nanoseconds,
    } = shift;
    if !CLOCKS.contains(&clock.as_str()) {
        let problem = Problem::Unknown {
            what: "clock",
            found: clock,
            one_of: CLOCKS.join(", "),
        };
        context.problem(PlanError::new(from, problem));
        return;
    }
    if nanoseconds >= NANOSECONDS {
        let wanted = "an integer from 0 to 999999999";
        let found = nanoseconds.to_string();
        context.problem(PlanError::invalid(from.field("nanosecs"), wanted, found));
        return;
    }
    let op = ParentOp::SetTimeOffset {
        clock,
        seconds,
        nanoseconds,
    };
    context.parent(from, op);
}
