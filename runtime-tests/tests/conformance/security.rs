//! What an image, a neighbour or a clumsy caller tries: docs/security.md. Each
//! test plays the attacker and then looks at what he gained.

use std::fs;
use std::time::{Duration, Instant};

use runtime_tests::{Bundle, Case, cgroup_directories, convention, skip};
use serde_json::json;

const CHAPTER: &str = "Hardening";

#[convention(
    "The working directory is the image's choice: it must not lie below the mount that makes the path read-only, or every sysctl of the host is writable."
)]
fn cwd_below_a_read_only_path(case: &mut Case) {
    let mut bundle = case.bundle();
    for cwd in ["/proc/sys", "/proc/sys/kernel", "/proc/./sys/../sys"] {
        bundle.config.set("/process/cwd", json!(cwd));
        let line = "for f in kernel/domainname ./domainname; do echo mine > $f; done 2>/dev/null; \
            cat /proc/sys/kernel/domainname";
        let seen = case.shell(&mut bundle, line);
        assert!(!seen.is_empty(), "{cwd}");
        assert_ne!(seen, "mine", "{cwd} is writable");
    }
}

#[convention("What a mask hides is hidden from whoever starts in it, too.")]
fn cwd_below_a_mask(case: &mut Case) {
    let mut bundle: Bundle = case.bundle();
    bundle
        .config
        .push("/linux/maskedPaths", json!("/proc/fs"))
        .set("/process/cwd", json!("/proc/fs"));
    assert_eq!(case.shell(&mut bundle, "ls -A .; echo seen"), "seen");
}

#[convention(
    "Hooks of startContainer, which are programs of the image, get no descriptors of the runtime."
)]
fn start_container_hooks_get_no_descriptors(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = case.directory.join("log");
    fs::create_dir(&log).unwrap();
    bundle.config.bind(&log, "/log", &["bind"]);
    // With `true` behind it the shell stays itself.
    let line = "ls -l /proc/$$/fd > /log/fds; true";
    bundle.config.hook("startContainer", line);
    bundle.config.args(&["true"]);
    let id = case.launch(&bundle);
    let pid = case.pid(&id);
    if pid != 0 {
        case.wait(pid);
    }
    case.delete(&id);
    let fds = fs::read_to_string(log.join("fds")).unwrap();
    assert!(fds.contains("pipe:"), "{fds}");
    for file in ["exec.", "state", "socket:", "memfd:"] {
        assert!(!fds.contains(file), "{fds}");
    }
    let directory = fds.lines().any(|link| link.ends_with("-> /"));
    assert!(!directory, "{fds}");
}

#[convention("A hook that leaves something running does not hold `start` up.")]
fn start_waits_for_no_child_of_a_hook(case: &mut Case) {
    let mut bundle = case.bundle();
    let line = "(sleep 20 < /dev/null > /dev/null 2>&1 &)";
    bundle.config.hook("startContainer", line).shell("sleep 20");
    let id = case.create(&bundle);
    let begun = Instant::now();
    case.start(&id);
    assert!(begun.elapsed() < Duration::from_secs(10));
    case.destroy(&id);
}

#[convention(
    "Somebody in the pid namespace that a container joins, without CAP_SYS_PTRACE, opens no descriptor of what waits there for `start`."
)]
fn neighbours_cannot_reach_into_a_created_container(case: &mut Case) {
    case.only_corten();
    let (mut victim, mut neighbour) = (case.bundle(), case.bundle());
    let log = case.directory.join("log");
    fs::create_dir(&log).unwrap();
    let line = "until test -e /log/go; do sleep 0.05; done; \
        for link in /proc/[0-9]*/exe /proc/[0-9]*/fd/*; do case $link in /proc/1/*|/proc/self/*) ;; *) \
        readlink $link >> /log/seen || echo denied >> /log/refused; esac; done; \
        touch /log/done; sleep 60";
    neighbour.config.bind(&log, "/log", &["bind"]).shell(line);
    let first = case.launch(&neighbour);
    let pid = case.pid(&first);
    victim
        .config
        .join_namespace("pid", &format!("/proc/{pid}/ns/pid"))
        .args(&["true"]);
    let second = case.create(&victim);
    fs::write(log.join("go"), "").unwrap();
    case.until("the neighbour has looked", || log.join("done").exists());
    let read = |name| fs::read_to_string(log.join(name)).unwrap_or_default();
    let (seen, refused) = (read("seen"), read("refused"));
    assert!(!seen.contains("exec.") && !seen.contains("stub"), "{seen}");
    assert!(refused.contains("denied"), "it saw nobody");
    case.destroy(&second);
    case.destroy(&first);
}

