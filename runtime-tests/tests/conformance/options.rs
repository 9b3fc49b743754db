//! Options that one peer or another has, and the forms in which engines write them.

use std::fs;

use runtime_tests::{Case, Facts, View, convention, skip};
use serde_json::Value;

const CHAPTER: &str = "Options of the peers";

/// Skips unless the command has the option.
fn needs(case: &Case, command: &str, option: &str) {
    let help = case.runtime().args([command, "--help"]).run().stdout;
    if !help.contains(option) {
        skip(&format!("this runtime's {command} has no {option}"));
    }
}

/// TOKEN-0, TOKEN-1 and TOKEN-2.
fn launch_three(case: &mut Case) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut bundle = case.bundle();
        bundle.config.shell("exec sleep 1000");
        ids.push(case.launch(&bundle));
    }
    ids
}

#[convention("`kill --regex` signals every container whose name matches, and no other.")]
fn kill_regex(case: &mut Case) {
    needs(case, "kill", "--regex");
    let ids = launch_three(case);
    let pids: Vec<i32> = ids.iter().map(|id| case.pid(id)).collect();
    let pattern = format!("^{}-[01]$", case.token());
    case.runtime()
        .args(["kill", "--regex", &pattern, "KILL"])
        .run()
        .ok();
    for pid in &pids[..2] {
        case.wait(*pid);
    }
    assert_eq!(case.status(&ids[2]), "running");
    // Two of the three have ended: that is no error.
    let pattern = format!("^{}-[012]$", case.token());
    case.runtime()
        .args(["kill", "-r", &pattern, "KILL"])
        .run()
        .ok();
    case.wait(pids[2]);
    for id in &ids {
        case.delete(id);
    }
}

#[convention("`delete --regex` deletes every container whose name matches, and no other.")]
fn delete_regex(case: &mut Case) {
    needs(case, "delete", "--regex");
    let ids = launch_three(case);
    let pattern = format!("^{}-[12]$", case.token());
    case.runtime()
        .args(["delete", "--force", "--regex", &pattern])
        .run()
        .ok();
    let left = case.runtime().args(["list", "-q"]).run().ok().stdout;
    assert_eq!(left, format!("{}\n", ids[0]));
    if case.is_corten() {
        let refused = case.runtime().args(["delete", "--regex", "."]).run();
        refused.exits(1).says(&format!("{}: cannot delete", ids[0]));
        let broken = case.runtime().args(["delete", "--regex", "("]).run();
        broken.exits(1).says("--regex");
    }
    case.destroy(&ids[0]);
}

#[convention("go-runc writes `-no-subreaper`: long options may have one dash.")]
fn one_dash(case: &mut Case) {
    if case.version().starts_with("crun") {
        skip("its parser wants two");
    }
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    bundle.write();
    let id = case.id();
    case.run_command(&bundle, &id, &["-no-subreaper"])
        .run()
        .ok();
    let list = case.runtime().args(["list", "-format=json"]).run().ok();
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert!(list.is_null() || list.as_array().is_some_and(Vec::is_empty));
}

#[convention("podman asks whether options exist by leaving out their values.")]
fn missing_value(case: &mut Case) {
    let finished = case.runtime().args(["create", "--bundle"]).run().fails();
    let text = format!("{}{}", finished.stdout, finished.stderr);
    assert!(
        text.contains("requires an argument") || text.contains("flag needs an argument"),
        "{text}"
    );
}

#[convention("podman asks with `checkpoint --help` whether containers can be checkpointed.")]
fn checkpoint_probe(case: &mut Case) {
    // runc and crun have it or not by how they were built, and answer alike.
    case.only_corten();
    let features = case.runtime().args(["features"]).run().ok().stdout;
    let features: Value = serde_json::from_str(&features).unwrap();
    let told = &features["annotations"]["org.opencontainers.runc.checkpoint.enabled"];
    let probe = case
        .program(case.runtime_path())
        .args(["checkpoint", "--help"])
        .run();
    assert_eq!(
        probe.code() == Some(0),
        told == "true",
        "{}",
        probe.describe()
    );
}

