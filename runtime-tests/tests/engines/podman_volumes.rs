//! Volumes and their options.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use runtime_tests::{Case, convention};

use crate::podman::{
    ask_for_output, configure, facts, inspect, mounting, run, shell, start, story,
};

const CHAPTER: &str = "podman: volumes";

/// A directory of the test, open to all, with one file.
fn volume(case: &Case, name: &str) -> String {
    let path = case.directory.join(name);
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(path.join("file"), "content\n").unwrap();
    path.to_string_lossy().into_owned()
}

#[convention("-v and --mount with all their options.")]
fn options(case: &mut Case) {
    let path = volume(case, "v");
    story(case, |session| {
        let line = "cat /v/file; touch /v/x 2>&1; cp /bin/true /v/t 2>/dev/null; /v/t 2>&1; rm -f /v/x /v/t; grep ' /v ' /proc/mounts | cut -d' ' -f4";
        for option in [
            "rw",
            "ro",
            "noexec",
            "nosuid,nodev",
            "ro,nodev",
            "rprivate",
            "rslave",
            "bind",
            "U",
            "z",
        ] {
            run(
                session,
                &format!("-v {path}:/v:{option}"),
                &["sh", "-c", line],
            );
        }
        run(
            session,
            &format!("-v {path}:/v:O"),
            &["sh", "-c", "cat /v/file; echo x > /v/x && ls /v"],
        )
        .ok();
        let mount = format!("--mount type=bind,source={path},destination=/v,ro");
        facts(session, &format!("--hostname=c {mount}"));
        facts(
            session,
            "--hostname=c --mount type=tmpfs,destination=/v,tmpfs-size=1m,tmpfs-mode=700",
        );
        facts(session, "--hostname=c --mount type=devpts,destination=/v");
    });
}

/// A mount made outside arrives inside, and one made inside arrives outside.
#[convention("-v with rshared, rslave and rprivate.")]
fn propagation(case: &mut Case) {
    let path = volume(case, "v");
    let mount = |args: &[&str]| case.program("mount").args(args).run().ok();
    mount(&["--bind", &path, &path]);
    mount(&["--make-rshared", &path]);
    fs::create_dir(format!("{path}/in")).unwrap();
    fs::create_dir(format!("{path}/out")).unwrap();
    story(case, |session| {
        for option in ["rshared", "rslave", "rprivate"] {
            start(
                session,
                &format!("--name c {} -v {path}:/v:{option}", mounting()),
                &["sleep", "1000"],
            );
            let out = format!("{path}/out");
            session
                .case
                .program("mount")
                .args(["-t", "tmpfs", "seen", &out])
                .run()
                .ok();
            session.tell(&["exec", "c", "grep", "-c", "^seen", "/proc/mounts"]);
            session
                .tell(&["exec", "c", "mount", "-t", "tmpfs", "inner", "/v/in"])
                .ok();
            let outside = fs::read_to_string("/proc/mounts").unwrap();
            session.note(option, &outside.contains("inner").to_string());
            session.ask(&["exec", "c", "umount", "/v/in"]).ok();
            session.case.program("umount").args([&out]).run().ok();
            session.ask(&["rm", "-f", "-t0", "c"]).ok();
        }
    });
    case.program("umount").args(["-l", &path]).run().ok();
}

/// Files of the engine's root are those of the container's, whose ids are others.
#[convention("-v with idmap.")]
fn idmap(case: &mut Case) {
    let path = volume(case, "v");
    chown(format!("{path}/file"), Some(3), Some(4)).unwrap();
    story(case, |session| {
        let line = "stat -c %u:%g /v/file; touch /v/x; stat -c %u:%g /v/x; rm -f /v/x";
        for option in ["idmap", "rw"] {
            run(
                session,
                &format!("--uidmap 0:100000:5000 -v {path}:/v:{option}"),
                &["sh", "-c", line],
            );
        }
    });
}

#[convention("Named and anonymous volumes.")]
fn named(case: &mut Case) {
    story(case, |session| {
        session.ask(&["volume", "create", "n"]).ok();
        shell(session, "-v n:/home", "echo kept > /home/k");
        assert_eq!(
            shell(session, "-v n:/home", "ls -d /home/user; cat /home/k"),
            "/home/user\nkept\n"
        );
        session.ask(&["volume", "rm", "n"]).ok();
        shell(
            session,
            "--volume /anonymous",
            "touch /anonymous/x; stat -c %a /anonymous",
        );
        session.ask(&["volume", "prune", "-f"]).ok();
    });
}

/// `--rootfs DIR:O` has no image at all.
#[convention("--rootfs, with an overlay and read-only.")]
fn overlay(case: &mut Case) {
    let images = configure(case);
    let root = images.root().to_string_lossy().into_owned();
    story(case, |session| {
        let line = format!("run --rm --net=none --rootfs {root}:O sh -c");
        let mut words: Vec<&str> = line.split(' ').collect();
        words.push("touch /new && echo written");
        let finished = ask_for_output(session, &words).ok();
        session.write_down(&finished);
        let line = format!("run --rm --net=none --read-only --rootfs {root} echo read");
        let words: Vec<&str> = line.split(' ').collect();
        let finished = ask_for_output(session, &words).ok();
        session.write_down(&finished);
    });
}

#[convention("--mount type=image.")]
fn images_as_volumes(case: &mut Case) {
    story(case, |session| {
        let mount = "--mount type=image,source=bb,destination=/i";
        shell(session, mount, "ls /i/etc; touch /i/x 2>&1; true");
    });
}

#[convention("-v of single files.")]
fn files(case: &mut Case) {
    let path = volume(case, "v");
    story(case, |session| {
        let options = format!("-v {path}/file:/etc/new/file:ro -v {path}/file:/etc/passwd");
        let line = "cat /etc/new/file /etc/passwd; echo x > /etc/new/file";
        run(session, &options, &["sh", "-c", line]).exits(1);
        let id = start(session, &format!("-v {path}:/v"), &["sleep", "1000"]);
        session.note(
            "mounts",
            &inspect(
                session,
                &id,
                "{{range .Mounts}}{{.Destination}} {{.Mode}} {{.RW}} {{.Propagation}}{{end}}",
            ),
        );
        session.ask(&["rm", "-f", "-t0", &id]).ok();
    });
}

/// A mount below a read-only volume stays as it is, with every runtime.
#[convention("-v ro does not reach mounts below.")]
fn read_only_tree(case: &mut Case) {
    let path = volume(case, "v");
    let below = format!("{path}/below");
    fs::create_dir(&below).unwrap();
    case.program("mount")
        .args(["-t", "tmpfs", "tmpfs", &below])
        .run()
        .ok();
    story(case, |session| {
        let line = "touch /v/x 2>&1; touch /v/below/x && echo written";
        run(session, &format!("-v {path}:/v:ro"), &["sh", "-c", line]);
    });
    case.program("umount").args([&below]).run().ok();
}
