//! `corten features`

use crate::report::{self, CommandError};

/// Prints what is implemented. It depends on the program alone, not on the
/// machine (features.md of the runtime spec).
#[inline(never)]
pub fn features() -> Result<(), CommandError> {
    report::print(&(report::pretty_json(&plan::features()) + "\n"))
}
