//! `corten run`

use std::mem::ManuallyDrop;

use super::prepare::{Until, prepare};
use crate::cli::{Global, Run};
use crate::report::CommandError;
use libcontainer::{ExitCode, RunOptions};

/// Creates and starts a container; in the foreground the exit status is that of
/// its program, or 128 + the signal that ended it.
#[inline(never)]
pub fn run(global: &Global, args: Run) -> Result<ExitCode, CommandError> {
    let until = if args.detach {
        Until::Started
    } else {
        Until::Ended
    };
    let how = RunOptions {
        detach: args.detach,
        keep: args.keep,
        no_subreaper: args.no_subreaper,
    };
    // Never taken apart: the process ends, and its memory with it.
    let prepared = ManuallyDrop::new(prepare(global, args.container, until)?);
    let code = libcontainer::run(&prepared.store, &prepared.plan, &prepared.options, how)?;
    // exit(2) passes on eight bits; 128 + 64 is the largest there can be.
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}
