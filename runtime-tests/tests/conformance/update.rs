//! `update`: not in the spec, but every engine calls it.

use std::fs;

use runtime_tests::{Bundle, Case, Finished, convention, skip};
use serde_json::{Value, json};

use crate::cgroups::{directory, has_v1, has_v2};

const CHAPTER: &str = "update";

const MIB: u64 = 1 << 20;

/// Skips where a controller cannot be asked for.
fn need(case: &Case, controller: &str) {
    let there = match case.view.is_unified() {
        true => has_v2(controller),
        false => has_v1(controller),
    };
    if !there {
        skip(&format!("no {controller} controller in this view"));
    }
}

/// The text of a file of the container's cgroup: `controller.rest` of v1.
#[track_caller]
fn read(case: &Case, file: &str) -> String {
    let controller = match file.split('.').next().expect("a controller") {
        // Huge pages are in the v2 hierarchy of a hybrid host.
        "hugetlb" if !has_v1("hugetlb") && !case.view.is_unified() => "unified",
        controller => controller,
    };
    let path = directory(case.token(), controller).expect("the container's cgroup");
    if case.view.is_unified() && !path.join(file).exists() {
        skip("written for v1; `host::scopes` has the same for v2");
    }
    let text = fs::read_to_string(path.join(file));
    let text = text.unwrap_or_else(|error| panic!("{file} in {}: {error}", path.display()));
    text.trim().to_owned()
}

fn sleeper(case: &mut Case, resources: &[(&str, Value)]) -> Bundle {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    for (name, value) in resources {
        let pointer = format!("/linux/resources/{name}");
        bundle.config.set(&pointer, value.clone());
    }
    bundle
}

/// A running container with these resources.
fn launch(case: &mut Case, resources: &[(&str, Value)]) -> String {
    let bundle = sleeper(case, resources);
    case.launch(&bundle)
}

/// What callers of runc rely on; crun has semantics of its own.
fn as_runc_does(case: &Case) {
    if case.version().starts_with("crun") {
        skip("crun has semantics of its own here");
    }
}

fn update(case: &Case, id: &str, options: &[&str]) -> Finished {
    let command = case.runtime().args(["update"]);
    command.args(options).args([id]).run()
}

/// `--resources -`, as engines call it.
fn update_with(case: &Case, id: &str, resources: &Value) -> Finished {
    let command = case.runtime().args(["update", "--resources", "-", id]);
    command.input(&resources.to_string()).run()
}

#[convention("Options set limits; amounts of memory may have units.")]
fn options(case: &mut Case) {
    need(case, "memory");
    need(case, "cpu");
    need(case, "pids");
    let id = launch(case, &[]);
    let options = [
        "--memory",
        "200m",
        "--memory-reservation",
        "100m",
        "--cpu-share",
        "512",
        "--cpu-quota",
        "50000",
        "--cpu-period",
        "200000",
        "--pids-limit",
        "77",
    ];
    // crun 1.8 reads plain numbers only.
    let options = options.map(|word| match word {
        "200m" if case.version().starts_with("crun") => "209715200",
        "100m" if case.version().starts_with("crun") => "104857600",
        word => word,
    });
    update(case, &id, &options).ok();
    for (file, value) in [
        ("memory.limit_in_bytes", 200 * MIB),
        ("memory.soft_limit_in_bytes", 100 * MIB),
        ("cpu.shares", 512),
        ("cpu.cfs_quota_us", 50_000),
        ("cpu.cfs_period_us", 200_000),
        ("pids.max", 77),
    ] {
        assert_eq!(read(case, file), value.to_string(), "{file}");
    }
    case.destroy(&id);
}

#[convention("`--resources` takes linux.resources from a file or, as `-`, from standard input.")]
fn resources(case: &mut Case) {
    need(case, "pids");
    let id = launch(case, &[]);
    update_with(case, &id, &json!({"pids": {"limit": 21}})).ok();
    assert_eq!(read(case, "pids.max"), "21");
    let file = case.directory.join("resources.json");
    fs::write(&file, json!({"pids": {"limit": 22}}).to_string()).expect("file");
    update(case, &id, &["-r", &file.to_string_lossy()]).ok();
    assert_eq!(read(case, "pids.max"), "22");
    case.destroy(&id);
}

