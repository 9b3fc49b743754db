//! What the parent does, in words.

use std::collections::BTreeMap;

use super::inside::say_hook;
use super::last::{say_io_priority, say_scheduler};
use crate::{
    DeviceKind, IdMapRight, IdMapping, NamespaceKind, ParentOp, Plan, ResctrlGroup, Rlimit, Slot,
};

/// What the parent opened: the names of things that init knows by number.
pub(super) struct Sources<'a>(BTreeMap<Slot, Source<'a>>);

/// One opened thing.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// On the host.
    pub path: &'a str,
    /// With its submounts.
    pub recursive: bool,
}

impl<'a> Sources<'a> {
    /// Of one plan.
    pub fn of(plan: &'a Plan) -> Self {
        let mut sources = BTreeMap::new();
        for step in &plan.parent {
            let (slot, path, recursive) = match &step.op {
                ParentOp::OpenNamespace { slot, path, .. } => (slot, path.as_str(), false),
                ParentOp::OpenRoot { slot, path } => (slot, path.as_str(), true),
                ParentOp::OpenLayer { slot, path, .. } => (slot, path.as_str(), false),
                ParentOp::OpenMountSource {
                    slot,
                    path,
                    recursive,
                    ..
                } => (slot, path.as_str(), *recursive),
                ParentOp::OpenHostDevice { slot, path, .. } => (slot, path.as_str(), false),
                ParentOp::OpenHookOutput { slot, path } => (slot, path.as_str(), false),
                ParentOp::OpenProcfs { slot, .. } => (slot, "that procfs", false),
                _ => continue,
            };
            sources.insert(*slot, Source { path, recursive });
        }
        Self(sources)
    }

    /// What is in a slot.
    pub fn get(&self, slot: Slot) -> Source<'a> {
        let unknown = Source {
            path: "(nothing)",
            recursive: false,
        };
        self.0.get(&slot).copied().unwrap_or(unknown)
    }
}

/// One operation.
pub(super) fn say(op: &ParentOp) -> String {
    match op {
        ParentOp::OpenNamespace { kind, path, .. } => {
            format!("open the {} namespace {path}", name(*kind))
        }
        ParentOp::OpenRoot { path, .. } => {
            format!("clone the mount tree of {path}, detached, with all below it")
        }
        ParentOp::OpenLayer { path, .. } => {
            format!("make {path} where it is missing, and clone its tree, detached")
        }
        ParentOp::OpenMountSource { .. } => say_source(op),
        ParentOp::OpenHostDevice {
            path,
            kind,
            major,
            minor,
            ..
        } => format!(
            "open the host's {path}, verified to be {}",
            number(*kind, *major, *minor)
        ),
        ParentOp::OpenHookOutput { path, .. } => {
            format!("open {path} for the output of hooks, at its end")
        }
        ParentOp::OpenProcfs { .. } => "make a procfs of the joined pid namespace".to_owned(),
        ParentOp::MakeUserNamespace { uids, gids, .. } => format!(
            "make a user namespace for idmapped mounts: {}; {}",
            say_map(false, uids, IdMapRight::Capability),
            say_map(true, gids, IdMapRight::Capability)
        ),
        ParentOp::MapMount { recursive, .. } => {
            let all = if *recursive {
                ", and of all below it"
            } else {
                ""
            };
            format!("map the owners of files in that tree{all}")
        }
        ParentOp::WriteIdMap { groups, map, by } => say_map(*groups, map, *by),
        ParentOp::SetTimeOffset {
            clock,
            seconds,
            nanoseconds,
        } => format!("shift the {clock} clock by {seconds} s and {nanoseconds} ns"),
        ParentOp::MoveNetDevice { name, inside } => {
            format!("move the network device {name} in as {inside}, with its permanent addresses")
        }
        ParentOp::SetOomScore(score) => format!("set oom_score_adj to {score}"),
        ParentOp::SetRlimit(limit) => say_limit(limit),
        ParentOp::SendPidfd { path } => format!("send a pidfd of the container's init to {path}"),
        ParentOp::MakeResctrlGroup(group) => say_resctrl(group),
        ParentOp::JoinResctrlGroups(directories) => {
            format!("put the container into {}", directories.join(" and "))
        }
        ParentOp::SetScheduler(scheduler) => say_scheduler(scheduler),
        ParentOp::SetIoPriority { class, level } => say_io_priority(class, *level),
        ParentOp::RunHook(hook) => say_hook(hook, "on the host"),
    }
}

/// The tree of a bind mount.
fn say_source(op: &ParentOp) -> String {
    let ParentOp::OpenMountSource {
        path,
        recursive,
        no_follow,
        copy_symlink,
        ..
    } = op
    else {
        return String::new();
    };
    let all = if *recursive {
        " and all mounted below it"
    } else {
        ""
    };
    let symlink = match (*copy_symlink, *no_follow) {
        (true, _) => ", a symlink as itself",
        (false, true) => ", following no symlink at its end",
        (false, false) => "",
    };
    format!("open {path}{all}{symlink}")
}

/// `character device 1:3`
pub(super) fn number(kind: DeviceKind, major: u32, minor: u32) -> String {
    let kind = match kind {
        DeviceKind::Char => "character",
        DeviceKind::Block => "block",
    };
    format!("{kind} device {major}:{minor}")
}

/// The word people use.
pub(super) const fn name(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Cgroup => "cgroup",
        NamespaceKind::Ipc => "ipc",
        NamespaceKind::Mount => "mount",
        NamespaceKind::Network => "network",
        NamespaceKind::Pid => "pid",
        NamespaceKind::Time => "time",
        NamespaceKind::User => "user",
        NamespaceKind::Uts => "uts",
    }
}

fn say_map(groups: bool, map: &[IdMapping], by: IdMapRight) -> String {
    let what = if groups { "gids" } else { "uids" };
    let range = |first: u32, size: u32| match size {
        1 => first.to_string(),
        _ => format!("{first}-{}", u64::from(first) + u64::from(size) - 1),
    };
    let lines: Vec<_> = map
        .iter()
        .filter(|line| line.size > 0)
        .map(|line| {
            let inside = range(line.container_id, line.size);
            format!("{inside} to {}", range(line.host_id, line.size))
        })
        .collect();
    let how = match (by, groups) {
        (IdMapRight::Helper, false) => ", by newuidmap",
        (IdMapRight::Helper, true) => ", by newgidmap",
        (IdMapRight::OwnId, true) => ", with setgroups off",
        (IdMapRight::OwnId | IdMapRight::Capability, _) => "",
    };
    format!("map {what} {} of the host{how}", lines.join(", "))
}

pub(super) fn say_limit(limit: &Rlimit) -> String {
    let value = |value: u64| match value {
        u64::MAX => "unlimited".to_owned(),
        _ => value.to_string(),
    };
    let (soft, hard) = (value(limit.soft), value(limit.hard));
    if soft == hard {
        format!("set {} to {soft}", limit.name)
    } else {
        format!("set {} to {soft}, at most {hard}", limit.name)
    }
}

fn say_resctrl(group: &ResctrlGroup) -> String {
    let directory = &group.directory;
    let mut text = match group.must_exist {
        true => format!("find the class of service {directory}"),
        false => format!("make the class of service {directory}, if it is not there"),
    };
    if !group.schemata.is_empty() {
        text.push_str(&format!(", with {}", group.schemata.join(" and ")));
    }
    if let Some(monitor) = &group.monitor {
        text.push_str(&format!("; monitor it by {monitor}"));
    }
    text
}
