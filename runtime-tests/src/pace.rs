//! How much slower than an ordinary machine this one is.

use std::time::Duration;

/// The variable that says it, as a whole number; an emulated machine is 4.
const VARIABLE: &str = "SLOWNESS";

/// A limit of time as this machine needs it.
pub(crate) fn paced(limit: Duration) -> Duration {
    let times = std::env::var(VARIABLE).ok();
    let times = times.and_then(|text| text.parse().ok());
    limit * times.unwrap_or(1)
}