#[convention("Limits of huge pages are changed one by one.")]
fn huge_pages(case: &mut Case) {
    // runc 1.1 takes no hugepageLimits.
    case.only_corten();
    if !has_v2("hugetlb") && !has_v2_beside("hugetlb") {
        skip("no hugetlb controller in a v2 hierarchy of this view");
    }
    let limits = json!([{"pageSize": "2MB", "limit": 8 * MIB}]);
    let id = launch(case, &[("hugepageLimits", limits)]);
    let change = |limit: i64| json!({"hugepageLimits": [{"pageSize": "1GB", "limit": limit}]});
    update_with(case, &id, &change(1 << 30)).ok();
    assert_eq!(read(case, "hugetlb.2MB.max"), (8 * MIB).to_string());
    assert_eq!(read(case, "hugetlb.1GB.max"), (1_u64 << 30).to_string());
    assert_eq!(
        read(case, "hugetlb.1GB.rsvd.max"),
        (1_u64 << 30).to_string()
    );
    update_with(case, &id, &change(-1)).ok();
    assert_eq!(read(case, "hugetlb.1GB.max"), "max");
    case.destroy(&id);
}

fn has_v2_beside(controller: &str) -> bool {
    let file = "/sys/fs/cgroup/unified/cgroup.controllers";
    let list = fs::read_to_string(file).unwrap_or_default();
    list.split_whitespace().any(|one| one == controller)
}

#[convention("A controller that the container had no use for until now is enabled.")]
fn first_limit_of_a_controller(case: &mut Case) {
    // Others enable every controller when they make the cgroup.
    case.only_corten();
    if !has_v2("hugetlb") && !has_v2_beside("hugetlb") {
        skip("no hugetlb controller in a v2 hierarchy of this view");
    }
    let id = launch(case, &[]);
    let limits = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]});
    update_with(case, &id, &limits).ok();
    assert_eq!(read(case, "hugetlb.2MB.max"), "0");
    case.destroy(&id);
}

#[convention("What a request does not name, or names with 0, keeps its value.")]
fn what_is_not_named_is_kept(case: &mut Case) {
    as_runc_does(case);
    need(case, "memory");
    need(case, "cpu");
    need(case, "pids");
    let id = launch(
        case,
        &[
            (
                "memory",
                json!({"limit": 100 * MIB, "reservation": 50 * MIB}),
            ),
            (
                "cpu",
                json!({"shares": 512, "quota": 50_000, "period": 200_000}),
            ),
            ("pids", json!({"limit": 50})),
        ],
    );
    let zeros = json!({
        "memory": {"limit": 120 * MIB, "reservation": 0, "swap": 0},
        "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": ""},
        "blockIO": {"weight": 0},
    });
    update_with(case, &id, &zeros).ok();
    for (file, value) in [
        ("memory.limit_in_bytes", 120 * MIB),
        ("memory.soft_limit_in_bytes", 50 * MIB),
        ("cpu.shares", 512),
        ("cpu.cfs_quota_us", 50_000),
        ("cpu.cfs_period_us", 200_000),
        ("pids.max", 50),
    ] {
        assert_eq!(read(case, file), value.to_string(), "{file}");
    }
    case.destroy(&id);
}

#[convention("A later update keeps what an earlier one has set.")]
fn updates_add_up(case: &mut Case) {
    as_runc_does(case);
    need(case, "cpu");
    let id = launch(case, &[]);
    update(
        case,
        &id,
        &["--cpu-period", "50000", "--cpu-quota", "20000"],
    )
    .ok();
    update(case, &id, &["--cpu-share", "300"]).ok();
    update(case, &id, &["--cpu-quota", "30000"]).ok();
    assert_eq!(read(case, "cpu.cfs_period_us"), "50000");
    assert_eq!(read(case, "cpu.cfs_quota_us"), "30000");
    assert_eq!(read(case, "cpu.shares"), "300");
    update(case, &id, &["--cpu-quota", "-1"]).ok();
    assert_eq!(read(case, "cpu.cfs_quota_us"), "-1");
    case.destroy(&id);
}

