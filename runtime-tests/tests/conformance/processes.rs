//! `ps`, `pause`, `resume`: not in the spec, but every engine calls them.

use std::fs;

use runtime_tests::{Case, convention};

const CHAPTER: &str = "ps, pause and resume";

/// The pids that `ps --format json` tells; go-runc reads both streams as one.
#[track_caller]
pub fn pids(case: &Case, id: &str) -> Vec<i64> {
    let finished = case
        .runtime()
        .args(["ps", "--format", "json", id])
        .run()
        .ok();
    let text = format!("{}{}", finished.stdout, finished.stderr);
    let list: Option<Vec<i64>> = serde_json::from_str(&text).expect("an array of pids");
    list.unwrap_or_default()
}

fn launch_two(case: &mut Case) -> String {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000 & exec sleep 1001");
    let id = case.launch(&bundle);
    case.until("both run", || pids(case, &id).len() == 2);
    id
}

#[convention("`ps --format json` is all processes of the container, as the host numbers them.")]
fn ps_json(case: &mut Case) {
    let id = launch_two(case);
    let pids = pids(case, &id);
    assert!(pids.contains(&i64::from(case.pid(&id))), "{pids:?}");
    case.destroy(&id);
}

#[convention("`ps` is the host's ps: its header and the container's rows.")]
fn ps_table(case: &mut Case) {
    let id = launch_two(case);
    let text = case.runtime().args(["ps", &id]).run().ok().stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].contains("PID") && lines[0].contains("CMD"),
        "{text}"
    );
    assert!(
        lines[1..].iter().all(|line| line.contains("sleep 100")),
        "{text}"
    );
    case.destroy(&id);
}

#[convention("Whatever follows the id of `ps` is for the host's ps.")]
fn ps_arguments(case: &mut Case) {
    let id = launch_two(case);
    let text = case
        .runtime()
        .args(["ps", &id, "-e", "-o", "pid,args"])
        .run()
        .ok()
        .stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(!lines[0].contains("UID"), "{text}");
    assert!(
        lines[1].ends_with("sleep 1000") || lines[1].ends_with("sleep 1001"),
        "{text}"
    );
    case.destroy(&id);
}

#[convention("`ps` needs a column of pids to tell rows apart.")]
fn ps_without_a_pid_column(case: &mut Case) {
    let id = launch_two(case);
    let finished = case.runtime().args(["ps", &id, "-e", "-o", "args"]).run();
    finished.exits(1).says("PID");
    case.destroy(&id);
}

#[convention("`ps` of a stopped container shows nobody.")]
fn ps_of_a_stopped_container(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    let id = case.create(&bundle);
    case.kill(&id);
    assert!(pids(case, &id).is_empty());
    let text = case.runtime().args(["ps", &id]).run().ok().stdout;
    assert_eq!(text.lines().count(), 1, "{text}");
    case.delete(&id);
}

#[convention("`ps` of a missing container is an error, in words that engines match.")]
fn ps_of_a_missing_container(case: &mut Case) {
    let finished = case.runtime().args(["ps", "no-such"]).run();
    finished.exits(1).says("does not exist");
}

#[convention("`pause` stops everything, and `resume` goes on where it stood.")]
fn pause_stops_everything(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .shell("while :; do echo x >> /ticks; sleep 0.02; done");
    let id = case.launch(&bundle);
    let ticks = || fs::metadata(bundle.rootfs().join("ticks")).map_or(0, |meta| meta.len());
    case.until("it ticks", || ticks() > 0);
    case.runtime().args(["pause", &id]).run().ok();
    assert_eq!(case.status(&id), "paused");
    let before = ticks();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(ticks(), before);
    case.runtime().args(["resume", &id]).run().ok();
    assert_eq!(case.status(&id), "running");
    case.until("it ticks again", || ticks() > before);
    case.destroy(&id);
}

#[convention("A created container can be paused and resumed.")]
fn pause_and_resume_of_a_created_container(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("echo ran > /ran; exec sleep 1000");
    let id = case.create(&bundle);
    case.runtime().args(["pause", &id]).run().ok();
    case.runtime().args(["resume", &id]).run().ok();
    case.start(&id);
    case.until("it runs", || bundle.rootfs().join("ran").exists());
    case.destroy(&id);
}

#[convention("`pause` of a paused container is an error.")]
fn pause_twice(case: &mut Case) {
    let id = launch_two(case);
    case.runtime().args(["pause", &id]).run().ok();
    case.runtime().args(["pause", &id]).run().exits(1);
    assert_eq!(case.status(&id), "paused");
    case.runtime().args(["resume", &id]).run().ok();
    case.destroy(&id);
}

#[convention("`pause` of a stopped container is an error.")]
fn pause_of_a_stopped_container(case: &mut Case) {
    let bundle = case.bundle();
    let id = case.create(&bundle);
    case.kill(&id);
    let finished = case.runtime().args(["pause", &id]).run();
    finished.exits(1).says("container not running");
    case.delete(&id);
}

#[convention("`resume` of a running container is an error.")]
fn resume_of_a_running_container(case: &mut Case) {
    let id = launch_two(case);
    let finished = case.runtime().args(["resume", &id]).run();
    finished.exits(1).says("container not paused");
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

#[convention("containerd resumes a paused container that has ended; it must not hang.")]
fn resume_of_a_stopped_container(case: &mut Case) {
    let bundle = case.bundle();
    let id = case.create(&bundle);
    case.kill(&id);
    let finished = case.runtime().args(["resume", &id]).run();
    finished.exits(1).says("container not paused");
    case.delete(&id);
}

#[convention("SIGKILL reaches a paused container.")]
fn kill_of_a_paused_container(case: &mut Case) {
    let id = launch_two(case);
    case.runtime().args(["pause", &id]).run().ok();
    case.kill(&id);
    assert_eq!(case.status(&id), "stopped");
    case.delete(&id);
}

#[convention("`delete --force` ends a paused container.")]
fn delete_force_of_a_paused_container(case: &mut Case) {
    let id = launch_two(case);
    case.runtime().args(["pause", &id]).run().ok();
    case.runtime().args(["delete", &id]).run().exits(1);
    case.runtime().args(["delete", "--force", &id]).run().ok();
}

#[convention("A created container that is paused cannot be started; nothing hangs.")]
fn start_of_a_paused_container(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/sleep", "1000"]);
    let id = case.create(&bundle);
    case.runtime().args(["pause", &id]).run().ok();
    let finished = case.runtime().args(["start", &id]).run();
    finished.exits(1).says("paused");
    case.runtime().args(["resume", &id]).run().ok();
    case.start(&id);
    case.destroy(&id);
}

#[convention("`pause` of a missing container is an error, in words that engines match.")]
fn pause_of_a_missing_container(case: &mut Case) {
    for command in ["pause", "resume"] {
        let finished = case.runtime().args([command, "no-such"]).run();
        finished.exits(1).says("does not exist");
    }
}
