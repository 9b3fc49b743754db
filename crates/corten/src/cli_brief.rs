//! The command line of engines, read by hand: the few commands that they call by the
//! thousand, with the options that they give.
//!
//! Defining the options of one command for clap and dropping the definitions again is
//! more than half of the instructions and page faults of a `state`. What this understands
//! means the same to [`Cli`] (the tests compare the two); whatever it does not is
//! [`Cli`]'s to read, or to refuse.

use std::ffi::OsString;

use clap::Parser as _;
use lexopt::{Arg, Parser};

use super::{
    Cli, Command, Container, Create, Delete, Exec, Global, Kill, List, ListFormat, LogFormat, Run,
    Start, State,
};

/// Reads a command line.
///
/// # Errors
/// Those of [`Cli`], help and version among them.
pub fn read(words: &[OsString]) -> Result<Cli, clap::Error> {
    match briefly(words) {
        Some(cli) => Ok(cli),
        None => Cli::try_parse_from(words),
    }
}

fn briefly(words: &[OsString]) -> Option<Cli> {
    // What it ends is different for a list that takes all words.
    if words.iter().any(|word| word == "--") {
        return None;
    }
    let mut parser = Parser::from_args(words.iter().skip(1));
    let mut global = Global::default();
    let command = loop {
        match next(&mut parser)?? {
            Word::Plain(command) => break command,
            Word::Option(name) => match name.as_str() {
                "root" | "r" => global.root = Some(value(&mut parser)?),
                "log" | "l" => global.log = Some(value(&mut parser)?),
                "log-format" => global.log_format = Some(log_format(&value(&mut parser)?)?),
                "debug" => global.debug = true,
                "systemd-cgroup" | "s" => global.systemd_cgroup = true,
                _ => return None,
            },
        }
    };
    let command = match command.as_str() {
        "create" => create(&mut parser)?,
        "start" => Command::Start(Start {
            id: only(&mut parser)?,
        }),
        "run" => run(&mut parser)?,
        "state" => Command::State(State {
            id: only(&mut parser)?,
        }),
        "kill" => kill(&mut parser)?,
        "delete" => delete(&mut parser)?,
        "list" => list(&mut parser)?,
        "exec" => exec(&mut parser)?,
        _ => return None,
    };
    Some(Cli { global, command })
}

/// A word that is no option's value.
enum Word {
    /// Long or short, without its dashes.
    Option(String),
    Plain(String),
}

/// The next word, or the end; `None` for what is not read here.
fn next(parser: &mut Parser) -> Option<Option<Word>> {
    Some(match parser.next().ok()? {
        None => None,
        Some(Arg::Long(name)) if name.len() > 1 => Some(Word::Option(name.to_owned())),
        // `--r` is not `-r`.
        Some(Arg::Long(_)) => return None,
        Some(Arg::Short(letter)) => Some(Word::Option(letter.to_string())),
        Some(Arg::Value(word)) => Some(Word::Plain(ordinary(word)?)),
    })
}

/// The value of the option that was read last.
fn value(parser: &mut Parser) -> Option<String> {
    ordinary(parser.value().ok()?)
}

/// Nothing that a dash or its emptiness could make something else of.
fn ordinary(word: OsString) -> Option<String> {
    let word = word.into_string().ok()?;
    (!word.is_empty() && !word.starts_with('-')).then_some(word)
}

