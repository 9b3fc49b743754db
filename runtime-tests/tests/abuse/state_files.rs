//! What a container is known by was damaged, falsified, or is of another boot.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use runtime_tests::{Case, cgroup_directories, convention, process_is_alive};
use serde_json::{Value, json};

const CHAPTER: &str = "Faults";

fn state_file(case: &Case, id: &str) -> PathBuf {
    case.state_root().join(id).join("state.json")
}

fn edit(case: &Case, id: &str, change: impl FnOnce(&mut Value)) {
    let path = state_file(case, id);
    let mut state = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut state);
    fs::write(path, state.to_string()).unwrap();
}

/// A container that sleeps, made with `run --detach`; its id and init.
fn sleeper(case: &mut Case) -> (String, i32) {
    let mut bundle = case.bundle();
    bundle.config.args(&["sleep", "1000"]);
    bundle.write();
    let id = case.id();
    case.run_command(&bundle, &id, &["--detach"]).run().ok();
    let pid = case.pid(&id);
    (id, pid)
}

#[convention(
    "A pid in state.json that is not init's is never signalled; the container's own processes go with its cgroup."
)]
fn a_falsified_pid(case: &mut Case) {
    case.only_corten();
    let bystander = case.program("sleep").args(["1000"]).spawn();
    std::thread::scope(|scope| {
        let (leave, stays) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        scope.spawn(move || {
            tell.send(fs::read_link("/proc/thread-self").unwrap())
                .unwrap();
            let _ = stays.recv();
        });
        let thread = told.recv().unwrap();
        let thread = thread.file_name().unwrap().to_string_lossy();
        let thread: i32 = thread.parse().unwrap();
        for pid in [bystander.pid(), thread, 1, 0, -1, i32::MAX, i32::MIN] {
            let (id, init) = sleeper(case);
            edit(case, &id, |state| state["pid"] = json!(pid));
            let killed = case.runtime().args(["kill", &id, "KILL"]).run();
            killed.exits(1);
            case.runtime().args(["delete", "--force", &id]).run().ok();
            case.wait(init);
            assert!(process_is_alive(bystander.pid()), "killed for pid {pid}");
            assert!(cgroup_directories(case.token()).is_empty(), "pid {pid}");
        }
        drop(leave);
    });
    bystander.kill();
}

#[convention(
    "A process that has got init's number is not taken for init, even if it began in the same tick."
)]
fn a_pid_that_was_given_away(case: &mut Case) {
    case.only_corten();
    let bystander = case.program("sleep").args(["1000"]).spawn();
    let (id, init) = sleeper(case);
    let stat = fs::read_to_string(format!("/proc/{}/stat", bystander.pid())).unwrap();
    let began: u64 = stat.split(' ').nth(21).unwrap().parse().unwrap();
    edit(case, &id, |state| {
        state["pid"] = json!(bystander.pid());
        state["startTime"] = json!(began);
    });
    assert_eq!(case.status(&id), "stopped");
    case.runtime().args(["kill", &id, "KILL"]).run().exits(1);
    case.runtime().args(["delete", "--force", &id]).run().ok();
    case.wait(init);
    assert!(process_is_alive(bystander.pid()));
    bystander.kill();
}

#[convention(
    "A state of another boot describes a stopped container: its numbers and its cgroup path are somebody else's by now."
)]
fn a_state_of_another_boot(case: &mut Case) {
    case.only_corten();
    let (id, init) = sleeper(case);
    let path = state_file(case, &id);
    let before = fs::read(&path).unwrap();
    edit(case, &id, |state| {
        state["bootId"] = json!("00000000-0000-0000-0000-000000000000")
    });
    assert_eq!(case.status(&id), "stopped");
    case.runtime()
        .args(["kill", "--all", &id, "KILL"])
        .run()
        .exits(1);
    let directory = path.parent().unwrap();
    let saved = case.directory.join("saved");
    fs::create_dir(&saved).unwrap();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let to = saved.join(entry.file_name());
        fs::copy(entry.path(), to).unwrap();
    }
    case.runtime().args(["delete", "--force", &id]).run().ok();
    assert!(
        process_is_alive(init),
        "killed by the state of another boot"
    );
    assert!(!cgroup_directories(case.token()).is_empty());
    fs::rename(&saved, directory).unwrap();
    fs::write(&path, before).unwrap();
    case.destroy(&id);
}

#[convention(
    "A cgroup that was removed and made again by somebody else is not the container's: nothing in it is killed."
)]
fn a_cgroup_that_was_given_away(case: &mut Case) {
    case.only_corten();
    let (id, init) = sleeper(case);
    edit(case, &id, |state| state["cgroup"]["inode"] = json!(1));
    assert_eq!(case.status(&id), "running");
    case.runtime().args(["kill", &id, "KILL"]).run().ok();
    case.wait(init);
    case.runtime().args(["delete", "--force", &id]).run().ok();
    let left = cgroup_directories(case.token());
    assert!(!left.is_empty(), "somebody else's cgroup was removed");
    for path in left.iter().rev() {
        let _ = fs::remove_dir(path);
    }
}

