//! config.md, "Root" and "Mounts"; config-linux.md, "Default Filesystems", "Rootfs Mount Propagation".

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use runtime_tests::{Bundle, Case, Facts, Mount, convention, must, should, skip};
use serde_json::json;

const CHAPTER: &str = "config.md: Root and mounts";

pub fn volume(case: &Case, name: &str) -> PathBuf {
    let path = case.directory.join(name);
    fs::create_dir_all(path.join("inner")).unwrap();
    fs::write(path.join("file"), "content\n").unwrap();
    path
}

/// A private mount with a submount, both below the test's directory.
pub fn volume_with_submount(case: &Case) -> PathBuf {
    let path = volume(case, "tree");
    let inner = path.join("inner");
    case.program("mount")
        .args(["-t", "tmpfs", "inner", &inner.to_string_lossy()])
        .run()
        .ok();
    case.program("mount")
        .args(["--make-private", &inner.to_string_lossy()])
        .run()
        .ok();
    path
}

pub fn unmount(case: &Case, path: &std::path::Path) {
    case.program("umount")
        .args([path.to_string_lossy()])
        .run()
        .ok();
}

#[track_caller]
pub fn mounted(case: &mut Case, bundle: &Bundle, target: &str) -> Mount {
    case.facts(bundle).mount(target)
}

