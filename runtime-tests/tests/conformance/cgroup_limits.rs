//! config-linux.md, "Control groups": limits, read back on the host.

use std::fs;

use runtime_tests::{Case, convention, must, skip};
use serde_json::{Value, json};

use crate::cgroups::{directory, has_v1, has_v2, sleeper};

const CHAPTER: &str = "config-linux.md: Limits of control groups";

/// Sets resources, creates, and compares files: `(controller, v1 file, v2 file, v1 value, v2 value)`.
type Expected<'a> = (&'a str, [(&'a str, &'a str); 2]);

#[track_caller]
fn files(case: &mut Case, resources: &[(&str, Value)], expected: &[Expected<'_>]) {
    let mut bundle = case.bundle();
    for (name, value) in resources {
        bundle
            .config
            .set(&format!("/linux/resources/{name}"), value.clone());
    }
    for (controller, _) in expected {
        let there = if case.view.is_unified() {
            has_v2(controller)
        } else {
            has_v1(controller)
        };
        if !there {
            skip(&format!("no {controller} controller in this view"));
        }
    }
    let id = case.create(&bundle);
    for (controller, [v1, v2]) in expected {
        let (file, value) = if case.view.is_unified() { v2 } else { v1 };
        let path = directory(case.token(), controller)
            .expect("the container's cgroup")
            .join(file);
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(text.trim(), *value, "{}", path.display());
    }
    case.destroy(&id);
}

#[must("memory.limit (int64, OPTIONAL) - sets limit of memory usage.")]
fn memory(case: &mut Case) {
    files(
        case,
        &[("memory", json!({"limit": 536_870_912}))],
        &[(
            "memory",
            [
                ("memory.limit_in_bytes", "536870912"),
                ("memory.max", "536870912"),
            ],
        )],
    );
}

#[must("memory.swap (int64, OPTIONAL) - sets limit of memory+Swap usage.")]
fn memory_swap(case: &mut Case) {
    if !case.view.is_unified()
        && fs::metadata("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").is_err()
    {
        skip("the kernel does not account swap");
    }
    files(
        case,
        &[("memory", json!({"limit": 104_857_600, "swap": 209_715_200}))],
        &[
            (
                "memory",
                [
                    ("memory.limit_in_bytes", "104857600"),
                    ("memory.max", "104857600"),
                ],
            ),
            (
                "memory",
                [
                    ("memory.memsw.limit_in_bytes", "209715200"),
                    ("memory.swap.max", "104857600"),
                ],
            ),
        ],
    );
}

/// The kernel holds the container to it.
#[must("memory.limit (int64, OPTIONAL) - sets limit of memory usage.")]
fn memory_is_enforced(case: &mut Case) {
    if case.view.is_unified() && !has_v2("memory") {
        skip("no memory controller in this view");
    }
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/resources/memory", json!({"limit": 16_777_216}));
    bundle
        .config
        .mount("/mnt", "tmpfs", "tmpfs", &["size=256m"]);
    bundle
        .config
        .shell("echo begun; dd if=/dev/zero of=/mnt/large bs=1M count=64 2>/dev/null; echo $?");
    // Either dd or the shell is killed for it.
    let finished = case.run(&bundle);
    let text = finished.stdout.strip_prefix("begun\n");
    assert!(
        text.is_some_and(|text| text != "0\n"),
        "{}",
        finished.describe()
    );
}

#[must(
    "memory.reservation - sets soft limit of memory usage; memory.swappiness - sets swappiness parameter of vmscan."
)]
fn memory_reservation_and_swappiness(case: &mut Case) {
    if case.view.is_unified() {
        files(
            case,
            &[("memory", json!({"reservation": 33_554_432}))],
            &[("memory", [("", ""), ("memory.low", "33554432")])],
        );
    } else {
        files(
            case,
            &[(
                "memory",
                json!({"reservation": 33_554_432, "swappiness": 30}),
            )],
            &[
                (
                    "memory",
                    [("memory.soft_limit_in_bytes", "33554432"), ("", "")],
                ),
                ("memory", [("memory.swappiness", "30"), ("", "")]),
            ],
        );
    }
}

