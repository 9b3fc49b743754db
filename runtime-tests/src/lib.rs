//! What the tests stand on: a private directory, bundle and state root for each
//! test, the cgroup view it runs in, a probe inside the container, and the proof
//! that the host is clean afterwards.
//!
//! The runtime under test is a black box: `RUNTIME=/usr/sbin/runc` tests another one.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `RUNTIME` | binary under test | this workspace's `corten` |
//! | `VIEW` | `host`, `v1`, `v2`, or several with commas | `host,v2` |
//! | `SLOWNESS` | limits of time are that many times longer | 1 |
//! | `REPORT_JSON`, `REPORT_JUNIT` | files for the report, as `--json`, `--junit` | none |

mod bench;
mod bundle;
mod case;
mod child;
mod command;
mod console;
mod containerd;
mod facts;
mod figures;
mod host;
mod mutate;
pub mod mutation;
mod pace;
mod report;
mod strike;
mod suite;
mod test;
mod undefended;
mod view;
mod wishes;

pub use bench::{Bench, Contents, compile};
pub use bundle::{Bundle, Config};
pub use case::{Case, skip};
pub use command::{Finished, Program, Running, wait_exit};
pub use console::{ConsoleSocket, Terminal};
pub use containerd::containerd_configuration;
pub use facts::{Facts, Mount};
pub use host::{
    cgroup_directories, descendants, mounts_below, process_is_alive, wait_for_no_descendants,
};
pub use strike::{Fault, Outcome, Strike, held};
pub use suite::{main, main_isolated, runtime_binary};
pub use test::{Level, Test};
pub use view::{Isolation, View};

pub use undefended::Fall;

pub use runtime_tests_macros::{convention, falls_without, may, must, should};

/// For the macros alone.
#[doc(hidden)]
pub use inventory;
