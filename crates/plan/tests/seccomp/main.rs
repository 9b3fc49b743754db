//! Seccomp: the compiler against libseccomp, by running both filters.
//!
//! The oracle is the library every other runtime uses. What is meant to differ,
//! and is left out of the comparisons, call by call:
//!
//! 1. Calls newer than all that the profile mentions get `ENOSYS` from us.
//! 2. Calls the oracle's tables (Linux 6.6) do not have.
//! 3. Profiles with a rule the oracle refuses: it does so for some that contradict
//!    an earlier one, and runtimes built on it do not start. We decide.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod differential;
mod docker;
mod interpreter;
mod machines;
mod meaning;
mod oracle;
mod problems;
mod random;
