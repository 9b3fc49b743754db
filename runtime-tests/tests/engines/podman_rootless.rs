//! podman for a user who is not root. Where the user has a systemd, that one makes the
//! containers' cgroups; elsewhere nothing delegates one, so containers stay in the
//! caller's.
//!
//! The user exists in the test's mount namespace alone, unless the machine has one of
//! that name (`scripts/vm/test`).

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use runtime_tests::{Case, Program, convention};

use crate::facts::write_down;
use crate::images::Images;
use crate::podman::{configure, facts, run, run_command, tell};
use crate::session::{PATIENCE, Runtime, Session, compare, peer, require};

const CHAPTER: &str = "podman: rootless";

/// The user, and the first of its subordinate ids.
const USER: u32 = 70_000;
const FIRST_SUBORDINATE: u32 = 200_000;

/// Of the user's systemd, if there is one.
fn bus() -> Option<String> {
    let path = format!("/run/user/{USER}/bus");
    Path::new(&path).exists().then_some(path)
}

fn home(case: &Case) -> String {
    case.directory.join("home").to_string_lossy().into_owned()
}

/// podman as the user.
fn podman(case: &Case, runtime: &Runtime, args: &[&str]) -> Program {
    let (user, home) = (USER.to_string(), home(case));
    let set = |name: &str, path: &str| format!("{name}={home}{path}");
    case.program("setpriv")
        .directory(&case.directory)
        .args([
            "--reuid",
            &user,
            "--regid",
            &user,
            "--clear-groups",
            "env",
            "-i",
        ])
        .args([
            set("HOME", ""),
            set("XDG_RUNTIME_DIR", "/run"),
            set("CONTAINERS_CONF", "/containers.conf"),
            set("CONTAINERS_STORAGE_CONF", "/storage.conf"),
        ])
        .args(bus().map(|path| format!("DBUS_SESSION_BUS_ADDRESS=unix:path={path}")))
        .args([
            "USER=engine",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "podman",
        ])
        .args([format!("--runtime={}", runtime.name)])
        .args(args)
        .limit(PATIENCE)
}

/// Puts `content` over a file of the host, in this mount namespace.
fn cover(case: &Case, file: &str, content: &str) {
    let name = file.trim_start_matches('/').replace('/', "-");
    let path = case.directory.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    if !Path::new(file).exists() {
        skip_missing(file);
    }
    let path = path.to_string_lossy();
    case.program("mount")
        .args(["--bind", &path, file])
        .run()
        .ok();
}

fn skip_missing(file: &str) -> ! {
    runtime_tests::skip(&format!("{file} does not exist (Debian: uidmap)"))
}

/// Makes the user, with a home of its own, and podman's configuration in it.
fn make_user(case: &Case) -> Images {
    require(&["newuidmap", "newgidmap", "slirp4netns"]);
    let images = configure(case);
    let home = home(case);
    let with = |file: &str, line: String| {
        let own = fs::read_to_string(file).unwrap_or_default();
        cover(case, file, &format!("{own}{line}\n"));
    };
    with(
        "/etc/passwd",
        format!("engine:x:{USER}:{USER}::{home}:/bin/sh"),
    );
    with("/etc/group", format!("engine:x:{USER}:"));
    for file in ["/etc/subuid", "/etc/subgid"] {
        with(file, format!("engine:{FIRST_SUBORDINATE}:65536"));
    }
    // slirp4netns opens it as the user; the host's may be root's alone.
    let device = format!("{}/tun", case.directory.display());
    case.program("mknod")
        .args(["-m", "666", &device, "c", "10", "200"])
        .run()
        .ok();
    case.program("mount")
        .args(["--bind", &device, "/dev/net/tun"])
        .run()
        .ok();
    fs::create_dir_all(format!("{home}/run")).unwrap();
    // The user may not be able to reach where the binaries were built.
    let conf = fs::read_to_string(case.directory.join("containers.conf")).unwrap();
    let mut conf = conf;
    for (name, path) in [
        ("tested", case.runtime_path().to_owned()),
        ("peer", peer(case)),
    ] {
        let copy = format!("{home}/{name}");
        fs::copy(&path, &copy).unwrap();
        conf = conf.replace(&format!("[\"{path}\"]"), &format!("[\"{copy}\"]"));
    }
    fs::write(format!("{home}/containers.conf"), conf).unwrap();
    fs::write(
        format!("{home}/storage.conf"),
        "[storage]\ndriver = \"overlay\"\n",
    )
    .unwrap();
    fs::copy(images.root_tar(), format!("{home}/root.tar")).unwrap();
    for name in ["", "/run", "/containers.conf", "/storage.conf", "/root.tar"] {
        chown(format!("{home}{name}"), Some(USER), Some(USER)).unwrap();
    }
    fs::set_permissions(format!("{home}/run"), fs::Permissions::from_mode(0o700)).unwrap();
    if let Some(bus) = bus() {
        // podman tells the runtime of its own directory alone.
        std::os::unix::fs::symlink(bus, format!("{home}/run/bus")).unwrap();
    }
    images
}

