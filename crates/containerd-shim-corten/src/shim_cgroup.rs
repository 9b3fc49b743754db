//! Where the shim itself stands: its control group, and its place in the order in
//! which the kernel kills when memory is short.

use std::collections::BTreeSet;
use std::path::Path;

/// Puts a process into a control group, in every hierarchy that has it; where none has,
/// it is made in all of them.
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
    let mut directories: Vec<String> = roots
        .iter()
        .map(|root| format!("{root}/{cgroup}"))
        .collect();
    if directories.iter().any(|path| Path::new(path).exists()) {
        // Whoever made it said where.
        directories.retain(|path| Path::new(path).exists());
    } else {
        for root in &roots {
            make(root, cgroup).map_err(|error| format!("ShimCgroup: {root}/{cgroup}: {error}"))?;
        }
    }
    for directory in directories {
        let file = format!("{directory}/cgroup.procs");
        std::fs::write(&file, pid.to_string())
            .map_err(|error| format!("ShimCgroup: {file}: {error}"))?;
    }
    Ok(())
}

/// Makes a control group below `root`, level by level. A new one of `cpuset` on v1 has
/// neither processors nor memory, and takes no process before it has (kernel
/// documentation, cgroup-v1/cpusets).
fn make(root: &str, cgroup: &str) -> std::io::Result<()> {
    let mut directory = root.to_owned();
    for part in cgroup.split('/').filter(|part| !part.is_empty()) {
        let parent = directory.clone();
        directory = format!("{parent}/{part}");
        if Path::new(&directory).exists() {
            continue;
        }
        std::fs::create_dir(&directory)?;
        for name in ["cpuset.cpus", "cpuset.mems"] {
            let file = format!("{directory}/{name}");
            // On v2 an empty one is inherited.
            if std::fs::read_to_string(&file).is_ok_and(|text| text.trim().is_empty())
                && let Ok(inherited) = std::fs::read(format!("{parent}/{name}"))
            {
                std::fs::write(&file, inherited)?;
            }
        }
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
