//! Writes the man pages and shell completions from the definition of the command
//! line: `cargo run -p corten --example assets -- DIRECTORY` (`make man`).

#![allow(dead_code, missing_docs, unused_imports)]

#[path = "../src/cli.rs"]
mod cli;
#[path = "../src/completion.rs"]
mod completion;

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::CommandFactory;

use cli::Shell;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args()
        .nth(1)
        .ok_or("the directory to write to is missing")?;
    let directory = Path::new(&directory);
    // The text of --version fills several lines; a man page has room for one.
    let program = cli::Cli::command().version(env!("CARGO_PKG_VERSION"));
    let man = directory.join("man");
    fs::create_dir_all(&man)?;
    clap_mangen::generate_to(program.disable_help_subcommand(true), &man)?;
    let completions = directory.join("completions");
    fs::create_dir_all(&completions)?;
    for (shell, name) in [
        (Shell::Bash, "corten.bash"),
        (Shell::Zsh, "_corten"),
        (Shell::Fish, "corten.fish"),
    ] {
        let script = completion::script(cli::Cli::command(), shell);
        fs::write(completions.join(name), script)?;
    }
    Ok(())
}
