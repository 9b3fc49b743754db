//! `corten features`

use crate::report::{self, CommandError};
use crate::seam;

/// Prints what is implemented. It depends on the program alone, not on the
/// machine (features.md of the runtime spec).
pub fn features() -> Result<(), CommandError> {
    report::print(&(report::pretty_json(&seam::features()) + "\n"))
}
