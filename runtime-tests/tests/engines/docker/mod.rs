//! Docker of Debian 12 with the runtime in its daemon.json, on a containerd of its own.
//! The peer is runc, Docker's own: crun has no words that Docker maps to 126 and 127.

use std::fs;
use std::path::PathBuf;

use runtime_tests::{Case, Finished, Program};

use crate::daemon::{Containerd, Daemon, remove_with_mounts};
use crate::images::{Images, NAME};
use crate::podman::run_command;
use crate::session::{
    PATIENCE, Runtime, Session, cgroup_parent, compare_with, find_program, peer_or, require,
};

mod confinement;
mod failures;
mod lifecycle;
mod limits;
mod processes;

/// The client in /usr/bin: it is the daemon's age, whatever else is in PATH.
const CLIENT: &str = "/usr/bin/docker";

fn directory(case: &Case) -> PathBuf {
    case.directory.join("docker")
}

fn docker(case: &Case, _: &Runtime, args: &[&str]) -> Program {
    let parent = cgroup_parent(case);
    let (verb, rest) = match args {
        [verb @ ("run" | "create"), rest @ ..] => (
            vec![*verb, "--runtime", "corten", "--cgroup-parent", &parent],
            rest,
        ),
        other => (Vec::new(), other),
    };
    let configuration = directory(case).join("client");
    case.program(CLIENT)
        .env("DOCKER_CONFIG", &configuration.to_string_lossy())
        .env("DOCKER_BUILDKIT", "0")
        .args(["-H", &format!("unix://{}", socket(case).display())])
        .args(verb)
        .args(rest)
        .limit(PATIENCE)
}

fn socket(case: &Case) -> PathBuf {
    directory(case).join("docker.sock")
}

/// containerd and dockerd; the later is ended first.
struct Daemons {
    dockerd: Daemon,
    containerd: Containerd,
    /// Options of dockerd beside the usual ones.
    options: &'static [&'static str],
}

impl Daemons {
    #[track_caller]
    fn start(session: &Session, options: &'static [&'static str]) -> Self {
        let containerd =
            Containerd::start(session.case, &directory(session.case).join("containerd"));
        Self {
            dockerd: start_dockerd(session, options),
            containerd,
            options,
        }
    }

    /// Kills dockerd and starts another on what it left.
    #[track_caller]
    fn crash_dockerd(&mut self, session: &Session) {
        self.dockerd.crash();
        // Nobody but the dead one has told the socket.
        let _ = fs::remove_file(socket(session.case));
        self.dockerd = start_dockerd(session, self.options);
    }
}

/// dockerd makes its bridge and its rules in the network namespace of the test.
#[track_caller]
fn start_dockerd(session: &Session, options: &[&str]) -> Daemon {
    let case = session.case;
    let at = |name: &str| directory(case).join(name).to_string_lossy().into_owned();
    let program = case
        .program(&find_program("dockerd").expect("required before"))
        .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
        .args([
            "--pidfile",
            &at("docker.pid"),
            "--config-file",
            &at("daemon.json"),
        ])
        .args([
            "-H",
            &format!("unix://{}", socket(case).display()),
            "--group",
            "root",
        ])
        .args([
            "--containerd",
            &Containerd::socket(&directory(case).join("containerd")).to_string_lossy(),
        ])
        .args([
            "--storage-driver",
            "overlay2",
            "--exec-opt",
            "native.cgroupdriver=cgroupfs",
        ])
        // Docker's own default is above what root may have on every machine.
        .args(["--default-ulimit", "nofile=1024:1024"])
        .args(options);
    Daemon::start(case, program, &socket(case))
}

/// Tells the story with a new Docker that has the image `bb`.
#[track_caller]
fn story(case: &mut Case, story: impl Fn(&mut Session, &mut Daemons)) {
    story_with(case, &[], story);
}

/// The same with more options for dockerd.
#[track_caller]
fn story_with(
    case: &mut Case,
    options: &'static [&'static str],
    story: impl Fn(&mut Session, &mut Daemons),
) {
    require(&[
        "dockerd",
        "containerd",
        "containerd-shim-runc-v2",
        "iptables",
    ]);
    if !fs::exists(CLIENT).unwrap_or(false) {
        runtime_tests::skip(&format!("{CLIENT} is not installed (`make test-deps`)"));
    }
    let archive = Images::make(case.store()).docker_archive();
    compare_with(case, peer_or("runc"), docker, |session| {
        fs::create_dir_all(directory(session.case)).expect("docker's directory");
        // The snippet that is given to users, with the path of the runtime in it.
        let snippet = include_str!("../../../../contrib/docker/daemon.json");
        let snippet = snippet.replace("/usr/sbin/corten", &session.runtime.path);
        fs::write(directory(session.case).join("daemon.json"), snippet).expect("daemon.json");
        let mut daemons = Daemons::start(session, options);
        session
            .ask(&["load", "-q", "-i", &archive.to_string_lossy()])
            .ok();
        session.ask(&["tag", NAME, "bb"]).ok();
        story(session, &mut daemons);
        let left = session.ask(&["ps", "-aq"]).ok().stdout;
        for id in left.lines() {
            session.ask(&["rm", "-f", id]).ok();
        }
        drop(daemons);
        // dockerd never lets go of the host's network namespace.
        remove_with_mounts(&directory(session.case));
    });
}

/// Runs a line of shell in a container and compares code and output.
#[track_caller]
fn run(session: &mut Session, options: &str, line: &str) -> Finished {
    session.tell(&run_command(options, &["sh", "-c", line]))
}

/// Starts a line of shell in the background under a name; the id.
#[track_caller]
fn start(session: &Session, options: &str, name: &str, line: &str) -> String {
    let mut words = vec!["run", "-d", "--name", name];
    if !options.contains("--net") {
        words.push("--net=none");
    }
    words.extend(options.split_whitespace());
    words.extend(["bb", "sh", "-c", line]);
    session.ask(&words).ok().stdout.trim().to_owned()
}

/// One field of `docker inspect`.
#[track_caller]
fn inspect(session: &Session, name: &str, field: &str) -> String {
    let format = format!("{{{{{field}}}}}");
    let finished = session.ask(&["inspect", "-f", &format, name]).ok();
    finished.stdout.trim().to_owned()
}

/// Waits until a field of `docker inspect` is so, and writes that down.
#[track_caller]
fn until(session: &mut Session, name: &str, field: &str, wanted: &str) {
    let what = format!("{field} of {name} is {wanted}");
    session
        .case
        .until(&what, || inspect(session, name, field) == wanted);
    session.note(&what, "yes");
}
