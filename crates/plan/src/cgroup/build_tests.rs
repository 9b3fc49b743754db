use serde_json::{Value as Json, json};

use super::*;

fn built_for(
    resources: Json,
    path: Option<&str>,
    host: &HostFacts,
    request: &Request,
) -> (Option<CgroupPlan>, Problems) {
    let resources: Option<LinuxResources> = serde_json::from_value(resources).unwrap();
    let mut out = Problems::default();
    let asked = Asked {
        resources: resources.as_ref(),
        cgroups_path: path,
        annotations: None,
    };
    let plan = build(&asked, request, host, &mut out);
    (plan, out)
}

fn built(resources: Json, host: &HostFacts) -> CgroupPlan {
    let request = Request::create("c1", "/b");
    let (plan, out) = built_for(resources, None, host, &request);
    let problems: Vec<_> = out.problems.iter().map(ToString::to_string).collect();
    plan.unwrap_or_else(|| panic!("{problems:?}"))
}

/// `directory file=value`, `?` where a missing file is fine; without devices.
fn lines(plan: &CgroupPlan) -> Vec<String> {
    let shown = |s: &Setting| {
        let mount = &plan.directories[s.directory].mount;
        let name = mount.rsplit('/').next().unwrap_or_default();
        let need = if s.optional { "?" } else { "" };
        format!("{name} {}={}{need}", s.file, s.value)
    };
    let settings = plan
        .settings
        .iter()
        .filter(|s| !s.file.starts_with("devices."));
    settings.map(shown).collect()
}

fn on_v2(resources: Json) -> Vec<String> {
    let all = lines(&built(resources, &HostFacts::v2_root()));
    all.iter()
        .map(|line| line.replacen("cgroup ", "", 1))
        .collect()
}

fn on_v1(resources: Json) -> Vec<String> {
    lines(&built(resources, &HostFacts::hybrid_root()))
}

fn problems(resources: Json, host: &HostFacts) -> Vec<String> {
    let request = Request::create("c1", "/b");
    let (plan, out) = built_for(resources, None, host, &request);
    assert!(plan.is_none());
    out.problems.iter().map(ToString::to_string).collect()
}

fn on_hugetlb_alone() -> HostFacts {
    let mut host = HostFacts::v2_root();
    host.cgroup.v2_controllers = vec!["hugetlb".to_owned()];
    host
}

#[path = "limits_tests.rs"]
mod limits_by_property;

#[test]
fn huge_pages_on_whichever_hierarchy_has_them() {
    let r = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}, {"pageSize": "1GB", "limit": -1}]});
    let v2 = [
        "hugetlb.2MB.max=4194304",
        "hugetlb.2MB.rsvd.max=4194304?",
        "hugetlb.1GB.max=max?",
        "hugetlb.1GB.rsvd.max=max?",
    ];
    assert_eq!(on_v2(r.clone()), v2);
    let hybrid = built(r.clone(), &HostFacts::hybrid_root());
    assert_eq!(lines(&hybrid), v2.map(|line| format!("unified {line}")));
    assert_eq!(hybrid.directories.last().unwrap().enable, ["hugetlb"]);
    let mut host = HostFacts::hybrid_root();
    host.cgroup
        .v1_mounts
        .insert("hugetlb".into(), "/sys/fs/cgroup/hugetlb".into());
    assert_eq!(
        lines(&built(r, &host))[0],
        "hugetlb hugetlb.2MB.limit_in_bytes=4194304"
    );
    for bad in ["2M", "MB", "02MB", "2mb", "2MB/", "../x", "-2MB", "2.5GB"] {
        let r = json!({"hugepageLimits": [{"pageSize": bad, "limit": 1}]});
        let found = problems(r, &HostFacts::v2_root());
        assert!(
            found[0].starts_with("linux.resources.hugepageLimits[0].pageSize: "),
            "{found:?}"
        );
    }
}

