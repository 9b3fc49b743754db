//! Annotations of crun that engines write, and which change what is done.

use std::fs;
use std::os::fd::AsRawFd;

use runtime_tests::{Case, ConsoleSocket, Facts, convention, skip};
use serde_json::json;

const CHAPTER: &str = "config.md: Annotations of engines";

fn only_where_they_are_known(case: &Case) {
    if case.version().starts_with("runc ") {
        skip("annotations of crun, which runc does not act on");
    }
}

/// What the probe sees under a caller with groups; the annotation, if it is there, is
/// that of keeping them.
pub fn facts_of_a_caller_with_groups(case: &mut Case, annotation: Option<&str>) -> Facts {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/probe", "facts"]);
    if let Some(value) = annotation {
        let all = json!({"run.oci.keep_original_groups": value});
        bundle.config.set("/annotations", all);
    }
    bundle.write();
    let id = case.id();
    let (path, root) = (bundle.path.to_string_lossy(), case.state_root());
    let run = case
        .program("setpriv")
        .args(["--groups", "777,778", case.runtime_path()])
        .args([
            "--root",
            &root.to_string_lossy(),
            "run",
            "--bundle",
            &path,
            &id,
        ]);
    Facts::parse(&run.run().ok().stdout)
}

#[convention("run.oci.keep_original_groups=1: the supplementary groups of the caller stay.")]
fn the_callers_groups_are_kept(case: &mut Case) {
    only_where_they_are_known(case);
    let facts = facts_of_a_caller_with_groups(case, Some("1"));
    assert_eq!(facts.at("/groups"), &json!([777, 778]));
    let facts = facts_of_a_caller_with_groups(case, None);
    assert_eq!(facts.at("/groups"), &json!([]));
}

#[convention("run.oci.pidfd_receiver: a pidfd of the container's init is sent to this socket.")]
fn a_pidfd_is_sent(case: &mut Case) {
    only_where_they_are_known(case);
    if case.version().starts_with("crun version 1.8") {
        skip("an annotation that came after this version");
    }
    let socket = ConsoleSocket::listen(&case.directory);
    let mut bundle = case.bundle();
    let all = json!({"run.oci.pidfd_receiver": socket.path.to_string_lossy()});
    bundle.config.set("/annotations", all);
    let id = case.create(&bundle);
    let pidfd = socket.receive().master;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    let wanted = format!("Pid:\t{}", case.pid(&id));
    assert!(info.lines().any(|line| line == wanted), "{info}");
    case.destroy(&id);
}
