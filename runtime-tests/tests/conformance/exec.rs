//! `exec`: not in the spec, but every engine calls it.

use std::fs;
use std::path::Path;

use runtime_tests::{
    Bundle, Case, ConsoleSocket, Facts, Finished, Program, convention, falls_without, must,
    process_is_alive,
};
use serde_json::{Value, json};

const CHAPTER: &str = "exec";

/// A running container that does nothing.
pub fn launch(case: &mut Case, bundle: &mut Bundle) -> String {
    bundle.config.args(&["/bin/probe", "wait"]);
    case.launch(bundle)
}

/// `exec`, unfinished.
pub fn exec(case: &Case, options: &[&str], id: &str, command: &[&str]) -> Program {
    case.runtime()
        .args(["exec"])
        .args(options)
        .args([id])
        .args(command)
}

/// What the probe sees when it is executed with these options.
#[track_caller]
pub fn facts(case: &Case, options: &[&str], id: &str) -> Facts {
    let finished = exec(case, options, id, &["/bin/probe", "facts"]).run().ok();
    assert_eq!(finished.stderr, "", "{}", finished.describe());
    Facts::parse(&finished.stdout)
}

/// An `exec` that must fail before anything of the container runs.
#[track_caller]
pub fn refused(case: &Case, options: &[&str], id: &str, command: &[&str]) -> Finished {
    exec(case, options, id, command).run().exits(255)
}

pub fn write_process(case: &Case, process: &Value) -> String {
    let path = case.directory.join("process.json");
    fs::write(&path, process.to_string()).unwrap();
    path.to_string_lossy().into_owned()
}

/// A `process` that says everything itself.
pub fn probe_process() -> Value {
    json!({
        "terminal": false, "user": {"uid": 1000, "gid": 1000}, "args": ["/bin/probe", "facts"],
        "env": ["A=1"], "cwd": "/tmp",
        "capabilities": {"bounding": ["CAP_CHOWN"], "effective": [], "permitted": []}
    })
}

fn namespace(pid: i32, file: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{file}"))
        .unwrap()
        .display()
        .to_string()
}

#[convention("`exec` joins the namespaces of init, all of them.")]
fn joins_every_namespace(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let facts = facts(case, &[], &id);
    for file in ["pid", "net", "ipc", "uts", "mnt", "cgroup", "user"] {
        let wanted = namespace(case.pid(&id), file);
        assert_eq!(facts.text(&format!("/namespaces/{file}")), wanted, "{file}");
    }
    assert_eq!(facts.text("/hostname"), "tested");
    assert_eq!(facts.descriptors(), [0, 1, 2]);
    assert!(facts.at("/pid").as_i64().unwrap() > 1);
    assert_eq!(facts.at("/sid"), facts.at("/pid"), "a session of its own");
    case.destroy(&id);
}

pub fn detached(case: &Case, options: &[&str], id: &str, command: &[&str]) -> i32 {
    let file = case.directory.join("exec.pid");
    let mut all = vec!["--detach", "--pid-file", file.to_str().unwrap()];
    all.extend_from_slice(options);
    exec(case, &all, id, command).run().ok();
    fs::read_to_string(&file).unwrap().parse().unwrap()
}

/// Ends a detached process. Its container's pid namespace lives until its parent,
/// which is us, has asked for it.
pub fn end(case: &Case, pid: i32) {
    case.program("kill")
        .args(["-KILL", &pid.to_string()])
        .run()
        .ok();
    case.wait(pid);
}

fn cgroups(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap()
}

#[convention("`exec` is in the container's cgroup of every hierarchy.")]
fn is_in_the_cgroup(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let pid = detached(case, &[], &id, &["/bin/sleep", "1000"]);
    assert_eq!(cgroups(pid), cgroups(case.pid(&id)));
    end(case, pid);
    case.destroy(&id);
}

#[convention("`exec` ends with the exit code of the program, or 128+n.")]
fn exit_codes(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    for code in [0, 1, 42, 255] {
        let command = ["/bin/probe", "fail", &code.to_string()];
        exec(case, &[], &id, &command).run().exits(code);
    }
    exec(case, &[], &id, &["/bin/sh", "-c", "kill -KILL $$"])
        .run()
        .exits(137);
    exec(case, &[], &id, &["/bin/sh", "-c", "kill -TERM $$"])
        .run()
        .exits(143);
    case.destroy(&id);
}

