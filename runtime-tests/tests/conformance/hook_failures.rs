//! runtime.md, "Lifecycle": what a hook that fails, or never ends, means for the container.

use runtime_tests::{Case, convention, must};
use serde_json::{Value, json};

use crate::hooks::{KINDS, log, read};

const CHAPTER: &str = "runtime.md: Failing hooks";

/// A hook that never ends, and may take a second.
fn endless() -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", "exec sleep 1000"], "timeout": 1})
}

#[must(
    "If any prestart hook fails, the runtime MUST generate an error, stop the container, and continue the lifecycle at step 12 (the container MUST be destroyed by undoing the steps performed during create phase)."
)]
fn failing_prestart(case: &mut Case) {
    undoes_all(case, "prestart");
}

#[must(
    "If any createRuntime hook fails, the runtime MUST generate an error, stop the container, and continue the lifecycle at step 12 (the container MUST be destroyed by undoing the steps performed during create phase)."
)]
fn failing_create_runtime(case: &mut Case) {
    undoes_all(case, "createRuntime");
}

#[must(
    "If any createContainer hook fails, the runtime MUST generate an error, stop the container, and continue the lifecycle at step 12 (the container MUST be destroyed by undoing the steps performed during create phase)."
)]
fn failing_create_container(case: &mut Case) {
    undoes_all(case, "createContainer");
}

fn undoes_all(case: &mut Case, kind: &str) {
    case.works();
    let mut bundle = case.bundle();
    bundle.config.hook(kind, "cat > /dev/null; exit 3");
    bundle.write();
    let id = case.id();
    case.create_command(&bundle, &id, &[]).run().fails();
    case.runtime().args(["state", &id]).run().fails();
}

#[must(
    "If any startContainer hook fails, the runtime MUST generate an error, stop the container, and continue the lifecycle at step 12."
)]
fn failing_start_container(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    bundle
        .config
        .hook("startContainer", "cat > /dev/null; exit 3")
        .hook(
            "poststop",
            &format!("cat > /dev/null; echo it ran > {}/poststop", log.display()),
        )
        .shell("echo ran > /log/program");
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    let finished = case.runtime().args(["start", &id]).run();
    case.wait(pid);
    assert!(!log.join("program").exists());
    let left = case.runtime().args(["state", &id]).run();
    case.runtime().args(["delete", "--force", &id]).run().ok();
    let finished = finished.fails();
    if case.is_corten() {
        finished.says("hooks.startContainer[0]");
    }
    left.fails();
    assert_eq!(read(&log, "poststop"), "it ran\n");
}

#[must(
    "If any poststart hook fails, the runtime MUST generate an error, stop the container, and continue the lifecycle at step 12."
)]
fn failing_poststart(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    bundle
        .config
        .hook("poststart", "cat > /dev/null; exit 3")
        .hook(
            "poststop",
            &format!("cat > /dev/null; echo it ran > {}/poststop", log.display()),
        )
        .args(&["sleep", "1000"]);
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    let finished = case.runtime().args(["start", &id]).run();
    let left = case.runtime().args(["state", &id]).run();
    case.runtime().args(["delete", "--force", &id]).run().ok();
    case.wait(pid);
    let finished = finished.fails();
    if case.is_corten() {
        finished.says("hooks.poststart[0]");
    }
    left.fails();
    assert_eq!(read(&log, "poststop"), "it ran\n");
}

#[must(
    "If any poststop hook fails, the runtime MUST log a warning, but the remaining hooks and lifecycle continue as if the hook had succeeded."
)]
fn failing_poststop_is_a_warning(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    bundle
        .config
        .hook("poststop", "cat > /dev/null; exit 3")
        .hook(
            "poststop",
            &format!("echo second > {}/second", log.display()),
        );
    bundle.config.shell("sleep 1000");
    let id = case.launch(&bundle);
    case.kill(&id);
    let finished = case.runtime().args(["delete", &id]).run();
    case.runtime().args(["state", &id]).run().fails();
    finished.ok();
    assert_eq!(read(&log, "second"), "second\n");
}

#[must("timeout (int, OPTIONAL) is the number of seconds before aborting the hook.")]
fn timeout_of_create(case: &mut Case) {
    case.works();
    for kind in &KINDS[..3] {
        let mut bundle = case.bundle();
        bundle.config.push(&format!("/hooks/{kind}"), endless());
        bundle.write();
        let id = case.id();
        let finished = case.create_command(&bundle, &id, &[]).run().fails();
        assert!(finished.took.as_secs() < 30, "{}", finished.describe());
    }
}

#[must("timeout (int, OPTIONAL) is the number of seconds before aborting the hook.")]
fn timeout_of_start_container(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    bundle
        .config
        .push("/hooks/startContainer", endless())
        .shell("echo ran > /log/program");
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    let finished = case.runtime().args(["start", &id]).run();
    case.wait(pid);
    assert!(!log.join("program").exists());
    case.runtime().args(["delete", "--force", &id]).run().ok();
    finished.fails();
}

/// As one that fails: a warning, and the container is gone.
#[must("timeout (int, OPTIONAL) is the number of seconds before aborting the hook.")]
fn timeout_of_poststop(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .push("/hooks/poststop", endless())
        .args(&["sleep", "1000"]);
    let id = case.launch(&bundle);
    case.kill(&id);
    let finished = case.runtime().args(["delete", &id]).run();
    case.runtime().args(["state", &id]).run().fails();
    assert!(finished.took.as_secs() < 30, "{}", finished.describe());
    finished.ok();
}

#[convention("The error of a failed hook names it and repeats what it said.")]
fn output_of_a_failed_hook_is_told(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .hook("createRuntime", "true")
        .hook("createRuntime", "echo because of this >&2; exit 3");
    let finished = case.run(&bundle).fails().says("because of this");
    if case.is_corten() {
        assert!(
            finished.stderr.contains("hooks.createRuntime[1]"),
            "{}",
            finished.describe()
        );
        assert!(
            finished.stderr.contains('3') && finished.stderr.lines().count() == 1,
            "{}",
            finished.describe()
        );
    }
}
