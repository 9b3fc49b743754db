//! Disks that are full or read-only, many commands at once, many containers.

use std::fs;
use std::time::Duration;

use runtime_tests::{Bundle, Case, Running, cgroup_directories, convention, descendants};
use serde_json::Value;

use crate::stricken::is_full;

const CHAPTER: &str = "Faults";

fn sleeping_bundle(case: &mut Case) -> Bundle {
    let mut bundle = case.bundle();
    bundle.config.args(&["sleep", "1000"]);
    bundle.write();
    bundle
}

/// The runtime, a bundle whose program sleeps, and the disk of [`on_a_small_disk`].
fn words_of_a_line(case: &mut Case) -> [String; 3] {
    let bundle = sleeping_bundle(case).path;
    let disk = case.directory.join("disk");
    [
        case.runtime_path().to_owned(),
        bundle.display().to_string(),
        disk.display().to_string(),
    ]
}

/// A tmpfs of its own as the root of state, seen by one shell line.
fn on_a_small_disk(case: &Case, options: &str, line: &str) -> runtime_tests::Finished {
    let disk = case.directory.join("disk");
    let _ = fs::create_dir(&disk);
    let script = format!(
        "mount -t tmpfs -o mode=700,{options} none {disk}; {line}; status=$?; umount {disk}; exit $status",
        disk = disk.display()
    );
    let unshare = ["--mount", "--propagation", "private", "sh", "-c", &script];
    case.program("unshare").args(unshare).run()
}

#[convention(
    "On a disk that fills up at any point of it, `create` fails in one line and leaves nothing, or works."
)]
fn full_disk(case: &mut Case) {
    case.only_corten();
    let [runtime, bundle, disk] = words_of_a_line(case);
    for free in 0..8 {
        // A page is the smallest file; what is left for us grows one by one.
        let fill = 16 - free;
        let line = format!(
            "dd if=/dev/zero of={disk}/filler bs=4096 count={fill} 2>/dev/null; \
             {runtime} --root {disk} create --bundle {bundle} a; made=$?; \
             test $made = 0 -o -z \"$(ls -A {disk} | grep -v filler)\" || exit 9; \
             {runtime} --root {disk} delete --force a"
        );
        let finished = on_a_small_disk(case, "size=64k", &line);
        assert_eq!(
            finished.code(),
            Some(0),
            "{free} pages: {}",
            finished.describe()
        );
        let lines = finished.stderr.lines().count();
        assert!(lines <= 1, "{free} pages: {}", finished.describe());
        assert!(cgroup_directories(case.token()).is_empty(), "{free} pages");
    }
    case.until("nothing runs", || descendants().is_empty());
}

#[convention(
    "With a root that cannot be written commands fail in one line, and with one that can again the container is deleted."
)]
fn read_only_state(case: &mut Case) {
    case.only_corten();
    let [runtime, bundle, disk] = words_of_a_line(case);
    let seen = case.directory.join("seen");
    fs::create_dir(&seen).unwrap();
    let seen = seen.display();
    // The container's own open files keep the disk itself from being remounted.
    let line = format!(
        "w=\"{runtime} --root {disk}\"; r=\"{runtime} --root {seen}\"; $w create --bundle {bundle} a || exit 8; \
         mount --bind {disk} {seen}; mount -o remount,bind,ro {seen}; \
         $r create --bundle {bundle} b && exit 7; $r delete --force a && exit 6; $r state a >/dev/null || exit 5; \
         umount {seen}; $w delete --force a"
    );
    let finished = on_a_small_disk(case, "size=1m", &line);
    assert_eq!(finished.code(), Some(0), "{}", finished.describe());
    assert_eq!(
        finished.stderr.lines().count(),
        2,
        "{}",
        finished.describe()
    );
    assert!(cgroup_directories(case.token()).is_empty());
}

#[convention(
    "Of creates of one id at the same moment one wins, and the others say that it exists."
)]
fn one_id_many_creates(case: &mut Case) {
    let bundles: Vec<Bundle> = (0..8).map(|_| sleeping_bundle(case)).collect();
    let rounds = if is_full() { 125 } else { 5 };
    for _ in 0..rounds {
        let id = case.id();
        let started: Vec<Running> = bundles
            .iter()
            .map(|bundle| case.create_command(bundle, &id, &[]).spawn())
            .collect();
        let ended: Vec<_> = started.into_iter().map(Running::finish).collect();
        let won = ended.iter().filter(|one| one.status.success()).count();
        let told: Vec<String> = ended
            .iter()
            .map(runtime_tests::Finished::describe)
            .collect();
        assert_eq!(won, 1, "{}", told.join("\n"));
        assert_eq!(case.status(&id), "created");
        case.runtime().args(["delete", "--force", &id]).run().ok();
        case.until("nothing runs", || descendants().is_empty());
        case.count("creates of one id", bundles.len());
    }
}

