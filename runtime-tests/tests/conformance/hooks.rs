//! config.md, "POSIX-platform Hooks": the moment, the namespaces and the state of each of the six.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_tests::{Bundle, Case, convention, must};
use serde_json::{Value, json};

const CHAPTER: &str = "config.md: POSIX-platform hooks";

pub const KINDS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

/// A directory that hooks on both sides reach: at its own path outside, at `/log` inside.
pub fn log(case: &Case, bundle: &mut Bundle) -> PathBuf {
    let path = case.directory.join("log");
    fs::create_dir_all(&path).unwrap();
    bundle.config.bind(&path, "/log", &["bind"]);
    path
}

/// The log as the hook sees it.
fn seen_by(kind: &str, log: &Path) -> String {
    if kind == "startContainer" {
        "/log".to_owned()
    } else {
        log.display().to_string()
    }
}

fn hooks_that_do(bundle: &mut Bundle, log: &Path, line: impl Fn(&str, &str) -> String) {
    for kind in KINDS {
        bundle.config.hook(kind, &line(kind, &seen_by(kind, log)));
    }
}

pub fn read(log: &Path, name: &str) -> String {
    let path = log.join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each kind at its moment.
#[must("Hooks MUST be called in the listed order.")]
fn order(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    hooks_that_do(&mut bundle, &log, |kind, log| {
        format!("cat > {log}/state; echo {kind} 1 >> {log}/order")
    });
    hooks_that_do(&mut bundle, &log, |kind, log| {
        format!("cat > {log}/state; echo {kind} 2 >> {log}/order")
    });
    bundle
        .config
        .shell("echo program >> /log/order; sleep 1000");
    let id = case.create(&bundle);
    let lines = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("{name} 1\n{name} 2\n"))
            .collect::<String>()
    };
    let created = lines(&KINDS[..3]);
    // The deprecated early poststart of some runtimes is not asserted here but below.
    assert!(
        read(&log, "order").starts_with(&created),
        "{}",
        read(&log, "order")
    );
    case.start(&id);
    case.until("the program runs", || {
        read(&log, "order").contains("program")
    });
    let text = read(&log, "order");
    let at = |line: &str| {
        text.find(line)
            .unwrap_or_else(|| panic!("no {line} in {text}"))
    };
    assert!(
        at("startContainer 1") < at("startContainer 2") && at("startContainer 2") < at("program"),
        "{text}"
    );
    assert!(at("poststart 1") < at("poststart 2"), "{text}");
    assert!(!text.contains("poststop"), "{text}");
    case.destroy(&id);
    assert!(read(&log, "order").ends_with(&lines(&["poststop"])));
}

#[must(
    "The state of the container MUST be passed to hooks over stdin so that they may do work appropriate to the current state of the container."
)]
fn state_on_stdin(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    hooks_that_do(&mut bundle, &log, |kind, log| {
        format!("cat > {log}/{kind}.json")
    });
    bundle
        .config
        .set("/annotations", json!({"org.example.key": "va\"lue/é"}));
    bundle.config.shell("sleep 1000");
    let id = case.launch(&bundle);
    let pid = case.pid(&id);
    case.destroy(&id);
    let allowed: [(&str, &[&str]); 4] = [
        ("prestart", &["creating", "created"]),
        ("createRuntime", &["creating", "created"]),
        ("poststart", &["running"]),
        ("poststop", &["stopped"]),
    ];
    for (kind, statuses) in allowed {
        let state: Value =
            serde_json::from_str(&read(&log, &format!("{kind}.json"))).expect("JSON");
        assert_eq!(state["id"], json!(id), "{kind}");
        assert_eq!(state["bundle"], json!(bundle.path), "{kind}");
        assert_eq!(
            state["annotations"]["org.example.key"],
            json!("va\"lue/é"),
            "{kind}"
        );
        assert!(
            state["ociVersion"]
                .as_str()
                .is_some_and(|text| text.starts_with("1.")),
            "{kind}: {state}"
        );
        assert!(
            statuses.contains(&state["status"].as_str().unwrap()),
            "{kind}: {state}"
        );
        if kind != "poststop" {
            assert_eq!(state["pid"], json!(pid), "{kind}");
        }
    }
}

