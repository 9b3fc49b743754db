//! One entry of `mounts`, decoded.

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

use super::Slot;
use crate::ConfigPath;

bitflags! {
    /// Per-mount attributes; the executor maps them to `MOUNT_ATTR_*` of mount_setattr(2).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct AttrFlags: u32 {
        /// `ro`
        const READ_ONLY = 1;
        /// `nosuid`
        const NO_SUID = 1 << 1;
        /// `nodev`
        const NO_DEV = 1 << 2;
        /// `noexec`
        const NO_EXEC = 1 << 3;
        /// `nodiratime`
        const NO_DIR_ATIME = 1 << 4;
        /// `nosymfollow`, Linux 5.14 in mount_setattr
        const NO_SYMLINK_FOLLOW = 1 << 5;
    }
}

/// The access-time mode: an enumeration in mount_setattr, whose field must be
/// cleared when any of them is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Atime {
    /// `relatime`, the kernel's default
    Relative,
    /// `noatime`
    Never,
    /// `strictatime`
    Strict,
}

/// Attributes to set and to clear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Set these.
    pub set: AttrFlags,
    /// Clear these (`rw`, `suid`, ...: the last word in the options wins).
    pub clear: AttrFlags,
    /// Access-time mode, if named.
    pub atime: Option<Atime>,
}

impl Attributes {
    /// Nothing to set and nothing to clear.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Propagation type of a mount, mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PropagationKind {
    /// `MS_SHARED`
    Shared,
    /// `MS_SLAVE`
    Slave,
    /// `MS_PRIVATE`
    Private,
    /// `MS_UNBINDABLE`
    Unbindable,
}

/// A propagation type, for one mount or for all below it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Propagation {
    /// Which.
    pub kind: PropagationKind,
    /// The `r` in `rslave`.
    pub recursive: bool,
}

/// One parameter for `fsconfig`, with the option it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsParameter {
    /// `size`
    pub key: String,
    /// `65536k`; `None` makes it a flag.
    pub value: Option<String>,
    /// `mounts[2].options[4]`
    pub from: ConfigPath,
}

bitflags! {
    /// What only mount(2) can pass: the classic path is taken when any is set.
    /// Parameters are joined with commas there; a value that holds a comma outside
    /// quotes and without a backslash (a label) is put into double quotes.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct ClassicFlags: u32 {
        /// `iversion`: no file system takes it as an fsconfig parameter.
        const I_VERSION = 1;
        /// `silent`
        const SILENT = 1 << 1;
        /// No `MS_*` flag: a value is longer than the 255 bytes that fsconfig(2)
        /// takes (overlay's `lowerdir`), while mount(2) takes 4095 for all.
        const LONG_VALUE = 1 << 2;
    }
}

/// Where a mount's content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum MountSource {
    /// A tree (or, with `copy-symlink`, a symlink) the parent opened.
    Tree {
        /// Where the parent put it.
        slot: Slot,
    },
    /// A new instance of a file system, made with `fsopen` inside the container's namespaces.
    Filesystem {
        /// `tmpfs`
        fstype: String,
        /// `source` parameter, if any.
        source: Option<String>,
        /// The rest, in the order of the options; superblock flags such as `sync`,
        /// `dirsync`, `lazytime`, `mand` and `ro` are among them.
        parameters: Vec<FsParameter>,
        /// Flags that make the executor take mount(2) (on the descriptor of the
        /// target, never on its path) in place of fsopen.
        classic: ClassicFlags,
    },
    /// `type: cgroup` on a v2 host: `cgroup2` in a new cgroup namespace, else a
    /// bind of the container's own cgroup.
    CgroupV2 {
        /// The container has a cgroup namespace of its own.
        own_namespace: bool,
    },
    /// `type: cgroup` on a v1 or hybrid host: a tmpfs with one directory for each hierarchy.
    CgroupV1 {
        /// The container has a cgroup namespace of its own.
        own_namespace: bool,
        /// Directory name -> cgroup v1 options (`cpu,cpuacct`, `name=systemd`);
        /// for the v2 hierarchy of a hybrid host `unified` -> nothing.
        hierarchies: Vec<(String, String)>,
        /// Alias -> directory, for co-mounted controllers (`cpu` -> `cpu,cpuacct`).
        aliases: Vec<(String, String)>,
    },
    /// `remount` among the options: changes what is mounted there already.
    Existing {
        /// Superblock parameters, through `fspick`.
        parameters: Vec<FsParameter>,
    },
}

/// One mount: made detached and complete, then placed on a descriptor of its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountOp {
    /// Absolute path inside the container, lexically clean.
    pub target: String,
    /// `dest-nofollow`, and always for procfs and sysfs: a final symlink of the
    /// target is not followed (CVE-2019-19921, CVE-2025-54867).
    pub target_no_follow: bool,
    /// What is mounted.
    pub source: MountSource,
    /// For this mount; applied after the recursive ones.
    pub attributes: Attributes,
    /// For it and all below it (`rro`, `rnosuid`, ...). Only of trees and of
    /// what is mounted already: nothing is below a new file system, and those
    /// below a cgroup v1 tmpfs take `attributes`.
    pub recursive_attributes: Attributes,
    /// Applied one by one, in order, after the attributes.
    pub propagation: Vec<Propagation>,
    /// `tmpcopyup`: what the mount covers is copied into it first.
    pub copy_up: bool,
    /// `ro` waits until devices, mount points and hooks below have had their turn
    /// (`InitOp::MakeReadOnly` follows later); it is not among `attributes` then.
    pub read_only_later: bool,
    /// `linux.mountLabel`
    pub label: Option<MountLabel>,
    /// Owners of the files are shown mapped. A tree from the host has been mapped
    /// by the parent: `ParentOp::MapMount`.
    pub id_map: Option<MountIdMap>,
}

/// How a new file system is labelled for SELinux.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MountLabel {
    /// By an option of the mount.
    Option {
        /// `context`, `rootcontext`
        name: String,
        /// Its value, without quotes.
        label: String,
    },
    /// By `security.selinux` of its root directory.
    Attribute(String),
}

/// Whose ids the files of a mount get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountIdMap {
    /// The user namespace with the mapping.
    pub user_namespace: Slot,
    /// `ridmap`: all mounts below too.
    pub recursive: bool,
    /// The property that asked for it.
    pub from: ConfigPath,
}