#[convention("Memory and its sum with swap can both become more, less and boundless.")]
fn memory_and_swap(case: &mut Case) {
    as_runc_does(case);
    need(case, "memory");
    let limits = json!({"limit": 100 * MIB, "swap": 200 * MIB});
    let id = launch(case, &[("memory", limits)]);
    for (memory, sum) in [(300, 400), (50, 60), (150, 150), (20, 500)] {
        let (memory, sum) = ((memory * MIB).to_string(), (sum * MIB).to_string());
        let options = ["--memory", &memory, "--memory-swap", &sum];
        update(case, &id, &options).ok();
        assert_eq!(read(case, "memory.limit_in_bytes"), memory);
        assert_eq!(read(case, "memory.memsw.limit_in_bytes"), sum);
    }
    update(case, &id, &["--memory", "-1"]).ok();
    let boundless = |file: &str| {
        let number: u64 = read(case, file).parse().expect("a number");
        assert!(number > 1 << 60, "{file} is {number}");
    };
    boundless("memory.limit_in_bytes");
    boundless("memory.memsw.limit_in_bytes");
    case.destroy(&id);
}

#[convention("Sets, throttles, burst and idle are changed, too.")]
fn other_limits(case: &mut Case) {
    // `burst` and `idle` are newer than runc 1.1 and crun 1.8.
    case.only_corten();
    need(case, "cpuset");
    need(case, "blkio");
    let id = launch(case, &[("cpu", json!({"shares": 512, "quota": 50_000}))]);
    let cpus = [
        "--cpuset-cpus",
        "0",
        "--cpuset-mems",
        "0",
        "--cpu-burst",
        "1000",
    ];
    update(case, &id, &cpus).ok();
    assert_eq!(read(case, "cpuset.cpus"), "0");
    assert_eq!(read(case, "cpu.cfs_burst_us"), "1000");
    update(case, &id, &["--cpu-quota", "2000", "--cpu-burst", "500"]).ok();
    assert_eq!(read(case, "cpu.cfs_quota_us"), "2000");
    update(case, &id, &["--cpu-idle", "1"]).ok();
    assert_eq!(read(case, "cpu.idle"), "1");
    update(case, &id, &["--cpu-idle", "0"]).ok();
    assert_eq!(read(case, "cpu.shares"), "512");
    if let Some(device) = block_device() {
        let (major, minor) = device;
        let rate = json!([{"major": major, "minor": minor, "rate": 4096}]);
        update_with(
            case,
            &id,
            &json!({"blockIO": {"throttleReadBpsDevice": rate}}),
        )
        .ok();
        let wanted = format!("{major}:{minor} 4096");
        assert_eq!(read(case, "blkio.throttle.read_bps_device"), wanted);
    }
    case.destroy(&id);
}

