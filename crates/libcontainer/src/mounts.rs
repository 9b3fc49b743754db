//! `mounts add` and `mounts remove`: other mounts for a container that exists.
//!
//! ```text
//! corten ── opens the sources on the host ──clone3──► visitor: setns(init) ─► each mount,
//!    ◄──────────────────── Done, or Failed ──────────┘  made detached and complete, is moved in
//! ```
//!
//! The lock of the container is the visitor's as well: whoever comes next, even after
//! this process was killed, finds all of the list done or nothing.

use std::os::fd::AsFd;

use kernel::process::Forked;
use kernel::{pidfd, process, socket};
use plan::{ExecPlan, MountsChange, MountsRequest, Plan};

use crate::error::{Doing, Error, Result};
use crate::init;
use crate::parent::{self, describe_status};
use crate::script::StubDescriptors;
use crate::state::State;
use crate::status::{self, Status};
use crate::store::{ContainerDirectory, Store};
use crate::sync::{Channel, InitMessage, Received};

/// Adds the mounts of a list to a container, or takes them away. `list` is like
/// `mounts` of `config.json`.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotRunning`]; what is wrong with the list; the first
/// mount that was refused. All mounts are as before then.
pub fn change_mounts(store: &Store, id: &str, change: MountsChange, list: Vec<u8>) -> Result<()> {
    let (directory, state) = find(store, id)?;
    let request = MountsRequest {
        id: id.to_owned(),
        change,
        list,
        bundle: state.bundle.clone(),
        init: state.pid,
    };
    let config = directory.read_config()?;
    let plan = plan::change_mounts(&config, &request, &crate::host::probe()?)?;
    for warning in &plan.warnings {
        tracing::warn!("{}: {}", warning.path, warning.text);
    }
    visit(&state, &plan)
}

/// A container that is created, running or paused; no other command changes it meanwhile.
fn find<'a>(store: &'a Store, id: &str) -> Result<(ContainerDirectory<'a>, State)> {
    let directory = store.find(id)?;
    directory.lock()?;
    let Some(loaded) = directory.load()? else {
        return Err(Error::NotRunning);
    };
    match status::derive(&directory, &loaded)? {
        Status::Created | Status::Running | Status::Paused => Ok((directory, loaded.state)),
        Status::Creating | Status::Stopped => Err(Error::NotRunning),
    }
}

/// Has another process carry out the plan inside, and waits for it.
fn visit(state: &State, plan: &Plan) -> Result<()> {
    let container_init = status::open_init(state)?.ok_or(Error::NotRunning)?;
    let mut slots = parent::open_slots(plan)?;
    slots.put(ExecPlan::INIT, container_init);
    let (ours, theirs) = socket::seqpacket_pair().doing(|| "conversation".to_owned())?;
    let descriptors = StubDescriptors::new(theirs, None, 0)?;
    let visitor = match process::fork().doing(|| "clone a process".to_owned())? {
        Forked::Child => {
            drop(ours);
            init::change_mounts(plan, slots, descriptors)
        }
        Forked::Parent { pidfd, .. } => pidfd,
    };
    drop((descriptors, slots));
    let said = Channel::new(ours).receive();
    let status = pidfd::wait(visitor.as_fd()).doing(|| "visitor".to_owned())?;
    match said.doing(|| "message of the visitor".to_owned())? {
        Received::Init(InitMessage::Done, _) => Ok(()),
        Received::Init(InitMessage::Failed(failure), _) => Err(parent::init_error(plan, failure)),
        _ => Err(Error::VisitorDied {
            how: describe_status(status),
        }),
    }
}