#[track_caller]
fn story(case: &mut Case, story: impl Fn(&mut Session)) {
    make_user(case);
    let tar = format!("{}/root.tar", home(case));
    compare(case, podman, |session| {
        tell(session, &tar, &story);
        // Ends the process that keeps podman's namespaces.
        session.ask(&["system", "migrate"]).ok();
    });
    for file in [
        "/etc/passwd",
        "/etc/group",
        "/etc/subuid",
        "/etc/subgid",
        "/dev/net/tun",
    ] {
        case.program("umount").args(["-l", file]).run().ok();
    }
}

#[convention("Everything seen in containers of a user is the same.")]
fn everything_seen(case: &mut Case) {
    story(case, |session| {
        let seen = facts(session, "--hostname=c");
        assert!(seen.text("/uid_map").contains("70000"));
        for options in [
            "--user 1000",
            "--net=host",
            "--userns keep-id",
            "--uidmap 0:1:100 --gidmap 0:1:100",
            "--privileged",
            "--read-only --tmpfs /t",
            "--cap-drop ALL",
            "--cgroupns=private",
        ] {
            facts(session, &format!("--hostname=c {options}"));
        }
    });
}

#[convention("--network of rootless podman, volumes, limits and exit codes.")]
fn options(case: &mut Case) {
    story(case, |session| {
        let line = "cat /proc/net/dev | grep -c tap0";
        assert_eq!(
            run(session, "--net=slirp4netns", &["sh", "-c", line])
                .ok()
                .stdout,
            "1\n"
        );
        let volume = home(session.case);
        run(
            session,
            &format!("-v {volume}:/v:ro"),
            &["sh", "-c", "head -1 /v/storage.conf; touch /v/x"],
        )
        .exits(1);
        run(
            session,
            &format!("--userns keep-id -v {volume}:/v"),
            &["sh", "-c", "touch /v/x && stat -c %u /v/x"],
        );
        run(session, "--cgroups=disabled", &["sh", "-c", "echo out"]).ok();
        // Without the user's systemd no cgroup is delegated: podman leaves limits out on v1.
        run(
            session,
            "-m 64m --pids-limit 50",
            &["sh", "-c", "echo limited"],
        );
        run(session, "", &["sh", "-c", "exit 42"]).exits(42);
        run(session, "--pid=host", &["sh", "-c", "test $$ = 1"]).exits(1);
        session.tell(&run_command("", &["nosuch"])).exits(127);
        session.tell(&run_command("", &["/etc/passwd"])).exits(126);
    });
}

#[convention("exec, pause, kill and pods of a user.")]
fn commands(case: &mut Case) {
    story(case, |session| {
        let id = session.ask(&[
            "run",
            "-d",
            "--name=c",
            "--hostname=c",
            "--net=none",
            "bb",
            "sleep",
            "1000",
        ]);
        id.ok();
        for options in [&[][..], &["--user", "1000"], &["--privileged"]] {
            let line = [&["exec"], options, &["c", "probe", "facts"]].concat();
            let finished = session.ask(&line);
            write_down(session, finished, &["pgid", "sid"]);
        }
        session.tell(&["exec", "c", "sh", "-c", "exit 9"]).exits(9);
        // They need a cgroup of its own.
        session.tell(&["pause", "c"]);
        session.tell(&["unpause", "c"]);
        session.tell(&["top", "c", "pid", "comm"]).ok();
        session.tell(&["kill", "c"]).ok();
        session.tell(&["wait", "c"]).ok();
        session
            .ask(&["pod", "create", "--name", "p", "--hostname", "pod"])
            .ok();
        run(session, "--pod p", &["sh", "-c", "hostname"]).ok();
    });
}
