use serde_json::{Value as Json, json};

use super::*;

fn config(resources: &Json) -> Vec<u8> {
    json!({"ociVersion": "1.0.2", "linux": {"cgroupsPath": "/c1", "resources": resources}})
        .to_string()
        .into_bytes()
}

fn planned(stored: &Json, request: &UpdateRequest, host: &HostFacts) -> Result<UpdatePlan, Errors> {
    update(&config(stored), request, host)
}

fn document(resources: &Json) -> UpdateRequest {
    UpdateRequest {
        id: "c1".to_owned(),
        resources: Some(resources.to_string().into_bytes()),
        ..UpdateRequest::default()
    }
}

fn options(options: &[(&'static str, &str)]) -> UpdateRequest {
    UpdateRequest {
        id: "c1".to_owned(),
        options: options.iter().map(|(o, t)| (*o, (*t).to_owned())).collect(),
        ..UpdateRequest::default()
    }
}

/// `file=value` of what is written.
#[track_caller]
fn lines(stored: &Json, request: &UpdateRequest, host: &HostFacts) -> Vec<String> {
    let plan = planned(stored, request, host).unwrap_or_else(|e| panic!("{e}"));
    let line = |s: &Setting| format!("{}={}", s.file, s.value);
    plan.settings.iter().map(line).collect()
}

fn on_v1(stored: &Json, request: &UpdateRequest) -> Vec<String> {
    lines(stored, request, &HostFacts::hybrid_root())
}

fn on_v2(stored: &Json, request: &UpdateRequest) -> Vec<String> {
    lines(stored, request, &HostFacts::v2_root())
}

fn stored_after(stored: &Json, request: &UpdateRequest) -> Json {
    let plan = planned(stored, request, &HostFacts::v2_root()).unwrap_or_else(|e| panic!("{e}"));
    let config: Json = serde_json::from_slice(&plan.config).unwrap();
    config["linux"]["resources"].clone()
}

#[track_caller]
fn refused(stored: &Json, request: &UpdateRequest) -> String {
    let host = HostFacts::v2_root();
    planned(stored, request, &host).unwrap_err().to_string()
}

#[test]
fn only_what_is_asked_for_is_written() {
    let stored = json!({"memory": {"limit": 100 << 20}, "pids": {"limit": 50},
        "devices": [{"allow": false, "access": "rwm"}]});
    let request = options(&[("--memory", "200m")]);
    assert_eq!(on_v2(&stored, &request), ["memory.max=209715200"]);
    assert_eq!(
        on_v1(&stored, &request),
        ["memory.limit_in_bytes=209715200"]
    );
    let kept = stored_after(&stored, &request);
    assert_eq!(kept["memory"], json!({"limit": 200 << 20}));
    assert_eq!(kept["pids"], stored["pids"]);
    assert_eq!(kept["devices"], stored["devices"]);
    // Somebody else may have written to the file since.
    let same = options(&[("--pids-limit", "50")]);
    assert_eq!(on_v2(&stored, &same), ["pids.max=50"]);
}

#[test]
fn a_container_without_limits_gets_its_first() {
    for stored in [json!(null), json!({}), json!({"memory": null})] {
        let request = options(&[("--memory", "1g"), ("--cpu-share", "512")]);
        let wanted = ["memory.max=1073741824", "cpu.weight=59"];
        assert_eq!(on_v2(&stored, &request), wanted, "{stored}");
    }
    let plan = planned(
        &json!({}),
        &options(&[("--pids-limit", "7")]),
        &HostFacts::v2_root(),
    );
    assert_eq!(plan.unwrap().directories[0].enable, ["pids"]);
}

#[test]
fn zero_and_nothing_keep_what_there_is() {
    let stored = json!({"memory": {"limit": 100 << 20, "swap": 200 << 20},
        "cpu": {"shares": 512, "cpus": "0"}, "blockIO": {"weight": 100}});
    let request = document(&json!({
        "memory": {"limit": 0, "reservation": 0, "swap": 0, "kernel": 0, "kernelTCP": 0},
        "cpu": {"shares": 0, "quota": 0, "period": 0, "realtimeRuntime": 0,
            "realtimePeriod": 0, "cpus": "", "mems": ""},
        "blockIO": {"weight": 0}, "pids": null,
    }));
    assert_eq!(on_v2(&stored, &request), Vec::<String>::new());
    assert_eq!(stored_after(&stored, &request)["memory"], stored["memory"]);
    assert_eq!(
        on_v2(
            &stored,
            &options(&[("--memory", "0"), ("--cpuset-cpus", "")])
        ),
        Vec::<String>::new()
    );
}

#[test]
fn quota_and_period_keep_each_other() {
    let stored = json!({"cpu": {"quota": 50_000, "period": 200_000}});
    let quota = options(&[("--cpu-quota", "60000")]);
    assert_eq!(on_v2(&stored, &quota), ["cpu.max=60000 200000"]);
    assert_eq!(on_v1(&stored, &quota), ["cpu.cfs_quota_us=60000"]);
    let period = options(&[("--cpu-period", "100000")]);
    assert_eq!(on_v2(&stored, &period), ["cpu.max=50000 100000"]);
    assert_eq!(on_v1(&stored, &period), ["cpu.cfs_period_us=100000"]);
    let unlimited = options(&[("--cpu-quota", "-1")]);
    assert_eq!(on_v2(&stored, &unlimited), ["cpu.max=max 200000"]);
}

#[test]
fn quota_period_and_burst_are_written_in_an_order_the_kernel_takes() {
    let stored = json!({"cpu": {"quota": 50_000, "period": 100_000, "burst": 40_000}});
    let less = options(&[
        ("--cpu-quota", "10000"),
        ("--cpu-period", "20000"),
        ("--cpu-burst", "5000"),
    ]);
    let wanted = [
        "cpu.cfs_burst_us=5000",
        "cpu.cfs_quota_us=10000",
        "cpu.cfs_period_us=20000",
    ];
    assert_eq!(on_v1(&stored, &less), wanted);
    let wanted = ["cpu.max.burst=5000", "cpu.max=10000 20000"];
    assert_eq!(on_v2(&stored, &less), wanted);
    let more = options(&[
        ("--cpu-quota", "90000"),
        ("--cpu-period", "200000"),
        ("--cpu-burst", "80000"),
    ]);
    let wanted = [
        "cpu.cfs_period_us=200000",
        "cpu.cfs_quota_us=90000",
        "cpu.cfs_burst_us=80000",
    ];
    assert_eq!(on_v1(&stored, &more), wanted);
}

#[test]
fn memory_and_swap_go_up_and_down_in_an_order_the_kernel_takes() {
    let stored = json!({"memory": {"limit": 100, "swap": 200}});
    let more = options(&[("--memory", "300"), ("--memory-swap", "400")]);
    let wanted = [
        "memory.memsw.limit_in_bytes=400",
        "memory.limit_in_bytes=300",
    ];
    assert_eq!(on_v1(&stored, &more), wanted);
    let wanted = ["memory.max=300"];
    let v2 = on_v2(&stored, &more);
    assert_eq!(v2[..1], wanted, "the sum of swap is the same: {v2:?}");
    let less = options(&[("--memory", "50"), ("--memory-swap", "60")]);
    let wanted = ["memory.limit_in_bytes=50", "memory.memsw.limit_in_bytes=60"];
    assert_eq!(on_v1(&stored, &less), wanted);
    assert_eq!(
        on_v2(&stored, &less),
        ["memory.swap.max=10", "memory.max=50"]
    );
    // There was no limit of the sum, so any limit is below it.
    let wanted = [
        "memory.limit_in_bytes=300",
        "memory.memsw.limit_in_bytes=400",
    ];
    assert_eq!(on_v1(&json!({}), &more), wanted);
}

#[test]
fn no_limit_of_memory_is_none_of_swap() {
    let stored = json!({"memory": {"limit": 100, "swap": 200}});
    let request = options(&[("--memory", "-1")]);
    let wanted = ["memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=-1"];
    assert_eq!(on_v1(&stored, &request), wanted);
    assert_eq!(
        on_v2(&stored, &request),
        ["memory.max=max", "memory.swap.max=max"]
    );
    assert_eq!(
        stored_after(&stored, &request)["memory"],
        json!({"limit": -1})
    );
}

#[test]
fn swap_of_v2_follows_the_limit() {
    let stored = json!({"memory": {"limit": 100, "swap": 200}});
    let wanted = ["memory.max=150", "memory.swap.max=50"];
    assert_eq!(on_v2(&stored, &options(&[("--memory", "150")])), wanted);
    assert_eq!(
        refused(&stored, &options(&[("--memory", "300")])),
        "linux.resources.memory.swap: memory+swap limit should be >= memory limit: \
         200 is below 300 (the container has it; give it anew too)"
    );
}

#[test]
fn lists_are_merged_by_device_and_size() {
    let rate = |minor: u32, rate: u64| json!({"major": 8, "minor": minor, "rate": rate});
    let stored = json!({
        "blockIO": {"weight": 100, "throttleReadBpsDevice": [rate(0, 1), rate(16, 2)]},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 1}, {"pageSize": "1GB", "limit": 2}],
    });
    let request = document(&json!({
        "blockIO": {"throttleReadBpsDevice": [rate(16, 7), rate(32, 8)]},
        "hugepageLimits": [{"pageSize": "1GB", "limit": 5}],
    }));
    let wanted = [
        "io.max=8:16 rbps=7",
        "io.max=8:32 rbps=8",
        "hugetlb.1GB.max=5",
        "hugetlb.1GB.rsvd.max=5",
    ];
    assert_eq!(on_v2(&stored, &request), wanted);
    let kept = stored_after(&stored, &request);
    let wanted = json!([rate(16, 7), rate(32, 8), rate(0, 1)]);
    assert_eq!(kept["blockIO"]["throttleReadBpsDevice"], wanted);
    assert_eq!(kept["blockIO"]["weight"], 100);
    assert_eq!(kept["hugepageLimits"].as_array().unwrap().len(), 2);
}

