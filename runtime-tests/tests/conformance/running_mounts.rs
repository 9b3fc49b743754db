//! `mounts add` and `mounts remove`, which crun has since 1.29.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use runtime_tests::{Bundle, Case, Finished, Program, convention, skip};
use serde_json::{Value, json};

const CHAPTER: &str = "Mounts of running containers";

/// Skips unless the runtime has the command.
fn needs_mounts(case: &Case) {
    let help = case.runtime().args(["--help"]).run().stdout;
    if !help
        .lines()
        .any(|line| line.trim_start().starts_with("mounts "))
    {
        skip("this runtime has no command mounts");
    }
}

/// `mounts WHAT`, unfinished.
fn command(case: &Case, what: &str, id: &str, list: &Value) -> Program {
    let file = case.directory.join("list.json");
    fs::write(&file, list.to_string()).unwrap();
    let file = file.to_string_lossy();
    case.runtime().args(["mounts", what, id, &file])
}

#[track_caller]
fn change(case: &Case, what: &str, id: &str, list: &Value) -> Finished {
    command(case, what, id, list).run()
}

fn launch(case: &mut Case, bundle: &mut Bundle) -> String {
    bundle.config.args(&["/bin/probe", "wait"]);
    case.launch(bundle)
}

#[track_caller]
fn inside(case: &Case, id: &str, line: &str) -> String {
    let exec = case.runtime().args(["exec", id, "/bin/sh", "-c", line]);
    exec.run().ok().stdout.trim_end().to_owned()
}

