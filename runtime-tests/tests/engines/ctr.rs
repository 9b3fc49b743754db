//! containerd through `ctr`, which names the runtime's binary to the shim of Go.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_tests::{Case, Finished, Program, cgroup_directories, convention};
use rustix::process::Signal;

use crate::daemon::{Containerd, kill, remove_with_mounts, shims};
use crate::images::{Images, NAME};
use crate::session::{Engine, PATIENCE, Runtime, Session, compare_with, peer, require};

const CHAPTER: &str = "containerd";

pub fn directory(case: &Case) -> PathBuf {
    case.directory.join("containerd")
}

/// containerd puts containers of a namespace below the cgroup of its name.
pub fn ctr(case: &Case, runtime: &Runtime, args: &[&str]) -> Program {
    ctr_with(case, &["--runc-binary", &runtime.path], args)
}

/// `choice` is of the runtime, for `ctr run`.
pub fn ctr_with(case: &Case, choice: &[&str], args: &[&str]) -> Program {
    let socket = Containerd::socket(&directory(case));
    let (verb, rest) = match args {
        ["run", rest @ ..] => ([&["run"], choice].concat(), rest),
        other => (Vec::new(), other),
    };
    case.program("ctr")
        .args(["--address", &socket.to_string_lossy()])
        .args(["--namespace", case.token()])
        .args(verb)
        .args(rest)
        .limit(PATIENCE)
}

/// Tells the story with a new containerd that has the image.
#[track_caller]
pub fn story(case: &mut Case, engine: Engine, story: impl Fn(&mut Session, &mut Containerd)) {
    let peer = peer(case);
    story_beside(case, peer, engine, story);
}

/// [`story`] with a peer of the test's choice.
#[track_caller]
pub fn story_beside(
    case: &mut Case,
    peer: String,
    engine: Engine,
    story: impl Fn(&mut Session, &mut Containerd),
) {
    require(&["containerd", "ctr", "containerd-shim-runc-v2"]);
    let archive = Images::make(case.store()).oci_archive();
    compare_with(case, peer, engine, |session| {
        let mut containerd = Containerd::start(session.case, &directory(session.case));
        let import = ["image", "import", &archive.to_string_lossy()];
        session.ask(&import).ok();
        story(session, &mut containerd);
        drop(containerd);
        remove_with_mounts(&directory(session.case));
    });
}

/// `ctr run`, with words of options.
fn run_command<'a>(options: &'a str, id: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    let mut line = vec!["run"];
    line.extend(options.split_whitespace());
    line.extend([NAME, id]);
    line.extend(command);
    line
}

/// Asks until there is output, and writes down that answer.
///
/// `ctr` opens its ends of the FIFOs in the background, and gives up those that are not
/// open when the process has ended. Measured on two busy cores, with a program that
/// writes a line and ends: `ctr run` lost a stream in 5 of 1680 runs with corten and in
/// none of 1080 with runc and crun, `ctr task exec` in 1 of about 1300 and in none of
/// 1300. corten returns when the program runs, not before, so one that ends at once has
/// mostly ended by then, and `ctr` has less time.
#[track_caller]
fn tell_until_output(session: &mut Session, words: &[&str]) -> Finished {
    let mut finished = session.ask(words);
    for _ in 0..10 {
        if !finished.stdout.is_empty() {
            break;
        }
        finished = session.ask(words);
    }
    session.write_down(&finished);
    finished
}

/// Runs a line of shell in a container and compares code and output.
#[track_caller]
fn run(session: &mut Session, options: &str, line: &str) -> Finished {
    let options = format!("--rm {options}");
    tell_until_output(session, &run_command(&options, "c", &["sh", "-c", line]))
}

/// Starts a container in the background.
#[track_caller]
pub fn start(session: &Session, options: &str, id: &str, line: &str) {
    let options = format!("-d {options}");
    session
        .ask(&run_command(&options, id, &["sh", "-c", line]))
        .ok();
}

/// The status word of `ctr task ls`, or nothing for no such task.
pub fn status(session: &Session, id: &str) -> String {
    let tasks = session.ask(&["task", "ls"]).ok().stdout;
    let mut lines = tasks
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words.first() == Some(&id));
    line.and_then(|words| words.last().map(|word| (*word).to_owned()))
        .unwrap_or_default()
}

