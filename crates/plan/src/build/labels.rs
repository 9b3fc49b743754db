//! `process.apparmorProfile`, `process.selinuxLabel`, `linux.mountLabel`: what the
//! security modules know the container by.

use oci_spec::runtime::Process;

use super::Context;
use crate::error::quote;
use crate::{ConfigPath, InitOp, LastOp, Lsm, MountLabel, PlanError};

/// How crun lets the engine choose what a mount label says: podman wants
/// `rootcontext`, so that files below keep labels of their own.
pub(crate) const CONTEXT_TYPE: &str = "run.oci.mount_context_type";

/// The options of a file system that set a context, selinux mount(8).
const CONTEXTS: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

/// Adds what labels the program: by the execve(2) that makes it one. Before
/// no_new_privs, under which a profile could only be added to another.
pub(crate) fn build(context: &mut Context<'_>, process: &Process) {
    if let Some(profile) = apparmor_profile(context, process) {
        let stacked = process.no_new_privileges() == Some(true) && context.host.apparmor_confined;
        let op = LastOp::SetExecLabel {
            module: Lsm::AppArmor,
            // What confines the runtime cannot be left under no_new_privs, only added to.
            label: format!("{} {profile}", if stacked { "stack" } else { "exec" }),
        };
        context.last(ConfigPath::new("process.apparmorProfile"), op);
    }
    let at = ConfigPath::new("process.selinuxLabel");
    if let Some(label) = read(context, &at, process.selinux_label().as_deref()) {
        let module = Lsm::SELinux;
        context.last(at, LastOp::SetExecLabel { module, label });
    }
}

/// The keyring to be joined gets the label of the program: what the process itself is
/// labelled until then may not be readable for it. The execve(2) takes it back.
pub(crate) fn label_keyring(context: &mut Context<'_>) {
    let process = context.spec.process().as_ref();
    let label = process.and_then(|p| p.selinux_label().clone());
    let Some(label) = label.filter(|label| !label.is_empty()) else {
        return;
    };
    if context.host.lsm.contains(&Lsm::SELinux) && !context.request.no_new_keyring {
        let at = ConfigPath::new("process.selinuxLabel");
        context.init(at, InitOp::SetKeyLabel(label));
    }
}

/// `linux.mountLabel`, for a new file system of this type.
pub(super) fn mount_label(context: &Context<'_>, fstype: &str) -> Option<MountLabel> {
    let label = context.linux()?.mount_label().clone()?;
    if label.is_empty() || matches!(fstype, "proc" | "sysfs") {
        // Their files are labelled by the policy.
        return None;
    }
    if fstype == "mqueue" {
        // All mounts of an ipc namespace are one file system, which has its context already.
        return Some(MountLabel::Attribute(label));
    }
    let annotations = context.spec.annotations().as_ref();
    let option = annotations.and_then(|all| all.get(CONTEXT_TYPE));
    Some(MountLabel::Option {
        name: option.map_or("context", String::as_str).to_owned(),
        label,
    })
}

/// The tmpfs that masks a directory; as in the peers always by `context`.
pub(super) fn mask_label(context: &Context<'_>) -> Option<String> {
    let label = context.linux()?.mount_label().clone()?;
    (!label.is_empty()).then_some(label)
}

/// `linux.mountLabel`, once for all mounts, and the annotation about it.
pub(super) fn check_mount_label(context: &mut Context<'_>) {
    let annotations = context.spec.annotations().as_ref();
    let option = annotations.and_then(|all| all.get(CONTEXT_TYPE));
    if let Some(option) = option.filter(|option| !CONTEXTS.contains(&option.as_str())) {
        let at = ConfigPath::new("annotations").key(CONTEXT_TYPE);
        let wanted = format!("one of {}", CONTEXTS.join(", "));
        context.problem(PlanError::invalid(at, wanted, quote(option)));
    }
    let at = ConfigPath::new("linux.mountLabel");
    let label = context.linux().and_then(|l| l.mount_label().as_deref());
    read(context, &at, label);
}

/// The profile, if one is to be set. Where there is no AppArmor, everything is
/// unconfined.
fn apparmor_profile(context: &mut Context<'_>, process: &Process) -> Option<String> {
    let profile = process.apparmor_profile().as_deref();
    let profile = profile.filter(|profile| !profile.is_empty())?;
    let at = ConfigPath::new("process.apparmorProfile");
    let active = context.host.lsm.contains(&Lsm::AppArmor);
    if profile.contains(['\0', '\n']) {
        let wanted = "the name of a profile, without line ends and NUL bytes";
        context.problem(PlanError::invalid(at, wanted, quote(profile)));
        return None;
    }
    if !active && profile != "unconfined" {
        refuse(context, at, profile, "AppArmor");
    }
    active.then(|| profile.to_owned())
}

/// A context of SELinux, if there is one that can be set.
fn read(context: &mut Context<'_>, at: &ConfigPath, label: Option<&str>) -> Option<String> {
    let label = label.filter(|label| !label.is_empty())?;
    if label.contains(['\0', '"', '\n']) || label.split(':').count() < 3 {
        let wanted = "an SELinux context, as \"user:role:type:level\"";
        context.problem(PlanError::invalid(at.clone(), wanted, quote(label)));
        return None;
    }
    if !context.host.lsm.contains(&Lsm::SELinux) {
        refuse(context, at.clone(), label, "SELinux");
        return None;
    }
    Some(label.to_owned())
}

/// A label for a module that is not there would silently protect nothing.
fn refuse(context: &mut Context<'_>, at: ConfigPath, label: &str, module: &str) {
    let text = format!(
        "{} needs {module}, which is not active on this host",
        quote(label)
    );
    context.problem(PlanError::unsupported(at, text).hint("remove the property"));
}

#[cfg(test)]
#[path = "labels_tests.rs"]
mod tests;
