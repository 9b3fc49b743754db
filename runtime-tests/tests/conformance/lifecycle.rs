//! runtime.md: the operations, and the words and codes that engines read.

use std::fs;

use runtime_tests::{Case, convention, may, must, process_is_alive};
use serde_json::{Value, json};

const CHAPTER: &str = "runtime.md: Lifecycle and operations";

#[must("process.args MUST NOT be applied until triggered by the start operation.")]
fn create_does_not_run_the_program(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("echo ran > /ran");
    let id = case.create(&bundle);
    assert_eq!(case.status(&id), "created");
    assert!(process_is_alive(case.pid(&id)));
    assert!(!bundle.rootfs().join("ran").exists());
    case.destroy(&id);
}

#[must("This operation MUST run the user-specified program as specified by process.")]
fn start_runs_it(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("echo ran > /ran; exec sleep 1000");
    let id = case.launch(&bundle);
    case.until("the program runs", || bundle.rootfs().join("ran").exists());
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
    assert_eq!(
        fs::read_to_string(bundle.rootfs().join("ran")).unwrap(),
        "ran\n"
    );
}

#[must(
    "The state of a container includes the following properties: ociVersion, id, status, pid, bundle, annotations."
)]
fn state_fields(case: &mut Case) {
    let bundle = case.bundle();
    let id = case.create(&bundle);
    let state = case.state(&id);
    assert_eq!(state["id"], json!(id));
    assert_eq!(state["status"], json!("created"));
    assert_eq!(state["bundle"], json!(bundle.path));
    assert!(state["ociVersion"].as_str().unwrap().starts_with("1."));
    assert!(state["pid"].as_i64().unwrap() > 1);
    case.destroy(&id);
}

#[convention("The state has `rootfs`, `created` and `owner` as well, which engines read.")]
fn state_fields_beyond_the_specification(case: &mut Case) {
    let bundle = case.bundle();
    let id = case.create(&bundle);
    let state = case.state(&id);
    assert_eq!(state["rootfs"], json!(bundle.rootfs()));
    let created = state["created"].as_str().unwrap();
    assert!(
        created.ends_with('Z') && created.contains('T') && created.len() >= 20,
        "RFC 3339: {created}"
    );
    assert!(state.get("owner").is_none_or(Value::is_string), "{state}");
    case.destroy(&id);
}

/// Engines expect the pid 0.
#[must("status: stopped - the container process has exited.")]
fn state_of_a_stopped_container(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    case.start(&id);
    case.wait(pid);
    let state = case.state(&id);
    assert_eq!(state["status"], json!("stopped"));
    assert_eq!(state.get("pid").and_then(Value::as_i64).unwrap_or(0), 0);
    case.delete(&id);
}

#[must("Attempting to query a container that does not exist MUST generate an error.")]
fn state_of_a_missing_container(case: &mut Case) {
    case.works();
    case.runtime().args(["state", "no-such"]).run().fails();
}

#[must(
    "annotations (map, OPTIONAL) contains the list of annotations associated with the container."
)]
fn annotations(case: &mut Case) {
    let mut bundle = case.bundle();
    let wanted = json!({"com.example.a": "1", "unicode": "é\n\"", "slash/key": "/"});
    bundle.config.set("/annotations", wanted.clone());
    let id = case.create(&bundle);
    let state = case.state(&id);
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&state["annotations"][key], value);
    }
    case.destroy(&id);
}

#[must(
    "Attempting to start a container that is not created MUST have no effect on the container and MUST generate an error."
)]
fn start_twice(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    let id = case.launch(&bundle);
    case.runtime().args(["start", &id]).run().exits(1);
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

#[must(
    "Attempting to start a container that is not created MUST have no effect on the container and MUST generate an error."
)]
fn start_of_a_stopped_container(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    let id = case.create(&bundle);
    case.kill(&id);
    case.runtime().args(["start", &id]).run().exits(1);
    assert_eq!(case.status(&id), "stopped");
    case.delete(&id);
}

/// There is none.
#[must(
    "Attempting to start a container that is not created MUST have no effect on the container and MUST generate an error."
)]
fn start_of_a_missing_container(case: &mut Case) {
    case.works();
    case.runtime().args(["start", "no-such"]).run().fails();
}

