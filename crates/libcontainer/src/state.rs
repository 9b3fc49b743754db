//! What is remembered of a container between two commands.

use std::borrow::Cow;
use std::collections::BTreeMap;

use plan::cgroup::CgroupPlan;
use plan::{Hook, LastOp, Plan, Step};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Doing, Result};

/// Version of [`State`]'s layout. A state of another version is refused, by name.
pub const STATE_VERSION: u32 = 1;

/// The pid of an init that is not born yet. No process has it.
pub(crate) const NOT_YET: i32 = 0;

/// The content of `state.json`. There is no status in it: that is derived from
/// what the kernel knows ([`crate::status`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// [`STATE_VERSION`]
    pub version: u32,
    /// `ociVersion` of the configuration.
    pub oci_version: String,
    /// Container id.
    pub id: String,
    /// Init's pid as this runtime sees it.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: pids are reused, pairs of the two hardly ever.
    pub start_time: u64,
    /// Inode number of init's pidfd: no other process has it until the next boot
    /// (Linux 6.9; the same for all before).
    pub pidfd_inode: u64,
    /// The boot that all these numbers are of. With `--root` on a disk they outlive it.
    pub boot_id: String,
    /// Absolute path of the bundle.
    pub bundle: String,
    /// Absolute path of the root on the host.
    pub rootfs: String,
    /// RFC 3339, UTC.
    pub created: String,
    /// Effective uid of the runtime that made it.
    pub owner: u32,
    /// Where its control group is.
    pub cgroup: CgroupState,
    /// What of resctrl was made for it, and goes with it: absolute paths, in the order of
    /// making.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resctrl: Vec<String>,
    /// Whether killing init kills everything in the container.
    pub pid_namespace_is_private: bool,
    /// Whether it has a session keyring of its own (no `--no-new-keyring`).
    pub has_keyring: bool,
    /// `annotations` of the configuration.
    pub annotations: BTreeMap<String, String>,
    /// What happens after `start` opened the gate. It is written only: decoding it takes
    /// longer than all the rest, and hardly any command asks for it.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub after_gate: Option<AfterGate>,
    /// `hooks.poststart`
    pub poststart: Vec<Step<Hook>>,
    /// `hooks.poststop`
    pub poststop: Vec<Step<Hook>>,
}

/// The end of `Plan::last`, by which `start` names the step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AfterGate {
    /// Index of the first of `steps` in `Plan::last`.
    pub first: usize,
    /// From the gate on.
    pub steps: Vec<Step<LastOp>>,
    /// `process.args[0]`
    pub program: String,
}

impl AfterGate {
    /// Reads it from the bytes of a state.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Part {
            after_gate: AfterGate,
        }
        let part = serde_json::from_slice::<Part>(bytes).ok()?;
        Some(part.after_gate)
    }
}

impl From<&Plan> for AfterGate {
    fn from(plan: &Plan) -> Self {
        let is_gate = |step: &Step<LastOp>| step.op == LastOp::AwaitStart;
        let first = plan
            .last
            .iter()
            .position(is_gate)
            .unwrap_or(plan.last.len());
        Self {
            first,
            steps: plan.last.get(first..).unwrap_or_default().to_vec(),
            program: plan.program.args.first().cloned().unwrap_or_default(),
        }
    }
}

/// The part of a cgroup plan that later commands need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupState {
    /// Who made it.
    pub manager: plan::cgroup::CgroupManager,
    /// Path below the root of every hierarchy.
    pub path: String,
    /// The hierarchies.
    pub directories: Vec<plan::cgroup::CgroupDirectory>,
    /// [`libcgroups::Cgroup::inode`]; `None` before it was made.
    pub inode: Option<u64>,
    /// The unit, where systemd made it: later commands need no option.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeState>,
}

/// A unit of systemd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopeState {
    /// `libpod-0123.scope`
    pub unit: String,
    /// The user's own systemd made it.
    pub user: bool,
}

