//! `exec` into a container that attacks whoever joins it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use runtime_tests::{Bundle, Case, Facts, convention, falls_without, process_is_alive, skip};
use serde_json::json;

use crate::exec::{detached, end, exec, facts, launch};

const CHAPTER: &str = "exec in a hostile container";

#[convention(
    "CVE-2024-21626: a directory that a descriptor of ours leads to is none of the container's."
)]
fn working_directory_is_no_descriptor(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    for number in 3..20 {
        for climb in ["", "/../../.."] {
            let cwd = format!("/proc/self/fd/{number}{climb}");
            let finished = exec(case, &["--cwd", &cwd], &id, &["/bin/probe", "facts"]).run();
            if finished.status.success() {
                let cwd = Facts::parse(&finished.stdout).text("/cwd").to_owned();
                assert!(
                    cwd.starts_with('/') && !cwd.contains("unreachable"),
                    "{number}: {cwd}"
                );
            }
        }
    }
    case.destroy(&id);
}

#[convention(
    "A program that a descriptor of ours leads to is none of the container's (CVE-2024-21626)."
)]
fn program_is_no_descriptor(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let script = case.directory.join("script");
    fs::write(&script, "#!/bin/sh\necho of the host\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    for number in 3..20 {
        let path = format!(
            "/proc/self/fd/{number}/../../../../../../../..{}",
            script.display()
        );
        let finished = exec(case, &[], &id, &[&path]).run();
        assert!(
            !finished.stdout.contains("of the host"),
            "{}",
            finished.describe()
        );
    }
    case.destroy(&id);
}

#[convention("What the caller leaked to the runtime does not reach a process of `exec`.")]
#[falls_without("descriptors")]
fn no_leaked_descriptors(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let line = format!(
        "exec {} --root {} exec {id} /bin/probe facts 5</ 9</etc/passwd 17<>/dev/null",
        case.runtime_path(),
        case.state_root().display(),
    );
    let finished = case.program("bash").args(["-c", &line]).run().ok();
    assert_eq!(Facts::parse(&finished.stdout).descriptors(), [0, 1, 2]);
    case.destroy(&id);
}

/// Every capability there is, no user namespace, nothing masked.
fn give_everything(bundle: &mut Bundle) {
    let names: Vec<String> = [
        "SYS_PTRACE",
        "SYS_ADMIN",
        "DAC_READ_SEARCH",
        "DAC_OVERRIDE",
        "KILL",
        "SETUID",
        "SETGID",
        "CHOWN",
        "FOWNER",
        "SYS_CHROOT",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "NET_ADMIN",
        "MKNOD",
        "SETPCAP",
    ]
    .iter()
    .map(|name| format!("CAP_{name}"))
    .collect();
    let sets = json!({"bounding": names, "effective": names, "permitted": names});
    bundle.config.set("/process/capabilities", sets);
    bundle.config.set("/process/noNewPrivileges", json!(false));
    bundle.config.set("/linux/maskedPaths", json!([]));
    bundle.config.set("/linux/readonlyPaths", json!([]));
}

/// Executes while the hunter looks at every new process, and judges what it saw.
fn hunt(case: &Case, hunter: &Bundle, target: &str, rounds: usize) {
    let file = hunter.rootfs().join("seen");
    case.until("the hunter is awake", || file.exists());
    for _ in 0..rounds {
        exec(case, &[], target, &["/bin/true"]).run().ok();
    }
    let seen = fs::read_to_string(&file).unwrap();
    let lines: BTreeSet<&str> = seen.lines().collect();
    let binary = fs::metadata(case.runtime_path()).unwrap();
    let binary = format!("{}:{}", binary.dev(), binary.ino());
    let roots: Vec<String> = [hunter.rootfs(), case.directory.join("bundle1/rootfs")]
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|meta| format!("{}:{}", meta.dev(), meta.ino()))
        .collect();
    assert!(
        lines.iter().any(|line| line.starts_with("exe ")),
        "the hunter saw nobody"
    );
    // Quick enough to find a joiner between two programs, or it proves nothing.
    assert!(
        lines.iter().any(|line| line.contains("corten-stub")),
        "the hunter was too slow"
    );
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["exe", inode, ..] => assert_ne!(*inode, binary, "the host's binary: {line}"),
            // All the directories that a joiner may show are the container's.
            [_, inode, "d", ..] => {
                assert!(
                    roots.iter().any(|root| root == inode),
                    "a directory of the host: {line}"
                );
            }
            [_, _, "-" | "b", ..] => panic!("a file of the host: {line}"),
            _ => {}
        }
    }
}

#[convention(
    "CVE-2019-5736, CVE-2016-9962: whatever an attacker with every right finds of a process on its way in, it is neither the host's binary nor a descriptor of the host."
)]
#[falls_without("sealed-stub")]
fn joiners_show_nothing_of_the_host(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    give_everything(&mut bundle);
    bundle.config.args(&["/bin/probe", "hunt", "/seen"]);
    let id = case.launch(&bundle);
    hunt(case, &bundle, &id, 150);
    case.destroy(&id);
}

