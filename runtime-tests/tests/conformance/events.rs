//! `events`: not in the spec; go-runc decodes it.

use std::collections::BTreeMap;
use std::fs;

use runtime_tests::{Bundle, Case, Running, convention, skip};
use serde_json::{Value, json};

use crate::cgroups::{directory, has_v1, has_v2};

const CHAPTER: &str = "events";

/// crun has no such command.
fn need_events(case: &Case) {
    if case.version().starts_with("crun") {
        skip("this runtime has no events");
    }
}

/// The stream of others is also one of `memory.events`, and is none without the file.
fn need_stream(case: &Case) {
    need_events(case);
    if !case.is_corten() && case.view.is_unified() && !has_v2("memory") {
        skip("no memory controller in this view, which this runtime needs");
    }
}

fn sleeper(case: &mut Case) -> Bundle {
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    bundle
}

#[track_caller]
fn stats(case: &Case, id: &str) -> Value {
    let finished = case.runtime().args(["events", "--stats", id]).run().ok();
    assert_eq!(
        finished.stdout.lines().count(),
        1,
        "{}",
        finished.describe()
    );
    let record: Value = serde_json::from_str(&finished.stdout).expect("a line of JSON");
    assert_eq!(record["type"], "stats");
    assert_eq!(record["id"], id);
    record["data"].clone()
}

fn watch(case: &Case, id: &str, interval: &str) -> Running {
    let interval = format!("--interval={interval}");
    case.runtime().args(["events", &interval, id]).spawn()
}

