//! Conformance to the runtime spec, by its chapters. `RUNTIME=/usr/sbin/runc
//! cargo test -p runtime-tests --test conformance` tests another runtime.

mod process;

fn main() -> std::process::ExitCode {
    runtime_tests::main(env!("CARGO_BIN_EXE_probe"), &[process::TESTS])
}
