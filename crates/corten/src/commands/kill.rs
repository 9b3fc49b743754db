//! `corten kill`

use super::existing;
use crate::cli::{Global, Kill};
use crate::report::CommandError;

/// Sends a signal to a container.
pub fn kill(global: &Global, args: &Kill) -> Result<(), CommandError> {
    let number = libcontainer::signal_number(&args.signal);
    let number = number.ok_or_else(|| CommandError::UnknownSignal(args.signal.clone()))?;
    let store = existing(global, &args.id)?;
    Ok(libcontainer::kill(&store, &args.id, number, args.all)?)
}
