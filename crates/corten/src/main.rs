//! corten, the command line: options in, one line out when something fails.
//!
//! ```text
//! main ─► cli (what was asked) ─► commands/<verb>.rs ─► libcontainer ─► report / log (how it ended)
//! ```

#![cfg_attr(not(test), no_main)]

mod amount;
mod cli;
mod commands;
mod completion;
mod log;
mod paint;
mod report;
mod single_dash;
mod sink;
mod table;
mod timings;
mod usage;

use std::ffi::OsString;

use clap::ArgMatches;
use clap::error::ErrorKind;
use libcontainer::{ExitCode, Heap, timeline::Recorder};

use crate::cli::{Cli, Global, LogFormat};
use crate::log::Log;
use crate::report::CommandError;

/// `exec` lends it to the process that joins.
#[global_allocator]
static HEAP: Heap = Heap;

/// `corten help errors`
const ERRORS: &str = include_str!("../../../docs/errors.md");

#[cfg(not(test))]
libcontainer::entry!(begin);
// The test harness has a `main` of its own.
#[cfg(test)]
const _: fn() -> ExitCode = begin;

fn begin() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let [_, help, errors] = words.as_slice()
        && help == "help"
        && errors == "errors"
    {
        return answer(ERRORS);
    }
    let words = single_dash::normalize(words);
    match cli::read(&words) {
        Ok(cli) => carry_out(cli),
        Err(error) => answer_usage(&error, &words),
    }
}

/// Runs the command; what it returns is the exit status.
fn carry_out(cli: Cli) -> ExitCode {
    let Cli { global, command } = cli;
    let (name, id) = command.subject();
    let id = id.map(str::to_owned);
    let timings = command.timings().map(str::to_owned);
    let log = match open_log(&global, timings.is_some()) {
        Ok(log) => log,
        Err(error) => {
            Log::standard().fail(&report::describe(name, id.as_deref(), &error));
            return report::failure_of(name);
        }
    };
    let done = commands::carry_out(&global, command).and_then(|code| {
        tell_timings(&log, timings.as_deref())?;
        Ok(code)
    });
    match done {
        Ok(code) => {
            log.release();
            code
        }
        Err(error) => {
            if let Some(call) = report::call_of(&error) {
                tracing::debug!("refused: {call}");
            }
            log.fail(&report::describe(name, id.as_deref(), &error));
            report::failure_of(name)
        }
    }
}

fn open_log(global: &Global, with_timeline: bool) -> Result<Log, CommandError> {
    let timeline = with_timeline.then(Recorder::new).transpose()?;
    Log::open(global, timeline)
}

fn tell_timings(log: &Log, destination: Option<&str>) -> Result<(), CommandError> {
    match (log.timeline(), destination) {
        (Some(timeline), Some(destination)) => timings::tell(timeline, destination),
        _ => Ok(()),
    }
}

fn answer(text: &str) -> ExitCode {
    match report::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Help and version were asked for; anything else is an error of one line, exit
/// status 1, like every other.
fn answer_usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => answer(&error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let matches = usage::parse_leniently(words);
            let command = matches.as_ref().and_then(ArgMatches::subcommand_name);
            Log::standard().fail(&usage::missing_command(command));
            ExitCode::FAILURE
        }
        _ => {
            let matches = usage::parse_leniently(words);
            let command = matches.as_ref().and_then(ArgMatches::subcommand_name);
            let message = usage::explain(error, command);
            matches
                .as_ref()
                .map_or_else(Log::standard, log_of)
                .fail(&message);
            ExitCode::FAILURE
        }
    }
}

/// The log that was asked for by a command line that is wrong further on: engines
/// look there, too, for why a command failed.
fn log_of(matches: &ArgMatches) -> Log {
    let file = matches.try_get_one::<String>("log").ok().flatten();
    let format = matches
        .try_get_one::<LogFormat>("log_format")
        .ok()
        .flatten();
    file.and_then(|file| Log::append_to(file, format.copied()).ok())
        .unwrap_or_else(Log::standard)
}
