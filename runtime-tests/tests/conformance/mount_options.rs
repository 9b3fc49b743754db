//! config.md, "Linux mount options": each option is looked up in the container's mountinfo.

use std::fs;
use std::os::unix::fs::symlink;

use runtime_tests::{Case, Mount, convention, may, must, should};
use serde_json::json;

use crate::mounts::{mounted, unmount, volume, volume_with_submount};

const CHAPTER: &str = "config.md: Mount options";

/// Each is the mount's flag.
#[must(
    "Runtimes MUST ... implement the following option strings for Linux: ro, nosuid, nodev, noexec, noatime, nodiratime."
)]
fn flags_of_a_bind(case: &mut Case) {
    let source = volume(case, "volume");
    for option in ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"] {
        let mut bundle = case.bundle();
        bundle.config.bind(&source, "/mnt", &["bind", option]);
        let mount = mounted(case, &bundle, "/mnt");
        assert!(mount.has(option), "{option}: {mount:?}");
        assert_eq!(mount.has("ro"), option == "ro", "{mount:?}");
        assert_eq!(mount.has("nosuid"), option == "nosuid", "{mount:?}");
    }
}

/// The last of two opposite options wins.
#[must(
    "Runtimes MUST ... implement the following option strings for Linux: rw, suid, dev, exec, atime."
)]
fn flags_cleared_again(case: &mut Case) {
    let source = volume(case, "volume");
    let mut bundle = case.bundle();
    let options = [
        "bind", "ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "atime",
    ];
    bundle.config.bind(&source, "/mnt", &options);
    let mount = mounted(case, &bundle, "/mnt");
    for option in ["ro", "nosuid", "nodev", "noexec", "noatime"] {
        assert!(!mount.has(option), "{option}: {mount:?}");
    }
}

/// They are one choice of three.
#[must(
    "Runtimes MUST ... implement the following option strings for Linux: noatime, relatime, strictatime."
)]
fn atime_flags(case: &mut Case) {
    let source = volume(case, "volume");
    for (option, noatime, relatime) in [
        ("noatime", true, false),
        ("relatime", false, true),
        ("strictatime", false, false),
    ] {
        let mut bundle = case.bundle();
        bundle.config.bind(&source, "/mnt", &["bind", option]);
        let mount = mounted(case, &bundle, "/mnt");
        assert_eq!(
            (mount.has("noatime"), mount.has("relatime")),
            (noatime, relatime),
            "{option}: {mount:?}"
        );
    }
}

/// A read-only bind refuses to be written, and its source does not change.
#[must("Runtimes MUST ... implement the following option strings for Linux: ro.")]
fn read_only_flag_is_enforced(case: &mut Case) {
    let source = volume(case, "volume");
    let mut bundle = case.bundle();
    bundle.config.bind(&source, "/mnt", &["bind", "ro"]);
    assert_eq!(
        case.shell(&mut bundle, "touch /mnt/no 2>/dev/null || echo refused"),
        "refused"
    );
    assert!(!source.join("no").exists());
}

/// The flags reach every mount below; since Linux 5.12.
#[should(
    "Runtimes ... SHOULD ... implement the following option strings for Linux: rro, rnosuid, rnodev, rnoexec, rnoatime."
)]
fn recursive_flags(case: &mut Case) {
    let source = volume_with_submount(case);
    for (option, flag) in [
        ("rro", "ro"),
        ("rnosuid", "nosuid"),
        ("rnodev", "nodev"),
        ("rnoexec", "noexec"),
        ("rnoatime", "noatime"),
    ] {
        let mut bundle = case.bundle();
        bundle.config.bind(&source, "/mnt", &["rbind", option]);
        let facts = case.facts(&bundle);
        for target in ["/mnt", "/mnt/inner"] {
            assert!(
                facts.mount(target).has(flag),
                "{option} on {target}: {:?}",
                facts.mount(target)
            );
        }
    }
    let mut bundle = case.bundle();
    bundle.config.bind(&source, "/mnt", &["rbind", "ro"]);
    let facts = case.facts(&bundle);
    unmount(case, &source.join("inner"));
    assert!(
        facts.mount("/mnt").has("ro") && !facts.mount("/mnt/inner").has("ro"),
        "ro is not recursive"
    );
}

