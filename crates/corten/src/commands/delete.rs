//! `corten delete`

use super::{check_id, root};
use crate::cli::{Delete, Global};
use crate::report::CommandError;
use libcontainer::{Error, Store};

/// Deletes a container. With `--force` one that does not exist is no error: an
/// engine cleans up like that after a failed `create`.
pub fn delete(global: &Global, args: &Delete) -> Result<(), CommandError> {
    check_id(&args.id)?;
    match Store::open(&root(global)?)? {
        Some(store) => {
            // The container is gone; a poststop hook that failed is only worth a warning.
            if let Some(problem) = libcontainer::delete(&store, &args.id, args.force)? {
                tracing::warn!("{problem}");
            }
            Ok(())
        }
        None if args.force => Ok(()),
        None => Err(Error::NotFound(args.id.clone()).into()),
    }
}
