//! podman, as root. Storage, locks and networks lie where podman wants them by
//! default: in the test's mount namespace those places are empty.

use std::fs;

use runtime_tests::{Case, Facts, Finished, Program, convention};

use crate::facts::write_down;
use crate::images::Images;
use crate::session::{
    PATIENCE, Runtime, Session, cgroup_parent, compare, compare_with, peer, require, uses_systemd,
};

const CHAPTER: &str = "podman: images";

/// No journal; limits below this machine's hard ones (podman's own are
/// above, and then every runtime fails).
const CONTAINERS_CONF: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
annotations = [ANNOTATIONS]
pids_limit = 0
[engine]
cgroup_manager = "MANAGER"
events_logger = "file"
runtime_supports_nocgroup = ["tested", "peer"]
[engine.runtimes]
"#;
const STORAGE_CONF: &str = r#"
[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
"#;

/// podman with this test's configuration.
pub fn podman(case: &Case, runtime: &Runtime, args: &[&str]) -> Program {
    let parent = format!("--cgroup-parent={}", cgroup_parent(case));
    let (verb, rest) = match args {
        // These are outside of any parent, or inside the caller's.
        [_, rest @ ..]
            if rest
                .iter()
                .any(|word| word.starts_with("--pod") || word.starts_with("--cgroups=")) =>
        {
            (Vec::new(), args)
        }
        [verb @ ("run" | "create"), rest @ ..] => (vec![*verb, &parent], rest),
        ["pod", "create", rest @ ..] => (vec!["pod", "create", &parent], rest),
        other => (Vec::new(), other),
    };
    // By `env`, so that the command line is good for shells too.
    let conf =
        |variable: &str, name: &str| format!("{variable}={}", case.directory.join(name).display());
    case.program("env")
        // The monitor writes a file `oom` where it is.
        .directory(&case.directory)
        .args([
            conf("CONTAINERS_CONF", "containers.conf"),
            conf("CONTAINERS_STORAGE_CONF", "storage.conf"),
            "podman".to_owned(),
            format!("--runtime={}", runtime.name),
        ])
        .args(verb)
        .args(rest)
        .limit(PATIENCE)
}

/// Writes podman's configuration, or skips where podman is missing.
pub fn configure(case: &Case) -> Images {
    configure_with(case, &peer(case))
}

/// [`configure`] with a peer of the test's choice.
fn configure_with(case: &Case, peer: &str) -> Images {
    require(&["podman", "conmon", "netavark", "iptables"]);
    let tested = case.runtime_path();
    let manager = match uses_systemd(case) {
        true => "systemd",
        false => "cgroupfs",
    };
    // crun's place for programs is a cgroup below the scope unless it is told otherwise.
    let annotations = match uses_systemd(case) {
        true => r#""run.oci.systemd.subgroup=""#,
        false => "",
    };
    let conf = CONTAINERS_CONF
        .replace("MANAGER", manager)
        .replace("ANNOTATIONS", annotations);
    let conf = format!("{conf}tested = [\"{tested}\"]\npeer = [\"{peer}\"]\n");
    fs::write(case.directory.join("containers.conf"), conf).unwrap();
    fs::write(case.directory.join("storage.conf"), STORAGE_CONF).unwrap();
    Images::make(case.store())
}

/// Tells the story with an image `bb` at hand, and removes all containers after it.
#[track_caller]
pub fn story(case: &mut Case, story: impl Fn(&mut Session)) {
    let peer = peer(case);
    story_beside(case, peer, story);
}

/// [`story`] with a peer of the test's choice.
#[track_caller]
pub fn story_beside(case: &mut Case, peer: String, story: impl Fn(&mut Session)) {
    let images = configure_with(case, &peer);
    let tar = images.root_tar().to_string_lossy().into_owned();
    compare_with(case, peer, podman, |session| tell(session, &tar, &story));
}

/// Tells the story to an engine that may not have the image in `tar` yet, and removes
/// all containers after it.
#[track_caller]
pub fn tell(session: &mut Session, tar: &str, story: &impl Fn(&mut Session)) {
    if !session.ask(&["image", "exists", "bb"]).status.success() {
        session.ask(&["import", "-q", tar, "localhost/bb"]).ok();
    }
    story(session);
    session.ask(&["pod", "rm", "-fa", "-t0"]).ok();
    session.ask(&["rm", "-fa", "-t0"]).ok();
}

/// `run --rm` of podman, and of Docker, with words of options, without a network unless they name one.
pub fn run_command<'a>(options: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    let mut line = vec!["run", "--rm"];
    if !options.contains("--net") && !options.contains("--pod") {
        line.push("--net=none");
    }
    line.extend(options.split_whitespace());
    line.push("bb");
    line.extend(command);
    line
}

/// The option without which podman's profile of AppArmor forbids every mount(2), where
/// that is in force.
pub fn mounting() -> &'static str {
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    match enabled.is_ok_and(|text| text.starts_with('Y')) {
        true => "--cap-add SYS_ADMIN --security-opt apparmor=unconfined",
        false => "--cap-add SYS_ADMIN",
    }
}

/// Asks again, a few times, while a success has said nothing: at times podman loses
/// the output of a container that ends at once.
#[track_caller]
pub fn ask_for_output(session: &Session, line: &[&str]) -> Finished {
    let mut finished = session.ask(line);
    for _ in 0..3 {
        if !finished.stdout.is_empty() || !finished.status.success() {
            break;
        }
        finished = session.ask(line);
    }
    finished
}

/// Runs a container and compares how it ended and what it wrote.
#[track_caller]
pub fn run(session: &mut Session, options: &str, command: &[&str]) -> Finished {
    let line = run_command(options, command);
    let finished = ask_for_output(session, &line);
    session.write_down(&finished);
    finished
}

/// Runs a line of shell in a container; it must succeed.
#[track_caller]
pub fn shell(session: &mut Session, options: &str, line: &str) -> String {
    run(session, options, &["sh", "-c", line]).ok().stdout
}

/// Runs the probe in a container and compares all that it saw.
#[track_caller]
pub fn facts(session: &mut Session, options: &str) -> Facts {
    let line = run_command(options, &["probe", "facts"]);
    let finished = ask_for_output(session, &line);
    write_down(session, finished, &[])
}

/// Starts a container in the background and returns its id.
#[track_caller]
pub fn start(session: &Session, options: &str, command: &[&str]) -> String {
    let mut line = run_command(options, command);
    line[1] = "-d";
    session.ask(&line).ok().stdout.trim().to_owned()
}

/// One property of `podman inspect`.
#[track_caller]
pub fn inspect(session: &Session, id: &str, format: &str) -> String {
    let finished = session.ask(&["inspect", "--format", format, id]).ok();
    finished.stdout.trim().to_owned()
}

/// Every archive that is made here is an image to podman.
#[convention("Every archive that is made here is an image to podman.")]
fn images(case: &mut Case) {
    let images = configure(case);
    compare(case, podman, |session| {
        for archive in [images.oci_archive(), images.docker_archive()] {
            let archive = archive.to_string_lossy().into_owned();
            session.ask(&["load", "-q", "-i", &archive]).ok();
            let line = [
                "run",
                "--rm",
                "--net=none",
                "localhost/busybox",
                "echo",
                "hi",
            ];
            assert_eq!(session.tell(&line).ok().stdout, "hi\n");
            session.ask(&["rmi", "localhost/busybox"]).ok();
        }
    });
}
