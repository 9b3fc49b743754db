//! Containers in scopes of systemd.

use runtime_tests::{Case, convention};
use serde_json::json;

use crate::machine::{Scope, disk_of, property, read, require, with_systemd};

const CHAPTER: &str = "systemd: scopes";

#[convention("A limit is in the file and known to systemd.")]
fn limits_are_set_twice(case: &mut Case) {
    let mut scope = Scope::new(case);
    scope.bundle.config.set(
        "/linux/resources",
        json!({
            "memory": {"limit": 67_108_864, "swap": 134_217_728, "reservation": 1_048_576},
            "cpu": {"quota": 50_000, "period": 100_000, "shares": 512, "cpus": "0"},
            "pids": {"limit": 50},
            "unified": {"memory.high": "62914560"},
        }),
    );
    let id = scope.launch(case);
    for (name, value, file, content) in [
        ("MemoryMax", "67108864", "memory.max", "67108864"),
        ("MemorySwapMax", "67108864", "memory.swap.max", "67108864"),
        ("MemoryLow", "1048576", "memory.low", "1048576"),
        ("MemoryHigh", "62914560", "memory.high", "62914560"),
        ("CPUQuotaPerSecUSec", "500ms", "cpu.max", "50000 100000"),
        ("CPUWeight", "59", "cpu.weight", "59"),
        ("AllowedCPUs", "0", "cpuset.cpus", "0"),
        ("TasksMax", "50", "pids.max", "50"),
    ] {
        assert_eq!(scope.property(case, name), value, "{name}");
        assert_eq!(scope.file(file), content, "{file}");
    }
    for (name, value) in [
        ("Slice", "machine.slice"),
        ("Delegate", "yes"),
        ("ActiveState", "active"),
        ("DefaultDependencies", "no"),
    ] {
        assert_eq!(scope.property(case, name), value, "{name}");
    }
    case.destroy(&id);
}

#[convention("A slice lies in the slices that its name names, and they are made.")]
fn nested_slices(case: &mut Case) {
    let path = "/rt.slice/rt-pods.slice/rt-pods-x.slice";
    let scope = Scope::in_slice(case, "rt-pods-x.slice", path);
    let id = scope.launch(case);
    let pid = case.pid(&id);
    let inside = read(format!("/proc/{pid}/cgroup").as_ref());
    assert_eq!(inside, format!("0::{path}/{}", scope.unit));
    case.destroy(&id);
    assert!(!scope.directory.exists());
}

/// The limits of peers without a limit are systemd's own for units.
#[convention("Without a limit of processes there is none.")]
fn no_limit_is_none(case: &mut Case) {
    case.only_corten();
    let scope = Scope::new(case);
    let id = scope.launch(case);
    assert_eq!(scope.property(case, "TasksMax"), "infinity");
    assert_eq!(scope.file("pids.max"), "max");
    case.destroy(&id);
}

/// Peers call it by their own names.
#[convention("Without a path the unit is `corten-ID.scope` in `system.slice`.")]
fn default_place(case: &mut Case) {
    case.only_corten();
    let mut scope = Scope::new(case);
    scope.bundle.config.remove("/linux", "cgroupsPath");
    let id = scope.launch(case);
    let pid = case.pid(&id);
    let inside = read(format!("/proc/{pid}/cgroup").as_ref());
    assert_eq!(inside, format!("0::/system.slice/corten-{id}.scope"));
    case.destroy(&id);
}

#[convention("A path that is not slice:prefix:name is refused.")]
fn other_paths(case: &mut Case) {
    let mut scope = Scope::new(case);
    let place = format!("/{}/a", case.token());
    scope.bundle.config.set("/linux/cgroupsPath", place.into());
    let id = case.id();
    let refused = scope.create(case, &id).fails();
    refused.says("cgroupsPath to be of format \"slice:prefix:name\"");
}

#[convention("The container sees its scope as the root of its cgroups.")]
fn cgroup_namespace(case: &mut Case) {
    let mut scope = Scope::new(case);
    scope.bundle.config.args(&["/bin/cat", "/proc/self/cgroup"]);
    scope.bundle.write();
    let id = case.id();
    let path = scope.bundle.path.to_string_lossy().into_owned();
    let run = with_systemd(case).args(["run", "--bundle", &path, &id]);
    assert_eq!(run.run().ok().stdout.trim(), "0::/");
}

#[convention("`exec` needs no option: its process is in the scope.")]
fn exec_goes_there(case: &mut Case) {
    let scope = Scope::new(case);
    let id = scope.launch(case);
    let exec = case
        .runtime()
        .args(["exec", "--detach", &id, "/bin/sleep", "100"]);
    exec.run().ok();
    assert_eq!(scope.file("cgroup.procs").lines().count(), 2);
    case.destroy(&id);
}

