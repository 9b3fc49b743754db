//! `linux.resources`, property by property.

use super::*;

#[test]
fn memory_and_swap_are_one_number_in_v1_and_two_in_v2() {
    let r = json!({"memory": {"limit": 512, "swap": 1024, "reservation": 256}});
    assert_eq!(
        on_v2(r.clone()),
        ["memory.max=512", "memory.swap.max=512", "memory.low=256"]
    );
    assert_eq!(
        on_v1(r),
        [
            "memory memory.limit_in_bytes=512",
            "memory memory.memsw.limit_in_bytes=1024",
            "memory memory.soft_limit_in_bytes=256"
        ]
    );
}

#[test]
fn swap_in_all_its_cases() {
    let cases: [(Json, &[&str], &[&str]); 7] = [
        (
            json!({"limit": 9}),
            &["memory.max=9"],
            &["memory.limit_in_bytes=9"],
        ),
        (
            json!({"limit": -1}),
            &["memory.max=max?", "memory.swap.max=max?"],
            &[
                "memory.memsw.limit_in_bytes=-1?",
                "memory.limit_in_bytes=-1?",
            ],
        ),
        (
            json!({"limit": 9, "swap": 9}),
            &["memory.max=9", "memory.swap.max=0?"],
            &["memory.limit_in_bytes=9", "memory.memsw.limit_in_bytes=9?"],
        ),
        (
            json!({"limit": 9, "swap": -1}),
            &["memory.max=9", "memory.swap.max=max?"],
            &["memory.limit_in_bytes=9", "memory.memsw.limit_in_bytes=-1?"],
        ),
        (
            json!({"limit": 9, "swap": 0}),
            &["memory.max=9"],
            &["memory.limit_in_bytes=9"],
        ),
        (json!({"limit": 0, "swap": 0}), &[], &[]),
        (
            json!({"swap": -1}),
            &["memory.swap.max=max?"],
            &["memory.memsw.limit_in_bytes=-1?"],
        ),
    ];
    for (memory, v2, v1) in cases {
        assert_eq!(on_v2(json!({"memory": memory})), v2, "{memory}");
        let lines = on_v1(json!({"memory": memory}));
        let lines: Vec<&str> = lines
            .iter()
            .map(|l| l.trim_start_matches("memory "))
            .collect();
        assert_eq!(lines, v1, "{memory}");
    }
    assert_eq!(
        on_v2(json!({"memory": {"limit": -1, "swap": 7}})),
        ["memory.max=max?", "memory.swap.max=7"]
    );
}

#[test]
fn wrong_memory_is_named() {
    assert_eq!(
        problems(
            json!({"memory": {"limit": -2, "reservation": -7, "swappiness": 101}}),
            &HostFacts::v2_root()
        ),
        [
            "linux.resources.memory.limit: expected a number of bytes, or -1 for no limit, found -2",
            "linux.resources.memory.reservation: expected a number of bytes, or -1 for no limit, found -7",
            "linux.resources.memory.swappiness: expected a number from 0 to 100, found 101",
        ]
    );
    assert_eq!(
        problems(json!({"memory": {"swap": 5}}), &HostFacts::v2_root()),
        [
            "linux.resources.memory.swap: unable to set swap limit without memory limit \
          (it is memory and swap together: set memory.limit too)"
        ]
    );
    assert_eq!(
        problems(
            json!({"memory": {"swap": 5, "limit": 6}}),
            &HostFacts::v2_root()
        ),
        ["linux.resources.memory.swap: memory+swap limit should be >= memory limit: 5 is below 6"]
    );
    assert_eq!(
        problems(
            json!({"memory": {"swap": 5, "limit": -1}}),
            &HostFacts::hybrid_root()
        )
        .len(),
        1
    );
}

