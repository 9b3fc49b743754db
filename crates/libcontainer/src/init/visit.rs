//! `mounts add` and `mounts remove`: a process that joins a container, changes its
//! mounts, and leaves without becoming anything.
//!
//! As the joiner of `exec` (see `exec.rs`) it has no number in the container's pid
//! namespace, and leaves before one is born there: nobody inside can find it.

use std::os::fd::{AsFd, OwnedFd};

use kernel::procfs::Procfs;
use kernel::{Errno, fs, mount, prctl, process, signal};
use plan::{InitOp, Plan};

use super::{Build, StepError, StepResult, message_of, refuse};
use crate::parent::Slots;
use crate::script::StubDescriptors;
use crate::sync::{Channel, InitMessage};

/// Carries out the plan; what was done is taken back when a step fails. Whoever
/// started us may be killed meanwhile: we go on, so that all is done or nothing.
pub(crate) fn change_mounts(plan: &Plan, slots: Slots, descriptors: StubDescriptors) -> ! {
    let channel = match descriptors.socket.try_clone() {
        Ok(socket) => Channel::new(socket),
        Err(_) => process::exit_now(1),
    };
    let mut build = Build::new(plan, slots, Vec::new(), &descriptors, &channel);
    build.placed = Some(Vec::new());
    build.ends_with_parent = false;
    let message = match build.visit() {
        Ok(()) => InitMessage::Done,
        Err((step, error)) => message_of(step, error),
    };
    // If the parent has gone there is nobody to tell.
    let _ = channel.say(&message);
    process::exit_now(0)
}

impl Build<'_> {
    fn visit(&mut self) -> Result<(), (usize, StepError)> {
        // The host's, to unmount by: inside there may be none.
        let procfs = Procfs::host().map_err(|error| (0, error.into()))?;
        prepare().map_err(|error| (0, error.into()))?;
        self.host_procfs = Some(procfs);
        self.look_before_unmounting()?;
        let changed = self.change();
        if changed.is_err() {
            self.take_back();
        }
        changed
    }

    /// All steps, in order, up to the first that fails.
    fn change(&mut self) -> Result<(), (usize, StepError)> {
        let plan = self.plan;
        for (index, step) in plan.init.iter().enumerate() {
            if matches!(step.op, InitOp::EnterContainer { .. }) {
                continue;
            }
            crate::describe::trace(step);
            self.from = step.from.clone();
            self.step(&step.op).map_err(|error| (index, error))?;
        }
        Ok(())
    }

    /// Enters, and looks up every mount that is to go: a list of which one part cannot
    /// be taken away is left as it is.
    fn look_before_unmounting(&mut self) -> Result<(), (usize, StepError)> {
        let plan = self.plan;
        for (index, step) in plan.init.iter().enumerate() {
            self.from = step.from.clone();
            let looked = match &step.op {
                InitOp::EnterContainer { .. } => self.step(&step.op),
                InitOp::Unmount { target, protected } => {
                    self.find_mount(target, protected).map(drop)
                }
                _ => Ok(()),
            };
            looked.map_err(|error| (index, error))?;
        }
        Ok(())
    }

    /// `mounts remove`
    pub(super) fn unmount(&mut self, target: &str, protected: &[String]) -> StepResult {
        let found = self.find_mount(target, protected)?;
        let procfs = self.host_procfs.as_ref();
        let procfs = procfs.ok_or_else(|| refuse(Errno::BADF, "no procfs to unmount by"))?;
        Ok(mount::unmount_detach_fd(procfs, found.as_fd())?)
    }

    /// What is mounted on a path. Where it leads is judged by what is found there: the
    /// image may have put a symlink in the way.
    fn find_mount(&mut self, target: &str, protected: &[String]) -> Result<OwnedFd, StepError> {
        let at = |error| StepError::Refused(error, Some(self.from.field("destination")));
        let found = self.root()?.look_up(target).map_err(at)?;
        let stat = fs::stat(found.as_fd())?;
        let checked = self.check_place(target, &found, &stat).and_then(|()| {
            if !stat.is_mount_root {
                let text = format!("nothing is mounted on {target}");
                return Err(refuse(Errno::INVAL, text));
            }
            for path in protected {
                let covering = self
                    .root()?
                    .look_up(path)
                    .and_then(|fd| fs::stat(fd.as_fd()));
                if covering.is_ok_and(|covering| covering.mount_id == stat.mount_id) {
                    let text = format!("{target} leads to {path}, which is masked or read-only");
                    return Err(refuse(Errno::PERM, text));
                }
            }
            Ok(())
        });
        match checked {
            Ok(()) => Ok(found),
            Err(error) => Err(self.about("destination", error)),
        }
    }

    /// A later mount could not be made: the earlier ones go, last first. Mount points
    /// that were made stay, as they would when the container is created.
    fn take_back(&mut self) {
        let placed = self.placed.take().unwrap_or_default();
        if let Some(procfs) = &self.host_procfs {
            for tree in placed.iter().rev() {
                let _ = mount::unmount_detach_fd(procfs, tree.as_fd());
            }
        }
    }
}

/// Out of the caller's session: a Ctrl-C at its terminal is not for us.
fn prepare() -> kernel::Result<()> {
    signal::reset_all()?;
    process::set_umask(0o022);
    process::start_session()?;
    prctl::set_dumpable(false)
}