#[convention("The words for a missing program, of which podman makes 127.")]
fn missing_program(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    refused(case, &[], &id, &["none"]).says("executable file not found in $PATH");
    refused(case, &[], &id, &["/none"]).says("no such file or directory");
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

#[convention("The words for a program that cannot be executed, of which podman makes 126.")]
fn program_that_is_none(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    refused(case, &[], &id, &["/etc/passwd"]).says("permission denied");
    refused(case, &[], &id, &["/etc"]);
    case.destroy(&id);
}

#[convention("The three standard descriptors of `exec` are the caller's.")]
fn input_and_output(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let finished = exec(case, &[], &id, &["/bin/probe", "input"])
        .input("said\n")
        .run()
        .ok();
    assert_eq!(finished.stdout, "said\n");
    let finished = exec(case, &[], &id, &["/bin/sh", "-c", "echo out; echo err >&2"])
        .run()
        .ok();
    assert_eq!(
        (finished.stdout.as_str(), finished.stderr.as_str()),
        ("out\n", "err\n")
    );
    case.destroy(&id);
}

#[convention("A signal to `exec` is one to its process.")]
fn signals_are_passed_on(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let line = "trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let running = exec(case, &[], &id, &["/bin/sh", "-c", line]).spawn();
    case.until("it is ready", || running.output().contains("ready"));
    let pid = running.pid().to_string();
    case.program("kill").args(["-TERM", &pid]).run().ok();
    let finished = running.finish().exits(9);
    assert!(finished.stdout.contains("got it"));
    case.destroy(&id);
}

#[convention(
    "The pid file of `exec` is the pid alone, without a newline, complete when `exec` returns."
)]
fn detach_and_pid_file(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let pid = detached(case, &[], &id, &["/bin/sleep", "1000"]);
    assert!(process_is_alive(pid));
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(line.contains("sleep"), "{line}");
    end(case, pid);
    case.destroy(&id);
}

#[convention(
    "A detached process of `exec` is the caller's child: conmon and the shim wait for it themselves."
)]
fn detached_process_is_the_callers(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let pid = detached(case, &[], &id, &["/bin/sh", "-c", "exit 7"]);
    let status = case.wait(pid);
    assert_eq!(status.exit_status(), Some(7));
    case.destroy(&id);
}

#[convention("`exec --tty` sends the master over `--console-socket`, as conmon asks it to.")]
fn terminal_over_a_socket(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let socket = ConsoleSocket::listen(&case.directory);
    let mut process = probe_process();
    process["terminal"] = json!(true);
    process["consoleSize"] = json!({"height": 33, "width": 111});
    let file = write_process(case, &process);
    let path = socket.path.to_string_lossy().into_owned();
    let pid = detached(
        case,
        &["--process", &file, "--console-socket", &path],
        &id,
        &[],
    );
    let terminal = socket.receive();
    let facts = Facts::parse(&terminal.read_all().replace('\r', ""));
    case.wait(pid);
    for stream in ["stdin", "stdout", "stderr"] {
        assert_eq!(facts.at(&format!("/tty/{stream}")), &json!(true));
    }
    assert!(facts.text("/tty/name").starts_with("/dev/pts/"));
    assert_eq!(
        (facts.at("/tty/rows"), facts.at("/tty/columns")),
        (&json!(33), &json!(111))
    );
    assert!(
        facts.0.pointer("/dev/console").is_none(),
        "/dev/console is for init only"
    );
    case.destroy(&id);
}

#[convention("A detached terminal needs somebody who receives it.")]
fn terminal_needs_a_receiver(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let socket = ConsoleSocket::listen(&case.directory);
    let path = socket.path.to_string_lossy().into_owned();
    refused(case, &["--detach", "--tty"], &id, &["/bin/true"]).says("cannot allocate tty");
    refused(
        case,
        &["--detach", "--console-socket", &path],
        &id,
        &["/bin/true"],
    )
    .says("cannot use console socket");
    case.destroy(&id);
}

