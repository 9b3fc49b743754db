//! `corten pause` and `corten resume`

use super::existing;
use crate::cli::Global;
use crate::report::CommandError;

/// Freezes a container.
#[inline(never)]
pub fn pause(global: &Global, id: &str) -> Result<(), CommandError> {
    Ok(libcontainer::pause(&existing(global, id)?, id)?)
}

/// Lets it go on.
#[inline(never)]
pub fn resume(global: &Global, id: &str) -> Result<(), CommandError> {
    Ok(libcontainer::resume(&existing(global, id)?, id)?)
}
