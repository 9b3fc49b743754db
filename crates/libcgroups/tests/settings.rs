//! What a configuration asks for, planned and then read back from real cgroups.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod support;

use std::fs;

use libcgroups::stats::{self, Limit};
use plan::cgroup::{CgroupPlan, DeviceProgram};
use plan::{CgroupFacts, ConfigPath, HostFacts, Request};
use serde_json::{Value, json};
use support::{Gated, Test, TestCgroup, setting, unique_path};

const TESTS: &[Test] = &[
    ("limits_arrive", limits_arrive),
    ("huge_pages_arrive_in_v2", huge_pages_arrive_in_v2),
    ("defaults_need_no_controller", defaults_need_no_controller),
    ("refusals_say_why", refusals_say_why),
    ("names_lead_nowhere_else", names_lead_nowhere_else),
    (
        "a_limit_below_usage_is_not_tried",
        a_limit_below_usage_is_not_tried,
    ),
    ("an_oom_kill_is_counted", an_oom_kill_is_counted),
    (
        "an_update_may_need_another_order",
        an_update_may_need_another_order,
    ),
    (
        "an_update_that_fails_changes_nothing",
        an_update_that_fails_changes_nothing,
    ),
    ("what_nobody_counts_is_none", what_nobody_counts_is_none),
    (
        "usual_devices_work_and_others_do_not",
        usual_devices_work_and_others_do_not,
    ),
    (
        "the_list_decides_about_devices",
        the_list_decides_about_devices,
    ),
    (
        "a_program_can_deny_everything",
        a_program_can_deny_everything,
    ),
];

fn main() -> std::process::ExitCode {
    support::run_in_every_view(TESTS)
}

/// The cgroup part of the plan for these resources.
fn planned(resources: &Value, facts: &CgroupFacts) -> Result<CgroupPlan, plan::Errors> {
    let config = json!({
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["true"], "cwd": "/"},
        "linux": {
            "namespaces": [{"type": "mount"}],
            "cgroupsPath": unique_path(),
            "resources": resources,
        },
    });
    let spec = plan::spec::load(config.to_string().as_bytes())?;
    let host = HostFacts {
        cgroup: facts.clone(),
        ..HostFacts::v2_root()
    };
    plan::build(&spec, &Request::create("c1", "/bundle"), &host).map(|plan| plan.cgroup)
}

/// A cgroup with these resources in force.
fn limited(resources: &Value, facts: &CgroupFacts) -> TestCgroup {
    let test = TestCgroup::of(planned(resources, facts).unwrap_or_else(|e| panic!("{e}")));
    test.cgroup
        .apply(&test.plan.settings)
        .unwrap_or_else(|e| panic!("{e}"));
    if let Some(program) = &test.plan.device_program {
        test.cgroup
            .attach_devices(program)
            .unwrap_or_else(|e| panic!("{e}"));
    }
    test
}

fn read(test: &TestCgroup, controller: &str, file: &str) -> String {
    let path = test.path_of(controller).unwrap().join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    text.trim().to_owned()
}

fn limits_arrive(facts: &CgroupFacts) {
    if !facts.v1_mounts.contains_key("memory") {
        return println!("SKIPPED limits_arrive: no memory controller in this view");
    }
    let resources = json!({
        "memory": {"limit": 536_870_912, "reservation": 1_048_576},
        "cpu": {"shares": 512, "quota": 100_000, "period": 100_000, "burst": 5000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 32},
    });
    let test = limited(&resources, facts);
    assert_eq!(read(&test, "memory", "memory.limit_in_bytes"), "536870912");
    assert_eq!(
        read(&test, "memory", "memory.soft_limit_in_bytes"),
        "1048576"
    );
    assert_eq!(read(&test, "cpu", "cpu.shares"), "512");
    assert_eq!(read(&test, "cpu", "cpu.cfs_quota_us"), "100000");
    assert_eq!(read(&test, "cpu", "cpu.cfs_burst_us"), "5000");
    assert_eq!(read(&test, "cpuset", "cpuset.cpus"), "0");
    assert_eq!(read(&test, "pids", "pids.max"), "32");
}

