//! What must not break a container runtime: being killed at any instant, any system
//! call that fails, a full disk, damaged state, many commands at once, ten thousand
//! containers, and every attack that was published.
//!
//! Bounded, this is part of `make test`; `make abuse` sets `ABUSE=full`. `ABUSE_CYCLES`
//! and `ABUSE_CONTAINERS` set the size of a crowd. Figures are printed at the end; what
//! was left on the host failed its test.

mod attacks;
mod confined;
mod crowded;
mod failing;
mod killed;
mod refused;
mod state_files;
mod stricken;
mod updated;

fn main() -> std::process::ExitCode {
    runtime_tests::main(env!("CARGO_BIN_EXE_probe"))
}
