//! A budget for what the hot commands may cost: system calls and page faults. Both
//! are counts, the same on a busy machine as on an idle one, unlike any time. Who
//! exceeds one either takes the cost out again or raises the number here and says why.

mod counts;
mod timeline;

fn main() -> std::process::ExitCode {
    runtime_tests::main(env!("CARGO_BIN_EXE_probe"))
}
