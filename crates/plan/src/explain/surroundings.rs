//! The container as a whole: who it is, its namespaces, its control group, and
//! what happens after `create`.

use super::inside::{say_hook, word};
use super::outside::{Sources, name};
use super::page::Page;
use crate::cgroup::{CgroupDirectory, CgroupManager, CgroupPlan, Property, PropertyValue, Setting};
use crate::{ConfigPath, NamespaceKind, ParentOp, Plan};

/// All kinds, in the order they are named.
const KINDS: [NamespaceKind; 8] = [
    NamespaceKind::User,
    NamespaceKind::Pid,
    NamespaceKind::Mount,
    NamespaceKind::Network,
    NamespaceKind::Uts,
    NamespaceKind::Ipc,
    NamespaceKind::Cgroup,
    NamespaceKind::Time,
];

/// Who it is and what it runs.
pub(super) fn add_container(page: &mut Page, plan: &Plan) {
    page.title("Container");
    page.note("id", &plan.id);
    page.note("bundle", &plan.bundle);
    page.row("root", &plan.rootfs, &ConfigPath::new("root.path"));
    let args: Vec<_> = plan.program.args.iter().map(|arg| word(arg)).collect();
    page.row("runs", args.join(" "), &ConfigPath::new("process.args"));
    let terminal = if plan.terminal {
        "its own"
    } else {
        "none: stdio of the caller"
    };
    page.row("terminal", terminal, &ConfigPath::new("process.terminal"));
}

/// New, joined and kept ones.
pub(super) fn add_namespaces(page: &mut Page, plan: &Plan, sources: &Sources<'_>) {
    let namespaces = &plan.namespaces;
    let from = ConfigPath::new("linux.namespaces");
    page.title("Namespaces");
    let list = |wanted: &dyn Fn(NamespaceKind) -> bool| {
        let names: Vec<_> = KINDS
            .into_iter()
            .filter(|kind| wanted(*kind))
            .map(name)
            .collect();
        names.join(", ")
    };
    let new = list(&|kind| namespaces.is_new(kind));
    if !new.is_empty() {
        page.row("new", new, &from);
    }
    for (kind, slot) in &namespaces.join {
        let opened = plan.parent.iter().find(|step| match &step.op {
            ParentOp::OpenNamespace { slot: known, .. } => known == slot,
            _ => false,
        });
        let text = format!("{}: {}", name(*kind), sources.get(*slot).path);
        page.row("joined", text, opened.map_or(&from, |step| &step.from));
    }
    let kept = list(&|kind| !namespaces.has(kind));
    if !kept.is_empty() {
        page.note("shared", format!("{kept}: the caller's own"));
    }
    if namespaces.via_user_namespace {
        let kinds: Vec<_> = namespaces
            .before_clone
            .iter()
            .map(|(kind, _)| name(*kind))
            .collect();
        let text = format!(
            "a short-lived child joins {} and clones init from there",
            kinds.join(", ")
        );
        page.note("how", text);
    }
    if namespaces.parent_unshares_time {
        page.note(
            "how",
            "the time namespace is made first, its clocks shifted, then init is born in it",
        );
    }
}

/// Where it is, and every value written.
pub(super) fn add_cgroup(page: &mut Page, cgroup: &CgroupPlan) {
    page.title("Control group");
    let from = ConfigPath::new("linux.cgroupsPath");
    if cgroup.manager == CgroupManager::Disabled {
        page.note("join", "none: it stays in the caller's");
    } else {
        for text in say_places(cgroup) {
            page.row("make", text, &from);
        }
    }
    if let Some(scope) = &cgroup.scope {
        let whose = if scope.user {
            "the user's systemd"
        } else {
            "systemd"
        };
        page.row("unit", format!("{}, made by {whose}", scope.unit), &from);
        for property in &scope.properties {
            page.row("tell", say_property(property), &property.from);
        }
    }
    for directory in &cgroup.directories {
        if !directory.enable.is_empty() {
            let text = format!("{}, where it is not yet", directory.enable.join(", "));
            page.note("enable", text);
        }
    }
    for setting in &cgroup.settings {
        let directory = cgroup.directories.get(setting.directory);
        page.row("write", say_setting(setting, directory), &setting.from);
    }
    if let Some(uid) = cgroup.owner {
        page.row("give", format!("it to uid {uid} of the host"), &from);
    }
    if let Some(delegated) = &cgroup.delegated {
        let text = format!("{} below it, for the program", delegated.path);
        page.note("make", text);
    }
    if let Some(program) = &cgroup.device_program {
        let size = program.instructions.len();
        let text = format!("a program of {size} instructions that decides on every device access");
        page.row("attach", text, &program.from);
    }
}

/// `MemoryMax = 1048576`
fn say_property(property: &Property) -> String {
    use PropertyValue as V;
    let value = match &property.value {
        V::Flag(flag) => flag.to_string(),
        V::Byte(n) => n.to_string(),
        V::Int32(n) => n.to_string(),
        V::Uint32(n) => n.to_string(),
        V::Int64(n) => n.to_string(),
        V::Uint64(u64::MAX) => "infinity".to_owned(),
        V::Uint64(n) => n.to_string(),
        V::Double(n) => n.to_string(),
        V::Text(text) => text.clone(),
        V::Texts(list) => list.join(" "),
        V::Bytes(list) => format!("{list:02x?}"),
        V::Uint32s(list) => format!("{list:?}"),
        V::Pairs(list) => join(list.iter().map(|(one, other)| format!("{one} {other}"))),
        V::Amounts(list) => join(list.iter().map(|(one, n)| format!("{one} {n}"))),
    };
    format!("{} = {value}", property.name)
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// The directories, v1 hierarchies together.
fn say_places(cgroup: &CgroupPlan) -> Vec<String> {
    let path = &cgroup.path;
    let mut texts = Vec::new();
    let v1 = cgroup.directories.iter().filter(|directory| !directory.v2);
    let v1: Vec<_> = v1.map(short_name).collect();
    if !v1.is_empty() {
        texts.push(format!("{path} in the v1 hierarchies {}", v1.join(" ")));
    }
    for directory in cgroup.directories.iter().filter(|directory| directory.v2) {
        texts.push(format!("{path} in the v2 hierarchy at {}", directory.mount));
    }
    texts
}

/// `memory` of `/sys/fs/cgroup/memory`
fn short_name(directory: &CgroupDirectory) -> &str {
    let name = directory.mount.rsplit('/').next();
    name.unwrap_or(&directory.mount)
}

/// `memory.max = 536870912`
pub(super) fn say_setting(setting: &Setting, directory: Option<&CgroupDirectory>) -> String {
    let file = match directory {
        Some(directory) if !directory.v2 => format!("{}/{}", short_name(directory), setting.file),
        _ => setting.file.clone(),
    };
    let mut text = format!("{file} = {}", setting.value.trim_end());
    if let Some(other) = &setting.instead {
        let value = other.value.trim_end();
        text.push_str(&format!(
            ", or {} = {value} where that is missing",
            other.file
        ));
    } else if setting.optional {
        text.push_str(" (if the file is there)");
    }
    if let Some(current) = &setting.not_below {
        text.push_str(&format!(", unless {current} is above it"));
    }
    text
}

/// What other commands will do.
pub(super) fn add_later(page: &mut Page, plan: &Plan) {
    page.title("Later");
    for step in &plan.poststart {
        page.row("start", say_hook(&step.op, "on the host"), &step.from);
    }
    for step in &plan.poststop {
        page.row("delete", say_hook(&step.op, "on the host"), &step.from);
    }
}
