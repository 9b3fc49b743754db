//! podman with systemd as its cgroup manager, for root and for a user with a session.

use std::fs;
use std::time::Duration;

use runtime_tests::{Case, Finished, convention, wait_for_no_descendants};

use crate::machine::{property, require, require_program};
use crate::selinux::require_enforcing;
use crate::users::{log_in, require_user};

const CHAPTER: &str = "podman: with systemd";

/// A podman with this test's storage, and an image `bb`.
struct Podman {
    command: String,
    user: bool,
}

impl Podman {
    fn new(case: &mut Case, user: bool) -> Self {
        require(case);
        for program in ["podman", "conmon"] {
            require_program(program);
        }
        if user {
            require_user(case);
        }
        // A user's storage is below their home: the test's directory is root's.
        let place = match user {
            true => format!("/home/tester/{}", case.token()),
            false => case.directory.join("podman").to_string_lossy().into_owned(),
        };
        let command = format!(
            "podman --root {place}/storage --runroot {place}/run --cgroup-manager systemd \
             --events-backend file --runtime {}",
            case.runtime_path()
        );
        let podman = Self { command, user };
        let bundle = case.bundle();
        let tar = case.directory.join("bb.tar").to_string_lossy().into_owned();
        let root = bundle.rootfs().to_string_lossy().into_owned();
        // Other tests link to the same busybox meanwhile, which tar takes for a change.
        let pack = format!("cp -r {root} {root}.copy && tar -C {root}.copy -cf {tar} .");
        case.program("sh").args(["-c", &pack]).run().ok();
        fs::set_permissions(&tar, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        podman
            .ask(case, &format!("import -q {tar} localhost/bb"))
            .ok();
        podman
    }

    fn ask(&self, case: &Case, words: &str) -> Finished {
        let line = format!("{} {words}", self.command);
        match self.user {
            true => log_in(case, &line),
            false => case
                .program("sh")
                .args(["-c", &line])
                .limit(Duration::from_secs(120))
                .run(),
        }
    }

    #[track_caller]
    fn says(&self, case: &Case, words: &str) -> String {
        self.ask(case, words).ok().stdout.trim().to_owned()
    }

    /// Removes all containers, and the storage of a user.
    #[track_caller]
    fn leave(self, case: &Case) {
        self.ask(case, "pod rm -fa -t0").ok();
        self.ask(case, "rm -fa -t0").ok();
        if !self.user {
            // podman's own, made again by whoever cleans up after a container that ended.
            wait_for_no_descendants(Duration::from_secs(20));
            let mount = case.directory.join("podman/storage/overlay");
            let line = format!("while umount --lazy {}; do :; done", mount.display());
            case.program("sh").args(["-c", &line]).run();
        }
        if self.user {
            // podman leaves a process that holds the user namespace for the next one.
            let remove = format!(
                "podman unshare rm -rf /home/tester/{}; \
                 kill $(cat $XDG_RUNTIME_DIR/libpod/tmp/pause.pid)",
                case.token()
            );
            log_in(case, &remove).ok();
        }
    }

    /// Of a container's scope.
    #[track_caller]
    fn property(&self, case: &Case, id: &str, name: &str) -> String {
        let unit = format!("libpod-{id}.scope");
        if !self.user {
            return property(case, &unit, name);
        }
        let line = format!("systemctl --user show --value -p {name} {unit}");
        log_in(case, &line).ok().stdout.trim().to_owned()
    }

    /// `MemoryMax`, `TasksMax` and `CPUQuotaPerSecUSec` of a container's scope.
    #[track_caller]
    fn limits(&self, case: &Case, id: &str) -> [String; 3] {
        ["MemoryMax", "TasksMax", "CPUQuotaPerSecUSec"].map(|name| self.property(case, id, name))
    }
}

fn story(case: &mut Case, user: bool) {
    let podman = Podman::new(case, user);
    let run = "run --rm --network none bb echo hello";
    assert_eq!(podman.says(case, run), "hello");
    let limits = "-m 64m --cpus 0.5 --pids-limit 20";
    let id = podman.says(
        case,
        &format!("run -d --network none {limits} bb sleep 1000"),
    );
    assert_eq!(podman.limits(case, &id), ["67108864", "20", "500ms"]);
    assert_eq!(
        podman.says(case, &format!("exec {id} cat /proc/self/cgroup")),
        "0::/"
    );
    let shown = format!("exec {id} cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max");
    assert_eq!(podman.says(case, &shown), "67108864\n20");
    podman.says(case, &format!("pause {id}"));
    let status = format!("inspect --format {{{{.State.Status}}}} {id}");
    assert_eq!(podman.says(case, &status), "paused");
    podman.says(case, &format!("unpause {id}"));
    podman.says(case, &format!("stop -t 0 {id}"));
    podman.says(case, &format!("start {id}"));
    podman.says(case, &format!("rm -f -t 0 {id}"));
    assert_eq!(podman.property(case, &id, "LoadState"), "not-found");
    podman.leave(case);
}

#[convention("run, limits, exec, pause, stop, start, rm: as root.")]
fn root(case: &mut Case) {
    story(case, false);
}

#[convention("run, limits, exec, pause, stop, start, rm: as a user.")]
fn user(case: &mut Case) {
    story(case, true);
}

fn pod(case: &mut Case, user: bool) {
    let podman = Podman::new(case, user);
    let infra = "--infra-image localhost/bb --infra-command '/bin/sleep 1000'";
    podman.says(case, &format!("pod create --network none {infra} --name p"));
    podman.says(case, "run -d --pod p --name a bb sleep 1000");
    assert_eq!(podman.says(case, "exec a hostname"), "p");
    podman.says(case, "pod stop -t 0 p");
    podman.says(case, "pod start p");
    assert_eq!(podman.says(case, "exec a echo again"), "again");
    podman.leave(case);
}

#[convention("A pod: as root.")]
fn pod_of_root(case: &mut Case) {
    pod(case, false);
}

#[convention("A pod: as a user.")]
fn pod_of_user(case: &mut Case) {
    pod(case, true);
}

#[convention("A process is killed when it takes more memory than podman was told: as a user.")]
fn out_of_memory(case: &mut Case) {
    let podman = Podman::new(case, true);
    let fill = "sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=60'";
    let run = format!("run --network none -m 16m --memory-swap 16m bb {fill}");
    assert_ne!(podman.ask(case, &run).code(), Some(0));
    podman.leave(case);
}

#[convention("The default profile of AppArmor holds.")]
fn apparmor(case: &mut Case) {
    require_program("apparmor_parser");
    let podman = Podman::new(case, false);
    let run = "run --rm --network none bb cat /proc/self/attr/current";
    let profile = podman.says(case, run);
    assert!(profile.starts_with("containers-default-"), "{profile}");
    podman.leave(case);
}

/// podman takes types from `lxc_contexts`; the categories are those that the policy knows.
#[convention("Under SELinux podman's labels of processes, layers and volumes hold.")]
fn selinux(case: &mut Case) {
    require_enforcing(case);
    let podman = Podman::new(case, false);
    let volume = case.directory.join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("f"), "kept\n").unwrap();
    let run = |level: &str, mount: &str, line: &str| {
        let label = format!("--security-opt label=level:s0:{level}");
        let volume = format!("-v {}:/v{mount}", volume.display());
        let options = format!("run --rm --network none {label} {volume}");
        podman.ask(case, &format!("{options} bb sh -c '{line}'"))
    };
    let line = "cat /proc/self/attr/current; echo; echo written >/x; cat /x";
    let seen = run("c1,c2", "", line).ok().stdout;
    let seen = seen.replace('\0', "");
    assert_eq!(seen, "system_u:system_r:container_t:s0:c1,c2\nwritten\n");
    let read = "cat /v/f";
    run("c1,c2", "", read).fails().says("Permission denied");
    assert_eq!(run("c1,c2", ":Z", read).ok().stdout, "kept\n");
    run("c0,c3", "", read).fails().says("Permission denied");
    podman.leave(case);
}

#[convention("podman container checkpoint and restore.")]
fn checkpoint(case: &mut Case) {
    require_program("criu");
    let podman = Podman::new(case, false);
    let line = "sh -c 'i=0; while :; do i=$((i+1)); echo $i >/tmp/n; sleep 0.2; done'";
    let id = podman.says(case, &format!("run -d --network none bb {line}"));
    let count = || -> u32 {
        let shown = podman.says(case, &format!("exec {id} cat /tmp/n"));
        shown.parse().unwrap_or_default()
    };
    case.until("it counts", || count() > 1);
    let before = count();
    podman.says(case, &format!("container checkpoint {id}"));
    let status = format!("inspect --format {{{{.State.Checkpointed}}}} {id}");
    assert_eq!(podman.says(case, &status), "true");
    podman.says(case, &format!("container restore {id}"));
    assert!(count() >= before, "not from the beginning");
    let after = count();
    case.until("it counts on", || count() > after);
    podman.leave(case);
}
