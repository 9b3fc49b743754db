//! Whose the container's cgroup is: "Cgroup ownership" of config-linux.md, and the
//! sub-cgroup of an annotation.

use super::{Context, annotations, idmap};
use crate::cgroup::{CgroupManager, CgroupPlan, DelegatedCgroup};
use crate::error::quote;
use crate::spec::path_text;
use crate::{CgroupMode, InitOp, NamespaceKind, PlanError};

/// Completes the cgroup of a plan.
pub(crate) fn build(context: &mut Context<'_>, cgroup: &mut CgroupPlan) {
    if cgroup.manager == CgroupManager::Disabled {
        return;
    }
    if sees_its_cgroup_alone(context) {
        cgroup.owner = user_outside(context);
    }
    let delegated = annotations::delegated_cgroup(context);
    let asked = [
        // Of a container that systemd does not manage it says nothing.
        (
            annotations::SUBGROUP,
            annotations::subgroup(context).filter(|_| cgroup.manager == CgroupManager::Systemd),
        ),
        (annotations::DELEGATE_CGROUP, delegated),
    ];
    let mut path = String::new();
    let mut last = None;
    for (annotation, text) in asked {
        let Some(text) = text else { continue };
        let at = annotations::at(annotation);
        let Some(names) = names_below(text) else {
            let wanted = "the path of a control group below the container's, without \"..\"";
            context.problem(PlanError::invalid(at, wanted, quote(text)));
            return;
        };
        if context.host.cgroup.mode != CgroupMode::V2 {
            let text = "cgroup v1 cannot be delegated; needs a host with cgroup v2 alone";
            context.problem(PlanError::unsupported(at, text));
            return;
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(&names);
        last = Some(at);
    }
    let Some(at) = last else { return };
    let procs = context.slot();
    cgroup.delegated = Some(DelegatedCgroup {
        path,
        // The subgroup alone stays the manager's.
        uid: delegated.and_then(|_| user_outside(context)),
        procs,
    });
    context.init(at, InitOp::EnterDelegatedCgroup { procs });
}

/// A clean relative path, `a/b`; nothing for one that leads elsewhere or nowhere.
fn names_below(text: &str) -> Option<String> {
    let names: Vec<&str> = text
        .split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .collect();
    let is_below = !names.is_empty() && !names.contains(&"..") && !text.contains(['\0', '\n']);
    is_below.then(|| names.join("/"))
}

/// The three conditions of the spec: cgroup v2, a new cgroup namespace, and the
/// file system mounted for writing where everybody looks for it.
fn sees_its_cgroup_alone(context: &Context<'_>) -> bool {
    let mut mounts = context.spec.mounts().iter().flatten();
    context.host.cgroup.mode == CgroupMode::V2
        && context.namespaces.is_new(NamespaceKind::Cgroup)
        && mounts.any(|mount| {
            let source = mount.source().as_ref().map(|path| path_text(path));
            let destination = path_text(mount.destination()).trim_end_matches('/');
            let read_only = |option: &String| option == "ro";
            source == Some("cgroup")
                && destination == "/sys/fs/cgroup"
                && !mount.options().iter().flatten().any(read_only)
        })
}

/// The host's uid of `process.user.uid`, unless a joined user namespace knows it alone.
fn user_outside(context: &Context<'_>) -> Option<u32> {
    let process = context.spec.process().as_ref()?;
    let uid = process.user().uid();
    match context.has(NamespaceKind::User) {
        true => idmap::host_uid(context, uid),
        false => Some(uid),
    }
}

#[cfg(test)]
#[path = "delegation_tests.rs"]
mod tests;
