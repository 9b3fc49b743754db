//! Annotations of crun that engines write, and which change what is done.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use runtime_tests::{Bundle, Case, ConsoleSocket, Facts, convention, must, skip};
use serde_json::json;

const CHAPTER: &str = "config.md: Annotations of engines";

const KINDS: [&str; 6] = [
    "prestart",
    "createRuntime",
    "createContainer",
    "startContainer",
    "poststart",
    "poststop",
];

fn only_where_they_are_known(case: &Case) {
    if case.version().starts_with("runc ") {
        skip("annotations of crun, which runc does not act on");
    }
}

/// What the probe sees under a caller with groups; the annotation, if it is there, is
/// that of keeping them.
pub fn facts_of_a_caller_with_groups(case: &mut Case, annotation: Option<&str>) -> Facts {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/probe", "facts"]);
    if let Some(value) = annotation {
        let all = json!({"run.oci.keep_original_groups": value});
        bundle.config.set("/annotations", all);
    }
    bundle.write();
    let id = case.id();
    let (path, root) = (bundle.path.to_string_lossy(), case.state_root());
    let run = case
        .program("setpriv")
        .args(["--groups", "777,778", case.runtime_path()])
        .args([
            "--root",
            &root.to_string_lossy(),
            "run",
            "--bundle",
            &path,
            &id,
        ]);
    Facts::parse(&run.run().ok().stdout)
}

#[convention("run.oci.keep_original_groups=1: the supplementary groups of the caller stay.")]
fn the_callers_groups_are_kept(case: &mut Case) {
    only_where_they_are_known(case);
    let facts = facts_of_a_caller_with_groups(case, Some("1"));
    assert_eq!(facts.at("/groups"), &json!([777, 778]));
    let facts = facts_of_a_caller_with_groups(case, None);
    assert_eq!(facts.at("/groups"), &json!([]));
}

#[convention("run.oci.pidfd_receiver: a pidfd of the container's init is sent to this socket.")]
fn a_pidfd_is_sent(case: &mut Case) {
    only_where_they_are_known(case);
    if case.version().starts_with("crun version 1.8") {
        skip("an annotation that came after this version");
    }
    let socket = ConsoleSocket::listen(&case.directory);
    let mut bundle = case.bundle();
    let all = json!({"run.oci.pidfd_receiver": socket.path.to_string_lossy()});
    bundle.config.set("/annotations", all);
    let id = case.create(&bundle);
    let pidfd = socket.receive().master;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    let wanted = format!("Pid:\t{}", case.pid(&id));
    assert!(info.lines().any(|line| line == wanted), "{info}");
    case.destroy(&id);
}

/// A hook of each kind that says its name on both streams.
fn bundle_with_talking_hooks(case: &mut Case) -> Bundle {
    let mut bundle = case.bundle();
    for kind in KINDS {
        let line = format!("cat > /dev/null; echo {kind} says; echo {kind} warns >&2");
        bundle.config.hook(kind, &line);
    }
    bundle.config.args(&["/bin/sh", "-c", "echo the program"]);
    bundle
}

/// Sorted: startContainer and poststart hooks may run at the same time.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn lines_of_all(word: &str) -> Vec<String> {
    let mut lines: Vec<String> = KINDS.iter().map(|kind| format!("{kind} {word}")).collect();
    lines.sort_unstable();
    lines
}

#[convention(
    "run.oci.hooks.stdout: what hooks write to standard output is added to the end of this file."
)]
fn output_of_hooks_goes_to_a_file(case: &mut Case) {
    only_where_they_are_known(case);
    let mut bundle = bundle_with_talking_hooks(case);
    let log = case.directory.join("hooks.log");
    fs::write(&log, "it was there\n").unwrap();
    let all = json!({"run.oci.hooks.stdout": log.to_string_lossy()});
    bundle.config.set("/annotations", all);
    let run = case.run(&bundle).ok();
    let text = fs::read_to_string(&log).unwrap();
    let said = text.strip_prefix("it was there\n").expect(&text);
    assert_eq!(lines(said), lines_of_all("says"));
    // The container's own streams are as they were.
    assert!(run.stdout.contains("the program"), "{}", run.describe());
    assert!(!run.stdout.contains("says"), "{}", run.describe());
}

