//! `process.user` and `process.capabilities` -> who the program is.

use oci_spec::runtime::Process;

use super::{Context, annotations, capabilities, idmap};
use crate::{ConfigPath, InitOp, LastOp, NamespaceKind, PlanError};

/// CAP_SETGID.
const CAP_SETGID: u32 = 6;
/// What the peers set when the configuration names no umask.
const DEFAULT_UMASK: u32 = 0o022;

/// Adds the steps that change ids and capabilities, in the order of
/// [`LastOp`]'s identity phase.
pub(crate) fn build(context: &mut Context<'_>, process: &Process) {
    let at = ConfigPath::new("process.user");
    let user = process.user();
    let umask = user.umask();
    if let Some(bits @ 0o1000..) = umask {
        context.problem(PlanError::invalid(
            at.field("umask"),
            "permission bits, at most 511 (octal 0777)",
            bits.to_string(),
        ));
    }
    let umask_from = at.field("umask");
    let from = if umask.is_some() {
        umask_from
    } else {
        umask_from.default_of()
    };
    context.init(from, InitOp::SetUmask(umask.unwrap_or(DEFAULT_UMASK)));
    for (name, groups, id) in [("uid", false, user.uid()), ("gid", true, user.gid())] {
        check_id(context, &at.field(name), groups, id);
    }
    let groups = read_groups(context, process);

    if process.terminal() != Some(true) {
        context.last(at.field("uid"), LastOp::OwnStdio { uid: user.uid() });
    }
    let capabilities = capabilities::read(context, process.capabilities().as_ref());
    let from = ConfigPath::new("process.capabilities");
    if let Some(keep) = capabilities.bounding {
        let drop = bounding_at_start(context) & !keep;
        let op = LastOp::LimitBounding { keep, drop };
        context.last(from.field("bounding"), op);
    }
    context.last(ConfigPath::new("process.cwd"), LastOp::ChangeDirectory);
    context.last(
        at,
        LastOp::SetIdentity {
            uid: user.uid(),
            gid: user.gid(),
            groups,
        },
    );
    context.last(from, LastOp::SetCapabilities(capabilities.sets));
}

/// The bounding set init starts with: the runtime's own, but a user namespace
/// starts with everything (user_namespaces(7)).
fn bounding_at_start(context: &Context<'_>) -> u64 {
    if context.has(NamespaceKind::User) {
        return u64::MAX >> (63 - context.host.last_capability.min(63));
    }
    context.host.bounding_capabilities
}

/// The kernel takes -1 for "unchanged", and an id that is not mapped with EINVAL.
fn check_id(context: &mut Context<'_>, at: &ConfigPath, groups: bool, id: u32) {
    if id == u32::MAX {
        let wanted = format!("an id from 0 to {}", u32::MAX - 1);
        context.problem(PlanError::invalid(at.clone(), wanted, id.to_string()));
    } else if !idmap::is_mapped(context, groups, id) {
        let list = if groups {
            "linux.gidMappings"
        } else {
            "linux.uidMappings"
        };
        context.problem(PlanError::conflict(
            at.clone(),
            format!("{id} is not mapped by {list}"),
        ));
    }
}

/// The supplementary groups: always set, so that none of the caller's leak in,
/// but where the kernel forbids it (an unprivileged user namespace).
fn read_groups(context: &mut Context<'_>, process: &Process) -> Option<Vec<u32>> {
    let at = ConfigPath::new("process.user.additionalGids");
    let groups: Vec<u32> = process
        .user()
        .additional_gids()
        .iter()
        .flatten()
        .copied()
        .collect();
    for (n, gid) in groups.iter().enumerate() {
        check_id(context, &at.index(n), true, *gid);
    }
    if annotations::keeps_groups(context) {
        if !groups.is_empty() {
            context.warn(
                at,
                "the annotation keeps the groups of the caller in their place",
            );
        }
        return None;
    }
    let allowed = context.host.effective_capabilities >> CAP_SETGID & 1 == 1
        || context.namespaces.is_new(NamespaceKind::User);
    if allowed && !context.host.setgroups_denied && !idmap::denies_setgroups(context) {
        return Some(groups);
    }
    if !groups.is_empty() {
        let text = "setgroups is not allowed in an unprivileged user namespace";
        context.problem(PlanError::unsupported(at, text));
    }
    None
}