/// Since Linux 5.10.
#[should("Runtimes ... SHOULD ... implement the following option strings for Linux: nosymfollow.")]
fn nosymfollow(case: &mut Case) {
    let source = volume(case, "volume");
    symlink("file", source.join("link")).unwrap();
    let mut bundle = case.bundle();
    bundle
        .config
        .bind(&source, "/mnt", &["bind", "nosymfollow"]);
    assert!(mounted(case, &bundle, "/mnt").has("nosymfollow"));
    assert_eq!(
        case.shell(&mut bundle, "cat /mnt/link 2>/dev/null || echo refused"),
        "refused"
    );
}

/// On binds and on others.
#[must("Runtimes MUST ... implement the following option strings for Linux: defaults.")]
fn defaults_is_a_no_op(case: &mut Case) {
    let source = volume(case, "volume");
    let mut bundle = case.bundle();
    bundle.config.bind(&source, "/mnt", &["bind", "defaults"]);
    bundle
        .config
        .mount("/var", "tmpfs", "tmpfs", &["defaults", "size=64k"]);
    assert!(!mounted(case, &bundle, "/mnt").has("ro"));
}

#[must(
    "Runtimes MUST ... implement the following option strings for Linux: shared, slave, private, unbindable."
)]
fn propagation_of_a_bind(case: &mut Case) {
    let source = volume(case, "volume");
    let named =
        |mount: &Mount, word: &str| mount.propagation.iter().any(|one| one.starts_with(word));
    for (option, word) in [
        ("shared", "shared:"),
        ("private", ""),
        ("slave", ""),
        ("unbindable", "unbindable"),
    ] {
        let mut bundle = case.bundle();
        bundle.config.bind(&source, "/mnt", &["bind", option]);
        let mount = mounted(case, &bundle, "/mnt");
        if word.is_empty() {
            assert!(!named(&mount, "shared:"), "{option}: {mount:?}");
        } else {
            assert!(named(&mount, word), "{option}: {mount:?}");
        }
    }
}

/// They reach the mounts below.
#[must("Runtimes MUST ... implement the following option strings for Linux: rshared.")]
fn propagation_of_rbind(case: &mut Case) {
    let source = volume_with_submount(case);
    let mut bundle = case.bundle();
    bundle.config.bind(&source, "/mnt", &["rbind", "rshared"]);
    let facts = case.facts(&bundle);
    unmount(case, &source.join("inner"));
    for target in ["/mnt", "/mnt/inner"] {
        let mount = facts.mount(target);
        assert!(
            mount
                .propagation
                .iter()
                .any(|one| one.starts_with("shared:")),
            "{mount:?}"
        );
    }
}

#[should(
    "Runtimes SHOULD treat unknown options as filesystem-specific ones and pass those as a comma-separated string to the fifth (const void *data) argument of mount(2)."
)]
fn tmpfs_options(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.mount(
        "/mnt",
        "tmpfs",
        "tmpfs",
        &[
            "size=1m",
            "mode=1770",
            "uid=1000",
            "gid=1001",
            "nr_inodes=100",
            "noexec",
        ],
    );
    let mount = mounted(case, &bundle, "/mnt");
    for option in [
        "size=1024k",
        "nr_inodes=100",
        "mode=1770",
        "uid=1000",
        "gid=1001",
    ] {
        assert!(mount.super_has(option), "{option}: {mount:?}");
    }
    assert!(mount.has("noexec"));
    assert_eq!(
        case.shell(&mut bundle, "stat -c '%a %u %g' /mnt"),
        "1770 1000 1001"
    );
}

#[convention("A tmpfs without `mode=` looks like the directory it covers.")]
fn tmpfs_inherits_mode(case: &mut Case) {
    use std::os::unix::fs::PermissionsExt;
    let mut bundle = case.bundle();
    let covered = bundle.rootfs().join("covered");
    fs::create_dir(&covered).unwrap();
    fs::set_permissions(&covered, fs::Permissions::from_mode(0o711)).unwrap();
    bundle
        .config
        .mount("/covered", "tmpfs", "tmpfs", &["nosuid"]);
    assert_eq!(case.shell(&mut bundle, "stat -c %a /covered"), "711");
}