/// Three are open, two are wanted, one is not.
#[convention("`exec --preserve-fds` passes the asked descriptors and no other.")]
fn preserve_fds(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let line = format!(
        "exec {} --root {} exec --preserve-fds 2 {id} /bin/probe facts 3</etc/passwd 4</etc/passwd 5</etc/passwd",
        case.runtime_path(),
        case.state_root().display(),
    );
    let finished = case.program("bash").args(["-c", &line]).run().ok();
    assert_eq!(
        Facts::parse(&finished.stdout).descriptors(),
        [0, 1, 2, 3, 4]
    );
    case.destroy(&id);
}

#[convention("`exec` works in a container that is created.")]
fn in_a_created_container(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/sleep", "1000"]);
    let id = case.create(&bundle);
    assert_eq!(facts(case, &[], &id).text("/hostname"), "tested");
    assert_eq!(case.status(&id), "created");
    case.start(&id);
    case.destroy(&id);
}

#[convention("`exec` in a stopped container is an error.")]
fn in_a_stopped_container(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    case.kill(&id);
    refused(case, &[], &id, &["/bin/true"]).says("cannot exec in a stopped container");
    case.delete(&id);
}

#[convention("`exec` in a paused container is an error.")]
fn in_a_paused_container(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    case.runtime().args(["pause", &id]).run().ok();
    let finished = refused(case, &[], &id, &["/bin/true"]);
    finished.says("cannot exec in a paused container (use --ignore-paused to override)");
    case.runtime().args(["resume", &id]).run().ok();
    case.destroy(&id);
}

#[convention(
    "`exec --ignore-paused` starts when the container is resumed; until then nobody is kept from anything."
)]
fn ignore_paused(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    case.runtime().args(["pause", &id]).run().ok();
    let running = exec(case, &["--ignore-paused"], &id, &["/bin/echo", "late"]).spawn();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(running.output(), "");
    case.runtime().args(["resume", &id]).run().ok();
    assert_eq!(running.finish().ok().stdout, "late\n");
    case.runtime().args(["pause", &id]).run().ok();
    let running = exec(case, &["--ignore-paused"], &id, &["/bin/echo", "never"]).spawn();
    std::thread::sleep(std::time::Duration::from_millis(200));
    case.runtime().args(["delete", "--force", &id]).run().ok();
    assert_eq!(running.finish().fails().stdout, "");
}

#[convention("`exec` in a missing container is an error, in words that engines match.")]
fn in_a_missing_container(case: &mut Case) {
    refused(case, &[], "no-such", &["/bin/true"]).says("does not exist");
}

/// The second container lives in the first one's.
#[convention("`exec` joins the pid namespace of a pod.")]
fn shared_pid_namespace(case: &mut Case) {
    let mut sandbox = case.bundle();
    let first = launch(case, &mut sandbox);
    let mut bundle = case.bundle();
    bundle
        .config
        .join_namespace("pid", &format!("/proc/{}/ns/pid", case.pid(&first)));
    let second = launch(case, &mut bundle);
    let seen = facts(case, &[], &second);
    assert_eq!(
        seen.text("/namespaces/pid"),
        namespace(case.pid(&first), "pid")
    );
    assert_eq!(
        seen.text("/namespaces/mnt"),
        namespace(case.pid(&second), "mnt")
    );
    assert_eq!(seen.descriptors(), [0, 1, 2]);
    exec(case, &[], &second, &["/bin/probe", "fail", "3"])
        .run()
        .exits(3);
    case.destroy(&second);
    case.destroy(&first);
}

#[convention("`exec` without a mount namespace of the container's own enters its root by chroot.")]
fn shared_mount_namespace(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.without_namespace("mount");
    bundle.config.set("/mounts", json!([]));
    bundle.config.set("/linux/maskedPaths", json!([]));
    bundle.config.set("/linux/readonlyPaths", json!([]));
    let id = launch(case, &mut bundle);
    let finished = exec(case, &[], &id, &["/bin/cat", "/etc/marker"])
        .run()
        .ok();
    assert_eq!(finished.stdout, "of the root\n");
    case.destroy(&id);
}

