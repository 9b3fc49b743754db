//! Writes the man pages and shell completions from the definition of the command
//! line: `cargo run -p corten --example assets -- DIRECTORY DATE` (`make man`).

#![allow(dead_code, missing_docs, unused_imports)]

#[path = "../src/cli.rs"]
mod cli;
#[path = "../src/completion.rs"]
mod completion;
#[path = "assets/man.rs"]
mod man;

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::CommandFactory;

use cli::Shell;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments
        .next()
        .ok_or("the directory to write to is missing")?;
    let date = arguments.next().ok_or("the date of the pages is missing")?;
    let directory = Path::new(&directory);
    // Pages of commands that there were once must not be installed.
    fs::remove_dir_all(directory).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let pages = directory.join("man");
    fs::create_dir_all(&pages)?;
    man::write_pages(cli::Cli::command(), &date, &pages)?;
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
