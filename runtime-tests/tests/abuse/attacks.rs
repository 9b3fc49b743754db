//! Every attack on a container runtime that was published, played again: the image,
//! a neighbour on a shared volume, or a process inside is the attacker, and the test
//! looks at the host afterwards. Those on `exec` are in conformance/exec_hostile.rs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use runtime_tests::{
    Bundle, Case, ConsoleSocket, Finished, cgroup_directories, convention, falls_without,
};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, makedev, mknodat, renameat_with};
use serde_json::json;

use crate::stricken::is_full;

const CHAPTER: &str = "Published attacks";

/// A directory of the host that must stay as it is.
fn victim(case: &Case) -> PathBuf {
    let path = case.directory.join("victim");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("ptmx"), "keep").unwrap();
    path
}

/// A path from the root of a bundle to the host, through more `..` than there are.
fn escape(path: &Path) -> PathBuf {
    Path::new("../../../../../../../../../..").join(path.strip_prefix("/").unwrap())
}

#[track_caller]
fn unharmed(victim: &Path, what: &str) {
    let names: Vec<_> = fs::read_dir(victim)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(names, ["ptmx"], "{what}");
    assert_eq!(
        fs::read_to_string(victim.join("ptmx")).unwrap(),
        "keep",
        "{what}"
    );
}

/// Runs, whatever comes of it, and looks that it ended by itself.
fn attempt(case: &mut Case, bundle: &Bundle) -> Finished {
    let finished = case.run_with(bundle, &[]);
    assert!(finished.code().is_some(), "{}", finished.describe());
    case.count("attacks", 1);
    finished
}

/// No mount of the configuration below /dev.
fn without_dev(bundle: &mut Bundle) {
    let mounts = bundle.config.0["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
}

#[convention(
    "CVE-2019-18837, CVE-2015-3629: a mount target behind a symlink of the image stays in the root."
)]
#[falls_without("resolve-in-root")]
fn mount_target_behind_a_symlink(case: &mut Case) {
    let victim = victim(case);
    let source = case.directory.join("source");
    fs::create_dir(&source).unwrap();
    for link in [escape(&victim), victim.clone()] {
        let mut bundle = case.bundle();
        symlink(link, bundle.rootfs().join("vol")).unwrap();
        bundle
            .config
            .bind(&source, "/vol/a/b", &["bind"])
            .args(&["true"]);
        bundle.config.mount("/vol/t", "tmpfs", "tmpfs", &[]);
        attempt(case, &bundle);
        unharmed(&victim, "after the run");
    }
}

#[convention(
    "CVE-2021-30465, CVE-2024-45310: a neighbour who swaps a directory for a symlink in a shared volume, all the time, moves no mount and makes no file on the host."
)]
#[falls_without("resolve-in-root")]
fn mount_target_swapped_in_a_race(case: &mut Case) {
    let victim = victim(case);
    let shared = case.directory.join("shared");
    fs::create_dir_all(shared.join("p")).unwrap();
    symlink(escape(&victim), shared.join("q")).unwrap();
    let mut bundle = case.bundle();
    bundle.config.bind(&shared, "/vol", &["rbind", "rw"]);
    bundle
        .config
        .bind(&shared, "/vol/p/x", &["bind"])
        .args(&["true"]);
    bundle.config.mount("/vol/p/d", "tmpfs", "tmpfs", &[]);
    let rounds = if is_full() { 20_000 } else { 40 };
    let stop = AtomicBool::new(false);
    let (p, q) = (shared.join("p"), shared.join("q"));
    let swaps = std::thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            let mut swaps = 0_usize;
            while !stop.load(Ordering::Relaxed) {
                let swapped = renameat_with(CWD, &p, CWD, &q, RenameFlags::EXCHANGE);
                swaps += usize::from(swapped.is_ok());
            }
            swaps
        });
        for _ in 0..rounds {
            attempt(case, &bundle);
        }
        stop.store(true, Ordering::Relaxed);
        attacker.join().unwrap()
    });
    assert!(swaps > rounds, "the attacker was too slow: {swaps}");
    unharmed(&victim, "after the race");
    case.count("race rounds", rounds);
}