#[convention("`kill ID` without a signal sends SIGTERM.")]
fn kill_default_is_term(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .shell("trap 'exit 7' TERM; echo ready > /ready; while :; do sleep 0.1; done");
    let id = case.launch(&bundle);
    let pid = case.pid(&id);
    case.until("the trap is set", || bundle.rootfs().join("ready").exists());
    case.runtime().args(["kill", &id]).run().ok();
    assert_eq!(case.wait(pid).exit_status(), Some(7));
    case.delete(&id);
}

/// Numbers and names.
#[must("This operation MUST send the specified signal to the container process.")]
fn kill_by_number_and_name(case: &mut Case) {
    ends_by_its_trap(case, &["10", "USR1", "SIGUSR1"]);
}

#[convention("The name of a signal may be in lower case.")]
fn kill_by_name_in_lower_case(case: &mut Case) {
    ends_by_its_trap(case, &["usr1", "sigusr1"]);
}

fn ends_by_its_trap(case: &mut Case, signals: &[&str]) {
    for signal in signals {
        let mut bundle = case.bundle();
        bundle
            .config
            .shell("trap 'exit 8' USR1; echo ready > /ready; while :; do sleep 0.1; done");
        let id = case.launch(&bundle);
        let pid = case.pid(&id);
        case.until("the trap is set", || bundle.rootfs().join("ready").exists());
        case.runtime().args(["kill", &id, signal]).run().ok();
        assert_eq!(case.wait(pid).exit_status(), Some(8), "{signal}");
        case.delete(&id);
    }
}

#[convention("Images of systemd name SIGRTMIN+3 as their stop signal.")]
fn kill_realtime_signal(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle
        .config
        .shell("trap 'exit 9' 37; echo ready > /ready; while :; do sleep 0.1; done");
    let id = case.launch(&bundle);
    let pid = case.pid(&id);
    case.until("the trap is set", || bundle.rootfs().join("ready").exists());
    case.runtime().args(["kill", &id, "SIGRTMIN+3"]).run().ok();
    assert_eq!(case.wait(pid).exit_status(), Some(9));
    case.delete(&id);
}

#[convention("Signal 0 asks whether the container runs.")]
fn kill_zero(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    let id = case.launch(&bundle);
    case.runtime().args(["kill", &id, "0"]).run().ok();
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

/// Nothing is sent for an unknown signal.
#[must(
    "Unless otherwise stated, generating an error MUST leave the state of the environment as if the operation were never attempted."
)]
fn kill_unknown_signal(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    let id = case.launch(&bundle);
    for signal in ["BOGUS", "SIGBOGUS", "99", "-1"] {
        let finished = case.runtime().args(["kill", "--", &id, signal]).run();
        assert!(!finished.status.success(), "{}", finished.describe());
    }
    case.runtime()
        .args(["kill", &id, "BOGUS"])
        .run()
        .exits(1)
        .says("signal");
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

fn stopped(case: &mut Case) -> String {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    let id = case.create(&bundle);
    case.kill(&id);
    id
}

#[must(
    "Attempting to send a signal to a container that is neither created nor running MUST have no effect on the container and MUST generate an error."
)]
fn kill_of_a_stopped_container(case: &mut Case) {
    let id = stopped(case);
    case.runtime().args(["kill", &id, "KILL"]).run().fails();
    assert_eq!(case.status(&id), "stopped");
    case.delete(&id);
}

#[convention("Killing a stopped container is \"container not running\", which engines match.")]
fn words_for_kill_of_a_stopped_container(case: &mut Case) {
    let id = stopped(case);
    case.runtime()
        .args(["kill", &id, "KILL"])
        .run()
        .exits(1)
        .says("container not running");
    case.delete(&id);
}

#[convention("Engines call `kill --all ID 9` after the end and expect success.")]
fn kill_all_of_a_stopped_container(case: &mut Case) {
    let id = stopped(case);
    case.runtime().args(["kill", "--all", &id, "9"]).run().ok();
    case.runtime().args(["kill", "-a", &id, "KILL"]).run().ok();
    case.delete(&id);
}

/// There is none.
#[must(
    "Attempting to send a signal to a container that is neither created nor running MUST have no effect on the container and MUST generate an error."
)]
fn kill_of_a_missing_container(case: &mut Case) {
    case.works();
    case.runtime().args(["kill", "no-such", "9"]).run().fails();
}

