//! config.md, "Linux Process": `scheduler`, `ioPriority`; config-linux.md, "Memory policy".

use runtime_tests::{Case, must, skip};
use serde_json::{Value, json};

const CHAPTER: &str = "config.md: Scheduler, I/O priority, memory policy";

/// Policy, priority and nice value of the program.
fn scheduled(case: &mut Case, scheduler: Value) -> [i64; 3] {
    needs_a_newer_peer(case);
    let mut bundle = case.bundle();
    if !case.view.is_unified() {
        // On cgroup v1 a group has no time of real time unless it is given some.
        bundle.config.set(
            "/linux/resources/cpu",
            json!({"realtimePeriod": 1_000_000, "realtimeRuntime": 1000}),
        );
    }
    bundle.config.set("/process/scheduler", scheduler);
    let facts = case.facts(&bundle);
    ["policy", "rt_priority", "nice"].map(|name| facts.number(&format!("/scheduling/{name}")))
}

/// Debian's peers read none of these properties: silence where the spec wants an error.
fn needs_a_newer_peer(case: &Case) {
    if case.version().starts_with("runc version 1.1.")
        || case.version().starts_with("crun version 1.8")
    {
        skip("a property that came after this version, which ignores it");
    }
}

fn is(found: [i64; 3], policy: i64, priority: i64, nice: i64) {
    assert_eq!(found, [policy, priority, nice], "policy, priority, nice");
}

#[must("policy (string, REQUIRED) represents the scheduling policy: SCHED_BATCH.")]
fn scheduler_batch(case: &mut Case) {
    let found = scheduled(case, json!({"policy": "SCHED_BATCH", "nice": 7}));
    is(found, 3, 0, 7);
}

#[must("policy (string, REQUIRED) represents the scheduling policy: SCHED_IDLE.")]
fn scheduler_idle(case: &mut Case) {
    is(scheduled(case, json!({"policy": "SCHED_IDLE"})), 5, 0, 0);
}

#[must("nice (int32, OPTIONAL) is the nice value for the process, affecting its priority.")]
fn scheduler_other_nice(case: &mut Case) {
    let found = scheduled(case, json!({"policy": "SCHED_OTHER", "nice": -5}));
    is(found, 0, 0, -5);
}

#[must(
    "priority (int32, OPTIONAL) represents the static priority of the process, used by real-time policies like SCHED_FIFO and SCHED_RR."
)]
fn scheduler_fifo(case: &mut Case) {
    needs_real_time(case);
    let found = scheduled(case, json!({"policy": "SCHED_FIFO", "priority": 3}));
    is(found, 1, 3, 0);
}

#[must("policy (string, REQUIRED) represents the scheduling policy: SCHED_RR.")]
fn scheduler_round_robin(case: &mut Case) {
    needs_real_time(case);
    let found = scheduled(case, json!({"policy": "SCHED_RR", "priority": 99}));
    is(found, 2, 99, 0);
}

#[must(
    "runtime (uint64, OPTIONAL) represents the amount of time in nanoseconds during which the process is allowed to run in a given period, used by the deadline scheduler."
)]
fn scheduler_deadline(case: &mut Case) {
    let deadline = json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 50_000_000, "period": 50_000_000});
    is(scheduled(case, deadline), 6, 0, 0);
}

/// Children of a process with this one are ordinary again.
#[must(
    "flags (array of strings, OPTIONAL) is an array of strings representing scheduling flags: SCHED_FLAG_RESET_ON_FORK."
)]
fn scheduler_reset_on_fork(case: &mut Case) {
    needs_a_newer_peer(case);
    let mut bundle = case.bundle();
    let batch = json!({"policy": "SCHED_BATCH", "nice": -3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    bundle.config.set("/process/scheduler", batch);
    // The policy of a child of the shell, behind 40 blanks.
    let line = "cat /proc/self/stat | { read -r line; set -- $line; shift 18; echo $1; }; true";
    assert_eq!(case.shell(&mut bundle, line), "0");
}

/// On v2 a kernel with RT groups gives groups no real time at all.
fn needs_real_time(case: &Case) {
    if !case.is_corten() {
        needs_a_newer_peer(case);
    }
    let all = std::path::Path::new("/sys/fs/cgroup/cpu/cpu.rt_runtime_us");
    if !case.view.is_unified() && !all.exists() {
        skip("the cpu controller of this view has no real time");
    }
}

fn io_priority(case: &mut Case, class: &str, level: u32) -> String {
    needs_a_newer_peer(case);
    let mut bundle = case.bundle();
    bundle.config.set(
        "/process/ioPriority",
        json!({"class": class, "priority": level}),
    );
    bundle.config.args(&["/bin/ionice"]);
    case.run(&bundle).ok().stdout.trim_end().to_owned()
}

#[must(
    "ioPriority (object, OPTIONAL) configures the I/O priority settings for the container's processes within the process group."
)]
fn io_priority_best_effort(case: &mut Case) {
    assert_eq!(
        io_priority(case, "IOPRIO_CLASS_BE", 6),
        "best-effort: prio 6"
    );
}

