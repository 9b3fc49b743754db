//! config.md, "Linux mount options": every word of the table that `mount_options.rs` does not look at.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use runtime_tests::{Case, convention, may, must, should, skip};

use crate::mounts::{mounted, unmount, volume, volume_with_submount};

const CHAPTER: &str = "config.md: Mount options";

/// What is there and what is not there when these are given, in this order.
type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str]);

#[track_caller]
fn hold(case: &mut Case, rows: &[Row<'_>]) {
    let source = volume(case, "volume");
    for (options, there, gone) in rows {
        let mut bundle = case.bundle();
        let all = [&["bind"], *options].concat();
        bundle.config.bind(&source, "/mnt", &all);
        let mount = mounted(case, &bundle, "/mnt");
        for word in *there {
            assert!(mount.has(word), "{word} of {options:?}: {mount:?}");
        }
        for word in *gone {
            assert!(!mount.has(word), "{word} of {options:?}: {mount:?}");
        }
    }
}

/// They take back what stands before them.
#[must(
    "Runtimes MUST ... implement the following option strings for Linux: atime, diratime, norelatime, nostrictatime."
)]
fn access_times_as_before(case: &mut Case) {
    hold(
        case,
        &[
            (&["noatime", "atime"], &[], &["noatime"]),
            (&["nodiratime", "diratime"], &[], &["nodiratime"]),
            (&["relatime", "norelatime"], &[], &["noatime"]),
            (
                &["strictatime", "nostrictatime"],
                &["relatime"],
                &["noatime"],
            ),
        ],
    );
}

#[should("Runtimes ... SHOULD ... implement the following option strings for Linux: symfollow.")]
fn symlinks_are_followed_again(case: &mut Case) {
    hold(
        case,
        &[
            (&["nosymfollow", "symfollow"], &[], &["nosymfollow"]),
            (&["symfollow"], &[], &["nosymfollow"]),
        ],
    );
}

/// Of the superblock; what a tmpfs shows of them.
#[must(
    "Runtimes MUST ... implement the following option strings for Linux: async, nolazytime, iversion, noiversion, silent, loud."
)]
fn flags_of_the_file_system(case: &mut Case) {
    let rows: &[(&[&str], &[&str])] = &[
        (&["sync", "async"], &["sync"]),
        (&["lazytime", "nolazytime"], &["lazytime"]),
        (&["iversion"], &[]),
        (&["iversion", "noiversion"], &["iversion"]),
        (&["silent"], &[]),
        (&["silent", "loud"], &["silent"]),
    ];
    for (options, gone) in rows {
        let mut bundle = case.bundle();
        bundle.config.mount("/mnt", "tmpfs", "tmpfs", options);
        let mount = mounted(case, &bundle, "/mnt");
        assert_eq!(mount.kind, "tmpfs");
        for word in *gone {
            assert!(!mount.super_has(word), "{word} of {options:?}: {mount:?}");
        }
    }
}

/// Kernels since 5.15 take it and do nothing.
#[may("Runtimes ... MAY implement the following option strings for Linux: mand, nomand.")]
fn mandatory_locks(case: &mut Case) {
    for option in ["mand", "nomand"] {
        let mut bundle = case.bundle();
        bundle.config.mount("/mnt", "tmpfs", "tmpfs", &[option]);
        assert_eq!(mounted(case, &bundle, "/mnt").kind, "tmpfs");
    }
}

#[should(
    "Runtimes ... SHOULD ... implement the following option strings for Linux: rnodiratime, rrelatime, rstrictatime."
)]
fn recursive_access_times(case: &mut Case) {
    let source = volume_with_submount(case);
    hold_below(
        case,
        &source,
        &[
            (&["rnodiratime"], &["nodiratime"], &[]),
            (&["rrelatime"], &["relatime"], &[]),
            (&["rstrictatime"], &[], &["relatime", "noatime"]),
        ],
    );
}

/// What the source and what is mounted below it have is taken away.
#[should(
    "Runtimes ... SHOULD ... implement the following option strings for Linux: rrw, rsuid, rdev, rexec, ratime, rdiratime, rnorelatime, rnostrictatime."
)]
fn recursive_words_that_take_away(case: &mut Case) {
    let source = volume(case, "tree");
    let flags = "ro,nosuid,nodev,noexec,noatime,nodiratime";
    let mount = |path: &Path, flags: &str| {
        let path = path.to_string_lossy();
        let all = ["-t", "tmpfs", "-o", flags, "tree", &path];
        case.program("mount").args(all).run().ok();
    };
    mount(&source, "mode=755");
    fs::create_dir(source.join("inner")).unwrap();
    mount(&source.join("inner"), flags);
    let path = source.to_string_lossy().into_owned();
    let again = ["-o", &format!("remount,{flags}"), &path];
    case.program("mount").args(again).run().ok();
    case.program("mount")
        .args(["--make-rprivate", &path])
        .run()
        .ok();
    hold_below(
        case,
        &source,
        &[
            (&["rrw"], &["nosuid"], &["ro"]),
            (&["rsuid"], &["nodev"], &["nosuid"]),
            (&["rdev"], &["nosuid"], &["nodev"]),
            (&["rexec"], &["nosuid"], &["noexec"]),
            (&["ratime"], &["nosuid"], &["noatime"]),
            (&["rdiratime"], &["nosuid"], &["nodiratime"]),
            (&["rnorelatime"], &["nosuid"], &["relatime"]),
            (&["rnostrictatime"], &["nosuid"], &[]),
        ],
    );
    unmount(case, &source);
}

