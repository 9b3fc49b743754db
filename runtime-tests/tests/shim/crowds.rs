//! Many containers and many execs through shims: no process, descriptor or fifo stays.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime_tests::{Bundle, Case, convention};
use serde_json::json;

use crate::driver::{Stdio3, Task, descriptors};
use crate::service::process;
use crate::streams::{Reader, fifo};
use crate::telling::{Telling, alone, compare};

const CHAPTER: &str = "The shim: crowds";

pub fn is_full() -> bool {
    std::env::var("ABUSE").is_ok_and(|how| how == "full")
}

/// What a process holds, and what could grow in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    descriptors: Vec<String>,
    threads: usize,
}

fn held(pid: i32) -> Held {
    let kinds = descriptors(pid).into_iter().map(|name| {
        let kind = name.split(':').next().unwrap_or_default().to_owned();
        // Sockets of clients come and go.
        if kind.starts_with('/') { name } else { kind }
    });
    Held {
        descriptors: kinds.collect(),
        threads: fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count),
    }
}

/// Fifos for both streams of output, and who reads them.
fn two_fifos(directory: &Path, id: &str) -> (Stdio3, [Reader; 2]) {
    let path = directory.join(id);
    let streams = Stdio3 {
        stdout: fifo(&path),
        stderr: fifo(&path.with_extension("err")),
        ..Stdio3::default()
    };
    let readers = [
        Reader::start(&streams.stdout),
        Reader::start(&streams.stderr),
    ];
    (streams, readers)
}

/// Rounds of an exec with fifos, from start to deletion.
fn execs(task: &Task, directory: &Path, numbers: &AtomicUsize, count: usize) {
    loop {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        if number >= count {
            return;
        }
        let id = format!("e{number}");
        let (streams, [reader, errors]) = two_fifos(directory, &id);
        let code = u32::try_from(number % 100).expect("small");
        let line = format!("echo {number}; exit {code}");
        task.exec(&id, &process(&line), &streams).expect("exec");
        task.start(&id).expect("start");
        let ended = task.wait(&id).expect("wait");
        assert_eq!(ended.exit_status, code, "of {id}");
        assert_eq!(
            (reader.all(), errors.all()),
            (format!("{number}\n"), String::new())
        );
        task.delete(&id).expect("delete");
        for path in [&streams.stderr, &streams.stdout] {
            fs::remove_file(path).expect("the fifo");
        }
    }
}

/// Exactly one start and one end of each exec, the start first, and the codes.
fn check_events(telling: &Telling, container: &str, count: usize) {
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let heard = telling.listener.heard();
    for event in heard.iter().filter(|event| event.container == container) {
        if !event.exec.is_empty() {
            let events = seen.entry(event.exec.clone()).or_default();
            events.push(format!("{} {}", event.topic, event.rest).trim().to_owned());
        }
    }
    assert_eq!(seen.len(), count);
    for (exec, events) in &seen {
        let number: usize = exec[1..].parse().expect("a number");
        let exit = format!("/tasks/exit status {}, timed true", number % 100);
        assert_eq!(
            events,
            &["/tasks/exec-added", "/tasks/exec-started", &exit],
            "of {exec}"
        );
    }
}

fn many_execs_of(telling: &mut Telling, count: usize) {
    let bundle = telling.bundle("exec sleep 10000");
    let task = telling.shim(&bundle);
    telling.launch(&task, &Stdio3::default());
    let pid = telling.shim_pid();
    let directory = telling
        .case
        .directory
        .join(format!("execs-{}", telling.is_tested));
    fs::create_dir(&directory).expect("a directory");
    // The first ones load what stays.
    execs(&task, &directory, &AtomicUsize::new(0), 4);
    let numbers = AtomicUsize::new(4);
    let before = held(pid);
    let memory = resident(pid);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let task = task.reconnect();
            scope.spawn(|| {
                let task = task;
                execs(&task, &directory, &numbers, count);
            });
        }
    });
    telling.case.until("the last end is told", || {
        telling.listener.counts().get("/tasks/exit") == Some(&count)
    });
    check_events(telling, "c", count);
    if telling.is_tested {
        until_held(pid, &before);
        let grown = resident(pid).saturating_sub(memory);
        telling.case.count("execs through the shim", count);
        telling
            .case
            .count("kB more of memory in the shim afterwards", grown);
    }
    assert_eq!(fs::read_dir(&directory).expect("a directory").count(), 0);
    let left: Vec<_> = fs::read_dir(&bundle.path)
        .expect("the bundle")
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().starts_with("exec-"))
        .collect();
    assert!(left.is_empty(), "files of execs stay: {left:?}");
    let pids = task.pids().expect("pids").processes.len();
    assert_eq!(pids, 1, "of all processes init alone is left");
    telling.finish(&task);
}

