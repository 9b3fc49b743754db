//! `corten mounts`

use plan::MountsChange as Change;

use super::existing;
use crate::cli::{Global, MountsChange};
use crate::report::CommandError;

/// Adds mounts to a container, or takes some away.
#[inline(never)]
pub fn mounts(global: &Global, change: MountsChange) -> Result<(), CommandError> {
    let (change, args) = match change {
        MountsChange::Add(args) => (Change::Add, args),
        MountsChange::Remove(args) => (Change::Remove, args),
    };
    let store = existing(global, &args.id)?;
    let list = libcontainer::read_mounts(&args.file)?;
    Ok(libcontainer::change_mounts(&store, &args.id, change, list)?)
}
