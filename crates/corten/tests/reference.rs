//! docs/commands.md is what the program says of itself. `UPDATE=1 cargo test -p corten
//! --test reference` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test panics to say what failed")]

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

fn help(words: &[&str]) -> String {
    let program = Command::new(env!("CARGO_BIN_EXE_corten"))
        .args(words)
        .arg("--help")
        .output()
        .unwrap();
    assert!(program.status.success(), "{words:?}");
    let text = String::from_utf8(program.stdout).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

/// Names of the commands, as the help of the program lists them.
fn commands(help: &str) -> Vec<&str> {
    let (_, list) = help.split_once("Commands:\n").unwrap();
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

#[test]
fn the_reference_is_what_the_program_says() {
    let top = help(&[]);
    let mut page = String::from(
        "# Commands\n\nWhat `corten --help` and `corten COMMAND --help` print, generated from the program\n\
         (`UPDATE=1 cargo test -p corten --test reference`). The same is in the man pages.\n",
    );
    write!(page, "\n## corten\n\n```text\n{top}\n```\n").unwrap();
    for name in commands(&top) {
        write!(
            page,
            "\n## corten {name}\n\n```text\n{}\n```\n",
            help(&[name])
        )
        .unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, &page).unwrap();
    }
    let there = fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == page,
        "docs/commands.md is out of step: UPDATE=1 cargo test -p corten --test reference"
    );
}
