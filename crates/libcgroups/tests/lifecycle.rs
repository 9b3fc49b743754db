//! Making, joining, freezing, ending and removing real cgroups.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod support;

use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kernel::process::{Clone3, run_in_child};
use libcgroups::{Cgroup, create};
use plan::{CgroupFacts, CgroupMode};
use support::{Gated, Test, TestCgroup, paths, plan_at, unique_path, view};

const TESTS: &[Test] = &[
    (
        "a_shared_directory_may_vanish_while_it_is_used",
        a_shared_directory_may_vanish_while_it_is_used,
    ),
    ("the_host_is_seen_as_it_is", the_host_is_seen_as_it_is),
    (
        "what_create_made_remove_takes_away_and_nothing_above",
        what_create_made_remove_takes_away_and_nothing_above,
    ),
    (
        "a_cgroup_in_use_is_refused_and_left_alone",
        a_cgroup_in_use_is_refused_and_left_alone,
    ),
    (
        "a_failed_create_leaves_nothing",
        a_failed_create_leaves_nothing,
    ),
    (
        "a_child_is_born_in_v2_and_joins_v1_by_its_tasks",
        a_child_is_born_in_v2_and_joins_v1_by_its_tasks,
    ),
    (
        "frozen_is_what_was_asked_for_here",
        frozen_is_what_was_asked_for_here,
    ),
    (
        "all_die_frozen_or_not_also_in_cgroups_below",
        all_die_frozen_or_not_also_in_cgroups_below,
    ),
    ("nobody_kills_itself", nobody_kills_itself),
    (
        "a_busy_cgroup_says_who_is_inside",
        a_busy_cgroup_says_who_is_inside,
    ),
];

fn main() -> std::process::ExitCode {
    support::run_in_every_view(TESTS)
}

fn the_host_is_seen_as_it_is(facts: &CgroupFacts) {
    let mode = match view().as_str() {
        "v1" => CgroupMode::V1,
        "v2" => CgroupMode::V2,
        _ => return,
    };
    assert_eq!(facts.mode, mode);
    assert_eq!(facts.v1_mounts.is_empty(), mode == CgroupMode::V2);
    assert_eq!(facts.v2_mount.is_some(), mode == CgroupMode::V2);
    assert_eq!(facts.delegated, None);
}

fn what_create_made_remove_takes_away_and_nothing_above(facts: &CgroupFacts) {
    let test = TestCgroup::new(facts);
    assert!(test.paths().iter().all(|path| path.is_dir()));
    for path in test.paths() {
        fs::create_dir_all(path.join("made/inside")).unwrap();
    }
    test.cgroup.remove().unwrap();
    for path in test.paths() {
        assert!(!path.exists());
        assert!(path.parent().unwrap().is_dir());
    }
    test.cgroup.remove().unwrap();
    assert_eq!(test.cgroup.pids().unwrap(), [0; 0]);
    assert!(!test.cgroup.is_frozen().unwrap());
    test.cgroup.thaw().unwrap();
    test.cgroup.kill_all().unwrap();
}

fn a_cgroup_in_use_is_refused_and_left_alone(facts: &CgroupFacts) {
    let test = TestCgroup::new(facts);
    let process = Gated::new("true");
    test.add(process.0.id());
    let error = create(&test.plan).unwrap_err().to_string();
    let words = "container's cgroup is not empty: 1 process(es) found";
    assert!(error.starts_with("linux.cgroupsPath: "), "{error}");
    assert!(error.contains(words), "{error}");
    assert!(test.paths().iter().all(|path| path.is_dir()));
    drop(process);
    test.cgroup.freeze().unwrap();
    let error = create(&test.plan).unwrap_err().to_string();
    assert!(
        error.contains("container's cgroup unexpectedly frozen"),
        "{error}"
    );
    test.cgroup.thaw().unwrap();
    create(&test.plan).unwrap();
}

fn a_failed_create_leaves_nothing(facts: &CgroupFacts) {
    let mut plan = plan_at(&unique_path(), facts);
    plan.directories.push(plan::cgroup::CgroupDirectory {
        controllers: vec!["memory".to_owned()],
        mount: "/sys/fs".to_owned(),
        v2: false,
        enable: Vec::new(),
    });
    let error = create(&plan).unwrap_err().to_string();
    assert!(
        error.contains("no cgroup v1 hierarchy is mounted there"),
        "{error}"
    );
    for path in paths(&plan) {
        assert!(!path.parent().unwrap().exists(), "{path:?}");
    }
}

fn a_child_is_born_in_v2_and_joins_v1_by_its_tasks(facts: &CgroupFacts) {
    let test = TestCgroup::new(facts);
    let tasks: Vec<OwnedFd> = test.cgroup.tasks_files().unwrap();
    assert_eq!(
        tasks.len(),
        test.plan.directories.iter().filter(|d| !d.v2).count()
    );
    let (mut reader, writer) = std::io::pipe().unwrap();
    let clone = Clone3 {
        into_cgroup: test.cgroup.directory_for_clone(),
        ..Clone3::default()
    };
    let (pid, pidfd) = run_in_child(&clone, || {
        for file in &tasks {
            if let Err(e) = kernel::fs::write_once(file.as_fd(), "tasks", "0") {
                eprintln!("{e}");
                return 1;
            }
        }
        let _ = (&writer).write_all(b"x");
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    })
    .unwrap();
    drop(writer);
    let mut byte = [0];
    let joined = std::io::Read::read(&mut reader, &mut byte).unwrap();
    let member = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let found = test.cgroup.pids();
    test.cgroup.kill_all().unwrap();
    let status = kernel::pidfd::wait(pidfd.as_fd()).unwrap();
    assert_eq!(joined, 1, "the child joined all hierarchies");
    assert_eq!(found.unwrap(), [pid]);
    let inside = member
        .lines()
        .filter(|line| line.ends_with(&test.plan.path))
        .count();
    assert_eq!(
        inside,
        facts.v1_mounts.len() + usize::from(facts.v2_mount.is_some())
    );
    assert_eq!(status, kernel::process::ExitStatus::Signal(9));
}