/// The hooks inside get it too; the pid is the one they can see.
#[must("The state of the container MUST be passed to hooks over stdin.")]
fn state_in_container_hooks(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    hooks_that_do(&mut bundle, &log, |kind, log| {
        format!("cat > {log}/{kind}.json")
    });
    bundle.config.args(&["/bin/true"]);
    case.run(&bundle).ok();
    for kind in ["createContainer", "startContainer"] {
        let state: Value =
            serde_json::from_str(&read(&log, &format!("{kind}.json"))).expect("JSON");
        assert_eq!(state["bundle"], json!(bundle.path), "{kind}");
        assert!(
            ["creating", "created"].contains(&state["status"].as_str().unwrap()),
            "{kind}: {state}"
        );
        if case.is_corten() {
            assert_eq!(state["pid"], json!(1), "{kind}");
        }
    }
}

#[must(
    "The createRuntime hooks MUST be executed in the runtime namespace. The createContainer hooks MUST be executed in the container namespace."
)]
fn namespaces(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    hooks_that_do(&mut bundle, &log, |kind, log| {
        format!("for n in mnt pid net uts ipc; do readlink /proc/self/ns/$n; done > {log}/{kind}")
    });
    bundle
        .config
        .shell("for n in mnt pid net uts ipc; do readlink /proc/self/ns/$n; done > /log/program");
    case.run(&bundle).ok();
    let own: String = ["mnt", "pid", "net", "uts", "ipc"]
        .iter()
        .map(|name| {
            format!(
                "{}\n",
                fs::read_link(format!("/proc/self/ns/{name}"))
                    .unwrap()
                    .display()
            )
        })
        .collect();
    for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
        assert_eq!(read(&log, kind), own, "{kind}");
    }
    assert_eq!(read(&log, "startContainer"), read(&log, "program"));
    // procfs is still the host's there, so a pid namespace shows no own entries: compare what is seen.
    let inside = read(&log, "createContainer");
    for (line, program) in inside.lines().zip(read(&log, "program").lines()) {
        assert_eq!(line, program, "createContainer");
    }
}

/// The mounts are there.
#[must(
    "The createRuntime hooks MUST be called as part of the create operation after the runtime environment has been created ... but before the pivot_root or any equivalent operation has been executed."
)]
fn mounts_are_done_before_create_runtime(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    let read_pid = "sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'";
    let line = format!(
        "p=$(tr -d '\\n' | {read_pid}); cp /proc/$p/mountinfo {}/mountinfo",
        log.display()
    );
    bundle
        .config
        .hook("createRuntime", &line)
        .args(&["/bin/true"]);
    case.run(&bundle).ok();
    let text = read(&log, "mountinfo");
    for target in ["rootfs/proc ", "rootfs/dev/pts ", "rootfs/log "] {
        assert!(text.contains(target), "{target} in {text}");
    }
}

/// What network plugins need: the pid in the state leads to the container's namespaces.
#[must(
    "The prestart hooks MUST be called as part of the create operation after the runtime environment has been created."
)]
fn prestart_sees_the_namespaces_of_pid(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    let read_pid = "sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'";
    let line = format!(
        "p=$(tr -d '\\n' | {read_pid}); readlink /proc/$p/ns/net > {}/net",
        log.display()
    );
    bundle.config.hook("prestart", &line);
    bundle.config.args(&["readlink", "/proc/self/ns/net"]);
    let finished = case.run(&bundle).ok();
    assert_eq!(read(&log, "net"), finished.stdout);
}

/// The host's files are still in reach.
#[must("The createContainer hooks' path MUST resolve in the runtime namespace.")]
fn create_container_sees_the_root_before_pivot(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    let root = bundle.rootfs();
    let line = format!(
        "cat {}/etc/marker > {}/marker; hostname > {}/hostname",
        root.display(),
        log.display(),
        log.display()
    );
    bundle
        .config
        .hook("createContainer", &line)
        .args(&["/bin/true"]);
    case.run(&bundle).ok();
    assert_eq!(read(&log, "marker"), "of the root\n");
}

#[must(
    "The startContainer hooks' path MUST resolve in the container namespace. The startContainer hooks MUST be executed in the container namespace."
)]
fn start_container_runs_inside(case: &mut Case) {
    let mut bundle = case.bundle();
    log(case, &mut bundle);
    let path = bundle.rootfs().join("bin/only-inside");
    fs::write(
        &path,
        "#!/bin/sh\ncat /etc/marker > /log/inside\necho $1 >> /log/inside\n",
    )
    .unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bundle.config.push(
        "/hooks/startContainer",
        json!({"path": "/bin/only-inside", "args": ["x", "argument"]}),
    );
    bundle.config.args(&["cat", "/log/inside"]);
    assert_eq!(case.run(&bundle).ok().stdout, "of the root\nargument\n");
}

