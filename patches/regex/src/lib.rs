//! `regex` for crates that corten depends on: the same syntax, run by [`regex_lite`].
//!
//! `oci-spec` asks one question of it (is `execCPUAffinity` a list of CPUs?), and
//! nobody can ask `regex` for less than all its engines and the tables of Unicode:
//! 0.7 MB, an eighth of the program, which every container start on a new kernel maps
//! (docs/performance.md). `\d` and `\w` mean ASCII here, as they do in Go, whose
//! runtimes read the same files.

pub use regex_lite::*;
