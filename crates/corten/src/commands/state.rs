//! `corten state`

use super::existing;
use crate::cli::Global;
use crate::report::{self, CommandError};

/// Prints the state of a container. Standard error stays empty: engines decode
/// both streams as one.
#[inline(never)]
pub fn state(global: &Global, id: &str) -> Result<(), CommandError> {
    let state = libcontainer::state(&existing(global, id)?, id)?;
    // Indented by two, no newline at the end: byte for byte what tools compare.
    report::print(&report::pretty_json(&state))
}
