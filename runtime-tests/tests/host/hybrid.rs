//! systemd on cgroup v1, with the v2 hierarchy beside it or without: machines that were
//! booted with `systemd.unified_cgroup_hierarchy=0`.

use std::path::PathBuf;

use runtime_tests::{Bundle, Case, convention, skip};
use serde_json::json;

use crate::machine::{property, read, with_systemd};

const CHAPTER: &str = "systemd: cgroup v1";

/// A container that waits, with a limit of each kind.
fn limited(case: &mut Case) -> Bundle {
    let name = case.token().to_owned();
    let mut bundle = case.bundle();
    let limits = json!({
        "memory": {"limit": 67_108_864},
        "cpu": {"quota": 50_000, "period": 100_000, "cpus": "0"},
        "pids": {"limit": 50},
        "devices": [{"allow": false, "access": "rwm"}],
    });
    bundle
        .config
        .set(
            "/linux/cgroupsPath",
            format!("machine-x.slice:test:{name}").into(),
        )
        .set("/linux/resources", limits)
        .args(&["/bin/sleep", "1000"]);
    bundle
}

#[convention("A scope on v1 has its limits in every hierarchy, and they last.")]
fn v1_scope(case: &mut Case) {
    if !PathBuf::from("/run/systemd/system").exists() {
        skip("systemd does not run this machine");
    }
    if case.view.is_unified() {
        skip("this machine is on cgroup v2 alone");
    }
    let unit = format!("test-{}.scope", case.token());
    let bundle = limited(case);
    bundle.write();
    let id = case.id();
    let path = bundle.path.to_string_lossy().into_owned();
    let create = with_systemd(case).args(["create", "--bundle", &path, &id]);
    create.run().ok();
    case.start(&id);
    let place = format!("machine.slice/machine-x.slice/{unit}");
    let pid = case.pid(&id);
    for line in read(format!("/proc/{pid}/cgroup").as_ref()).lines() {
        assert!(line.ends_with(&format!(":/{place}")), "{line}");
    }
    let file = |controller: &str, file: &str| {
        read(&PathBuf::from(format!(
            "/sys/fs/cgroup/{controller}/{place}/{file}"
        )))
    };
    // systemd writes its own list when it is reloaded: the same rules in another order.
    let rules = || {
        let text = file("devices", "devices.list");
        let mut rules: Vec<_> = text.lines().map(str::to_owned).collect();
        rules.sort();
        rules
    };
    let devices = rules();
    assert!(devices.contains(&"c 1:3 rwm".to_owned()), "{devices:?}");
    assert!(!devices.contains(&"a *:* rwm".to_owned()), "{devices:?}");
    assert_eq!(file("cpuset", "cpuset.cpus"), "0");
    let update = case.runtime().args(["update", "--memory", "134217728"]);
    update.args(["--pids-limit", "20", &id]).run().ok();
    for _ in 0..2 {
        assert_eq!(property(case, &unit, "MemoryLimit"), "134217728");
        assert_eq!(property(case, &unit, "TasksMax"), "20");
        assert_eq!(file("memory", "memory.limit_in_bytes"), "134217728");
        assert_eq!(file("cpu", "cpu.cfs_quota_us"), "50000");
        assert_eq!(file("pids", "pids.max"), "20");
        assert_eq!(rules(), devices);
        case.program("systemctl").args(["daemon-reload"]).run().ok();
    }
    case.runtime().args(["pause", &id]).run().ok();
    assert_eq!(case.status(&id), "paused");
    case.runtime().args(["delete", "--force", &id]).run().ok();
    assert_eq!(property(case, &unit, "LoadState"), "not-found");
}
