//! `corten info`

use serde::Serialize;

use crate::report::{self, CommandError};

#[derive(Serialize)]
struct Info {
    version: &'static str,
    commit: &'static str,
    host: plan::HostFacts,
}

/// Prints what plans are made from beside a configuration: for bug reports.
#[inline(never)]
pub fn info() -> Result<(), CommandError> {
    let info = Info {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("CORTEN_COMMIT"),
        host: libcontainer::host::probe()?,
    };
    report::print(&(report::pretty_json(&info) + "\n"))
}