#[convention("SIGKILL at every system call of `create`: `delete --force` clears all of it.")]
fn killed_anywhere_create_is_cleared(case: &mut Case) {
    case.only_corten();
    if !std::path::Path::new("/usr/bin/strace").exists() {
        skip("strace is not installed");
    }
    let mut bundle = case.bundle();
    bundle.config.args(&["sleep", "60"]);
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let root = case.state_root().to_string_lossy().into_owned();
    for call in 1..400 {
        let id = case.id();
        let inject = format!("inject=all:signal=KILL:when={call}");
        let program = case
            .program("strace")
            .args(["-o", "/dev/null", "-e", &inject]);
        let program = program.args([case.runtime_path(), "--root", &root]);
        let finished = program.args(["create", "--bundle", &path, &id]).run();
        case.runtime()
            .args(["delete", "--force", &id])
            .limit(Duration::from_secs(20))
            .run()
            .ok();
        let left = cgroup_directories(case.token());
        assert!(left.is_empty(), "killed at call {call}: {left:?}");
        if finished.status.success() {
            return;
        }
    }
    panic!("create makes more calls than this test expects");
}

#[convention(
    "Whatever became of `state.json`: nothing crashes, and with `--force` processes and cgroup go as well."
)]
fn an_unreadable_state_is_cleared(case: &mut Case) {
    case.only_corten();
    let contents = [
        "",
        "[]",
        "null",
        "{}",
        "{\"version\":1,\"id\":",
        "\0\0\0\0",
        "{\"version\":\"x\"}",
    ];
    for content in contents {
        let mut bundle = case.bundle();
        bundle.config.args(&["sleep", "60"]);
        let id = case.launch(&bundle);
        let pid = case.pid(&id);
        fs::write(case.state_root().join(&id).join("state.json"), content).unwrap();
        for command in ["state", "start", "delete"] {
            case.runtime().args([command, &id]).run().exits(1);
        }
        case.runtime().args(["kill", &id, "KILL"]).run().exits(1);
        case.runtime().args(["list"]).run().ok();
        case.runtime().args(["delete", "--force", &id]).run().ok();
        case.wait(pid);
        let left = cgroup_directories(case.token());
        assert!(left.is_empty(), "{content:?}: {left:?}");
    }
}

#[convention("A wrong `--root` must not cost anybody a directory.")]
fn what_is_no_containers_stays(case: &mut Case) {
    case.only_corten();
    let root = case.directory.join("of-others");
    fs::create_dir_all(root.join("precious")).unwrap();
    fs::write(root.join("precious/config.json"), "{}").unwrap();
    fs::write(root.join("precious/data"), "kept").unwrap();
    let root_text = root.to_string_lossy().into_owned();
    for options in [&["delete"][..], &["delete", "--force"]] {
        let program = case.program(case.runtime_path());
        let program = program.args(["--root", &root_text]).args(options);
        program.args(["precious"]).run().exits(1).says("data");
    }
    assert!(root.join("precious/config.json").exists());
    assert!(root.join("precious/data").exists());
}

#[convention(
    "A caller with next to no descriptors gets an error or a container, never half of one."
)]
fn too_few_descriptors_leave_nothing(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["true"]);
    // A limit above the caller's would be refused whatever he has.
    bundle.config.remove("/process", "rlimits");
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let root = case.state_root().to_string_lossy().into_owned();
    let mut ran = 0;
    for limit in 4..48 {
        let id = case.id();
        let line = format!(
            "ulimit -n {limit}; exec {} --root {root} run --bundle {path} {id}",
            case.runtime_path()
        );
        let finished = case.program("sh").args(["-c", &line]).run();
        let left = fs::read_dir(case.state_root()).unwrap().count();
        assert_eq!(left, 0, "with {limit}: {}", finished.describe());
        let left = cgroup_directories(case.token());
        assert!(left.is_empty(), "with {limit}: {left:?}");
        ran += u32::from(finished.status.success());
    }
    assert!((1..44).contains(&ran), "{ran} of 44 limits were enough");
}
