//! `corten kill`

use super::existing;
use crate::cli::{Global, Kill};
use crate::report::CommandError;
use crate::seam;

/// Sends a signal to a container.
pub fn kill(global: &Global, args: &Kill) -> Result<(), CommandError> {
    let number = seam::signal_number(&args.signal);
    let number = number.ok_or_else(|| CommandError::UnknownSignal(args.signal.clone()))?;
    let store = existing(global, &args.id)?;
    Ok(seam::kill(&store, &args.id, number, args.all)?)
}