#[convention("`exec` joins a user namespace, with the identity mapped there.")]
fn user_namespace(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.give_directories_to(100_000);
    bundle.config.user_namespace(100_000);
    let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]);
    bundle.config.set("/process/rlimits", limits);
    let id = launch(case, &mut bundle);
    let seen = facts(case, &[], &id);
    assert_eq!(seen.status("Uid"), "0 0 0 0");
    assert!(seen.text("/uid_map").contains("100000"));
    assert_eq!(
        seen.text("/namespaces/user"),
        namespace(case.pid(&id), "user")
    );
    assert_eq!(seen.at("/limits/Max open files"), &json!(["77", "88"]));
    assert_eq!(seen.status("Groups"), "");
    let seen = facts(case, &["--user", "1000:1000"], &id);
    assert_eq!(seen.status("Uid"), "1000 1000 1000 1000");
    assert_eq!(seen.capabilities("CapEff"), 0);
    case.destroy(&id);
}

#[convention("`exec` in a container that has the host's pid namespace.")]
fn host_pid_namespace(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.without_namespace("pid");
    let id = launch(case, &mut bundle);
    let seen = facts(case, &[], &id);
    assert_eq!(
        seen.text("/namespaces/pid"),
        namespace(case.pid(&id), "pid")
    );
    assert_eq!(seen.descriptors(), [0, 1, 2]);
    exec(case, &[], &id, &["/bin/probe", "fail", "3"])
        .run()
        .exits(3);
    case.destroy(&id);
}

#[convention(
    "`exec` has the container's session keyring, not the caller's and not another one of the same name."
)]
#[falls_without("session-keyring")]
fn session_keyring(case: &mut Case) {
    for first in [0, 100_000] {
        let mut bundle = case.bundle();
        if first > 0 {
            bundle.give_directories_to(first);
            bundle.config.user_namespace(first);
        }
        bundle.config.set("/linux/maskedPaths", json!([]));
        bundle
            .config
            .shell("probe facts > /tmp/facts; exec sleep 1000");
        let id = case.launch(&bundle);
        let file = bundle.rootfs().join("tmp/facts");
        let text = || fs::read_to_string(&file).unwrap_or_default();
        case.until("init has looked", || {
            serde_json::from_str::<Value>(&text()).is_ok()
        });
        let serials = |facts: &Facts| -> Vec<String> {
            let lines = facts.at("/session_keyring").as_array().unwrap().clone();
            let own = lines
                .iter()
                .filter_map(Value::as_str)
                .filter(|line| line.contains(&id));
            own.filter_map(|line| line.split(' ').next().map(str::to_owned))
                .collect()
        };
        let of_init = serials(&Facts::parse(&text()));
        assert_eq!(of_init.len(), 1, "{of_init:?}");
        assert_eq!(serials(&facts(case, &[], &id)), of_init);
        case.destroy(&id);
    }
}

/// The container's directory in each hierarchy.
fn directories_of(case: &Case) -> Vec<std::path::PathBuf> {
    let wanted = format!("{}-cg0", case.token());
    let all = runtime_tests::cgroup_directories(case.token());
    all.into_iter()
        .filter(|path| path.ends_with(&wanted))
        .collect()
}

#[convention("`exec --cgroup` puts the process below the container's cgroup.")]
fn below_the_cgroup(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    for directory in directories_of(case) {
        fs::create_dir(directory.join("sub")).unwrap();
        // v1 cpusets take nobody before they have been filled in.
        for file in ["cpuset.mems", "cpuset.cpus"] {
            if let Ok(value) = fs::read_to_string(directory.join(file)) {
                let _ = fs::write(directory.join("sub").join(file), value.trim());
            }
        }
    }
    let pid = detached(case, &["--cgroup", "/sub"], &id, &["/bin/sleep", "1000"]);
    let init = cgroups(case.pid(&id));
    for (line, of_init) in cgroups(pid).lines().zip(init.lines()) {
        let wanted = if of_init.contains(case.token()) {
            format!("{of_init}/sub")
        } else {
            of_init.to_owned()
        };
        assert_eq!(line, wanted);
    }
    end(case, pid);
    case.destroy(&id);
}