pub fn pid(session: &Session, id: &str) -> i32 {
    let tasks = session.ask(&["task", "ls"]).ok().stdout;
    let line = tasks
        .lines()
        .find(|line| line.split_whitespace().next() == Some(id));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.and_then(|pid| pid.parse().ok())
        .unwrap_or_else(|| panic!("no task {id}: {tasks}"))
}

#[track_caller]
pub fn until_status(session: &mut Session, id: &str, wanted: &str) {
    session.case.until(&format!("{id} is {wanted}"), || {
        status(session, id) == wanted
    });
    session.note("status", wanted);
}

/// Removes a container that has ended.
#[track_caller]
pub fn remove(session: &mut Session, id: &str) {
    session.tell(&["container", "rm", id]).ok();
}

/// The runtime itself, with the directory in which the shim keeps containers.
fn runtime(session: &Session, args: &[&str]) -> Program {
    let token = session.case.token();
    let own = format!("/run/containerd/corten/{token}");
    let root = match session.is_tested() && Path::new(&own).exists() {
        true => own,
        false => format!("/run/containerd/runc/{token}"),
    };
    session
        .case
        .program(&session.runtime.path)
        .args(["--root", &root])
        .args(args)
}

#[convention(
    "ctr run: output on both streams, exit codes, a program that is missing, --null-io, the native snapshotter."
)]
fn runs(case: &mut Case) {
    story(case, ctr, tell_runs);
}

pub fn tell_runs(session: &mut Session, _: &mut Containerd) {
    let line = ["sh", "-c", "echo out; echo err >&2; exit 7"];
    let both = run_command("--rm", "c", &line);
    session.case.until("both streams arrive", || {
        let finished = session.ask(&both).exits(7);
        finished.stdout == "out\n" && finished.stderr == "err\n"
    });
    run(session, "--snapshotter native", "ls /").ok();
    let missing = session.tell(&run_command("--rm", "c", &["nosuch"]));
    missing.exits(1).says("nosuch");
    let silent = run_command("--rm --null-io", "c", &["sh", "-c", "exit 3"]);
    session.tell(&silent).exits(3);
    let facts = "grep -E '^(Cap|NoNew|Seccomp|Uid)' /proc/self/status; id; env; pwd; \
            cut -d' ' -f2-4 /proc/mounts | grep -v '^/ \\|cgroup\\|/proc/\\|^/sys/firm' | sort; stat -c '%A %t:%T %N' /dev/* | grep -v core; hostname";
    run(session, "", facts).ok();
}

#[convention(
    "ctr run: --read-only, --env, --cwd, --no-pivot, --seccomp, --allow-new-privs, --cap-add, --cap-drop, --net-host, --device, --mount, --uidmap, --rootfs-propagation, --privileged."
)]
fn options(case: &mut Case) {
    story(case, ctr, |session, _| {
        let volume = session.case.directory.join("volume");
        fs::create_dir_all(&volume).unwrap();
        let volume = volume.to_string_lossy();
        let mount = format!("--mount type=bind,src={volume},dst=/mnt,options=rbind:ro");
        for (options, line) in [
            (
                "--read-only",
                "touch /file; grep ' / ' /proc/mounts | cut -d' ' -f4 | cut -c1-3",
            ),
            ("--env A=b --cwd /tmp", "echo $A; pwd"),
            ("--no-pivot", "ls /"),
            (
                "--seccomp",
                "grep Seccomp /proc/self/status; unshare -m true",
            ),
            ("--allow-new-privs", "grep NoNewPrivs /proc/self/status"),
            (
                "--cap-drop CAP_CHOWN --cap-add CAP_NET_ADMIN",
                "grep Cap /proc/self/status",
            ),
            ("--net-host", "ls /sys/class/net; hostname"),
            ("--device /dev/kmsg", "ls -l /dev/kmsg | cut -c1-10"),
            (
                &mount,
                "touch /mnt/file; grep ' /mnt ' /proc/mounts | cut -d' ' -f4 | cut -c1-3",
            ),
            (
                "--uidmap 0:100000:1000 --gidmap 0:100000:1000",
                "cat /proc/self/uid_map; id -u",
            ),
            ("--rootfs-propagation rshared", "echo ran"),
        ] {
            run(session, options, line);
        }
        // Peers refuse capabilities that root itself lacks; the specification wants a warning.
        let privileged = run_command(
            "--rm --privileged",
            "c",
            &["grep", "CapEff", "/proc/self/status"],
        );
        let finished = session.ask(&privileged);
        if session.case.is_corten() && session.is_tested() {
            finished.ok();
        }
    });
}

