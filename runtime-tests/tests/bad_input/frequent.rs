//! The failures that people meet most, each with what to do about it. The words are
//! pinned: docs/errors.md explains them, and engines look for some.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use runtime_tests::{Bundle, Case, convention};
use serde_json::json;

use crate::refused::check;

const CHAPTER: &str = "frequent failures";

/// `run` is refused in these words. What runs a program needs is all there otherwise.
#[track_caller]
fn refused(case: &mut Case, bundle: &Bundle, words: &[&str]) {
    case.only_corten();
    bundle.write();
    let finished = case.run_with(bundle, &[]);
    check(finished, words);
}

/// A file of the root that everybody may execute.
fn program(bundle: &mut Bundle, content: &[u8]) {
    let path = bundle.rootfs().join("bin/mine");
    fs::write(&path, content).expect("a program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    bundle.config.args(&["/bin/mine"]);
}

/// A 64-bit header that names a machine and, with one program header, a loader.
fn elf(machine: u8) -> Vec<u8> {
    let loader = b"/lib/nosuch-loader.so\0";
    let mut file = vec![0; 120];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16] = 2; // an executable
    file[18] = machine;
    file[20] = 1;
    file[32] = 64; // program headers behind this one
    file[52] = 64;
    file[54] = 56;
    file[56] = 1;
    file[64] = 3; // PT_INTERP
    file[68] = 4;
    file[72] = 120;
    file[96] = loader.len() as u8;
    file[104] = loader.len() as u8;
    file.extend_from_slice(loader);
    file
}

#[convention("A program that is not there: the nearest name that is.")]
fn not_found(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["slep", "1"]);
    let words = ["executable file not found in $PATH (did you mean \"sleep\"?)"];
    refused(case, &bundle, &words);
}

#[convention("A program for another machine.")]
fn another_machine(case: &mut Case) {
    let mut bundle = case.bundle();
    let (number, name) = if cfg!(target_arch = "aarch64") {
        (62, "x86_64")
    } else {
        (183, "aarch64")
    };
    program(&mut bundle, &elf(number));
    let words = [
        "process.args",
        &format!("it is a program for {name}, and this machine is"),
    ];
    refused(case, &bundle, &words);
}

#[convention("A dynamic program without its loader.")]
fn no_loader(case: &mut Case) {
    let mut bundle = case.bundle();
    let own = if cfg!(target_arch = "aarch64") {
        183
    } else {
        62
    };
    program(&mut bundle, &elf(own));
    let words = [
        "no such file or directory",
        "its loader \"/lib/nosuch-loader.so\" is not in the root",
    ];
    refused(case, &bundle, &words);
}

#[convention("A script without its interpreter.")]
fn no_interpreter(case: &mut Case) {
    let mut bundle = case.bundle();
    program(&mut bundle, b"#!/usr/bin/pyton3\nprint()\n");
    let words = [
        "no such file or directory",
        "its interpreter \"/usr/bin/pyton3\" (the #! line) is not in the root",
    ];
    refused(case, &bundle, &words);
}

#[convention("A script with line ends of Windows.")]
fn carriage_return(case: &mut Case) {
    let mut bundle = case.bundle();
    program(&mut bundle, b"#!/bin/sh\r\necho hello\r\n");
    refused(
        case,
        &bundle,
        &["its first line ends with a carriage return"],
    );
}

#[convention("A text that is no script.")]
fn neither(case: &mut Case) {
    let mut bundle = case.bundle();
    program(&mut bundle, b"echo hello\n");
    refused(
        case,
        &bundle,
        &[
            "exec format error",
            "neither a binary nor a script that begins with #!",
        ],
    );
}

#[convention("A root file system that is mounted noexec.")]
fn noexec(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.args(&["/volume/true"]);
    let volume = case.directory.join("volume");
    fs::create_dir(&volume).expect("a directory");
    fs::copy("/bin/busybox", volume.join("true")).expect("busybox");
    bundle.config.bind(&volume, "/volume", &["rbind", "noexec"]);
    refused(case, &bundle, &["permission denied", "mounted noexec"]);
}