#[convention(
    "Fifty commands on one container at once: none hangs, each fails in one line or works, and the container can be deleted."
)]
fn fifty_commands_at_once(case: &mut Case) {
    case.only_corten();
    let bundle = sleeping_bundle(case);
    let commands: [&[&str]; 10] = [
        &["state"],
        &["kill"],
        &["pause"],
        &["resume"],
        &["start"],
        &["ps"],
        &["delete"],
        &["delete", "--force"],
        &["state"],
        &["start"],
    ];
    for round in 0..if is_full() { 50 } else { 3 } {
        let id = case.id();
        case.create_command(&bundle, &id, &[]).run().ok();
        let started: Vec<Running> = (0..50)
            .map(|number| {
                let command = commands[(number * 7 + round) % commands.len()];
                case.runtime().args(command).args([&id]).spawn()
            })
            .collect();
        for running in started {
            let finished = running.finish();
            let told = finished.stderr.lines().count();
            let good =
                finished.status.success() && told <= 1 || finished.code() == Some(1) && told == 1;
            assert!(good, "{}", finished.describe());
        }
        case.runtime().args(["delete", "--force", &id]).run().ok();
        assert!(cgroup_directories(case.token()).is_empty());
        case.until("nothing runs", || descendants().is_empty());
        case.count("commands at once", 50);
    }
}

/// How many: what the variable says, else the one or the other.
fn count_of(variable: &str, full: usize, bounded: usize) -> usize {
    let wanted = std::env::var(variable).ok();
    let wanted = wanted.and_then(|text| text.parse().ok());
    wanted.unwrap_or(if is_full() { full } else { bounded })
}

/// One line of shell that makes, starts and deletes one container `count` times.
fn cycles(case: &Case, bundle: &Bundle, worker: usize, count: usize) -> Running {
    let line = format!(
        "set -e; r='{} --root {}'; n=0; while [ $n -lt {count} ]; do id={}-w{worker}-$n; \
         $r create --bundle {} $id; $r start $id; $r delete --force $id; n=$((n+1)); done",
        case.runtime_path(),
        case.state_root().display(),
        case.token(),
        bundle.path.display(),
    );
    case.program("sh")
        .args(["-c", &line])
        .limit(Duration::from_secs(14_000))
        .spawn()
}

/// Kilobytes of kernel memory that is not given back: slabs that cannot be reclaimed.
fn kernel_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("SUnreclaim:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("SUnreclaim")
}

#[convention("Containers come and go by the thousand, eight at a time, and leave nothing.")]
fn churn(case: &mut Case) {
    let each = count_of("ABUSE_CYCLES", 10_000, 96) / 8;
    let before = kernel_memory();
    let workers: Vec<Running> = (0..8)
        .map(|worker| {
            let bundle = sleeping_bundle(case);
            cycles(case, &bundle, worker, each)
        })
        .collect();
    for finished in Running::finish_as_reaper(workers) {
        finished.ok();
        case.count("create, start, delete", each);
    }
    assert_eq!(fs::read_dir(case.state_root()).unwrap().count(), 0);
    assert!(cgroup_directories(case.token()).is_empty());
    case.until("nothing runs", || descendants().is_empty());
    if is_full() {
        // Other programs of the machine use the kernel too; a leak of one page a
        // container would be 40 MB.
        case.until("kernel memory is given back", || {
            kernel_memory() < before + 30_000
        });
    }
}

#[convention("Many containers live at once; all are listed, killed and deleted.")]
fn many_at_once(case: &mut Case) {
    let count = count_of("ABUSE_CONTAINERS", 1000, 60);
    let mut alive = Vec::new();
    for _ in 0..count {
        let bundle = sleeping_bundle(case);
        let id = case.id();
        case.run_command(&bundle, &id, &["--detach"]).run().ok();
        alive.push(id);
    }
    let list = case.runtime().args(["list", "--format", "json"]).run().ok();
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    let running = |entry: &&Value| entry["status"] == "running";
    assert_eq!(
        list.as_array().unwrap().iter().filter(running).count(),
        count
    );
    for id in &alive {
        case.runtime().args(["kill", id, "KILL"]).run().ok();
    }
    case.until("all have ended", || descendants().is_empty());
    for id in &alive {
        case.runtime().args(["delete", id]).run().ok();
    }
    assert_eq!(fs::read_dir(case.state_root()).unwrap().count(), 0);
    assert!(cgroup_directories(case.token()).is_empty());
    case.count("containers at once", count);
}