#[convention(
    "A tmpfs without `mode=` that covers nothing is for everybody, as the kernel makes it."
)]
fn tmpfs_over_nothing(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .mount("/missing/deep", "tmpfs", "tmpfs", &["nosuid"]);
    let modes = case.shell(&mut bundle, "stat -c %a /missing /missing/deep");
    assert_eq!(modes, "755\n1777");
}

#[may(
    "Runtimes ... MAY implement the following option strings for Linux: tmpcopyup (copy up the contents to a tmpfs)."
)]
fn tmpcopyup(case: &mut Case) {
    let mut bundle = case.bundle();
    let covered = bundle.rootfs().join("covered/deep");
    fs::create_dir_all(&covered).unwrap();
    fs::write(covered.join("file"), "copied\n").unwrap();
    symlink("file", covered.join("link")).unwrap();
    bundle
        .config
        .mount("/covered", "tmpfs", "tmpfs", &["tmpcopyup", "size=1m"]);
    let line = "cat /covered/deep/link && readlink /covered/deep/link && touch /covered/made";
    assert_eq!(case.shell(&mut bundle, line), "copied\nfile");
    assert!(!bundle.rootfs().join("covered/made").exists());
}

/// Flags of the superblock.
#[must(
    "Runtimes MUST ... implement the following option strings for Linux: sync, dirsync, lazytime."
)]
fn lazytime_and_superblock_flags(case: &mut Case) {
    for option in ["sync", "dirsync", "lazytime"] {
        let mut bundle = case.bundle();
        bundle.config.mount("/mnt", "tmpfs", "tmpfs", &[option]);
        let mount = mounted(case, &bundle, "/mnt");
        assert!(mount.super_has(option), "{option}: {mount:?}");
    }
}

/// It changes what is mounted already.
#[must("Runtimes MUST ... implement the following option strings for Linux: remount.")]
fn remount(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.mount("/mnt", "tmpfs", "tmpfs", &["size=64k"]);
    bundle.config.mount(
        "/mnt",
        "tmpfs",
        "tmpfs",
        &["remount", "nosuid", "size=128k"],
    );
    let facts = case.facts(&bundle);
    let count = facts
        .mounts()
        .iter()
        .filter(|mount| mount.target == "/mnt")
        .count();
    assert_eq!(count, 1);
    let mount = facts.mount("/mnt");
    assert!(
        mount.has("nosuid") && mount.super_has("size=128k"),
        "{mount:?}"
    );
}

#[convention("The usual options of `/dev/shm` and `/dev/mqueue`.")]
fn mqueue_and_shm(case: &mut Case) {
    let bundle = case.bundle();
    let facts = case.facts(&bundle);
    let queue = facts.mount("/dev/mqueue");
    assert_eq!(queue.kind, "mqueue");
    assert!(
        queue.has("nosuid") && queue.has("noexec") && queue.has("nodev"),
        "{queue:?}"
    );
    let shm = facts.mount("/dev/shm");
    assert!(shm.super_has("size=65536k") && shm.has("noexec"), "{shm:?}");
}

#[convention("`newinstance`: the container's terminals are its own.")]
fn devpts_options(case: &mut Case) {
    let bundle = case.bundle();
    let pts = mounted(case, &bundle, "/dev/pts");
    for option in ["mode=620", "ptmxmode=666", "gid=5"] {
        assert!(pts.super_has(option), "{option}: {pts:?}");
    }
}

/// On a filesystem that is not a bind.
#[must("Runtimes MUST ... implement the following option strings for Linux: ro.")]
fn sysfs_is_read_only(case: &mut Case) {
    let bundle = case.bundle();
    let mount = mounted(case, &bundle, "/sys");
    assert!(
        mount.has("ro") && mount.has("nosuid") && mount.has("nodev") && mount.has("noexec"),
        "{mount:?}"
    );
}

#[convention("`hidepid=` and its like are options of procfs.")]
fn proc_options(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set(
        "/mounts/0/options",
        json!(["nosuid", "noexec", "nodev", "hidepid=2"]),
    );
    let mount = mounted(case, &bundle, "/proc");
    assert!(
        mount.has("nosuid") && mount.has("nodev") && mount.has("noexec"),
        "{mount:?}"
    );
    assert!(
        mount
            .super_options
            .iter()
            .any(|one| one.starts_with("hidepid=")),
        "{mount:?}"
    );
}