/// Not already during create.
#[must(
    "The poststart hooks MUST be called after the user-specified process is executed but before the start operation returns."
)]
fn poststart_after_start(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    bundle.config.hook(
        "poststart",
        &format!("echo done > {}/poststart", log.display()),
    );
    bundle.config.shell("sleep 1000");
    let id = case.create(&bundle);
    assert!(!log.join("poststart").exists());
    case.start(&id);
    assert_eq!(read(&log, "poststart"), "done\n");
    case.destroy(&id);
}

#[must(
    "The poststop hooks MUST be called after the container is deleted but before the delete operation returns."
)]
fn poststop_after_the_container_is_gone(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    let line = format!(
        "ls {} > {}/state; echo done > {}/poststop",
        case.state_root().display(),
        log.display(),
        log.display()
    );
    bundle.config.hook("poststop", &line).shell("sleep 1000");
    let id = case.launch(&bundle);
    case.kill(&id);
    assert!(!log.join("poststop").exists());
    case.delete(&id);
    assert_eq!(read(&log, "poststop"), "done\n");
}

/// Nothing else, and nothing of the container's.
#[must(
    "env (array of strings, OPTIONAL) with the same semantics as IEEE Std 1003.1-2008's environ."
)]
fn environment_is_the_hooks_own(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    for kind in KINDS {
        let line = format!(
            "/usr/bin/env > {0}/{kind} || /bin/env > {0}/{kind}",
            seen_by(kind, &log)
        );
        let hook =
            json!({"path": "/bin/sh", "args": ["sh", "-c", line], "env": ["ONE=1", "PATH=/bin"]});
        bundle.config.push(&format!("/hooks/{kind}"), hook);
    }
    bundle
        .config
        .push("/process/env", json!("LD_PRELOAD_TEST=evil.so"))
        .args(&["/bin/true"]);
    case.run(&bundle).ok();
    for kind in KINDS {
        let text = read(&log, kind);
        let text: Vec<&str> = text
            .lines()
            // What the shell adds by itself.
            .filter(|line| {
                !["PWD=", "SHLVL=", "_=", "OLDPWD="]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .collect();
        assert_eq!(text, ["ONE=1", "PATH=/bin"], "{kind}");
    }
}

#[convention("A hook without `args` gets its path as its only argument.")]
fn arguments_default_to_the_path(case: &mut Case) {
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    let script = case.directory.join("hook");
    fs::write(
        &script,
        format!("#!/bin/sh\necho $0 $# > {}/args\n", log.display()),
    )
    .unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bundle
        .config
        .push("/hooks/createRuntime", json!({"path": script}))
        .args(&["/bin/true"]);
    case.run(&bundle).ok();
    assert_eq!(read(&log, "args"), format!("{} 0\n", script.display()));
}

#[convention(
    "A hook that leaves without reading its stdin does not hurt the runtime with a broken pipe."
)]
fn a_hook_need_not_read_its_stdin(case: &mut Case) {
    let mut bundle = case.bundle();
    for kind in KINDS {
        bundle.config.hook(kind, "exec <&-; exit 0");
    }
    // More than a pipe takes without a reader.
    bundle
        .config
        .set("/annotations", json!({"large": "x".repeat(200_000)}));
    bundle.config.args(&["echo", "ran"]);
    assert_eq!(case.run(&bundle).ok().stdout, "ran\n");
}

#[convention("The limits of the cgroup are in force when the hooks of `create` run.")]
fn cgroup_limits_are_in_force(case: &mut Case) {
    if case.view.is_unified() {
        runtime_tests::skip("the memory controller is looked for on v1");
    }
    let mut bundle = case.bundle();
    let log = log(case, &mut bundle);
    bundle
        .config
        .set("/linux/resources/memory", json!({"limit": 67_108_864}));
    let path = bundle.config.0["linux"]["cgroupsPath"]
        .as_str()
        .unwrap()
        .to_owned();
    let line = format!(
        "cat /sys/fs/cgroup/memory{path}/memory.limit_in_bytes > {}/limit",
        log.display()
    );
    bundle
        .config
        .hook("createRuntime", &line)
        .args(&["/bin/true"]);
    case.run(&bundle).ok();
    assert_eq!(read(&log, "limit"), "67108864\n");
}
