//! config-linux.md, "Control groups": where they are, and who is in them.

use std::fs;
use std::path::PathBuf;

use runtime_tests::{Bundle, Case, cgroup_directories, convention, may, must};
use serde_json::json;

const CHAPTER: &str = "config-linux.md: Control groups";

/// The container's directory in the hierarchy of a controller.
pub fn directory(token: &str, controller: &str) -> Option<PathBuf> {
    let v1 = format!("/sys/fs/cgroup/{controller}/");
    let v2 = "/sys/fs/cgroup/";
    cgroup_directories(token).into_iter().find(|path| {
        path.starts_with(&v1) || (path.starts_with(v2) && path.parent() == Some(v2.as_ref()))
    })
}

pub fn has_v1(controller: &str) -> bool {
    fs::metadata(format!("/sys/fs/cgroup/{controller}/cgroup.procs")).is_ok()
}

/// Whether a controller can be asked for in a unified view.
pub fn has_v2(controller: &str) -> bool {
    let list = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    list.split_whitespace().any(|one| one == controller)
}

pub fn sleeper(case: &mut Case) -> Bundle {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    bundle
}

#[must(
    "In the case of an absolute path (starting with /), the runtime MUST take the path to be relative to the cgroups mount point."
)]
fn path_is_below_every_root(case: &mut Case) {
    let bundle = sleeper(case);
    let id = case.launch(&bundle);
    let wanted = bundle.config.0["linux"]["cgroupsPath"]
        .as_str()
        .unwrap()
        .to_owned();
    let text = fs::read_to_string(format!("/proc/{}/cgroup", case.pid(&id))).unwrap();
    for line in text.lines() {
        let path = line.splitn(3, ':').nth(2).unwrap();
        let visible = case.view.is_unified() == line.starts_with("0::");
        assert!(path == wanted || !visible, "{line} in {text}");
    }
    case.destroy(&id);
    assert_eq!(cgroup_directories(case.token()), Vec::<PathBuf>::new());
}

fn own_cgroup(case: &mut Case, path: Option<&str>) {
    case.only_corten();
    let mut bundle = sleeper(case);
    match path {
        Some(path) => bundle.config.set("/linux/cgroupsPath", json!(path)),
        None => bundle.config.remove("/linux", "cgroupsPath"),
    };
    let id = case.launch(&bundle);
    let text = fs::read_to_string(format!("/proc/{}/cgroup", case.pid(&id))).unwrap();
    let wanted = format!("/corten/{id}");
    for line in text.lines() {
        let visible = case.view.is_unified() == line.starts_with("0::");
        assert!(
            line.ends_with(&format!(":{wanted}")) || !visible,
            "{line} in {text}"
        );
    }
    // The caller, who is in a cgroup of his own, lives.
    case.runtime().args(["delete", "--force", &id]).run().ok();
    assert_eq!(cgroup_directories(&id), Vec::<PathBuf>::new());
}

#[may(
    "If the value (cgroupsPath) is not specified, the runtime MAY define the default cgroups path."
)]
fn path_absent_is_one_of_its_own(case: &mut Case) {
    own_cgroup(case, None);
}

#[convention("Engines give an empty `cgroupsPath`; it never means the caller's.")]
fn path_empty_is_one_of_its_own(case: &mut Case) {
    own_cgroup(case, Some(""));
}

#[may(
    "In the case of a relative path (not starting with /), the runtime MAY interpret the path relative to a runtime-determined location in the cgroups hierarchy."
)]
fn path_relative(case: &mut Case) {
    let mut bundle = sleeper(case);
    let path = format!("{}-relative/below", case.token());
    bundle.config.set("/linux/cgroupsPath", json!(path));
    let id = case.launch(&bundle);
    let found = cgroup_directories(case.token());
    assert!(
        found
            .iter()
            .any(|one| one.to_string_lossy().ends_with(&path)),
        "{found:?}"
    );
    case.destroy(&id);
    remove_parents(case);
}

/// Parents that a test's path named stay; take them away.
fn remove_parents(case: &Case) {
    let mut left = cgroup_directories(case.token());
    left.reverse();
    for path in left {
        let _ = fs::remove_dir(path);
    }
}

