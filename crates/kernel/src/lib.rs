//! Every system call corten makes, safely. This crate knows nothing of OCI;
//! it is the only one that may say `unsafe`, and every use says why it is sound.
//!
//! Descriptors are close-on-exec from birth. The text of an error is built
//! only when a call failed.

pub mod affinity;
mod answer;
pub mod beneath;
pub mod bpf;
pub mod caps;
pub mod copy_tree;
pub mod entry;
pub mod error;
pub mod fs;
pub mod heap;
pub mod identity;
pub mod keyring;
pub mod link;
pub mod memfd;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod pidfd;
pub mod prctl;
pub mod process;
pub mod procfs;
pub mod readiness;
pub mod rlimit;
mod root_change;
pub mod scheduling;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod spawn;
pub mod stub;
pub mod system;
pub mod time;
pub mod tty;
mod vfork;

pub use error::{Errno, Error, Result};