fn huge_pages_arrive_in_v2(facts: &CgroupFacts) {
    if !facts.v2_controllers.iter().any(|c| c == "hugetlb") {
        return println!("SKIPPED huge_pages_arrive_in_v2: no v2 hugetlb controller in this view");
    }
    let resources = json!({
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}],
        "unified": {"cgroup.max.depth": "3"},
    });
    let test = limited(&resources, facts);
    assert_eq!(read(&test, "", "hugetlb.2MB.max"), "4194304");
    assert_eq!(read(&test, "", "hugetlb.2MB.rsvd.max"), "4194304");
    assert_eq!(read(&test, "", "cgroup.max.depth"), "3");
}

fn defaults_need_no_controller(facts: &CgroupFacts) {
    limited(
        &json!({
            "memory": {"limit": -1, "swap": -1},
            "cpu": {"shares": 1024, "quota": -1},
            "pids": {"limit": -1},
            "blockIO": {"weight": 0},
            "hugepageLimits": [{"pageSize": "64KB", "limit": -1}],
        }),
        facts,
    );
    if facts.v1_mounts.is_empty() {
        let errors = planned(&json!({"memory": {"limit": 4096}}), facts).unwrap_err();
        let text = errors.to_string();
        let wanted = "linux.resources.memory.limit: no cgroup controller \"memory\" under /sys/fs/cgroup (have: ";
        assert!(text.starts_with(wanted), "{text}");
    }
}

fn refusals_say_why(facts: &CgroupFacts) {
    let mut seen = 0;
    let mut refused = |resources: Value, begins: &str, ends: &str| {
        let test = TestCgroup::of(planned(&resources, facts).unwrap_or_else(|e| panic!("{e}")));
        let error = test
            .cgroup
            .apply(&test.plan.settings)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(begins) && error.ends_with(ends),
            "{error}"
        );
        seen += 1;
    };
    if facts.v1_mounts.contains_key("cpuset") {
        let have = fs::read_to_string("/sys/fs/cgroup/cpuset/cpuset.cpus").unwrap();
        refused(
            json!({"cpu": {"cpus": "4000"}}),
            "linux.resources.cpu.cpus: write(\"cpuset.cpus\", \"4000\") in /sys/fs/cgroup/cpuset/",
            &format!("(the cgroup above has {})", have.trim()),
        );
    }
    if facts.v1_mounts.contains_key("blkio") {
        refused(
            json!({"blockIO": {"throttleReadBpsDevice": [{"major": 4000, "minor": 9, "rate": 1}]}}),
            "linux.resources.blockIO.throttleReadBpsDevice[0]: write(",
            "no such device (no such block device, or a partition of one)",
        );
    }
    if facts.v2_controllers.iter().any(|c| c == "hugetlb") {
        refused(
            json!({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}),
            "linux.resources.hugepageLimits[0]: ",
            "(this kernel has huge pages of 1GB, 2MB)",
        );
        refused(
            json!({"unified": {"hugetlb.2MB.max": "many"}}),
            "linux.resources.unified[\"hugetlb.2MB.max\"]: write(",
            "invalid argument",
        );
    }
    println!("{seen} refusals in this view");
}

fn names_lead_nowhere_else(facts: &CgroupFacts) {
    let test = TestCgroup::new(facts);
    for name in ["../cgroup.procs", "a/b", "..", ".", "", "x\0"] {
        let error = test.cgroup.apply(&[setting(0, name, "1")]).unwrap_err();
        assert!(
            error.to_string().contains("not the name of a file"),
            "{error}"
        );
    }
    let outside = libcgroups::Cgroup::open(&test.plan.directories, "/../..");
    assert!(outside.pids().is_err() && outside.remove().is_err());
}

fn a_limit_below_usage_is_not_tried(facts: &CgroupFacts) {
    if !facts.v1_mounts.contains_key("pids") {
        return println!(
            "SKIPPED a_limit_below_usage_is_not_tried: no pids controller in this view"
        );
    }
    let test = TestCgroup::new(facts);
    let process = Gated::new("true");
    test.add(process.0.id());
    let mut limit = setting(test.index_of("pids").unwrap(), "pids.max", "0");
    limit.not_below = Some("pids.current".to_owned());
    let error = test
        .cgroup
        .apply(std::slice::from_ref(&limit))
        .unwrap_err()
        .to_string();
    assert!(error.contains("in use"), "{error}");
    assert_eq!(read(&test, "pids", "pids.max"), "max");
    limit.value = "1".to_owned();
    test.cgroup.apply(&[limit]).unwrap();
    assert_eq!(read(&test, "pids", "pids.max"), "1");
}

