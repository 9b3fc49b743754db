//! `corten start`

use super::existing;
use super::prepare::notify_socket;
use crate::cli::Global;
use crate::report::CommandError;

/// Starts the program of a created container.
#[inline(never)]
pub fn start(global: &Global, id: &str) -> Result<(), CommandError> {
    let manager = notify_socket();
    Ok(libcontainer::start(
        &existing(global, id)?,
        id,
        manager.as_deref(),
    )?)
}
