//! Long options with a single dash, `-no-subreaper` or `-format=json`: how programs
//! that were written for Go's flag package call a runtime, containerd among them.

use std::ffi::OsString;

use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;

/// Gives each long option its second dash. Only the exact name of an option is one:
/// everything else stays as it is, and so does what follows the id of `exec` and `ps`.
pub fn normalize(words: Vec<OsString>) -> Vec<OsString> {
    if words.iter().skip(1).any(|word| name_of(word).is_some()) {
        let mut program = Cli::command();
        // The options of the commands are defined late.
        program.build();
        return rewrite(&program, words);
    }
    words
}

/// `-name` and `-name=value` have a name of two letters at least.
fn name_of(word: &OsString) -> Option<&str> {
    let name = word.to_str()?.strip_prefix('-')?.split('=').next()?;
    (name.len() > 1 && !name.starts_with('-')).then_some(name)
}

fn rewrite(program: &Command, words: Vec<OsString>) -> Vec<OsString> {
    let mut command = program;
    let mut within = false;
    let mut words = words.into_iter();
    let mut normal: Vec<OsString> = words.next().into_iter().collect();
    while let Some(mut word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        if !text.starts_with('-') || text == "-" {
            if within && ends_at_first_word(command) {
                normal.push(word);
                break;
            }
            if !within && let Some(found) = program.find_subcommand(text) {
                (command, within) = (found, true);
            }
            normal.push(word);
            continue;
        }
        if text == "--" {
            normal.push(word);
            break;
        }
        if name_of(&word).is_some_and(|name| option(command, name).is_some()) {
            let mut longer = OsString::from("-");
            longer.push(&word);
            word = longer;
        }
        let value_follows = word.to_str().is_some_and(|text| wants_next(command, text));
        normal.push(word);
        if value_follows {
            normal.extend(words.next());
        }
    }
    normal.extend(words);
    normal
}

fn ends_at_first_word(command: &Command) -> bool {
    command.get_positionals().any(Arg::is_trailing_var_arg_set)
}

fn option<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(name))
}

/// Whether the next word is the value of this one: `--log FILE`, `-b DIR`.
fn wants_next(command: &Command, word: &str) -> bool {
    let takes_value = |arg: &Arg| arg.get_action().takes_values();
    if let Some(long) = word.strip_prefix("--") {
        return option(command, long).is_some_and(takes_value);
    }
    let mut letters = word.chars().skip(1);
    let (Some(short), None) = (letters.next(), letters.next()) else {
        return false;
    };
    command
        .get_arguments()
        .any(|arg| arg.get_short() == Some(short) && takes_value(arg))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::normalize;

    #[test]
    fn only_names_of_options_get_a_second_dash() {
        let table = [
            ("-root /r list -format=json", "--root /r list --format=json"),
            (
                "run -no-subreaper -bundle /b c1",
                "run --no-subreaper --bundle /b c1",
            ),
            ("run -d -b /b c1 -keep", "run -d -b /b c1 --keep"),
            // Values are values, whatever they look like.
            ("--log -debug list", "--log -debug list"),
            ("run -b -keep c1", "run -b -keep c1"),
            ("run --bundle=-keep c1", "run --bundle=-keep c1"),
            // -it is two short options or none; -e has its value attached.
            ("exec -dt c1 x", "exec -dt c1 x"),
            ("exec -eA=1 -tty c1 ls -tty", "exec -eA=1 --tty c1 ls -tty"),
            ("exec -process /p c1", "exec --process /p c1"),
            (
                "ps -format json c1 -format x",
                "ps --format json c1 -format x",
            ),
            ("ps -- c1 -format", "ps -- c1 -format"),
            // An option of another command is none here.
            ("start -force c1", "start -force c1"),
            ("delete -force c1", "delete --force c1"),
            ("kill c1 -all", "kill c1 --all"),
        ];
        for (line, wanted) in table {
            let words = |line: &str| -> Vec<OsString> {
                std::iter::once("corten")
                    .chain(line.split(' '))
                    .map(OsString::from)
                    .collect()
            };
            assert_eq!(normalize(words(line)), words(wanted), "{line}");
        }
    }
}
