//! Carries out container plans: namespaces, rootfs, process, hooks, lifecycle, state.
//!
//! ```text
//! Plan ──► create.rs ──► parent/ (outside)  ⇄ sync.rs ⇄  init/ (inside) ──► script.rs (the sealed stub)
//!             │
//!             └──► store.rs: state.json ──► status.rs, start.rs, kill.rs, delete.rs, report.rs
//! ```
//!
//! One verb of the lifecycle, one file. Nothing here prints, exits, parses options
//! or starts a thread.

mod bundle;
mod caller;
mod checkpoint;
mod create;
mod delete;
mod describe;
mod diagnose;
mod error;
mod events;
mod exec;
mod foreground;
mod freeze;
#[cfg(feature = "fuzzed")]
pub mod fuzzed;
pub mod host;
#[cfg(test)]
mod hostile_tests;
mod init;
mod kill;
mod lock;
mod mounts;
mod notify;
mod parent;
mod processes;
mod report;
mod resctrl;
mod run;
mod script;
mod start;
mod state;
mod status;
mod store;
mod survey;
mod sync;
mod terminal;
pub mod timeline;
mod update;
mod usage;

pub use bundle::{
    make_overlay_directory, read_config, read_mounts, read_process, read_resources, resolve_bundle,
};
pub use caller::default_root;
pub use checkpoint::{RestoreOptions, checkpoint, restore};
pub use create::{CreateOptions, create, seal_descriptors};
pub use delete::delete;
pub use error::{Error, Failure, Result};
pub use events::{Event, EventStream, usage, watch_oom};
pub use exec::{ExecOptions, ExecTarget, exec};
pub use freeze::{pause, resume};
pub use kernel::entry;
pub use kernel::entry::ExitCode;
pub use kernel::heap::Heap;
pub use kill::kill;
pub use mounts::change_mounts;
pub use processes::processes;
pub use report::{Entry, StateReport, entries, saved, state};
pub use run::{RunOptions, run};
pub use start::start;
pub use state::State;
pub use status::Status;
pub use store::{ContainerDirectory, Store};
pub use survey::survey;
pub use update::update;
pub use usage::{Interface, Usage};

/// Number of a signal by any of its names; see signal(7). `None` is unknown.
pub fn signal_number(name: &str) -> Option<i32> {
    kernel::signal::number_of(name)
}
