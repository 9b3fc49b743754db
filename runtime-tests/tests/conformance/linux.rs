//! config-linux.md: masked and read-only paths, sysctl, seccomp, personality.

use std::fs;

use runtime_tests::{Case, convention, falls_without, must};
use serde_json::json;

const CHAPTER: &str = "config-linux.md: Masked and read-only paths, sysctl, personality";

/// A file reads as nothing.
#[must(
    "maskedPaths (array of strings, OPTIONAL) will mask over the provided paths inside the container so that they cannot be read."
)]
fn masked_file(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .push("/linux/maskedPaths", json!("/proc/version"));
    assert_eq!(case.shell(&mut bundle, "wc -c < /proc/version"), "0");
}

/// A directory is empty and read-only.
#[must(
    "maskedPaths (array of strings, OPTIONAL) will mask over the provided paths inside the container so that they cannot be read."
)]
fn masked_directory(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.push("/linux/maskedPaths", json!("/proc/tty"));
    let facts = case.facts(&bundle);
    assert!(facts.mount("/proc/tty").has("ro"));
    assert_eq!(
        case.shell(
            &mut bundle,
            "ls /proc/tty | wc -l; touch /proc/tty/x 2>/dev/null || echo refused"
        ),
        "0\nrefused"
    );
}

#[convention("A masked path that is not there is skipped.")]
fn masked_missing_is_no_error(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .push("/linux/maskedPaths", json!("/proc/no/such"))
        .push("/linux/maskedPaths", json!("/etc/passwd/x"));
    case.facts(&bundle);
}

/// Not only procfs can be masked.
#[must(
    "maskedPaths (array of strings, OPTIONAL) will mask over the provided paths inside the container so that they cannot be read."
)]
fn masked_paths_in_the_root(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .push("/linux/maskedPaths", json!("/etc/marker"))
        .push("/linux/maskedPaths", json!("/home"));
    assert_eq!(
        case.shell(&mut bundle, "wc -c < /etc/marker; ls /home | wc -l"),
        "0\n0"
    );
    assert_eq!(
        fs::read_to_string(bundle.rootfs().join("etc/marker")).unwrap(),
        "of the root\n"
    );
}

#[convention("No container can reach another through a mask.")]
fn masks_of_one_container_are_its_own(case: &mut Case) {
    let mut bundle = case.bundle();
    let all = json!(["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    bundle.config.set(
        "/process/capabilities",
        json!({"bounding": all, "effective": all, "permitted": all}),
    );
    bundle.config.push("/linux/maskedPaths", json!("/home"));
    let line =
        "mount -o remount,rw,bind /home; mount -o remount,rw /home; touch /home/WROTE; echo tried";
    assert_eq!(case.shell(&mut bundle, line), "tried");
    let found = case
        .program("find")
        .args([&case.directory.to_string_lossy(), "-name", "WROTE"])
        .run()
        .ok();
    assert_eq!(found.stdout, "");
}

#[convention("An image cannot choose what covers a masked file (CVE-2025-31133).")]
#[falls_without("verify-null")]
fn masked_dev_null_of_the_image_is_not_used(case: &mut Case) {
    case.works();
    let mut bundle = case.bundle();
    let list = bundle.config.0["mounts"].as_array_mut().unwrap();
    list.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    // In a `/dev` that is a bind no runtime makes nodes, or the link itself would be refused.
    let dev = case.directory.join("dev");
    fs::create_dir(&dev).unwrap();
    std::os::unix::fs::symlink("/etc/marker", dev.join("null")).unwrap();
    bundle
        .config
        .bind(&dev, "/dev", &["bind"])
        .push("/linux/maskedPaths", json!("/proc/version"));
    bundle
        .config
        .shell("{ cat /proc/version; echo looked; } > /seen");
    // An error or an empty file.
    let finished = case.run(&bundle);
    let seen = fs::read_to_string(bundle.rootfs().join("seen")).unwrap_or_default();
    let wanted = if finished.status.success() {
        "looked\n"
    } else {
        ""
    };
    assert_eq!(seen, wanted, "{}", finished.describe());
}

#[must(
    "readonlyPaths (array of strings, OPTIONAL) will set the provided paths as readonly inside the container."
)]
fn read_only_paths(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .push("/linux/readonlyPaths", json!("/home"))
        .push("/linux/readonlyPaths", json!("/etc/marker"));
    let facts = case.facts(&bundle);
    for target in ["/proc/sys", "/proc/irq", "/home", "/etc/marker"] {
        assert!(facts.mount(target).has("ro"), "{target}");
    }
    let line = "touch /home/x 2>/dev/null || echo no; (echo x > /etc/marker) 2>/dev/null || echo no; cat /etc/marker";
    assert_eq!(case.shell(&mut bundle, line), "no\nno\nof the root");
}