#[convention("A program that the container's user may not execute.")]
fn not_for_this_user(case: &mut Case) {
    let mut bundle = case.bundle();
    program(&mut bundle, b"#!/bin/sh\n");
    let path = bundle.rootfs().join("bin/mine");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("chmod");
    bundle.config.set("/process/user/uid", json!(1000));
    refused(
        case,
        &bundle,
        &[
            "permission denied",
            "the user of the container may not execute it",
        ],
    );
}

#[convention("A program that is a directory.")]
fn a_directory(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin"]);
    refused(case, &bundle, &["permission denied (is a directory)"]);
}

#[convention("A working directory that is a file.")]
fn cwd_is_a_file(case: &mut Case) {
    let mut bundle = case.bundle();
    fs::write(bundle.rootfs().join("plain"), "").expect("a file");
    bundle.config.set("/process/cwd", json!("/plain"));
    refused(
        case,
        &bundle,
        &["process.cwd", "not a directory", "must name a directory"],
    );
}

#[convention("A root that is not there.")]
fn no_root(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/root/path", json!("nowhere"));
    let words = [
        "root.path: open",
        "no such file or directory",
        "a relative path counts from the bundle",
    ];
    refused(case, &bundle, &words);
}

#[convention("A source of a bind mount that is not there.")]
fn no_source(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.mount("/x", "bind", "/nosuch", &["bind"]);
    refused(
        case,
        &bundle,
        &[
            "source: open /nosuch: no such file or directory",
            "must exist",
        ],
    );
}

/// Fills its own mount namespace: each mount doubles what is there, until the kernel has
/// enough. Then it is the runtime.
const MANY_MOUNTS: &str = r#"
mount -t tmpfs many "$1"
for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
    mkdir "$1/$n"
    busybox mount --rbind "$1" "$1/$n" || break
done 2>/dev/null
shift
exec "$@"
"#;

#[convention("More mounts than the kernel allows: `no space left` is not about a disk.")]
fn too_many_mounts(case: &mut Case) {
    case.only_corten();
    let most = fs::read_to_string("/proc/sys/fs/mount-max").expect("fs.mount-max");
    if most.trim().parse::<u32>().is_ok_and(|most| most > 200_000) {
        runtime_tests::skip("fs.mount-max is above 200000: filling it takes too long");
    }
    let mut bundle = case.bundle();
    let many = case.directory.join("many");
    fs::create_dir(&many).expect("a directory");
    bundle.config.bind(&many, "/many", &["rbind"]);
    bundle.write();
    let id = case.id();
    let finished = case
        .program("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            MANY_MOUNTS,
            "sh",
        ])
        .args([many.to_string_lossy()])
        .args([case.runtime_path(), "--root"])
        .args([case.state_root().to_string_lossy()])
        .args(["run", "--bundle", &bundle.path.to_string_lossy(), &id])
        .run();
    check(
        finished,
        &["bind on /many: no space left on device", "fs.mount-max"],
    );
}

#[convention("An option that the file system refuses: in its own words.")]
fn mount_option(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.mount("/x", "tmpfs", "tmpfs", &["sizee=1m"]);
    refused(case, &bundle, &["options[0]", "Unknown parameter 'sizee'"]);
}

#[convention("A controller that the host does not have, and which it has.")]
fn no_controller(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/resources/rdma", json!({"mlx5": {"hcaHandles": 1}}));
    if std::path::Path::new("/sys/fs/cgroup/rdma").exists() || has_rdma() {
        runtime_tests::skip("this host has the controller rdma");
    }
    refused(
        case,
        &bundle,
        &[
            "no cgroup controller \"rdma\" under /sys/fs/cgroup",
            "(have: ",
        ],
    );
}

fn has_rdma() -> bool {
    [
        "/sys/fs/cgroup/cgroup.controllers",
        "/sys/fs/cgroup/unified/cgroup.controllers",
    ]
    .iter()
    .any(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("rdma")))
}

