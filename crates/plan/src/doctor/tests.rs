use super::{Check, Engine, Health, Survey, examine};
use crate::{CgroupMode, HostFacts, Lsm};

/// A machine on which nothing is missing.
fn healthy() -> (HostFacts, Survey) {
    let host = HostFacts {
        lsm: vec![Lsm::AppArmor],
        ..HostFacts::v2_root()
    };
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    let survey = Survey {
        user: "root".to_owned(),
        max_user_namespaces: Some(10_000),
        subuids: 65_536,
        subgids: 65_536,
        newuidmap: Some("/usr/bin/newuidmap".to_owned()),
        newgidmap: Some("/usr/bin/newgidmap".to_owned()),
        criu: Some("/usr/sbin/criu".to_owned()),
        ps: Some("/bin/ps".to_owned()),
        seccomp_actions: words(&["kill_process", "errno", "user_notif"]),
        filesystems: words(&["overlay", "mqueue"]),
        time_namespaces: true,
        keyrings: true,
        pressure: true,
        ..Survey::default()
    };
    (host, survey)
}

fn find<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    let found = checks.iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no check {name}: {checks:#?}"))
}

/// What is not well, changed by one thing.
fn after(change: impl Fn(&mut HostFacts, &mut Survey)) -> Vec<(String, Health)> {
    let (mut host, mut survey) = healthy();
    change(&mut host, &mut survey);
    let checks = examine(&host, &survey);
    let ill = checks.into_iter().filter(|check| check.state != Health::Ok);
    ill.map(|check| {
        assert!(check.costs.is_some(), "{check:?}");
        (check.name, check.state)
    })
    .collect()
}

#[test]
fn nothing_is_wrong_with_a_healthy_machine() {
    assert_eq!(after(|_, _| {}), []);
}

#[test]
fn each_thing_that_is_wrong_is_one_line() {
    type Change = fn(&mut HostFacts, &mut Survey);
    let table: [(Change, &str, Health); 12] = [
        (|host, _| host.kernel = (5, 10), "kernel", Health::Missing),
        (
            |host, _| host.kernel = (6, 5),
            "fchmodat2",
            Health::Degraded,
        ),
        (
            |_, survey| survey.seccomp_actions.clear(),
            "seccomp",
            Health::Missing,
        ),
        (
            |host, _| host.lsm.clear(),
            "security modules",
            Health::Degraded,
        ),
        (
            |host, _| host.cgroup.mode = CgroupMode::Hybrid,
            "cgroups",
            Health::Degraded,
        ),
        (
            |host, _| host.cgroup.mode = CgroupMode::None,
            "cgroups",
            Health::Missing,
        ),
        (
            |host, _| host.cgroup.v2_controllers.retain(|c| c != "memory"),
            "controller memory",
            Health::Degraded,
        ),
        (
            |host, _| host.effective_capabilities &= !(1 << 21),
            "CAP_SYS_ADMIN",
            Health::Missing,
        ),
        (
            |_, survey| survey.max_user_namespaces = Some(0),
            "user namespaces",
            Health::Degraded,
        ),
        (|_, survey| survey.criu = None, "criu", Health::Degraded),
        (
            |_, survey| survey.filesystems.retain(|f| f != "overlay"),
            "overlay",
            Health::Degraded,
        ),
        (
            |_, survey| survey.pressure = false,
            "pressure",
            Health::Degraded,
        ),
    ];
    for (change, name, state) in table {
        assert_eq!(after(change), [(name.to_owned(), state)]);
    }
}

#[test]
fn a_user_is_told_what_root_must_grant() {
    let (mut host, mut survey) = healthy();
    host.effective_uid = 1000;
    survey.user = "ann".to_owned();
    survey.subuids = 0;
    survey.newgidmap = None;
    survey.max_user_namespaces = Some(0);
    let checks = examine(&host, &survey);
    assert_eq!(find(&checks, "user namespaces").state, Health::Missing);
    let mend = find(&checks, "subuid").mend.as_deref();
    assert_eq!(
        mend,
        Some("as root: usermod --add-subuids 100000-165535 ann")
    );
    assert_eq!(find(&checks, "newgidmap").state, Health::Degraded);
    assert_eq!(find(&checks, "delegation").state, Health::Degraded);
    assert_eq!(find(&checks, "newuidmap").state, Health::Ok);
}

#[test]
fn engines_are_told_how_to_use_corten() {
    let (host, mut survey) = healthy();
    survey.own_path = Some("/opt/corten".to_owned());
    survey.engines = vec![
        Engine {
            name: "podman".to_owned(),
            path: "/usr/bin/podman".to_owned(),
            configured_in: Some("/etc/containers/containers.conf".to_owned()),
        },
        Engine {
            name: "containerd".to_owned(),
            path: "/usr/bin/containerd".to_owned(),
            configured_in: None,
        },
    ];
    let checks = examine(&host, &survey);
    assert_eq!(find(&checks, "podman").state, Health::Ok);
    let mend = find(&checks, "containerd").mend.clone().unwrap();
    assert!(
        mend.starts_with("ctr run --runc-binary /opt/corten"),
        "{mend}"
    );
}