fn an_oom_kill_is_counted(facts: &CgroupFacts) {
    if !facts.v1_mounts.contains_key("memory") {
        return println!("SKIPPED an_oom_kill_is_counted: no memory controller in this view");
    }
    let test = limited(&json!({"memory": {"limit": 16 << 20}}), facts);
    assert_eq!(test.cgroup.oom_kills(), Some(0));
    let eater = Gated::new("tail /dev/zero; echo $?");
    test.add(eater.0.id());
    assert_eq!(eater.finish(), "137\n");
    assert_eq!(test.cgroup.oom_kills(), Some(1));
    let memory = stats::read(&test.cgroup).unwrap().memory.unwrap();
    assert_eq!(memory.oom_kills, Some(1));
}

fn an_update_may_need_another_order(facts: &CgroupFacts) {
    if !facts.v1_mounts.contains_key("memory") {
        return println!("SKIPPED an_update_may_need_another_order: no memory controller");
    }
    let limits = json!({"memory": {"limit": 100 << 20, "swap": 200 << 20}});
    let test = limited(&limits, facts);
    let index = test.index_of("memory").unwrap();
    let values = |limit: u64, sum: u64| {
        [
            setting(index, "memory.limit_in_bytes", &(limit << 20).to_string()),
            setting(
                index,
                "memory.memsw.limit_in_bytes",
                &(sum << 20).to_string(),
            ),
        ]
    };
    let in_force = || {
        let memory = stats::read(&test.cgroup).unwrap().memory.unwrap();
        (memory.usage.limit, memory.memory_and_swap.unwrap().limit)
    };
    // Up with the limit first, down with the sum first: both are refused at first.
    let up = test.cgroup.update(&values(300, 400)).unwrap();
    assert_eq!(in_force(), (Limit::At(300 << 20), Limit::At(400 << 20)));
    let mut less = values(50, 60);
    less.reverse();
    let down = test.cgroup.update(&less).unwrap();
    assert_eq!(in_force(), (Limit::At(50 << 20), Limit::At(60 << 20)));
    down.take_back().unwrap();
    assert_eq!(in_force(), (Limit::At(300 << 20), Limit::At(400 << 20)));
    up.take_back().unwrap();
    assert_eq!(in_force(), (Limit::At(100 << 20), Limit::At(200 << 20)));
}

/// A file that takes `good` and refuses `bad`, in any view.
fn an_update_that_fails_changes_nothing(facts: &CgroupFacts) {
    let (controller, file, good) = match facts.v1_mounts.contains_key("pids") {
        true => ("pids", "pids.max", "7"),
        false => ("", "hugetlb.2MB.max", "2097152"),
    };
    let mut test = TestCgroup::new(facts);
    let index = test.index_of(controller).unwrap();
    if controller.is_empty() {
        test.plan.directories[index].enable = vec!["hugetlb".to_owned()];
    }
    let cgroup = libcgroups::Cgroup::open(&test.plan.directories, &test.plan.path);
    let bad = setting(index, file, "bad");
    let error = cgroup
        .update(&[setting(index, file, good), bad.clone()])
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("all limits are as before)"), "{error}");
    assert_eq!(read(&test, controller, file), "max");
    let change = cgroup.update(&[setting(index, file, good)]).unwrap();
    assert_eq!(read(&test, controller, file), good);
    change.take_back().unwrap();
    assert_eq!(read(&test, controller, file), "max");
    let missing = setting(index, "no.such", "1");
    let error = cgroup.update(&[setting(index, file, good), missing]);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("linux.resources.test: ")
    );
    assert_eq!(read(&test, controller, file), "max");
}

