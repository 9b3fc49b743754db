//! `linux.uidMappings` and `linux.gidMappings` -> the maps of a new user namespace.

use oci_spec::runtime::LinuxIdMapping;

use super::Context;
use crate::{ConfigPath, IdMapRight, IdMapping, NamespaceKind, ParentOp, PlanError, Problem};

/// `UID_GID_MAP_MAX_EXTENTS` of the kernel (since 4.15; five lines before).
const MOST_LINES: usize = 340;
/// The two maps in the configuration.
const UIDS: &str = "linux.uidMappings";
const GIDS: &str = "linux.gidMappings";
/// CAP_SETGID and CAP_SETUID: the right to write a map of more than oneself.
const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;

/// Checks both maps and adds the steps that write them.
pub(crate) fn build(context: &mut Context<'_>) {
    let linux = context.linux();
    let uids = read(linux.and_then(|l| l.uid_mappings().as_ref()));
    let gids = read(linux.and_then(|l| l.gid_mappings().as_ref()));
    let (uid_path, gid_path) = (ConfigPath::new(UIDS), ConfigPath::new(GIDS));
    context.problems.extend(find_problems(&uid_path, &uids));
    context.problems.extend(find_problems(&gid_path, &gids));
    if !context.has(NamespaceKind::User) {
        for (path, map) in [(&uid_path, &uids), (&gid_path, &gids)] {
            if !map.is_empty() {
                let text = "needs a user namespace in linux.namespaces";
                context.problem(PlanError::conflict(path.clone(), text));
            }
        }
        return;
    }
    if !context.namespaces.is_new(NamespaceKind::User) {
        // A joined namespace has its maps already. containerd and CRI-O repeat
        // them here for the file system's sake; half of a pair is a mistake.
        if uids.is_empty() != gids.is_empty() {
            let path = if uids.is_empty() { uid_path } else { gid_path };
            context.problem(missing(path));
        }
        return;
    }
    for (groups, path, map) in [(false, uid_path, uids), (true, gid_path, gids)] {
        if map.is_empty() {
            context.problem(missing(path));
            continue;
        }
        check_root(context, &path, &map);
        let by = right_to(context, &map, groups);
        context.parent(path, ParentOp::WriteIdMap { groups, map, by });
    }
}

/// Whether `id` of the container is somebody outside, as far as this plan knows:
/// without a new user namespace every id is.
pub(crate) fn is_mapped(context: &Context<'_>, groups: bool, id: u32) -> bool {
    !context.namespaces.is_new(NamespaceKind::User) || is_listed(context, groups, id)
}

/// Whether the configuration maps `id` of the container.
pub(crate) fn is_listed(context: &Context<'_>, groups: bool, id: u32) -> bool {
    let linux = context.linux();
    let (name, list) = match groups {
        false => (UIDS, linux.and_then(|l| l.uid_mappings().as_ref())),
        true => (GIDS, linux.and_then(|l| l.gid_mappings().as_ref())),
    };
    let map = read(list);
    // A map that is empty or broken is reported where it must not be, and proves nothing.
    let unclear = context.unknown.iter().any(|path| path.starts_with(name));
    unclear || is_broken(&map) || map.iter().any(|line| contains(line, id))
}

/// The host's uid of `uid` of the container, by the configuration's maps.
pub(crate) fn host_uid(context: &Context<'_>, uid: u32) -> Option<u32> {
    let map = read(context.linux().and_then(|l| l.uid_mappings().as_ref()));
    let line = map.iter().find(|line| contains(line, uid))?;
    line.host_id.checked_add(uid - line.container_id)
}

/// Whether it cannot be said what the map was meant to be.
fn is_broken(map: &[IdMapping]) -> bool {
    map.is_empty() || map.iter().any(|line| line.size == 0)
}

fn contains(line: &IdMapping, id: u32) -> bool {
    id >= line.container_id && id - line.container_id < line.size
}

pub(super) fn read(list: Option<&Vec<LinuxIdMapping>>) -> Vec<IdMapping> {
    let lines = list.into_iter().flatten();
    lines
        .map(|line| IdMapping {
            container_id: line.container_id(),
            host_id: line.host_id(),
            size: line.size(),
        })
        .collect()
}

fn missing(path: ConfigPath) -> PlanError {
    let wanted = "at least one mapping, because the container has a user namespace";
    PlanError::new(path, Problem::Missing { wanted })
}

/// What the kernel would refuse with a bare EINVAL.
pub(super) fn find_problems(path: &ConfigPath, map: &[IdMapping]) -> Vec<PlanError> {
    let mut problems = Vec::new();
    if map.len() > MOST_LINES {
        let wanted = format!("at most {MOST_LINES} mappings, the kernel's limit");
        let found = map.len().to_string();
        return vec![PlanError::invalid(path.clone(), wanted, found)];
    }
    for (n, line) in map.iter().enumerate() {
        let at = path.index(n);
        if line.size == 0 {
            let field = at.field("size");
            problems.push(PlanError::invalid(field, "at least 1", "0"));
            continue;
        }
        for (name, first) in [("containerID", line.container_id), ("hostID", line.host_id)] {
            if first.checked_add(line.size).is_none() {
                let wanted = format!("ids up to {}", u32::MAX - 1);
                let found = format!("{first} with size {}", line.size);
                problems.push(PlanError::invalid(at.field(name), wanted, found));
            }
        }
        for (m, other) in map[..n].iter().enumerate() {
            for (name, mine, theirs) in [
                ("containerID", line.container_id, other.container_id),
                ("hostID", line.host_id, other.host_id),
            ] {
                if overlaps((mine, line.size), (theirs, other.size)) {
                    let text = format!("overlaps {}", path.index(m));
                    problems.push(PlanError::conflict(at.field(name), text));
                }
            }
        }
    }
    problems
}

fn overlaps(a: (u32, u32), b: (u32, u32)) -> bool {
    let end = |(first, size): (u32, u32)| u64::from(first) + u64::from(size);
    u64::from(a.0) < end(b) && u64::from(b.0) < end(a)
}

/// Init becomes root of the new namespace before it builds the container.
fn check_root(context: &mut Context<'_>, path: &ConfigPath, map: &[IdMapping]) {
    if !is_broken(map) && !map.iter().any(|line| contains(line, 0)) {
        let text = "must map id 0 of the container, which builds it";
        context.problem(PlanError::conflict(path.clone(), text));
    }
}

/// Without CAP_SETUID or CAP_SETGID one may map oneself, or ask those who have it.
fn right_to(context: &Context<'_>, map: &[IdMapping], groups: bool) -> IdMapRight {
    let (capability, own) = if groups {
        (CAP_SETGID, context.host.effective_gid)
    } else {
        (CAP_SETUID, context.host.effective_uid)
    };
    if context.host.effective_capabilities >> capability & 1 == 1 {
        return IdMapRight::Capability;
    }
    match map {
        [line] if line.host_id == own && line.size == 1 => IdMapRight::OwnId,
        _ => IdMapRight::Helper,
    }
}

/// Whether setgroups(2) is off in the user namespace of the container.
pub(crate) fn denies_setgroups(context: &Context<'_>) -> bool {
    let gids = read(context.linux().and_then(|l| l.gid_mappings().as_ref()));
    let new = context.namespaces.is_new(NamespaceKind::User);
    new && right_to(context, &gids, true) == IdMapRight::OwnId
}
