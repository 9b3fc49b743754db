//! `linux.sysctl`: only what belongs to a namespace of the container.

use std::collections::BTreeMap;

use super::Context;
use crate::error::quote;
use crate::{ConfigPath, InitOp, NamespaceKind, PlanError, Problem};

/// `kernel.*` sysctls that the ipc namespace holds, ipc_namespaces(7).
const IPC: [&str; 8] = [
    "msgmax",
    "msgmnb",
    "msgmni",
    "sem",
    "shmall",
    "shmmax",
    "shmmni",
    "shm_rmid_forced",
];

/// Adds one step for each sysctl, sorted by name: a JSON object has no order, and
/// a plan must not change from run to run.
pub(crate) fn build(context: &mut Context<'_>) {
    let all = context.linux().and_then(|l| l.sysctl().as_ref());
    let sorted: BTreeMap<&String, &String> = all.into_iter().flatten().collect();
    let mut seen: Vec<(String, ConfigPath)> = Vec::new();
    for (name, value) in sorted {
        let at = ConfigPath::new("linux.sysctl").key(name);
        let Some(file) = path_of(name) else {
            let wanted = "a name like net.ipv4.ip_forward";
            context.problem(PlanError::invalid(at, wanted, quote(name)));
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == file) {
            let problem = Problem::Duplicate {
                what: "sysctl",
                found: file,
                first: first.clone(),
            };
            context.problem(PlanError::new(at, problem));
            continue;
        }
        seen.push((file.clone(), at.clone()));
        if let Some(refusal) = refuse(context, name, &file) {
            context.problem(PlanError::conflict(at, refusal));
        } else if value.is_empty() {
            // write(2) of nothing would silently change nothing.
            context.problem(PlanError::invalid(at, "a value", "\"\""));
        } else {
            let value = value.clone();
            context.init(at, InitOp::WriteSysctl { file, value });
        }
    }
}

/// Why this sysctl may not be written, or `None`.
fn refuse(context: &Context<'_>, name: &str, file: &str) -> Option<String> {
    let (top, rest) = file.split_once('/')?;
    let (kind, word) = match top {
        "kernel" if rest == "hostname" => {
            return Some("is set by the property hostname, not by a sysctl".to_owned());
        }
        "kernel" if rest == "domainname" => (NamespaceKind::Uts, "uts"),
        "kernel" if IPC.contains(&rest) => (NamespaceKind::Ipc, "ipc"),
        "fs" if rest.starts_with("mqueue/") => (NamespaceKind::Ipc, "ipc"),
        "net" => (NamespaceKind::Network, "network"),
        "user" => (NamespaceKind::User, "user"),
        _ => {
            return Some(format!(
                "sysctl {} is not in a separate kernel namespace",
                quote(name)
            ));
        }
    };
    if context.has(kind) {
        return None;
    }
    Some(format!(
        "sysctl {} is not in a separate kernel namespace: it needs a {word} namespace in linux.namespaces",
        quote(name)
    ))
}

/// The path below `/proc/sys`. As sysctl(8) reads names: the first separator
/// decides, and in the dotted form a slash stands for a dot in an interface's
/// name (`net.ipv4.conf.eth0/100.rp_filter`).
fn path_of(name: &str) -> Option<String> {
    let path = match name.find(['.', '/']) {
        Some(at) if name.as_bytes().get(at) == Some(&b'.') => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect(),
        Some(_) => name.to_owned(),
        None => return None,
    };
    let good = |part: &str| !matches!(part, "" | "." | "..");
    path.split('/').all(good).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::path_of;

    #[test]
    fn both_notations() {
        for (name, path) in [
            ("net.ipv4.ip_forward", Some("net/ipv4/ip_forward")),
            ("net/ipv4/ip_forward", Some("net/ipv4/ip_forward")),
            (
                "net.ipv4.conf.eth0/100.rp_filter",
                Some("net/ipv4/conf/eth0.100/rp_filter"),
            ),
            (
                "net/ipv4/conf/eth0.100/rp_filter",
                Some("net/ipv4/conf/eth0.100/rp_filter"),
            ),
            ("kernel", None),
            ("", None),
            ("net..x", None),
            ("net/../kernel/core_pattern", None),
            ("net.//.kernel.core_pattern", None),
            ("/net/x", None),
        ] {
            assert_eq!(path_of(name).as_deref(), path, "{name}");
        }
    }
}