#[convention(
    "CVE-2019-5736, CVE-2016-9962 in a pod: the attacker is in another container that shares the pid namespace."
)]
#[falls_without("sealed-stub")]
fn joiners_show_nothing_in_a_pod(case: &mut Case) {
    case.only_corten();
    let mut sandbox = case.bundle();
    give_everything(&mut sandbox);
    let first = launch(case, &mut sandbox);
    let mut bundle = case.bundle();
    bundle
        .config
        .join_namespace("pid", &format!("/proc/{}/ns/pid", case.pid(&first)));
    let second = launch(case, &mut bundle);
    let hunter = detached(case, &[], &first, &["/bin/probe", "hunt", "/seen"]);
    hunt(case, &sandbox, &second, 80);
    end(case, hunter);
    case.destroy(&second);
    case.destroy(&first);
}

#[convention("CVE-2019-5736: a program that is a script whose interpreter is whoever executes it.")]
#[falls_without("sealed-stub")]
fn program_that_is_the_joiner(case: &mut Case) {
    let mut bundle = case.bundle();
    give_everything(&mut bundle);
    let script = bundle.rootfs().join("bin/own");
    fs::write(&script, "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let id = launch(case, &mut bundle);
    let before = fs::read(case.runtime_path()).unwrap();
    exec(case, &[], &id, &["/bin/own"]).run().fails();
    assert_eq!(facts(case, &[], &id).descriptors(), [0, 1, 2]);
    assert!(fs::read(case.runtime_path()).unwrap() == before);
    case.destroy(&id);
}

#[convention("An odd `--process` file is an error of one line.")]
fn odd_process_files(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let file = case.directory.join("process.json");
    let deep = "[".repeat(100_000);
    let good = r#""args": ["/bin/true"], "cwd": "/""#;
    for text in [
        "",
        "{",
        "null",
        "[]",
        "1",
        "\"x\"",
        "{}",
        &deep,
        r#"{"args": []}"#,
        r#"{"args": [""], "cwd": "/"}"#,
        r#"{"args": ["/bin/true"]}"#,
        r#"{"args": ["/bin/true"], "cwd": "tmp"}"#,
        r#"{"args": "true", "cwd": "/"}"#,
        &format!(r#"{{{good}, "user": {{"uid": -1}}}}"#),
        &format!(r#"{{{good}, "user": {{"uid": 4294967296}}}}"#),
        &format!(r#"{{{good}, "user": {{"uid": "0"}}}}"#),
        &format!(r#"{{{good}, "env": ["A"]}}"#),
        &format!(r#"{{{good}, "env": ["A=\u0000"]}}"#),
        &format!(r#"{{{good}, "terminal": 1}}"#),
    ] {
        fs::write(&file, text).unwrap();
        let path = file.to_string_lossy();
        let finished = exec(case, &["--process", &path], &id, &[]).run().exits(255);
        assert_eq!(
            finished.stderr.lines().count(),
            1,
            "{}",
            finished.describe()
        );
    }
    let finished = exec(case, &["--process", "/none"], &id, &[]).run();
    finished.exits(255).says("no such file or directory");
    case.destroy(&id);
}

#[convention(
    "A file system in the container that never answers holds up `exec`, and nothing else: the container is deleted, and then `exec` fails."
)]
fn file_system_that_never_answers(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    let silent = bundle.rootfs().join("silent");
    fs::create_dir(&silent).unwrap();
    let (at, ready) = (silent.display(), case.directory.join("mounted"));
    // Its server, which holds the device, does not even greet.
    let options = "fd=3,rootmode=40000,user_id=0,group_id=0";
    let line = format!(
        "exec 3<>/dev/fuse && mount -i -t fuse -o {options} silent {at} && touch {} && exec sleep 1000",
        ready.display()
    );
    let mut server = Some(case.program("sh").args(["-c", &line]).spawn());
    case.until("it is mounted, or cannot be", || {
        ready.exists()
            || server
                .as_ref()
                .is_some_and(|it| !process_is_alive(it.pid()))
    });
    if !ready.exists() {
        let why = server.take().expect("the server").finish().stderr;
        skip(&format!("no FUSE here: {}", why.trim()));
    }
    let id = launch(case, &mut bundle);
    let held_up = exec(case, &["--cwd", "/silent/x"], &id, &["/bin/true"]).spawn();
    let waits = || {
        // The joiner, a child of `corten`, which sleeps in clone3(2) or listens.
        let children = format!("/proc/{0}/task/{0}/children", held_up.pid());
        let children = fs::read_to_string(children).unwrap_or_default();
        let joiner = children.split_whitespace().next().unwrap_or_default();
        let place = fs::read_to_string(format!("/proc/{joiner}/wchan"));
        place.is_ok_and(|place| place.contains("fuse"))
    };
    case.until("the joiner waits", waits);
    case.runtime().args(["delete", "--force", &id]).run().ok();
    let finished = held_up.finish().fails();
    assert_eq!(
        finished.stderr.lines().count(),
        1,
        "{}",
        finished.describe()
    );
    server.take().expect("the server").kill();
    let line = format!("umount -l {at}");
    case.program("sh").args(["-c", &line]).run().ok();
}