#[test]
fn unified_is_merged_by_file() {
    let stored = json!({"unified": {"memory.high": "10", "pids.max": "3"}});
    let request = document(&json!({"unified": {"memory.high": "20"}}));
    assert_eq!(on_v2(&stored, &request), ["memory.high=20"]);
    let wanted = json!({"memory.high": "20", "pids.max": "3"});
    assert_eq!(stored_after(&stored, &request)["unified"], wanted);
}

#[test]
fn an_idle_container_gets_its_shares_back() {
    let stored = json!({"cpu": {"shares": 512}});
    let idle = options(&[("--cpu-idle", "1")]);
    assert_eq!(on_v2(&stored, &idle), ["cpu.idle=1"]);
    let stored = stored_after(&stored, &idle);
    assert_eq!(
        refused(&stored, &options(&[("--cpu-share", "100")])),
        "--cpu-share: cpu.idle is 1, and an idle group has no shares (set cpu.idle to 0 too)"
    );
    let busy = options(&[("--cpu-idle", "0")]);
    assert_eq!(on_v2(&stored, &busy), ["cpu.idle=0", "cpu.weight=59"]);
}

#[test]
fn problems_name_the_option() {
    let stored = json!({"memory": {"limit": 100}});
    for (option, text, wanted) in [
        (
            "--memory",
            "lots",
            "--memory: expected a number of bytes (units: k, m, g, t, p), or -1 for no limit, found \"lots\"",
        ),
        (
            "--pids-limit",
            "1.5",
            "--pids-limit: expected a number, found \"1.5\"",
        ),
        (
            "--cpu-period",
            "5",
            "--cpu-period: expected microseconds from 1000 to 1000000, found 5",
        ),
        (
            "--blkio-weight",
            "5",
            "--blkio-weight: expected a number from 10 to 1000, found 5",
        ),
        (
            "--cpuset-cpus",
            "first",
            "--cpuset-cpus: expected a list of numbers and ranges like \"0-3,7\", found \"first\"",
        ),
        (
            "--cpu-rt-runtime",
            "1000",
            "--cpu-rt-runtime: cgroup v2 has no realtime limits",
        ),
        (
            "--l3-cache-schema",
            "L3:0=f",
            "--l3-cache-schema: the container has no linux.intelRdt, so there is no schema to change",
        ),
    ] {
        assert_eq!(refused(&stored, &options(&[(option, text)])), wanted);
    }
    let negative = refused(&stored, &options(&[("--cpu-share", "-1")]));
    assert!(negative.starts_with("--cpu-share: "), "{negative}");
}