#[convention("run.oci.hooks.stderr: the same for standard error; a new file is its owner's alone.")]
fn errors_of_hooks_go_to_a_file(case: &mut Case) {
    only_where_they_are_known(case);
    let mut bundle = bundle_with_talking_hooks(case);
    let log = case.directory.join("hooks.log");
    let all = json!({"run.oci.hooks.stderr": log.to_string_lossy()});
    bundle.config.set("/annotations", all);
    bundle.config.args(&["sleep", "1000"]);
    let id = case.launch(&bundle);
    case.destroy(&id);
    let warned: String = KINDS.iter().map(|kind| format!("{kind} warns\n")).collect();
    assert_eq!(fs::read_to_string(&log).unwrap(), warned);
    let mode = fs::metadata(&log).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

#[convention("run.oci.hooks.*: no descriptor of the files is left to the program.")]
fn files_of_hooks_are_not_left_open(case: &mut Case) {
    only_where_they_are_known(case);
    let mut bundle = bundle_with_talking_hooks(case);
    let log = case.directory.join("hooks.log");
    let log = log.to_string_lossy();
    let all = json!({"run.oci.hooks.stdout": log, "run.oci.hooks.stderr": log});
    bundle.config.set("/annotations", all);
    bundle
        .config
        .shell("for fd in /proc/self/fd/*; do readlink $fd; done; true");
    let run = case.run(&bundle).ok();
    assert!(run.stdout.lines().count() >= 3, "{}", run.describe());
    assert!(!run.stdout.contains("hooks.log"), "{}", run.describe());
}

#[convention(
    "run.oci.timens_offset: the clocks of a new time namespace, as the kernel takes them."
)]
fn clocks_are_shifted(case: &mut Case) {
    only_where_they_are_known(case);
    let mut bundle = case.bundle();
    bundle
        .config
        .push("/linux/namespaces", json!({"type": "time"}));
    let all = json!({"run.oci.timens_offset": "boottime 1000000 0"});
    bundle.config.set("/annotations", all);
    let up = case.shell(&mut bundle, "cut -d. -f1 /proc/uptime");
    assert!(up.parse::<u64>().unwrap() >= 1_000_000, "{up}");
}

#[must(
    "Implementations that are reading/processing this configuration file MUST NOT generate an error if they encounter an unknown annotation key."
)]
fn unknown_keys(case: &mut Case) {
    let mut bundle = case.bundle();
    let all = json!({"com.example.unknown": "x", "run.oci.nothing": "y", "org.example.empty": ""});
    bundle.config.set("/annotations", all);
    let id = case.create(&bundle);
    let annotations = case.state(&id)["annotations"].clone();
    assert_eq!(annotations["com.example.unknown"], "x");
    assert_eq!(annotations["org.example.empty"], "");
    case.destroy(&id);
}

#[convention("run.oci.seccomp_bpf_data: this compiled filter is loaded in place of the profile.")]
fn a_compiled_filter(case: &mut Case) {
    only_where_they_are_known(case);
    const MKDIRAT: u32 = nix::libc::SYS_mkdirat as u32;
    #[cfg(target_arch = "x86_64")]
    const MKDIR: u32 = nix::libc::SYS_mkdir as u32;
    #[cfg(not(target_arch = "x86_64"))]
    const MKDIR: u32 = MKDIRAT;
    // LD nr; JEQ mkdir; JEQ mkdirat; RET errno 99; RET allow.
    let program = [
        (0x20, 0, 0, 0),
        (0x15, 1, 0, MKDIR),
        (0x15, 0, 1, MKDIRAT),
        (0x06, 0, 0, 0x0005_0000 | 99),
        (0x06, 0, 0, 0x7fff_0000),
    ];
    let bytes = program
        .iter()
        .flat_map(|&(code, yes, no, k): &(u16, u8, u8, u32)| {
            let [a, b] = code.to_ne_bytes();
            let [c, d, e, f] = k.to_ne_bytes();
            [a, b, yes, no, c, d, e, f]
        });
    let mut bundle = case.bundle();
    let all = json!({"run.oci.seccomp_bpf_data": base64(&bytes.collect::<Vec<_>>())});
    bundle.config.set("/annotations", all);
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["chdir"], "action": "SCMP_ACT_ERRNO"}]});
    bundle.config.set("/linux/seccomp", profile);
    bundle
        .config
        .args(&["/bin/probe", "call", "mkdir", "chdir"]);
    assert_eq!(case.run(&bundle).ok().stdout, "mkdir 99\nchdir 0\n");
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place <= group.len() { digit } else { '=' });
        }
    }
    text
}

#[convention(
    "run.oci.systemd.force_cgroup_v1 mounts the hierarchy of an old systemd where v2 is alone."
)]
fn named_hierarchy(case: &mut Case) {
    only_where_they_are_known(case);
    let mut bundle = case.bundle();
    let annotations = json!({"run.oci.systemd.force_cgroup_v1": "/named"});
    bundle.config.set("/annotations", annotations);
    bundle
        .config
        .shell("grep ' /named ' /proc/self/mountinfo || echo none");
    bundle.write();
    fs::create_dir(bundle.rootfs().join("named")).expect("a place for it");
    let run = case.run(&bundle);
    if !case.view.is_unified() {
        assert_eq!(run.ok().stdout.trim(), "none");
        return;
    }
    // A hierarchy is made in the first cgroup namespace, or it is there already.
    let known = fs::read_to_string("/proc/self/cgroup").expect("own cgroups");
    if !known.contains(":name=systemd:") {
        let cause = "force_cgroup_v1";
        run.fails().says(cause).says("mount it on the host first");
        return;
    }
    let said = run.ok().stdout;
    assert!(
        said.contains(" cgroup ") && said.contains("name=systemd"),
        "{said}"
    );
}
