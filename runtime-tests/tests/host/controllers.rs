//! Every controller of cgroup v2, by what it does to a program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runtime_tests::{Bundle, Case, cgroup_directories, must, skip};
use serde_json::{Value, json};

use crate::machine::{disk_of, field, read, require, require_program};

const CHAPTER: &str = "config-linux.md: Control groups, by effect";

/// A bundle with one resource.
fn bundle(case: &mut Case, name: &str, value: Value) -> Bundle {
    require(case);
    let mut bundle = case.bundle();
    let pointer = format!("/linux/resources/{name}");
    bundle.config.set(&pointer, value);
    bundle
}

/// The directory of the only container.
#[track_caller]
fn directory(case: &Case) -> PathBuf {
    let mut all = cgroup_directories(case.token());
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[must("memory.limit: sets limit of memory usage.")]
fn memory_limit_kills(case: &mut Case) {
    let mut bundle = bundle(case, "memory", json!({"limit": 16 << 20, "swap": 16 << 20}));
    bundle
        .config
        .shell("dd if=/dev/zero of=/dev/shm/x bs=1M count=40; sleep 100");
    let id = case.launch(&bundle);
    let directory = directory(case);
    case.until("the OOM killer strikes", || {
        field(&read(&directory.join("memory.events")), "oom_kill") > Some(0)
    });
    case.destroy(&id);
}

#[must("memory.reservation, memory.high: a program above is slowed down, not killed.")]
fn memory_high_throttles(case: &mut Case) {
    let mut bundle = bundle(case, "unified", json!({"memory.high": "8388608"}));
    bundle
        .config
        .shell("dd if=/dev/zero of=/tmp/x bs=1M count=30; echo alive; rm /tmp/x; sleep 100");
    let id = case.launch(&bundle);
    let directory = directory(case);
    case.until("the program is held back", || {
        field(&read(&directory.join("memory.events")), "high") > Some(0)
    });
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

#[must("memory.swap: sets limit of memory+Swap usage.")]
fn swap(case: &mut Case) {
    require(case);
    require_program("mkswap");
    let file = case.directory.join("swap");
    let path = file.to_string_lossy().into_owned();
    let program = |name: &str, args: &[&str]| case.program(name).args(args).run().ok();
    program(
        "dd",
        &["if=/dev/zero", &format!("of={path}"), "bs=1M", "count=96"],
    );
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    program("mkswap", &[&path]);
    program("swapon", &[&path]);
    let fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 && echo fits";
    let outcome = [80 << 20, 16 << 20].map(|sum| {
        let limits = json!({"limit": 16 << 20, "swap": sum});
        let mut bundle = case.bundle();
        bundle.config.set("/linux/resources/memory", limits);
        let shm = json!(["nosuid", "size=67108864"]);
        bundle.config.mount("/dev/shm", "tmpfs", "shm", &[]);
        let last = bundle.config.0["mounts"].as_array().unwrap().len() - 1;
        bundle.config.set(&format!("/mounts/{last}/options"), shm);
        bundle.config.shell(fill);
        case.run(&bundle).stdout
    });
    case.program("swapoff").args([&path]).run().ok();
    assert_eq!(outcome.map(|text| text.trim().to_owned()), ["fits", ""]);
}

#[must(
    "cpu.quota: specifies the total amount of time in microseconds for which all tasks in a cgroup can run during one period."
)]
fn cpu_quota_throttles(case: &mut Case) {
    let mut bundle = bundle(case, "cpu", json!({"quota": 20_000, "period": 100_000}));
    bundle.config.shell("while :; do :; done");
    let id = case.launch(&bundle);
    let directory = directory(case);
    let usage = || {
        let stat = read(&directory.join("cpu.stat"));
        (
            field(&stat, "usage_usec").unwrap(),
            field(&stat, "nr_throttled").unwrap(),
        )
    };
    let (before, begun) = (usage().0, Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let (after, throttled) = usage();
    let elapsed = u64::try_from(begun.elapsed().as_micros()).unwrap();
    // A fifth of the time, and a slice of the scheduler on each side.
    assert!(
        (after - before) * 4 < elapsed,
        "{} of {elapsed}",
        after - before
    );
    assert!(throttled > 0);
    case.destroy(&id);
}

#[must("cpu.cpus: list of CPUs the container will run on.")]
fn cpuset_confines(case: &mut Case) {
    let mut bundle = bundle(case, "cpu", json!({"cpus": "1"}));
    let shown = case.shell(
        &mut bundle,
        "nproc; grep Cpus_allowed_list /proc/self/status",
    );
    assert_eq!(shown, "1\nCpus_allowed_list:\t1");
}

#[must("cpu.idle, cpu.shares: a busy neighbour gets the time.")]
fn shares_weigh(case: &mut Case) {
    require(case);
    let mut usage = Vec::new();
    let mut containers = Vec::new();
    for shares in [2, 4096] {
        let mut bundle = case.bundle();
        let cpu = json!({"shares": shares, "cpus": "1"});
        bundle.config.set("/linux/resources/cpu", cpu);
        bundle.config.shell("while :; do :; done");
        containers.push(case.launch(&bundle));
    }
    std::thread::sleep(Duration::from_secs(3));
    for directory in cgroup_directories(case.token()) {
        usage.push(field(&read(&directory.join("cpu.stat")), "usage_usec").unwrap());
    }
    assert!(usage[0] * 4 < usage[1], "{usage:?}");
    for id in containers {
        case.destroy(&id);
    }
}

#[must("pids.limit: specifies the maximum number of tasks in the cgroup.")]
fn pids_limit_refuses(case: &mut Case) {
    let mut bundle = bundle(case, "pids", json!({"limit": 5}));
    bundle
        .config
        .shell("(for i in 1 2 3 4 5 6 7 8; do sleep 100 & done); sleep 100");
    let id = case.launch(&bundle);
    let directory = directory(case);
    case.until("a fork is refused", || {
        field(&read(&directory.join("pids.events")), "max") > Some(0)
    });
    // The shell that was refused may have given up by now.
    let current: u32 = read(&directory.join("pids.current")).parse().unwrap();
    assert!(current <= 5, "{current}");
    case.destroy(&id);
}

#[must("blockIO.throttleWriteBpsDevice: an array of per-device bandwidth rate limits.")]
fn io_limit_slows(case: &mut Case) {
    require(case);
    let [(major, minor), _] = disk_of(&case.directory);
    let limits = json!([{"major": major, "minor": minor, "rate": 2 << 20}]);
    let mut bundle = bundle(case, "blockIO", json!({"throttleWriteBpsDevice": limits}));
    bundle
        .config
        .shell("dd if=/dev/zero of=/written bs=1M count=6 conv=fsync");
    let begun = Instant::now();
    case.run(&bundle).ok();
    let took = begun.elapsed();
    assert!(
        took > Duration::from_millis(2000),
        "6 MiB at 2 MiB/s took {took:?}"
    );
}

#[must(
    "hugepageLimits: represents the hugetlb controller which allows to limit the HugeTLB reservations (if supported) or usage."
)]
fn huge_pages_are_refused(case: &mut Case) {
    require(case);
    let pages = "/proc/sys/vm/nr_hugepages";
    let before = read(Path::new(pages));
    fs::write(pages, "8").unwrap();
    let outcome = [8 << 20, 2 << 20].map(|limit| {
        let mut bundle = case.bundle();
        let limits = json!([{"pageSize": "2MB", "limit": limit}]);
        bundle.config.set("/linux/resources/hugepageLimits", limits);
        bundle
            .config
            .mount("/huge", "hugetlbfs", "hugetlbfs", &["pagesize=2M"]);
        let applet = bundle.rootfs().join("bin/fallocate");
        fs::hard_link(case.store().join("busybox"), applet).unwrap();
        let line = "fallocate -l 6291456 /huge/x 2>/dev/null && echo fits";
        bundle.config.shell(line);
        case.run(&bundle).stdout.trim().to_owned()
    });
    fs::write(pages, before).unwrap();
    assert_eq!(outcome, ["fits", ""]);
}

