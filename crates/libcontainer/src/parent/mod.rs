//! The operations outside the container, `Plan::parent`.
//!
//! | file | phase |
//! |---|---|
//! | `slots.rs` | before the clone: everything init inherits is opened |
//! | `id_map.rs` | user namespaces of idmapped mounts; maps are written |
//! | `procfs.rs` | a procfs of a pid namespace that init only joins |
//! | `clone.rs` | the clone itself |
//! | `conversation.rs` | what init asks for, in the order of `sync.rs` |
//! | `net_devices.rs` | network devices are moved in |
//! | `listener.rs` | the seccomp listener goes to its agent |
//! | `hooks.rs` | hooks outside the container |

mod clone;
mod conversation;
mod hooks;
mod id_map;
mod listener;
mod net_devices;
mod procfs;
mod slots;

pub(crate) use clone::{become_root, clone_init, flag_of};
pub(crate) use conversation::{Conversation, StubSteps, after_ready, init_error, until_executed};
pub(crate) use hooks::{
    describe_end, describe_status, last_words, run_hooks, run_hooks_before_pivot,
};
pub(crate) use net_devices::NetDevices;
pub(crate) use slots::{Slots, open_left, open_slots};

use std::os::fd::{AsFd, OwnedFd};

use kernel::{Errno, pidfd};
use plan::{ParentOp, ParentPhase, Plan, Step};

use crate::describe::{Describe, trace};
use crate::diagnose;
use crate::error::{Error, Failure, reason_of};

/// The steps of one phase, in order.
pub(crate) fn steps_of(plan: &Plan, phase: ParentPhase) -> impl Iterator<Item = &Step<ParentOp>> {
    plan.parent
        .iter()
        .filter(move |s| s.op.phase() == phase)
        .inspect(|step| trace(step))
}

/// A child that somebody told us of. Strangers in a joined pid namespace may have
/// had their hands on who spoke: a pid of theirs would be killed with the container.
pub(crate) fn open_child(pid: i32) -> kernel::Result<OwnedFd> {
    let child = pidfd::open(pid)?;
    if pidfd::is_child(child.as_fd())? {
        return Ok(child);
    }
    let error = kernel::Error::new(Errno::CHILD, format!("pidfd_open({pid})"));
    Err(error.with_detail(format!("process {pid} is not a child of this one")))
}

/// The one place where a refused parent step gets its context.
pub(crate) fn failed(step: &Step<ParentOp>, error: &kernel::Error) -> Error {
    Error::Step(Box::new(Failure {
        path: step.from.clone(),
        doing: step.op.describe(),
        reason: reason_of(error),
        hint: diagnose::parent_hint(&step.op, error),
        call: error.call().to_owned(),
    }))
}
