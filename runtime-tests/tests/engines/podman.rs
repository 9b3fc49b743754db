//! podman, as root. Storage, locks and networks lie where podman wants them by
//! default: in the test's mount namespace those places are empty.

use std::fs;

use runtime_tests::{Case, Program, convention};

use crate::images::Images;
use crate::session::{PATIENCE, Runtime, Session, cgroup_parent, compare, require};

const CHAPTER: &str = "podman";

/// No systemd, no journal; limits below this machine's hard ones (podman's own are
/// above, and then every runtime fails).
const CONTAINERS_CONF: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
pids_limit = 0
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime_supports_nocgroups = ["corten", "crun", "runc"]
"#;
const STORAGE_CONF: &str = r#"
[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
"#;

/// podman with this test's configuration.
pub fn podman(case: &Case, runtime: &Runtime, args: &[&str]) -> Program {
    let conf = |name: &str| case.directory.join(name).to_string_lossy().into_owned();
    let parent = format!("--cgroup-parent={}", cgroup_parent(case));
    let (verb, rest) = match args {
        [verb @ ("run" | "create"), rest @ ..] => (vec![*verb, &parent], rest),
        ["pod", "create", rest @ ..] => (vec!["pod", "create", &parent], rest),
        other => (Vec::new(), other),
    };
    case.program("podman")
        .env("CONTAINERS_CONF", &conf("containers.conf"))
        .env("CONTAINERS_STORAGE_CONF", &conf("storage.conf"))
        .args(["--runtime", &runtime.path])
        .args(verb)
        .args(rest)
        .limit(PATIENCE)
}

/// Writes podman's configuration, or skips where podman is missing.
pub fn configure(case: &Case) -> Images {
    require(&["podman", "conmon", "netavark", "iptables"]);
    fs::write(case.directory.join("containers.conf"), CONTAINERS_CONF).unwrap();
    fs::write(case.directory.join("storage.conf"), STORAGE_CONF).unwrap();
    Images::make(case.store())
}

/// Tells the story with an image `bb` at hand.
#[track_caller]
fn story(case: &mut Case, story: impl Fn(&mut Session)) {
    let images = configure(case);
    let tar = images.root_tar().to_string_lossy().into_owned();
    compare(case, podman, |session| {
        if !session.ask(&["image", "exists", "bb"]).status.success() {
            session.ask(&["import", "-q", &tar, "localhost/bb"]).ok();
        }
        story(session);
    });
}

#[convention("Every archive that is made here is an image to podman.")]
fn images(case: &mut Case) {
    let images = configure(case);
    compare(case, podman, |session| {
        for archive in [images.oci_archive(), images.docker_archive()] {
            let archive = archive.to_string_lossy().into_owned();
            session.ask(&["load", "-q", "-i", &archive]).ok();
            let line = [
                "run",
                "--rm",
                "--net=none",
                "localhost/busybox",
                "echo",
                "hi",
            ];
            assert_eq!(session.tell(&line).ok().stdout, "hi\n");
            session.ask(&["rmi", "localhost/busybox"]).ok();
        }
    });
}

#[convention("Output on both streams, and the exit code.")]
fn run(case: &mut Case) {
    story(case, |session| {
        let line = "echo out; echo err >&2; exit 7";
        let finished = session.tell(&["run", "--rm", "--net=none", "bb", "sh", "-c", line]);
        let finished = finished.exits(7);
        assert_eq!(finished.stdout, "out\n");
        assert_eq!(finished.stderr, "err\n");
    });
}

#[convention("Limits, as the cgroup's files have them.")]
fn limits(case: &mut Case) {
    story(case, |session| {
        let line = "-d --rm --net=none -m 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 256 \
            --cpuset-cpus 0 --pids-limit 50 --blkio-weight 200 bb sleep 1000";
        let id = session.ask(&words("run", line)).ok().stdout;
        session.note_cgroup_files(id.trim(), &LIMIT_FILES);
        session.ask(&["rm", "-f", "-t0", id.trim()]).ok();
    });
}

const LIMIT_FILES: [&str; 9] = [
    "memory.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.shares",
    "cpuset.cpus",
    "pids.max",
    "blkio.weight",
];

fn words<'a>(verb: &'a str, line: &'a str) -> Vec<&'a str> {
    [verb].into_iter().chain(line.split_whitespace()).collect()
}