#[must("A paused container does not run.")]
fn frozen_is_still(case: &mut Case) {
    let mut bundle = bundle(case, "pids", json!({"limit": 50}));
    bundle.config.shell("while :; do :; done");
    let id = case.launch(&bundle);
    let directory = directory(case);
    let usage = || field(&read(&directory.join("cpu.stat")), "usage_usec").unwrap();
    case.runtime().args(["pause", &id]).run().ok();
    let before = usage();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(usage(), before);
    case.runtime().args(["resume", &id]).run().ok();
    case.until("it runs again", || usage() > before + 10_000);
    case.destroy(&id);
}

#[must("Pressure is told where the kernel measures it.")]
fn pressure(case: &mut Case) {
    let mut bundle = bundle(case, "cpu", json!({"quota": 10_000, "period": 100_000}));
    bundle.config.shell("while :; do :; done");
    let id = case.launch(&bundle);
    let directory = directory(case);
    if !directory.join("cpu.pressure").exists() {
        skip("this kernel measures no pressure");
    }
    std::thread::sleep(Duration::from_secs(3));
    let events = case.runtime().args(["events", "--stats", &id]).run().ok();
    let record: Value = serde_json::from_str(&events.stdout).unwrap();
    let some = &record["data"]["cpu"]["psi"]["some"]["total"];
    assert!(some.as_u64() > Some(100_000), "{}", events.stdout);
    case.destroy(&id);
}
