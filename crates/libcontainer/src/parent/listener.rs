//! The seccomp listener goes to its agent (config-linux.md, "The Container Process State").
//!
//! The stub that loaded the filter has it as a descriptor, says its number and waits;
//! we take a copy, send it, and keep none: when the agent dies, its calls answer ENOSYS.

use std::os::fd::AsFd;

use kernel::{pidfd, seccomp, socket};
use plan::{LastOp, SeccompListener, Step};
use serde::Serialize;

use super::Conversation;
use crate::create::Init;
use crate::error::{Error, Failure, Result, reason_of};
use crate::state::HookSubject;

/// What the agent reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerProcessState<'a> {
    oci_version: &'a str,
    fds: [&'a str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    state: serde_json::Value,
}

/// Hands the listener over: `number` in `init`, which step `step` of the plan made.
pub(super) fn hand_over(
    conversation: &Conversation<'_>,
    step: usize,
    number: i32,
    init: &Init,
) -> Result<()> {
    let plan = conversation.plan;
    let Some(Step {
        from,
        op: LastOp::LoadSeccomp {
            listener: Some(agent),
            ..
        },
    }) = plan.last.get(step)
    else {
        return Err(Error::InitDied {
            how: "spoke out of turn".to_owned(),
            hint: String::new(),
        });
    };
    let message = describe_process(conversation, agent, init.pid);
    send(&agent.path, &message, number, init).map_err(|error| {
        Error::Step(Box::new(Failure {
            path: from.field("listenerPath"),
            doing: format!("send the listener to {}", agent.path),
            reason: reason_of(&error),
            hint: None,
            call: error.call().to_owned(),
        }))
    })
}

/// One connection, one message, one descriptor.
fn send(agent: &str, message: &[u8], number: i32, init: &Init) -> kernel::Result<()> {
    let socket = socket::connect_stream(agent)?;
    let listener = pidfd::get_fd(init.pidfd.as_fd(), number)?;
    // The number came in a message: an agent trusted by us is given nothing else.
    seccomp::verify_listener(listener.as_fd())?;
    socket::send_with_fd(socket.as_fd(), message, listener.as_fd())
}

/// The process, and the state of its container.
fn describe_process(conversation: &Conversation<'_>, agent: &SeccompListener, pid: i32) -> Vec<u8> {
    let plan = conversation.plan;
    let (status, container) = match conversation.running {
        Some(container) => ("running", container),
        None => ("creating", pid),
    };
    let state = HookSubject::from(plan).json(status, Some(container));
    // Our own JSON, made one line above.
    let state = serde_json::from_slice(&state).unwrap_or_default();
    let process = ContainerProcessState {
        oci_version: &plan.oci_version,
        fds: ["seccompFd"],
        pid,
        metadata: agent.metadata.as_deref(),
        state,
    };
    serde_json::to_vec(&process).unwrap_or_default()
}
