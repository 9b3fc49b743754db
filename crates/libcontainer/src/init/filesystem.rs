//! New file systems: `fsopen`, one `fsconfig` for each option, `fsmount`.
//!
//! Options go to the kernel one by one, so a refused one can be named, and the
//! context is asked for the kernel's own words.

use std::os::fd::{AsFd, OwnedFd};

use kernel::mount::FsContext;
use kernel::{Errno, fs, mount};
use plan::{ClassicFlags, FsParameter, MountLabel, MountOp, MountSource};

use super::attributes::attributes_of;
use super::mounts::own_attributes;
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
        let covered_mode = self.covered_mode(op, fstype, parameters)?;
        let target = self.directory_target(op)?;
        let context = FsContext::open(fstype).map_err(|error| self.about("type", error))?;
        if let Some(source) = source {
            context.set_string("source", source)?;
        }
        set_parameters(&context, parameters)?;
        if let Some(mode) = covered_mode {
            context.set_string("mode", &format!("{mode:o}"))?;
        }
        if let Some(MountLabel::Option { name, label }) = &op.label {
            context.set_string(name, label)?;
        }
        context.create()?;
        let is_filled = op.copy_up || matches!(op.label, Some(MountLabel::Attribute(_)));
        if !is_filled && op.id_map.is_none() && op.recursive_attributes.is_empty() {
            // Born with its attributes.
            let tree = context.mount(attributes_of(&own_attributes(op)).set)?;
            return self.attach(op, &tree, &target);
        }
        let tree = context.mount(0)?;
        Self::label_root(op, &tree)?;
        if op.copy_up {
            Self::copy_up(&tree, &target)?;
        }
        self.place(op, &tree, &target)
    }

    /// What only mount(2) can pass: flags that are parameters of no file system, and
    /// values too long for fsconfig. On the descriptor of the target, never its path.
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
        let covered_mode = self.covered_mode(op, fstype, parameters)?;
        let target = self.directory_target(op)?;
        let mut flags = 0;
        if classic.contains(ClassicFlags::I_VERSION) {
            flags |= mount::CLASSIC_I_VERSION;
        }
        if classic.contains(ClassicFlags::SILENT) {
            flags |= mount::CLASSIC_SILENT;
        }
        let mut data: Vec<String> = parameters.iter().map(render).collect();
        if let Some(mode) = covered_mode {
            data.push(format!("mode={mode:o}"));
        }
        if let Some(MountLabel::Option { name, label }) = &op.label {
            data.push(format!("{name}=\"{label}\""));
        }
        let source = source.as_deref().unwrap_or(fstype);
        let covered = fs::stat(target.as_fd())?.mount_id;
        mount::classic_mount_on_fd(source, target.as_fd(), fstype, flags, &data.join(","))
            .map_err(|error| match error.errno() {
                Errno::NODEV => self.about("type", error),
                _ => error.into(),
            })?;
        // mount(2) gives no descriptor. What is found there now must be another mount.
        let mounted = super::mounts::look_up(self.root()?, op)?;
        if fs::stat(mounted.as_fd())?.mount_id == covered {
            let moved = format!("{} was moved while it was mounted on", op.target);
            return Err(refuse(Errno::STALE, moved).into());
        }
        self.note_placed(&mounted)?;
        Self::label_root(op, &mounted)?;
        if op.copy_up {
            Self::copy_up(&mounted, &target)?;
        }
        Self::set_own_attributes(op, &mounted)?;
        Ok(Self::set_propagation(op, &mounted)?)
    }

    /// A file system that takes no context as an option.
    fn label_root(op: &MountOp, root: &OwnedFd) -> kernel::Result<()> {
        match &op.label {
            Some(MountLabel::Attribute(label)) => fs::set_label(root.as_fd(), label),
            _ => Ok(()),
        }
    }

    /// A tmpfs without `mode=` looks like the directory it covers: the permission bits
    /// of that one. One that covers nothing is as the kernel makes it, 1777: the
    /// directory that is about to be made for it must not narrow it.
    fn covered_mode(
        &self,
        op: &MountOp,
        fstype: &str,
        parameters: &[FsParameter],
    ) -> kernel::Result<Option<u32>> {
        if fstype != "tmpfs" || parameters.iter().any(|p| p.key == "mode") {
            return Ok(None);
        }
        match super::mounts::look_up(self.root()?, op) {
            Ok(covered) => Ok(Some(fs::stat(covered.as_fd())?.mode)),
            // Where it cannot be looked up, making the directory tells why.
            Err(_) => Ok(None),
        }
    }

    /// `remount`: what is mounted there gets new parameters and attributes.
    pub(super) fn remount(&mut self, op: &MountOp, parameters: &[FsParameter]) -> StepResult {
        let target = super::mounts::look_up(self.root()?, op)
            .and_then(|found| self.check_target(op, &found).map(|()| found))
            .map_err(|error| self.about("destination", error))?;
        if !parameters.is_empty() {
            let context = FsContext::pick(target.as_fd())?;
            set_parameters(&context, parameters)?;
            context.reconfigure()?;
        }
        Self::set_own_attributes(op, &target).map_err(|error| {
            if error.errno() == Errno::INVAL {
                let error = refuse(Errno::INVAL, format!("{} is not a mount", op.target));
                return self.about("destination", error);
            }
            error.into()
        })?;
        Ok(Self::set_propagation(op, &target)?)
    }
}

/// `size=64k`, or a flag.
fn render(parameter: &FsParameter) -> String {
    match &parameter.value {
        Some(value) => format!("{}={value}", parameter.key),
        None => parameter.key.clone(),
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
