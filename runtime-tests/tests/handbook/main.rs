//! What a new user meets first: the package, and the documentation, every command of
//! which is run as it is written.

mod book;
mod packaging;
mod session;
mod shells;

use std::path::PathBuf;

fn main() -> std::process::ExitCode {
    runtime_tests::main(env!("CARGO_BIN_EXE_probe"))
}

/// The top of the sources.
fn repository() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the workspace").to_owned()
}