#[convention(
    "GHSA-3q8j-pf29-vwv8: a read-only path that is swapped in a race is read-only where it counts, and the host's mounts stay as they are."
)]
#[falls_without("resolve-once")]
fn read_only_path_swapped_in_a_race(case: &mut Case) {
    let shared = case.directory.join("shared");
    fs::create_dir_all(shared.join("p")).unwrap();
    symlink("/other", shared.join("q")).unwrap();
    let mut bundle = case.bundle();
    bundle.config.bind(&shared, "/vol", &["rbind", "rw"]);
    bundle.config.mount("/other", "tmpfs", "tmpfs", &[]);
    bundle.config.push("/linux/readonlyPaths", json!("/vol/p"));
    // Whatever the path was, the directory or what the symlink leads to: that is
    // read-only, and no mount is left half done.
    bundle.config.shell(
        "grep -c ' /vol/[pq] rw' /proc/self/mountinfo; \
         grep -cE ' (/vol/[pq]|/other) ro' /proc/self/mountinfo",
    );
    let stop = AtomicBool::new(false);
    let (p, q) = (shared.join("p"), shared.join("q"));
    let rounds = if is_full() { 2_000 } else { 20 };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &p, CWD, &q, RenameFlags::EXCHANGE);
            }
        });
        for _ in 0..rounds {
            let finished = attempt(case, &bundle);
            let protected = matches!(finished.stdout.as_str(), "" | "0\n1\n");
            if !protected {
                stop.store(true, Ordering::Relaxed);
            }
            assert!(protected, "{}", finished.describe());
        }
        stop.store(true, Ordering::Relaxed);
    });
    case.count("race rounds", rounds);
}

#[convention(
    "CVE-2026-41579, CVE-2026-47766: an image whose /dev is a symlink to the host has no device, link or directory made there."
)]
#[falls_without("resolve-in-root")]
fn dev_is_a_symlink(case: &mut Case) {
    let victim = victim(case);
    for link in [escape(&victim), victim.clone(), victim.join("new")] {
        let mut bundle = case.bundle();
        without_dev(&mut bundle);
        let dev = bundle.rootfs().join("dev");
        fs::remove_dir(&dev).unwrap();
        symlink(link, &dev).unwrap();
        bundle.config.args(&["true"]);
        attempt(case, &bundle);
        unharmed(&victim, "after the run");
    }
}

#[convention(
    "CVE-2026-47766: nor is a device made behind a symlink below /dev, or an existing file of the host given its owner and mode."
)]
#[falls_without("resolve-in-root")]
fn device_behind_a_symlink(case: &mut Case) {
    let victim = victim(case);
    for (name, link, device) in [
        ("net", escape(&victim), "/dev/net/tun"),
        ("fuse", escape(&victim.join("ptmx")), "/dev/fuse"),
        ("fuse", victim.join("ptmx"), "/dev/fuse"),
    ] {
        let mut bundle = case.bundle();
        without_dev(&mut bundle);
        symlink(link, bundle.rootfs().join("dev").join(name)).unwrap();
        let device = json!({"path": device, "type": "c", "major": 10, "minor": 200,
            "fileMode": 0o4777, "uid": 1000, "gid": 1000});
        bundle.config.push("/linux/devices", device).args(&["true"]);
        attempt(case, &bundle);
        unharmed(&victim, "after the run");
        let meta = fs::metadata(victim.join("ptmx")).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o7111), (0, 0));
    }
}

#[convention(
    "CVE-2015-3631, CVE-2019-16884: nothing but a procfs is mounted on /proc, and nothing below it, by whatever name."
)]
#[falls_without("judge-mount-targets")]
fn mounts_over_proc(case: &mut Case) {
    case.only_corten();
    let source = case.directory.join("source");
    fs::create_dir(&source).unwrap();
    for target in [
        "/proc",
        "/proc/self/attr",
        "/proc/sys/kernel",
        "/proc/1",
        "/proc/./sys",
        "/proc/../proc/sys",
        "/x/kernel",
        "/y",
    ] {
        let mut bundle = case.bundle();
        symlink("/proc/sys", bundle.rootfs().join("x")).unwrap();
        symlink("/proc", bundle.rootfs().join("y")).unwrap();
        bundle
            .config
            .bind(&source, target, &["bind"])
            .args(&["true"]);
        attempt(case, &bundle).fails();
        let mut again = case.bundle();
        symlink("/proc/sys", again.rootfs().join("x")).unwrap();
        symlink("/proc", again.rootfs().join("y")).unwrap();
        again
            .config
            .mount(target, "tmpfs", "tmpfs", &[])
            .args(&["true"]);
        attempt(case, &again).fails();
    }
}