#[must(
    "If the value is specified, the runtime MUST consistently attach to the same place in the cgroups hierarchy given the same value of cgroupsPath."
)]
fn path_is_the_same_place_each_time(case: &mut Case) {
    let mut bundle = sleeper(case);
    let path = format!("{}-again", case.token());
    bundle.config.set("/linux/cgroupsPath", json!(path));
    let places = [(); 2].map(|()| {
        let id = case.launch(&bundle);
        let found = cgroup_directories(&path);
        case.destroy(&id);
        found
    });
    assert!(!places[0].is_empty());
    assert_eq!(places[0], places[1]);
    remove_parents(case);
}

/// What the kubelet's driver gives: several levels.
#[must(
    "In the case of an absolute path (starting with /), the runtime MUST take the path to be relative to the cgroups mount point."
)]
fn path_of_several_levels(case: &mut Case) {
    let mut bundle = sleeper(case);
    let path = format!("/{}-pods/burstable/pod1/{}", case.token(), "c".repeat(64));
    bundle.config.set("/linux/cgroupsPath", json!(path));
    let id = case.launch(&bundle);
    let found = cgroup_directories(case.token());
    assert!(
        found
            .iter()
            .any(|one| one.to_string_lossy().ends_with(&path)),
        "{found:?}"
    );
    case.destroy(&id);
    let found = cgroup_directories(case.token());
    assert!(
        !found
            .iter()
            .any(|one| one.to_string_lossy().ends_with(&path)),
        "{found:?}"
    );
    remove_parents(case);
}

#[convention("The form for systemd, without systemd: a name like any other.")]
fn path_with_colons(case: &mut Case) {
    let mut bundle = sleeper(case);
    bundle.config.set(
        "/linux/cgroupsPath",
        json!(format!("/{}:with:colons", case.token())),
    );
    let id = case.launch(&bundle);
    assert!(!cgroup_directories(case.token()).is_empty());
    case.destroy(&id);
}

/// What the container made in its cgroup goes with it.
#[must("Deleting a container MUST delete the resources that were created during the create step.")]
fn cgroup_is_removed_with_its_children(case: &mut Case) {
    let bundle = sleeper(case);
    let id = case.launch(&bundle);
    for path in cgroup_directories(case.token()) {
        fs::create_dir_all(path.join("child/grandchild")).unwrap();
    }
    case.destroy(&id);
    assert_eq!(cgroup_directories(case.token()), Vec::<PathBuf>::new());
}

#[convention("A cgroup with strangers in it is not taken over.")]
fn create_refuses_a_busy_cgroup(case: &mut Case) {
    let bundle = sleeper(case);
    let id = case.launch(&bundle);
    let mut other = case.bundle();
    other.config.set(
        "/linux/cgroupsPath",
        bundle.config.0["linux"]["cgroupsPath"].clone(),
    );
    let second = case.run(&other);
    if case.is_corten() {
        second.exits(1).says("linux.cgroupsPath");
    }
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

/// Every process of the container, from the first instruction on.
#[must(
    "cgroupsPath (string, OPTIONAL) path to the cgroups. It can be used to ... control the cgroups hierarchy for containers ..."
)]
fn program_is_inside(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.without_namespace("cgroup");
    let facts = case.facts(&bundle);
    let wanted = bundle.config.0["linux"]["cgroupsPath"]
        .as_str()
        .unwrap()
        .to_owned();
    let inside = facts
        .text("/cgroup")
        .lines()
        .filter(|line| line.ends_with(&wanted))
        .count();
    assert!(inside >= 1, "{}", facts.text("/cgroup"));
    if !case.view.is_unified() {
        for controller in ["memory", "pids", "cpu", "devices", "freezer"]
            .iter()
            .filter(|one| has_v1(one))
        {
            let line = facts
                .text("/cgroup")
                .lines()
                .find(|line| line.split(':').nth(1) == Some(controller));
            assert!(
                line.is_some_and(|line| line.ends_with(&wanted)),
                "{controller}: {line:?}"
            );
        }
    }
}

#[must("cgroup: the container will have an isolated view of the cgroup hierarchy.")]
fn namespace_hides_the_path(case: &mut Case) {
    let bundle = case.bundle();
    let facts = case.facts(&bundle);
    let text = facts.text("/cgroup").to_owned();
    assert!(!text.contains(case.token()), "{text}");
    assert!(text.lines().any(|line| line.ends_with(":/")), "{text}");
}
