//! Commands on one container at the same time: they take turns, and none waits for
//! what the container does.

use std::fs;

use runtime_tests::{Case, Running, convention};
use serde_json::json;

const CHAPTER: &str = "Commands at the same time";

/// `run` in the foreground, of a program that stays.
fn run_in_the_foreground(case: &mut Case, options: &[&str]) -> (String, Running) {
    let mut bundle = case.bundle();
    bundle.config.shell("echo runs; exec sleep 1000");
    bundle.write();
    let id = case.id();
    let running = case.run_command(&bundle, &id, options).spawn();
    case.until("the program runs", || running.output().contains("runs"));
    (id, running)
}

#[convention("A container in the foreground of its `run` is one like any other.")]
fn foreground_container(case: &mut Case) {
    let (id, running) = run_in_the_foreground(case, &[]);
    let exec = case.runtime().args(["exec", &id, "echo", "inside"]);
    assert_eq!(exec.run().ok().stdout, "inside\n");
    case.runtime().args(["pause", &id]).run().ok();
    assert_eq!(case.status(&id), "paused");
    case.runtime().args(["resume", &id]).run().ok();
    case.runtime().args(["kill", &id, "KILL"]).run().ok();
    running.finish().exits(137);
}

#[convention(
    "`delete --force` takes a container away from its `run`, which ends as its program did."
)]
fn foreground_container_is_deleted(case: &mut Case) {
    // runc complains that the state is gone.
    case.only_corten();
    let (id, running) = run_in_the_foreground(case, &[]);
    case.runtime().args(["delete", "--force", &id]).run().ok();
    let finished = running.finish().exits(137);
    assert_eq!(finished.stderr, "", "{}", finished.describe());
}

#[convention(
    "A container whose init is stopped at its start can be looked at, killed and deleted."
)]
fn start_of_a_stopped_init(case: &mut Case) {
    // With runc `start` returns before the program runs.
    case.only_corten();
    for force in [true, false] {
        let bundle = case.bundle();
        let id = case.create(&bundle);
        let pid = case.pid(&id);
        let signal = |name: &str| {
            case.program("kill")
                .args([name, &pid.to_string()])
                .run()
                .ok()
        };
        signal("-STOP");
        let start = case.runtime().args(["start", &id]).spawn();
        case.until("the gate is open", || case.status(&id) == "running");
        let second = case.runtime().args(["start", &id]).run();
        second
            .exits(1)
            .says("cannot start an already running container");
        case.runtime()
            .args(["delete", &id])
            .run()
            .exits(1)
            .says("not stopped");
        if force {
            case.runtime().args(["delete", "--force", &id]).run().ok();
            case.wait(pid);
        } else {
            case.runtime().args(["kill", &id, "KILL"]).run().ok();
            case.wait(pid);
            case.delete(&id);
        }
        start.finish();
    }
}

#[convention("Hooks of a running container keep nobody from it.")]
fn hanging_poststart_hook(case: &mut Case) {
    // runc runs these hooks in `create`.
    case.only_corten();
    let mut bundle = case.bundle();
    let began = case.directory.join("began");
    let line = format!("touch {}; exec sleep 1000", began.display());
    let hooks = json!([{"path": "/bin/sh", "args": ["sh", "-c", line], "timeout": 20}]);
    bundle.config.set("/hooks/poststart", hooks);
    bundle.config.shell("sleep 1000");
    let id = case.create(&bundle);
    let start = case.runtime().args(["start", &id]).spawn();
    case.until("the hook runs", || began.exists());
    case.runtime().args(["exec", &id, "true"]).run().ok();
    let pid = case.pid(&id);
    case.runtime().args(["delete", "--force", &id]).run().ok();
    case.wait(pid);
    start.finish().exits(1).says("hooks.poststart[0]");
}

#[convention("A `create` that hangs ends when its container is deleted by force.")]
fn create_hangs(case: &mut Case) {
    // The peers delete what `create` still works on.
    case.only_corten();
    let mut bundle = case.bundle();
    let began = case.directory.join("began");
    let line = format!("touch {}; sleep 1000", began.display());
    let hooks = json!([{"path": "/bin/sh", "args": ["sh", "-c", line]}]);
    bundle.config.set("/hooks/createContainer", hooks);
    bundle.write();
    let id = case.id();
    let create = case.create_command(&bundle, &id, &[]).spawn();
    case.until("the hook runs", || began.exists());
    assert_eq!(case.status(&id), "creating");
    case.runtime().args(["delete", "--force", &id]).run().ok();
    create.finish().exits(1);
    case.runtime()
        .args(["state", &id])
        .run()
        .exits(1)
        .says("does not exist");
}

#[convention("Of two `start`s one succeeds.")]
fn two_starts(case: &mut Case) {
    // Commands of the peers take no turns.
    case.only_corten();
    for _ in 0..5 {
        let mut bundle = case.bundle();
        bundle.config.shell("echo once >> /ran; sleep 1000");
        let id = case.create(&bundle);
        let starts: Vec<Running> = (0..4)
            .map(|_| case.runtime().args(["start", &id]).spawn())
            .collect();
        let ended: Vec<_> = starts.into_iter().map(Running::finish).collect();
        let won = ended.iter().filter(|one| one.code() == Some(0)).count();
        assert_eq!(won, 1);
        for lost in ended.into_iter().filter(|one| one.code() != Some(0)) {
            lost.exits(1);
        }
        let ran = bundle.rootfs().join("ran");
        case.until("it runs", || ran.exists());
        assert_eq!(fs::read_to_string(&ran).unwrap(), "once\n");
        case.destroy(&id);
    }
}

#[convention("`state` and `list` during `delete` know the container or do not; nothing else.")]
fn state_during_delete(case: &mut Case) {
    // Commands of the peers take no turns.
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    for _ in 0..5 {
        let id = case.launch(&bundle);
        let delete = case.runtime().args(["delete", "--force", &id]).spawn();
        let looks: Vec<Running> = (0..4)
            .map(|_| case.runtime().args(["state", &id]).spawn())
            .collect();
        case.runtime().args(["list", "--format", "json"]).run().ok();
        for look in looks.into_iter().map(Running::finish) {
            if look.code() != Some(0) {
                look.exits(1).says("does not exist");
            }
        }
        delete.finish().ok();
    }
}

#[convention("`delete --force` during `exec`: both end, and nothing is left.")]
fn delete_during_exec(case: &mut Case) {
    // Commands of the peers take no turns.
    case.only_corten();
    for _ in 0..5 {
        let mut bundle = case.bundle();
        bundle.config.shell("sleep 1000");
        let id = case.launch(&bundle);
        let execs: Vec<Running> = (0..3)
            .map(|_| case.runtime().args(["exec", &id, "sleep", "1000"]).spawn())
            .collect();
        case.runtime().args(["delete", "--force", &id]).run().ok();
        for exec in execs {
            // Killed with the container, or too late for it.
            exec.finish().fails();
        }
    }
}
