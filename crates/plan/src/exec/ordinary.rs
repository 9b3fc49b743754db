//! [`super::compose`] for ordinary requests on ordinary files, which is what engines
//! make: no tree is built, and nothing is decoded that could name a wrong value.

use oci_spec::runtime::Process;
use serde::de::IgnoredAny;

use super::ExecRequest;
use crate::{Spec, spec};

/// The one document that the chapters read; `None` when something is wrong anywhere,
/// or is asked for that only the tree can tell.
pub(super) fn compose(config: &[u8], request: &ExecRequest) -> Option<Spec> {
    if !is_ordinary(request) {
        return None;
    }
    let mut spec = spec::load_ordinary(std::str::from_utf8(config).ok()?)?;
    let own = spec.take_process()?;
    let mut process = match &request.process {
        Some(bytes) => read_process(bytes, own)?,
        None => container_process(request, own),
    };
    apply_options(request, &mut process);
    spec.put_process(process);
    Some(spec)
}

/// Options that rewrite lists of the process, or may be refused, are for the tree.
fn is_ordinary(request: &ExecRequest) -> bool {
    let is_variable =
        |entry: &String| entry.find('=').is_some_and(|at| at > 0) && !entry.contains('\0');
    (request.process.is_none() || request.args.is_empty())
        && request.user.is_none()
        && request.additional_gids.is_empty()
        && request.capabilities.is_empty()
        && request.apparmor_profile.is_none()
        && request.process_label.is_none()
        && request.env.iter().all(is_variable)
}

/// `--process`, with what it leaves out.
fn read_process(bytes: &[u8], own: Process) -> Option<Process> {
    let text = std::str::from_utf8(bytes).ok()?;
    // Only a whole document may stand where the next line puts it.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let document = format!("{{\"ociVersion\":\"1.3.0\",\"process\":{text}}}");
    let mut process = spec::load_ordinary(&document)?.take_process()?;
    keep(&mut process, own);
    Some(process)
}

/// What a `--process` that does not mention it has from the container, as
/// [`super::compose`] lists it.
fn keep(process: &mut Process, own: Process) {
    let is_empty = |text: &Option<String>| text.as_deref().is_none_or(str::is_empty);
    if is_empty(process.apparmor_profile()) {
        process.set_apparmor_profile(own.apparmor_profile().clone());
    }
    if is_empty(process.selinux_label()) {
        process.set_selinux_label(own.selinux_label().clone());
    }
    if process.capabilities().is_none() {
        process.set_capabilities(own.capabilities().clone());
    }
    if process.exec_cpu_affinity().is_none() {
        process.set_exec_cpu_affinity(own.exec_cpu_affinity().clone());
    }
    if process.io_priority().is_none() {
        process.set_io_priority(*own.io_priority());
    }
    if process.no_new_privileges().is_none() {
        process.set_no_new_privileges(own.no_new_privileges());
    }
    if process.oom_score_adj().is_none() {
        process.set_oom_score_adj(own.oom_score_adj());
    }
    if process.rlimits().as_ref().is_none_or(Vec::is_empty) {
        process.set_rlimits(own.rlimits().clone());
    }
    if process.scheduler().is_none() {
        process.set_scheduler(own.scheduler().clone());
    }
}

/// The container's own process with another command; a terminal only if asked for.
fn container_process(request: &ExecRequest, mut own: Process) -> Process {
    own.set_args(Some(request.args.clone()));
    own.set_terminal(Some(false));
    own
}

fn apply_options(request: &ExecRequest, process: &mut Process) {
    if request.terminal {
        process.set_terminal(Some(true));
    }
    if request.no_new_privileges {
        process.set_no_new_privileges(Some(true));
    }
    if let Some(cwd) = &request.cwd {
        process.set_cwd(cwd.into());
    }
    if !request.env.is_empty() {
        let mut env = process.env().clone().unwrap_or_default();
        env.extend(request.env.iter().cloned());
        process.set_env(Some(env));
    }
}

#[cfg(test)]
#[path = "ordinary_tests.rs"]
mod tests;