/// Every mount of the container: point and options.
fn mounts_of(pid: i32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let point = |line: &str| {
        line.split(' ')
            .skip(4)
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines().map(point).collect()
}

/// A directory of the host with one file.
fn source(case: &Case, name: &str) -> String {
    let path = case.directory.join(name);
    fs::create_dir(&path).unwrap();
    fs::write(path.join("file"), format!("{name} of the host\n")).unwrap();
    path.to_string_lossy().into_owned()
}

#[convention("`mounts add` mounts what the list says, and `mounts remove` takes it away.")]
fn add_and_remove(case: &mut Case) {
    needs_mounts(case);
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let pid = case.pid(&id);
    // Other tests mount things of their own.
    let mounted = runtime_tests::mounts_below(&case.directory);
    let before = mounts_of(pid);
    let data = source(case, "data");
    let list = json!([
        {"destination": "/new/data", "type": "bind", "source": data, "options": ["rbind", "ro"]},
        {"destination": "/new/file", "source": format!("{data}/file"), "options": ["bind"]},
        {"destination": "/new/data", "type": "tmpfs", "source": "t", "options": ["nosuid", "size=64k"]}
    ]);
    let added = change(case, "add", &id, &list).ok();
    assert_eq!((added.stdout.as_str(), added.stderr.as_str()), ("", ""));
    let line = "cat /new/file; touch /new/data/x && ls /new/data; grep -c 'new/data.*size=64k' /proc/mounts";
    assert_eq!(inside(case, &id, line), "data of the host\nx\n1");
    // The upper of the two, then the lower.
    for (wanted, count) in [("file", 1), ("", 0)] {
        change(case, "remove", &id, &json!([{"destination": "/new/data"}])).ok();
        assert_eq!(inside(case, &id, "ls /new/data"), wanted);
        assert_eq!(
            inside(case, &id, "grep -c new/data /proc/mounts || true"),
            count.to_string()
        );
    }
    change(case, "remove", &id, &json!([{"destination": "/new/file"}])).ok();
    assert_eq!(mounts_of(pid), before);
    assert_eq!(runtime_tests::mounts_below(&case.directory), mounted);
    case.destroy(&id);
}

#[convention("The attributes of an added mount are there, and those below it with the r-words.")]
fn attributes(case: &mut Case) {
    needs_mounts(case);
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let data = source(case, "data");
    let list = json!([
        {"destination": "/a", "source": data, "options": ["bind", "ro", "noexec", "nodev"]},
        {"destination": "/b", "type": "tmpfs", "options": ["ro", "nosuid"]}
    ]);
    change(case, "add", &id, &list).ok();
    let line = "touch /a/x 2>/dev/null || echo ro; touch /b/x 2>/dev/null || echo ro";
    assert_eq!(inside(case, &id, line), "ro\nro");
    let mounts = mounts_of(case.pid(&id));
    let of = |point: &str| mounts.iter().find(|line| line.starts_with(point)).unwrap();
    for word in ["ro", "noexec", "nodev"] {
        assert!(of("/a ").contains(word), "{}", of("/a "));
    }
    assert!(of("/b ").contains("nosuid"), "{}", of("/b "));
    assert!(!fs::exists(Path::new(&data).join("x")).unwrap());
    case.destroy(&id);
}

#[convention("The list may come from standard input.")]
fn from_standard_input(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let list = json!([{"destination": "/a", "type": "tmpfs"}]).to_string();
    let add = case.runtime().args(["mounts", "add", &id, "-"]);
    add.input(&list).run().ok();
    assert_eq!(inside(case, &id, "grep -c ' /a ' /proc/mounts"), "1");
    case.destroy(&id);
}

#[convention("A container that waits for `start`, or is paused, takes mounts too.")]
fn created_and_paused(case: &mut Case) {
    needs_mounts(case);
    let mut bundle = case.bundle();
    bundle
        .config
        .shell("grep -c ' /a ' /proc/mounts > /seen; exec sleep 1000");
    let id = case.create(&bundle);
    let list = json!([{"destination": "/a", "type": "tmpfs"}]);
    change(case, "add", &id, &list).ok();
    case.start(&id);
    let seen = bundle.rootfs().join("seen");
    case.until("the program looks", || {
        fs::read_to_string(&seen).is_ok_and(|text| text == "1\n")
    });
    case.runtime().args(["pause", &id]).run().ok();
    change(case, "remove", &id, &list).ok();
    assert!(
        !mounts_of(case.pid(&id))
            .iter()
            .any(|line| line.starts_with("/a "))
    );
    case.runtime().args(["resume", &id]).run().ok();
    case.destroy(&id);
}

/// CVE-2019-16884, CVE-2021-30465 and their kind, with a container that runs.
#[convention("A destination that leads through symlinks of the container stays inside its root.")]
fn symlinks_stay_inside(case: &mut Case) {
    needs_mounts(case);
    let mut bundle = case.bundle();
    let outside = source(case, "outside");
    let root = bundle.rootfs();
    fs::create_dir(root.join("plain")).unwrap();
    symlink(&outside, root.join("absolute")).unwrap();
    symlink("../../../../../../plain", root.join("climbing")).unwrap();
    symlink("/proc/1/root/plain", root.join("magic")).unwrap();
    symlink("/proc", root.join("to-proc")).unwrap();
    let id = launch(case, &mut bundle);
    let host = mounts_of(std::process::id().cast_signed());
    let tmpfs =
        |path: &str| json!([{"destination": path, "type": "tmpfs", "options": ["size=4k"]}]);
    change(case, "add", &id, &tmpfs("/climbing")).ok();
    assert_eq!(inside(case, &id, "grep -c ' /plain ' /proc/mounts"), "1");
    change(case, "add", &id, &tmpfs("/absolute/x")).ok();
    assert!(!fs::exists(Path::new(&outside).join("x")).unwrap());
    // procfs is not to be hidden, and its links lead to other processes' roots.
    change(case, "add", &id, &tmpfs("/to-proc")).fails();
    change(case, "add", &id, &tmpfs("/to-proc/1")).fails();
    change(case, "add", &id, &tmpfs("/magic")).fails();
    assert_eq!(mounts_of(std::process::id().cast_signed()), host);
    case.destroy(&id);
}

#[convention("What masks a path of procfs or sysfs cannot be removed, under no name.")]
fn masks_stay(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    symlink("/proc/sys", bundle.rootfs().join("link")).unwrap();
    symlink("/sys/firmware", bundle.rootfs().join("masked")).unwrap();
    let id = launch(case, &mut bundle);
    let before = mounts_of(case.pid(&id));
    for path in [
        "/link",
        "/masked",
        "/proc/sys",
        "/sys/firmware",
        "/proc",
        "/",
    ] {
        let list = json!([{"destination": path}]);
        let refused = change(case, "remove", &id, &list).exits(1);
        assert!(
            refused.stderr.contains("mounts[0].destination"),
            "{}",
            refused.describe()
        );
    }
    assert_eq!(mounts_of(case.pid(&id)), before);
    case.destroy(&id);
}

#[convention("All of a list, or nothing.")]
fn all_or_nothing(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let pid = case.pid(&id);
    let before = mounts_of(pid);
    let data = source(case, "data");
    let good = [
        json!({"destination": "/a", "type": "tmpfs"}),
        json!({"destination": "/a/b", "source": data, "options": ["bind"]}),
    ];
    let bad = [
        (
            json!({"destination": "/c", "source": "/none", "options": ["bind"]}),
            "mounts[2].source",
        ),
        (
            json!({"destination": "/c", "type": "tmpfs", "options": ["sizee=1"]}),
            "mounts[2].options[0]",
        ),
        (
            json!({"destination": "/c", "type": "nonefs"}),
            "mounts[2].type",
        ),
        (
            json!({"destination": "/etc/passwd/c", "type": "tmpfs"}),
            "mounts[2].destination",
        ),
        (
            json!({"destination": "/etc/passwd", "type": "tmpfs"}),
            "mounts[2].destination",
        ),
    ];
    for (entry, property) in bad {
        let list = json!([good[0], good[1], entry]);
        let refused = change(case, "add", &id, &list).exits(1);
        assert!(refused.stderr.contains(property), "{}", refused.describe());
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.describe());
        assert_eq!(mounts_of(pid), before, "{property}");
    }
    change(case, "add", &id, &json!(good)).ok();
    let with_both = mounts_of(pid);
    for nothing in ["/none", "/etc"] {
        let list = json!([{"destination": nothing}, good[0], good[1]]);
        let refused = change(case, "remove", &id, &list).exits(1);
        assert!(
            refused.stderr.contains("mounts[0].destination"),
            "{}",
            refused.describe()
        );
        assert_eq!(mounts_of(pid), with_both);
    }
    change(case, "remove", &id, &json!(good)).ok();
    assert_eq!(mounts_of(pid), before);
    case.destroy(&id);
}

