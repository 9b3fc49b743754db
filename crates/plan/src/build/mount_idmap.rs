//! Idmapped mounts: `idmap`, `ridmap`, `mounts[].uidMappings` and `gidMappings`.
//!
//! | asked for by | mapping |
//! |---|---|
//! | mappings of the mount, with the option or without | those |
//! | `idmap=uids=C-H-S#...;gids=C-H-S#...` | that; `@` in front: relative to the container's |
//! | the option alone | that of the container's user namespace |
//!
//! A file of owner C in the file system looks like one of host id H in the mount.

use super::Context;
use super::idmap::{find_problems, read};
use super::mount_options::IdMapWord;
use super::mounts::Entry;
use crate::error::quote;
use crate::{
    ConfigPath, IdMapping, MountIdMap, MountSource, NamespaceKind, ParentOp, PlanError, Problem,
    Slot,
};

/// CAP_SYS_ADMIN: without it in the file system's user namespace its ids cannot be mapped.
const CAP_SYS_ADMIN: u32 = 21;

/// How crun's form is written, for messages.
const FORM: &str = "idmap=uids=C-H-S#...;gids=C-H-S#..., each of C, H and S a number";

/// Both maps of one mount.
struct Maps {
    uids: Vec<IdMapping>,
    gids: Vec<IdMapping>,
}

/// What the entry asks for, if anything; its user namespace is among the steps then.
pub(super) fn decode(context: &mut Context<'_>, entry: &Entry<'_>) -> Option<MountIdMap> {
    let own = Maps {
        uids: read(entry.mount.uid_mappings().as_ref()),
        gids: read(entry.mount.gid_mappings().as_ref()),
    };
    let word = entry.options.id_map.as_ref();
    let mapped = !own.uids.is_empty() || !own.gids.is_empty();
    let from = match word {
        Some(word) => word.from.clone(),
        None if !own.uids.is_empty() => entry.at.field("uidMappings"),
        None if mapped => entry.at.field("gidMappings"),
        None => return None,
    };
    check_use(context, entry, &from);
    let user_namespace = if mapped {
        of_mount(context, entry, own)
    } else {
        of_option(context, word?)
    }?;
    let recursive = word.is_some_and(|word| word.recursive);
    Some(MountIdMap {
        user_namespace,
        recursive,
        from,
    })
}

/// A bind mount's tree is mapped by the parent: what is left for init.
pub(super) fn add_step(
    context: &mut Context<'_>,
    entry: &Entry<'_>,
    source: &MountSource,
    map: Option<MountIdMap>,
) -> Option<MountIdMap> {
    match (source, map) {
        (MountSource::Tree { slot }, Some(map)) if entry.is_bind() => {
            let op = ParentOp::MapMount {
                tree: *slot,
                user_namespace: map.user_namespace,
                recursive: map.recursive,
            };
            context.parent(map.from, op);
            None
        }
        // The kernel maps detached mounts only, and mount(2) makes none.
        (MountSource::Filesystem { classic, .. }, Some(map)) if !classic.is_empty() => {
            let sentence =
                "ids cannot be mapped beside iversion, silent or an option longer than 255 bytes";
            context.problem(PlanError::conflict(map.from, sentence));
            None
        }
        (_, map) => map,
    }
}

/// Where a map cannot be, whatever it is.
fn check_use(context: &mut Context<'_>, entry: &Entry<'_>, from: &ConfigPath) {
    let sentence = if entry.options.remount {
        "ids can be mapped only by a new mount, and this is a remount"
    } else if !entry.is_bind() && matches!(entry.kind(), "cgroup" | "cgroup2") {
        "ids of a cgroup mount cannot be mapped"
    } else if context.host.effective_capabilities >> CAP_SYS_ADMIN & 1 == 0 {
        let sentence = "an idmapped mount needs CAP_SYS_ADMIN, which the runtime does not have";
        context.problem(PlanError::unsupported(from.clone(), sentence));
        return;
    } else {
        return;
    };
    context.problem(PlanError::conflict(from.clone(), sentence));
}

/// `uidMappings` and `gidMappings`: "the runtime MUST use those values".
fn of_mount(context: &mut Context<'_>, entry: &Entry<'_>, maps: Maps) -> Option<Slot> {
    let mut problems = Vec::new();
    for (name, map) in [("uidMappings", &maps.uids), ("gidMappings", &maps.gids)] {
        let at = entry.at.field(name);
        if map.is_empty() {
            let wanted = "mappings of both kinds: an idmapped mount maps users and groups";
            problems.push(PlanError::new(at, Problem::Missing { wanted }));
        } else {
            problems.extend(find_problems(&at, map));
        }
    }
    if let Some(word) = &entry.options.id_map
        && word.mapping.is_some()
    {
        let text = "has no effect beside uidMappings and gidMappings of the mount";
        context.warn(word.from.clone(), text);
    }
    finish(context, problems, maps)
}

