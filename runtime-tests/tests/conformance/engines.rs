//! The configs that engines write.

use std::fs;

use runtime_tests::{Bundle, Case, convention, skip};
use serde_json::{Value, json};

const CHAPTER: &str = "Engines";

pub const DOCKER_SECCOMP: &str = include_str!("../fixtures/docker-seccomp.json");

const DOCKER_CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

pub fn capabilities(bundle: &mut Bundle) {
    let list = json!(DOCKER_CAPABILITIES);
    let sets = json!({"bounding": list, "effective": list, "permitted": list});
    bundle.config.set("/process/capabilities", sets);
}

fn device_rules() -> Value {
    json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 9, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 8, "access": "rwm"},
        {"allow": true, "type": "c", "major": 5, "minor": 0, "access": "rwm"},
        {"allow": true, "type": "c", "major": 5, "minor": 1, "access": "rwm"},
        {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
    ])
}

/// Limits that this view can hold.
fn limits(case: &Case, bundle: &mut Bundle) {
    bundle
        .config
        .set("/linux/resources/devices", device_rules());
    if !case.view.is_unified() {
        bundle.config.set(
            "/linux/resources/memory",
            json!({"limit": 268_435_456, "reservation": 0, "swappiness": 60}),
        );
        bundle.config.set(
            "/linux/resources/cpu",
            json!({"shares": 512, "quota": 100_000, "period": 100_000, "cpus": "0"}),
        );
        bundle
            .config
            .set("/linux/resources/pids", json!({"limit": 100}));
        bundle.config.set("/linux/resources/blockIO", json!({}));
    }
}

fn docker_bundle(case: &mut Case) -> Bundle {
    let mut bundle = case.bundle();
    capabilities(&mut bundle);
    limits(case, &mut bundle);
    for number in 0..27 {
        let source = case.directory.join(format!("volume{number}"));
        fs::create_dir(&source).unwrap();
        fs::write(source.join("number"), number.to_string()).unwrap();
        let mode = if number % 3 == 0 { "ro" } else { "rw" };
        bundle.config.bind(
            &source,
            &format!("/volumes/{number}"),
            &["rbind", "rprivate", mode],
        );
    }
    for name in ["resolv.conf", "hostname", "hosts"] {
        let source = case.directory.join(name);
        fs::write(&source, format!("{name}\n")).unwrap();
        bundle
            .config
            .bind(&source, &format!("/etc/{name}"), &["rbind", "rprivate"]);
    }
    let seccomp: Value = serde_json::from_str(DOCKER_SECCOMP).unwrap();
    bundle.config.set("/linux/seccomp", seccomp);
    bundle.config.set(
        "/linux/maskedPaths",
        json!([
            "/proc/asound",
            "/proc/acpi",
            "/proc/interrupts",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/sys/firmware",
            "/sys/devices/virtual/powercap"
        ]),
    );
    bundle
        .config
        .set("/process/oomScoreAdj", json!(100))
        .set("/process/noNewPrivileges", json!(false));
    bundle.config.set("/linux/sysctl", json!({"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}));
    bundle
}

#[convention("Docker: 30 bind mounts, the default seccomp profile, masked paths, limits.")]
fn docker_like(case: &mut Case) {
    let mut bundle = docker_bundle(case);
    let facts = case.facts(&bundle);
    assert_eq!(facts.status("Seccomp"), "2");
    assert_eq!(facts.capabilities("CapEff"), 0xa804_25fb);
    assert_eq!(
        facts
            .mounts()
            .iter()
            .filter(|mount| mount.target.starts_with("/volumes/"))
            .count(),
        27
    );
    let line = "cat /volumes/26/number /etc/hosts; touch /volumes/0/x 2>/dev/null || echo refused; touch /volumes/1/x && echo written; \
        /bin/probe call mount chroot mknod; wc -c < /proc/interrupts; id -u; chown 5 /tmp && echo owned";
    let wanted = "26hosts\nrefused\nwritten\nmount 1\nchroot 0\nmknod 0\n0\n0\nowned";
    assert_eq!(case.shell(&mut bundle, line), wanted);
}

#[convention("Docker, privileged: all capabilities, no seccomp, no masks, every device.")]
fn docker_like_privileged(case: &mut Case) {
    let mut bundle = case.bundle();
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .unwrap();
    let own = u64::from_str_radix(own.trim(), 16).unwrap();
    if own & (1 << 21) == 0 {
        skip("this host lacks CAP_SYS_ADMIN");
    }
    let list = json!([
        "CAP_SYS_ADMIN",
        "CAP_NET_ADMIN",
        "CAP_MKNOD",
        "CAP_SYS_CHROOT",
        "CAP_SYSLOG",
        "CAP_DAC_OVERRIDE",
        "CAP_CHOWN"
    ]);
    bundle.config.set(
        "/process/capabilities",
        json!({"bounding": list, "effective": list, "permitted": list}),
    );
    bundle
        .config
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]));
    bundle.config.set(
        "/linux/resources/devices",
        json!([{"allow": true, "access": "rwm"}]),
    );
    bundle.config.set("/process/noNewPrivileges", json!(false));
    let line = "/bin/probe call mount sethostname; mknod /run/kmsg c 1 11 && (: < /run/kmsg) && echo kmsg; wc -l < /proc/timer_list > /dev/null && echo unmasked";
    assert_eq!(
        case.shell(&mut bundle, line),
        "mount 0\nsethostname 0\nkmsg\nunmasked"
    );
}

