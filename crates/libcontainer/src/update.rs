//! `update`: other limits for a container that exists.
//!
//! All of a request takes effect, or nothing: values in force and our copy of the
//! configuration change together, under the lock.

use plan::{UpdatePlan, UpdateRequest};

use crate::error::{Error, Result};
use crate::resctrl::SchemaChange;
use crate::state::State;
use crate::status::{self, Status};
use crate::store::{ContainerDirectory, Store};

/// Gives a container other limits. What is odd in the request is a warning of the log.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotRunning`], [`Error::NoCgroup`]; what is wrong with
/// the request; the first setting that was refused. All limits are as before then.
pub fn update(store: &Store, request: &UpdateRequest) -> Result<()> {
    let target = Target::find(store, &request.id)?;
    let config = target.directory.read_config()?;
    let systemd_cgroup = target.state.cgroup.scope.is_some();
    let host = crate::host::probe_for(None, systemd_cgroup)?;
    let request = &UpdateRequest {
        systemd_cgroup,
        ..request.clone()
    };
    let plan = plan::update(&config, request, &host)?;
    for warning in &plan.warnings {
        tracing::warn!("{}: {}", warning.path, warning.text);
    }
    target.carry_out(&plan)
}

/// A container whose limits can be changed; no other command changes it meanwhile.
struct Target<'a> {
    directory: ContainerDirectory<'a>,
    state: State,
}

impl<'a> Target<'a> {
    /// Finds a container that is created, running or paused.
    fn find(store: &'a Store, id: &str) -> Result<Self> {
        let directory = store.find(id)?;
        directory.lock()?;
        let Some(loaded) = directory.load()? else {
            return Err(Error::NotRunning);
        };
        match status::derive(&directory, &loaded)? {
            Status::Created | Status::Running | Status::Paused => {}
            Status::Creating | Status::Stopped => return Err(Error::NotRunning),
        }
        if !loaded.state.has_cgroup() {
            return Err(Error::NoCgroup);
        }
        Ok(Self {
            directory,
            state: loaded.state,
        })
    }

    /// Writes the settings and saves the configuration that goes with them.
    fn carry_out(&self, plan: &UpdatePlan) -> Result<()> {
        let cgroup = libcgroups::Cgroup::open(&plan.directories, &self.state.cgroup.path);
        let change = cgroup.update(&plan.settings)?;
        let told = self.tell_systemd(&cgroup, plan);
        let schema = told.and_then(|()| plan.resctrl.as_ref().map(SchemaChange::make).transpose());
        let saved = schema.and_then(|schema| {
            let saved = self.directory.replace_config(&plan.config);
            if let (Err(_), Some(schema)) = (&saved, schema) {
                schema.take_back();
            }
            saved
        });
        if let Err(error) = saved {
            change.take_back()?;
            return Err(error);
        }
        Ok(())
    }

    /// systemd puts its values in force as it takes them, and it rounds: the files have
    /// the last word.
    fn tell_systemd(&self, cgroup: &libcgroups::Cgroup, plan: &UpdatePlan) -> Result<()> {
        let Some(scope) = &self.state.cgroup.scope else {
            return Ok(());
        };
        if plan.properties.is_empty() {
            return Ok(());
        }
        let mut systemd = libcgroups::systemd::Manager::connect(scope.user)?;
        systemd.set(&scope.unit, &plan.properties)?;
        Ok(cgroup.apply(&plan.settings)?)
    }
}