#[convention(
    "CVE-2019-16884: a `remount` entry does not reach what is in /proc under another name."
)]
#[falls_without("judge-mount-targets")]
fn remount_into_proc(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    symlink("/proc", bundle.rootfs().join("y")).unwrap();
    bundle
        .config
        .mount("/y", "none", "none", &["remount", "rw", "bind"])
        .args(&["true"]);
    attempt(case, &bundle).fails().says("leads into /proc");
}

#[convention(
    "CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-54867: /proc and /sys that are symlinks are refused."
)]
#[falls_without("real-proc-and-sys")]
fn proc_and_sys_are_symlinks(case: &mut Case) {
    for name in ["proc", "sys"] {
        let mut bundle = case.bundle();
        let rootfs = bundle.rootfs();
        fs::remove_dir(rootfs.join(name)).unwrap();
        fs::create_dir(rootfs.join("elsewhere")).unwrap();
        symlink("/elsewhere", rootfs.join(name)).unwrap();
        bundle.config.args(&["true"]);
        attempt(case, &bundle).fails();
    }
}

#[convention(
    "CVE-2025-52881, CVE-2025-62596: a sysctl is written to the kernel or not at all, whatever lies over /proc/sys."
)]
#[falls_without("own-procfs")]
fn sysctl_over_a_covered_proc(case: &mut Case) {
    let mut bundle = case.bundle();
    let sys = bundle.rootfs().join("proc/sys");
    let cover = format!(
        "mount -t tmpfs fake {sys} && mkdir {sys}/kernel && : > {sys}/kernel/domainname",
        sys = sys.display()
    );
    bundle.config.hook("createContainer", &cover);
    bundle
        .config
        .set("/linux/sysctl", json!({"kernel.domainname": "sec.test"}));
    bundle.config.set("/linux/readonlyPaths", json!([]));
    bundle.config.set("/linux/maskedPaths", json!([]));
    bundle.config.args(&["/bin/probe", "facts"]);
    let finished = attempt(case, &bundle);
    if finished.status.success() {
        let facts = runtime_tests::Facts::parse(&finished.stdout);
        assert_eq!(facts.text("/domainname"), "sec.test");
    }
}

#[convention(
    "CVE-2025-31133, CVE-2025-62161: /dev/null of the image that is something else hides nothing and opens nothing."
)]
// Two defences, one behind the other.
#[falls_without("verify-nodes,verify-null")]
fn false_null_device(case: &mut Case) {
    let pattern = fs::read("/proc/sys/kernel/core_pattern").unwrap();
    for kind in ["symlink", "regular", "wrong device"] {
        let mut bundle = case.bundle();
        without_dev(&mut bundle);
        let null = bundle.rootfs().join("dev/null");
        match kind {
            "symlink" => symlink("/proc/sys/kernel/core_pattern", &null).unwrap(),
            "regular" => fs::write(&null, "mine").unwrap(),
            _ => mknodat(
                CWD,
                &null,
                FileType::CharacterDevice,
                Mode::from_raw_mode(0o666),
                makedev(1, 5),
            )
            .unwrap(),
        }
        bundle
            .config
            .set("/linux/maskedPaths", json!(["/proc/interrupts"]));
        bundle
            .config
            .shell("head -c 4096 /proc/interrupts; echo owned > /proc/interrupts");
        let finished = attempt(case, &bundle);
        // An error, or nothing to be read.
        assert!(finished.stdout.is_empty(), "{kind}");
    }
    assert_eq!(fs::read("/proc/sys/kernel/core_pattern").unwrap(), pattern);
}

