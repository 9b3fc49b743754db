//! Every system call corten makes, safely. This crate knows nothing of OCI;
//! it is the only one that may say `unsafe`, and every use says why it is sound.
//!
//! Descriptors are close-on-exec from birth. The text of an error is built
//! only when a call failed.

pub mod error;

pub use error::{Errno, Error, Result};