#[test]
fn rdma_and_network() {
    let r = json!({"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "a": {"hcaObjects": 1}, "b": {}}});
    assert_eq!(
        on_v2(r),
        [
            "rdma.max=a hca_object=1",
            "rdma.max=mlx5_1 hca_handle=3 hca_object=10000"
        ]
    );
    let r =
        json!({"network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]}});
    let mut host = HostFacts::hybrid_root();
    let mount = "/sys/fs/cgroup/net_cls,net_prio";
    for name in ["net_cls", "net_prio"] {
        host.cgroup
            .v1_mounts
            .insert(name.to_owned(), mount.to_owned());
    }
    let plan = built(r.clone(), &host);
    assert_eq!(
        lines(&plan),
        [
            "net_cls,net_prio net_cls.classid=1048577",
            "net_cls,net_prio net_prio.ifpriomap=eth0 5"
        ]
    );
    let shared = plan.directories.iter().find(|d| d.mount == mount).unwrap();
    assert_eq!(shared.controllers, ["net_cls", "net_prio"]);
    assert_eq!(problems(r, &HostFacts::v2_root()).len(), 2);
    let nothing = json!({"network": {"classID": 0, "priorities": []}});
    assert_eq!(on_v2(nothing), [""; 0]);
    let bad = json!({"network": {"priorities": [{"name": "eth0 9\neth1", "priority": 5}]}});
    assert!(problems(bad, &host)[0].starts_with("linux.resources.network.priorities[0].name: "));
}

#[test]
fn unified_is_written_last_and_line_by_line() {
    let r = json!({
        "unified": {"memory.high": "9", "io.max": "8:0 rbps=1\n8:16 rbps=2\n", "cgroup.max.depth": "4", "cpuset.cpus": ""},
        "pids": {"limit": 3},
    });
    assert_eq!(
        on_v2(r.clone()),
        [
            "pids.max=3",
            "cgroup.max.depth=4",
            "cpuset.cpus=\n",
            "io.max=8:0 rbps=1",
            "io.max=8:16 rbps=2",
            "memory.high=9"
        ]
    );
    let plan = built(r, &HostFacts::v2_root());
    assert_eq!(
        plan.directories[0].enable,
        ["pids", "cpuset", "io", "memory"]
    );
    assert_eq!(
        plan.settings[5].from.as_str(),
        r#"linux.resources.unified["memory.high"]"#
    );
}

#[test]
fn unified_names_files_of_this_cgroup_only() {
    for bad in [
        "../x/cgroup.max.depth",
        "a/memory.max",
        "memory",
        ".memory",
        "memory.",
        "",
        "..",
        "memory..max",
        "cgroup.procs",
        "cgroup.kill",
        "cgroup.threads",
        "cgroup.subtree_control",
        "me mory.max",
        "memory.max\0",
    ] {
        let found = problems(json!({"unified": {bad: "1"}}), &HostFacts::v2_root());
        assert_eq!(found.len(), 1, "{bad:?}");
        assert!(
            found[0].starts_with("linux.resources.unified["),
            "{found:?}"
        );
    }
}

#[test]
fn unified_on_a_hybrid_host_is_for_the_v2_hierarchy() {
    let host = HostFacts::hybrid_root();
    let plan = built(
        json!({"unified": {"hugetlb.2MB.max": "2097152", "pids.max": "max"}}),
        &host,
    );
    assert_eq!(lines(&plan), ["unified hugetlb.2MB.max=2097152"]);
    assert_eq!(
        problems(
            json!({"unified": {"memory.high": "1", "io.max": "8:0 rbps=1", "misc.max": "x 1"}}),
            &host
        ),
        [
            r#"linux.resources.unified["io.max"]: the controller "io" belongs to cgroup v1 on this host, and unified means v2"#,
            r#"linux.resources.unified["memory.high"]: the controller "memory" belongs to cgroup v1 on this host, and unified means v2"#,
            r#"linux.resources.unified["misc.max"]: no cgroup controller "misc" under /sys/fs/cgroup (have: blkio cpu cpuacct cpuset devices freezer hugetlb memory pids)"#,
        ]
    );
}

#[test]
fn an_absent_controller_fails_only_what_needs_it() {
    let host = on_hugetlb_alone();
    let defaults = json!({
        "memory": {"limit": -1, "swap": -1, "reservation": 0}, "cpu": {"shares": 1024, "quota": -1, "idle": 0},
        "pids": {"limit": -1}, "blockIO": {"weight": 0}, "unified": {"memory.max": "max", "cpu.weight": "100"},
    });
    assert_eq!(lines(&built(defaults, &host)), [""; 0]);
    assert_eq!(
        problems(json!({"memory": {"limit": 5}, "pids": {"limit": 7}}), &host),
        [
            r#"linux.resources.memory.limit: no cgroup controller "memory" under /sys/fs/cgroup (have: hugetlb)"#,
            r#"linux.resources.pids.limit: no cgroup controller "pids" under /sys/fs/cgroup (have: hugetlb)"#,
        ]
    );
}

#[test]
fn the_directories_are_those_of_the_host() {
    let v2 = built(json!(null), &HostFacts::v2_root());
    assert_eq!(v2.path, "/corten/c1");
    assert_eq!(v2.directories.len(), 1);
    assert_eq!(
        (v2.directories[0].mount.as_str(), v2.directories[0].v2),
        ("/sys/fs/cgroup", true)
    );
    assert_eq!(v2.directories[0].enable, [""; 0]);
    assert!(v2.device_program.is_some());
    let hybrid = built(json!(null), &HostFacts::hybrid_root());
    assert_eq!(hybrid.directories.len(), 10);
    assert!(hybrid.directories[9].v2);
    assert_eq!(hybrid.device_program, None);
    assert_eq!(hybrid.settings[0].file, "devices.deny");
    let mut host = HostFacts::hybrid_root();
    host.cgroup.mode = CgroupMode::V1;
    assert!(built(json!(null), &host).directories.iter().all(|d| !d.v2));
}

#[test]
fn cgroups_may_be_left_alone() {
    let mut request = Request::create("c1", "/b");
    request.cgroups_disabled = true;
    let r = json!({"memory": {"limit": 5}});
    let (plan, out) = built_for(r, None, &HostFacts::v2_root(), &request);
    assert_eq!(plan.unwrap().manager, CgroupManager::Disabled);
    assert_eq!(out.warnings[0].path.as_str(), "linux.resources");
    let (plan, out) = built_for(
        json!({"pids": {"limit": -1}, "memory": {"limit": -5}}),
        None,
        &HostFacts::v2_root(),
        &request,
    );
    assert!(plan.is_none());
    assert_eq!(out.problems.len(), 1);
}

#[test]
fn systemd_is_refused_by_its_flag() {
    let mut request = Request::create("c1", "/b");
    request.systemd_cgroup = true;
    let (plan, out) = built_for(
        json!(null),
        Some("a.slice:b:c"),
        &HostFacts::v2_root(),
        &request,
    );
    assert!(plan.is_none());
    assert_eq!(out.problems[0].path.as_str(), "--systemd-cgroup");
    let no_user = HostFacts {
        effective_uid: 1000,
        ..with_systemd(HostFacts::hybrid_root(), "/u", true)
    };
    let (plan, out) = built_for(json!(null), None, &no_user, &request);
    assert!(plan.is_none() && out.problems[0].path.as_str() == "--systemd-cgroup");
}

fn with_systemd(mut host: HostFacts, control_group: &str, user: bool) -> HostFacts {
    host.cgroup.systemd = Some(crate::SystemdFacts::Manager {
        control_group: control_group.to_owned(),
        user,
    });
    host
}

#[test]
fn a_scope_of_systemd_says_what_the_files_say() {
    let mut request = Request::create("c1", "/b");
    request.systemd_cgroup = true;
    let annotations = [
        ("org.systemd.property.TasksMax", "uint64 9"),
        ("org.systemd.property.Nonsense", "{"),
        ("other", "{"),
    ];
    let annotations = annotations.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let resources: LinuxResources =
        serde_json::from_value(json!({"memory": {"limit": 4096}, "pids": {"limit": 5}})).unwrap();
    let mut asked = Asked {
        resources: Some(&resources),
        cgroups_path: Some("a-b.slice:p:n"),
        annotations: None,
    };
    let host = with_systemd(HostFacts::v2_root(), "", false);
    let plan = build(&asked, &request, &host, &mut Problems::default()).unwrap();
    assert_eq!(plan.manager, CgroupManager::Systemd);
    assert_eq!(plan.path, "/a.slice/a-b.slice/p-n.scope");
    assert_eq!(
        lines(&plan),
        ["cgroup memory.max=4096", "cgroup pids.max=5"]
    );
    let scope = plan.scope.unwrap();
    assert_eq!((scope.unit.as_str(), scope.user), ("p-n.scope", false));
    let names: Vec<_> = scope.properties.iter().map(|p| p.name.as_str()).collect();
    let base = "Description Slice Delegate DefaultDependencies CPUAccounting MemoryAccounting \
                TasksAccounting IOAccounting MemoryMax TasksMax DevicePolicy DeviceAllow";
    assert_eq!(names.join(" "), base);

    let all = annotations.iter().cloned().collect();
    asked.annotations = Some(&all);
    let user = HostFacts {
        effective_uid: 1000,
        ..with_systemd(HostFacts::v2_root(), "/user.slice/u", true)
    };
    let mut out = Problems::default();
    assert!(build(&asked, &request, &user, &mut out).is_none());
    assert_eq!(out.problems.len(), 1);
    let all = annotations
        .into_iter()
        .filter(|(name, _)| !name.ends_with("Nonsense"));
    let all = all.collect();
    asked.annotations = Some(&all);
    let plan = build(&asked, &request, &user, &mut Problems::default()).unwrap();
    assert_eq!(plan.path, "/user.slice/u/a.slice/a-b.slice/p-n.scope");
    let scope = plan.scope.unwrap();
    let value = |name: &str| {
        let found = scope.properties.iter().filter(|p| p.name == name);
        found.map(|p| p.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(value("TasksMax"), [super::super::PropertyValue::Uint64(9)]);
    assert!(
        value("DevicePolicy").is_empty(),
        "users cannot attach programs"
    );
}

#[test]
fn without_privileges_a_container_goes_without_or_below_what_is_delegated() {
    let mut host = HostFacts::v2_root();
    host.effective_uid = 1000;
    let request = Request::create("c1", "/b");
    let (plan, out) = built_for(json!(null), None, &host, &request);
    assert_eq!(plan.unwrap().manager, CgroupManager::Disabled);
    assert_eq!(out.warnings.len(), 1);
    assert_eq!(
        problems(json!({"pids": {"limit": 5}}), &host),
        [
            "linux.resources.pids.limit: no cgroup is delegated to this user (systemd delegates one: systemd-run --user --scope -p Delegate=yes COMMAND)"
        ]
    );
    let (plan, _) = built_for(json!({"pids": {"limit": 5}}), Some("/u/x"), &host, &request);
    assert_eq!(plan.unwrap().path, "/u/x");
    host.cgroup.delegated = Some("/user.slice/x".to_owned());
    let (plan, _) = built_for(json!({"pids": {"limit": 5}}), None, &host, &request);
    let plan = plan.unwrap();
    assert_eq!(plan.path, "/user.slice/x/corten/c1");
    assert_eq!(plan.device_program, None);
    host.cgroup.mode = CgroupMode::None;
    assert_eq!(problems(json!({"pids": {"limit": 5}}), &host).len(), 1);
}

#[test]
fn the_caller_may_say_who_it_is() {
    let request = Request::create("c1", "/b");
    let manager = |host: &HostFacts| {
        let (plan, _) = built_for(json!(null), None, host, &request);
        plan.unwrap().manager
    };
    let mut host = HostFacts::v2_root();
    host.may_lack_cgroup = Some(true);
    assert_eq!(manager(&host), CgroupManager::Disabled);
    let refused = problems(json!({"pids": {"limit": 5}}), &host);
    assert!(refused[0].contains("mounted read-only"), "{refused:?}");
    host.effective_uid = 1000;
    host.may_lack_cgroup = Some(false);
    assert_eq!(manager(&host), CgroupManager::Cgroupfs);
}