/// A created one as well.
#[must("This operation MUST send the specified signal to the container process.")]
fn kill_of_a_created_container(case: &mut Case) {
    let bundle = case.bundle();
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    case.runtime().args(["kill", &id, "KILL"]).run().ok();
    assert_eq!(case.wait(pid).terminating_signal(), Some(9));
    assert_eq!(case.status(&id), "stopped");
    case.delete(&id);
}

/// Id of a running container without a pid namespace of its own, and the pid of the
/// child that its program has started.
pub fn with_a_child_in_a_shared_pid_namespace(case: &mut Case) -> (String, i32) {
    let mut bundle = case.bundle();
    bundle.config.without_namespace("pid");
    bundle
        .config
        .shell("sleep 1001 & echo $! > /pid; exec sleep 1002");
    let id = case.launch(&bundle);
    let file = bundle.rootfs().join("pid");
    case.until("the child runs", || {
        fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'))
    });
    let child: i32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    (id, child)
}

#[convention(
    "`kill --all` reaches every process of a container without a pid namespace of its own."
)]
fn kill_reaches_all_without_a_pid_namespace(case: &mut Case) {
    let (id, child) = with_a_child_in_a_shared_pid_namespace(case);
    let pid = case.pid(&id);
    case.runtime()
        .args(["kill", "--all", &id, "KILL"])
        .run()
        .ok();
    case.wait(pid);
    case.until_ended(child);
    case.delete(&id);
}

#[must(
    "Attempting to delete a container that is not stopped MUST have no effect on the container and MUST generate an error."
)]
fn delete_of_a_running_container(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    let id = case.launch(&bundle);
    case.runtime().args(["delete", &id]).run().exits(1);
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

#[convention("A created container may be deleted.")]
fn delete_of_a_created_container(case: &mut Case) {
    let bundle = case.bundle();
    let id = case.create(&bundle);
    case.delete(&id);
    case.runtime().args(["state", &id]).run().fails();
}

#[convention("`delete --force` kills first.")]
fn delete_force(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("trap '' TERM; sleep 1000");
    let id = case.launch(&bundle);
    let pid = case.pid(&id);
    case.runtime().args(["delete", "--force", &id]).run().ok();
    assert!(!process_is_alive(pid));
    let id = case.launch(&bundle);
    case.runtime().args(["delete", "-f", &id]).run().ok();
}

/// There is none.
#[must(
    "Attempting to delete a container that is not stopped MUST have no effect on the container and MUST generate an error."
)]
fn delete_of_a_missing_container(case: &mut Case) {
    case.works();
    case.runtime().args(["delete", "no-such"]).run().fails();
}

#[convention(
    "A container that does not exist is exit code 1 and \"does not exist\", which engines match."
)]
fn words_for_a_missing_container(case: &mut Case) {
    for command in ["state", "start", "kill", "delete"] {
        case.runtime()
            .args([command, "no-such"])
            .run()
            .exits(1)
            .says("does not exist");
    }
}

#[convention(
    "`delete --force` of a missing container succeeds: engines clean up after a failed create with it."
)]
fn delete_force_of_a_missing_container(case: &mut Case) {
    case.runtime().args(["delete", "no-such"]).run().fails();
    case.runtime()
        .args(["delete", "--force", "no-such"])
        .run()
        .ok();
}

#[must(
    "If the ID provided is not unique across all containers within the scope of the runtime ... the implementation MUST generate an error and a new container MUST NOT be created."
)]
fn create_of_an_existing_id(case: &mut Case) {
    let bundle = case.bundle();
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    let other = case.bundle();
    other.write();
    case.create_command(&other, &id, &[])
        .run()
        .exits(1)
        .says("exists");
    assert_eq!(case.pid(&id), pid);
    assert_eq!(case.status(&id), "created");
    case.destroy(&id);
}

#[must("Any updates to config.json after this step MUST NOT affect the container.")]
fn changes_of_the_config_do_not_matter(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("echo first > /ran; exec sleep 1000");
    let id = case.create(&bundle);
    bundle.config.shell("echo second > /ran");
    bundle.write();
    case.start(&id);
    case.until("the program runs", || bundle.rootfs().join("ran").exists());
    fs::remove_file(bundle.path.join("config.json")).unwrap();
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
    assert_eq!(
        fs::read_to_string(bundle.rootfs().join("ran")).unwrap(),
        "first\n"
    );
}