#[convention("A container's limits are in the files of its cgroup; `ctr task metrics` reads them.")]
fn limits(case: &mut Case) {
    story(case, ctr, tell_limits);
}

pub fn tell_limits(session: &mut Session, _: &mut Containerd) {
    let options = "--memory-limit 67108864 --cpu-quota 50000 --cpu-period 100000";
    start(session, options, "limited", "exec sleep 1000");
    let files = [
        "memory.limit_in_bytes",
        "cpu.cfs_quota_us",
        "cpu.cfs_period_us",
        "cpu.shares",
        "pids.max",
        "memory.max",
        "cpu.max",
    ];
    let id = format!("{}/limited", session.case.token());
    assert!(!cgroup_directories(&id).is_empty());
    session.note_cgroup_files(&id, &files);
    let metrics = session.ask(&["task", "metrics", "limited"]).ok().stdout;
    for line in metrics
        .lines()
        .filter(|line| line.contains("limit_in_bytes") || line.contains("pids"))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        session.note("metrics", &words.join(" "));
    }
    end(session, "limited");
}

/// Kills and removes.
#[track_caller]
fn end(session: &mut Session, id: &str) {
    session.ask(&["task", "kill", "-s", "KILL", id]).ok();
    until_status(session, id, "STOPPED");
    session.tell(&["task", "rm", id]);
    remove(session, id);
}

fn catches_term(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << 14) != 0)
}

#[convention("A container's life in the background: pause, resume, kill, rm.")]
fn life(case: &mut Case) {
    story(case, ctr, tell_life);
}

pub fn tell_life(session: &mut Session, _: &mut Containerd) {
    let line = "trap 'exit 9' TERM; while :; do sleep 0.1; done";
    start(session, "", "c", line);
    until_status(session, "c", "RUNNING");
    // An init that has not come to its trap yet ignores the signal.
    let init = pid(session, "c");
    session.case.until("the trap is set", || catches_term(init));
    session.tell(&["task", "pause", "c"]).ok();
    until_status(session, "c", "PAUSED");
    session.tell(&["task", "resume", "c"]).ok();
    until_status(session, "c", "RUNNING");
    session.tell(&["task", "rm", "c"]).exits(1);
    session.tell(&["task", "kill", "-s", "TERM", "c"]).ok();
    until_status(session, "c", "STOPPED");
    session.tell(&["task", "kill", "c"]);
    session.tell(&["task", "rm", "c"]).ok().says("code 9");
    remove(session, "c");
}

/// `ctr task exec` in the container `c`, with words of options.
fn exec<'a>(options: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    let mut line = vec!["task", "exec"];
    line.extend(options.split_whitespace());
    line.push("c");
    line.extend(command);
    line
}

#[convention("ctr task exec: code, user, directory, in the background, and what ps says of it.")]
fn execs(case: &mut Case) {
    story(case, ctr, tell_execs);
}

pub fn tell_execs(session: &mut Session, _: &mut Containerd) {
    start(session, "", "c", "exec sleep 1000");
    let line = exec("--exec-id e1", &["sh", "-c", "echo in; exit 4"]);
    tell_until_output(session, &line).exits(4);
    let options = "--exec-id e2 --user 1000 --cwd /tmp";
    tell_until_output(session, &exec(options, &["sh", "-c", "id; pwd"])).ok();
    let missing = session.tell(&exec("--exec-id e3", &["nosuch"]));
    missing.exits(1).says("nosuch");
    let detached = exec("--exec-id e4 --detach", &["sleep", "1000"]);
    session.tell(&detached).ok();
    let processes = session.ask(&["task", "ps", "c"]).ok().stdout;
    let init = pid(session, "c").to_string();
    let known = processes.contains("e4") && processes.contains(&init);
    assert!(known, "{processes}");
    let kill = ["task", "kill", "--exec-id", "e4", "-s", "KILL", "c"];
    session.tell(&kill).ok();
    end(session, "c");
}

/// A line of shell whose standard streams are a terminal of 30 rows and 100 columns.
#[track_caller]
fn on_terminal(session: &mut Session, args: &[&str]) -> Finished {
    let socket = Containerd::socket(&directory(session.case));
    let words: Vec<String> = args.iter().map(|word| format!("'{word}'")).collect();
    let line = format!(
        "stty rows 30 cols 100; ctr --address {} --namespace {} {}",
        socket.display(),
        session.case.token(),
        words.join(" ")
    );
    let program = session.case.program("script").limit(PATIENCE);
    let mut finished = program.args(["-qec", &line, "/dev/null"]).run();
    // The end of `script`'s own input, echoed at any time.
    finished.stdout = finished
        .stdout
        .replace("^@", "")
        .replace("^D\u{8}\u{8}", "");
    finished
}