#[convention(
    "Whatever file of its state is missing, `delete --force` ends the container's processes."
)]
fn missing_files(case: &mut Case) {
    case.only_corten();
    for missing in [
        &["state.json"][..],
        &["state.json", "config.json"],
        &["config.json"],
        &["own.json"],
    ] {
        let (id, init) = sleeper(case);
        for name in missing {
            fs::remove_file(case.state_root().join(&id).join(name)).unwrap();
        }
        case.runtime().args(["list"]).run().ok();
        case.runtime().args(["delete", "--force", &id]).run().ok();
        case.wait(init);
        assert!(
            cgroup_directories(case.token()).is_empty(),
            "without {missing:?}"
        );
    }
}

#[convention(
    "A state that was written by a later version is refused by its number, and can be deleted."
)]
fn a_later_version(case: &mut Case) {
    case.only_corten();
    let (id, init) = sleeper(case);
    edit(case, &id, |state| state["version"] = json!(99));
    let refused = case.runtime().args(["state", &id]).run().exits(1);
    refused.says("version 99");
    case.runtime().args(["list"]).run().ok();
    case.runtime().args(["delete", "--force", &id]).run().ok();
    case.wait(init);
}

#[convention(
    "Damaged at any byte, state.json crashes and hangs nothing, and `delete --force` clears the container."
)]
fn truncated_anywhere(case: &mut Case) {
    case.only_corten();
    let (id, init) = sleeper(case);
    let path = state_file(case, &id);
    let whole = fs::read(&path).unwrap();
    let step = whole.len().div_ceil(60);
    for end in (0..whole.len()).step_by(step) {
        fs::write(&path, &whole[..end]).unwrap();
        let finished = case.runtime().args(["state", &id]).run().exits(1);
        assert_eq!(
            finished.stderr.lines().count(),
            1,
            "{}",
            finished.describe()
        );
        let mut turned = whole.clone();
        turned[end] ^= 0x15;
        fs::write(&path, &turned).unwrap();
        let code = case.runtime().args(["state", &id]).run().code();
        assert!(matches!(code, Some(0 | 1)), "byte {end}: {code:?}");
        case.count("damaged states", 2);
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    case.runtime().args(["delete", "--force", &id]).run().ok();
    case.wait(init);
}

#[convention(
    "What stands in the place of state.json is not followed: a symlink, a directory, a FIFO, a device."
)]
fn other_things_in_its_place(case: &mut Case) {
    case.only_corten();
    for kind in ["symlink", "directory", "fifo", "large"] {
        let (id, init) = sleeper(case);
        let path = state_file(case, &id);
        let aside = case.directory.join(format!("aside-{kind}"));
        fs::rename(&path, &aside).unwrap();
        match kind {
            "symlink" => symlink(&aside, &path).unwrap(),
            "directory" => fs::create_dir(&path).unwrap(),
            "fifo" => {
                let line = [path.to_string_lossy()];
                case.program("mkfifo").args(line).run().ok();
            }
            _ => fs::write(&path, "[".repeat(5 << 20)).unwrap(),
        }
        for command in ["state", "start", "delete"] {
            let finished = case.runtime().args([command, &id]).run().exits(1);
            assert_eq!(
                finished.stderr.lines().count(),
                1,
                "{}",
                finished.describe()
            );
        }
        case.runtime().args(["delete", "--force", &id]).run().ok();
        case.wait(init);
        assert!(
            aside.exists(),
            "{kind}: what the symlink led to was removed"
        );
    }
}

#[convention("The root is not reached through a symlink, which somebody else may have put there.")]
fn a_root_behind_a_symlink(case: &mut Case) {
    case.only_corten();
    let target = case.directory.join("target");
    fs::create_dir(&target).unwrap();
    let link = case.directory.join("link");
    symlink(&target, &link).unwrap();
    let mut bundle = case.bundle();
    bundle.config.args(&["true"]);
    bundle.write();
    let bundle = bundle.path.to_string_lossy().into_owned();
    for slash in ["", "/", "//"] {
        let root = format!("{}{slash}", link.display());
        let program = || case.program(case.runtime_path()).args(["--root", &root]);
        let finished = program().args(["run", "--bundle", &bundle, "x"]).run();
        finished.exits(1).says("symlink");
        program().args(["list"]).run().exits(1).says("symlink");
    }
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}

#[convention("A directory of other things below the root is no container that is being created.")]
fn a_foreign_directory(case: &mut Case) {
    case.only_corten();
    let root = case.directory.join("others");
    fs::create_dir_all(root.join("photos")).unwrap();
    fs::write(root.join("photos/cat.png"), "cat").unwrap();
    let root = root.to_string_lossy().into_owned();
    for command in ["state", "start", "delete"] {
        let program = case.program(case.runtime_path());
        let finished = program.args(["--root", &root, command, "photos"]).run();
        finished.exits(1).says("cat.png");
    }
}
