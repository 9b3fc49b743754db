//! The roots that people run: a distribution, a single program, an overlay, a tmpfs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime_tests::{Bundle, Case, Facts, convention, skip};
use serde_json::{Value, json};

use crate::engines::{DOCKER_SECCOMP, capabilities};

const CHAPTER: &str = "Roots of distributions";

/// A Debian root, made once and kept beside the build.
fn debian(case: &Case) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().find(|path| path.ends_with("target"));
    let Some(target) = target.map(Path::to_owned) else {
        skip("there is no target directory to keep a root in");
    };
    let root = target.join("debian-root");
    let lock = target.join("debian-root.lock");
    let script = format!(
        "set -e; exec 9>{lock}; flock 9; test -e {root}.done && exit 0; rm -rf {root}; \
         mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -m1 '/debian$'); \
         unshare --mount --propagation private debootstrap --variant=minbase bookworm {root} $mirror >/dev/null; \
         rm -rf {root}/var/cache/apt/archives/*.deb; touch {root}.done",
        lock = lock.display(),
        root = root.display(),
    );
    if fs::metadata("/usr/sbin/debootstrap").is_err() {
        skip("debootstrap is not installed");
    }
    let finished = case
        .program("sh")
        .args(["-c", &script])
        .limit(Duration::from_secs(270))
        .run();
    if !finished.status.success() {
        skip(&format!(
            "debootstrap failed: {}",
            finished.stderr.lines().last().unwrap_or_default()
        ));
    }
    root
}

/// A bundle over another root, read-only so that tests can share it.
fn over(case: &mut Case, root: &Path) -> Bundle {
    let mut bundle = case.bundle();
    fs::remove_dir_all(bundle.rootfs()).unwrap();
    bundle
        .config
        .set("/root/path", json!(root))
        .set("/root/readonly", json!(true));
    bundle
        .config
        .mount("/tmp", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=1777"]);
    bundle
}

#[convention("`apt-get --version` in Debian, with Docker's profile.")]
fn debian_root(case: &mut Case) {
    let root = debian(case);
    let mut bundle = over(case, &root);
    capabilities(&mut bundle);
    let seccomp: Value = serde_json::from_str(DOCKER_SECCOMP).unwrap();
    bundle.config.set("/linux/seccomp", seccomp);
    bundle.config.args(&["apt-get", "--version"]);
    let finished = case.run(&bundle).ok();
    assert!(
        finished.stdout.starts_with("apt 2."),
        "{}",
        finished.describe()
    );
    bundle.config.args(&[
        "bash",
        "-c",
        "id -un; dpkg --print-architecture; ls -d /proc/self; echo done | tee /tmp/x",
    ]);
    let finished = case.run(&bundle).ok();
    assert!(
        finished.stdout.starts_with("root\n") && finished.stdout.ends_with("done\n"),
        "{}",
        finished.describe()
    );
}

#[convention("Compiled programs: a dynamic one in Debian, a static one in an empty root.")]
fn compiled_programs(case: &mut Case) {
    let root = debian(case);
    let source = case.directory.join("hello.c");
    fs::write(&source, "#include <stdio.h>\nint main(int c, char **v) { printf(\"compiled %s %d\\n\", v[0], c); return 3; }\n").unwrap();
    let (source, directory) = (
        source.display().to_string(),
        case.directory.display().to_string(),
    );
    for (name, flag) in [("dynamic", "-O1"), ("static", "-static")] {
        case.program("cc")
            .args([flag, "-o", &format!("{directory}/{name}"), &source])
            .run()
            .ok();
    }
    let mut bundle = over(case, &root);
    bundle
        .config
        .bind(&case.directory.join("dynamic"), "/mnt", &["bind", "ro"]);
    bundle.config.0["mounts"].as_array_mut().unwrap().pop();
    let programs = case.directory.join("programs");
    fs::create_dir(&programs).unwrap();
    fs::copy(case.directory.join("dynamic"), programs.join("dynamic")).unwrap();
    bundle
        .config
        .bind(&programs, "/opt", &["bind", "ro"])
        .args(&["/opt/dynamic"]);
    assert_eq!(
        case.run(&bundle).exits(3).stdout,
        "compiled /opt/dynamic 1\n"
    );
    let mut bundle = case.bundle();
    fs::remove_dir_all(bundle.rootfs()).unwrap();
    fs::create_dir(bundle.rootfs()).unwrap();
    fs::copy(case.directory.join("static"), bundle.rootfs().join("hello")).unwrap();
    bundle.config.args(&["/hello", "x"]);
    assert_eq!(case.run(&bundle).exits(3).stdout, "compiled /hello 2\n");
}

#[convention(
    "A bundle of a user namespace: mapped ids, volumes of the mapped user, a tmpfs for him, a program that changes its user."
)]
fn user_namespace_bundle(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.user_namespace(200_000);
    bundle.give_directories_to(200_000);
    capabilities(&mut bundle);
    let volume = case.directory.join("volume");
    fs::create_dir(&volume).unwrap();
    std::os::unix::fs::chown(&volume, Some(201_000), Some(201_000)).unwrap();
    bundle
        .config
        .bind(&volume, "/volume", &["rbind", "rprivate"]);
    bundle.config.mount(
        "/run",
        "tmpfs",
        "tmpfs",
        &["nosuid", "nodev", "mode=755", "uid=1000", "gid=1000"],
    );
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let output = case.shell(&mut bundle, "touch /volume/made /run/made && stat -c %u /volume/made /run/made; ls -ld /etc/marker | cut -c1-10");
    assert!(output.starts_with("1000\n1000\n"), "{output}");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(volume.join("made")).unwrap().uid(), 201_000);
}

