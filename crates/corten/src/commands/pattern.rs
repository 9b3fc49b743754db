//! `--regex`: one command for many containers.

use regex_lite::Regex;

use crate::report::CommandError;
use libcontainer::{Error, Store};

/// Does `act` to every container whose name matches. One that fails does not keep the
/// others from it; the first failure is told.
///
/// # Errors
/// A pattern that is none; that of `act`.
pub fn for_each(
    store: &Store,
    pattern: &str,
    act: impl Fn(&str) -> Result<(), Error>,
) -> Result<(), CommandError> {
    let pattern = Regex::new(pattern).map_err(|error| CommandError::Argument {
        argument: "--regex",
        problem: error.to_string(),
    })?;
    let mut first = Ok(());
    for id in store.ids()?.iter().filter(|id| pattern.is_match(id)) {
        let done = match act(id) {
            // Somebody else was faster.
            Err(Error::NotFound(_)) => Ok(()),
            done => done,
        };
        if let (Ok(()), Err(source)) = (&first, done) {
            first = Err(CommandError::OneOfMany {
                id: id.clone(),
                source,
            });
        }
    }
    first
}
