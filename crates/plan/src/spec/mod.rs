//! `config.json`: bytes -> the decoded configuration.

use crate::{ConfigPath, Errors, PlanError, Problem};

/// A decoded `config.json`. Opaque: what it means is the plan's business.
#[derive(Debug, Clone)]
pub struct Spec {
    decoded: oci_spec::runtime::Spec,
}

impl Spec {
    /// For the chapters of this crate.
    pub(crate) fn decoded(&self) -> &oci_spec::runtime::Spec {
        &self.decoded
    }
}

/// Reads a `config.json`.
///
/// # Errors
/// What makes the document unreadable.
pub fn load(bytes: &[u8]) -> Result<Spec, Errors> {
    let decoded = serde_json::from_slice(bytes).map_err(|e| {
        PlanError::new(
            ConfigPath::new("config.json"),
            Problem::Unreadable(e.to_string()),
        )
    })?;
    Ok(Spec { decoded })
}
