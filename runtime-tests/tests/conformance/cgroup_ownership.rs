//! config-linux.md, "Cgroup ownership", and the sub-cgroup of an annotation.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use runtime_tests::{Bundle, Case, convention, must, should, skip};
use serde_json::json;

use crate::cgroups::directory;

const CHAPTER: &str = "config-linux.md: Cgroup ownership";

/// What may be given away, cgroups(7).
const DELEGATE: &str = "/sys/kernel/cgroup/delegate";

/// Those of the default config's mount at /sys/fs/cgroup.
const OPTIONS: &str = "/mounts/6/options";

/// Cgroup v2, writable in the container, and a user who is somebody outside.
fn writable(case: &mut Case) -> Bundle {
    if !case.view.is_unified() {
        skip("cgroup v1 is not given away");
    }
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    bundle.config.set(OPTIONS, json!(["nosuid", "rw"]));
    bundle.config.args(&["sleep", "1000"]);
    bundle
}

fn own_directory(case: &Case) -> PathBuf {
    directory(case.token(), "unified").expect("the container's cgroup")
}

fn owner(path: &Path) -> u32 {
    let found = fs::metadata(path);
    found
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .uid()
}

#[track_caller]
fn stays_with_root(case: &mut Case, bundle: &Bundle) {
    let id = case.create(bundle);
    let directory = own_directory(case);
    for name in ["", "cgroup.procs", "cgroup.subtree_control"] {
        assert_eq!(owner(&directory.join(name)), 0, "{name}");
    }
    case.destroy(&id);
}

#[should(
    "Runtimes SHOULD change the cgroup ownership if and only if the cgroup filesystem is to be mounted read/write."
)]
fn a_writable_cgroup_is_given_to_the_user(case: &mut Case) {
    let mut bundle = writable(case);
    bundle
        .config
        .set("/process/user", json!({"uid": 7, "gid": 7}));
    let id = case.create(&bundle);
    let directory = own_directory(case);
    for name in ["", "cgroup.procs", "cgroup.subtree_control"] {
        assert_eq!(owner(&directory.join(name)), 100_007, "{name}");
    }
    case.destroy(&id);
}

#[should(
    "A runtime that changes the cgroup ownership SHOULD only change the ownership of the container's cgroup directory and files within that directory that are listed in /sys/kernel/cgroup/delegate."
)]
fn only_what_may_be_delegated_is_given_away(case: &mut Case) {
    let Ok(list) = fs::read_to_string(DELEGATE) else {
        skip("the kernel has no list of files that may be delegated");
    };
    let bundle = writable(case);
    let id = case.create(&bundle);
    let directory = own_directory(case);
    assert_eq!(owner(&directory), 100_000);
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let listed = list.lines().any(|line| line == name);
        assert_eq!(owner(&path), if listed { 100_000 } else { 0 }, "{name}");
    }
    assert_eq!(owner(directory.parent().unwrap()), 0);
    case.destroy(&id);
}

#[must(
    "Note that not all files listed in /sys/kernel/cgroup/delegate necessarily exist in every cgroup. Runtimes MUST NOT fail in this scenario ..."
)]
fn a_listed_file_may_be_missing(case: &mut Case) {
    let bundle = writable(case);
    let id = case.create(&bundle);
    let directory = own_directory(case);
    let list = fs::read_to_string(DELEGATE).unwrap_or_default();
    if list.lines().all(|name| directory.join(name).exists()) {
        case.destroy(&id);
        skip("every listed file exists here");
    }
    case.start(&id);
    case.destroy(&id);
}

#[should(
    "A runtime SHOULD NOT change the ownership of a container cgroup unless it will also create a new cgroup namespace for the container."
)]
fn without_a_namespace_it_stays(case: &mut Case) {
    let mut bundle = writable(case);
    bundle.config.without_namespace("cgroup");
    stays_with_root(case, &bundle);
}

#[should(
    "Runtimes SHOULD change the cgroup ownership if and only if the cgroup filesystem is to be mounted read/write ... If the configuration does not specify such a mount, the runtime SHOULD NOT change the cgroup ownership."
)]
fn a_read_only_cgroup_stays(case: &mut Case) {
    let mut bundle = writable(case);
    bundle.config.set(OPTIONS, json!(["nosuid", "ro"]));
    stays_with_root(case, &bundle);
}

#[should(
    "Runtimes SHOULD NOT change the ownership of container cgroups when cgroups v1 is in use."
)]
fn v1_stays(case: &mut Case) {
    if case.view.is_unified() {
        skip("cgroup v2 alone");
    }
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    bundle.config.set(OPTIONS, json!(["nosuid", "rw"]));
    bundle.config.args(&["sleep", "1000"]);
    let id = case.create(&bundle);
    let all = runtime_tests::cgroup_directories(case.token());
    assert!(!all.is_empty());
    for directory in all {
        assert_eq!(owner(&directory), 0, "{}", directory.display());
    }
    case.destroy(&id);
}

#[convention("A user who was given a cgroup makes others below it, and moves into them.")]
fn the_user_manages_its_cgroup(case: &mut Case) {
    let mut bundle = writable(case);
    let line =
        "cd /sys/fs/cgroup && mkdir below && echo 0 > below/cgroup.procs && cat /proc/self/cgroup";
    let seen = case.shell(&mut bundle, line);
    assert!(seen.lines().any(|line| line == "0::/below"), "{seen}");
}

#[convention(
    "run.oci.delegate-cgroup: the program starts in this cgroup below the container's, which belongs to its user."
)]
fn a_delegated_cgroup(case: &mut Case) {
    case.only_corten();
    let mut bundle = writable(case);
    let all = json!({"run.oci.delegate-cgroup": "init.scope"});
    bundle.config.set("/annotations", all);
    let line = "cat /proc/self/cgroup; ls -d /sys/fs/cgroup/init.scope; exec sleep 1000";
    bundle.config.shell(line);
    let id = case.id();
    bundle.write();
    let run = case.run_command(&bundle, &id, &[]).spawn();
    case.until("the program has spoken", || {
        run.output().contains("init.scope\n")
    });
    assert!(
        run.output().contains("0::/init.scope\n"),
        "{}",
        run.output()
    );
    let directory = own_directory(case);
    assert_eq!(owner(&directory.join("init.scope")), 100_000);
    let pid = case.pid(&id).to_string();
    let procs = directory.join("init.scope/cgroup.procs");
    // What the shell has started before may not be gone yet.
    case.until("its program is alone there", || {
        fs::read_to_string(&procs).unwrap().trim() == pid
    });
    // Whatever ends or counts the container's processes finds them there.
    let pids = case
        .runtime()
        .args(["ps", "--format", "json", &id])
        .run()
        .ok();
    assert!(pids.stdout.contains(&pid), "{}", pids.describe());
    case.runtime().args(["kill", &id, "KILL"]).run().ok();
    run.finish().exits(137);
}