#[test]
fn memory_that_only_v1_knows() {
    let r = json!({"memory": {
        "kernel": 5, "kernelTCP": 6, "swappiness": 60, "disableOOMKiller": true, "limit": 99,
        "checkBeforeUpdate": true,
    }});
    assert_eq!(
        on_v1(r.clone()),
        [
            "memory memory.limit_in_bytes=99",
            "memory memory.kmem.tcp.limit_in_bytes=6",
            "memory memory.swappiness=60",
            "memory memory.oom_control=1"
        ]
    );
    let (plan, out) = built_for(r, None, &HostFacts::v2_root(), &Request::create("c", "/b"));
    let warned: Vec<_> = out.warnings.iter().map(|w| w.path.as_str()).collect();
    assert_eq!(
        warned,
        [
            "linux.resources.memory.kernel",
            "linux.resources.memory.kernelTCP",
            "linux.resources.memory.swappiness",
            "linux.resources.memory.disableOOMKiller"
        ]
    );
    let setting = &plan.unwrap().settings[0];
    assert_eq!(setting.not_below.as_deref(), Some("memory.current"));
    assert_eq!(
        on_v2(json!({"memory": {"swappiness": u64::MAX, "disableOOMKiller": false}})),
        [""; 0]
    );
}

#[test]
fn cpu_in_both_versions() {
    let r = json!({"cpu": {"shares": 2048, "quota": 50000, "period": 200000, "burst": 1000}});
    assert_eq!(
        on_v2(r.clone()),
        [
            "cpu.weight=174",
            "cpu.max=50000 200000",
            "cpu.max.burst=1000"
        ]
    );
    assert_eq!(
        on_v1(r),
        [
            "cpu cpu.shares=2048",
            "cpu cpu.cfs_period_us=200000",
            "cpu cpu.cfs_quota_us=50000",
            "cpu cpu.cfs_burst_us=1000"
        ]
    );
    assert_eq!(
        on_v2(json!({"cpu": {"quota": 50000}})),
        ["cpu.max=50000 100000"]
    );
    assert_eq!(
        on_v2(json!({"cpu": {"quota": -1}})),
        ["cpu.max=max 100000?"]
    );
    assert_eq!(
        on_v2(json!({"cpu": {"period": 5000}})),
        ["cpu.max=max 5000?"]
    );
    assert_eq!(
        on_v2(json!({"cpu": {"quota": 0, "period": 0, "shares": 0}})),
        [""; 0]
    );
    assert_eq!(on_v2(json!({"cpu": {"shares": 1024}})), ["cpu.weight=100?"]);
    assert_eq!(
        on_v2(json!({"cpu": {"idle": 1, "shares": 9}})),
        ["cpu.idle=1"]
    );
    assert_eq!(
        on_v2(json!({"cpu": {"idle": 0, "shares": 9}})),
        ["cpu.idle=0?", "cpu.weight=3"]
    );
}

#[test]
fn realtime_is_for_v1() {
    let r = json!({"cpu": {"realtimePeriod": 1000000, "realtimeRuntime": 950000}});
    assert_eq!(
        on_v1(r.clone()),
        [
            "cpu cpu.rt_period_us=1000000",
            "cpu cpu.rt_runtime_us=950000"
        ]
    );
    assert_eq!(
        problems(r, &HostFacts::v2_root()),
        [
            "linux.resources.cpu.realtimeRuntime: cgroup v2 has no realtime limits",
            "linux.resources.cpu.realtimePeriod: cgroup v2 has no realtime limits"
        ]
    );
    assert_eq!(
        on_v2(json!({"cpu": {"realtimePeriod": 0, "realtimeRuntime": 0}})),
        [""; 0]
    );
}

#[test]
fn wrong_cpu_is_named() {
    let r = json!({"cpu": {"period": 999, "quota": 5, "burst": 6, "idle": 2, "cpus": "3-1", "mems": "a"}});
    assert_eq!(
        problems(r, &HostFacts::v2_root()),
        [
            "linux.resources.cpu.period: expected microseconds from 1000 to 1000000, found 999",
            "linux.resources.cpu.quota: expected at least 1000 microseconds, or -1 for no limit, found 5",
            "linux.resources.cpu.burst: expected at most the quota, 5, found 6",
            "linux.resources.cpu.idle: expected 0 or 1, found 2",
            r#"linux.resources.cpu.cpus: expected a list of numbers and ranges like "0-3,7", found "3-1""#,
            r#"linux.resources.cpu.mems: expected a list of numbers and ranges like "0-3,7", found "a""#,
        ]
    );
}

