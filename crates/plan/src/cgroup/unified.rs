//! `linux.resources.unified`: files of the v2 directory by name.

use defence::Defence;

use super::sheet::{Need, Sheet};
use crate::error::quote;
use crate::{ConfigPath, PlanError};

/// What of `cgroup.*` a configuration may set. The others move or end processes
/// (`cgroup.procs` with a host pid would pull a stranger into the container) or
/// belong to the runtime.
const CORE_FILES: [&str; 3] = [
    "cgroup.max.depth",
    "cgroup.max.descendants",
    "cgroup.pressure",
];

/// The controller of a file, `memory` of `memory.high`; `None` for the core's.
///
/// # Errors
/// The name is not one of a file that may be set. A name with a slash would
/// reach other cgroups (GHSA-5g49-rx9x-qfc6).
pub(super) fn controller<'f>(
    file: &'f str,
    from: &ConfigPath,
) -> Result<Option<&'f str>, PlanError> {
    let invalid = |wanted: &str| Err(PlanError::invalid(from.clone(), wanted, quote(file)));
    if CORE_FILES.contains(&file) {
        return Ok(None);
    }
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if Defence::CgroupNames.is_off() {
        return Ok(None);
    }
    match file.split_once('.') {
        Some(("cgroup", _)) => invalid(&format!("one of {}", CORE_FILES.join(", "))),
        Some((controller, rest)) if word(controller) && rest.split('.').all(word) => {
            Ok(Some(controller))
        }
        _ => invalid("the name of a controller's file like \"memory.high\""),
    }
}

/// Whether the kernel does this without being asked.
pub(super) fn is_default(file: &str, value: &str) -> bool {
    match value.trim() {
        "max" => file.ends_with(".max") || file == "memory.high" || file.starts_with("cgroup.max."),
        "0" => matches!(
            file,
            "memory.low" | "memory.min" | "cpu.idle" | "memory.oom.group"
        ),
        "100" | "default 100" => matches!(file, "cpu.weight" | "io.weight" | "io.bfq.weight"),
        "max 100000" => file == "cpu.max",
        _ => false,
    }
}

/// One write for each line.
pub(super) fn put(file: &str, value: &str, from: &ConfigPath, sheet: &mut Sheet<'_>) {
    if value.contains('\0') {
        let wanted = "a value without NUL";
        return sheet.problem(PlanError::invalid(from.clone(), wanted, quote(value)));
    }
    let need = Need::unless(is_default(file, value));
    let mut lines = value.split('\n').filter(|line| !line.is_empty()).peekable();
    if lines.peek().is_none() {
        // Empty resets (`cpuset.cpus`), but a write of no bytes does not reach the file.
        return sheet.put(file, "\n", need, from.clone());
    }
    for line in lines {
        sheet.put(file, line, need, from.clone());
    }
}