/// The option: with a mapping of its own, or with that of the container.
fn of_option(context: &mut Context<'_>, word: &IdMapWord) -> Option<Slot> {
    let linux = context.linux();
    let container = Maps {
        uids: read(linux.and_then(|l| l.uid_mappings().as_ref())),
        gids: read(linux.and_then(|l| l.gid_mappings().as_ref())),
    };
    if let Some(text) = &word.mapping {
        return match parse(text, &container) {
            Ok(maps) => {
                let both = [&maps.uids, &maps.gids];
                let problems = both.into_iter().flat_map(|m| find_problems(&word.from, m));
                let here = |problem| PlanError {
                    path: word.from.clone(),
                    ..problem
                };
                let problems = problems.map(here).collect();
                finish(context, problems, maps)
            }
            Err(wanted) => {
                let found = quote(&format!("idmap={text}"));
                context.problem(PlanError::invalid(word.from.clone(), wanted, found));
                None
            }
        };
    }
    let joined = context.namespaces.join.iter();
    let mut joined = joined.filter(|(kind, _)| *kind == NamespaceKind::User);
    if let Some((_, slot)) = joined.next() {
        return Some(*slot);
    }
    if !context.has(NamespaceKind::User) {
        let sentence = "needs mappings: neither the mount nor the container has any";
        let hint =
            "add uidMappings and gidMappings to the mount, or a user namespace to the container";
        context.problem(PlanError::conflict(word.from.clone(), sentence).hint(hint));
        return None;
    }
    // What is wrong with the container's mappings is told by their own chapter.
    let usable = |map: &Vec<IdMapping>| !map.is_empty();
    (usable(&container.uids) && usable(&container.gids)).then(|| namespace(context, container))
}

fn finish(context: &mut Context<'_>, problems: Vec<PlanError>, maps: Maps) -> Option<Slot> {
    if problems.is_empty() {
        return Some(namespace(context, maps));
    }
    context.problems.extend(problems);
    None
}

/// A user namespace with these maps. Mounts with the same maps share one.
fn namespace(context: &mut Context<'_>, maps: Maps) -> Slot {
    let known = context.parent.iter().find_map(|step| match &step.op {
        ParentOp::MakeUserNamespace { slot, uids, gids }
            if *uids == maps.uids && *gids == maps.gids =>
        {
            Some(*slot)
        }
        _ => None,
    });
    known.unwrap_or_else(|| {
        let slot = context.slot();
        let op = ParentOp::MakeUserNamespace {
            slot,
            uids: maps.uids,
            gids: maps.gids,
        };
        context.parent(ConfigPath::new("mounts"), op);
        slot
    })
}

/// `uids=0-1000-10#10-2000-1;gids=@0-1-10`
fn parse(text: &str, container: &Maps) -> Result<Maps, String> {
    let mut maps = Maps {
        uids: Vec::new(),
        gids: Vec::new(),
    };
    for part in text.split(';') {
        let (map, base, triplets) = match part.split_once('=') {
            Some(("uids", triplets)) => (&mut maps.uids, &container.uids, triplets),
            Some(("gids", triplets)) => (&mut maps.gids, &container.gids, triplets),
            _ => return Err(FORM.to_owned()),
        };
        for triplet in triplets.split('#') {
            map.push(parse_triplet(triplet, base)?);
        }
    }
    if maps.uids.is_empty() || maps.gids.is_empty() {
        return Err("both uids= and gids=".to_owned());
    }
    Ok(maps)
}

/// `0-1000-10`; with `@` the second number is moved as the container's own mapping
/// moves the first.
fn parse_triplet(text: &str, container: &[IdMapping]) -> Result<IdMapping, String> {
    let (relative, numbers) = match text.strip_prefix('@') {
        Some(numbers) => (true, numbers),
        None => (false, text),
    };
    let parsed: Vec<u32> = numbers
        .split('-')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| FORM.to_owned())?;
    let [container_id, mut host_id, size] = parsed[..] else {
        return Err(FORM.to_owned());
    };
    if relative {
        let base = container
            .iter()
            .find(|line| line.container_id <= container_id && container_id - line.container_id < line.size)
            .ok_or_else(|| {
                format!("ids that the container's user namespace maps: {text} begins with one that it does not")
            })?;
        let moved = i64::from(host_id) + i64::from(base.host_id) - i64::from(base.container_id);
        host_id =
            u32::try_from(moved).map_err(|_| format!("ids below 2^32: {text} leads beyond"))?;
    }
    Ok(IdMapping {
        container_id,
        host_id,
        size,
    })
}

#[cfg(test)]
#[path = "mount_idmap_tests.rs"]
mod tests;