#[test]
fn a_schema_is_written_into_the_group_of_the_container() {
    let with_group = json!({"ociVersion": "1.0.2", "linux": {"intelRdt":
        {"closID": "a", "l3CacheSchema": "L3:0=f", "schemata": ["L3:0=1", "MB:0=10"]}}});
    let with_group = with_group.to_string();
    let request = options(&[
        ("--l3-cache-schema", "L3:0=ff;1=c0"),
        ("--mem-bw-schema", "MB:0=50"),
    ]);
    let mut host = HostFacts::v2_root();
    let error = update(with_group.as_bytes(), &request, &host).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("linux.intelRdt: needs resctrl, which is not mounted on this host"),
        "{error}"
    );
    host.resctrl = Some("/sys/fs/resctrl".to_owned());
    let plan = update(with_group.as_bytes(), &request, &host).unwrap();
    let group = plan.resctrl.unwrap();
    assert_eq!(group.directory, "/sys/fs/resctrl/a");
    assert_eq!(group.schemata, ["L3:0=ff;1=c0", "MB:0=50"]);
    let config: Json = serde_json::from_slice(&plan.config).unwrap();
    let kept = &config["linux"]["intelRdt"];
    assert_eq!(kept["l3CacheSchema"], "L3:0=ff;1=c0");
    assert_eq!(kept["memBwSchema"], "MB:0=50");
    for (option, text, wanted) in [
        (
            "--l3-cache-schema",
            "L3",
            "--l3-cache-schema: expected one line",
        ),
        (
            "--mem-bw-schema",
            "L3:0=f",
            "--mem-bw-schema: expected one line that starts",
        ),
    ] {
        let request = options(&[(option, text)]);
        let error = update(with_group.as_bytes(), &request, &host).unwrap_err();
        assert!(error.to_string().starts_with(wanted), "{error}");
    }
    // Nothing is asked for.
    let plan = update(with_group.as_bytes(), &options(&[]), &host).unwrap();
    assert_eq!(plan.resctrl, None);
}

