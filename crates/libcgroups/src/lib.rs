//! Carries out the cgroup part of a plan: v2, v1 and the hybrid of both.
//!
//! What is written, and in which order, was decided by `plan::cgroup`; this
//! crate makes the directories, writes the [`plan::cgroup::Setting`]s, and looks
//! after the processes inside: count, freeze, kill, remove.
//!
//! | file | what |
//! |---|---|
//! | `probe.rs` | how the host mounts its cgroups |
//! | `directory.rs` | [`Cgroup`]: the directories, opened beneath their mounts |
//! | `create.rs` | make them, enable controllers |
//! | `delegate.rs` | whose they are |
//! | `write.rs` | the one writer, the device program |
//! | `processes.rs` | joining, counting |
//! | `freeze.rs`, `kill.rs`, `remove.rs` | the end |
//! | `update.rs` | other values for a cgroup that is in use, or the old ones again |
//! | `systemd/` | scopes: asked for over D-Bus |
//! | `stats/` | what is used: one typed answer for both versions |
//! | `oom.rs` | OOM kills: how many, and being told of the next |
//! | `diagnose.rs` | after a failure: why |
//!
//! Two rules keep it fast. Nothing here moves a process into a v2 cgroup: who
//! is to be inside is born there ([`Cgroup::directory_for_clone`]), because a
//! move waits for an RCU grace period. And nothing is written that stands there
//! already, `cgroup.subtree_control` least of all: enabling walks every cgroup
//! of the host.

mod create;
mod delegate;
mod diagnose;
mod directory;
mod error;
mod freeze;
mod kill;
mod oom;
mod probe;
mod processes;
mod remove;
pub mod stats;
pub mod systemd;
mod update;
mod wait;
mod write;

pub use create::create;
pub use directory::Cgroup;
pub use error::CgroupError;
pub use freeze::is_frozen;
pub use oom::OomWatch;
pub use probe::probe;
pub use update::Change;

/// No file that is read here is longer, `cgroup.procs` of a large cgroup included.
const FILE_LIMIT: usize = 16 << 20;