#[convention("An image's layer under an overlay root stays as it is.")]
fn overlay_root_leaves_the_lower_layer(case: &mut Case) {
    let mut bundle = case.bundle();
    let lower = case.directory.join("lower");
    fs::rename(bundle.rootfs(), &lower).unwrap();
    for name in ["upper", "work"] {
        fs::create_dir(case.directory.join(name)).unwrap();
    }
    fs::create_dir(bundle.rootfs()).unwrap();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        case.directory.join("upper").display(),
        case.directory.join("work").display(),
    );
    let target = bundle.rootfs().display().to_string();
    case.program("mount")
        .args(["-t", "overlay", "overlay", "-o", &options, &target])
        .run()
        .ok();
    let output = case.shell(
        &mut bundle,
        "rm /etc/marker; echo new > /etc/new; ls /etc/marker 2>/dev/null || echo gone",
    );
    case.program("umount").args([&target]).run().ok();
    assert_eq!(output, "gone");
    assert!(lower.join("etc/marker").exists() && !lower.join("etc/new").exists());
    assert!(case.directory.join("upper/etc/new").exists());
}

#[convention("Two hundred containers leave nothing: descriptors, mounts, cgroups, processes.")]
fn two_hundred_cycles_leave_nothing(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.args(&["echo", "ran"]);
    for _ in 0..if case.is_corten() { 200 } else { 20 } {
        assert_eq!(case.run(&bundle).ok().stdout, "ran\n");
    }
    // The mounts of others, in the host's view, come and go.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own = case.directory.display().to_string();
    assert!(!mounts.contains(&own), "{mounts}");
}

#[convention("A root may itself be a mount point.")]
fn root_on_tmpfs(case: &mut Case) {
    let mut bundle = case.bundle();
    let spare = case.directory.join("spare");
    fs::rename(bundle.rootfs(), &spare).unwrap();
    fs::create_dir(bundle.rootfs()).unwrap();
    let target = bundle.rootfs().display().to_string();
    case.program("mount")
        .args(["-t", "tmpfs", "root", &target])
        .run()
        .ok();
    case.program("cp")
        .args(["-a", &format!("{}/.", spare.display()), &target])
        .run()
        .ok();
    symlink("etc/marker", bundle.rootfs().join("also")).unwrap();
    bundle.config.args(&["cat", "/also"]);
    let finished = case.run(&bundle);
    bundle.config.args(&["/bin/probe", "facts"]);
    let facts = case.run(&bundle);
    case.program("umount").args([&target]).run().ok();
    assert_eq!(finished.ok().stdout, "of the root\n");
    assert_eq!(Facts::parse(&facts.ok().stdout).mount("/").kind, "tmpfs");
}
