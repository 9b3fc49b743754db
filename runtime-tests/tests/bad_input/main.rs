//! Broken input: one line that says what is wrong and where, and nothing left behind.

fn main() -> std::process::ExitCode {
    runtime_tests::main(env!("CARGO_BIN_EXE_probe"), &[])
}
