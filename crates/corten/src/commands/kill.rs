//! `corten kill`

use super::{existing, pattern, root};
use crate::cli::{Global, Kill};
use crate::report::CommandError;
use libcontainer::{Error, Store};

/// Sends a signal to a container, or with `--regex` to all that run of many.
#[inline(never)]
pub fn kill(global: &Global, args: &Kill) -> Result<(), CommandError> {
    let number = libcontainer::signal_number(&args.signal);
    let number = number.ok_or_else(|| CommandError::UnknownSignal(args.signal.clone()))?;
    if !args.regex {
        let store = existing(global, &args.id)?;
        return Ok(libcontainer::kill(&store, &args.id, number, args.all)?);
    }
    let Some(store) = Store::open(&root(global)?)? else {
        return Ok(());
    };
    pattern::for_each(&store, &args.id, |id| {
        match libcontainer::kill(&store, id, number, args.all) {
            Err(Error::NotRunning) => Ok(()),
            done => done,
        }
    })
}