/// Resident memory in kB.
fn resident(pid: i32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[convention(
    "Execs by the thousand, eight at a time: each is told once, in order, and nothing stays."
)]
fn many_execs(case: &mut Case) {
    match is_full() {
        true => alone(case, |telling| many_execs_of(telling, 10_000)),
        false => compare(case, |telling| many_execs_of(telling, 120)),
    }
}

/// One container's life with a fifo, in a bundle that is used again.
fn one_life(telling: &Telling, bundle: &Bundle, id: &str, directory: &Path) {
    let task = Task::start_shim(&telling.call, &bundle.path, id, telling.options());
    let task = task.unwrap_or_else(|error| panic!("start: {error}"));
    let (streams, [reader, errors]) = two_fifos(directory, id);
    task.create(&streams).expect("create");
    task.start("").expect("start");
    let ended = task.wait("").expect("wait");
    assert_eq!(ended.exit_status, 7);
    assert_eq!(
        (reader.all(), errors.all()),
        ("word\n".to_owned(), String::new())
    );
    task.delete("").expect("delete");
    task.shutdown();
    for path in [&streams.stderr, &streams.stdout] {
        fs::remove_file(path).expect("the fifo");
    }
}

/// As many lives as bundles at once, until there were `count`.
#[track_caller]
fn live_all(telling: &Telling, bundles: &[Bundle], directory: &Path, count: usize) {
    let numbers = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let live = |bundle: &Bundle| {
        loop {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            let id = format!("c{number}");
            let life = || one_life(telling, bundle, &id, directory);
            if catch_unwind(AssertUnwindSafe(life)).is_err() {
                failed.lock().expect("no panic").push(id);
            }
        }
    };
    std::thread::scope(|scope| {
        for bundle in bundles {
            scope.spawn(|| live(bundle));
        }
    });
    let failed = failed.into_inner().expect("no panic");
    assert!(failed.is_empty(), "{failed:?}");
}

fn many_containers_of(telling: &mut Telling, count: usize) {
    let bundles: Vec<Bundle> = (0..8)
        .map(|_| {
            let bundle = telling.bundle("echo word; exit 7");
            bundle.write();
            bundle
        })
        .collect();
    let directory = telling
        .case
        .directory
        .join(format!("lives-{}", telling.is_tested));
    fs::create_dir(&directory).expect("a directory");
    let own = descriptors(std::process::id().cast_signed()).len();
    live_all(telling, &bundles, &directory, count);
    telling.case.until("the last end is told", || {
        telling.listener.counts().get("/tasks/delete") == Some(&count)
    });
    let wanted = [
        "/tasks/create",
        "/tasks/start",
        "/tasks/exit",
        "/tasks/delete",
    ];
    let heard = telling.listener.heard();
    for number in 0..count {
        let id = format!("c{number}");
        let events = heard.iter().filter(|event| event.container == id);
        let topics: Vec<&str> = events.map(|event| event.topic.as_str()).collect();
        assert_eq!(topics, wanted, "of {id}");
    }
    telling.case.until("no socket of a shim stays", || {
        fs::read_dir("/run/containerd/s").map_or(0, Iterator::count) == 0
    });
    telling.case.until("no process stays", || {
        runtime_tests::descendants().is_empty()
    });
    assert!(descriptors(std::process::id().cast_signed()).len() <= own + 8);
    if telling.is_tested {
        telling
            .case
            .count("containers through shims of their own", count);
    }
}

#[convention(
    "Containers by the hundred, eight at a time, each with a shim of its own: nothing stays."
)]
fn many_containers(case: &mut Case) {
    match is_full() {
        true => alone(case, |telling| many_containers_of(telling, 1000)),
        false => compare(case, |telling| many_containers_of(telling, 24)),
    }
}

/// The first one's is in the shim's command line.
fn name_of(number: usize) -> String {
    match number {
        0 => "c".to_owned(),
        number => format!("c{number}"),
    }
}

/// Waits until a shim holds what it held.
#[track_caller]
fn until_held(pid: i32, before: &Held) {
    for _ in 0..200 {
        let now = held(pid);
        if now.descriptors == before.descriptors && now.threads <= before.threads {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("it holds {:?}\nbefore: {before:?}", held(pid));
}

fn crowd_of_one_shim(telling: &mut Telling, count: usize) {
    let mut tasks = Vec::new();
    for number in 0..count {
        let mut bundle = telling.bundle("exec sleep 1000");
        bundle
            .config
            .set("/annotations", json!({"io.containerd.runc.v2.group": "g"}));
        let options = telling.options();
        tasks.push(telling.shim_with(&bundle, &name_of(number), options));
    }
    let before = tasks.first().map(|task| {
        task.create(&Stdio3::default()).expect("create");
        task.start("").expect("start");
        held(telling.shim_pid())
    });
    std::thread::scope(|scope| {
        for task in &tasks[1..] {
            scope.spawn(|| {
                task.create(&Stdio3::default()).expect("create");
                task.start("").expect("start");
                task.kill("", 9).expect("kill");
                assert_eq!(task.wait("").expect("wait").exit_status, 137);
                task.delete("").expect("delete");
            });
        }
    });
    let pid = telling.shim_pid();
    let task = tasks[0].clone();
    if telling.is_tested {
        until_held(pid, before.as_ref().expect("the first"));
    }
    // The connections of the others.
    drop(tasks);
    telling.finish(&task);
    let mut counts = telling.listener.counts();
    counts.retain(|topic, _| topic != "/tasks/oom");
    telling.note("events", counts);
}

#[convention("Containers by the dozen in one shim, all at once.")]
fn one_shim_for_many(case: &mut Case) {
    match is_full() {
        true => alone(case, |telling| crowd_of_one_shim(telling, 100)),
        false => compare(case, |telling| crowd_of_one_shim(telling, 12)),
    }
}