fn log_format(word: &str) -> Option<LogFormat> {
    match word {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// Reads to the end: options are for `take`, which gives up with `None`.
fn rest(
    parser: &mut Parser,
    mut take: impl FnMut(&str, &mut Parser) -> Option<()>,
) -> Option<Vec<String>> {
    let mut plain = Vec::new();
    while let Some(word) = next(parser)? {
        match word {
            Word::Option(name) => take(&name, parser)?,
            Word::Plain(word) => plain.push(word),
        }
    }
    Some(plain)
}

fn one<const N: usize>(words: Vec<String>) -> Option<[String; N]> {
    words.try_into().ok()
}

/// The id, and nothing else.
fn only(parser: &mut Parser) -> Option<String> {
    let [id] = one(rest(parser, |_, _| None)?)?;
    Some(id)
}

fn create(parser: &mut Parser) -> Option<Command> {
    let mut container = Container::default();
    let words = rest(parser, |name, parser| made(&mut container, name, parser))?;
    [container.id] = one(words)?;
    Some(Command::Create(Create::of(container)))
}

fn run(parser: &mut Parser) -> Option<Command> {
    let mut container = Container::default();
    let (mut detach, mut keep, mut no_subreaper) = (false, false, false);
    let words = rest(parser, |name, parser| {
        match name {
            "detach" | "d" => detach = true,
            "keep" => keep = true,
            "no-subreaper" => no_subreaper = true,
            _ => made(&mut container, name, parser)?,
        }
        Some(())
    })?;
    [container.id] = one(words)?;
    Some(Command::Run(Run {
        container,
        detach,
        keep,
        no_subreaper,
    }))
}

/// An option that `create` and `run` have in common.
fn made(container: &mut Container, name: &str, parser: &mut Parser) -> Option<()> {
    match name {
        "bundle" | "b" => container.bundle = value(parser)?,
        "console-socket" | "c" => container.console_socket = Some(value(parser)?),
        "pid-file" | "p" => container.pid_file = Some(value(parser)?),
        "no-pivot" => container.no_pivot = true,
        "no-new-keyring" => container.no_new_keyring = true,
        _ => return None,
    }
    Some(())
}

fn kill(parser: &mut Parser) -> Option<Command> {
    let mut all = false;
    let words = rest(parser, |name, _| {
        matches!(name, "all" | "a").then(|| all = true)
    })?;
    let mut words = words.into_iter();
    let id = words.next()?;
    let signal = words.next().unwrap_or_else(|| Kill::SIGNAL.to_owned());
    words.next().is_none().then_some(Command::Kill(Kill {
        id,
        signal,
        all,
        regex: false,
    }))
}

fn delete(parser: &mut Parser) -> Option<Command> {
    let mut force = false;
    let words = rest(parser, |name, _| {
        matches!(name, "force" | "f").then(|| force = true)
    })?;
    let [id] = one(words)?;
    Some(Command::Delete(Delete {
        id,
        force,
        regex: false,
    }))
}

fn list(parser: &mut Parser) -> Option<Command> {
    let (mut format, mut quiet) = (ListFormat::Table, false);
    let words = rest(parser, |name, parser| {
        match name {
            "format" | "f" => {
                format = match value(parser)?.as_str() {
                    "table" => ListFormat::Table,
                    "json" => ListFormat::Json,
                    _ => return None,
                };
            }
            "quiet" | "q" => quiet = true,
            _ => return None,
        }
        Some(())
    })?;
    words
        .is_empty()
        .then_some(Command::List(List { format, quiet }))
}

fn exec(parser: &mut Parser) -> Option<Command> {
    let mut exec = Exec::default();
    let id = loop {
        let name = match next(parser)?? {
            Word::Plain(id) => break id,
            Word::Option(name) => name,
        };
        match name.as_str() {
            "process" | "p" => exec.process = Some(value(parser)?),
            "cwd" => exec.cwd = Some(value(parser)?),
            "env" | "e" => exec.env.push(value(parser)?),
            "user" | "u" => exec.user = Some(value(parser)?),
            "tty" | "t" => exec.tty = true,
            "detach" | "d" => exec.detach = true,
            "pid-file" => exec.pid_file = Some(value(parser)?),
            "console-socket" => exec.console_socket = Some(value(parser)?),
            _ => return None,
        }
    };
    exec.words.push(id);
    // Whatever follows the id belongs to the program.
    for word in parser.raw_args().ok()? {
        exec.words.push(word.into_string().ok()?);
    }
    Some(Command::Exec(exec))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser as _;
    use proptest::prelude::*;

    use super::{Cli, briefly, read};

    fn words(line: &str) -> Vec<OsString> {
        let words = std::iter::once("corten").chain(line.split(' '));
        words.map(OsString::from).collect()
    }

    #[test]
    fn engines_need_no_more() {
        for line in [
            "--root /r --log /l --log-format json create --bundle /b --pid-file /p c1",
            "--root=/r --systemd-cgroup create -b /b --console-socket /c c1",
            "--root /r --log /l --log-format json start c1",
            "run --detach --bundle /b --pid-file /p c1",
            "--root /r state c1",
            "kill c1",
            "kill --all c1 9",
            "delete --force c1",
            "list --format json",
            "list -q",
            "exec --process /p --detach --pid-file /f c1",
            "exec -t -e A=1 --user 0:0 c1 sh -c --help",
        ] {
            assert!(briefly(&words(line)).is_some(), "{line:?}");
        }
    }

    /// Words of command lines, good and bad ones.
    const WORDS: &[&str] = &[
        "--root",
        "/r",
        "-r",
        "--root=/r",
        "-r=/r",
        "-r/r",
        "--log",
        "--log=",
        "--log-format",
        "json",
        "text",
        "yaml",
        "--debug",
        "--debug=1",
        "-s",
        "-sv",
        "--systemd-cgroup",
        "create",
        "start",
        "run",
        "state",
        "kill",
        "delete",
        "list",
        "exec",
        "ps",
        "help",
        "c1",
        "c2",
        "",
        "-",
        "--",
        "-b",
        "--bundle",
        "-p",
        "--pid-file",
        "-c",
        "--console-socket",
        "--no-pivot",
        "--no-new-keyring",
        "--preserve-fds",
        "3",
        "-d",
        "--detach",
        "-dk",
        "--keep",
        "--no-subreaper",
        "-a",
        "--all",
        "KILL",
        "9",
        "-9",
        "-f",
        "--force",
        "--regex",
        "-ff",
        "-q",
        "--quiet",
        "--format",
        "-fjson",
        "-qfjson",
        "table",
        "-t",
        "-dt",
        "--tty",
        "-e",
        "A=1",
        "--env=A=1",
        "-eA=1",
        "--cwd",
        "-u",
        "0:0",
        "--process",
        "--r",
        "--help",
        "-h",
        "-v",
        "--version",
        "-?",
        "--usage",
        "--timings",
        "--timings=/t",
        "--b",
        "--log-level",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn both_say_the_same(
            before in prop::collection::vec(prop::sample::select(WORDS), 0..3),
            command in prop::sample::select(&["create", "start", "run", "state", "kill", "delete", "list", "exec"][..]),
            after in prop::collection::vec(prop::sample::select(WORDS), 0..6),
        ) {
            let line = [&["corten"], &before[..], &[command], &after[..]].concat();
            let line: Vec<OsString> = line.into_iter().map(OsString::from).collect();
            let (brief, full) = (read(&line), Cli::try_parse_from(&line));
            prop_assert_eq!(format!("{brief:?}"), format!("{full:?}"));
        }
    }
}
