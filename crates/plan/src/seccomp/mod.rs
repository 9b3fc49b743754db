//! `linux.seccomp` -> a classic BPF program.
//! (Placeholder with the final signature; written by its own author.)

use crate::{ConfigPath, PlanError, SeccompProgram, Warning};

/// Compiles a profile; `None` when there is nothing to load or a problem was pushed.
pub(crate) fn compile(
    _seccomp: &oci_spec::runtime::LinuxSeccomp,
    at: &ConfigPath,
    problems: &mut Vec<PlanError>,
    _warnings: &mut Vec<Warning>,
) -> Option<SeccompProgram> {
    problems.push(PlanError::unsupported(
        at.clone(),
        "seccomp is not supported yet",
    ));
    None
}
