//! `corten create`

use super::prepare::{Until, prepare};
use crate::cli::{Create, Global};
use crate::report::CommandError;

/// Creates a container that waits for `start`.
pub fn create(global: &Global, args: Create) -> Result<(), CommandError> {
    let prepared = prepare(global, args.container, Until::Created)?;
    Ok(libcontainer::create(
        &prepared.store,
        &prepared.plan,
        &prepared.options,
    )?)
}