fn block_device() -> Option<(u64, u64)> {
    let devices = fs::read_dir("/sys/block").ok()?.flatten();
    let mut numbers = devices.filter_map(|device| {
        let text = fs::read_to_string(device.path().join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    numbers.next()
}

#[convention("When one value cannot be written, the others are as before.")]
fn all_or_nothing(case: &mut Case) {
    as_runc_does(case);
    need(case, "memory");
    need(case, "cpuset");
    need(case, "pids");
    let resources = [
        ("memory", json!({"limit": 100 * MIB, "swap": 200 * MIB})),
        ("pids", json!({"limit": 50})),
    ];
    let id = launch(case, &resources);
    let cpus = read(case, "cpuset.cpus");
    let request = json!({
        "memory": {"limit": 300 * MIB, "swap": 400 * MIB},
        "cpu": {"cpus": "4000"},
        "pids": {"limit": 60},
    });
    let finished = update_with(case, &id, &request).fails();
    if case.is_corten() {
        let finished = finished.exits(1).says("linux.resources.cpu.cpus");
        finished.says("all limits are as before");
    }
    assert_eq!(read(case, "memory.limit_in_bytes"), (100 * MIB).to_string());
    assert_eq!(
        read(case, "memory.memsw.limit_in_bytes"),
        (200 * MIB).to_string()
    );
    assert_eq!(read(case, "pids.max"), "50");
    assert_eq!(read(case, "cpuset.cpus"), cpus);
    // Nothing of it is remembered either.
    update(case, &id, &["--pids-limit", "51"]).ok();
    assert_eq!(read(case, "memory.limit_in_bytes"), (100 * MIB).to_string());
    case.destroy(&id);
}

#[convention(
    "A memory limit below what is in use is refused, and the error tells how much that is."
)]
fn memory_below_usage(case: &mut Case) {
    need(case, "memory");
    let mut bundle = sleeper(case, &[("memory", json!({"limit": 200 * MIB}))]);
    let fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=50 && echo >/full && exec sleep 1000";
    bundle.config.shell(fill);
    let id = case.launch(&bundle);
    case.until("it is full", || bundle.rootfs().join("full").exists());
    let swap = fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swap.lines().count() > 1 {
        skip("this machine has swap, where the memory would go");
    }
    if case.view.is_unified() {
        skip("cgroup v2 makes room by killing, and refuses nothing");
    }
    let finished = update(case, &id, &["--memory", "10485760"]).fails();
    if case.is_corten() {
        finished
            .exits(1)
            .says("--memory: ")
            .says("bytes are in use");
    }
    assert_eq!(read(case, "memory.limit_in_bytes"), (200 * MIB).to_string());
    case.destroy(&id);
}

#[convention("Device rules are not touched.")]
fn device_rules_stay(case: &mut Case) {
    as_runc_does(case);
    need(case, "devices");
    need(case, "pids");
    let id = launch(case, &[]);
    let before = read(case, "devices.list");
    let rules = json!([{"allow": true, "access": "rwm"}]);
    update_with(case, &id, &json!({"devices": rules, "pids": {"limit": 33}})).ok();
    assert_eq!(read(case, "devices.list"), before);
    assert_eq!(read(case, "pids.max"), "33");
    case.destroy(&id);
}

#[convention("Created and paused containers are updated like running ones.")]
fn created_and_paused(case: &mut Case) {
    need(case, "pids");
    let bundle = sleeper(case, &[]);
    let id = case.create(&bundle);
    update(case, &id, &["--pids-limit", "41"]).ok();
    assert_eq!(read(case, "pids.max"), "41");
    case.start(&id);
    case.runtime().args(["pause", &id]).run().ok();
    update(case, &id, &["--pids-limit", "42"]).ok();
    assert_eq!(read(case, "pids.max"), "42");
    assert_eq!(case.status(&id), "paused");
    case.runtime().args(["resume", &id]).run().ok();
    case.destroy(&id);
}

#[convention("A stopped container is not running, and a missing one does not exist.")]
fn stopped_and_missing(case: &mut Case) {
    as_runc_does(case);
    let id = launch(case, &[]);
    case.kill(&id);
    let finished = update(case, &id, &["--pids-limit", "5"]).exits(1);
    finished.says("container not running");
    case.delete(&id);
    update(case, "no-such", &["--pids-limit", "5"])
        .exits(1)
        .says("does not exist");
}

#[convention("A container without a control group of its own has no limits to change.")]
fn without_a_control_group(case: &mut Case) {
    case.only_corten();
    let mut bundle = sleeper(case, &[]);
    bundle.config.remove("/linux", "resources");
    bundle.config.remove("/linux", "cgroupsPath");
    bundle.write();
    let id = case.id();
    let path = bundle.path.to_string_lossy().into_owned();
    let command = case.runtime().args(["--cgroup-manager", "disabled"]);
    command.args(["create", "--bundle", &path, &id]).run().ok();
    let finished = update(case, &id, &["--cpuset-cpus", "0"]).exits(1);
    finished.says("no control group of its own");
    case.destroy(&id);
}

#[convention("A request that asks for nothing changes nothing.")]
fn nothing_asked_for(case: &mut Case) {
    let id = launch(case, &[]);
    update_with(case, &id, &json!({})).ok();
    update(case, &id, &[]).ok();
    case.destroy(&id);
}

#[convention("`--resources -` waits for whoever writes it.")]
fn resources_of_a_slow_writer(case: &mut Case) {
    need(case, "pids");
    let id = launch(case, &[("pids", json!({"limit": 100}))]);
    let line = format!(
        "{{ sleep 0.3; echo '{{\"pids\": {{\"limit\": 77}}}}'; }} | {} --root {} update --resources - {id}",
        case.runtime_path(),
        case.state_root().display(),
    );
    case.program("sh").args(["-c", &line]).run().ok();
    assert_eq!(read(case, "pids.max"), "77");
    case.destroy(&id);
}
