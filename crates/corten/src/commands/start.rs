//! `corten start`

use super::existing;
use crate::cli::Global;
use crate::report::CommandError;
use crate::seam;

/// Starts the program of a created container.
pub fn start(global: &Global, id: &str) -> Result<(), CommandError> {
    Ok(seam::start(&existing(global, id)?, id)?)
}