impl From<&CgroupPlan> for CgroupState {
    fn from(plan: &CgroupPlan) -> Self {
        Self {
            manager: plan.manager,
            path: plan.path.clone(),
            directories: plan.directories.clone(),
            inode: None,
            scope: plan.scope.as_ref().map(|scope| ScopeState {
                unit: scope.unit.clone(),
                user: scope.user,
            }),
        }
    }
}

impl State {
    /// Reads a state of this version, without what only a failed `start` asks for
    /// ([`AfterGate::decode`]). The error goes on from the file's name.
    pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<Self, String> {
        decode(bytes, |state: &Self| state.version)
    }

    /// Who init is.
    pub(crate) fn identity(&self) -> Identity<'_> {
        Identity {
            pid: self.pid,
            start_time: self.start_time,
            pidfd_inode: self.pidfd_inode,
            boot_id: &self.boot_id,
        }
    }

    /// The state of a container whose init is not born yet.
    ///
    /// # Errors
    /// When the boot id cannot be read.
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        Ok(Self {
            version: STATE_VERSION,
            oci_version: plan.oci_version.clone(),
            id: plan.id.clone(),
            pid: NOT_YET,
            start_time: 0,
            pidfd_inode: 0,
            boot_id: boot_id()?.to_owned(),
            bundle: plan.bundle.clone(),
            rootfs: plan.rootfs.clone(),
            created: kernel::time::utc_now(),
            owner: kernel::identity::effective_uid(),
            cgroup: CgroupState::from(&plan.cgroup),
            resctrl: Vec::new(),
            pid_namespace_is_private: plan.namespaces.pid_namespace_is_private,
            has_keyring: plan
                .init
                .iter()
                .any(|step| matches!(step.op, plan::InitOp::NewSessionKeyring { .. })),
            annotations: plan.annotations.clone(),
            after_gate: Some(AfterGate::from(plan)),
            poststart: plan.poststart.clone(),
            poststop: plan.poststop.clone(),
        })
    }

    /// A handle on the container's control groups.
    pub(crate) fn open_cgroup(&self) -> libcgroups::Cgroup {
        libcgroups::Cgroup::open(&self.cgroup.directories, &self.cgroup.path)
    }

    /// [`State::open_cgroup`] for whoever kills or removes: `None` when there is none,
    /// or when somebody else has made a directory of that path since.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(crate) fn own_cgroup(&self) -> Result<Option<libcgroups::Cgroup>> {
        if !self.has_cgroup() || !self.is_of_this_boot()? {
            return Ok(None);
        }
        let cgroup = self.open_cgroup();
        let is_ours = match (self.cgroup.inode, cgroup.inode()?) {
            (Some(ours), Some(found)) => ours == found,
            // Removed, or never written down: there may be parts of it in v1 hierarchies.
            _ => true,
        };
        Ok(is_ours.then_some(cgroup))
    }

    /// Whether the numbers in it mean anything: pids and inodes begin anew with a boot.
    ///
    /// # Errors
    /// When the boot id cannot be read.
    pub(crate) fn is_of_this_boot(&self) -> Result<bool> {
        self.identity().is_of_this_boot()
    }

    /// Whether its own cgroup is frozen.
    pub(crate) fn is_frozen(&self) -> bool {
        self.cgroup.is_frozen()
    }

    /// Whether this program manages its control groups.
    pub(crate) fn has_cgroup(&self) -> bool {
        self.cgroup.is_ours()
    }
}

impl CgroupState {
    /// Whether it is frozen itself. One that cannot be asked is not.
    pub(crate) fn is_frozen(&self) -> bool {
        self.is_ours() && libcgroups::is_frozen(&self.directories, &self.path).unwrap_or(false)
    }

    fn is_ours(&self) -> bool {
        self.manager != plan::cgroup::CgroupManager::Disabled
    }
}

/// Which process init is: what tells it from all others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    pub pid: i32,
    pub start_time: u64,
    pub pidfd_inode: u64,
    pub boot_id: &'a str,
}

