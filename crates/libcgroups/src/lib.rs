//! Carries out cgroup settings: v2, v1 and hybrid.

use std::os::fd::{BorrowedFd, OwnedFd};

use plan::cgroup::{CgroupDirectory, CgroupPlan, DeviceProgram, Setting};
use plan::{CgroupFacts, CgroupMode, ConfigPath};

/// A refused cgroup operation.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct CgroupError {
    /// The property, if there is one.
    pub from: Option<ConfigPath>,
    /// The call.
    pub source: kernel::Error,
    /// What to do.
    pub hint: Option<String>,
}

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, CgroupError>;

/// How the host mounts its cgroups.
///
/// # Errors
/// None yet.
pub fn probe() -> Result<CgroupFacts> {
    Ok(CgroupFacts {
        mode: CgroupMode::None,
        v2_mount: None,
        v2_controllers: Vec::new(),
        v1_mounts: std::collections::BTreeMap::new(),
        delegated: None,
    })
}

/// A container's cgroup.
pub struct Cgroup {}

/// Makes it.
///
/// # Errors
/// None yet.
pub fn create(_plan: &CgroupPlan) -> Result<Cgroup> {
    Ok(Cgroup {})
}

#[allow(missing_docs, clippy::missing_errors_doc)]
impl Cgroup {
    pub fn open(_directories: &[CgroupDirectory], _path: &str) -> Self {
        Self {}
    }
    pub fn apply(&self, _settings: &[Setting]) -> Result<()> {
        Ok(())
    }
    pub fn attach_devices(&self, _program: &DeviceProgram) -> Result<()> {
        Ok(())
    }
    pub fn directory_for_clone(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    pub fn tasks_files(&self) -> Result<Vec<OwnedFd>> {
        Ok(Vec::new())
    }
    pub fn pids(&self) -> Result<Vec<i32>> {
        Ok(Vec::new())
    }
    pub fn is_frozen(&self) -> Result<bool> {
        Ok(false)
    }
    pub fn thaw(&self) -> Result<()> {
        Ok(())
    }
    pub fn kill_all(&self) -> Result<()> {
        Ok(())
    }
    pub fn remove(&self) -> Result<()> {
        Ok(())
    }
    pub fn oom_kills(&self) -> Option<u64> {
        None
    }
}