/// Looks at the mount and at the one below it, which is taken away afterwards.
#[track_caller]
fn hold_below(case: &mut Case, source: &Path, rows: &[Row<'_>]) {
    for (options, there, gone) in rows {
        let mut bundle = case.bundle();
        let all = [&["rbind"], *options].concat();
        bundle.config.bind(source, "/mnt", &all);
        let facts = case.facts(&bundle);
        for target in ["/mnt", "/mnt/inner"] {
            let mount = facts.mount(target);
            let holds = there.iter().all(|word| mount.has(word));
            let rid = !gone.iter().any(|word| mount.has(word));
            assert!(holds && rid, "{options:?}: {mount:?}");
        }
    }
    unmount(case, &source.join("inner"));
}

/// Since Linux 5.14.
#[should(
    "Runtimes ... SHOULD ... implement the following option strings for Linux: rnosymfollow, rsymfollow."
)]
fn recursive_symfollow(case: &mut Case) {
    let source = volume_with_submount(case);
    for (options, wanted) in [
        (["rbind", "rnosymfollow"], true),
        (["rbind", "rsymfollow"], false),
    ] {
        let mut bundle = case.bundle();
        bundle.config.bind(&source, "/mnt", &options);
        let facts = case.facts(&bundle);
        for target in ["/mnt", "/mnt/inner"] {
            let mount = facts.mount(target);
            assert_eq!(mount.has("nosymfollow"), wanted, "{options:?}: {mount:?}");
        }
    }
    unmount(case, &source.join("inner"));
}

/// The others are in `mount_options.rs`.
#[must(
    "Runtimes MUST ... implement the following option strings for Linux: runbindable, rprivate, rslave."
)]
fn propagation_below(case: &mut Case) {
    let source = volume_with_submount(case);
    for (option, wanted) in [
        ("runbindable", true),
        ("rprivate", false),
        ("rslave", false),
    ] {
        let mut bundle = case.bundle();
        bundle.config.bind(&source, "/mnt", &["rbind", option]);
        let facts = case.facts(&bundle);
        for target in ["/mnt", "/mnt/inner"] {
            let named = facts.mount(target).propagation;
            let shared = named.iter().any(|one| one.starts_with("shared:"));
            let unbindable = named.iter().any(|one| one == "unbindable");
            assert_eq!((shared, unbindable), (false, wanted), "{option}: {named:?}");
        }
    }
    unmount(case, &source.join("inner"));
}

/// Options of crun's own.
fn only_where_symlinks_have_options(case: &mut Case) {
    if case.version().starts_with("runc ") {
        skip("options of crun, which runc passes to the file system");
    }
    if case.version().starts_with("crun version 1.8") {
        skip("options that came after this version");
    }
    case.works();
}

#[convention("copy-symlink: a source that is a symlink is made again at the target, not mounted.")]
fn a_symlink_is_copied(case: &mut Case) {
    only_where_symlinks_have_options(case);
    let link = case.directory.join("link");
    symlink("/etc/passwd", &link).unwrap();
    let mut bundle = case.bundle();
    bundle
        .config
        .bind(&link, "/run/link", &["bind", "copy-symlink"]);
    assert_eq!(case.shell(&mut bundle, "readlink /run/link"), "/etc/passwd");
}

#[convention(
    "src-nofollow: a source that is a symlink is mounted as a symlink, or refused; never what it leads to."
)]
fn the_source_is_not_followed(case: &mut Case) {
    only_where_symlinks_have_options(case);
    let secret = case.directory.join("secret");
    fs::write(&secret, "secret\n").unwrap();
    let link = case.directory.join("link");
    symlink(&secret, &link).unwrap();
    let mut bundle = case.bundle();
    bundle
        .config
        .bind(&link, "/run/copy", &["bind", "src-nofollow"]);
    bundle.config.shell("cat /run/copy; echo looked");
    let finished = case.run(&bundle);
    let ran = finished.stdout.contains("looked");
    assert_eq!(ran, finished.status.success(), "{}", finished.describe());
    assert!(
        !finished.stdout.contains("secret"),
        "{}",
        finished.describe()
    );
}

#[convention(
    "dest-nofollow: a target that is a symlink is mounted on itself; what it leads to stays."
)]
fn the_target_is_not_followed(case: &mut Case) {
    only_where_symlinks_have_options(case);
    let source = volume(case, "volume");
    let mut bundle = case.bundle();
    fs::write(bundle.rootfs().join("real"), "the image's\n").unwrap();
    symlink("real", bundle.rootfs().join("link")).unwrap();
    let options = ["bind", "dest-nofollow"];
    bundle.config.bind(&source.join("file"), "/link", &options);
    bundle.config.shell("cat /real; echo looked");
    let finished = case.run(&bundle);
    let ran = finished.stdout.contains("looked");
    assert_eq!(ran, finished.status.success(), "{}", finished.describe());
    assert!(
        !finished.stdout.contains("content"),
        "{}",
        finished.describe()
    );
}