#[convention(
    "A container with CAP_SYS_ADMIN changes no inode of the host through a mask, and none that another container sees."
)]
fn masks_are_the_containers_own(case: &mut Case) {
    case.only_corten();
    let before = fs::metadata("/dev/null").unwrap();
    let mut bundle = case.bundle();
    let all = json!([
        "CAP_SYS_ADMIN",
        "CAP_FOWNER",
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE"
    ]);
    for set in ["bounding", "effective", "permitted"] {
        bundle
            .config
            .set(&format!("/process/capabilities/{set}"), all.clone());
    }
    bundle.config.set(
        "/linux/maskedPaths",
        json!(["/proc/kcore", "/proc/acpi", "/sys/firmware"]),
    );
    bundle.config.shell(
        "for m in /proc/kcore /proc/acpi /sys/firmware; do mount -o remount,bind,rw $m; done; \
         chmod 640 /proc/kcore; chown 77 /proc/kcore; touch -t 200001010000 /proc/kcore; \
         touch /sys/firmware/WROTE /proc/acpi/WROTE; stat -c %a /proc/kcore",
    );
    let finished = attempt(case, &bundle);
    let after = fs::metadata("/dev/null").unwrap();
    let of = |meta: &fs::Metadata| (meta.mode(), meta.uid(), meta.mtime());
    assert_eq!(of(&before), of(&after), "{}", finished.describe());
    let mut second = case.bundle();
    let seen = case.shell(&mut second, "ls -A /sys/firmware");
    assert_eq!(seen, "");
}

#[convention(
    "CVE-2025-52565: a terminal is taken from a real devpts, and never placed through a symlink."
)]
fn false_console(case: &mut Case) {
    let victim = victim(case);
    for (name, link) in [
        ("console", escape(&victim.join("ptmx"))),
        ("pts/0", PathBuf::from("/proc/sys/kernel/core_pattern")),
        ("pts/ptmx", PathBuf::from("/proc/sys/kernel/core_pattern")),
    ] {
        let mut bundle = case.bundle();
        without_dev(&mut bundle);
        let dev = bundle.rootfs().join("dev");
        fs::create_dir(dev.join("pts")).unwrap();
        symlink(link, dev.join(name)).unwrap();
        bundle
            .config
            .set("/process/terminal", json!(true))
            .args(&["true"]);
        attempt(case, &bundle).fails();
        unharmed(&victim, name);
    }
}

#[convention(
    "CVE-2025-52565: /dev/console is the other end of the terminal, whatever the name of that is in the image."
)]
#[falls_without("verify-devpts")]
fn console_by_a_false_name(case: &mut Case) {
    let mut bundle = case.bundle();
    without_dev(&mut bundle);
    let dev = bundle.rootfs().join("dev");
    fs::create_dir(dev.join("pts")).unwrap();
    symlink("/pts/ptmx", dev.join("pts/ptmx")).unwrap();
    // Of the container's own uts namespace, and read-only by its path.
    symlink("/proc/sys/kernel/domainname", dev.join("pts/0")).unwrap();
    let options = ["newinstance", "ptmxmode=0666", "mode=0620"];
    bundle.config.mount("/pts", "devpts", "devpts", &options);
    bundle.config.set("/process/terminal", json!(true)).shell(
        "echo mine > /dev/console; echo domain=$(cat /proc/sys/kernel/domainname); sleep 1000",
    );
    bundle.write();
    let socket = ConsoleSocket::listen(&case.directory);
    let id = case.id();
    let path = socket.path.to_string_lossy().into_owned();
    let created = case.create_command(&bundle, &id, &["--console-socket", &path]);
    if created.run().status.success() {
        let terminal = socket.receive();
        case.start(&id);
        let said = terminal.read_until(|text| text.contains("domain="));
        case.destroy(&id);
        assert!(!said.contains("domain=mine"), "{said}");
    }
    case.count("attacks", 1);
}