#[convention("`spec --file` names the file to write.")]
fn spec_file(case: &mut Case) {
    needs(case, "spec", "--file");
    let path = case.directory.join("other.json");
    case.runtime()
        .args(["spec", "--file", &path.to_string_lossy()])
        .run()
        .ok();
    let text = fs::read_to_string(&path).unwrap();
    assert!(serde_json::from_str::<Value>(&text).unwrap()["process"].is_object());
    if case.is_corten() {
        case.runtime()
            .args(["spec", "--file", &path.to_string_lossy()])
            .run()
            .fails();
    }
}

#[convention("`info` tells what the runtime knows of the machine.")]
fn info(case: &mut Case) {
    // youki's is for people.
    case.only_corten();
    let text = case.runtime().args(["info"]).run().ok().stdout;
    let info: Value = serde_json::from_str(&text).unwrap();
    assert!(info["host"]["kernel"][0].as_u64().unwrap() >= 5, "{info}");
    assert!(info["host"]["cgroup"]["mode"].is_string(), "{info}");
}

#[convention("A log daemon that is not there is an error before anything is done.")]
fn no_log_daemon(case: &mut Case) {
    case.only_corten();
    if std::path::Path::new("/run/systemd/journal/socket").exists() {
        skip("systemd's journal runs here");
    }
    let list = case.runtime().args(["--log", "journald:x", "list"]).run();
    list.exits(1)
        .says("--log: connect to /run/systemd/journal/socket");
}

/// As inside a container that has no cgroups of its own to give.
#[convention(
    "`--rootless=true`: where cgroups are mounted read-only, a container that needs none runs; `auto` and `false` refuse it to root."
)]
fn rootless_with_read_only_cgroups(case: &mut Case) {
    if case.view != View::V2 {
        skip("one mount of cgroups is made read-only");
    }
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.remove("/linux", "cgroupsPath");
    bundle.config.remove("/linux", "resources");
    bundle.config.shell("cat /proc/self/cgroup; echo ran");
    bundle.write();
    let run = |option: &str, id: &str| {
        let line = format!(
            "mount -o remount,bind,ro /sys/fs/cgroup && exec {} --root {} {option} run --bundle {} {id}",
            case.runtime_path(),
            case.state_root().display(),
            bundle.path.display(),
        );
        let shell = ["--mount", "--propagation", "private", "sh", "-c", &line];
        case.program("unshare").args(shell).run()
    };
    for option in ["", "--rootless=auto", "--rootless=false", "--rootless=0"] {
        run(option, "refused")
            .exits(1)
            .says("read-only file system");
    }
    for option in ["--rootless=true", "--rootless=1", "--rootless TRUE"] {
        let finished = run(option, "runs").ok();
        assert!(finished.stdout.contains("ran"), "{}", finished.describe());
    }
    run("--rootless=perhaps", "none")
        .exits(1)
        .says("--rootless");
}

#[convention("`--rootless` changes nothing for root where cgroups can be made.")]
fn rootless_for_root(case: &mut Case) {
    for value in ["true", "false", "auto"] {
        let mut bundle = case.bundle();
        bundle.config.args(&["/bin/probe", "facts"]);
        bundle.write();
        let id = case.id();
        let path = bundle.path.to_string_lossy();
        let global = format!("--rootless={value}");
        let run = case
            .runtime()
            .args([&global, "run", "--bundle", &path, &id]);
        let facts = Facts::parse(&run.run().ok().stdout);
        assert_eq!(facts.at("/uid"), &serde_json::json!(0));
    }
}

#[convention("crun's `--config` names another configuration file, by its path.")]
fn other_configuration_file(case: &mut Case) {
    needs(case, "create", "--config");
    let mut bundle = case.bundle();
    bundle.config.shell("echo other");
    bundle.write();
    let other = bundle.path.join("other.json");
    fs::rename(bundle.path.join("config.json"), &other).unwrap();
    let elsewhere = case.directory.join("elsewhere.json");
    fs::copy(&other, &elsewhere).unwrap();
    let path = bundle.path.to_string_lossy().into_owned();
    let elsewhere = elsewhere.to_string_lossy();
    let mut files = vec!["elsewhere.json", &elsewhere];
    if case.is_corten() {
        files.push("other.json");
    }
    for file in files {
        for option in [["--config", file].as_slice(), &["-f", file]] {
            let id = case.id();
            // As crun has it: from where the caller is.
            let run = case.runtime().directory(&case.directory);
            let run = run.args(["run", "--bundle", &path]);
            let finished = run.args(option).args([&id]).run().ok();
            assert_eq!(finished.stdout, "other\n");
        }
    }
    // What comes later reads the container's own copy.
    let id = case.id();
    let create = case.runtime().args(["create", "--bundle", &path]);
    create.args(["--config", &elsewhere, &id]).run().ok();
    fs::remove_file(&*elsewhere).unwrap();
    let exec = case.runtime().args(["exec", &id, "/bin/echo", "in"]);
    assert_eq!(exec.run().ok().stdout, "in\n");
    case.destroy(&id);
}