#[convention(
    "A container with a user namespace: files of the host by their owner, a new file system by its root."
)]
fn user_namespace(case: &mut Case) {
    needs_mounts(case);
    let mut bundle = case.bundle();
    bundle.config.user_namespace(100_000);
    // The root of the container may not write to the image.
    fs::create_dir(bundle.rootfs().join("a")).unwrap();
    fs::create_dir(bundle.rootfs().join("b")).unwrap();
    let id = launch(case, &mut bundle);
    let data = source(case, "data");
    let list = json!([
        {"destination": "/a", "source": data, "options": ["bind", "ro"]},
        {"destination": "/b", "type": "tmpfs", "options": ["mode=0755"]}
    ]);
    change(case, "add", &id, &list).ok();
    let line = "cat /a/file; stat -c %u /a/file /b; touch /b/x && echo written";
    assert_eq!(
        inside(case, &id, line),
        "data of the host\n65534\n0\nwritten"
    );
    change(case, "remove", &id, &list).ok();
    assert_eq!(inside(case, &id, "ls /a /b | grep -c file || true"), "0");
    case.destroy(&id);
}

#[convention("A runtime that is killed at any moment has mounted all of a list or nothing.")]
fn killed_at_any_moment(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let pid = case.pid(&id);
    let before = mounts_of(pid);
    let entries = (0..20).map(|n| json!({"destination": format!("/a{n}"), "type": "tmpfs"}));
    let list = Value::from(entries.collect::<Vec<_>>());
    let (mut all, mut none) = (0, 0);
    for round in 0..60 {
        let running = command(case, "add", &id, &list).spawn();
        std::thread::sleep(Duration::from_micros(400 * round));
        running.kill();
        // Waits for the lock, which is the other process' as well.
        let none_yet = json!([]);
        change(case, "add", &id, &none_yet).ok();
        match mounts_of(pid).len() - before.len() {
            0 => none += 1,
            20 => all += 1,
            some => panic!("{some} of 20 mounts after round {round}"),
        }
        if mounts_of(pid).len() > before.len() {
            change(case, "remove", &id, &list).ok();
        }
        assert_eq!(mounts_of(pid), before);
    }
    case.count("runtimes killed before a list of mounts", none);
    case.count("runtimes killed after it", all);
    case.destroy(&id);
}

