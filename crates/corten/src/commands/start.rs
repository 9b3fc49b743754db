//! `corten start`

use super::existing;
use crate::cli::Global;
use crate::report::CommandError;

/// Starts the program of a created container.
pub fn start(global: &Global, id: &str) -> Result<(), CommandError> {
    Ok(libcontainer::start(&existing(global, id)?, id)?)
}