#[convention("-t: a terminal of the client's size, for run and exec.")]
fn terminal(case: &mut Case) {
    story(case, ctr, |session, _| {
        let binary = session.runtime.path.clone();
        tell_terminal(session, &["--runc-binary", &binary]);
    });
}

/// `choice` is of the runtime, for `ctr run`.
pub fn tell_terminal(session: &mut Session, choice: &[&str]) {
    let line = "tty; until stty size 2> /dev/null | grep ^30.100; do sleep 0.05; done; test -t 0 -a -t 1 -a -t 2 && echo all; exit 6";
    let rest = ["--rm", "-t", NAME, "c", "sh", "-c", line];
    let run = [&["run"], choice, &rest].concat();
    let exec = [
        "task",
        "exec",
        "-t",
        "--exec-id",
        "e",
        "c",
        "sh",
        "-c",
        line,
    ];
    tell_on_terminal(session, &run);
    start(session, "", "c", "exec sleep 1000");
    tell_on_terminal(session, &exec);
    end(session, "c");
}

#[track_caller]
fn tell_on_terminal(session: &mut Session, args: &[&str]) {
    let finished = on_terminal(session, args).exits(6);
    assert!(
        finished.stdout.contains("30 100") && finished.stdout.contains("all"),
        "{}",
        finished.describe()
    );
}

#[convention("Containers outlive a containerd that is killed; the next one finds them again.")]
fn containerd_is_killed(case: &mut Case) {
    story(case, ctr, tell_containerd_is_killed);
}

pub fn tell_containerd_is_killed(session: &mut Session, containerd: &mut Containerd) {
    start(session, "", "c", "exec sleep 1000");
    let before = pid(session, "c");
    containerd.crash();
    containerd.restart(session.case);
    assert_eq!(pid(session, "c"), before);
    until_status(session, "c", "RUNNING");
    tell_until_output(session, &exec("--exec-id e", &["echo", "still"])).ok();
    // Killed behind the engine's back, and it notices.
    runtime(session, &["kill", "c", "KILL"]).run().ok();
    until_status(session, "c", "STOPPED");
    session.tell(&["task", "rm", "c"]).ok().says("code 137");
    remove(session, "c");
}

#[convention("A shim that is killed: containerd has the runtime delete the container, by force.")]
fn shim_is_killed(case: &mut Case) {
    story(case, ctr, |session, _| {
        start(session, "", "c", "exec sleep 1000");
        let init = pid(session, "c");
        let shims = shims(&["c", session.case.token()]);
        assert_eq!(shims.len(), 1, "{shims:?}");
        kill(shims[0], Signal::KILL);
        until_status(session, "c", "");
        session.case.until_ended(init);
        remove(session, "c");
        // containerd may not have forgotten the first one's task yet.
        start(session, "", "d", "exec sleep 1000");
        end(session, "d");
    });
}

#[convention("Shim and containerd killed: the runtime lists, kills and deletes what they left.")]
fn everything_is_killed(case: &mut Case) {
    story(case, ctr, tell_everything_is_killed);
}

pub fn tell_everything_is_killed(session: &mut Session, containerd: &mut Containerd) {
    start(session, "", "c", "exec sleep 1000");
    let init = pid(session, "c");
    containerd.crash();
    for shim in shims(&["-namespace", session.case.token()]) {
        kill(shim, Signal::KILL);
    }
    let list = runtime(session, &["list", "--quiet"]).run().ok().stdout;
    session.note("list", &list);
    let state = runtime(session, &["state", "c"]).run().ok().stdout;
    assert!(state.contains("running"), "{state}");
    runtime(session, &["kill", "c", "KILL"]).run().ok();
    session.case.until_ended(init);
    runtime(session, &["delete", "c"]).run().ok();
    let list = runtime(session, &["list", "--quiet"]).run().ok().stdout;
    session.note("list after delete", &list);
    containerd.restart(session.case);
    session.note(
        "tasks",
        &session.ask(&["task", "ls", "--quiet"]).ok().stdout,
    );
    remove(session, "c");
}
