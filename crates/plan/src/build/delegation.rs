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
    let Some(text) = annotations::delegated_cgroup(context) else {
        return;
    };
    let at = annotations::at(annotations::DELEGATE_CGROUP);
    let names: Vec<&str> = text
        .split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .collect();
    if names.is_empty() || names.contains(&"..") || text.contains(['\0', '\n']) {
        let wanted = "the path of a control group below the container's, without \"..\"";
        context.problem(PlanError::invalid(at, wanted, quote(text)));
        return;
    }
    if context.host.cgroup.mode != CgroupMode::V2 {
        let text = "cgroup v1 cannot be delegated; needs a host with cgroup v2 alone";
        context.problem(PlanError::unsupported(at, text));
        return;
    }
    let procs = context.slot();
    cgroup.delegated = Some(DelegatedCgroup {
        path: names.join("/"),
        uid: user_outside(context),
        procs,
    });
    context.init(at, InitOp::EnterDelegatedCgroup { procs });
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
