//! A command line that cannot be understood: one line, like every other error.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, CommandFactory};

use crate::cli::Cli;

/// `create: unknown option '--bundel' (did you mean '--bundle'?)`, without the
/// program's name. `command` is the one whose options were being read.
pub fn explain(error: &clap::Error, command: Option<&str>) -> String {
    let of = |kind| error.get(kind).map(text).unwrap_or_default();
    let arg = of(ContextKind::InvalidArg);
    let problem = match error.kind() {
        ErrorKind::UnknownArgument => {
            let what = if arg.starts_with('-') {
                "option"
            } else {
                "argument"
            };
            format!(
                "unknown {what} '{arg}'{}",
                suggestion(error, ContextKind::SuggestedArg)
            )
        }
        ErrorKind::InvalidSubcommand => format!(
            "unknown command '{}'{}",
            of(ContextKind::InvalidSubcommand),
            suggestion(error, ContextKind::SuggestedSubcommand)
        ),
        ErrorKind::MissingRequiredArgument => format!("missing: {arg}"),
        ErrorKind::InvalidValue if of(ContextKind::InvalidValue).is_empty() => {
            // podman looks for these words to learn what an option is.
            format!("option '{}' requires an argument", option_name(&arg))
        }
        ErrorKind::InvalidValue => format!(
            "invalid {}: '{}' (one of: {})",
            option_name(&arg),
            of(ContextKind::InvalidValue),
            of(ContextKind::ValidValue)
        ),
        ErrorKind::ValueValidation => format!(
            "invalid {}: '{}'{}",
            option_name(&arg),
            of(ContextKind::InvalidValue),
            source(error)
        ),
        ErrorKind::ArgumentConflict => format!(
            "{arg} cannot be used together with {}",
            of(ContextKind::PriorArg)
        ),
        ErrorKind::TooManyValues => format!("unexpected '{}'", of(ContextKind::InvalidValue)),
        _ => first_line(error),
    };
    let program = Cli::command();
    let mut globals = program.get_arguments().filter_map(Arg::get_long);
    let is_global = globals.any(|long| option_name(&arg).strip_prefix("--") == Some(long));
    match command.filter(|_| !is_global) {
        Some(command) => format!("{command}: {problem} (see `corten {command} --help`)"),
        None => format!("{problem} (see `corten --help`)"),
    }
}

/// No command where there must be one; `command` is the one that has others below it.
pub fn missing_command(command: Option<&str>) -> String {
    let program = Cli::command();
    let Some(found) = command.and_then(|name| program.find_subcommand(name)) else {
        return "a command is missing (see `corten --help`)".to_owned();
    };
    let name = found.get_name();
    format!("{name}: a command is missing (see `corten {name} --help`)")
}

fn text(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(list) => list.join(", "),
        other => other.to_string(),
    }
}

/// `--root <DIR>` -> `--root`
fn option_name(arg: &str) -> &str {
    arg.split(' ').next().unwrap_or(arg)
}

fn suggestion(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(one)) => format!(", did you mean '{one}'?"),
        // The most like it stands last.
        Some(ContextValue::Strings(list)) => match list.last() {
            Some(one) => format!(", did you mean '{one}'?"),
            None => String::new(),
        },
        _ => String::new(),
    }
}

fn source(error: &clap::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!(": {source}"),
        None => String::new(),
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// What can be understood of a command line that is wrong somewhere.
pub fn parse_leniently(words: &[OsString]) -> Option<ArgMatches> {
    let program = Cli::command().ignore_errors(true);
    program.try_get_matches_from(words).ok()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser;

    use super::{explain, parse_leniently};
    use crate::cli::Cli;

    fn refused(line: &str) -> String {
        let words = std::iter::once("corten").chain(line.split(' '));
        let words: Vec<OsString> = words.map(OsString::from).collect();
        let matches = parse_leniently(&words);
        let command = matches
            .as_ref()
            .and_then(|matches| matches.subcommand_name());
        explain(&Cli::try_parse_from(&words).unwrap_err(), command)
    }

    #[test]
    fn a_command_is_missing_where_it_is_looked_for() {
        assert_eq!(
            super::missing_command(None),
            "a command is missing (see `corten --help`)"
        );
        assert_eq!(
            super::missing_command(Some("mounts")),
            "mounts: a command is missing (see `corten mounts --help`)"
        );
    }

    #[test]
    fn each_mistake_is_one_line_with_a_way_out() {
        let table = [
            (
                "craete c1",
                "unknown command 'craete', did you mean 'create'? (see `corten --help`)",
            ),
            (
                "frobnicate",
                "unknown command 'frobnicate' (see `corten --help`)",
            ),
            (
                "create --bundel /b c1",
                "create: unknown option '--bundel', did you mean '--bundle'? (see `corten create --help`)",
            ),
            ("state", "state: missing: <ID> (see `corten state --help`)"),
            (
                "state a b",
                "state: unknown argument 'b' (see `corten state --help`)",
            ),
            (
                "--root",
                "option '--root' requires an argument (see `corten --help`)",
            ),
            (
                "--log-format xml list",
                "invalid --log-format: 'xml' (one of: text, json) (see `corten --help`)",
            ),
            (
                "run --preserve-fds many c1",
                "run: invalid --preserve-fds: 'many': invalid digit found in string (see `corten run --help`)",
            ),
        ];
        for (line, wanted) in table {
            assert_eq!(refused(line), wanted, "{line}");
        }
    }
}