fn what_nobody_counts_is_none(facts: &CgroupFacts) {
    let test = TestCgroup::new(facts);
    let found = stats::read(&test.cgroup).unwrap();
    let v1 = |controller: &str| facts.v1_mounts.contains_key(controller);
    assert_eq!(found.memory.is_some(), v1("memory"));
    assert_eq!(found.pids.is_some(), v1("pids"));
    assert_eq!(found.io.is_some(), v1("blkio"));
    assert_eq!(found.cpuset.is_some(), v1("cpuset"));
    assert_eq!(found.rdma, None);
    assert!(found.cpu.is_some(), "v2 counts time without a controller");
    if let Some(memory) = found.memory {
        assert_eq!(memory.usage.limit, Limit::Unlimited);
        assert_eq!(memory.oom_kills, Some(0));
    }
    test.cgroup.remove().unwrap();
    let gone = libcgroups::Cgroup::open(&test.plan.directories, &test.plan.path);
    assert_eq!(stats::read(&gone).unwrap(), stats::Stats::default());
}

/// Runs a shell script inside, in an empty directory of its own.
fn run_inside(test: &TestCgroup, script: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let process = Gated::new(&format!(
        "cd {} || exit; {script}",
        directory.path().display()
    ));
    test.add(process.0.id());
    process.finish()
}

/// Makes null and kmsg, and tries to write and read them.
const TRY: &str = "
    mknod null c 1 3 2>/dev/null && echo made null
    mknod kmsg c 1 11 2>/dev/null && echo made kmsg
    (: >null) 2>/dev/null && [ -c null ] && echo wrote null
    (: <kmsg) 2>/dev/null && echo read kmsg
    [ -e kmsg ] && echo saw kmsg";

fn usual_devices_work_and_others_do_not(facts: &CgroupFacts) {
    let free = TestCgroup::new(facts);
    let all = "made null\nmade kmsg\nwrote null\nread kmsg\nsaw kmsg\n";
    assert_eq!(run_inside(&free, TRY), all, "without rules");
    let test = limited(
        &json!({"devices": [{"allow": false, "access": "rwm"}]}),
        facts,
    );
    let usual = "made null\nmade kmsg\nwrote null\nsaw kmsg\n";
    assert_eq!(run_inside(&test, TRY), usual, "with the defaults");
    let test = limited(&json!(null), facts);
    assert_eq!(run_inside(&test, TRY), usual, "without a list");
    let test = limited(
        &json!({"devices": [{"allow": true, "access": "rwm"}]}),
        facts,
    );
    assert_eq!(run_inside(&test, TRY), all, "with everything allowed");
}

fn the_list_decides_about_devices(facts: &CgroupFacts) {
    let kmsg = |allow: bool, access: &str| json!({"allow": allow, "type": "c", "major": 1, "minor": 11, "access": access});
    let all = "made null\nmade kmsg\nwrote null\nread kmsg\nsaw kmsg\n";
    let none = "made null\nmade kmsg\nwrote null\nsaw kmsg\n";
    let deny_all = json!({"allow": false, "access": "rwm"});
    let cases = [
        (json!([deny_all, kmsg(true, "r")]), all),
        (json!([kmsg(true, "r"), deny_all]), none),
        (json!([deny_all, kmsg(true, "w")]), none),
        (json!([{"allow": true}, kmsg(false, "r")]), none),
        (json!([{"allow": true}, kmsg(false, "w")]), all),
        (json!([deny_all, kmsg(true, "rw"), kmsg(false, "r")]), none),
    ];
    for (list, wanted) in cases {
        let test = limited(&json!({"devices": list}), facts);
        assert_eq!(run_inside(&test, TRY), wanted, "{list}");
    }
}

fn a_program_can_deny_everything(facts: &CgroupFacts) {
    let test = TestCgroup::new(facts);
    // r0 = 0; exit
    let program = |instructions: &[u64]| DeviceProgram {
        instructions: instructions.to_vec(),
        from: ConfigPath::new("linux.resources.devices"),
    };
    let attached = test.cgroup.attach_devices(&program(&[0xb7, 0x95]));
    if facts.v2_mount.is_none() {
        let error = attached.unwrap_err().to_string();
        return assert!(error.ends_with("needs a cgroup v2 hierarchy"), "{error}");
    }
    attached.unwrap();
    assert_eq!(run_inside(&test, TRY), "");
    let error = test
        .cgroup
        .attach_devices(&program(&[0xb7]))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("linux.resources.devices: bpf("),
        "{error}"
    );
}