#[should("The following filesystems SHOULD be made available in each container's filesystem.")]
fn default_filesystems(case: &mut Case) {
    let bundle = case.bundle();
    let facts = case.facts(&bundle);
    for (target, kind) in [
        ("/proc", "proc"),
        ("/dev", "tmpfs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
        ("/sys", "sysfs"),
    ] {
        assert_eq!(facts.mount(target).kind, kind, "{target}");
    }
}

#[must("A mount is a bind mount if it has either bind or rbind in its options.")]
fn bind_directory(case: &mut Case) {
    let source = volume(case, "volume");
    let mut bundle = case.bundle();
    bundle.config.bind(&source, "/mnt", &["rbind"]);
    assert_eq!(
        case.shell(&mut bundle, "cat /mnt/file; touch /mnt/made"),
        "content"
    );
    assert!(source.join("made").exists());
}

#[convention("A bind of a file makes a file to be mounted on.")]
fn bind_file_makes_its_target(case: &mut Case) {
    let source = volume(case, "volume");
    let mut bundle = case.bundle();
    bundle
        .config
        .bind(&source.join("file"), "/run/new/deep/file", &["bind", "ro"]);
    assert_eq!(case.shell(&mut bundle, "cat /run/new/deep/file"), "content");
}

#[must("Path values for bind mounts are either absolute or relative to the bundle.")]
fn bind_source_relative_to_bundle(case: &mut Case) {
    let mut bundle = case.bundle();
    fs::create_dir(bundle.path.join("data")).unwrap();
    fs::write(bundle.path.join("data/file"), "relative\n").unwrap();
    bundle.config.mount("/mnt", "bind", "data", &["bind"]);
    assert_eq!(case.shell(&mut bundle, "cat /mnt/file"), "relative");
}

/// It takes the one mount.
#[must("Runtimes MUST ... implement the following option strings for Linux: bind.")]
fn bind_is_not_recursive(case: &mut Case) {
    let source = volume_with_submount(case);
    let mut bundle = case.bundle();
    bundle.config.bind(&source, "/mnt", &["bind"]);
    let facts = case.facts(&bundle);
    unmount(case, &source.join("inner"));
    assert!(
        !facts
            .mounts()
            .iter()
            .any(|mount| mount.target == "/mnt/inner")
    );
}

/// It takes what is mounted below as well.
#[must("Runtimes MUST ... implement the following option strings for Linux: rbind.")]
fn rbind_is_recursive(case: &mut Case) {
    let source = volume_with_submount(case);
    let mut bundle = case.bundle();
    bundle.config.bind(&source, "/mnt", &["rbind"]);
    let facts = case.facts(&bundle);
    unmount(case, &source.join("inner"));
    assert_eq!(facts.mount("/mnt/inner").kind, "tmpfs");
}

/// Shown by what covers what: mountinfo lists mounts by id, which they get when they are made, not
/// when they are attached.
#[must("The runtime MUST mount entries in the listed order.")]
fn order_is_kept(case: &mut Case) {
    let source = volume(case, "volume");
    fs::write(source.join("inner/covered"), "").unwrap();
    let mut bundle = case.bundle();
    bundle.config.mount("/mnt", "tmpfs", "tmpfs", &[]);
    bundle.config.bind(&source, "/mnt/inside", &["bind"]);
    bundle
        .config
        .mount("/mnt/inside/inner", "tmpfs", "tmpfs", &["size=64k"]);
    let facts = case.facts(&bundle);
    for target in ["/mnt", "/mnt/inside", "/mnt/inside/inner"] {
        facts.mount(target);
    }
    // Any other order would hide the bind mount, or uncover what is below the last one.
    assert_eq!(
        case.shell(&mut bundle, "cat /mnt/inside/file; ls /mnt/inside/inner"),
        "content"
    );
    // The same place twice: the later one is seen.
    let mut bundle = case.bundle();
    bundle.config.bind(&source, "/mnt", &["bind"]);
    bundle.config.mount("/mnt", "tmpfs", "tmpfs", &[]);
    bundle
        .config
        .bind(&source.join("file"), "/mnt/last", &["bind"]);
    assert_eq!(case.shell(&mut bundle, "ls /mnt"), "last");
}

#[convention("A mount point that is missing is made.")]
fn missing_target_is_made(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .mount("/not/there/yet", "tmpfs", "tmpfs", &["mode=700"]);
    assert_eq!(
        case.shell(&mut bundle, "stat -c %a /not/there /not/there/yet"),
        "755\n700"
    );
}

/// An absolute symlink in the image means the container's root, never the host's.
#[must("destination (string, REQUIRED) Destination of mount point: path inside container.")]
fn target_through_a_symlink_stays_inside(case: &mut Case) {
    let source = volume(case, "volume");
    let mut bundle = case.bundle();
    symlink("/var", bundle.rootfs().join("absolute")).unwrap();
    bundle.config.bind(&source, "/absolute/made", &["bind"]);
    assert_eq!(case.shell(&mut bundle, "cat /var/made/file"), "content");
}

/// One that climbs out may be an error or be resolved inside; the host's directory stays as it is
/// (CVE-2021-30465).
#[must("destination (string, REQUIRED) Destination of mount point: path inside container.")]
fn target_that_climbs_never_reaches_the_host(case: &mut Case) {
    case.works();
    let source = volume(case, "volume");
    let victim = case.directory.join("victim");
    fs::create_dir(&victim).unwrap();
    let mut bundle = case.bundle();
    let up = format!("../../../../../../../..{}", victim.display());
    symlink(up, bundle.rootfs().join("climbs")).unwrap();
    bundle.config.bind(&source, "/climbs/bound", &["bind"]);
    bundle.config.mount("/climbs/made", "tmpfs", "tmpfs", &[]);
    let finished = case.run(&bundle);
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
    if finished.status.success() {
        let mounts = Facts::parse(&finished.stdout).mounts();
        for name in ["/bound", "/made"] {
            let inside = mounts.iter().any(|mount| mount.target.ends_with(name));
            assert!(inside, "{name} is mounted nowhere");
        }
    } else {
        finished.fails();
    }
}

#[must(r#"For compatibility with old tools and configurations, it MAY be a relative path, in which case it MUST be interpreted as relative to "/"."#)]
fn relative_target(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .mount("mnt/relative", "tmpfs", "tmpfs", &["size=64k"]);
    assert_eq!(mounted(case, &bundle, "/mnt/relative").kind, "tmpfs");
}

/// Any that the kernel knows: overlay with its own options.
#[must("type (string, OPTIONAL) The type of the filesystem to be mounted.")]
fn overlay(case: &mut Case) {
    if !fs::read_to_string("/proc/filesystems")
        .unwrap()
        .contains("\toverlay")
    {
        skip("the kernel has no overlay");
    }
    let mut bundle = case.bundle();
    let part = |name: &str| {
        let path = case.directory.join(name);
        fs::create_dir(&path).unwrap();
        path.display().to_string()
    };
    let (lower, upper, work) = (part("lower"), part("upper"), part("work"));
    fs::write(format!("{lower}/below"), "lower\n").unwrap();
    let options = [
        format!("lowerdir={lower}"),
        format!("upperdir={upper}"),
        format!("workdir={work}"),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    bundle.config.mount("/mnt", "overlay", "overlay", &options);
    assert_eq!(
        case.shell(&mut bundle, "cat /mnt/below; echo changed > /mnt/below"),
        "lower"
    );
    assert_eq!(
        fs::read_to_string(format!("{lower}/below")).unwrap(),
        "lower\n"
    );
    assert_eq!(
        fs::read_to_string(format!("{upper}/below")).unwrap(),
        "changed\n"
    );
}

/// One without any options.
#[must("type (string, OPTIONAL) The type of the filesystem to be mounted.")]
fn ramfs(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.mount("/mnt", "ramfs", "ramfs", &["noexec"]);
    let mount = mounted(case, &bundle, "/mnt");
    assert_eq!(mount.kind, "ramfs");
    assert!(mount.has("noexec"));
}

#[convention(
    "`type: cgroup` shows the container its own cgroup, in whatever version the host has."
)]
fn cgroup_mount(case: &mut Case) {
    let mut bundle = case.bundle();
    let facts = case.facts(&bundle);
    let kinds: Vec<Mount> = facts
        .mounts()
        .into_iter()
        .filter(|one| one.target.starts_with("/sys/fs/cgroup"))
        .collect();
    assert!(
        kinds.iter().any(|mount| mount.kind.starts_with("cgroup")),
        "{kinds:?}"
    );
    assert!(
        kinds
            .iter()
            .filter(|mount| mount.kind.starts_with("cgroup"))
            .all(|mount| mount.has("ro")),
        "{kinds:?}"
    );
    let file = if case.view.is_unified() {
        "/sys/fs/cgroup/cgroup.procs"
    } else {
        "/sys/fs/cgroup/pids/cgroup.procs"
    };
    let output = case.shell(
        &mut bundle,
        &format!("grep -c '^1$' {file}; mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused"),
    );
    assert_eq!(
        output, "1\nrefused",
        "the container's own cgroup, with its init in it"
    );
}

