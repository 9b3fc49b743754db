//! New file systems: `fsopen`, one `fsconfig` for each option, `fsmount`.
//!
//! Options go to the kernel one by one, so a refused one can be named, and the
//! context is asked for the kernel's own words.

use std::os::fd::{AsFd, OwnedFd};

use kernel::mount::FsContext;
use kernel::{Errno, fs, mount};
use plan::{ClassicFlags, FsParameter, MountOp, MountSource};

use super::attributes::{attributes_of, flags_of};
use super::{Build, StepError, StepResult, refuse};

impl Build<'_> {
    pub(super) fn mount_filesystem(&mut self, op: &MountOp) -> StepResult {
        let MountSource::Filesystem {
            fstype,
            source,
            parameters,
            ..
        } = &op.source
        else {
            return Ok(());
        };
        let target = self.directory_target(op)?;
        let context = FsContext::open(fstype)?;
        if let Some(source) = source {
            context.set_string("source", source)?;
        }
        set_parameters(&context, parameters)?;
        if fstype == "tmpfs" && !parameters.iter().any(|p| p.key == "mode") {
            // A new tmpfs looks like the directory it covers.
            let mode = fs::stat(target.as_fd())?.mode;
            context.set_string("mode", &format!("{mode:o}"))?;
        }
        if let Some(label) = &op.label {
            context.set_string("context", label)?;
        }
        context.create()?;
        let tree = context.mount(0)?;
        if op.copy_up {
            Self::copy_up(&tree, &target)?;
        }
        Ok(self.place(op, &tree, &target)?)
    }

    /// `iversion` and `silent` are no parameters of any file system: mount(2) alone
    /// can pass them. On the descriptor of the target, never on its path.
    pub(super) fn mount_classic(
        &mut self,
        op: &MountOp,
        fstype: &str,
        classic: ClassicFlags,
    ) -> StepResult {
        let MountSource::Filesystem {
            source, parameters, ..
        } = &op.source
        else {
            return Ok(());
        };
        let target = self.directory_target(op)?;
        let mut flags = 0;
        if classic.contains(ClassicFlags::I_VERSION) {
            flags |= mount::CLASSIC_I_VERSION;
        }
        if classic.contains(ClassicFlags::SILENT) {
            flags |= mount::CLASSIC_SILENT;
        }
        let mut data = Vec::new();
        for parameter in parameters {
            data.push(match &parameter.value {
                Some(value) => format!("{}={value}", parameter.key),
                None => parameter.key.clone(),
            });
        }
        let source = source.as_deref().unwrap_or(fstype);
        mount::classic_mount_on_fd(source, target.as_fd(), fstype, flags, &data.join(","))?;
        // What was found below the new mount is found on it now.
        let mounted = self.root()?.look_up(&op.target)?;
        let mut own = op.attributes;
        if op.read_only_later {
            own.set.remove(plan::AttrFlags::READ_ONLY);
        }
        if !own.is_empty() {
            mount::set_attributes(mounted.as_fd(), false, &attributes_of(&own))?;
        }
        Ok(())
    }

    /// `remount`: what is mounted there gets new parameters and attributes.
    pub(super) fn remount(&mut self, op: &MountOp, parameters: &[FsParameter]) -> StepResult {
        let target = self.root()?.look_up(&op.target)?;
        if !parameters.is_empty() {
            let context = FsContext::pick(target.as_fd())?;
            set_parameters(&context, parameters)?;
            context.reconfigure()?;
        }
        let mut attributes = attributes_of(&op.attributes);
        // As with mount(2), what a remount does not name is off again.
        attributes.clear |= flags_of(plan::AttrFlags::READ_ONLY) & !attributes.set;
        mount::set_attributes(target.as_fd(), false, &attributes).map_err(|error| {
            if error.errno() == Errno::INVAL {
                return refuse(Errno::INVAL, format!("{} is not a mount", op.target));
            }
            error
        })?;
        Ok(())
    }
}

/// A refused parameter names the option it came from.
fn set_parameters(context: &FsContext, parameters: &[FsParameter]) -> StepResult {
    for parameter in parameters {
        let set = match &parameter.value {
            Some(value) => context.set_string(&parameter.key, value),
            None => context.set_flag(&parameter.key),
        };
        set.map_err(|error| StepError::Refused(error, Some(parameter.from.clone())))?;
    }
    Ok(())
}

/// A small file system of our own, read-only once it is filled.
pub(super) fn new_tmpfs(parameters: &[(&str, &str)]) -> kernel::Result<OwnedFd> {
    let context = FsContext::open("tmpfs")?;
    for (key, value) in parameters {
        context.set_string(key, value)?;
    }
    context.create()?;
    context.mount(0)
}