#[convention(
    "Podman: tmpfs mounts with tmpcopyup, a cgroup of several levels, /run/.containerenv, oom score, ulimits, rslave root, private cgroup namespace, annotations, init with uid 0."
)]
fn podman_like(case: &mut Case) {
    let mut bundle = podman_bundle(case);
    let facts = case.facts(&bundle);
    assert_eq!(facts.at("/groups"), &json!([0, 1, 2, 3, 4, 6, 10]));
    let output = case.shell(
        &mut bundle,
        "cat /run/.containerenv /etc/hostname; touch /run/x && echo written",
    );
    assert_eq!(output, "engine\nhostname\nwritten");
    remove_parent_cgroups(case);
}

fn podman_bundle(case: &mut Case) -> Bundle {
    let mut bundle = case.bundle();
    capabilities(&mut bundle);
    bundle.config.set(
        "/linux/cgroupsPath",
        json!(format!(
            "/{}-parent/libpod-{}",
            case.token(),
            "a".repeat(64)
        )),
    );
    bundle.config.mount(
        "/run",
        "tmpfs",
        "tmpfs",
        &[
            "rw",
            "rprivate",
            "nosuid",
            "nodev",
            "tmpcopyup",
            "mode=0755",
        ],
    );
    for name in ["hosts", "resolv.conf", "hostname"] {
        let source = case.directory.join(name);
        fs::write(&source, format!("{name}\n")).unwrap();
        bundle
            .config
            .bind(&source, &format!("/etc/{name}"), &["bind", "rprivate"]);
    }
    let environment = case.directory.join("containerenv");
    fs::write(&environment, "engine\n").unwrap();
    bundle
        .config
        .bind(&environment, "/run/.containerenv", &["bind", "rprivate"]);
    bundle
        .config
        .set("/linux/rootfsPropagation", json!("slave"));
    bundle.config.set(
        "/annotations",
        json!({"io.container.manager": "libpod", "org.opencontainers.image.stopSignal": "15"}),
    );
    bundle.config.set("/process/rlimits", json!([
        {"type": "RLIMIT_NOFILE", "soft": 10_000, "hard": 10_000}, {"type": "RLIMIT_NPROC", "soft": 32_000, "hard": 32_000}]));
    bundle.config.set(
        "/process/user",
        json!({"uid": 0, "gid": 0, "umask": 18, "additionalGids": [0, 1, 2, 3, 4, 6, 10]}),
    );
    bundle
        .config
        .set("/linux/sysctl", json!({"net.ipv4.ping_group_range": "0 0"}));
    if !case.view.is_unified() {
        bundle
            .config
            .set("/linux/resources/pids", json!({"limit": 2048}));
    }
    let seccomp: Value = serde_json::from_str(DOCKER_SECCOMP).unwrap();
    bundle.config.set("/linux/seccomp", seccomp);
    bundle
}

fn remove_parent_cgroups(case: &Case) {
    let mut left = runtime_tests::cgroup_directories(case.token());
    left.reverse();
    for path in left {
        let _ = fs::remove_dir(path);
    }
}

fn pause_bundle(case: &mut Case) -> Bundle {
    let mut bundle = case.bundle();
    bundle.config.set("/root/readonly", json!(true));
    bundle.config.set(
        "/process/user",
        json!({"uid": 65535, "gid": 65535, "additionalGids": [65535]}),
    );
    bundle
        .config
        .set("/process/oomScoreAdj", json!(998))
        .set("/process/env", json!(["PATH=/bin"]));
    bundle.config.set("/hostname", json!("pod-0"));
    bundle
        .config
        .set("/linux/resources/cpu", json!({"shares": 2}));
    if case.view.is_unified() {
        bundle.config.remove("/linux/resources", "cpu");
    }
    let shm = case.directory.join("shm");
    fs::create_dir_all(&shm).unwrap();
    let list = bundle.config.0["mounts"].as_array_mut().unwrap();
    list.retain(|mount| mount["destination"] != "/dev/shm");
    bundle.config.bind(&shm, "/dev/shm", &["rbind", "ro"]);
    bundle.config.set(
        "/annotations",
        json!({"io.kubernetes.cri.container-type": "sandbox"}),
    );
    bundle.config.args(&["/bin/probe", "wait"]);
    bundle
}

