//! Control groups: limits as their files have them, and what the engine reads there.

use std::fs;

use runtime_tests::{Case, cgroup_directories, convention, skip};

use crate::podman::{inspect, run, shell, start, story, story_beside};
use crate::session::{LIMIT_FILES, Session, find_program, peer, uses_systemd};

const CHAPTER: &str = "podman: limits";

#[convention("-m, --cpus, --pids-limit and other limits, as the files of the cgroups have them.")]
fn files(case: &mut Case) {
    story(case, |session| {
        for options in [
            "",
            "--privileged",
            "-m 64m --memory-reservation 32m --cpus 0.5 --pids-limit 50",
            "--cpu-shares 256 --cpuset-cpus 0 --blkio-weight 200 --memory-swap 128m -m 64m",
            "--cpu-period 50000 --cpu-quota 20000 --pids-limit -1 --device /dev/kmsg:/dev/kmsg:r",
            "--memory-swappiness 10 -m 32m --memory-swap -1",
        ] {
            // v2 has no swappiness: crun refuses it, runc and corten do not.
            let options = match session.case.view.is_unified() {
                true => options.replace("--memory-swappiness 10", ""),
                false => options.to_owned(),
            };
            let options = &options;
            let id = start(session, options, &["sleep", "1000"]);
            note_limits(session, &id);
            note_devices(session, &id);
            session.ask(&["rm", "-f", "-t0", &id]).ok();
        }
    });
}

/// Shares as weights of cgroup v2: by the linear formula of before 2025, and by today's.
const WEIGHTS: [(&str, &str); 2] = [("10", "35"), ("12", "39")];

/// The files of the limits. What a peer of systemd's may have otherwise, as
/// docs/cgroups.md says, reads as with corten: weights made of shares, and systemd's own
/// number of tasks where no limit is asked for.
fn note_limits(session: &mut Session, id: &str) {
    if session.is_tested() || !uses_systemd(session.case) {
        return session.note_cgroup_files(id, &LIMIT_FILES);
    }
    let show = session.case.program("systemctl");
    let show = show.args(["show", "--value", "--property", "DefaultTasksMax"]);
    let tasks = show.run().ok().stdout;
    for directory in cgroup_directories(id) {
        for name in LIMIT_FILES {
            let Ok(content) = fs::read_to_string(directory.join(name)) else {
                continue;
            };
            let weight = WEIGHTS.iter().find(|(old, _)| *old == content.trim());
            let found = match (name, weight) {
                ("cpu.weight", Some((_, weight))) => weight,
                ("pids.max", _) if content == tasks => "max",
                _ => content.trim(),
            };
            session.note(name, &format!("{found}\n"));
        }
    }
}

/// The devices, but those that each runtime has its own mind of: `/dev/console` and
/// `/dev/net/tun`. Their order means nothing.
fn note_devices(session: &mut Session, id: &str) {
    for directory in cgroup_directories(id) {
        let list = fs::read_to_string(directory.join("devices.list")).unwrap_or_default();
        let lines = list
            .lines()
            .filter(|line| !["c 5:1 rwm", "c 10:200 rwm"].contains(line));
        let mut lines: Vec<&str> = lines.collect();
        lines.sort_unstable();
        session.note("devices", &lines.join("\n"));
    }
}

/// `podman update` and what it leaves in the files.
#[convention("podman update changes the files of the cgroups.")]
fn update(case: &mut Case) {
    // After an update of the unit crun's other limits are those that systemd knows of.
    let peer = match uses_systemd(case) {
        true => find_program("runc").unwrap_or_else(|| skip("runc is not installed")),
        false => peer(case),
    };
    story_beside(case, peer, |session| {
        let id = start(
            session,
            "--name c -m 64m --cpus 0.5 --pids-limit 50",
            &["sleep", "1000"],
        );
        for options in [
            &["--cpus", "0.25"][..],
            &["-m", "48m"],
            &["--memory-reservation", "20m", "--cpu-shares", "300"],
            &["--cpuset-cpus", "0"],
        ] {
            session.ask(&[&["update"], options, &["c"]].concat()).ok();
            note_limits(session, &id);
        }
    });
}

#[convention("--cgroups=disabled, no-conmon and split.")]
fn without_cgroups(case: &mut Case) {
    story(case, |session| {
        let line = "cat /proc/self/cgroup; echo ok";
        let answer = shell(session, "--cgroups=disabled", line);
        assert!(answer.ends_with("ok\n"), "{answer}");
        shell(session, "--cgroups=no-conmon", "echo ok");
        // podman does not find its own cgroup on this kind of host, with any runtime.
        run(session, "--cgroups=split", &["true"]);
        start(session, "--name c --cgroups=disabled", &["sleep", "1000"]);
        session.tell(&["exec", "c", "echo", "in"]);
        session.tell(&["pause", "c"]);
    });
}

#[convention("podman stats reads the cgroups.")]
fn statistics(case: &mut Case) {
    story(case, |session| {
        start(session, "--name c -m 64m", &["sleep", "1000"]);
        session.ask(&["exec", "-d", "c", "sleep", "1001"]).ok();
        let format = "{{.Name}} {{.PIDs}} {{.MemUsage}}";
        let stats = session
            .ask(&["stats", "--no-stream", "--format", format, "c"])
            .ok()
            .stdout;
        let limit = stats
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        session.note("memory limit", &limit);
        assert!(stats.starts_with("c 2 "), "{stats}");
    });
}

/// The kernel kills; the engine is told by the runtime's cgroup files.
#[convention("A container killed for its memory is said to be.")]
fn out_of_memory(case: &mut Case) {
    story(case, |session| {
        let id = start(
            session,
            "--name c -m 16m --memory-swap 16m",
            &["sh", "-c", "dd if=/dev/zero of=/dev/shm/x bs=1M count=60"],
        );
        session.tell(&["wait", "c"]).ok();
        session.note(
            "killed",
            &inspect(session, &id, "{{.State.OOMKilled}} {{.State.ExitCode}}"),
        );
    });
}
