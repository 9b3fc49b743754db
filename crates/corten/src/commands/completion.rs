//! `corten completion`

use clap::CommandFactory;

use crate::cli::{Cli, Shell};
use crate::report::{self, CommandError};

/// Prints the script that a shell reads.
#[inline(never)]
pub fn completion(shell: Shell) -> Result<(), CommandError> {
    report::print(&crate::completion::script(Cli::command(), shell))
}
