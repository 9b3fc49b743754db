//! What the probe saw inside a container, without what differs from one container
//! to the next of the same kind.

use std::collections::BTreeMap;
use std::fs;

use runtime_tests::{Facts, Finished, Mount};
use serde_json::Value;

use crate::session::Session;

/// Fields of `/proc/self/status` that say how the process was set up.
const STATUS: [&str; 13] = [
    "Uid",
    "Gid",
    "Groups",
    "Umask",
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "SigBlk",
    "SigCgt",
];
/// Facts that are compared as they are.
const PLAIN: [&str; 17] = [
    "pid",
    "ppid",
    "pgid",
    "sid",
    "uid",
    "gid",
    "groups",
    "umask",
    "cwd",
    "args",
    "hostname",
    "domainname",
    "limits",
    "uid_map",
    "gid_map",
    "setgroups",
    "oom_score_adj",
];

/// Writes down all facts but those that `except` names.
#[track_caller]
pub fn write_down(session: &mut Session, finished: Finished, except: &[&str]) -> Facts {
    let label = session.label(&finished);
    let facts = Facts::parse(&finished.ok().stdout);
    note(session, &label, &facts, except);
    facts
}

/// The same for facts that came another way.
pub fn note(session: &mut Session, label: &str, facts: &Facts, except: &[&str]) {
    let mut lines = BTreeMap::new();
    for name in PLAIN {
        lines.insert(name.to_owned(), facts.at(&format!("/{name}")).to_string());
    }
    for name in STATUS {
        lines.insert(format!("status {name}"), facts.status(name).to_owned());
    }
    lines.insert("dev".to_owned(), devices(facts));
    // podman's own order differs from run to run, and so does a random number.
    let mut env = facts.at("/env").as_array().cloned().unwrap_or_default();
    env.retain(|entry| {
        !entry
            .as_str()
            .is_some_and(|entry| entry.starts_with("container_uuid="))
    });
    env.sort_by_key(Value::to_string);
    lines.insert("env".to_owned(), Value::Array(env).to_string());
    for name in ["tty", "fds"] {
        lines.insert(name.to_owned(), facts.at(&format!("/{name}")).to_string());
    }
    lines.insert("cgroup".to_owned(), facts.text("/cgroup").to_owned());
    lines.insert("namespaces".to_owned(), namespaces(facts));
    lines.insert("interfaces".to_owned(), interfaces(facts));
    for (target, mount) in mounts(facts) {
        lines.insert(format!("mount on {target}"), mount);
    }
    for (name, value) in lines {
        if !except.contains(&name.as_str()) {
            session.note(&format!("{label}: {name}"), &anonymous(&value));
        }
    }
}

/// Device nodes without their owners: some runtimes give the `/dev/null` that is a
/// standard stream to the user. `core` is a link to the masked `/proc/kcore` that the
/// specification does not have.
fn devices(facts: &Facts) -> String {
    let all = facts.at("/dev").as_object().expect("an object");
    let described = all
        .iter()
        .filter(|(name, _)| *name != "core")
        .map(|(name, found)| {
            let found = found.as_str().unwrap_or_default();
            let (kind, _owner) = found.rsplit_once(' ').unwrap_or((found, ""));
            format!("{name} {kind}")
        });
    described.collect::<Vec<_>>().join("\n")
}

/// Mounts without their numbers, by target. Their order is the engine's, and then
/// each runtime's own for masked paths.
///
/// What hides or protects a path differs in options that mean nothing there: an empty
/// directory's size, `nosuid` on a read-only tree of numbers, the mount that a device
/// node came from.
fn mounts(facts: &Facts) -> Vec<(String, String)> {
    let describe = |mount: Mount| {
        let access = if mount.has("ro") { "ro" } else { "rw" };
        let below = |parent: &str| mount.target.starts_with(parent);
        let groups = mount.propagation.iter();
        let groups: Vec<&str> = groups.filter_map(|group| group.split(':').next()).collect();
        // What a mask is made of is the runtime's own matter.
        let kind = match mount.kind.as_str() {
            "tmpfs" | "devtmpfs" if below("/proc/") || below("/sys/") => "mask",
            kind => kind,
        };
        let mut text = format!("{kind} {access} {groups:?}");
        if mount.target == "/sys/fs/cgroup" {
            // Only the directories of a tmpfs: some leave it writable.
            text = mount.kind;
        } else if !below("/proc/") && !below("/sys/") && !is_device(&mount) {
            // The mode that a tmpfs was made with: some change it afterwards.
            let of_all = mount
                .super_options
                .iter()
                .filter(|option| !option.starts_with("mode="));
            let of_all = of_all.map(String::as_str).collect::<Vec<_>>().join(",");
            let own = mount.options.join(",");
            text += &format!(" {} {own} {of_all}", mount.root);
        }
        (mount.target, text)
    };
    facts.mounts().into_iter().map(describe).collect()
}

/// A device node of the machine at its own name, where none can be made.
fn is_device(mount: &Mount) -> bool {
    mount.target == format!("/dev{}", mount.root)
}

/// Which namespaces are the engine's own.
fn namespaces(facts: &Facts) -> String {
    let all = facts.at("/namespaces").as_object().expect("an object");
    let describe = |(name, found): (&String, &Value)| {
        let own = fs::read_link(format!("/proc/self/ns/{name}")).unwrap_or_default();
        let shared = found.as_str().is_some_and(|found| own == *found);
        format!(
            "{name}: {}",
            if shared { "the engine's" } else { "another" }
        )
    };
    all.iter().map(describe).collect::<Vec<_>>().join("\n")
}

fn interfaces(facts: &Facts) -> String {
    let lines = facts.text("/interfaces").lines().skip(2);
    let names = lines.filter_map(|line| line.split_once(':'));
    names
        .map(|(name, _)| name.trim())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Ids of containers and inodes replaced: what is hexadecimal and 64 long, and
/// numbers in brackets.
pub fn anonymous(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hex = rest
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(rest.len());
        let bracketed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        if hex == 64 {
            result += "ID";
            rest = &rest[hex..];
        } else if hex > 0 {
            result += &rest[..hex];
            rest = &rest[hex..];
        } else if let Some((inside, after)) = bracketed
            && !inside.is_empty()
            && inside.chars().all(|c| c.is_ascii_digit())
        {
            result += "[INODE]";
            rest = after;
        } else {
            result.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    result
}