#[test]
fn sets_are_lists_as_the_kernel_reads_them() {
    for good in ["0", "0-3", "0,2-3", "0-15:2/4", "1,1"] {
        assert_eq!(
            on_v2(json!({"cpu": {"cpus": good}})),
            [format!("cpuset.cpus={good}")]
        );
    }
    for bad in [
        ",",
        "0,",
        "-1",
        "0-",
        "+1",
        "0--1",
        "1:2/4",
        "0-3:4/2",
        "0-3:1/0",
        " 1",
        "0\n",
        "99999999999",
    ] {
        assert_eq!(
            problems(json!({"cpu": {"mems": bad}}), &HostFacts::v2_root()).len(),
            1,
            "{bad:?}"
        );
    }
    assert_eq!(
        on_v2(json!({"cpu": {"cpus": "", "mems": "0"}})),
        ["cpuset.mems=0"]
    );
    assert_eq!(
        on_v1(json!({"cpu": {"cpus": "1"}})),
        ["cpuset cpuset.cpus=1"]
    );
}

#[test]
fn pids() {
    for (limit, value) in [(5, "5"), (0, "1"), (-1, "max?"), (-9, "max?")] {
        let r = json!({"pids": {"limit": limit}});
        assert_eq!(on_v2(r.clone()), [format!("pids.max={value}")]);
        assert_eq!(on_v1(r), [format!("pids pids.max={value}")]);
    }
}

#[test]
fn block_io() {
    let device = |rate: u64| json!([{"major": 8, "minor": 16, "rate": rate}]);
    let r = json!({"blockIO": {
        "weight": 500, "leafWeight": 0,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 10}, {"major": 8, "minor": 1, "weight": 0}],
        "throttleReadBpsDevice": device(1), "throttleWriteBpsDevice": device(2),
        "throttleReadIOPSDevice": device(3), "throttleWriteIOPSDevice": device(0),
    }});
    assert_eq!(
        on_v2(r.clone()),
        [
            "io.bfq.weight=500",
            "io.bfq.weight=8:0 10",
            "io.max=8:16 rbps=1",
            "io.max=8:16 wbps=2",
            "io.max=8:16 riops=3",
            "io.max=8:16 wiops=max?"
        ]
    );
    assert_eq!(
        on_v1(r.clone()),
        [
            "blkio blkio.bfq.weight=500",
            "blkio blkio.bfq.weight_device=8:0 10",
            "blkio blkio.throttle.read_bps_device=8:16 1",
            "blkio blkio.throttle.write_bps_device=8:16 2",
            "blkio blkio.throttle.read_iops_device=8:16 3",
            "blkio blkio.throttle.write_iops_device=8:16 0?"
        ]
    );
    let plan = built(r, &HostFacts::v2_root());
    let instead = plan.settings[0].instead.as_ref().unwrap();
    assert_eq!(
        (instead.file.as_str(), instead.value.as_str()),
        ("io.weight", "4950")
    );
    let instead = plan.settings[1].instead.as_ref().unwrap();
    assert_eq!(
        (instead.file.as_str(), instead.value.as_str()),
        ("io.weight", "8:0 1")
    );
    assert_eq!(on_v2(json!({"blockIO": {"weight": 0}})), [""; 0]);
}

#[test]
fn wrong_block_io_is_named() {
    let r = json!({"blockIO": {
        "weight": 9, "leafWeight": 300,
        "weightDevice": [{"major": -1, "minor": 0, "weight": 1001, "leafWeight": 10}],
        "throttleReadBpsDevice": [{"major": 8, "minor": -5, "rate": 1}],
    }});
    assert_eq!(
        problems(r, &HostFacts::v2_root()),
        [
            "linux.resources.blockIO.weight: expected a number from 10 to 1000, found 9",
            "linux.resources.blockIO.leafWeight: leaf weights are gone since Linux 5.0",
            "linux.resources.blockIO.weightDevice[0].leafWeight: leaf weights are gone since Linux 5.0",
            "linux.resources.blockIO.weightDevice[0].major: expected a device number from 0 to 4095, found -1",
            "linux.resources.blockIO.throttleReadBpsDevice[0].minor: expected a device number from 0 to 1048575, found -5",
        ]
    );
}
