//! Broken input: exit 1, one line that names the property, and nothing left behind.
//!
//! Only corten promises the wording; what another runtime does is recorded as
//! the reason of a skipped test.

mod command_line;
mod document;
mod frequent;
mod refused;
mod resources;
mod types;
mod update;
mod values;

fn main() -> std::process::ExitCode {
    runtime_tests::main(env!("CARGO_BIN_EXE_probe"))
}
