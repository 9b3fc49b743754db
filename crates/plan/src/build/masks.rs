//! `linux.maskedPaths` and `linux.readonlyPaths`.

use super::Context;
use super::labels;
use super::rootfs::{clean, has_own_mounts, refuse_without_own_mounts};
use crate::error::quote;
use crate::{ConfigPath, InitOp, PlanError};

/// Adds the steps of this chapter.
pub(crate) fn build(context: &mut Context<'_>) {
    let Some(linux) = context.linux() else {
        return;
    };
    let at = ConfigPath::new("linux.readonlyPaths");
    for (from, path) in paths(context, linux.readonly_paths().as_deref(), &at) {
        context.init(from, InitOp::ProtectPath { path });
    }
    let at = ConfigPath::new("linux.maskedPaths");
    let masked = paths(context, linux.masked_paths().as_deref(), &at);
    let label = labels::mask_label(context);
    for (from, path) in masked {
        let label = label.clone();
        context.init(from, InitOp::MaskPath { path, label });
    }
}

/// The usable paths of one list, clean, each once.
fn paths(
    context: &mut Context<'_>,
    list: Option<&[String]>,
    at: &ConfigPath,
) -> Vec<(ConfigPath, String)> {
    let list = list.unwrap_or_default();
    if list.is_empty() {
        return Vec::new();
    }
    if !has_own_mounts(context) {
        refuse_without_own_mounts(context, at.clone());
    }
    let mut found: Vec<(ConfigPath, String)> = Vec::new();
    for (index, path) in list.iter().enumerate() {
        let from = at.index(index);
        match check(path, &from) {
            // Twice the same mask would be two mounts where one does.
            Ok(path) if found.iter().any(|(_, known)| *known == path) => {}
            Ok(path) => found.push((from, path)),
            Err(problem) => context.problem(problem),
        }
    }
    found
}

/// One path, clean.
fn check(path: &str, from: &ConfigPath) -> Result<String, PlanError> {
    let wanted = "an absolute path inside the container";
    if !path.starts_with('/') || path.contains('\0') {
        return Err(PlanError::invalid(from.clone(), wanted, quote(path)));
    }
    let path = clean(path);
    if path == "/" {
        let sentence = "the whole root can be neither masked nor protected here";
        let problem = PlanError::conflict(from.clone(), sentence);
        return Err(problem.hint("root.readonly makes it read-only"));
    }
    Ok(path)
}

#[cfg(test)]
#[path = "masks_tests.rs"]
mod tests;
