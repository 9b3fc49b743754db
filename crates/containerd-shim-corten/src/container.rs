//! A container of this shim.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use containerd_shim_protos::api::Status;
use libcgroups::OomWatch;
use libcontainer::Store;
use tokio::sync::RwLock;

use crate::command::Corten;
use crate::process::{Phase, Process};

/// A container: its init, the execs in it, and how to call `corten` for it.
#[derive(Debug)]
pub struct Container {
    pub id: String,
    pub corten: Corten,
    pub init: Arc<Process>,
    /// Something was mounted on the bundle's `rootfs`.
    pub rootfs: Option<String>,
    /// It is to be made of this when it is started.
    pub checkpoint: Option<Checkpoint>,
    execs: Mutex<BTreeMap<String, Arc<Process>>>,
    paused: AtomicBool,
    oom: Mutex<Option<OomWatch>>,
    /// To change the container, or tell its end, is to write; to start an exec is to
    /// read: execs start side by side, no two commands change the container at once,
    /// and the end of init is told after the start of every exec.
    pub turn: RwLock<()>,
}

/// Where a checkpoint is.
#[derive(Debug)]
pub struct Checkpoint {
    pub image: String,
    /// The one before, relative to it; may be empty.
    pub parent: String,
}

impl Container {
    /// A created one.
    pub fn new(id: String, corten: Corten, init: Arc<Process>, rootfs: Option<String>) -> Self {
        Self {
            id,
            corten,
            init,
            rootfs,
            checkpoint: None,
            execs: Mutex::default(),
            paused: AtomicBool::new(false),
            oom: Mutex::default(),
            turn: RwLock::new(()),
        }
    }

    fn execs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Process>>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was paused through this shim.
    fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// As containerd names it.
    pub fn status(&self) -> Status {
        match self.init.status() {
            Status::RUNNING if self.is_paused() => Status::PAUSED,
            status => status,
        }
    }

    /// After `Pause` and `Resume`.
    pub fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    fn oom(&self) -> MutexGuard<'_, Option<OomWatch>> {
        self.oom.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since it was started.
    pub fn set_oom_watch(&self, watch: OomWatch) {
        *self.oom() = Some(watch);
    }

    /// What to wait for, and whether that is urgent data.
    pub fn oom_descriptor(&self) -> Option<(OwnedFd, bool)> {
        let oom = self.oom();
        let (fd, urgent) = oom.as_ref()?.descriptor();
        Some((fd.try_clone_to_owned().ok()?, urgent))
    }

    /// How often it was out of memory since the last call.
    pub fn take_oom(&self) -> u64 {
        let mut oom = self.oom();
        match oom.as_mut().map(OomWatch::take) {
            Some(Ok(Some(times))) => times,
            Some(_) => {
                *oom = None;
                0
            }
            None => 0,
        }
    }

    /// Init for an empty id.
    pub fn process(&self, exec_id: &str) -> Option<Arc<Process>> {
        match exec_id {
            "" => Some(self.init.clone()),
            _ => self.execs().get(exec_id).cloned(),
        }
    }

    /// Adds an exec; false when the id is taken.
    pub fn add(&self, process: Process) -> bool {
        let mut execs = self.execs();
        if execs.contains_key(&process.exec_id) {
            return false;
        }
        execs.insert(process.exec_id.clone(), Arc::new(process));
        true
    }

    /// Forgets an exec.
    pub fn remove(&self, exec_id: &str) {
        self.execs().remove(exec_id);
    }

    /// The execs that run.
    pub fn running_execs(&self) -> Vec<Arc<Process>> {
        let running = |process: &&Arc<Process>| process.phase() == Phase::Running;
        self.execs().values().filter(running).cloned().collect()
    }

    /// The exec of a pid.
    pub fn exec_of(&self, pid: i32) -> Option<String> {
        self.execs()
            .values()
            .find(|process| process.pid() == pid)
            .map(|process| process.exec_id.clone())
    }

    /// Where its state is.
    ///
    /// # Errors
    /// Those of opening the directory.
    pub fn store(&self) -> libcontainer::Result<Store> {
        Store::open_or_make(&self.corten.root)
    }

    /// Whether starting or deleting it runs programs of the host.
    pub fn has_hooks(&self) -> bool {
        self.saved()
            .is_some_and(|state| !state.poststart.is_empty() || !state.poststop.is_empty())
    }

    /// Whether the end of init is the end of all.
    pub fn pid_namespace_is_private(&self) -> bool {
        self.saved()
            .is_none_or(|state| state.pid_namespace_is_private)
    }

    fn saved(&self) -> Option<libcontainer::State> {
        let store = self.store().ok()?;
        libcontainer::saved(&store, &self.id)
            .ok()
            .map(|(_, state)| state)
    }
}
