//! The command line of engines: the same definitions, but those of the few commands
//! that they call by the thousand.
//!
//! The names and help of all commands are a fifth of the memory that a `state` touches.
//! What this understands means the same to [`Cli`]; whatever it does not is [`Cli`]'s to
//! read, or to refuse.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use super::{Cli, Command, Create, Delete, Exec, Global, Kill, Run, Start, State};

#[derive(Debug, Parser)]
#[command(
    name = "corten",
    version = super::VERSION,
    disable_version_flag = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    args_override_self = true,
    subcommand_required = true
)]
struct Brief {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Engines,
}

#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Engines {
    Create(Create),
    Start(Start),
    Run(Run),
    State(State),
    Kill(Kill),
    Delete(Delete),
    Exec(Exec),
}

/// Reads a command line.
///
/// # Errors
/// Those of [`Cli`], help and version among them.
pub fn read(words: &[OsString]) -> Result<Cli, clap::Error> {
    let Ok(Brief { global, command }) = Brief::try_parse_from(words) else {
        return Cli::try_parse_from(words);
    };
    let command = match command {
        Engines::Create(args) => Command::Create(args),
        Engines::Start(args) => Command::Start(args),
        Engines::Run(args) => Command::Run(args),
        Engines::State(args) => Command::State(args),
        Engines::Kill(args) => Command::Kill(args),
        Engines::Delete(args) => Command::Delete(args),
        Engines::Exec(args) => Command::Exec(args),
    };
    Ok(Cli { global, command })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser;

    use super::{Brief, Cli, read};

    fn words(line: &str) -> Vec<OsString> {
        let words = std::iter::once("corten").chain(line.split(' '));
        words.map(OsString::from).collect()
    }

    #[test]
    fn both_say_the_same() {
        for line in [
            "--root /r --log=/l --log-format json --systemd-cgroup create -b /b --pid-file /p c1",
            "state c1",
            "kill --all c1 9",
            "delete -f c1",
            "exec --tty --env A=1 c1 sh -c --help",
            "run --help",
            "--help",
            "-v",
            "state",
            "stats --no-stream",
            "craete c1",
            "kill --nope c1",
            "help state",
        ] {
            let line = words(line);
            let (brief, full) = (read(&line), Cli::try_parse_from(&line));
            assert_eq!(format!("{brief:?}"), format!("{full:?}"), "{line:?}");
        }
        assert!(Brief::try_parse_from(words("state c1")).is_ok());
    }
}
