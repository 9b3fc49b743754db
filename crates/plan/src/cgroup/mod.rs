//! `linux.resources` and `linux.cgroupsPath` -> where the container's cgroup is
//! and what is written into it. Pure: the formulas and rules live here, the
//! writing in `libcgroups`.

mod block;
mod bpf;
mod build;
mod devices;
mod limits;
mod path;
mod sheet;
mod systemd;
mod unified;
mod v1;
mod v2;

use serde::{Deserialize, Serialize};

pub(crate) use build::{Asked, build};
pub(crate) use systemd::ANNOTATION_PREFIX;
pub use systemd::{Property, PropertyValue, Scope, properties_of};

use crate::{CgroupMode, ConfigPath, PlanError, Slot, Warning};

/// Where the cgroup chapter leaves what it found.
#[derive(Default)]
pub(crate) struct Problems {
    /// What is wrong.
    pub problems: Vec<PlanError>,
    /// What is odd.
    pub warnings: Vec<Warning>,
}

/// The container's control group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupPlan {
    /// Who makes it.
    pub manager: CgroupManager,
    /// How the host mounts cgroups.
    pub mode: CgroupMode,
    /// Path below the root of every hierarchy, absolute, clean: `/corten/c1`.
    pub path: String,
    /// The directories to make and join: one for v2, one for each v1 hierarchy,
    /// both when hybrid.
    pub directories: Vec<CgroupDirectory>,
    /// What is written, in order, before the container's program runs.
    pub settings: Vec<Setting>,
    /// v2: the device program; `None` when every device is allowed or the
    /// hierarchy is v1 (there the rules are settings of `devices`).
    pub device_program: Option<DeviceProgram>,
    /// v2: the uid of the host that gets the directory and the files by which it is
    /// managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// v2: a cgroup below, in which the container's program starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated: Option<DelegatedCgroup>,
    /// What systemd is asked for, when it is the manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// A cgroup below the container's own, which limits that one and not this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DelegatedCgroup {
    /// Clean and relative: `a/b`.
    pub path: String,
    /// The uid of the host that gets it.
    pub uid: Option<u32>,
    /// For its `cgroup.procs`.
    pub procs: Slot,
}

/// Who makes cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupManager {
    /// This program, by mkdir.
    Cgroupfs,
    /// systemd, asked over D-Bus (`--systemd-cgroup`).
    Systemd,
    /// Nobody: the container stays where its caller is (`--cgroup-manager disabled`).
    Disabled,
}

/// One cgroup directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupDirectory {
    /// Controllers here (`cpu`, `name=systemd`); empty for v2.
    pub controllers: Vec<String>,
    /// Mount point of the hierarchy on the host.
    pub mount: String,
    /// The v2 hierarchy.
    pub v2: bool,
    /// v2: controllers that must be enabled in `cgroup.subtree_control` of every
    /// ancestor because a setting needs them.
    pub enable: Vec<String>,
}

/// One value for one cgroup file. One writer serves every controller, `unified` and `update`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Index into [`CgroupPlan::directories`].
    pub directory: usize,
    /// `memory.max`: a plain name, never a path.
    pub file: String,
    /// Written by one write(2); several lines are several writes.
    pub value: String,
    /// Where it came from.
    pub from: ConfigPath,
    /// The value is what the kernel would do without the file (no limit), so a
    /// missing file is fine (no swap accounting, no `rsvd`).
    pub optional: bool,
    /// What to write where this kernel lacks `file`: another file for the same
    /// thing (`io.weight` for `io.bfq.weight`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Alternative>,
    /// A file of the same directory whose number must not exceed `value`, or
    /// nothing is written (`memory.checkBeforeUpdate`: `memory.current`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_below: Option<String>,
}

/// The second choice of a [`Setting`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    /// A plain name.
    pub file: String,
    /// In the scale of that file.
    pub value: String,
}

/// An eBPF program of type `BPF_PROG_TYPE_CGROUP_DEVICE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceProgram {
    /// `struct bpf_insn`, each as the little-endian 64-bit word the kernel reads.
    pub instructions: Vec<u64>,
    /// Where it came from.
    pub from: ConfigPath,
}
