//! A user with a login session and a systemd of their own.

use runtime_tests::{Bundle, Case, Finished, convention};
use serde_json::json;

use crate::machine::{read, require, require_program};

const CHAPTER: &str = "systemd: users";

/// The user of the machine, and the first of its subordinate ids.
const USER: u32 = 1000;
const NAME: &str = "tester";
const FIRST_SUBORDINATE: u32 = 100_000;
const MANAGER: &str = "/user.slice/user-1000.slice/user@1000.service";

/// Starts the user's systemd, which stays.
pub fn require_user(case: &Case) {
    require(case);
    require_program("newuidmap");
    let passwd = read("/etc/passwd".as_ref());
    if !passwd.contains(&format!("\n{NAME}:x:{USER}:")) {
        runtime_tests::skip(&format!("there is no user {NAME} with uid {USER}"));
    }
    case.program("loginctl")
        .args(["enable-linger", NAME])
        .run()
        .ok();
    let bus = format!("/run/user/{USER}/bus");
    case.until("the user's bus", || std::path::Path::new(&bus).exists());
}

/// A line of shell in a session of the user's, which logs in for it.
pub fn log_in(case: &Case, line: &str) -> Finished {
    let line = format!("export XDG_RUNTIME_DIR=/run/user/{USER}; {line}");
    let su = case.program("su").args(["-l", NAME, "-c", &line]);
    su.limit(std::time::Duration::from_secs(180)).run()
}

/// A bundle of the user's, with all of the user's ids mapped.
fn bundle(case: &mut Case) -> Bundle {
    require_user(case);
    let token = case.token().to_owned();
    let mut bundle = case.bundle();
    let config = &mut bundle.config;
    config.set(
        "/linux/cgroupsPath",
        format!("user-x.slice:test:{token}").into(),
    );
    config.args(&["/bin/sleep", "1000"]);
    config.push("/linux/namespaces", json!({"type": "user"}));
    for ids in ["uidMappings", "gidMappings"] {
        let map = json!([
            {"containerID": 0, "hostID": USER, "size": 1},
            {"containerID": 1, "hostID": FIRST_SUBORDINATE, "size": 65535},
        ]);
        config.set(&format!("/linux/{ids}"), map);
    }
    bundle
}

/// Writes the bundle and gives it to the user.
fn hand_over(case: &Case, bundle: &Bundle) -> String {
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let owner = format!("{USER}:{USER}");
    case.program("chown").args(["-R", &owner, &path]).run().ok();
    path
}

/// The tests know no other place that the user may write to.
fn state(case: &Case) -> String {
    format!("/run/user/{USER}/{}", case.token())
}

#[convention(
    "The user's systemd makes the scope and its limits; every command works from a session."
)]
fn scope_of_a_user(case: &mut Case) {
    let mut bundle = bundle(case);
    let limits = json!({
        "memory": {"limit": 67_108_864},
        "cpu": {"quota": 50_000, "period": 100_000, "cpus": "0"},
        "pids": {"limit": 50},
    });
    bundle.config.set("/linux/resources", limits);
    let path = hand_over(case, &bundle);
    let runtime = format!("{} --root {}", case.runtime_path(), state(case));
    let unit = format!("test-{}.scope", case.token());
    let line = format!(
        "set -e; {runtime} --systemd-cgroup run --detach --bundle {path} c1 >/dev/null 2>&1 </dev/null
        systemctl --user show --value -p MemoryMax -p TasksMax -p AllowedCPUs {unit}
        cd /sys/fs/cgroup{MANAGER}/user.slice/user-x.slice/{unit}
        cat memory.max cpu.max pids.max cpuset.cpus
        {runtime} exec c1 /bin/cat /proc/self/cgroup
        {runtime} update --pids-limit 20 c1; cat pids.max
        {runtime} pause c1; {runtime} resume c1; cd /
        {runtime} delete --force c1
        systemctl --user show --value -p LoadState {unit}"
    );
    let shown = log_in(case, &line).ok().stdout;
    let words: Vec<_> = shown.split_whitespace().collect();
    let wanted = "0 67108864 50 67108864 50000 100000 50 0 0::/ 20 not-found";
    let mut words_of_systemd = words[..3].to_vec();
    words_of_systemd.sort_unstable();
    let wanted: Vec<_> = wanted.split(' ').collect();
    assert_eq!(words_of_systemd, ["0", "50", "67108864"], "{shown}");
    assert_eq!(words[3..], wanted[3..], "{shown}");
}

#[convention("A controller that the user has not is refused by the name of the property.")]
fn controller_that_is_not_given(case: &mut Case) {
    let mut bundle = bundle(case);
    let limits = json!([{"pageSize": "2MB", "limit": 0}]);
    bundle.config.set("/linux/resources/hugepageLimits", limits);
    let path = hand_over(case, &bundle);
    let runtime = format!("{} --root {}", case.runtime_path(), state(case));
    let line = format!("{runtime} --systemd-cgroup run --bundle {path} c1");
    log_in(case, &line).fails().says("hugetlb");
}

/// runc runs the container without its limit only when nothing was asked for.
#[convention(
    "Without systemd a session has no cgroup to give: a limit is refused with the remedy."
)]
fn limit_without_delegation(case: &mut Case) {
    case.only_corten();
    let mut bundle = bundle(case);
    bundle
        .config
        .set("/linux/resources/memory", json!({"limit": 67_108_864}))
        .remove("/linux", "cgroupsPath");
    let path = hand_over(case, &bundle);
    let runtime = format!("{} --root {}", case.runtime_path(), state(case));
    let refused = log_in(case, &format!("{runtime} run --bundle {path} c1"));
    refused
        .fails()
        .says("linux.resources.memory.limit")
        .says("systemd-run --user --scope -p Delegate=yes");
    let line = format!(
        "systemd-run --user --scope --quiet -p Delegate=yes sh -c \
         '{runtime} run --bundle {path} c1' </dev/null"
    );
    bundle.config.args(&["/bin/echo", "limited"]);
    hand_over(case, &bundle);
    assert_eq!(log_in(case, &line).ok().stdout.trim(), "limited");
}

/// The user's bus may be named by the environment alone, or not at all.
#[convention("A bus that is not where the environment says is looked for at its usual place.")]
fn bus_by_default(case: &mut Case) {
    let mut bundle = bundle(case);
    bundle.config.args(&["/bin/echo", "ran"]);
    let path = hand_over(case, &bundle);
    let runtime = format!("{} --root {}", case.runtime_path(), state(case));
    for environment in [
        "unset DBUS_SESSION_BUS_ADDRESS",
        "export DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus",
    ] {
        let line = format!("{environment}; {runtime} --systemd-cgroup run --bundle {path} c1");
        assert_eq!(
            log_in(case, &line).ok().stdout.trim(),
            "ran",
            "{environment}"
        );
    }
}