fn kinds(output: &str) -> Vec<String> {
    let record = |line: &str| serde_json::from_str::<Value>(line).expect("a line of JSON");
    let kind = |line| record(line)["type"].as_str().expect("a type").to_owned();
    output.lines().map(kind).collect()
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[convention("`--stats` is one record, in the form that go-runc decodes.")]
fn one_record(case: &mut Case) {
    need_events(case);
    let bundle = sleeper(case);
    let id = case.launch(&bundle);
    let data = stats(case, &id);
    let wanted = [
        "blkio",
        "cpu",
        "cpuset",
        "hugetlb",
        "intel_rdt",
        "memory",
        "network_interfaces",
        "pids",
    ];
    assert_eq!(keys(&data), wanted);
    assert_eq!(
        keys(&data["cpu"]),
        match data["cpu"]["psi"].is_null() {
            true => vec!["throttling", "usage"],
            false => vec!["psi", "throttling", "usage"],
        }
    );
    assert_eq!(data["network_interfaces"], Value::Null);
    assert_eq!(data["intel_rdt"], json!({}));
    for kind in ["usage", "swap", "kernel", "kernelTCP"] {
        let entry = &data["memory"][kind];
        assert!(
            entry["limit"].is_u64() && entry["failcnt"].is_u64(),
            "{kind}: {entry}"
        );
    }
    let total = data["cpu"]["usage"]["total"].as_u64().expect("nanoseconds");
    assert!((100_000..1_000_000_000_000).contains(&total), "{total}");
    case.destroy(&id);
}

/// Names in the record and in `cpu.stat`.
const THROTTLING: [(&str, &str); 3] = [
    ("periods", "nr_periods"),
    ("throttledPeriods", "nr_throttled"),
    ("throttledTime", "throttled_time"),
];

/// What the files of v1 say, by file or by key.
fn numbers(case: &Case) -> BTreeMap<String, u64> {
    let read = |controller: &str, name: &str| {
        let path = directory(case.token(), controller).expect("the container's cgroup");
        fs::read_to_string(path.join(name)).expect("a file")
    };
    let mut numbers = BTreeMap::new();
    for (controller, name) in [
        ("memory", "memory.usage_in_bytes"),
        ("memory", "memory.max_usage_in_bytes"),
        ("cpuacct", "cpuacct.usage"),
    ] {
        let number = read(controller, name).trim().parse().expect("a number");
        numbers.insert(name.to_owned(), number);
    }
    for line in read("cpu", "cpu.stat").lines() {
        let (key, number) = line.split_once(' ').expect("a key and a number");
        numbers.insert(key.to_owned(), number.parse().expect("a number"));
    }
    numbers
}

#[convention("The numbers are those of the control group, in bytes and nanoseconds.")]
fn numbers_of_v1(case: &mut Case) {
    need_events(case);
    for controller in ["memory", "pids", "cpuacct", "cpu", "cpuset"] {
        if !has_v1(controller) {
            skip(&format!("no v1 {controller} controller in this view"));
        }
    }
    let mut bundle = sleeper(case);
    bundle.config.set(
        "/linux/resources/memory",
        json!({"limit": 64 << 20, "swap": 128 << 20}),
    );
    bundle
        .config
        .set("/linux/resources/pids", json!({"limit": 50}));
    bundle.config.set(
        "/linux/resources/cpu",
        json!({"quota": 20_000, "period": 100_000}),
    );
    bundle
        .config
        .shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo >/done; exec sleep 1000");
    let id = case.launch(&bundle);
    case.until("it is done", || bundle.rootfs().join("done").exists());
    // The record and the files are read one after the other: only numbers that stand
    // still can be compared.
    let mut found = None;
    case.until("nothing changes any more", || {
        let (before, data, after) = (numbers(case), stats(case, &id), numbers(case));
        found = (before == after).then_some((data, after));
        found.is_some()
    });
    let (data, files) = found.expect("a record");
    assert_eq!(data["pids"], json!({"current": 1, "limit": 50}));
    let usage = &data["memory"]["usage"];
    assert_eq!(usage["limit"], 64 << 20);
    assert_eq!(usage["usage"], files["memory.usage_in_bytes"]);
    assert_eq!(usage["max"], files["memory.max_usage_in_bytes"]);
    assert_eq!(data["memory"]["swap"]["limit"], 128 << 20);
    assert_eq!(
        data["memory"]["kernelTCP"]["limit"],
        i64::MAX.unsigned_abs() / 4096 * 4096
    );
    let raw = &data["memory"]["raw"];
    assert_eq!(raw["hierarchical_memory_limit"], 64 << 20);
    let usage = &data["cpu"]["usage"];
    assert_eq!(usage["total"], files["cpuacct.usage"]);
    let sum = usage["user"].as_u64().unwrap() + usage["kernel"].as_u64().unwrap();
    let total = usage["total"].as_u64().unwrap();
    assert!(
        sum <= total + 20_000_000 && total <= sum + 20_000_000,
        "{usage}"
    );
    let each = usage["percpu"].as_array().expect("processors").iter();
    assert_eq!(each.map(|one| one.as_u64().unwrap()).sum::<u64>(), total);
    for (name, key) in THROTTLING {
        let told = &data["cpu"]["throttling"][name];
        assert_eq!(told.as_u64().unwrap_or_default(), files[key], "{name}");
    }
    assert!(data["cpuset"]["cpus"].is_array() && data["cpuset"]["mems"] == json!([0]));
    case.destroy(&id);
}

#[convention("On v2 pressure and processor time are there without a controller.")]
fn numbers_of_v2(case: &mut Case) {
    need_events(case);
    if !case.view.is_unified() {
        skip("not a unified view");
    }
    let mut bundle = sleeper(case);
    if case.is_corten() && has_v2("hugetlb") {
        let limits = json!([{"pageSize": "2MB", "limit": 4 << 20}]);
        bundle.config.set("/linux/resources/hugepageLimits", limits);
    }
    let id = case.launch(&bundle);
    let path = directory(case.token(), "").expect("the container's cgroup");
    // The program may just be starting, and uses more from moment to moment.
    let used = || -> u64 {
        let stat = fs::read_to_string(path.join("cpu.stat")).expect("cpu.stat");
        let line = stat
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec"));
        let microseconds: u64 = line.expect("a line").trim().parse().expect("a number");
        microseconds * 1000
    };
    let before = used();
    let data = stats(case, &id);
    let total = data["cpu"]["usage"]["total"].as_u64().expect("a number");
    assert!((before..=used()).contains(&total), "{before}: {total}");
    if case.is_corten() {
        // runc since 1.2
        let psi = &data["cpu"]["psi"];
        for line in ["some", "full"] {
            assert_eq!(keys(&psi[line]), ["avg10", "avg300", "avg60", "total"]);
        }
    }
    if has_v2("hugetlb") {
        assert_eq!(data["hugetlb"]["2MB"], json!({"failcnt": 0}));
    }
    case.destroy(&id);
}

#[convention("The stream has a record for every interval and ends with the container.")]
fn stream(case: &mut Case) {
    need_stream(case);
    let bundle = sleeper(case);
    let id = case.launch(&bundle);
    let watcher = watch(case, &id, "50ms");
    case.until("three records", || watcher.output().lines().count() >= 3);
    // For others the end is that of the control group.
    case.destroy(&id);
    let finished = watcher.finish().ok();
    assert!(kinds(&finished.stdout).iter().all(|kind| kind == "stats"));
}

#[convention(
    "Nothing is printed before the first interval is over, and the end does not wait for it."
)]
fn stream_that_ends_early(case: &mut Case) {
    // Others go on until the control group is deleted.
    case.only_corten();
    let bundle = sleeper(case);
    let id = case.launch(&bundle);
    let watcher = watch(case, &id, "1h");
    // It watches as soon as it sleeps in poll, which nobody can see from outside.
    std::thread::sleep(std::time::Duration::from_millis(300));
    case.kill(&id);
    let finished = watcher.finish().ok();
    assert_eq!(finished.stdout, "");
    case.delete(&id);
}