#[convention("A user to whom no control group was given: how it is given one.")]
fn not_delegated(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.user_namespace(1000);
    bundle
        .config
        .set("/linux/resources/memory/limit", json!(1 << 26));
    bundle.config.remove("/linux", "cgroupsPath");
    bundle.write();
    let info = case
        .program(case.runtime_path())
        .args(["info"])
        .run()
        .ok()
        .stdout;
    let mut facts: serde_json::Value = serde_json::from_str(&info).expect("JSON");
    facts["host"]["effectiveUid"] = json!(1000);
    facts["host"]["mayLackCgroup"] = json!(null);
    facts["host"]["cgroup"] = json!({"mode": "v2", "v2Mount": "/sys/fs/cgroup",
        "v2Controllers": ["memory", "pids"], "v1Mounts": {}, "delegated": null});
    let file = case.directory.join("host.json");
    fs::write(&file, facts.to_string()).expect("host.json");
    let finished = case
        .program(case.runtime_path())
        .args([
            "explain",
            "--bundle",
            &bundle.path.to_string_lossy(),
            "--host",
            &file.to_string_lossy(),
        ])
        .run()
        .exits(1);
    for word in ["linux.resources.memory.limit", "Delegate=yes"] {
        assert!(
            finished.stdout.contains(word),
            "{word}: {}",
            finished.describe()
        );
    }
}

#[convention("An id that the user namespace does not map.")]
fn not_mapped(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.user_namespace(300_000);
    bundle.config.set("/process/user/uid", json!(70_000));
    bundle.give_directories_to(300_000);
    refused(case, &bundle, &["process.user", "70000", "mapped"]);
}

#[convention("A profile for a module that is not active.")]
fn no_apparmor(case: &mut Case) {
    if fs::read_to_string("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.starts_with('Y'))
    {
        runtime_tests::skip("AppArmor is active here");
    }
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/apparmorProfile", json!("docker-default"));
    refused(case, &bundle, &["process.apparmorProfile", "AppArmor"]);
}

#[convention("A sysctl that the kernel does not have.")]
fn no_sysctl(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/sysctl", json!({"net.ipv4.nope": "1"}));
    refused(
        case,
        &bundle,
        &[
            "linux.sysctl[\"net.ipv4.nope\"]",
            "this kernel has no such sysctl",
        ],
    );
}

#[convention("A directory that is no bundle.")]
fn no_config(case: &mut Case) {
    case.only_corten();
    let empty = case.directory.join("empty");
    fs::create_dir(&empty).expect("a directory");
    let id = case.id();
    let finished = case
        .runtime()
        .args(["run", "--bundle", &empty.to_string_lossy(), &id])
        .run();
    check(
        finished,
        &[
            "config.json",
            "no such file or directory",
            "`corten spec` writes one",
        ],
    );
}

#[convention("A name that is taken.")]
fn name_is_taken(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    bundle.write();
    let id = case.launch(&bundle);
    let finished = case.run_command(&bundle, &id, &[]).run();
    check(
        finished,
        &["container with given ID already exists", "`corten delete"],
    );
    case.destroy(&id);
}

#[convention("A terminal without anybody at its other end.")]
fn nobody_at_the_terminal(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.set("/process/terminal", json!(true));
    bundle.write();
    let finished = case.run_with(&bundle, &["--detach"]);
    check(finished, &["process.terminal", "--console-socket"]);
}

#[convention("A memory limit that the container cannot even start within.")]
fn too_little_memory(case: &mut Case) {
    case.only_corten();
    let file = Command::new("sh")
        .args([
            "-c",
            "cat /sys/fs/cgroup/cgroup.controllers 2>/dev/null; ls /sys/fs/cgroup",
        ])
        .output();
    let text = String::from_utf8_lossy(&file.expect("sh").stdout).into_owned();
    if !text.contains("memory") {
        runtime_tests::skip("no memory controller in this view");
    }
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/resources/memory/limit", json!(4096));
    refused(case, &bundle, &["linux.resources.memory.limit", "memory"]);
}