#[convention("A read-only path that is not there is skipped.")]
fn read_only_missing_is_no_error(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .push("/linux/readonlyPaths", json!("/no/such/path"));
    case.facts(&bundle);
}

#[convention("A read-only path keeps the other flags of its mount.")]
fn read_only_keeps_other_flags(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .mount("/mnt", "tmpfs", "tmpfs", &["nosuid", "noexec", "nodev"]);
    bundle.config.push("/linux/readonlyPaths", json!("/mnt"));
    let mount = case.facts(&bundle).mount("/mnt");
    for option in ["ro", "nosuid", "noexec", "nodev"] {
        assert!(mount.has(option), "{option}: {mount:?}");
    }
}

#[must(
    "sysctl (object, OPTIONAL) allows kernel parameters to be modified at runtime for the container."
)]
fn sysctl_ipc(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/linux/sysctl", json!({"kernel.msgmax": "16384", "kernel.sem": "250 32000 32 150", "fs.mqueue.msg_max": "20"}));
    let line = "cat /proc/sys/kernel/msgmax /proc/sys/kernel/sem /proc/sys/fs/mqueue/msg_max";
    assert_eq!(
        case.shell(&mut bundle, line).replace('\t', " "),
        "16384\n250 32000 32 150\n20"
    );
}

/// The network's.
#[must(
    "sysctl (object, OPTIONAL) allows kernel parameters to be modified at runtime for the container."
)]
fn sysctl_net(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set(
        "/linux/sysctl",
        json!({"net.ipv4.ip_forward": "1", "net.ipv4.ping_group_range": "0 0"}),
    );
    let line = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ping_group_range";
    assert_eq!(case.shell(&mut bundle, line).replace('\t', " "), "1\n0 0");
}

#[convention(
    "Slashes separate the parts of a sysctl as well as dots; an interface name with dots needs them."
)]
fn sysctl_with_slashes(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set(
        "/linux/sysctl",
        json!({"net/ipv4/ip_unprivileged_port_start": "80", "net.ipv4.conf.lo.forwarding": "1"}),
    );
    let line =
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/conf/lo/forwarding";
    assert_eq!(case.shell(&mut bundle, line), "80\n1");
}

/// The host keeps its values.
#[must(
    "sysctl (object, OPTIONAL) allows kernel parameters to be modified at runtime for the container."
)]
fn sysctl_reaches_only_the_container(case: &mut Case) {
    let path = "/proc/sys/kernel/msgmnb";
    let before = fs::read_to_string(path).unwrap();
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/sysctl", json!({"kernel.msgmnb": "12345"}));
    assert_eq!(
        case.shell(&mut bundle, "cat /proc/sys/kernel/msgmnb"),
        "12345"
    );
    assert_eq!(fs::read_to_string(path).unwrap(), before);
}

#[must("personality (object, OPTIONAL) sets the Linux execution personality.")]
fn personality_linux32(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/personality", json!({"domain": "LINUX32"}));
    let machine = case.facts(&bundle).text("/machine").to_owned();
    if cfg!(target_arch = "x86_64") {
        assert_eq!(machine, "i686");
    }
}
