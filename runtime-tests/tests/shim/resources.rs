//! `Update`, `Stats`, and a container that is out of memory.

use std::fs;
use std::path::Path;

use containerd_shim_protos::cgroups::metrics::Metrics as MetricsV1;
use containerd_shim_protos::cgroups_v2::metrics::Metrics as MetricsV2;
use containerd_shim_protos::protobuf::Message;
use runtime_tests::{Bundle, Case, cgroup_directories, convention, skip};
use serde_json::json;

use crate::driver::{Stdio3, Task};
use crate::telling::{Telling, compare};

const CHAPTER: &str = "The shim: resources";

/// v1 always has the controllers here; a machine with systemd has them in v2.
pub fn needs_controllers(case: &Case) {
    let unified = Path::new("/sys/fs/cgroup/cgroup.controllers");
    let names = fs::read_to_string(unified).unwrap_or_default();
    if case.view.is_unified() && !names.split_whitespace().any(|name| name == "memory") {
        skip("the unified hierarchy of this machine has no memory controller");
    }
}

pub fn file(id: &str, name: &str) -> String {
    let found = cgroup_directories(id)
        .iter()
        .find_map(|directory| fs::read_to_string(directory.join(name)).ok());
    found.unwrap_or_default().trim().to_owned()
}

pub fn tell_stats(telling: &mut Telling, task: &Task) {
    let stats = telling
        .must("stats", task.stats())
        .stats
        .unwrap_or_default();
    telling.note("type", &stats.type_url);
    match telling.case.view.is_unified() {
        true => tell_stats_v2(telling, &stats.value),
        false => tell_stats_v1(telling, &stats.value),
    }
}

fn tell_stats_v2(telling: &mut Telling, value: &[u8]) {
    let metrics = MetricsV2::parse_from_bytes(value).expect("metrics");
    telling.note("pids", (metrics.pids.current, metrics.pids.limit));
    let memory = &metrics.memory;
    telling.note("memory limit", memory.usage_limit);
    telling.note("swap limit", memory.swap_limit);
    telling.note("memory is used", memory.usage > 0);
    telling.note(
        "of it anonymous",
        memory.anon > 0 && memory.anon <= memory.usage,
    );
    telling.note("faults", memory.pgfault > 0);
    telling.note("processor time is counted", metrics.cpu.usage_usec > 0);
    telling.note("block devices", metrics.io.is_some());
    telling.note(
        "events",
        metrics.memory_events.as_ref().map(|events| events.oom_kill),
    );
}

fn tell_stats_v1(telling: &mut Telling, value: &[u8]) {
    let metrics = MetricsV1::parse_from_bytes(value).expect("metrics");
    telling.note("pids", (metrics.pids.current, metrics.pids.limit));
    telling.note("memory limit", metrics.memory.usage.limit);
    telling.note("swap limit", metrics.memory.swap.limit);
    telling.note("memory is used", metrics.memory.usage.usage > 0);
    telling.note(
        "most memory",
        metrics.memory.usage.max >= metrics.memory.usage.usage,
    );
    telling.note("processor time is counted", metrics.cpu.usage.total > 0);
    let processors = metrics.cpu.usage.per_cpu.len();
    telling.note("processors", processors);
    telling.note("throttling", metrics.cpu.throttling.is_some());
    let page_sizes: Vec<&str> = metrics
        .hugetlb
        .iter()
        .map(|one| one.pagesize.as_str())
        .collect();
    telling.note("huge pages", page_sizes);
    telling.note("block devices", metrics.blkio.is_some());
    telling.note("failures", metrics.memory.usage.failcnt);
}

/// A container that sleeps, with limits of three controllers.
fn limited(telling: &mut Telling) -> Bundle {
    let mut bundle = telling.bundle("exec sleep 1000");
    bundle.config.set(
        "/linux/resources",
        json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "cpu": {"shares": 512}}),
    );
    bundle
}

#[convention("Stats: limits and counters of every controller.")]
fn stats(case: &mut Case) {
    needs_controllers(case);
    compare(case, |telling| {
        let bundle = limited(telling);
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        tell_stats(telling, &task);
        telling.finish(&task);
    });
}

#[convention("Update: what is named is set, and nothing else; Stats shows it.")]
fn update(case: &mut Case) {
    needs_controllers(case);
    compare(case, |telling| {
        let bundle = limited(telling);
        let cgroup = bundle.config.0["linux"]["cgroupsPath"]
            .as_str()
            .expect("a path");
        let cgroup = cgroup.trim_start_matches('/').to_owned();
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        let resources = json!({
            "memory": {"limit": 128 << 20},
            "cpu": {"shares": 256, "quota": 30_000, "period": 90_000, "cpus": "0"},
            "pids": {"limit": 30},
        });
        telling.must("update", task.update(resources.to_string().as_bytes()));
        // Not the weight of v2: there are two formulas.
        for name in [
            "memory.limit_in_bytes",
            "cpu.shares",
            "cpu.cfs_quota_us",
            "cpu.cfs_period_us",
            "cpuset.cpus",
            "pids.max",
            "memory.max",
            "cpu.max",
        ] {
            telling.note(name, file(&cgroup, name));
        }
        tell_stats(telling, &task);
        let only = json!({"pids": {"limit": 40}});
        telling.must("update of one", task.update(only.to_string().as_bytes()));
        telling.note("pids.max", file(&cgroup, "pids.max"));
        for name in ["memory.limit_in_bytes", "memory.max"] {
            telling.note(name, file(&cgroup, name));
        }
        let refused = json!({"cpu": {"cpus": "900"}});
        telling.tell(
            "of a processor that is missing",
            task.update(refused.to_string().as_bytes()),
        );
        telling.note("processors", file(&cgroup, "cpuset.cpus"));
        telling.finish(&task);
    });
}

#[convention("Out of memory: an event that comes before the end of the container is told.")]
fn out_of_memory(case: &mut Case) {
    needs_controllers(case);
    compare(case, |telling| {
        // A shell that grows; the kernel kills it, and it is init.
        let mut bundle = telling.bundle("a=x; while :; do a=$a$a$a$a; done");
        bundle.config.set(
            "/linux/resources/memory",
            json!({"limit": 16 << 20, "swap": 16 << 20}),
        );
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        let ended = telling.must("wait", task.wait(""));
        telling.note("exit status", ended.exit_status);
        telling.until("/tasks/oom", "c", "");
        telling.until("/tasks/exit", "c", "");
        telling.remove(&task);
        let order: Vec<String> = telling
            .listener
            .heard()
            .into_iter()
            .map(|event| event.topic)
            .collect();
        if telling.is_tested {
            let place = |topic: &str| order.iter().position(|one| one == topic);
            assert!(place("/tasks/oom") < place("/tasks/exit"), "{order:?}");
        }
        let times = order.iter().filter(|topic| *topic == "/tasks/oom").count();
        telling.note("events", times);
    });
}

#[convention("Out of memory in a process that is not init: an event, and the container lives.")]
fn a_process_out_of_memory(case: &mut Case) {
    needs_controllers(case);
    compare(case, |telling| {
        let mut bundle =
            telling.bundle("sh -c 'a=x; while :; do a=$a$a$a$a; done'; exec sleep 1000");
        bundle.config.set(
            "/linux/resources/memory",
            json!({"limit": 16 << 20, "swap": 16 << 20}),
        );
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        telling.until("/tasks/oom", "c", "");
        telling.tell_state(&task, "");
        telling.finish(&task);
    });
}