/// A container of 32 MiB that wants more as soon as there is a file `/go`; `after` is
/// what it does then. With nothing after it, what wants memory is init.
fn short_of_memory(case: &mut Case, after: &str) -> Bundle {
    if !has_v1("memory") && !has_v2("memory") {
        skip("no memory controller in this view");
    }
    let mut bundle = sleeper(case);
    bundle.config.set(
        "/linux/resources/memory",
        json!({"limit": 32 << 20, "swap": 32 << 20}),
    );
    let exec = if after.is_empty() { "exec " } else { "" };
    bundle.config.shell(&format!(
        "while [ ! -e /go ]; do sleep 0.05; done; \
         {exec}dd if=/dev/zero of=/dev/null bs=200M count=1{after}"
    ));
    bundle
}

#[convention("Every time that memory runs out is an event, while the container goes on.")]
fn out_of_memory(case: &mut Case) {
    need_events(case);
    let bundle = short_of_memory(case, "; sleep 1000");
    let id = case.launch(&bundle);
    let watcher = watch(case, &id, "100ms");
    case.until("it watches", || !watcher.output().is_empty());
    fs::write(bundle.rootfs().join("go"), "").expect("file");
    let oom = json!({"type": "oom", "id": id});
    let is_oom = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|v| v == oom);
    case.until("an event", || watcher.output().lines().any(is_oom));
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
    watcher.finish().ok();
}

#[convention("The event of an init that was killed for want of memory comes before the end.")]
fn out_of_memory_at_the_end(case: &mut Case) {
    need_events(case);
    // runc ends its stream and tells the event at the same time.
    case.only_corten();
    let bundle = short_of_memory(case, "");
    let id = case.launch(&bundle);
    let pid = case.pid(&id);
    let watcher = watch(case, &id, "100ms");
    case.until("it watches", || !watcher.output().is_empty());
    fs::write(bundle.rootfs().join("go"), "").expect("file");
    let finished = watcher.finish().ok();
    let kinds = kinds(&finished.stdout);
    assert!(kinds.iter().any(|kind| kind == "oom"), "{kinds:?}");
    case.wait(pid);
    case.delete(&id);
}

#[convention("Created and paused containers have numbers, too.")]
fn created_and_paused(case: &mut Case) {
    need_events(case);
    let bundle = sleeper(case);
    let id = case.create(&bundle);
    stats(case, &id);
    case.start(&id);
    case.runtime().args(["pause", &id]).run().ok();
    stats(case, &id);
    case.runtime().args(["resume", &id]).run().ok();
    case.destroy(&id);
}

#[convention("A stopped container is not running, and a missing one does not exist.")]
fn stopped_and_missing(case: &mut Case) {
    need_events(case);
    let bundle = sleeper(case);
    let id = case.launch(&bundle);
    case.kill(&id);
    for options in [&["--stats"][..], &[]] {
        let command = case.runtime().args(["events"]).args(options);
        let finished = command.args([id.as_str()]).run().exits(1);
        finished.says(&format!("container with id {id} is not running"));
    }
    case.delete(&id);
    let command = case.runtime().args(["events", "--stats", "no-such"]);
    command.run().exits(1).says("does not exist");
}

#[convention("A reader that has seen enough ends the stream.")]
fn reader_goes_away(case: &mut Case) {
    // Others learn of it only where the signal of the pipe is not blocked.
    case.only_corten();
    let bundle = sleeper(case);
    let id = case.launch(&bundle);
    let root = case.state_root();
    let line = format!(
        "{} --root {} events --interval 20ms {id} | head -n 1",
        case.runtime_path(),
        root.display()
    );
    let finished = case.program("sh").args(["-c", &line]).run().ok();
    assert_eq!(kinds(&finished.stdout), ["stats"]);
    case.destroy(&id);
}
