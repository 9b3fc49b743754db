//! `update`: other limits for a container that exists.
//!
//! All of a request takes effect, or nothing: values in force and our copy of the
//! configuration change together, under the lock.

use plan::UpdatePlan;

use crate::error::{Error, Result};
use crate::state::State;
use crate::status::{self, Status};
use crate::store::{ContainerDirectory, Store};

/// A container whose limits can be changed; no other command changes it meanwhile.
pub struct UpdateTarget<'a> {
    directory: ContainerDirectory<'a>,
    state: State,
}

impl<'a> UpdateTarget<'a> {
    /// Finds a container that is created, running or paused.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotRunning`], [`Error::NoCgroup`]
    pub fn find(store: &'a Store, id: &str) -> Result<Self> {
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

    /// The configuration the container has.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn config(&self) -> Result<Vec<u8>> {
        self.directory.read_config()
    }
}

/// Writes the settings of an update and saves the configuration that goes with them.
///
/// # Errors
/// The first setting that was refused. All limits are as before then.
pub fn update(target: &UpdateTarget<'_>, plan: &UpdatePlan) -> Result<()> {
    let path = &target.state.cgroup.path;
    let cgroup = libcgroups::Cgroup::open(&plan.directories, path);
    let change = cgroup.update(&plan.settings)?;
    if let Err(error) = target.directory.replace_config(&plan.config) {
        change.take_back()?;
        return Err(error);
    }
    Ok(())
}
