//! What a container that runs is kept from, attack by attack: other control groups,
//! other keyrings, sockets, labels, settings of the kernel, whoever comes in.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, Instant};

use runtime_tests::{Bundle, Case, Facts, cgroup_directories, convention, falls_without, skip};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

const CHAPTER: &str = "Published attacks";

#[convention(
    "CVE-2023-25809: without a cgroup namespace a container sees no control group but its own, even one that its users own."
)]
#[falls_without("own-cgroup-only")]
fn another_cgroup_of_the_same_user(case: &mut Case) {
    if !case.view.is_unified() {
        skip("on v1 nothing below a hierarchy is delegated to users");
    }
    let first = 100_000;
    let name = format!("{}-delegated", case.token());
    let delegated = Path::new("/sys/fs/cgroup").join(&name);
    fs::create_dir(&delegated).unwrap();
    for path in [delegated.clone(), delegated.join("cgroup.procs")] {
        chown(path, Some(first), Some(first)).unwrap();
    }
    let line = format!(
        "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do case $d in *{name}*) echo seen;; esac; \
         mkdir $d/{name}/x $d/../{name}/x && echo made; done; true"
    );
    for options in [&["ro"][..], &["rw"]] {
        let mut bundle = case.bundle();
        bundle.give_directories_to(first);
        bundle
            .config
            .user_namespace(first)
            .without_namespace("cgroup")
            .shell(&line);
        let mounts = bundle.config.0["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["type"] != "cgroup");
        bundle
            .config
            .mount("/sys/fs/cgroup", "cgroup", "cgroup", options);
        let finished = case.run(&bundle);
        assert_eq!(finished.stdout, "", "{options:?}: {}", finished.describe());
        assert!(!delegated.join("x").exists(), "{options:?}");
        case.count("attacks", 1);
    }
    fs::remove_dir(&delegated).unwrap();
}

#[convention(
    "CVE-2022-0492: as `spec` writes it, a container has a cgroup namespace and cannot write a release_agent."
)]
fn release_agent(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/noNewPrivileges", json!(false));
    let line = "for f in /sys/fs/cgroup/release_agent /sys/fs/cgroup/*/release_agent; do \
        test -e $f && echo /evil > $f && echo written; done; true";
    assert_eq!(case.shell(&mut bundle, line), "");
    case.count("attacks", 1);
}

#[convention(
    "CVE-2022-24769, CVE-2022-27650, CVE-2015-3630: the configuration that `spec` writes has nothing inheritable or ambient, and what /proc should not give away masked or read-only."
)]
fn the_configuration_of_spec(case: &mut Case) {
    let directory = case.directory.join("spec");
    fs::create_dir(&directory).unwrap();
    let spec = case.runtime().args(["spec"]).directory(&directory);
    spec.run().ok();
    let text = fs::read(directory.join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&text).unwrap();
    for set in ["inheritable", "ambient"] {
        let list = config["process"]["capabilities"][set].as_array();
        let empty = list.is_none_or(Vec::is_empty);
        // Peers wrote ambient ones for years; an advisory is only about inheritable ones.
        assert!(empty || (set == "ambient" && !case.is_corten()), "{set}");
    }
    assert_eq!(config["process"]["noNewPrivileges"], true);
    let has = |list: &str, path: &str| {
        let list = config["linux"][list].as_array();
        list.is_some_and(|list| list.iter().any(|one| one == path))
    };
    for path in [
        "/proc/kcore",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/latency_stats",
    ] {
        assert!(has("maskedPaths", path), "{path}");
    }
    for path in [
        "/proc/fs",
        "/proc/bus",
        "/proc/irq",
        "/proc/sys",
        "/proc/sysrq-trigger",
    ] {
        assert!(has("readonlyPaths", path), "{path}");
    }
}

#[convention(
    "CVE-2025-52881: additional groups are the container's, whatever an image says that /proc/self/setgroups holds."
)]
fn groups_over_a_covered_proc(case: &mut Case) {
    let mut bundle = case.bundle();
    let proc = bundle.rootfs().join("proc");
    let cover = format!(
        "mount -t tmpfs fake {proc} && mkdir {proc}/self {proc}/thread-self && \
         echo deny > {proc}/self/setgroups && echo deny > {proc}/thread-self/setgroups",
        proc = proc.display()
    );
    bundle.config.hook("createContainer", &cover);
    bundle
        .config
        .set(
            "/process/user",
            json!({"uid": 1000, "gid": 1000, "additionalGids": [4242]}),
        )
        .set("/linux/readonlyPaths", json!([]))
        .set("/linux/maskedPaths", json!([]))
        .args(&["id", "-G"]);
    let finished = case.run(&bundle);
    let groups: Vec<&str> = finished.stdout.split_whitespace().collect();
    assert!(
        !finished.status.success() || groups.contains(&"4242"),
        "{}",
        finished.describe()
    );
    case.count("attacks", 1);
}

