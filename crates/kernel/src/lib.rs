//! Every system call corten makes, safely. This crate knows nothing of OCI;
//! it is the only one that may say `unsafe`, and every use says why it is sound.
//!
//! Descriptors are close-on-exec from birth. The text of an error is built
//! only when a call failed.

pub mod beneath;
pub mod copy_tree;
pub mod error;
pub mod fs;
pub mod mount;
pub mod procfs;
mod root_change;

pub use error::{Errno, Error, Result};
