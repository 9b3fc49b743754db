//! What a kernel older than the newest one does not have: a configuration that asks for it
//! fails with the words of docs/kernel-features.md, and what is only made use of is missed
//! by nobody. Debian 12's Linux 6.1 is such a kernel.

use std::path::Path;

use runtime_tests::{Bundle, Case, convention, should, skip};
use serde_json::json;

use crate::machine::{read, require};

const CHAPTER: &str = "older kernels";

const PAGE: &str = include_str!("../../../docs/kernel-features.md");

/// Rows of the page whose errors are looked for here, and since when no kernel that was
/// built with everything gives them.
const ERRORS: [(&str, (u32, u32)); 5] = [
    ("idmapped mounts", (6, 3)),
    ("options of file systems", (6, 4)),
    ("sysctls", (6, 5)),
    ("files of cgroup v2", (6, 8)),
    ("weighted interleaving", (6, 9)),
];

/// The oldest kernel that has all that is needed.
const OLDEST: (u32, u32) = (5, 14);

/// `(6, 1)` of `6.1.0-50-cloud-amd64`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit());
        part[..end.unwrap_or(part.len())].parse().ok()
    });
    Some((numbers.next()??, numbers.next()??))
}

fn kernel() -> (u32, u32) {
    version(&read(Path::new("/proc/sys/kernel/osrelease"))).expect("a version")
}

/// Feature, since, used for, without it.
fn rows() -> impl Iterator<Item = [&'static str; 4]> {
    PAGE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let mut next = || cells.next();
        Some([next()?, next()?, next()?, next()?.trim_end_matches(" |")])
    })
}

/// What the page quotes of the error that a feature's absence is.
#[track_caller]
fn words(feature: &str) -> &'static str {
    let row = rows().find(|row| row[0] == feature);
    let [.., without] = row.unwrap_or_else(|| panic!("the page has no row {feature:?}"));
    let quoted = without.split('"').nth(1);
    quoted.unwrap_or_else(|| panic!("no words of the error in {without:?}"))
}

/// Skips where the kernel has the feature, or the machine is no such one.
fn without(case: &Case, feature: &str) {
    require(case);
    let found = ERRORS.iter().find(|(name, _)| *name == feature);
    let since = found.expect("a feature of the list").1;
    if kernel() >= since {
        skip(&format!("Linux has this since {}.{}", since.0, since.1));
    }
}

/// The container is refused with the page's words and the path of what asked for it, and
/// leaves nothing.
#[track_caller]
fn is_refused(case: &mut Case, bundle: &Bundle, feature: &str, path: &str) {
    let id = case.id();
    bundle.write();
    let run = case.run_command(bundle, &id, &[]).run().fails();
    run.says(words(feature)).says(path);
    let left = case.runtime().args(["state", &id]).run();
    left.fails().says("does not exist");
}

#[should("A mapping of a new tmpfs is refused at its option before Linux 6.3.")]
fn idmapped_tmpfs(case: &mut Case) {
    let feature = "idmapped mounts";
    without(case, feature);
    let mut bundle = case.bundle();
    let mapped = "idmap=uids=0-1000-10;gids=0-1000-10";
    bundle
        .config
        .mount("/mnt", "tmpfs", "tmpfs", &["nosuid", mapped]);
    is_refused(case, &bundle, feature, ".options[1]");
}

#[should("An option that the file system is too old for is refused in its words.")]
fn options_of_file_systems(case: &mut Case) {
    let feature = "options of file systems";
    without(case, feature);
    let mut bundle = case.bundle();
    bundle
        .config
        .mount("/mnt", "tmpfs", "tmpfs", &["nosuid", "noswap"]);
    is_refused(case, &bundle, feature, ".options[1]");
}

#[should("A sysctl that came later is refused.")]
fn sysctl(case: &mut Case) {
    let feature = "sysctls";
    without(case, feature);
    let mut bundle = case.bundle();
    let name = "net.ipv4.tcp_syn_linear_timeouts";
    bundle.config.set("/linux/sysctl", json!({name: "1"}));
    is_refused(case, &bundle, feature, name);
}