/// On v2 by the quadratic formula, where 1024 is 100.
#[must(
    "cpu.shares (uint64, OPTIONAL) - specifies a relative share of CPU time available to the tasks in a cgroup."
)]
fn cpu_shares(case: &mut Case) {
    let weight = if case.is_corten() { "174" } else { "79" };
    files(
        case,
        &[("cpu", json!({"shares": 2048}))],
        &[("cpu", [("cpu.shares", "2048"), ("cpu.weight", weight)])],
    );
}

#[must(
    "cpu.quota - the total amount of time in microseconds for which all tasks in a cgroup can run during one period; cpu.period - the period of time."
)]
fn cpu_quota(case: &mut Case) {
    files(
        case,
        &[("cpu", json!({"quota": 50_000, "period": 200_000}))],
        &[
            (
                "cpu",
                [("cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 200000")],
            ),
            (
                "cpu",
                [("cpu.cfs_period_us", "200000"), ("cpu.max", "50000 200000")],
            ),
        ],
    );
}

#[must(
    "cpu.cpus - list of CPUs the container will run on; cpu.mems - list of memory nodes the container will run on."
)]
fn cpuset(case: &mut Case) {
    files(
        case,
        &[("cpu", json!({"cpus": "0", "mems": "0"}))],
        &[
            ("cpuset", [("cpuset.cpus", "0"), ("cpuset.cpus", "0")]),
            ("cpuset", [("cpuset.mems", "0"), ("cpuset.mems", "0")]),
        ],
    );
}

#[must("pids.limit (int64, OPTIONAL) - specifies the maximum number of tasks in the cgroup.")]
fn pids(case: &mut Case) {
    files(
        case,
        &[("pids", json!({"limit": 77}))],
        &[("pids", [("pids.max", "77"), ("pids.max", "77")])],
    );
}

#[convention("A `pids.limit` of -1 is no limit, and needs no controller.")]
fn pids_unlimited_never_fails(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/resources/pids", json!({"limit": -1}));
    case.facts(&bundle);
}

#[convention("Values that are the default or no limit need no controller.")]
fn default_values_never_fail(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/linux/resources/pids", json!({"limit": -1}));
    bundle
        .config
        .set("/linux/resources/cpu", json!({"shares": 1024, "quota": -1}));
    bundle
        .config
        .set("/linux/resources/memory", json!({"limit": -1, "swap": -1}));
    bundle.config.set("/linux/resources/blockIO", json!({}));
    case.facts(&bundle);
}

#[must(
    "blockIO.throttleReadBpsDevice, throttleWriteBpsDevice (array of objects, OPTIONAL) - specifies a list of devices with their bytes-per-second limits."
)]
fn block_io_bytes(case: &mut Case) {
    throttle(case, "throttleReadBpsDevice", "read_bps", "rbps");
    throttle(case, "throttleWriteBpsDevice", "write_bps", "wbps");
}

#[must(
    "blockIO.throttleReadIOPSDevice, throttleWriteIOPSDevice (array of objects, OPTIONAL) - specifies a list of devices with their operations-per-second limits."
)]
fn block_io_operations(case: &mut Case) {
    throttle(case, "throttleReadIOPSDevice", "read_iops", "riops");
    throttle(case, "throttleWriteIOPSDevice", "write_iops", "wiops");
}

