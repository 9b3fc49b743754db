//! The order of everything, as data.
//!
//! Every operation belongs to a phase, and these edges are the order of the
//! phases: each says *why*, and
//! `tests/invariants.rs` tries to find a configuration that breaks it. Inside a
//! phase the order is the one in which the chapters push, `build::build`.

use crate::{
    InitOp, InitPhase as I, LastOp, LastPhase as L, ParentOp, ParentPhase as P, PlanError, Step,
};

/// `(before, after, why)`.
pub(crate) type Edge<Phase> = (Phase, Phase, &'static str);

/// Outside the container.
pub(crate) const PARENT: [Edge<P>; 4] = [
    (
        P::BeforeClone,
        P::IdMap,
        "the map belongs to the process that clone makes",
    ),
    (
        P::IdMap,
        P::Network,
        "the network namespace belongs to the user namespace, whose ids are mapped first",
    ),
    (
        P::Network,
        P::BeforePivot,
        "hooks and sysctls find the network devices where they will be",
    ),
    (
        P::BeforePivot,
        P::Ready,
        "hooks run while the container is being built, limits bind the finished one",
    ),
];

/// Inside, with the code of `corten`.
pub(crate) const INIT: [Edge<I>; 10] = [
    (
        I::Enter,
        I::Network,
        "the loopback device to set up is that of the new network namespace",
    ),
    (
        I::Network,
        I::Root,
        "nothing outside the root is needed once the root is being built",
    ),
    (
        I::Root,
        I::Mounts,
        "mount targets are looked up inside the root",
    ),
    (
        I::Mounts,
        I::Devices,
        "nodes are made on the /dev that mounts put there",
    ),
    (
        I::Devices,
        I::Hooks,
        "hooks find the finished mounts and devices: NVIDIA's adds to both",
    ),
    (
        I::Hooks,
        I::Pivot,
        "createContainer hooks are programs of the host, gone after the pivot",
    ),
    (
        I::Pivot,
        I::Inside,
        "the console is opened in the container's own devpts and the working directory made below its root: what is found here can no longer be the host's",
    ),
    (
        I::Inside,
        I::ReadOnly,
        "console, working directory and sysctls still create or write",
    ),
    (
        I::ReadOnly,
        I::Masks,
        "a mask below a read-only path must not be covered by its bind",
    ),
    (
        I::Masks,
        I::Program,
        "program and working directory are looked up in the root as the container will see it: a process that stands below a mask sees what it hides",
    ),
];

/// Inside, as the sealed stub.
pub(crate) const LAST: [Edge<L>; 7] = [
    (
        L::Fork,
        L::Privileged,
        "no_new_privs, ids and filters are those of the process that stays",
    ),
    (
        L::Privileged,
        L::EarlySeccomp,
        "a filter without CAP_SYS_ADMIN needs no_new_privs first",
    ),
    (
        L::EarlySeccomp,
        L::Identity,
        "without no_new_privs a filter needs CAP_SYS_ADMIN, which identity gives up",
    ),
    (
        L::Identity,
        L::LateSeccomp,
        "with no_new_privs the profile must not have to allow setuid and capset",
    ),
    (
        L::LateSeccomp,
        L::Gate,
        "create reports success only when nothing can fail any more but execve",
    ),
    (
        L::Gate,
        L::Hooks,
        "startContainer hooks belong to start, as the container's user and under its filter",
    ),
    (L::Hooks, L::Execute, "the program is the last thing"),
];

/// The place of a phase in the order that the edges give.
fn place<Phase: PartialEq>(edges: &[Edge<Phase>], phase: Phase) -> usize {
    let edge = edges.iter().position(|(_, after, _)| *after == phase);
    edge.map_or(0, |before| before + 1)
}

/// Sorts each list by phase; inside a phase the order of pushing stays.
pub(crate) fn arrange(
    parent: &mut [Step<ParentOp>],
    init: &mut [Step<InitOp>],
    last: &mut [Step<LastOp>],
) {
    parent.sort_by_key(|step| place(&PARENT, step.op.phase()));
    init.sort_by_key(|step| place(&INIT, step.op.phase()));
    last.sort_by_key(|step| place(&LAST, step.op.phase()));
}

/// The top-level properties in the order in which people write them.
const SECTIONS: [&str; 10] = [
    "ociVersion",
    "process",
    "root",
    "hostname",
    "domainname",
    "mounts",
    "hooks",
    "annotations",
    "linux",
    "",
];

/// Sorts problems by section; flags of the command line come first.
pub(crate) fn arrange_problems(problems: &mut [PlanError]) {
    problems.sort_by_key(|problem| {
        let path = problem.path.as_str();
        if path.starts_with("--") {
            return 0;
        }
        let section = path.split(['.', '[', ' ']).next().unwrap_or_default();
        let place = SECTIONS.iter().position(|s| *s == section);
        1 + place.unwrap_or(SECTIONS.len())
    });
}

#[cfg(test)]
mod tests {
    use super::{INIT, LAST, PARENT};

    /// Each edge leads from one phase to the next one, so the edges give a total
    /// order, and no phase is without a reason for its place.
    #[test]
    fn edges_are_the_order_of_the_phases() {
        for pair in INIT.windows(2) {
            assert_eq!(pair[0].1, pair[1].0);
        }
        for pair in LAST.windows(2) {
            assert_eq!(pair[0].1, pair[1].0);
        }
        for pair in PARENT.windows(2) {
            assert_eq!(pair[0].1, pair[1].0);
        }
        assert!(
            INIT.iter()
                .all(|(before, after, why)| before < after && !why.is_empty())
        );
        assert!(
            LAST.iter()
                .all(|(before, after, why)| before < after && !why.is_empty())
        );
        assert!(
            PARENT
                .iter()
                .all(|(before, after, why)| before < after && !why.is_empty())
        );
    }
}
