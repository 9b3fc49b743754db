//! `corten create`

use std::mem::ManuallyDrop;

use super::prepare::{Until, prepare};
use crate::cli::{Create, Global};
use crate::report::CommandError;

/// Creates a container that waits for `start`.
#[inline(never)]
pub fn create(global: &Global, args: Create) -> Result<(), CommandError> {
    // Never taken apart: the process ends, and its memory with it.
    let prepared = ManuallyDrop::new(prepare(global, args.container, Until::Created)?);
    Ok(libcontainer::create(
        &prepared.store,
        &prepared.plan,
        &prepared.options,
    )?)
}
