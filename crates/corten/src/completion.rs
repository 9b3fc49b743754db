//! Completions of shells, made from the definition of the command line when they are
//! asked for: nothing can be out of step, and ids of containers complete, too.
//!
//! ```text
//! clap's definition ─► Verb, Choice (what there is) ─► bash.rs, zsh.rs, fish.rs (how a shell is told)
//! ```

#[path = "completion/bash.rs"]
mod bash;
#[path = "completion/fish.rs"]
mod fish;
#[path = "completion/zsh.rs"]
mod zsh;

use clap::{Arg, Command};

use crate::cli::Shell;

/// One command, or the program itself.
struct Verb {
    /// Its name and its other names; none for the program.
    names: Vec<String>,
    about: String,
    choices: Vec<Choice>,
    /// What stands without an option.
    words: Value,
}

/// One option.
struct Choice {
    long: String,
    short: Option<char>,
    help: String,
    /// `None` for a flag.
    value: Option<Value>,
}

/// What a value may be.
#[derive(Clone, PartialEq)]
enum Value {
    Id,
    Directory,
    File,
    OneOf(Vec<String>),
    Anything,
}

/// The script that a shell reads.
pub fn script(mut program: Command, shell: Shell) -> String {
    // The options of the commands are defined late.
    program.build();
    let top = verb(&program, Vec::new());
    let commands = program
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let verbs: Vec<Verb> = commands
        .map(|command| {
            let names = std::iter::once(command.get_name()).chain(command.get_visible_aliases());
            verb(command, names.map(str::to_owned).collect())
        })
        .collect();
    match shell {
        Shell::Bash => bash::script(&top, &verbs),
        Shell::Zsh => zsh::script(&top, &verbs),
        Shell::Fish => fish::script(&top, &verbs),
    }
}

fn verb(command: &Command, names: Vec<String>) -> Verb {
    let options = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let choices = options.filter_map(|arg| {
        Some(Choice {
            long: arg.get_long()?.to_owned(),
            short: arg.get_short(),
            help: first_line(&arg.get_help().map(ToString::to_string).unwrap_or_default()),
            value: arg.get_action().takes_values().then(|| value_of(arg)),
        })
    });
    let about = command.get_about().map(ToString::to_string);
    Verb {
        names,
        about: first_line(&about.unwrap_or_default()),
        choices: choices.collect(),
        words: words_of(command),
    }
}

/// What the words behind a command are: a command below it, or what is asked for first.
fn words_of(command: &Command) -> Value {
    let below = command.get_subcommands().map(Command::get_name);
    let below: Vec<String> = below
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    if !below.is_empty() {
        return Value::OneOf(below);
    }
    let first = command.get_positionals().next();
    first.map_or(Value::Anything, value_of)
}

fn value_of(arg: &Arg) -> Value {
    let words = arg.get_possible_values();
    if !words.is_empty() {
        return Value::OneOf(
            words
                .iter()
                .map(|word| word.get_name().to_owned())
                .collect(),
        );
    }
    match arg
        .get_value_names()
        .and_then(|names| names.first())
        .map(|name| name.as_str())
    {
        Some("ID") => Value::Id,
        Some("DIR") => Value::Directory,
        Some("FILE" | "PATH" | "OTHER") => Value::File,
        _ => Value::Anything,
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::script;
    use crate::cli::{Cli, Shell};

    #[test]
    fn every_command_is_in_every_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(Cli::command(), shell);
            for word in [
                "create",
                "doctor",
                "top",
                "cgroup-manager",
                "cgroupfs",
                "list -q",
            ] {
                assert!(script.contains(word), "{shell:?}: {word}");
            }
            assert!(!script.contains("criu"), "{shell:?}: a hidden option");
        }
    }
}