#[convention("`update` tells systemd, and a reload of systemd changes nothing.")]
fn update_lasts(case: &mut Case) {
    let mut scope = Scope::new(case);
    let limits = json!({"memory": {"limit": 67_108_864}, "pids": {"limit": 50}});
    scope.bundle.config.set("/linux/resources", limits);
    let id = scope.launch(case);
    let update = case.runtime().args(["update", "--memory", "134217728"]);
    update.args(["--pids-limit", "20", &id]).run().ok();
    for _ in 0..2 {
        assert_eq!(scope.property(case, "MemoryMax"), "134217728");
        assert_eq!(scope.property(case, "TasksMax"), "20");
        assert_eq!(scope.file("memory.max"), "134217728");
        assert_eq!(scope.file("pids.max"), "20");
        case.program("systemctl").args(["daemon-reload"]).run().ok();
    }
    case.destroy(&id);
}

#[convention("systemd's device list and the container's rules agree, also after a reload.")]
fn devices(case: &mut Case) {
    let mut scope = Scope::new(case);
    let config = &mut scope.bundle.config;
    let devices = disk_of(std::path::Path::new("/"));
    let rules = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "b", "major": devices[0].0, "minor": devices[0].1, "access": "r"},
    ]);
    config.set("/linux/resources/devices", rules);
    for (path, (major, minor)) in ["/dev/disk", "/dev/part"].into_iter().zip(devices) {
        let device = json!({"path": path, "type": "b", "major": major, "minor": minor});
        config.push("/linux/devices", device);
    }
    let id = scope.launch(case);
    assert_eq!(scope.property(case, "DevicePolicy"), "strict");
    for _ in 0..2 {
        let exec = |line: &str| {
            let exec = case.runtime().args(["exec", &id, "/bin/sh", "-c", line]);
            exec.run().code() == Some(0)
        };
        assert!(exec("exec 3</dev/disk"), "allowed to read");
        assert!(!exec("exec 3>>/dev/disk"), "not to write");
        assert!(!exec("exec 3</dev/part"), "not allowed at all");
        assert!(exec("echo >/dev/null"), "every container has it");
        case.program("systemctl").args(["daemon-reload"]).run().ok();
    }
    case.destroy(&id);
}

#[convention("An annotation is a property of the unit; seconds are seconds.")]
fn annotations(case: &mut Case) {
    let mut scope = Scope::new(case);
    let annotations = json!({
        "org.systemd.property.TimeoutStopSec": "uint64 17",
        "org.systemd.property.CollectMode": "'inactive-or-failed'",
    });
    scope.bundle.config.set("/annotations", annotations);
    let id = scope.launch(case);
    assert_eq!(scope.property(case, "TimeoutStopUSec"), "17s");
    assert_eq!(scope.property(case, "CollectMode"), "inactive-or-failed");
    case.destroy(&id);
}

#[convention("run.oci.systemd.subgroup: the program starts below its scope, whose limits hold.")]
fn subgroup(case: &mut Case) {
    let mut scope = Scope::new(case);
    let annotations = json!({"run.oci.systemd.subgroup": "payload"});
    scope.bundle.config.set("/annotations", annotations);
    let id = scope.launch(case);
    assert_eq!(scope.file("cgroup.procs"), "");
    assert_eq!(scope.file("payload/cgroup.procs").lines().count(), 1);
    case.runtime().args(["kill", &id, "KILL"]).run().ok();
    case.destroy(&id);
    assert_eq!(scope.property(case, "LoadState"), "not-found");
}

#[convention(
    "run.oci.delegate-cgroup: the program starts below its scope, in a cgroup of its user."
)]
fn delegated(case: &mut Case) {
    case.only_corten();
    for subgroup in [None, Some("payload")] {
        let mut scope = Scope::new(case);
        scope.bundle.config.user_namespace(100_000);
        scope.bundle.give_directories_to(100_000);
        let mut annotations = json!({"run.oci.delegate-cgroup": "init.scope"});
        if let Some(subgroup) = subgroup {
            annotations["run.oci.systemd.subgroup"] = subgroup.into();
        }
        let limits = json!({"pids": {"limit": 50}});
        scope
            .bundle
            .config
            .set("/annotations", annotations)
            .set("/linux/resources", limits);
        let id = scope.launch(case);
        let place = match subgroup {
            Some(subgroup) => format!("{subgroup}/init.scope"),
            None => "init.scope".to_owned(),
        };
        let procs = scope.file(&format!("{place}/cgroup.procs"));
        assert_eq!(procs, case.pid(&id).to_string());
        let owner = |name: &str| {
            let found = std::fs::metadata(scope.directory.join(name)).unwrap();
            std::os::unix::fs::MetadataExt::uid(&found)
        };
        assert_eq!(owner(&place), 100_000);
        assert_eq!(owner(&format!("{place}/cgroup.procs")), 100_000);
        assert_eq!(owner("pids.max"), 0);
        assert_eq!(scope.property(case, "TasksMax"), "50");
        let exec = case.runtime().args(["exec", &id, "/bin/true"]);
        exec.run().ok();
        case.runtime().args(["kill", &id, "KILL"]).run().ok();
        case.destroy(&id);
        assert_eq!(scope.property(case, "LoadState"), "not-found");
    }
}