#[convention("`--no-new-keyring` leaves the caller's session keyring to the container.")]
fn callers_keyring(case: &mut Case) {
    if case.version().starts_with("crun") {
        skip("the probe tells of keyrings whose name begins with _ses, unlike crun's");
    }
    let keyring = |case: &mut Case, options: &[&str]| {
        let mut bundle = case.bundle();
        bundle.config.args(&["/bin/probe", "facts"]);
        bundle
            .config
            .set("/linux/maskedPaths", serde_json::json!([]));
        bundle.write();
        let id = case.id();
        let finished = case.run_command(&bundle, &id, options).run().ok();
        let keys = Facts::parse(&finished.stdout)
            .at("/session_keyring")
            .to_string();
        // Those of containers that have ended are there until the kernel collects them.
        let is_there = keys.contains(&format!("_ses.{id}:"));
        (keys, is_there)
    };
    let (keys, own) = keyring(case, &[]);
    if keys == "[]" {
        skip("this kernel shows no keys");
    }
    assert!(own, "{keys}");
    let (keys, own) = keyring(case, &["--no-new-keyring"]);
    assert!(!own, "{keys}");
}

/// containerd's shim kills so where nothing but init is its child.
#[convention("SIGKILL for a container that shares its pid namespace ends all of it.")]
fn kill_without_a_pid_namespace(case: &mut Case) {
    if case.version().starts_with("crun") {
        skip("it kills all only with --all");
    }
    let (id, child) = crate::lifecycle::with_a_child_in_a_shared_pid_namespace(case);
    let pid = case.pid(&id);
    case.runtime().args(["kill", &id, "KILL"]).run().ok();
    case.wait(pid);
    case.until_ended(child);
    case.delete(&id);
}

#[convention(
    "`--debug` and `--log-level debug` tell each step with its property; `error` is silent."
)]
fn levels_of_the_log(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let log = case.directory.join("log");
    let mut logged = |globals: &[&str]| {
        let _ = fs::remove_file(&log);
        let id = case.id();
        let run = case.runtime().args(["--log", &log.to_string_lossy()]);
        let run = run.args(globals).args(["run", "--bundle", &path, &id]);
        let finished = run.run().ok();
        assert_eq!(
            (finished.stdout.as_str(), finished.stderr.as_str()),
            ("", "")
        );
        fs::read_to_string(&log).unwrap_or_default()
    };
    for globals in [&["--debug"][..], &["--log-level", "debug"]] {
        let text = logged(globals);
        assert!(
            text.contains("level=debug") && text.contains("mounts[0]"),
            "{text}"
        );
    }
    for globals in [&[][..], &["--log-level", "error"], &["--log-level=warning"]] {
        assert_eq!(logged(globals), "");
    }
}

#[convention("Options of runtimes of old are taken, and change nothing.")]
fn options_of_old(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/sleep", "1000"]);
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let id = case.id();
    let create = case.runtime().args(["--criu", "/usr/sbin/criu", "create"]);
    let create = create.args(["--no-subreaper", "--bundle", &path, &id]);
    create.run().ok();
    let update = [
        "update",
        "--kernel-memory",
        "1",
        "--kernel-memory-tcp",
        "1",
        &id,
    ];
    case.runtime().args(update).run().ok();
    let list = case.runtime().args(["list", "--quiet"]).run().ok();
    assert_eq!(list.stdout, format!("{id}\n"));
    let options = ["--additional-gids", "7", "--additional-gids", "8"];
    let exec = case.runtime().args(["exec"]).args(options);
    let groups = exec.args([&id, "/bin/id", "-G"]).run().ok().stdout;
    assert_eq!(groups, "0 7 8\n");
    case.destroy(&id);
}