#[convention(
    "The words for a container that does not exist or has ended, and for lists that are none."
)]
fn refused(case: &mut Case) {
    case.only_corten();
    let list = json!([{"destination": "/a", "type": "tmpfs"}]);
    let missing = case.id();
    change(case, "add", &missing, &list)
        .exits(1)
        .says("does not exist");
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    for text in [
        "",
        "{}",
        "[1]",
        "[",
        "\"x\"",
        "null",
        "[{}]",
        "[{\"destination\":1}]",
    ] {
        let command = case.runtime().args(["mounts", "add", &id, "-"]);
        let refused = command.input(text).run().exits(1);
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.describe());
    }
    let nothing = case.runtime().args(["mounts", "add", &id, "/none"]).run();
    nothing.exits(1).says("/none: no such file or directory");
    case.runtime().args(["mounts"]).run().exits(1);
    case.runtime()
        .args(["mounts", "swap", &id, "-"])
        .run()
        .exits(1);
    let before = mounts_of(case.pid(&id));
    assert!(!before.iter().any(|line| line.starts_with("/a ")));
    case.kill(&id);
    for what in ["add", "remove"] {
        change(case, what, &id, &list)
            .exits(1)
            .says("container not running");
    }
    case.delete(&id);
}

/// CVE-2021-30465, CVE-2024-45310: between looking and mounting nothing is looked up again.
#[convention("A container that changes the destination all the time never leads a mount out.")]
fn destination_that_keeps_changing(case: &mut Case) {
    needs_mounts(case);
    let mut bundle = case.bundle();
    let outside = source(case, "outside");
    bundle.config.shell(&format!(
        "mkdir -p {outside}; touch /ready; while :; do mkdir -p /x; rm -rf /x; ln -s {outside} /x; rm /x; \
         ln -s / /x; rm /x; ln -s /proc/self/root /x; rm /x; done"
    ));
    let id = case.launch(&bundle);
    let ready = bundle.rootfs().join("ready");
    case.until("the container is at it", || ready.exists());
    let host = mounts_of(std::process::id().cast_signed());
    let list = json!([{"destination": "/x/y", "type": "tmpfs", "options": ["size=4k"]}]);
    let mut placed = 0;
    for _ in 0..40 {
        let added = change(case, "add", &id, &list);
        placed += usize::from(added.code() == Some(0));
        let lines = added.stderr.lines().count();
        assert!(added.code().is_some() && lines <= 1, "{}", added.describe());
        // It may be anywhere inside by now.
        change(case, "remove", &id, &list);
    }
    case.count("mounts on a destination that kept changing", placed);
    assert_eq!(mounts_of(std::process::id().cast_signed()), host);
    let left: Vec<_> = fs::read_dir(&outside).unwrap().collect();
    assert_eq!(left.len(), 1, "the file that was there: {left:?}");
    case.destroy(&id);
}