#[convention("A name that looks like a slice's is that of a scope.")]
fn named_like_a_slice(case: &mut Case) {
    case.only_corten();
    let mut scope = Scope::new(case);
    let place = format!("machine.slice:test:{}.slice", case.token());
    scope.bundle.config.set("/linux/cgroupsPath", place.into());
    let id = scope.launch(case);
    let unit = format!("test-{}.slice.scope", case.token());
    assert_eq!(property(case, &unit, "ActiveState"), "active");
    case.destroy(&id);
    assert_eq!(property(case, &unit, "LoadState"), "not-found");
}

#[convention("A property that systemd does not know fails the container, and is named.")]
fn unknown_property(case: &mut Case) {
    let mut scope = Scope::new(case);
    let annotations = json!({"org.systemd.property.NoSuchThing": "true"});
    scope.bundle.config.set("/annotations", annotations);
    let id = case.id();
    scope.create(case, &id).fails().says("NoSuchThing");
    assert_eq!(scope.property(case, "LoadState"), "not-found");
}

#[convention("`pause` and `resume` need no option.")]
fn pause(case: &mut Case) {
    let scope = Scope::new(case);
    let id = scope.launch(case);
    case.runtime().args(["pause", &id]).run().ok();
    assert_eq!(case.status(&id), "paused");
    assert!(scope.file("cgroup.events").contains("frozen 1"));
    case.runtime().args(["resume", &id]).run().ok();
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

#[convention("After `delete` systemd knows nothing of the unit, and its cgroup is gone.")]
fn delete_removes_all(case: &mut Case) {
    let scope = Scope::new(case);
    let id = scope.launch(case);
    case.runtime().args(["delete", "--force", &id]).run().ok();
    assert_eq!(scope.property(case, "LoadState"), "not-found");
    assert!(!scope.directory.exists());
}

#[convention("A scope that failed for lack of memory does not keep its name.")]
fn failed_unit_is_forgotten(case: &mut Case) {
    let mut scope = Scope::new(case);
    scope
        .bundle
        .config
        .set("/linux/resources/memory", json!({"limit": 16 << 20}))
        .shell("dd if=/dev/zero of=/dev/shm/x bs=1M count=60");
    for _ in 0..2 {
        let id = case.id();
        scope.create(case, &id).ok();
        let pid = case.pid(&id);
        case.start(&id);
        case.wait(pid);
        case.until("the unit fails or goes", || {
            matches!(
                property(case, &scope.unit, "ActiveState").as_str(),
                "failed" | "inactive"
            )
        });
        case.delete(&id);
        assert_eq!(scope.property(case, "LoadState"), "not-found");
    }
}

#[convention("A unit that is active is nobody else's to take.")]
fn unit_in_use(case: &mut Case) {
    let scope = Scope::new(case);
    let id = scope.launch(case);
    let other = case.id();
    scope.create(case, &other).fails().says(&scope.unit);
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
}

/// The scope lives and dies with the process in it.
#[convention("A container that cannot be made leaves no unit.")]
fn failed_create(case: &mut Case) {
    let mut scope = Scope::new(case);
    scope.bundle.config.args(&["/no/such/program"]);
    let id = case.id();
    scope.create(case, &id).fails();
    case.until("systemd forgets the unit", || {
        property(case, &scope.unit, "LoadState") == "not-found"
    });
    assert!(!scope.directory.exists());
}

/// Huge pages, which systemd does not know.
#[convention("A controller that systemd does not know is enabled all the same.")]
fn foreign_controller(case: &mut Case) {
    require(case);
    let mut scope = Scope::new(case);
    let limits = json!([{"pageSize": "2MB", "limit": 4_194_304}]);
    scope
        .bundle
        .config
        .set("/linux/resources/hugepageLimits", limits);
    let id = scope.launch(case);
    assert_eq!(scope.file("hugetlb.2MB.max"), "4194304");
    case.destroy(&id);
}
