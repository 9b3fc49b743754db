//! The plan's mount attributes in the kernel's numbers, mount_setattr(2).

use kernel::mount::{self, MountAttributes};
use plan::{Atime, AttrFlags, Attributes, PropagationKind};

/// Attributes to set and clear.
pub(super) fn attributes_of(attributes: &Attributes) -> MountAttributes<'static> {
    let mut set = flags_of(attributes.set);
    let mut clear = flags_of(attributes.clear);
    if let Some(atime) = attributes.atime {
        // An enumeration: its field must be cleared whenever it is set.
        clear |= mount::MOUNT_ATTR__ATIME;
        set |= match atime {
            Atime::Relative => mount::MOUNT_ATTR_RELATIME,
            Atime::Never => mount::MOUNT_ATTR_NOATIME,
            Atime::Strict => mount::MOUNT_ATTR_STRICTATIME,
        };
    }
    MountAttributes {
        set,
        clear,
        ..Default::default()
    }
}

/// `MOUNT_ATTR_*`
pub(super) fn flags_of(flags: AttrFlags) -> u64 {
    [
        (AttrFlags::READ_ONLY, mount::MOUNT_ATTR_RDONLY),
        (AttrFlags::NO_SUID, mount::MOUNT_ATTR_NOSUID),
        (AttrFlags::NO_DEV, mount::MOUNT_ATTR_NODEV),
        (AttrFlags::NO_EXEC, mount::MOUNT_ATTR_NOEXEC),
        (AttrFlags::NO_DIR_ATIME, mount::MOUNT_ATTR_NODIRATIME),
        (AttrFlags::NO_SYMLINK_FOLLOW, mount::MOUNT_ATTR_NOSYMFOLLOW),
    ]
    .into_iter()
    .filter(|(flag, _)| flags.contains(*flag))
    .fold(0, |all, (_, attribute)| all | attribute)
}

/// The kernel crate's name of a propagation type.
pub(super) const fn kind_of(kind: PropagationKind) -> mount::Propagation {
    match kind {
        PropagationKind::Shared => mount::Propagation::Shared,
        PropagationKind::Slave => mount::Propagation::Slave,
        PropagationKind::Private => mount::Propagation::Private,
        PropagationKind::Unbindable => mount::Propagation::Unbindable,
    }
}

/// A change of nothing but the propagation.
pub(super) fn propagation_of(kind: PropagationKind) -> MountAttributes<'static> {
    MountAttributes {
        propagation: Some(kind_of(kind)),
        ..Default::default()
    }
}
