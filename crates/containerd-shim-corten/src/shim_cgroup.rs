//! Where the shim itself stands: its control group, and its place in the order in
//! which the kernel kills when memory is short.

use std::collections::BTreeSet;

/// Puts a process into a control group of every hierarchy, which is made if need be.
///
/// # Errors
/// One line that names the file. Nothing is done for an empty path.
pub fn place(pid: u32, cgroup: &str) -> Result<(), String> {
    let cgroup = cgroup.trim_matches('/');
    if cgroup.is_empty() {
        return Ok(());
    }
    if cgroup.split('/').any(|part| part == "..") {
        return Err(format!("ShimCgroup: {cgroup:?} leads out of the hierarchy"));
    }
    let facts = libcgroups::probe(true).map_err(|error| format!("ShimCgroup: {error}"))?;
    // Two controllers may be of one hierarchy.
    let roots: BTreeSet<String> = facts
        .v1_mounts
        .into_values()
        .chain(facts.v2_mount)
        .collect();
    for root in roots {
        let directory = format!("{root}/{cgroup}");
        let file = format!("{directory}/cgroup.procs");
        std::fs::create_dir_all(&directory)
            .and_then(|()| std::fs::write(&file, pid.to_string()))
            .map_err(|error| format!("ShimCgroup: {file}: {error}"))?;
    }
    Ok(())
}

/// A shim is to be killed before containerd, and after the containers: its score is
/// one above that of its parent. Failing is no reason not to start.
pub fn rank_for_oom(pid: u32) {
    let parent = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    let Ok(score) = parent.trim().parse::<i32>() else {
        return;
    };
    let score = score.saturating_add(1).min(1000);
    let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string());
}