#[test]
fn problems_of_a_document_name_the_property() {
    let stored = json!({"memory": {"limit": 100}});
    let document_of = |text: Json| refused(&stored, &document(&text));
    for (request, wanted) in [
        (
            json!({"memory": {"limit": "lots"}}),
            "linux.resources.memory.limit: ",
        ),
        (json!({"pids": []}), "linux.resources.pids: "),
        (
            json!({"unified": {"bogus.max": "1"}}),
            "linux.resources.unified[\"bogus.max\"]: ",
        ),
        (
            json!({"hugepageLimits": [{"pageSize": "x", "limit": 1}]}),
            "linux.resources.hugepageLimits[0].pageSize: ",
        ),
        (json!([]), "--resources: "),
    ] {
        let error = document_of(request);
        assert!(error.starts_with(wanted), "{error}");
    }
    for bytes in ["", "{", "null", "\u{feff}{}"] {
        let request = UpdateRequest {
            resources: Some(bytes.as_bytes().to_vec()),
            ..UpdateRequest::default()
        };
        let error = refused(&stored, &request);
        assert!(error.starts_with("--resources: "), "{error}");
    }
}

#[test]
fn what_is_ignored_is_said() {
    let warnings = |request: &UpdateRequest| -> Vec<String> {
        let plan = planned(&json!({}), request, &HostFacts::v2_root()).unwrap();
        let line = |w: &Warning| format!("{}: {}", w.path, w.text);
        plan.warnings.iter().map(line).collect()
    };
    let request = options(&[("--kernel-memory", "1g"), ("--kernel-memory-tcp", "x")]);
    assert_eq!(warnings(&request).len(), 2);
    let mut request = document(&json!({"devices": [{"allow": true}], "pids": {"limit": 5}}));
    request.options.push(("--memory", "1g".to_owned()));
    let wanted = [
        "--memory: ignored: --resources is given",
        "--resources: devices: ignored: the device rules of a container are made once",
    ];
    assert_eq!(warnings(&request), wanted);
    assert_eq!(on_v2(&json!({}), &request), ["pids.max=5"]);
    let stored = json!({"devices": [{"allow": true}]});
    let request = document(&stored);
    let plan = planned(&stored, &request, &HostFacts::v2_root()).unwrap();
    assert_eq!((plan.warnings, plan.settings), (vec![], vec![]));
}