#[convention(
    "`exec --cgroup` never leads out of the container's cgroup, nor into a sibling whose name begins like it."
)]
#[falls_without("cgroup-names")]
fn cgroup_outside_is_refused(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let sibling = format!("{}-cg0-sibling", case.token());
    let mut neighbour = case.bundle();
    neighbour
        .config
        .set("/linux/cgroupsPath", json!(format!("/{sibling}")));
    let other = launch(case, &mut neighbour);
    let climbs = ["", "/", "a/../"].map(|start| format!("{start}../{sibling}"));
    for path in climbs
        .iter()
        .map(String::as_str)
        .chain(["..", "/..", "../../"])
    {
        refused(case, &["--cgroup", path], &id, &["/bin/true"]);
    }
    refused(case, &["--cgroup", "none"], &id, &["/bin/true"]);
    case.destroy(&other);
    case.destroy(&id);
}

#[convention(
    "`exec` works when init has moved below and enabled a controller for others, as systemd's does."
)]
fn moved_init(case: &mut Case) {
    if !case.view.is_unified() {
        runtime_tests::skip("a rule of cgroup v2");
    }
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let directory = directories_of(case).remove(0);
    let inner = directory.join("init.scope");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("cgroup.procs"), case.pid(&id).to_string()).unwrap();
    let controllers = fs::read_to_string(directory.join("cgroup.controllers")).unwrap();
    let Some(controller) = controllers.split_whitespace().next() else {
        case.destroy(&id);
        runtime_tests::skip("no controller to enable in this view");
    };
    fs::write(
        directory.join("cgroup.subtree_control"),
        format!("+{controller}"),
    )
    .unwrap();
    let pid = detached(case, &[], &id, &["/bin/sleep", "1000"]);
    assert_eq!(cgroups(pid), cgroups(case.pid(&id)));
    end(case, pid);
    case.destroy(&id);
}

#[convention("The end of the pid namespace ends the processes of `exec`.")]
fn ends_with_the_container(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let running = exec(case, &[], &id, &["/bin/sh", "-c", "echo ready; sleep 1000"]).spawn();
    case.until("it runs", || running.output().contains("ready"));
    case.runtime().args(["delete", "--force", &id]).run().ok();
    running.finish().exits(137);
}

#[convention("`exec` leaves nothing behind, often in a row.")]
fn many_in_a_row(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    for number in 0..200 {
        let code = number % 256;
        exec(case, &[], &id, &["/bin/probe", "fail", &code.to_string()])
            .run()
            .exits(code);
    }
    let left = case
        .runtime()
        .args(["ps", "--format", "json", &id])
        .run()
        .ok()
        .stdout;
    assert_eq!(left.trim(), format!("[{}]", case.pid(&id)));
    case.destroy(&id);
}

#[convention("Eight `exec` at once do not disturb each other.")]
fn eight_at_once(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    for _ in 0..5 {
        let start = |number: i32| {
            let code = number.to_string();
            (
                number,
                exec(case, &[], &id, &["/bin/probe", "fail", &code]).spawn(),
            )
        };
        let all: Vec<_> = (1..=8).map(start).collect();
        for (number, running) in all {
            running.finish().exits(number);
        }
    }
    let left = case
        .runtime()
        .args(["ps", "--format", "json", &id])
        .run()
        .ok()
        .stdout;
    assert_eq!(left.trim(), format!("[{}]", case.pid(&id)));
    case.destroy(&id);
}

#[must("execCPUAffinity (object, OPTIONAL) specifies CPU affinity used to execute the process.")]
fn cpu_affinity(case: &mut Case) {
    if !Path::new("/sys/devices/system/cpu/cpu1").exists() {
        runtime_tests::skip("one CPU only");
    }
    let mut bundle = case.bundle();
    let affinity = json!({"initial": "0", "final": "1"});
    bundle.config.set("/process/execCPUAffinity", affinity);
    let id = launch(case, &mut bundle);
    assert_eq!(facts(case, &[], &id).status("Cpus_allowed_list"), "1");
    case.destroy(&id);
}
