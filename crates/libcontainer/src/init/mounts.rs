//! `mounts`: each is made detached and complete, and then placed on a descriptor of
//! its target. No path inside the root is resolved twice, and nothing is remounted,
//! so there is no moment in which an image or a neighbour could swap the target
//! (CVE-2019-18837, CVE-2021-30465, CVE-2024-45310).

use std::os::fd::{AsFd, OwnedFd};

use defence::Defence;
use kernel::beneath::Root;
use kernel::{Errno, copy_tree, fs, mount, process};
use plan::{MountOp, MountSource, PropagationKind, Slot};

use super::attributes::{attributes_of, kind_of, propagation_of};
use super::{Build, StepError, StepResult, refuse};

impl Build<'_> {
    pub(super) fn mount(&mut self, op: &MountOp) -> StepResult {
        match &op.source {
            MountSource::Tree { slot } => self.mount_tree(op, *slot),
            MountSource::Filesystem {
                fstype, classic, ..
            } if !classic.is_empty() => self.mount_classic(op, fstype, *classic),
            MountSource::Filesystem { .. } => self.mount_filesystem(op),
            MountSource::CgroupV2 { own_namespace } => self.mount_cgroup_v2(op, *own_namespace),
            MountSource::CgroupV1 {
                own_namespace,
                hierarchies,
                aliases,
            } => self.mount_cgroup_v1(op, *own_namespace, hierarchies, aliases),
            MountSource::Existing { parameters } => self.remount(op, parameters),
        }
    }

    /// A tree of the host, or the copy of a symlink.
    fn mount_tree(&mut self, op: &MountOp, slot: Slot) -> StepResult {
        let tree = self.slots.take(slot)?;
        let kind = fs::stat(tree.as_fd())?.kind;
        if kind == fs::FileKind::Symlink {
            let target = fs::read_link(tree.as_fd())?;
            let made = self.root()?.make_symlink(&op.target, &target, false);
            return made.map_err(|error| self.about("destination", error));
        }
        let shared = |p: &plan::Propagation| p.kind == PropagationKind::Shared && p.recursive;
        if !op.propagation.iter().any(shared) {
            // It still is of the host's peer group; `rshared` wants just that.
            let kind = self.kind_for_trees();
            mount::set_attributes(tree.as_fd(), true, &propagation_of(kind))?;
        }
        let target = if kind == fs::FileKind::Directory {
            self.directory_target(op)?
        } else {
            self.file_target(op)?
        };
        self.place(op, &tree, &target)
    }

    /// Attributes, the move, and the propagation that the options name.
    pub(super) fn place(&mut self, op: &MountOp, tree: &OwnedFd, target: &OwnedFd) -> StepResult {
        self.map_ids(op, tree)?;
        Self::set_own_attributes(op, tree)?;
        self.attach(op, tree, target)
    }

    /// The move of a tree that has its attributes, and the propagation.
    pub(super) fn attach(&mut self, op: &MountOp, tree: &OwnedFd, target: &OwnedFd) -> StepResult {
        mount::move_mount(tree.as_fd(), target.as_fd()).map_err(|error| match error.detail() {
            // Of two kinds: a directory on a file, or a file on a directory.
            Some(_) => self.about("destination", error),
            None => error.into(),
        })?;
        self.note_placed(tree)?;
        Self::set_propagation(op, tree)?;
        if op.target == "/proc" {
            self.proc_identity = None;
        }
        Ok(())
    }

    /// What `mounts add` takes away again should a later one fail.
    pub(super) fn note_placed(&mut self, tree: &OwnedFd) -> kernel::Result<()> {
        if let Some(placed) = &mut self.placed {
            placed.push(process::duplicate_at_least(tree.as_fd(), 3)?);
        }
        Ok(())
    }

    /// Whose the files seem to be; the kernel takes it for a detached mount only.
    fn map_ids(&self, op: &MountOp, tree: &OwnedFd) -> StepResult {
        let Some(map) = &op.id_map else {
            return Ok(());
        };
        let user_namespace = self.slots.get(map.user_namespace)?;
        mount::set_id_map(tree.as_fd(), map.recursive, user_namespace)
            .map_err(|error| StepError::Refused(error, Some(map.from.clone())))
    }

    /// What the options say of this mount, and of it and all below it.
    pub(super) fn set_own_attributes(op: &MountOp, tree: &OwnedFd) -> kernel::Result<()> {
        if !op.recursive_attributes.is_empty() {
            let attributes = attributes_of(&op.recursive_attributes);
            mount::set_attributes(tree.as_fd(), true, &attributes)?;
        }
        let own = own_attributes(op);
        if own.is_empty() {
            return Ok(());
        }
        mount::set_attributes(tree.as_fd(), false, &attributes_of(&own))
    }

    /// The propagation words, one by one, in order.
    pub(super) fn set_propagation(op: &MountOp, tree: &OwnedFd) -> kernel::Result<()> {
        op.propagation.iter().try_for_each(|propagation| {
            let kind = kind_of(propagation.kind);
            mount::change_propagation_fd(tree.as_fd(), propagation.recursive, kind)
        })
    }

    /// The directory to mount on, made when it is missing.
    pub(super) fn directory_target(&mut self, op: &MountOp) -> Result<OwnedFd, StepError> {
        self.target(op, |root| root.make_missing_directories(&op.target, 0o755))
    }

    fn file_target(&mut self, op: &MountOp) -> Result<OwnedFd, StepError> {
        self.target(op, |root| root.make_file(&op.target, 0o644))
    }

    /// What is there, or what is made because nothing is.
    fn target(
        &mut self,
        op: &MountOp,
        make: impl FnOnce(&Root) -> kernel::Result<OwnedFd>,
    ) -> Result<OwnedFd, StepError> {
        let root = self.root()?;
        let found = match look_up(root, op) {
            Err(error) if error.errno() == Errno::NOENT => make(root),
            found => found,
        };
        let checked = found.and_then(|found| self.check_target(op, &found).map(|()| found));
        checked.map_err(|error| self.about("destination", error))
    }

    /// The plan refused targets on and below /proc by their names. A symlink of the
    /// image can lead there under another name: judged by what was found
    /// (CVE-2019-16884, CVE-2019-19921, CVE-2025-52881).
    pub(super) fn check_target(&mut self, op: &MountOp, target: &OwnedFd) -> kernel::Result<()> {
        let is_kernels = matches!(
            &op.source,
            MountSource::Filesystem { fstype, .. } if fstype == "proc" || fstype == "sysfs"
        );
        let stat = fs::stat(target.as_fd())?;
        if is_kernels && stat.kind != fs::FileKind::Directory {
            // Labels, masks and sysctls are applied below it: it must be itself.
            return Err(refuse(
                Errno::NOTDIR,
                format!("{} in the root must be a real directory", op.target),
            ));
        }
        self.check_place(&op.target, target, &stat)
    }

    /// [`check_target`](Self::check_target) for any kind of mount.
    pub(super) fn check_place(
        &mut self,
        path: &str,
        found: &OwnedFd,
        stat: &fs::Stat,
    ) -> kernel::Result<()> {
        let root = fs::stat(self.root()?.fd())?;
        if (stat.dev, stat.ino, stat.mount_id) == (root.dev, root.ino, root.mount_id) {
            return Err(refuse(
                Errno::BUSY,
                format!("{path} leads to the root itself"),
            ));
        }
        let by_name = path == "/proc" || path.starts_with("/proc/");
        if by_name || Defence::JudgeMountTargets.is_off() {
            return Ok(());
        }
        let identity = (stat.dev, stat.ino, stat.mount_id);
        let on_procfs = fs::filesystem_magic(found.as_fd())? == fs::PROC_MAGIC;
        if on_procfs || self.proc_identity()? == Some(identity) {
            return Err(refuse(
                Errno::PERM,
                format!("{path} leads into /proc of the root"),
            ));
        }
        Ok(())
    }

    /// What is at /proc of the root at the moment.
    fn proc_identity(&mut self) -> kernel::Result<Option<(u64, u64, u64)>> {
        if self.proc_identity.is_none() {
            self.proc_identity = match self.root()?.look_up("/proc") {
                Ok(proc) => {
                    let stat = fs::stat(proc.as_fd())?;
                    Some((stat.dev, stat.ino, stat.mount_id))
                }
                Err(error)
                    if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR | Errno::LOOP) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
        }
        Ok(self.proc_identity)
    }

    /// `tmpcopyup`: what the mount will cover is copied into it while it is detached.
    pub(super) fn copy_up(tree: &OwnedFd, covered: &OwnedFd) -> kernel::Result<()> {
        copy_tree::copy_tree(covered.as_fd(), tree.as_fd())
    }
}

/// What is set before the mount is attached.
pub(super) fn own_attributes(op: &MountOp) -> plan::Attributes {
    let mut own = op.attributes;
    if op.read_only_later {
        own.set.remove(plan::AttrFlags::READ_ONLY);
    }
    own
}

/// The target, if it is there. proc and sysfs never through a symlink at the end.
pub(super) fn look_up(root: &Root, op: &MountOp) -> kernel::Result<OwnedFd> {
    let strict = matches!(
        &op.source,
        MountSource::Filesystem { fstype, .. } if fstype == "proc" || fstype == "sysfs"
    );
    let follows = strict && Defence::RealProcAndSys.is_off();
    if !follows && (strict || op.target_no_follow) {
        root.look_up_no_follow(&op.target)
    } else {
        root.look_up(&op.target)
    }
}