fn frozen_is_what_was_asked_for_here(facts: &CgroupFacts) {
    let test = TestCgroup::new(facts);
    let process = Gated::new("echo ran");
    test.add(process.0.id());
    assert!(!test.cgroup.is_frozen().unwrap());
    test.cgroup.freeze().unwrap();
    assert!(test.cgroup.is_frozen().unwrap());
    // Named anew, as a later command does.
    let again = Cgroup::open(&test.plan.directories, &test.plan.path);
    assert!(again.is_frozen().unwrap());
    let below = Cgroup::open(&test.plan.directories, &format!("{}/below", test.plan.path));
    for path in test.paths() {
        fs::create_dir(path.join("below")).unwrap();
    }
    assert!(
        !below.is_frozen().unwrap(),
        "a frozen parent is not its own wish"
    );
    again.thaw().unwrap();
    assert!(!test.cgroup.is_frozen().unwrap());
    assert_eq!(process.finish(), "ran\n");
}

fn all_die_frozen_or_not_also_in_cgroups_below(facts: &CgroupFacts) {
    for frozen in [false, true] {
        let test = TestCgroup::new(facts);
        let (one, two) = (Gated::new("true"), Gated::new("true"));
        test.add(one.0.id());
        for path in test.paths() {
            let below = path.join("below");
            fs::create_dir(&below).unwrap();
            copy_sets(&path, &below);
            fs::write(below.join("cgroup.procs"), two.pid().to_string()).unwrap();
        }
        let mut both = vec![one.pid(), two.pid()];
        both.sort_unstable();
        assert_eq!(test.cgroup.pids().unwrap(), both);
        if frozen {
            test.cgroup.freeze().unwrap();
        }
        let start = Instant::now();
        test.cgroup.kill_all().unwrap();
        assert_eq!(one.wait().signal(), Some(9));
        assert_eq!(two.wait().signal(), Some(9));
        test.cgroup.remove().unwrap();
        assert!(test.paths().iter().all(|path| !path.exists()));
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}

fn copy_sets(from: &std::path::Path, to: &std::path::Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(set) = fs::read(from.join(file))
            && !set.trim_ascii().is_empty()
        {
            fs::write(to.join(file), set).unwrap();
        }
    }
}

fn nobody_kills_itself(facts: &CgroupFacts) {
    let test = TestCgroup::new(facts);
    let tasks = test.cgroup.tasks_files().unwrap();
    let clone = Clone3 {
        into_cgroup: test.cgroup.directory_for_clone(),
        ..Clone3::default()
    };
    let (_, pidfd) = run_in_child(&clone, || {
        for file in &tasks {
            kernel::fs::write_once(file.as_fd(), "tasks", "0").unwrap();
        }
        let error = test.cgroup.kill_all().unwrap_err().to_string();
        assert!(
            error.contains("this process is in the container's cgroup"),
            "{error}"
        );
        7
    })
    .unwrap();
    let status = kernel::pidfd::wait(pidfd.as_fd()).unwrap();
    assert_eq!(status, kernel::process::ExitStatus::Code(7));
}

fn a_busy_cgroup_says_who_is_inside(facts: &CgroupFacts) {
    let test = TestCgroup::new(facts);
    let process = Gated::new("true");
    test.add(process.0.id());
    let error = test.cgroup.remove().unwrap_err().to_string();
    let words = format!(
        "device or resource busy (processes inside: {})",
        process.pid()
    );
    assert!(error.contains(&words), "{error}");
    assert!(error.contains(&test.plan.path), "{error}");
}

fn a_shared_directory_may_vanish_while_it_is_used(facts: &CgroupFacts) {
    const ENOUGH: u32 = 20;
    let plan = plan_at(&unique_path(), facts);
    let (taken, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    let deadline = Instant::now() + Duration::from_secs(5);
    let failed = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for path in paths(&plan) {
                    let removed = fs::remove_dir(path.parent().unwrap()).is_ok();
                    taken.fetch_add(removed.into(), Ordering::Relaxed);
                }
                // Without a pause both wait for the kernel's one lock in turn,
                // and the maker never gets two turns together.
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let mut failed = None;
        while failed.is_none()
            && taken.load(Ordering::Relaxed) < ENOUGH
            && Instant::now() < deadline
        {
            failed = create(&plan).and_then(|cgroup| cgroup.remove()).err();
        }
        stop.store(true, Ordering::Relaxed);
        failed
    });
    for path in paths(&plan) {
        let _ = fs::remove_dir(path.parent().unwrap());
    }
    assert_eq!(failed, None);
    println!("taken away {} times", taken.into_inner());
}
