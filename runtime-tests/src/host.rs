//! Whether the host is as it was: processes, cgroups, mounts, state.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::command::was_spawned;
use crate::pace::paced;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Whether a process runs (a zombie does not).
pub fn process_is_alive(pid: i32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name in parentheses may hold anything, parentheses included.
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

/// Living descendants of this process, with their command lines; the dead are reaped.
pub fn descendants() -> BTreeMap<i32, String> {
    reap();
    descendants_of(std::process::id().cast_signed())
}

/// Living descendants of `ancestor`, with their command lines.
pub(crate) fn descendants_of(ancestor: i32) -> BTreeMap<i32, String> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        if let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok())
            && let Some((state, parent)) = state_and_parent(pid)
            && state != 'Z'
        {
            parents.insert(pid, parent);
        }
    }
    let descends = |mut pid: i32| {
        while let Some(parent) = parents.get(&pid) {
            if *parent == ancestor {
                return true;
            }
            pid = *parent;
        }
        false
    };
    let found = parents.keys().copied().filter(|pid| descends(*pid));
    found.map(|pid| (pid, command_line(pid))).collect()
}

fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// Reaps every zombie child of this process (a subreaper).
pub(crate) fn reap() {
    while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
}

/// Reaps zombie children until the next one is `spared`, whose status somebody wants;
/// returns that one.
pub(crate) fn reap_all_but(spared: &[i32]) -> Option<i32> {
    use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) = waitid(Id::All, peek)
    {
        if spared.contains(&pid.as_raw()) {
            return Some(pid.as_raw());
        }
        let _ = waitpid(Pid::from_raw(pid.as_raw()), WaitOptions::NOHANG);
    }
    None
}

/// Reaps the zombies that were left to this process (a subreaper), but for `pid` and
/// the programs that a test has started itself.
pub(crate) fn reap_orphans(but_for: i32) {
    let own = std::process::id().cast_signed();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_string_lossy().parse::<i32>().ok();
        let Some(pid) = pid.filter(|pid| *pid != but_for && !was_spawned(*pid)) else {
            continue;
        };
        if state_and_parent(pid) == Some(('Z', own)) {
            let _ = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG);
        }
    }
}

/// Waits a little for descendants to go; returns those that stay.
pub fn wait_for_no_descendants(limit: Duration) -> BTreeMap<i32, String> {
    let end = Instant::now() + paced(limit);
    loop {
        let left = descendants();
        if left.is_empty() || Instant::now() > end {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends the given processes; each was found as a descendant of ours.
pub(crate) fn end(processes: &BTreeMap<i32, String>) {
    for pid in processes.keys() {
        if let Some(pid) = Pid::from_raw(*pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Mount points of all cgroup hierarchies in this view.
fn hierarchies() -> Vec<PathBuf> {
    own_mounts()
        .lines()
        .filter(|line| line.contains(" - cgroup"))
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .filter(|path| path.starts_with("/sys/fs/cgroup"))
        .collect()
}

fn own_mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

/// Every cgroup directory whose path below its hierarchy contains `token`.
pub fn cgroup_directories(token: &str) -> Vec<PathBuf> {
    fn walk(directory: &Path, token: &str, depth: usize, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&path, token, depth - 1, found);
                if path.to_string_lossy().contains(token) {
                    found.push(path);
                }
            }
        }
    }
    let mut found = Vec::new();
    for hierarchy in hierarchies() {
        walk(&hierarchy, token, 6, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// Removes cgroups that a failed test left, deepest first, with what runs in them.
pub(crate) fn remove_cgroups(token: &str) {
    for _ in 0..100 {
        let mut left = cgroup_directories(token);
        if left.is_empty() {
            return;
        }
        left.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        for path in left {
            let freezer = path.join("freezer.state");
            if freezer.exists() {
                let _ = fs::write(freezer, "THAWED");
            }
            end(&processes_in(&path));
            let _ = fs::remove_dir(path);
        }
        reap();
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// A cgroup of this test holds only processes of its containers.
fn processes_in(cgroup: &Path) -> BTreeMap<i32, String> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let pids = text.lines().filter_map(|line| line.parse::<i32>().ok());
    pids.filter(|pid| *pid > 1)
        .map(|pid| (pid, command_line(pid)))
        .collect()
}

/// Mounts of this mount namespace that mention `path`.
pub fn mounts_below(path: &Path) -> Vec<PathBuf> {
    let path = path.to_string_lossy();
    own_mounts()
        .lines()
        .filter(|line| line.contains(path.as_ref()))
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .collect()
}

/// Detaches mounts that a failed test left.
pub(crate) fn unmount_below(path: &Path) {
    for target in mounts_below(path).into_iter().rev() {
        let _ = rustix::mount::unmount(&target, rustix::mount::UnmountFlags::DETACH);
    }
}
