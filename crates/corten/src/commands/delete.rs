//! `corten delete`

use super::{check_id, pattern, root};
use crate::cli::{Delete, Global};
use crate::report::CommandError;
use libcontainer::{Error, Store};

/// Deletes a container, or with `--regex` many. With `--force` one that does not exist
/// is no error: an engine cleans up like that after a failed `create`.
#[inline(never)]
pub fn delete(global: &Global, args: &Delete) -> Result<(), CommandError> {
    if !args.regex {
        check_id(&args.id)?;
    }
    match Store::open(&root(global)?)? {
        Some(store) if args.regex => {
            pattern::for_each(&store, &args.id, |id| delete_one(&store, id, args.force))
        }
        Some(store) => Ok(delete_one(&store, &args.id, args.force)?),
        None if args.force || args.regex => Ok(()),
        None => Err(Error::NotFound(args.id.clone()).into()),
    }
}

fn delete_one(store: &Store, id: &str, force: bool) -> Result<(), Error> {
    // The container is gone; a poststop hook that failed is only worth a warning.
    if let Some(problem) = libcontainer::delete(store, id, force)? {
        tracing::warn!("{problem}");
    }
    Ok(())
}