#[convention(
    "CVE-2022-0811: no value of a sysctl is another sysctl, and no key leads out of its namespace."
)]
fn a_sysctl_that_hides_another(case: &mut Case) {
    let pattern = fs::read("/proc/sys/kernel/core_pattern").unwrap();
    for (key, value) in [
        ("kernel.shm_rmid_forced", "1+kernel.core_pattern=|/evil"),
        ("kernel.shm_rmid_forced", "1\nkernel.core_pattern = |/evil"),
        ("kernel.core_pattern", "|/evil"),
        ("net/../kernel/core_pattern", "|/evil"),
        ("net...kernel.core_pattern", "|/evil"),
        ("net.ipv4/../../kernel/core_pattern", "|/evil"),
    ] {
        let mut bundle = case.bundle();
        bundle
            .config
            .set("/linux/sysctl", json!({key: value}))
            .args(&["true"]);
        let finished = case.run(&bundle);
        // A peer may take a value up to its first odd byte.
        assert!(
            !case.is_corten() || !finished.status.success(),
            "{key}={value}"
        );
        let now = fs::read("/proc/sys/kernel/core_pattern").unwrap();
        assert!(now == pattern, "{key}={value}");
        case.count("attacks", 1);
    }
}

#[convention(
    "CVE-2020-15257: a container that shares its caller's network finds no abstract socket of the runtime."
)]
fn abstract_sockets(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.without_namespace("network");
    bundle
        .config
        .mount("/host-net", "tmpfs", "tmpfs", &[])
        .shell("grep -c ' @' /proc/net/unix");
    bundle.write();
    // In a network namespace where nobody else has sockets.
    let id = case.id();
    let line = format!(
        "exec {} --root {} run --bundle {} {id}",
        case.runtime_path(),
        case.state_root().display(),
        bundle.path.display(),
    );
    let finished = case
        .program("unshare")
        .args(["--net", "sh", "-c", &line])
        .run();
    assert_eq!(finished.stdout, "0\n", "{}", finished.describe());
    case.count("attacks", 1);
}

#[convention(
    "CVE-2026-84042, CVE-2019-14271: no program and no library of the image is executed or loaded by the runtime itself."
)]
fn helpers_of_the_image(case: &mut Case) {
    let mut bundle = case.bundle();
    let mark = case.directory.join("mark");
    let helper = format!("#!/bin/sh\necho as $(id -u) > {}\n", mark.display());
    for name in ["newuidmap", "newgidmap", "mount", "corten", "passt", "sh"] {
        for directory in ["usr/bin", "usr/sbin", "sbin", "usr/local/bin"] {
            let path = bundle.rootfs().join(directory);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join(name), &helper).unwrap();
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    fs::write(
        bundle.rootfs().join("etc/nsswitch.conf"),
        "passwd: evil\ngroup: evil\nhosts: evil\n",
    )
    .unwrap();
    bundle.config.bind(
        &case.directory,
        &case.directory.to_string_lossy(),
        &["bind"],
    );
    bundle.config.args(&["/bin/true"]);
    case.run(&bundle).ok();
    assert!(!mark.exists(), "{:?}", fs::read_to_string(&mark));
    case.count("attacks", 1);
}

#[convention(
    "What an image has at /dev/ptmx, a FIFO, a file or a directory, is not opened: nothing hangs, and the container gets the link or an error."
)]
fn false_ptmx(case: &mut Case) {
    for kind in ["fifo", "file", "directory"] {
        let mut bundle = case.bundle();
        let mounts = bundle.config.0["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != "/dev");
        let path = bundle.rootfs().join("dev/ptmx");
        for name in ["pts", "shm", "mqueue"] {
            fs::create_dir(bundle.rootfs().join("dev").join(name)).unwrap();
        }
        match kind {
            "fifo" => mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap(),
            "file" => fs::write(&path, "mine").unwrap(),
            _ => fs::create_dir(&path).unwrap(),
        }
        bundle.config.args(&["readlink", "/dev/ptmx"]);
        let begun = Instant::now();
        let finished = case.run(&bundle);
        assert!(begun.elapsed() < Duration::from_secs(10), "{kind}");
        let linked = matches!(finished.stdout.trim(), "pts/ptmx" | "/dev/pts/ptmx");
        assert!(
            linked || !finished.status.success(),
            "{kind}: {}",
            finished.describe()
        );
        case.count("attacks", 1);
    }
}

/// A container that may mount, whose program did so.
fn mounting(case: &mut Case, line: &str) -> (Bundle, String) {
    let mut bundle = case.bundle();
    for set in ["bounding", "effective", "permitted"] {
        let set = format!("/process/capabilities/{set}");
        bundle.config.set(
            &set,
            json!(["CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_DAC_OVERRIDE"]),
        );
    }
    bundle
        .config
        .shell(&format!("{line}; touch /tmp/done; exec sleep 1000"));
    let id = case.launch(&bundle);
    let done = bundle.rootfs().join("tmp/done");
    case.until("the container is prepared", || done.exists());
    (bundle, id)
}

#[convention(
    "CVE-2025-52565 in `exec`: a container that covers its devpts, or `ptmx` in it, gets an error for `exec --tty`, in time."
)]
fn exec_with_a_false_ptmx(case: &mut Case) {
    for line in [
        "mknod /tmp/f p; mount --bind /tmp/f /dev/pts/ptmx",
        "echo > /tmp/f; mount --bind /tmp/f /dev/pts/ptmx",
        "mount -t tmpfs t /dev/pts; mknod /dev/pts/ptmx p",
        "mount -t tmpfs t /dev/pts; ln -s /proc/sys/kernel/core_pattern /dev/pts/ptmx",
        "mkdir /tmp/d; mount --bind /tmp/d /dev/pts",
    ] {
        let (_bundle, id) = mounting(case, line);
        let socket = runtime_tests::ConsoleSocket::listen(&case.directory);
        let path = socket.path.to_string_lossy().into_owned();
        let options = ["exec", "--tty", "--detach", "--console-socket", &path];
        let begun = Instant::now();
        let exec = case.runtime().args(options).args([&id, "/bin/true"]);
        exec.limit(Duration::from_secs(20)).run().fails();
        assert!(begun.elapsed() < Duration::from_secs(5), "{line}");
        case.destroy(&id);
        fs::remove_file(path).unwrap();
        case.count("attacks", 1);
    }
}