#[must(
    "readonly (bool, OPTIONAL) If true then the root filesystem MUST be read-only inside the container."
)]
fn root_read_only(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/root/readonly", json!(true));
    assert!(mounted(case, &bundle, "/").has("ro"));
    assert_eq!(
        case.shell(&mut bundle, "touch /made 2>/dev/null || echo refused"),
        "refused"
    );
}

/// The mounts in it keep their own flags; their targets are still made.
#[must("The root filesystem MUST be read-only inside the container.")]
fn root_read_only_with_writable_mounts(case: &mut Case) {
    let source = volume(case, "volume");
    let mut bundle = case.bundle();
    bundle.config.set("/root/readonly", json!(true));
    bundle.config.bind(&source, "/made/for/this", &["bind"]);
    let line = "touch /made/for/this/yes /dev/shm/yes && touch /no 2>/dev/null || echo refused";
    assert_eq!(case.shell(&mut bundle, line), "refused");
    assert!(source.join("yes").exists());
}

#[must("rootfsPropagation (string, OPTIONAL) sets the rootfs's mount propagation.")]
fn root_propagation_shared(case: &mut Case) {
    for (value, word) in [("shared", "shared:"), ("unbindable", "unbindable")] {
        let mut bundle = case.bundle();
        bundle.config.set("/linux/rootfsPropagation", json!(value));
        let root = mounted(case, &bundle, "/");
        assert!(
            root.propagation.iter().any(|one| one.starts_with(word)),
            "{value}: {root:?}"
        );
    }
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/rootfsPropagation", json!("private"));
    let root = mounted(case, &bundle, "/");
    assert_eq!(root.propagation, Vec::<String>::new());
}

/// Mounts made later on a shared volume of the host appear inside.
#[must("rootfsPropagation (string, OPTIONAL) sets the rootfs's mount propagation.")]
fn root_propagation_slave_receives(case: &mut Case) {
    let source = volume(case, "volume");
    let path = source.to_string_lossy().into_owned();
    case.program("mount")
        .args(["--bind", &path, &path])
        .run()
        .ok();
    case.program("mount")
        .args(["--make-shared", &path])
        .run()
        .ok();
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/rootfsPropagation", json!("rslave"));
    bundle.config.bind(&source, "/mnt", &["rbind", "rslave"]);
    bundle
        .config
        .shell("while ! test -e /mnt/inner/later; do sleep 0.1; done; echo seen");
    bundle.write();
    let id = case.id();
    let running = case.run_command(&bundle, &id, &[]).spawn();
    case.until("the container runs", || {
        case.runtime()
            .args(["state", &id])
            .run()
            .stdout
            .contains("running")
    });
    let inner = source.join("inner");
    case.program("mount")
        .args(["-t", "tmpfs", "inner", &inner.to_string_lossy()])
        .run()
        .ok();
    fs::write(inner.join("later"), "").unwrap();
    let finished = running.finish().ok();
    unmount(case, &inner);
    unmount(case, &source);
    assert_eq!(finished.stdout, "seen\n");
}

