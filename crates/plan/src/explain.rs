//! A plan, or what is wrong with a configuration, for people to read.
//!
//! One row for each thing that will be done, in the order it is done, with the
//! property that asks for it at the right. Nothing of a configuration reaches the
//! terminal as it is: control and direction characters are shown escaped.

mod diff;
mod findings;
mod inside;
mod last;
mod mounts;
mod outside;
mod page;
mod story;
mod surroundings;

use crate::{Errors, InitPhase, LastPhase, ParentPhase, Plan, Step};
use outside::Sources;
use page::{Page, visible};

pub use diff::{Difference, diff, differences};
pub use findings::{Finding, Weight, findings};
pub use story::story;

/// The plan as aligned text, one line a step, each with its config path.
pub fn text(plan: &Plan) -> String {
    let mut page = Page::default();
    let sources = Sources::of(plan);
    surroundings::add_container(&mut page, plan);
    surroundings::add_namespaces(&mut page, plan, &sources);
    surroundings::add_cgroup(&mut page, &plan.cgroup);
    add_outside(&mut page, plan, true);
    page.title("Inside, until the container is built");
    for Step { from, op } in &plan.init {
        page.row(phase_of_init(op.phase()), inside::say(op, &sources), from);
    }
    add_outside(&mut page, plan, false);
    page.title("Inside, at last");
    for Step { from, op } in &plan.last {
        page.row(
            phase_of_last(op.phase()),
            last::say(op, &plan.program),
            from,
        );
    }
    surroundings::add_later(&mut page, plan);
    if !plan.warnings.is_empty() {
        page.title("Warnings");
        for warning in &plan.warnings {
            page.row("", warning.text.clone(), &warning.path);
        }
    }
    page.render()
}

/// The plan as JSON, and what is striking in it as `findings`.
pub fn json(plan: &Plan) -> serde_json::Value {
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    value["findings"] = serde_json::to_value(findings(plan)).unwrap_or_default();
    value
}

/// Every problem, one a line.
pub fn problems(errors: &Errors) -> String {
    let lines: Vec<String> = errors
        .all()
        .iter()
        .map(|problem| visible(&problem.to_string()))
        .collect();
    lines.join("\n")
}

/// What the parent does before the clone, or after it.
fn add_outside(page: &mut Page, plan: &Plan, before: bool) {
    let is_before = |phase: ParentPhase| phase == ParentPhase::BeforeClone;
    page.title(if before {
        "Outside, before the clone"
    } else {
        "Outside, meanwhile"
    });
    for Step { from, op } in &plan.parent {
        if is_before(op.phase()) == before {
            page.row(phase_of_parent(op.phase()), outside::say(op), from);
        }
    }
}

/// Short names of the phases, for the left column.
const fn phase_of_parent(phase: ParentPhase) -> &'static str {
    match phase {
        ParentPhase::BeforeClone => "open",
        ParentPhase::IdMap => "id maps",
        ParentPhase::Network => "network",
        ParentPhase::BeforePivot => "hooks",
        ParentPhase::Ready => "limits",
    }
}

const fn phase_of_init(phase: InitPhase) -> &'static str {
    match phase {
        InitPhase::Enter => "enter",
        InitPhase::Network => "network",
        InitPhase::Root => "root",
        InitPhase::Mounts => "mounts",
        InitPhase::Devices => "devices",
        InitPhase::Hooks => "hooks",
        InitPhase::Pivot => "pivot",
        InitPhase::Inside => "settle",
        InitPhase::ReadOnly => "read-only",
        InitPhase::Masks => "masks",
        InitPhase::Program => "program",
    }
}

const fn phase_of_last(phase: LastPhase) -> &'static str {
    match phase {
        LastPhase::Fork => "fork",
        LastPhase::Privileged => "privileges",
        LastPhase::EarlySeccomp | LastPhase::LateSeccomp => "seccomp",
        LastPhase::Identity => "identity",
        LastPhase::Gate => "gate",
        LastPhase::Hooks => "hooks",
        LastPhase::Execute => "run",
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
