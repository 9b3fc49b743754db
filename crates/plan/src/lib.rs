//! `config.json` + [`Request`] + [`HostFacts`] -> a validated [`Plan`].
//!
//! ```text
//! config.json ──► spec::load ──┐
//! command line ──► Request ────┼──► build ──► Plan (data) ──► libcontainer executes it
//! kernel ──────► HostFacts ────┘     pure             └────► explain prints it
//! ```
//!
//! This crate makes no system call, reads no environment and no clock. It says
//! *what will be done*, as data; every step carries the [`ConfigPath`] of the
//! property it came from, so whoever carries it out can name the property that
//! the kernel refused.

mod build;
pub mod cgroup;
pub mod checkpoint;
pub mod doctor;
mod error;
mod exec;
pub mod explain;
mod features;
mod host;
pub mod id;
mod ops;
mod path;
mod request;
mod running_mounts;
pub mod seccomp;
pub mod spec;
mod template;
mod update;
mod validate;

pub use build::build;
pub use error::{Errors, PlanError, Problem, Warning};
pub use exec::{ExecPlan, ExecRequest, SubCgroup, exec};
pub use features::{
    Annotations, CgroupFeatures, Enabled, Features, IntelRdtFeatures, LinuxFeatures,
    MountExtensions, SeccompFeatures, features,
};
pub use host::{CgroupFacts, CgroupMode, HostFacts, Lsm, SystemdFacts};
pub use ops::*;
pub use path::ConfigPath;
pub use request::{LISTEN_PID, NOTIFY_DIRECTORY, Overlay, Request, TerminalHost};
pub use running_mounts::{MountsChange, MountsRequest, change_mounts};
pub use spec::Spec;
pub use template::{Wishes, compose, template};
pub use update::{UpdatePlan, UpdateRequest, update};