#[should("A file of cgroup v2 that came later is refused.")]
fn unified(case: &mut Case) {
    let feature = "files of cgroup v2";
    without(case, feature);
    let mut bundle = case.bundle();
    let name = "memory.zswap.writeback";
    bundle
        .config
        .set("/linux/resources", json!({"unified": {name: "1"}}));
    is_refused(case, &bundle, feature, "linux.resources.unified");
}

#[should("A memory policy that came later is refused.")]
fn memory_policy(case: &mut Case) {
    let feature = "weighted interleaving";
    without(case, feature);
    if !Path::new("/proc/self/numa_maps").exists() {
        skip("the kernel knows no NUMA nodes");
    }
    let mut bundle = case.bundle();
    let policy = json!({"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"});
    bundle.config.set("/linux/memoryPolicy", policy);
    is_refused(case, &bundle, feature, "linux.memoryPolicy");
}

#[should("Utilization clamps are refused by a kernel that was built without them.")]
fn utilization_clamps(case: &mut Case) {
    require(case);
    if Path::new("/proc/sys/kernel/sched_util_clamp_min").exists() {
        skip("this kernel has utilization clamps");
    }
    let mut bundle = case.bundle();
    let scheduler = json!({
        "policy": "SCHED_OTHER",
        "flags": ["SCHED_FLAG_UTIL_CLAMP_MIN"],
    });
    bundle.config.set("/process/scheduler", scheduler);
    is_refused(case, &bundle, "utilization clamps", "process.scheduler");
}

#[should("linux.intelRdt is refused without resctrl.")]
fn resctrl(case: &mut Case) {
    require(case);
    if read(Path::new("/proc/self/mounts")).contains(" resctrl ") {
        skip("resctrl is mounted on this machine");
    }
    let mut bundle = case.bundle();
    let class = json!({"closID": "gold", "l3CacheSchema": "L3:0=f"});
    bundle.config.set("/linux/intelRdt", class);
    let feature = "resctrl, mounted on `/sys/fs/resctrl`";
    is_refused(case, &bundle, feature, "linux.intelRdt");
}

#[convention("What is only made use of is missed by nobody, and `doctor` tells of it.")]
fn what_is_done_without(case: &mut Case) {
    case.only_corten();
    require(case);
    let missing: Vec<_> = ["`F_SEAL_EXEC`", "`fchmodat2`"]
        .into_iter()
        .map(|feature| rows().find(|row| row[0] == feature).expect("a row"))
        .filter(|[_, since, ..]| version(since) > Some(kernel()))
        .collect();
    if missing.is_empty() {
        skip("this kernel has all that can be made use of");
    }
    let bundle = case.bundle();
    case.run(&bundle).ok();
    let told = case.runtime().args(["doctor"]).run().stdout;
    let (major, minor) = kernel();
    for [feature, since, _, without] in missing {
        assert!(!without.starts_with("error"), "{feature}: {without}");
        let name = feature.trim_matches('`');
        let found = format!("not in Linux {major}.{minor}, since {since}");
        let line = told.lines().find(|line| line.contains(name));
        let line = line.unwrap_or_else(|| panic!("doctor does not tell of {name}: {told}"));
        assert!(line.contains(&found), "{line}");
    }
}

/// Runs everywhere: it is about the page.
#[convention("Every error of the page that a supported kernel can give is looked for here.")]
fn the_page_has_no_other_errors(_case: &mut Case) {
    for [feature, since, _, without] in rows() {
        let versions = since.split([' ', '(', ')', ',', ';', ':']);
        let newest = versions.filter_map(version).max();
        if newest.is_some_and(|version| version > OLDEST) && without.starts_with("error") {
            let known = ERRORS.iter().find(|(name, _)| *name == feature);
            assert_eq!(known.map(|(_, since)| *since), newest, "{feature}");
            assert!(!words(feature).is_empty());
        }
    }
}