#[must(
    "path (string, REQUIRED) Specifies the path to the root filesystem for the container: either an absolute path or a relative path to the bundle."
)]
fn root_absolute_path(case: &mut Case) {
    let mut bundle = case.bundle();
    let path = bundle.rootfs().display().to_string();
    bundle.config.set("/root/path", json!(path));
    assert_eq!(case.shell(&mut bundle, "cat /etc/marker"), "of the root");
}

#[convention("`--no-pivot` is for roots on a ramdisk.")]
fn no_pivot(case: &mut Case) {
    let mut bundle = case.bundle();
    let line = format!(
        "cat /etc/marker; ls -d {} 2>/dev/null",
        case.directory.display()
    );
    bundle.config.shell(&line);
    let finished = case.run_with(&bundle, &["--no-pivot"]);
    assert_eq!(finished.stdout, "of the root\n", "{}", finished.describe());
}

/// Nothing of the host is left in it.
#[must("mount: the container will have an isolated mount table.")]
fn host_mounts_are_gone(case: &mut Case) {
    let bundle = case.bundle();
    let facts = case.facts(&bundle);
    let outside: Vec<Mount> = facts
        .mounts()
        .into_iter()
        .filter(|mount| {
            !["/", "/proc", "/dev", "/sys"].iter().any(|top| {
                mount.target == *top
                    || (top.len() > 1 && mount.target.starts_with(&format!("{top}/")))
            })
        })
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
}

#[convention("One hundred binds work: more than any engine makes.")]
fn one_hundred_binds(case: &mut Case) {
    let mut bundle = case.bundle();
    for number in 0..100 {
        let source = volume(case, &format!("volume{number}"));
        bundle
            .config
            .bind(&source, &format!("/many/{number}"), &["rbind", "ro"]);
    }
    let facts = case.facts(&bundle);
    let count = facts
        .mounts()
        .iter()
        .filter(|mount| mount.target.starts_with("/many/") && mount.has("ro"))
        .count();
    assert_eq!(count, 100);
}

#[convention("The source of a bind is followed on the host when it is a symlink.")]
fn source_is_a_symlink(case: &mut Case) {
    let source = volume(case, "volume");
    let link = case.directory.join("link");
    symlink(&source, &link).unwrap();
    let mut bundle = case.bundle();
    bundle.config.bind(&link, "/mnt", &["bind"]);
    assert_eq!(case.shell(&mut bundle, "cat /mnt/file"), "content");
}

#[convention("A bind over a file, as engines do with /etc/hosts and its kind.")]
fn bind_over_a_file(case: &mut Case) {
    let source = volume(case, "volume");
    let mut bundle = case.bundle();
    bundle
        .config
        .bind(&source.join("file"), "/etc/marker", &["bind", "rprivate"]);
    assert_eq!(case.shell(&mut bundle, "cat /etc/marker"), "content");
    assert_eq!(
        fs::read_to_string(bundle.rootfs().join("etc/marker")).unwrap(),
        "of the root\n"
    );
}

/// A volume inside a volume whose target lies in the outer one.
#[must("The runtime MUST mount entries in the listed order.")]
fn nested_binds(case: &mut Case) {
    let outer = volume(case, "outer");
    let inner = volume(case, "second");
    fs::write(inner.join("file"), "second\n").unwrap();
    let mut bundle = case.bundle();
    bundle
        .config
        .bind(&outer, "/mnt", &["bind"])
        .bind(&inner, "/mnt/inner", &["bind", "ro"]);
    assert_eq!(
        case.shell(&mut bundle, "cat /mnt/file /mnt/inner/file"),
        "content\nsecond"
    );
}

#[convention("The flags of a bind are the new mount's, not the source's.")]
fn sources_do_not_change(case: &mut Case) {
    let source = volume_with_submount(case);
    let mut bundle = case.bundle();
    bundle.config.bind(
        &source.join("inner"),
        "/mnt",
        &["bind", "ro", "noexec", "nosuid", "nodev", "unbindable"],
    );
    case.facts(&bundle);
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let inner = source.join("inner").display().to_string();
    let line = table
        .lines()
        .find(|line| line.contains(&inner))
        .unwrap()
        .to_owned();
    unmount(case, &source.join("inner"));
    assert!(line.contains(" rw,relatime - tmpfs"), "{line}");
}
