//! Limits: set, changed and measured; and what happens at a limit.

use std::fs;

use runtime_tests::{Case, cgroup_directories, convention};

use super::{inspect, run, start, story, until};
use crate::session::{LIMIT_FILES, Session};

const CHAPTER: &str = "Docker: limits";

#[convention(
    "-m, --memory-reservation, --cpus, --cpu-shares, --cpuset-cpus, --pids-limit, --blkio-weight, as the cgroup's files have them."
)]
fn set(case: &mut Case) {
    story(case, |session, _| {
        let id = start_limited(session);
        assert!(!cgroup_directories(&id).is_empty());
        session.note_cgroup_files(&id, &LIMIT_FILES);
        note_devices(session, &id);
        session.tell(&["exec", "box", "sh", "-c", INSIDE]).ok();
    });
}

#[convention("`docker update` changes limits; a change that is refused changes nothing.")]
fn updated(case: &mut Case) {
    story(case, |session, _| {
        let id = start_limited(session);
        for options in [
            "-m 96m --memory-swap 192m",
            "--cpus 0.25 --cpu-shares 512",
            "--pids-limit 60",
            "--cpuset-cpus 0-1",
            "--memory-reservation 16m",
            // More than memory and swap together: the kernel refuses.
            "-m 512m",
        ] {
            let words = ["update"].into_iter().chain(options.split_whitespace());
            let words: Vec<&str> = words.chain(["box"]).collect();
            session.tell(&words);
            session.note_cgroup_files(&id, &LIMIT_FILES);
        }
        session.tell(&["exec", "box", "sh", "-c", INSIDE]).ok();
    });
}

/// The devices that are allowed, in no order.
fn note_devices(session: &mut Session, id: &str) {
    for directory in cgroup_directories(id) {
        if let Ok(content) = fs::read_to_string(directory.join("devices.list")) {
            let mut lines: Vec<&str> = content.lines().collect();
            lines.sort_unstable();
            session.note("devices", &lines.join("\n"));
        }
    }
}

#[track_caller]
fn start_limited(session: &Session) -> String {
    let options = "-m 64m --memory-reservation 32m --memory-swap 128m --cpus 0.5 --cpu-shares 256 \
        --cpuset-cpus 0 --pids-limit 50 --blkio-weight 200";
    start(session, options, "box", "exec sleep 1000")
}

const INSIDE: &str = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max";

#[convention(
    "`docker stats` and `docker top` of a running and a paused container; pause and unpause."
)]
fn measured(case: &mut Case) {
    story(case, |session, _| {
        start(
            session,
            "-m 64m --pids-limit 50",
            "box",
            "sleep 1000 & exec sleep 1001",
        );
        measure(session);
        session.tell(&["pause", "box"]).ok();
        until(session, "box", ".State.Status", "paused");
        measure(session);
        session
            .tell(&["exec", "box", "true"])
            .exits(1)
            .says("paused");
        session.tell(&["unpause", "box"]).ok();
        until(session, "box", ".State.Status", "running");
        session.tell(&["exec", "box", "echo", "awake"]).ok();
    });
}

#[track_caller]
fn measure(session: &mut Session) {
    let format = "{{.MemUsage}}|{{.PIDs}}";
    let stats = session
        .ask(&["stats", "--no-stream", "--format", format, "box"])
        .ok()
        .stdout;
    let (memory, processes) = stats.trim().split_once('|').expect("two fields");
    let (used, limit) = memory.split_once(" / ").expect("used / limit");
    assert!(!used.starts_with("0B"), "{stats}");
    session.note("memory limit", limit);
    session.note("processes", processes);
    let top = session.ask(&["top", "box", "-o", "args,pid"]).ok().stdout;
    for line in top.lines() {
        session.note("top", line.trim_end_matches(|c: char| c.is_ascii_digit()));
    }
}

#[convention("A container killed for its memory: Docker says OOMKilled.")]
fn out_of_memory(case: &mut Case) {
    story(case, |session, _| {
        let fill = "tail -c 100m /dev/zero > /dev/null; echo $?; sleep 1";
        let words = [
            "run",
            "--name",
            "box",
            "--net=none",
            "-m",
            "16m",
            "--memory-swap",
            "16m",
            "bb",
            "sh",
            "-c",
            fill,
        ];
        session.tell(&words).ok();
        until(session, "box", ".State.OOMKilled", "true");
        session.note("code", &inspect(session, "box", ".State.ExitCode"));
        run(
            session,
            "-m 64m --oom-kill-disable",
            "cat /sys/fs/cgroup/memory/memory.oom_control | head -1",
        )
        .ok();
    });
}
