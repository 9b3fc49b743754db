//! The shim that comes with the runtime, driven as containerd drives it: `start` and
//! `delete` as programs, everything else over ttrpc, with a listener for the events in
//! containerd's place. containerd's own clients ask for less than its protocol has.
//!
//! Every test tells one story twice, with this shim and with the shim of Go with another
//! runtime, and codes, answers and events must be the same ([`telling`]).
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `PEER` | the runtime to compare with | crun in the v1 view, else runc |
//! | `ABUSE` | `full`: 1,000 containers and 10,000 execs | 24 and 240 |

use runtime_tests::{Isolation, View};

mod checkpoints;
mod configured;
mod crashes;
mod criu;
mod crowds;
mod driver;
mod listener;
mod loggers;
mod refused;
mod resources;
mod service;
mod streams;
mod systemd;
mod telling;

fn main() -> std::process::ExitCode {
    runtime_tests::main_isolated(
        env!("CARGO_BIN_EXE_probe"),
        &[View::V1],
        Isolation {
            // The sockets of shims, and the states of their containers.
            empty_directories: &["/run"],
            // systemd makes scopes.
            kept_directories: &["/run/systemd", "/run/dbus"],
        },
    )
}
