//! Files, paths in a root, mounts and procfs, against the running kernel.
//! Needs root: everything happens in mount namespaces and directories of the
//! tests' own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod beneath;
mod beneath_create;
mod copy_tree;
mod fs;
mod hostile_tree;
mod mount;
mod procfs;
mod root_change;
mod sandbox;