#[convention(
    "GHSA-5g49-rx9x-qfc6: no key of resources.unified and no cgroupsPath leads out of the container's own cgroup."
)]
#[falls_without("cgroup-names")]
fn cgroup_traversal(case: &mut Case) {
    case.only_corten();
    let victim = victim(case);
    for key in [
        "../cgroup.max.depth",
        "a/../../cgroup.max.depth",
        "/cgroup.max.depth",
        ".",
        "..",
    ] {
        let mut bundle = case.bundle();
        // What is above is the test's own, too.
        bundle
            .config
            .set(
                "/linux/cgroupsPath",
                json!(format!("/{}/below", case.token())),
            )
            .set("/linux/resources/unified", json!({key: "7"}))
            .args(&["true"]);
        attempt(case, &bundle).fails();
    }
    for climb in [
        "/../../../../../..",
        "../../../../../..",
        "/a/../../../../../..",
    ] {
        let mut bundle = case.bundle();
        let path = format!("{climb}{}/{}", victim.display(), case.token());
        bundle
            .config
            .set("/linux/cgroupsPath", json!(path))
            .args(&["true"]);
        attempt(case, &bundle);
        unharmed(&victim, climb);
    }
    assert!(cgroup_directories(case.token()).is_empty());
}

#[convention(
    "CVE-2024-21626, CVE-2015-3627: no descriptor of the runtime is a way to the host, as a working directory or as the program."
)]
#[falls_without("descriptors")]
fn descriptors_as_paths(case: &mut Case) {
    let script = case.directory.join("script");
    fs::write(&script, "#!/bin/sh\necho of the host\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut bundle = case.bundle();
    for number in 3..20 {
        let cwd = format!("/proc/self/fd/{number}");
        bundle
            .config
            .set("/process/cwd", json!(cwd))
            .args(&["/bin/probe", "facts"]);
        let finished = attempt(case, &bundle);
        if finished.status.success() {
            // Empty when getcwd(2) cannot tell: outside the root.
            let facts = runtime_tests::Facts::parse(&finished.stdout);
            assert!(facts.text("/cwd").starts_with('/'), "{number}");
        }
        let program = format!("{cwd}/{}", escape(&script).display());
        bundle
            .config
            .set("/process/cwd", json!("/"))
            .args(&[program]);
        let finished = attempt(case, &bundle);
        assert!(!finished.stdout.contains("of the host"), "{number}");
    }
}

#[convention(
    "CVE-2019-5736: a program that is a script whose interpreter is /proc/self/exe, or that writes to it, leaves the runtime's binary as it was."
)]
#[falls_without("sealed-stub")]
fn own_executable(case: &mut Case) {
    let before = fs::read(case.runtime_path()).unwrap();
    let mut bundle = case.bundle();
    let own = bundle.rootfs().join("bin/own");
    // A peer whose interpreter is a copy in a sealed file may tell its version.
    for line in ["#!/proc/self/exe\n", "#!/proc/self/exe --version\n"] {
        fs::write(&own, line).unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
        bundle.config.args(&["/bin/own"]);
        let finished = attempt(case, &bundle);
        assert!(!case.is_corten() || !finished.status.success(), "{line}");
    }
    bundle
        .config
        .hook("startContainer", "echo owned > /proc/$PPID/exe");
    bundle
        .config
        .shell("for p in /proc/[0-9]*; do echo owned > $p/exe; done; true");
    attempt(case, &bundle);
    assert!(fs::read(case.runtime_path()).unwrap() == before);
}

#[convention(
    "CVE-2026-57231, CVE-2025-23266: nothing of the caller's environment is in the container, nor of the container's in hooks on the host."
)]
#[falls_without("own-environment")]
fn environments_stay_apart(case: &mut Case) {
    case.only_corten();
    let log = case.directory.join("env");
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/env", json!(["PATH=/bin", "LD_TESTVAR=./evil.so"]));
    for kind in ["createRuntime", "createContainer", "poststop"] {
        bundle
            .config
            .hook(kind, &format!("env >> {}", log.display()));
    }
    bundle.config.args(&["env"]);
    bundle.write();
    let id = case.id();
    let command = case.run_command(&bundle, &id, &[]);
    let finished = command.env("HOSTVAR", "hostsecret").run().ok();
    assert!(!finished.stdout.contains("hostsecret"));
    let hooks = fs::read_to_string(&log).unwrap();
    assert!(
        !hooks.contains("LD_TESTVAR") && !hooks.contains("hostsecret"),
        "{hooks}"
    );
    bundle
        .config
        .set("/process/env", json!(["PATH=/bin", "HOSTVAR"]));
    bundle.write();
    let id = case.id();
    let command = case.run_command(&bundle, &id, &[]);
    command.env("HOSTVAR", "hostsecret").run().fails();
}
