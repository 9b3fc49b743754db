//! `corten logs`: a runtime keeps no output. Who keeps it can be told.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::existing;
use crate::cli::Global;
use crate::report::{self, CommandError};

/// Annotation by which podman and CRI-O mark what is theirs.
const MANAGER: &str = "io.container.manager";

/// Prints where the streams of the container's init lead, and whom to ask for them.
#[inline(never)]
pub fn logs(global: &Global, id: &str) -> Result<(), CommandError> {
    let state = libcontainer::state(&existing(global, id)?, id)?;
    let mut text =
        "A runtime hands the streams of its caller to the container and keeps no output.\n"
            .to_owned();
    if state.pid > 0 {
        for (number, name) in [(1, "standard output"), (2, "standard error")] {
            text += &format!("{name}: {}\n", describe(state.pid, number));
        }
    } else {
        text += "The container has stopped; what it wrote is where its streams led.\n";
    }
    let manager = state.annotations.get(MANAGER).map(String::as_str);
    text += &match manager {
        Some("libpod") => format!("It belongs to podman: podman logs {id}\n"),
        Some("cri-o") => format!("It belongs to CRI-O: crictl logs {id}\n"),
        _ => match engine_of(&state.bundle) {
            Some(advice) => format!("It belongs to an engine: {advice} {id}\n"),
            None => {
                "To keep it, send it somewhere when you start it: corten run ... >out.log 2>&1\n"
                    .to_owned()
            }
        },
    };
    report::print(&text)
}

/// Where a descriptor of a process leads.
fn describe(pid: i32, number: i32) -> String {
    let path = format!("/proc/{pid}/fd/{number}");
    let target = match fs::read_link(&path) {
        Ok(target) => target.to_string_lossy().into_owned(),
        Err(error) => return format!("cannot be seen: {}", report::reason(&error)),
    };
    if target.starts_with("pipe:") || target.starts_with("socket:") {
        return match holder_of(&target, pid) {
            Some(holder) => format!("{target}, held at the other end by {holder}"),
            None => target,
        };
    }
    if target.starts_with("/dev/pts/") || target == "/dev/console" {
        return format!("the terminal {target} of the container");
    }
    if target == "/dev/null" {
        return "/dev/null: it is thrown away".to_owned();
    }
    let same = match (fs::metadata(&path), fs::metadata(&target)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    };
    if same {
        format!("{target} (tail -f {target})")
    } else {
        format!("{target} in the container (tail -f /proc/{pid}/root{target})")
    }
}

/// Another process that has the pipe open, `process 4711 (conmon)`.
fn holder_of(pipe: &str, not: i32) -> Option<String> {
    let processes = fs::read_dir("/proc").ok()?;
    let own = std::process::id().cast_signed();
    let mut holders: Vec<i32> = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != not && *pid != own && has_open(*pid, pipe))
        .collect();
    holders.sort_unstable();
    let pid = holders.first()?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("process {pid} ({})", name.trim()))
}

fn has_open(pid: i32, pipe: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|target| target == Path::new(pipe))
}

/// Engines can be told by where they keep their bundles.
fn engine_of(bundle: &str) -> Option<&'static str> {
    let table = [
        ("/moby/", "docker logs"),
        ("/k8s.io/", "crictl logs"),
        (
            "io.containerd.runtime",
            "whoever called containerd has it, see `ctr task ls`; its id is",
        ),
    ];
    let found = table.iter().find(|(part, _)| bundle.contains(part));
    found.map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::engine_of;

    #[test]
    fn engines_are_told_by_their_bundles() {
        let docker = "/run/containerd/io.containerd.runtime.v2.task/moby/abc";
        assert_eq!(engine_of(docker), Some("docker logs"));
        assert_eq!(engine_of("/home/me/b"), None);
    }
}