/// A waiting init can die like any process.
#[must("status: stopped - the container process has exited.")]
fn init_dies_before_start(case: &mut Case) {
    let bundle = case.bundle();
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    case.program("kill")
        .args(["-KILL", &pid.to_string()])
        .run()
        .ok();
    case.wait(pid);
    assert_eq!(case.status(&id), "stopped");
    let finished = case.runtime().args(["start", &id]).run().exits(1);
    assert!(finished.took.as_secs() < 10, "{}", finished.describe());
    case.delete(&id);
}

#[convention("No process of the runtime stays between the caller and the container.")]
fn init_is_reparented_to_the_caller(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    let id = case.launch(&bundle);
    let status = fs::read_to_string(format!("/proc/{}/status", case.pid(&id))).unwrap();
    let parent = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .unwrap()
        .trim();
    assert_eq!(parent, std::process::id().to_string());
    case.destroy(&id);
}

/// Also when nobody has reaped it yet.
#[must("status: stopped - the container process has exited.")]
fn zombie_is_stopped(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    case.start(&id);
    case.until_ended(pid);
    assert_eq!(case.status(&id), "stopped");
    case.delete(&id);
    case.wait(pid);
}

/// One id is claimed once, whoever else tries.
#[must(
    "If the ID provided is not unique across all containers within the scope of the runtime ... the implementation MUST generate an error."
)]
fn concurrent_creates_have_one_winner(case: &mut Case) {
    for _ in 0..3 {
        let bundle = case.bundle();
        bundle.write();
        let id = case.id();
        let all: Vec<_> = (0..6)
            .map(|_| case.create_command(&bundle, &id, &[]).spawn())
            .collect();
        let won = all
            .into_iter()
            .map(runtime_tests::Running::finish)
            .filter(|one| one.status.success())
            .count();
        assert_eq!(won, 1);
        assert_eq!(case.status(&id), "created");
        case.destroy(&id);
    }
}

#[convention("Sixteen containers are alive together.")]
fn sixteen_at_once(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    let mut running = Vec::new();
    let mut ids = Vec::new();
    for number in 0..16 {
        let path = format!("/{}-many{number}", case.token());
        bundle.config.set("/linux/cgroupsPath", json!(path));
        bundle.write();
        let id = case.id();
        running.push(case.run_command(&bundle, &id, &["--detach"]).run());
        ids.push(id);
    }
    running.into_iter().for_each(|one| drop(one.ok()));
    for id in ids {
        case.destroy(&id);
    }
}

#[convention("A program that ends at once never confuses the runtime.")]
fn short_lived_programs(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["echo", "ran"]);
    for _ in 0..25 {
        assert_eq!(case.run(&bundle).ok().stdout, "ran\n");
    }
}

#[must(
    "Note that resources associated with the container, but not created by this container, MUST NOT be deleted."
)]
fn delete_leaves_what_it_did_not_create(case: &mut Case) {
    let volume = case.directory.join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("file"), "kept").unwrap();
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    let owner = case.launch(&bundle);
    let network = format!("/proc/{}/ns/net", case.pid(&owner));
    let mut guest = case.bundle();
    guest
        .config
        .join_namespace("network", &network)
        .bind(&volume, "/mnt", &["bind"]);
    guest.config.shell("touch /mnt/made; sleep 1000");
    let id = case.launch(&guest);
    case.until("the program runs", || volume.join("made").exists());
    case.destroy(&id);
    assert_eq!(fs::read_to_string(volume.join("file")).unwrap(), "kept");
    assert!(guest.path.join("config.json").exists());
    assert!(guest.rootfs().join("bin/sh").exists());
    assert_eq!(case.status(&owner), "running");
    case.destroy(&owner);
}

#[may("Once a container is deleted its ID MAY be used by a subsequent container.")]
fn the_id_is_free_again(case: &mut Case) {
    let bundle = case.bundle();
    bundle.write();
    let id = case.id();
    for _ in 0..2 {
        case.create_command(&bundle, &id, &[]).run().ok();
        assert_eq!(case.status(&id), "created");
        case.runtime().args(["delete", "--force", &id]).run().ok();
    }
}