impl Identity<'_> {
    /// As [`State::is_of_this_boot`].
    ///
    /// # Errors
    /// When the boot id cannot be read.
    pub(crate) fn is_of_this_boot(&self) -> Result<bool> {
        Ok(self.boot_id == boot_id()?)
    }
}

/// What `state` and `list` tell of [`State`]: nothing is copied, and what they do not
/// tell is skipped.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary<'a> {
    version: u32,
    #[serde(borrow)]
    pub oci_version: Cow<'a, str>,
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    pub pid: i32,
    start_time: u64,
    pidfd_inode: u64,
    #[serde(borrow)]
    boot_id: Cow<'a, str>,
    #[serde(borrow)]
    pub bundle: Cow<'a, str>,
    #[serde(borrow)]
    pub rootfs: Cow<'a, str>,
    #[serde(borrow)]
    pub created: Cow<'a, str>,
    pub owner: u32,
    /// Read when it has to be known whether it is frozen.
    #[serde(borrow)]
    cgroup: &'a RawValue,
    pub annotations: BTreeMap<String, String>,
}

impl<'a> Summary<'a> {
    /// As [`State::decode`].
    pub(crate) fn decode(bytes: &'a [u8]) -> std::result::Result<Self, String> {
        decode(bytes, |summary: &Self| summary.version)
    }

    /// As [`State::identity`].
    pub(crate) fn identity(&self) -> Identity<'_> {
        Identity {
            pid: self.pid,
            start_time: self.start_time,
            pidfd_inode: self.pidfd_inode,
            boot_id: &self.boot_id,
        }
    }

    /// As [`State::is_frozen`]
    pub(crate) fn is_frozen(&self) -> bool {
        serde_json::from_str::<CgroupState>(self.cgroup.get())
            .is_ok_and(|cgroup| cgroup.is_frozen())
    }
}

fn boot_id() -> Result<&'static str> {
    kernel::system::boot_id().doing(|| "boot id".to_owned())
}

/// Reads the bytes of a state as one of the types for it.
fn decode<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    version: impl Fn(&T) -> u32,
) -> std::result::Result<T, String> {
    match serde_json::from_slice::<T>(bytes) {
        Ok(state) if version(&state) == STATE_VERSION => Ok(state),
        Ok(state) => Err(other_version(version(&state))),
        Err(error) => Err(why_not(bytes, &error)),
    }
}

/// A later version may have changed everything else: its number comes first.
#[cold]
fn why_not(bytes: &[u8], error: &serde_json::Error) -> String {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    match serde_json::from_slice::<Version>(bytes) {
        Ok(Version { version }) if version != STATE_VERSION => other_version(version),
        _ => format!(": {error}"),
    }
}

fn other_version(version: u32) -> String {
    format!(" has version {version}, this program knows {STATE_VERSION}")
}

/// The OCI state as hooks read it on their standard input (runtime.md, "State").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HookState<'a> {
    oci_version: &'a str,
    id: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    bundle: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

/// Who a hook is told about.
pub(crate) struct HookSubject<'a> {
    pub oci_version: &'a str,
    pub id: &'a str,
    pub bundle: &'a str,
    pub annotations: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a Plan> for HookSubject<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self {
            oci_version: &plan.oci_version,
            id: &plan.id,
            bundle: &plan.bundle,
            annotations: &plan.annotations,
        }
    }
}

impl<'a> From<&'a State> for HookSubject<'a> {
    fn from(state: &'a State) -> Self {
        Self {
            oci_version: &state.oci_version,
            id: &state.id,
            bundle: &state.bundle,
            annotations: &state.annotations,
        }
    }
}

impl HookSubject<'_> {
    /// What a hook reads.
    pub(crate) fn json(&self, status: &str, pid: Option<i32>) -> Vec<u8> {
        let state = HookState {
            oci_version: self.oci_version,
            id: self.id,
            status,
            pid,
            bundle: self.bundle,
            annotations: self.annotations,
        };
        // Strings, a number and a map of strings: there is nothing that could fail.
        serde_json::to_vec(&state).unwrap_or_default()
    }
}
