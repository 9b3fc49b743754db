//! How a command ends: what it prints, and the one line when it fails.

use libcontainer::ExitCode;
use std::io::{self, Write};

use serde::Serialize;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The container, its configuration or the kernel.
    #[error(transparent)]
    Container(#[from] libcontainer::Error),
    /// A configuration that `explain` has already told everything about.
    ///
    /// Remedy: mend what is listed, all at once.
    #[error("{} (listed on standard output)", count(*.0, "problem"))]
    Problems(usize),
    /// A command-line argument that cannot be used.
    ///
    /// Remedy: `--help` of the command says what is wanted.
    #[error("{argument}: {problem}")]
    Argument {
        /// The option, `--console-socket`, or the name of the positional argument.
        argument: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// `--regex`: one of the containers, and why.
    ///
    /// Remedy: see the message behind the name; the other containers were seen to.
    #[error("{id}: {source}")]
    OneOfMany {
        /// Its name.
        id: String,
        /// What went wrong.
        source: libcontainer::Error,
    },
    /// `kill` with a word that names no signal.
    ///
    /// Remedy: a number or a name of signal(7), with or without SIG.
    #[error("unknown signal {0:?}")]
    UnknownSignal(String),
    /// A file of the caller's.
    ///
    /// Remedy: the reason is that of the system.
    #[error("{argument}: {doing} {path}: {}", reason(.source))]
    File {
        /// The option that named it.
        argument: &'static str,
        /// What was wanted, "open".
        doing: &'static str,
        /// Its path.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// The host's ps(1), which shows the processes of a container.
    ///
    /// Remedy: install procps, or give arguments that leave a column PID; `--format json`
    /// needs no ps.
    #[error("ps: {0}")]
    Ps(String),
    /// There is a configuration already.
    ///
    /// Remedy: remove it, or choose another `--file`.
    #[error("--bundle: File {0} exists. Remove it first")]
    ConfigExists(String),
    /// Standard output.
    ///
    /// Remedy: see where standard output leads.
    #[error("write to standard output: {}", reason(.0))]
    Output(io::Error),
}

/// The reason alone, as all our errors put it: "no such file or directory".
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// The system call that was refused, with its arguments: too much for an error
/// line, right for `--debug`.
pub fn call_of(error: &CommandError) -> Option<&str> {
    use libcontainer::Error;
    let call = match error {
        CommandError::Container(Error::Step(failure) | Error::Exec(failure)) => &failure.call,
        CommandError::Container(Error::System { source, .. }) => source.call(),
        _ => return None,
    };
    Some(call).filter(|call| !call.is_empty())
}

/// Exit status of a command that failed. That of `exec` is 255, as with other
/// runtimes: lower ones are those of the process.
pub fn failure_of(command: &str) -> ExitCode {
    match command {
        "exec" => ExitCode::from(255),
        _ => ExitCode::FAILURE,
    }
}

fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// `<command> <id>: <error>`. An id that can be none is left out: the error is
/// about it, and shows what of it can be shown.
pub fn describe(command: &str, id: Option<&str>, error: &CommandError) -> String {
    match id.filter(|id| plan::id::check(id).is_ok()) {
        Some(id) => format!("{command} {id}: {error}"),
        None => format!("{command}: {error}"),
    }
}

/// Writes the result of a command to standard output, in one go.
///
/// # Errors
/// Those of write(2). A reader that has gone away (`corten list | head -1`) has
/// what it wanted.
pub fn print(text: &str) -> Result<(), CommandError> {
    print_part(text).map(drop)
}

/// Whether somebody still reads what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// As far as we know.
    There,
    /// It has closed its end of the pipe.
    Gone,
}

/// [`print()`] for a command that goes on printing.
///
/// # Errors
/// As there.
pub fn print_part(text: &str) -> Result<Reader, CommandError> {
    let mut output = io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(CommandError::Output(error)),
    }
}

/// Indented by two blanks, without a newline at the end.
pub fn pretty_json(value: &impl Serialize) -> String {
    // Our own types and maps with text keys: there is nothing that could fail.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// One line.
pub fn line_of_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::{CommandError, describe};

    #[test]
    fn errors_are_one_line() {
        let missing = CommandError::File {
            argument: "--log",
            doing: "open",
            path: "/none/log".into(),
            source: std::io::Error::from_raw_os_error(2),
        };
        assert_eq!(
            describe("state", Some("c1"), &missing),
            "state c1: --log: open /none/log: no such file or directory"
        );
        for id in ["x".repeat(2000), "a\nb".to_owned()] {
            let line = describe("state", Some(&id), &missing);
            assert_eq!(
                line,
                "state: --log: open /none/log: no such file or directory"
            );
        }
        let problems = [1, 2].map(|n| describe("explain", None, &CommandError::Problems(n)));
        assert_eq!(
            problems[0],
            "explain: 1 problem (listed on standard output)"
        );
        assert_eq!(
            problems[1],
            "explain: 2 problems (listed on standard output)"
        );
    }
}
