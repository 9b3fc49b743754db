//! What must not break a container runtime: being killed at any instant, any system
//! call that fails, a full disk, damaged state, many commands at once, ten thousand
//! containers, and every attack that was published.
//!
//! Bounded, this is part of `make test`; `make abuse` sets `ABUSE=full`. Figures are
//! printed at the end.

mod attacks;
mod confined;
mod crowded;
mod failing;
mod killed;
mod state_files;
mod stricken;

fn main() -> std::process::ExitCode {
    runtime_tests::main(env!("CARGO_BIN_EXE_probe"))
}
