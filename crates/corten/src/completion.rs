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
    /// What stands without an option, one word after the other.
    words: Vec<Value>,
    rest: Rest,
}

/// What follows the [`words`](Verb::words) of a command.
#[derive(Clone, Copy, PartialEq)]
enum Rest {
    Nothing,
    /// More like the last of them.
    Again,
    /// A command line of another program: its options are not ours.
    Foreign,
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
    OneOf(Vec<Word>),
    Anything,
    /// This word and all that follow: a command line of another program.
    Foreign,
}

/// A word that stands for itself.
#[derive(Clone, PartialEq)]
struct Word {
    name: String,
    help: String,
}

/// Commands whose ID is a new one.
const MAKERS: [&str; 3] = ["create", "run", "restore"];

/// Signals that a container is sent by hand.
const SIGNALS: [&str; 10] = [
    "TERM", "KILL", "HUP", "INT", "QUIT", "USR1", "USR2", "CONT", "STOP", "WINCH",
];

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
    let about = command.get_about().map(ToString::to_string);
    let mut verb = Verb {
        about: first_line(&about.unwrap_or_default()),
        choices: choices_of(command),
        words: Vec::new(),
        rest: Rest::Nothing,
        names,
    };
    for arg in command.get_positionals() {
        if arg.is_last_set() {
            continue;
        }
        verb.words.push(match value_of(arg) {
            // The name of a container that is not there yet.
            Value::Id if MAKERS.contains(&command.get_name()) => Value::Anything,
            value => value,
        });
        let many = arg
            .get_num_args()
            .is_some_and(|number| number.max_values() > 1);
        verb.rest = match (arg.is_trailing_var_arg_set(), many) {
            (true, _) => Rest::Foreign,
            (false, true) => Rest::Again,
            (false, false) => Rest::Nothing,
        };
    }
    if !verb.names.is_empty() {
        add_commands_below(&mut verb, command);
    }
    verb
}

fn choices_of(command: &Command) -> Vec<Choice> {
    let options = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let choices = options.filter_map(|arg| {
        Some(Choice {
            long: arg.get_long()?.to_owned(),
            short: arg.get_short(),
            help: first_line(&arg.get_help().map(ToString::to_string).unwrap_or_default()),
            value: arg.get_action().takes_values().then(|| value_of(arg)),
        })
    });
    choices.collect()
}

/// `mounts add ID`: the commands below one, and what is the same for all of them.
/// `help` has all commands below it, and takes one word.
fn add_commands_below(parent: &mut Verb, command: &Command) {
    let below: Vec<&Command> = command
        .get_subcommands()
        .filter(|below| below.get_name() != "help" && !below.is_hide_set())
        .collect();
    let Some(first) = below.first() else { return };
    let mut words: Vec<Word> = below.iter().map(|below| word(below)).collect();
    if command.get_name() == "help" {
        words.push(Word {
            name: "errors".to_owned(),
            help: "What the messages mean".to_owned(),
        });
        parent.words = vec![Value::OneOf(words)];
        return;
    }
    let first = verb(first, vec![first.get_name().to_owned()]);
    parent.words = vec![Value::OneOf(words)];
    parent.words.extend(first.words);
    parent.rest = first.rest;
    let new = first.choices.into_iter().filter(|choice| {
        let known = |known: &Choice| known.long == choice.long;
        !parent.choices.iter().any(known)
    });
    let new: Vec<Choice> = new.collect();
    parent.choices.extend(new);
}

fn word(command: &Command) -> Word {
    let about = command.get_about().map(ToString::to_string);
    Word {
        name: command.get_name().to_owned(),
        help: first_line(&about.unwrap_or_default()),
    }
}

fn value_of(arg: &Arg) -> Value {
    let words = arg.get_possible_values();
    if !words.is_empty() {
        let words = words.iter().map(|word| Word {
            name: word.get_name().to_owned(),
            help: word.get_help().map(ToString::to_string).unwrap_or_default(),
        });
        return Value::OneOf(words.collect());
    }
    let name = arg.get_value_names().and_then(|names| names.first());
    match name.map(|name| name.as_str()) {
        Some("ID") => Value::Id,
        Some("DIR") => Value::Directory,
        Some("FILE" | "PATH" | "OTHER") => Value::File,
        Some("SIGNAL") => Value::OneOf(SIGNALS.map(signal).to_vec()),
        _ if arg.is_allow_hyphen_values_set() && arg.get_long() == Some("args") => Value::Foreign,
        _ => Value::Anything,
    }
}

fn signal(name: &str) -> Word {
    Word {
        name: name.to_owned(),
        help: String::new(),
    }
}

/// The names alone, with blanks between.
fn names(words: &[Word]) -> String {
    let names: Vec<&str> = words.iter().map(|word| word.name.as_str()).collect();
    names.join(" ")
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
                "KILL",
            ] {
                assert!(script.contains(word), "{shell:?}: {word}");
            }
            assert!(!script.contains("criu"), "{shell:?}: a hidden option");
        }
    }
}