#[convention("A sandbox: read-only root, an unknown user, nothing to do but to wait.")]
fn pause_like(case: &mut Case) {
    let bundle = pause_bundle(case);
    let id = case.launch(&bundle);
    let pid = case.pid(&id);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    case.until("init runs its program", || {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.starts_with("/bin/probe"))
    });
    assert!(
        status.contains("Uid:\t65535")
            || fs::read_to_string(format!("/proc/{pid}/status"))
                .unwrap()
                .contains("Uid:\t65535")
    );
    assert_eq!(
        fs::read_to_string(format!("/proc/{pid}/oom_score_adj"))
            .unwrap()
            .trim(),
        "998"
    );
    case.destroy(&id);
}

#[convention("The containers of a pod join the sandbox's namespaces.")]
fn pod_shares_network_ipc_and_processes(case: &mut Case) {
    let sandbox = pause_bundle(case);
    let id = case.launch(&sandbox);
    let pid = case.pid(&id);
    let mut bundle = case.bundle();
    bundle.config.remove("", "hostname");
    for (kind, file) in [
        ("network", "net"),
        ("ipc", "ipc"),
        ("uts", "uts"),
        ("pid", "pid"),
    ] {
        bundle
            .config
            .join_namespace(kind, &format!("/proc/{pid}/ns/{file}"));
    }
    let facts = case.facts(&bundle);
    for file in ["net", "ipc", "uts", "pid"] {
        let wanted = fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
        assert_eq!(
            facts.text(&format!("/namespaces/{file}")),
            wanted.display().to_string()
        );
    }
    assert_eq!(facts.text("/hostname"), "pod-0");
    assert_eq!(
        case.shell(&mut bundle, "cat /proc/1/comm"),
        "probe",
        "the sandbox is process 1"
    );
    // Two that run together, one ends: the others stay.
    bundle.config.shell("sleep 1000");
    let second = case.launch(&bundle);
    case.kill(&second);
    case.delete(&second);
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

#[convention("`spec` writes a config that runs as it stands, but for the terminal.")]
fn template_of_spec(case: &mut Case) {
    let mut bundle = case.bundle();
    case.runtime()
        .args(["spec", "--bundle", &bundle.path.to_string_lossy()])
        .run()
        .ok();
    let text = fs::read_to_string(bundle.path.join("config.json")).unwrap();
    let template: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(template["process"]["terminal"], json!(true));
    assert_eq!(template["process"]["args"], json!(["sh"]));
    assert_eq!(
        template["root"],
        json!({"path": "rootfs", "readonly": true})
    );
    assert_eq!(
        template["process"]["capabilities"]
            .get("inheritable")
            .and_then(Value::as_array)
            .map_or(0, Vec::len),
        0
    );
    assert!(template["linux"]["maskedPaths"].as_array().unwrap().len() >= 8);
    assert_eq!(template["mounts"].as_array().unwrap().len(), 7);
    // A second one does not overwrite it.
    case.runtime()
        .args(["spec", "--bundle", &bundle.path.to_string_lossy()])
        .run()
        .exits(1)
        .says("exists");
    bundle.config.0 = template;
    bundle.config.set(
        "/linux/cgroupsPath",
        json!(format!("/{}-spec", case.token())),
    );
    bundle
        .config
        .set("/process/terminal", json!(false))
        .args(&["/bin/probe", "facts"]);
    let facts = case.facts(&bundle);
    assert!(facts.mount("/").has("ro"));
    assert_eq!(facts.status("NoNewPrivs"), "1");
}

#[convention("`spec --rootless` has a user namespace that maps the caller.")]
fn template_of_spec_rootless(case: &mut Case) {
    let bundle = case.bundle();
    case.runtime()
        .args([
            "spec",
            "--rootless",
            "--bundle",
            &bundle.path.to_string_lossy(),
        ])
        .run()
        .ok();
    let text = fs::read_to_string(bundle.path.join("config.json")).unwrap();
    let template: Value = serde_json::from_str(&text).unwrap();
    let list = template["linux"]["namespaces"].as_array().unwrap();
    assert!(list.contains(&json!({"type": "user"})) && !list.contains(&json!({"type": "network"})));
    assert_eq!(
        template["linux"]["uidMappings"],
        json!([{"containerID": 0, "hostID": 0, "size": 1}])
    );
    assert!(template["linux"].get("resources").is_none());
}

#[convention("`features` prints JSON on stdout and nothing else.")]
fn features(case: &mut Case) {
    let finished = case.program(case.runtime_path()).args(["features"]).run();
    if !finished.status.success() {
        skip("this runtime has no `features`");
    }
    assert_eq!(finished.stderr, "");
    let features: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert!(
        features["ociVersionMin"]
            .as_str()
            .unwrap()
            .starts_with("1.")
    );
    assert_eq!(features["hooks"].as_array().unwrap().len(), 6);
    let namespaces = features["linux"]["namespaces"].as_array().unwrap();
    assert!(namespaces.len() >= 7, "{namespaces:?}");
    assert!(
        features["mountOptions"]
            .as_array()
            .unwrap()
            .contains(&json!("rro"))
    );
    assert_eq!(features["linux"]["seccomp"]["enabled"], json!(true));
}