/// The idle class has no levels.
#[must("class (string, REQUIRED) specifies the I/O scheduling class: IOPRIO_CLASS_IDLE.")]
fn io_priority_idle(case: &mut Case) {
    assert_eq!(io_priority(case, "IOPRIO_CLASS_IDLE", 0), "idle");
}

/// Needs the host's privilege, which a runtime of root has.
#[must("class (string, REQUIRED) specifies the I/O scheduling class: IOPRIO_CLASS_RT.")]
fn io_priority_of_real_time(case: &mut Case) {
    assert_eq!(io_priority(case, "IOPRIO_CLASS_RT", 1), "realtime: prio 1");
}

/// Nobody inside has the privilege; a runtime of root has it.
#[must(
    "scheduler (object, OPTIONAL) is an object describing the scheduler properties for the process."
)]
fn real_time_in_a_user_namespace(case: &mut Case) {
    needs_real_time(case);
    needs_a_newer_peer(case);
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    if !case.view.is_unified() {
        bundle.config.set(
            "/linux/resources/cpu",
            json!({"realtimePeriod": 1_000_000, "realtimeRuntime": 1000}),
        );
    }
    let fifo = json!({"policy": "SCHED_FIFO", "priority": 4});
    bundle.config.set("/process/scheduler", fifo);
    let io = json!({"class": "IOPRIO_CLASS_RT", "priority": 2});
    bundle.config.set("/process/ioPriority", io);
    let line =
        "cat /proc/self/stat | { read -r line; set -- $line; shift 39; echo $1 $2; }; ionice";
    assert_eq!(case.shell(&mut bundle, line), "4 1\nrealtime: prio 2");
}

/// The policy in the first line of /proc/self/numa_maps.
fn memory_policy(case: &mut Case, policy: Value) -> String {
    needs_a_newer_peer(case);
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        skip("the kernel knows no NUMA nodes");
    }
    let mut bundle = case.bundle();
    bundle.config.set("/linux/memoryPolicy", policy);
    let line = "while read -r _ policy _; do echo $policy; break; done < /proc/self/numa_maps";
    case.shell(&mut bundle, line)
}

/// MPOL_INTERLEAVE.
#[must("memoryPolicy (object, OPTIONAL) sets the NUMA memory policy for the container.")]
fn memory_policy_interleave(case: &mut Case) {
    let policy = json!({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]});
    assert_eq!(memory_policy(case, policy), "interleave=static:0");
}

/// MPOL_BIND.
#[must("memoryPolicy (object, OPTIONAL) sets the NUMA memory policy for the container.")]
fn memory_policy_bind(case: &mut Case) {
    let policy = json!({"mode": "MPOL_BIND", "nodes": "0"});
    assert_eq!(memory_policy(case, policy), "bind:0");
}

/// MPOL_LOCAL, which has no nodes.
#[must("memoryPolicy (object, OPTIONAL) sets the NUMA memory policy for the container.")]
fn memory_policy_local(case: &mut Case) {
    assert_eq!(memory_policy(case, json!({"mode": "MPOL_LOCAL"})), "local");
}

/// MPOL_PREFERRED.
#[must("memoryPolicy (object, OPTIONAL) sets the NUMA memory policy for the container.")]
fn memory_policy_preferred(case: &mut Case) {
    let policy = json!({"mode": "MPOL_PREFERRED", "nodes": "0"});
    assert_eq!(memory_policy(case, policy), "prefer:0");
}
