//! buildah, with OCI isolation: every RUN is a container of the runtime's.

use std::fs;

use runtime_tests::{Case, Finished, Program, convention};

use crate::images::Images;
use crate::session::{PATIENCE, Runtime, Session, cgroup_parent, compare, require};

const CHAPTER: &str = "buildah";

const CONTAINERS_CONF: &str =
    "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n";
const STORAGE_CONF: &str = "[storage]\ndriver = \"overlay\"\ngraphroot = \"/var/lib/containers/storage\"\n\
    runroot = \"/run/containers/storage\"\n";
const POLICY: &str = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;

fn buildah(case: &Case, runtime: &Runtime, args: &[&str]) -> Program {
    let conf = |name: &str| case.directory.join(name).to_string_lossy().into_owned();
    let policy = conf("policy.json");
    let parent = cgroup_parent(case);
    let (verb, rest) = match args {
        ["run", rest @ ..] => (
            vec!["run", "--isolation", "oci", "--runtime", &runtime.path],
            rest,
        ),
        ["bud", rest @ ..] => (
            vec![
                "bud",
                "--isolation",
                "oci",
                "--runtime",
                &runtime.path,
                "--cgroup-parent",
                &parent,
                "--signature-policy",
                &policy,
            ],
            rest,
        ),
        ["from", rest @ ..] => (
            vec![
                "from",
                "--cgroup-parent",
                &parent,
                "--signature-policy",
                &policy,
            ],
            rest,
        ),
        ["commit", rest @ ..] => (vec!["commit", "--signature-policy", &policy], rest),
        other => (Vec::new(), other),
    };
    case.program("buildah")
        .env("CONTAINERS_CONF", &conf("buildah.conf"))
        .env("CONTAINERS_STORAGE_CONF", &conf("buildah-storage.conf"))
        .args(verb)
        .args(rest)
        .limit(PATIENCE)
}

/// Tells the story with a working container `c` that has the image's files.
#[track_caller]
fn story(case: &mut Case, story: impl Fn(&mut Session)) {
    require(&["buildah", "netavark", "iptables"]);
    for (name, content) in [
        ("buildah.conf", CONTAINERS_CONF),
        ("buildah-storage.conf", STORAGE_CONF),
        ("policy.json", POLICY),
    ] {
        fs::write(case.directory.join(name), content).unwrap();
    }
    let tar = Images::make(case.store())
        .root_tar()
        .to_string_lossy()
        .into_owned();
    compare(case, buildah, |session| {
        session.ask(&["from", "--name", "c", "scratch"]).ok();
        session.ask(&["add", "-q", "c", &tar, "/"]).ok();
        story(session);
        session.ask(&["rm", "-a"]).ok();
        session.ask(&["rmi", "-a", "-f"]).ok();
    });
}

#[track_caller]
fn run(session: &mut Session, options: &str, line: &str) -> Finished {
    let mut words = vec!["run"];
    words.extend(options.split_whitespace());
    words.extend(["c", "sh", "-c", line]);
    session.tell(&words)
}

#[convention(
    "buildah run: output, codes, --user, --workingdir, --env, --hostname, capabilities, networks, volumes, tmpfs, -t, input."
)]
fn runs(case: &mut Case) {
    story(case, |session| {
        let volume = session.case.directory.join("volume");
        fs::create_dir_all(&volume).unwrap();
        let finished = run(session, "", "echo out; exit 5").exits(5);
        assert_eq!(finished.stdout, "out\n");
        session
            .tell(&["run", "c", "nosuch"])
            .exits(1)
            .says("nosuch");
        for (options, line) in [
            (
                "",
                "grep -E '^(Cap|NoNew|Seccomp|Groups)' /proc/self/status; id; env | sort | grep -v HOSTNAME; \
                cut -d' ' -f2-4 /proc/mounts | grep -v '^/ \\|cgroup\\|/proc/\\|^/sys/' | sort; cut -d' ' -f2 /proc/mounts | sort; ls /dev | grep -v core",
            ),
            ("--user 1000", "id"),
            (
                "--workingdir /tmp --env A=b --hostname box",
                "pwd; echo $A; hostname",
            ),
            (
                "--cap-add CAP_NET_ADMIN --cap-drop CAP_CHOWN",
                "grep Cap /proc/self/status",
            ),
            ("--network none", "ls /sys/class/net"),
            ("--network host", "ls /sys/class/net"),
            ("", "ls /sys/class/net; cat /proc/sys/net/ipv4/ip_forward"),
            (
                &format!("-v {}:/mnt:ro", volume.display()),
                "touch /mnt/file; grep ' /mnt ' /proc/mounts | cut -d' ' -f4 | cut -c1-3",
            ),
            ("--mount type=tmpfs,target=/t", "ls -ld /t | cut -c1-10"),
            ("-t", "test -t 0 -a -t 1 && tty"),
        ] {
            run(session, options, line);
        }
        let input = session
            .command(&["run", "c", "cat"])
            .input("typed\n")
            .run()
            .ok();
        session.write_down(&input);
    });
}

#[convention(
    "buildah bud: RUN with caches, with tmpfs, as a user, with limits; a RUN that fails ends the build."
)]
fn builds(case: &mut Case) {
    story(case, |session| {
        session.ask(&["commit", "-q", "c", "localhost/base"]).ok();
        let context = session.case.directory.join("context");
        fs::create_dir_all(&context).unwrap();
        let at = context.to_string_lossy().into_owned();
        let write = |lines: &str| {
            fs::write(
                context.join("Dockerfile"),
                format!("FROM localhost/base\n{lines}"),
            )
            .unwrap()
        };
        write(
            "RUN echo made > /made\n\
            USER 1000\n\
            RUN id > /tmp/who && cat /made >> /tmp/who\n\
            RUN --mount=type=cache,target=/cache,uid=1000 echo cached >> /cache/file; wc -l < /cache/file > /tmp/cache\n\
            RUN --mount=type=tmpfs,target=/missing touch /missing/file && ls -ld /missing | cut -c1-10 > /tmp/tmpfs\n\
            RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us > /tmp/limits\n",
        );
        session
            .ask(&[
                "bud",
                "-q",
                "--layers=false",
                "-m",
                "64m",
                "--cpu-quota",
                "50000",
                "-t",
                "localhost/built",
                &at,
            ])
            .ok();
        session
            .ask(&["from", "--name", "d", "localhost/built"])
            .ok();
        session
            .tell(&[
                "run",
                "d",
                "sh",
                "-c",
                "cat /tmp/who /tmp/tmpfs /tmp/limits",
            ])
            .ok();
        write("RUN exit 42\n");
        session.ask(&["bud", "-q", "--layers=false", &at]).exits(42);
    });
}