#[convention(
    "CVE-2025-52881 in `exec`: a container that covers its /proc changes nothing of what `exec` sets."
)]
fn exec_over_a_covered_proc(case: &mut Case) {
    let line = "mount -t tmpfs t /proc; mkdir -p /proc/self/attr /proc/self/fd /proc/thread-self/attr; \
        echo deny > /proc/self/setgroups; : > /proc/self/oom_score_adj; ln -s / /proc/1";
    let (_bundle, id) = mounting(case, line);
    let options = ["exec", "--user", "1000:1000", "--additional-gids", "4242"];
    let exec = case.runtime().args(options).args([&id, "id", "-G"]);
    let finished = exec.limit(Duration::from_secs(20)).run();
    let groups: Vec<&str> = finished.stdout.split_whitespace().collect();
    assert!(
        !finished.status.success() || groups.contains(&"4242"),
        "{}",
        finished.describe()
    );
    case.destroy(&id);
    case.count("attacks", 1);
}

#[convention(
    "The caller's session keyring, with his secrets, is reachable neither from a container nor from `exec`."
)]
#[falls_without("session-keyring")]
fn keys_of_the_caller(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/linux/maskedPaths", json!([]));
    bundle
        .config
        .shell("probe facts > /tmp/facts; exec sleep 1000");
    let id = case.launch(&bundle);
    let file = bundle.rootfs().join("tmp/facts");
    let read = || fs::read_to_string(&file).unwrap_or_default();
    case.until("init has looked", || {
        serde_json::from_str::<Value>(&read()).is_ok()
    });
    let exec = case.runtime().args(["exec", &id, "/bin/probe", "facts"]);
    let of_exec = exec.run().ok().stdout;
    for facts in [Facts::parse(&read()), Facts::parse(&of_exec)] {
        let keys = facts.at("/session_keyring").as_array().unwrap().clone();
        let own = |key: &Value| key.as_str().is_some_and(|line| line.contains(&id));
        // A kernel without keys shows none.
        assert!(keys.is_empty() || keys.iter().any(own), "{keys:?}");
    }
    case.destroy(&id);
    case.count("attacks", 1);
}

#[convention(
    "CVE-2024-40635: a user id that does not fit, or that the kernel takes for \"unchanged\", is no user."
)]
fn ids_that_wrap_around(case: &mut Case) {
    for id in [
        json!(-1),
        json!(4_294_967_296_u64),
        json!(1_u64 << 63),
        json!(1.5),
        json!("0"),
    ] {
        for property in ["/process/user/uid", "/process/user/gid"] {
            let mut bundle = case.bundle();
            bundle.config.set(property, id.clone()).args(&["id", "-u"]);
            case.run(&bundle).fails();
            case.count("attacks", 1);
        }
    }
    assert!(cgroup_directories(case.token()).is_empty());
}

#[convention("The runtime under test has no switch that takes a defence away.")]
fn no_switches(case: &mut Case) {
    let bytes = fs::read(case.runtime_path()).unwrap();
    let wanted = b"CORTEN_UNDEFENDED";
    let ordinary = !bytes.windows(wanted.len()).any(|window| window == wanted);
    assert!(ordinary, "built with the feature `undefended`");
}