/// One list, its file of v1 and its word in `io.max`.
#[track_caller]
fn throttle(case: &mut Case, list: &str, v1: &str, v2: &str) {
    let Some((major, minor)) = whole_disk() else {
        skip("no block device to limit");
    };
    let rate = json!([{"major": major, "minor": minor, "rate": 1_048_576}]);
    let v1 = (
        format!("blkio.throttle.{v1}_device"),
        format!("{major}:{minor} 1048576"),
    );
    let word = |name: &str| format!("{name}={}", if name == v2 { "1048576" } else { "max" });
    let all = ["rbps", "wbps", "riops", "wiops"].map(word).join(" ");
    let v2 = format!("{major}:{minor} {all}");
    let controller = if case.view.is_unified() {
        "io"
    } else {
        "blkio"
    };
    files(
        case,
        &[("blockIO", json!({list: rate}))],
        &[(
            controller,
            [(v1.0.as_str(), v1.1.as_str()), ("io.max", v2.as_str())],
        )],
    );
}

#[must(
    "cpu.burst (uint64, OPTIONAL) - sets the maximum amount of accumulated time in microseconds for which all tasks in a cgroup can run additionally for burst during one period."
)]
fn cpu_burst(case: &mut Case) {
    needs_a_newer_peer(case);
    files(
        case,
        &[(
            "cpu",
            json!({"quota": 50_000, "period": 100_000, "burst": 20_000}),
        )],
        &[(
            "cpu",
            [("cpu.cfs_burst_us", "20000"), ("cpu.max.burst", "20000")],
        )],
    );
}

#[must(
    "cpu.idle (int64, OPTIONAL) - cgroups are configured with minimum weight, 0: default behavior, 1: SCHED_IDLE."
)]
fn cpu_idle(case: &mut Case) {
    needs_a_newer_peer(case);
    files(
        case,
        &[("cpu", json!({"idle": 1}))],
        &[("cpu", [("cpu.idle", "1"), ("cpu.idle", "1")])],
    );
}

fn needs_a_newer_peer(case: &Case) {
    for peer in ["runc version 1.1", "crun version 1.8"] {
        if case.version().starts_with(peer) {
            skip("a property that came after this version");
        }
    }
}

/// On v1 only.
#[must("memory.kernelTCP (int64, OPTIONAL) - sets hard limit for kernel TCP buffer memory.")]
fn memory_of_tcp(case: &mut Case) {
    if case.view.is_unified() {
        skip("cgroup2 has no such limit");
    }
    files(
        case,
        &[("memory", json!({"kernelTCP": 33_554_432}))],
        &[(
            "memory",
            [("memory.kmem.tcp.limit_in_bytes", "33554432"), ("", "")],
        )],
    );
}

/// A new cgroup uses nothing.
#[must(
    "memory.checkBeforeUpdate (bool, OPTIONAL) - enables container memory usage check before setting a new limit."
)]
fn memory_is_checked(case: &mut Case) {
    files(
        case,
        &[(
            "memory",
            json!({"limit": 104_857_600, "checkBeforeUpdate": true}),
        )],
        &[(
            "memory",
            [
                ("memory.limit_in_bytes", "104857600"),
                ("memory.max", "104857600"),
            ],
        )],
    );
}

/// In every cgroup, whatever controllers there are.
#[must("unified: Configuration unknown to the runtime MUST still be written to the relevant file.")]
fn unified_without_a_controller(case: &mut Case) {
    if !case.view.is_unified() {
        skip("needs cgroup2 alone");
    }
    let mut bundle = case.bundle();
    let all = json!({"cgroup.max.depth": "7", "cgroup.max.descendants": "9"});
    bundle.config.set("/linux/resources/unified", all);
    let id = case.create(&bundle);
    let directory = directory(case.token(), "unified").expect("the container's cgroup");
    for (file, value) in [("cgroup.max.depth", "7"), ("cgroup.max.descendants", "9")] {
        assert_eq!(
            fs::read_to_string(directory.join(file)).unwrap().trim(),
            value
        );
    }
    case.destroy(&id);
}

fn whole_disk() -> Option<(u32, u32)> {
    let entry = fs::read_dir("/sys/block").ok()?.flatten().find(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        ["vd", "sd", "nvme"]
            .iter()
            .any(|start| name.starts_with(start))
    })?;
    let text = fs::read_to_string(entry.path().join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[must(
    "hugepageLimits (array of objects, OPTIONAL) represents the hugetlb controller which allows limiting the HugeTLB reservations."
)]
fn hugetlb(case: &mut Case) {
    files(
        case,
        &[(
            "hugepageLimits",
            json!([{"pageSize": "2MB", "limit": 4_194_304}]),
        )],
        &[(
            "hugetlb",
            [
                ("hugetlb.2MB.limit_in_bytes", "4194304"),
                ("hugetlb.2MB.max", "4194304"),
            ],
        )],
    );
}

#[must(
    "unified (object, OPTIONAL) allows cgroup v2 parameters to be set and modified for the container."
)]
fn unified(case: &mut Case) {
    if !case.view.is_unified() || !has_v2("hugetlb") {
        skip("needs cgroup2 with the hugetlb controller");
    }
    files(
        case,
        &[(
            "unified",
            json!({"hugetlb.2MB.max": "2097152", "cgroup.max.depth": "7"}),
        )],
        &[
            ("hugetlb", [("", ""), ("hugetlb.2MB.max", "2097152")]),
            ("hugetlb", [("", ""), ("cgroup.max.depth", "7")]),
        ],
    );
}

/// A later rule wins.
#[must("The runtime MUST apply entries (of resources.devices) in the listed order.")]
fn device_rules_in_order(case: &mut Case) {
    let mut bundle = case.bundle();
    for set in ["bounding", "effective", "permitted"] {
        for name in ["CAP_MKNOD", "CAP_SYSLOG"] {
            bundle
                .config
                .push(&format!("/process/capabilities/{set}"), json!(name));
        }
    }
    bundle.config.set(
        "/linux/resources/devices",
        json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "access": "rwm"},
            {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "w"}
        ]),
    );
    let line = "mknod /run/kmsg c 1 11; (: < /run/kmsg) && echo read; (: > /run/kmsg) 2>/dev/null || echo no write";
    bundle.config.shell(line);
    let finished = case.run(&bundle);
    // v1 has no order: it cannot take one device out of a rule for many, and a runtime that sees
    // this must say so.
    if case.view.is_unified() || finished.status.success() {
        assert_eq!(finished.ok().stdout, "read\nno write\n");
    } else {
        assert!(
            finished.stderr.contains("device"),
            "{}",
            finished.describe()
        );
    }
}

#[convention("Without `resources` nothing is limited.")]
fn resources_absent(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.remove("/linux", "resources");
    case.facts(&bundle);
}

#[convention("What the host reads as a limit, the container reads.")]
fn limits_are_inside_as_well(case: &mut Case) {
    let (file, wanted) = if case.view.is_unified() {
        ("/sys/fs/cgroup/hugetlb.2MB.max", "2097152")
    } else {
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912")
    };
    if case.view.is_unified() && !has_v2("hugetlb") {
        skip("no hugetlb controller in this view");
    }
    let mut bundle = case.bundle();
    if case.view.is_unified() {
        bundle.config.set(
            "/linux/resources/hugepageLimits",
            json!([{"pageSize": "2MB", "limit": 2_097_152}]),
        );
    } else {
        bundle
            .config
            .set("/linux/resources/memory", json!({"limit": 536_870_912}));
    }
    assert_eq!(case.shell(&mut bundle, &format!("cat {file}")), wanted);
}

/// On v1 only.
#[must("memory.disableOOMKiller (bool, OPTIONAL) - enables or disables the OOM killer.")]
fn oom_kill_disabled(case: &mut Case) {
    if case.view.is_unified() {
        skip("cgroup2 has no such switch");
    }
    let mut bundle = sleeper(case);
    bundle.config.set(
        "/linux/resources/memory",
        json!({"limit": 67_108_864, "disableOOMKiller": true}),
    );
    let id = case.create(&bundle);
    let path = directory(case.token(), "memory")
        .expect("a cgroup")
        .join("memory.oom_control");
    let text = fs::read_to_string(path).unwrap();
    case.destroy(&id);
    assert!(text.contains("oom_kill_disable 1"), "{text}");
}
