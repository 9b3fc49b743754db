//! `checkpoint` and `restore`, with CRIU.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_tests::{Bundle, Case, Program, cgroup_directories, convention};
use serde_json::json;

use crate::machine::{Scope, read, require, require_program, with_systemd};

const CHAPTER: &str = "checkpoint and restore";

/// A container that counts in a file of the host.
pub struct Counter {
    pub bundle: Bundle,
    pub file: PathBuf,
    pub images: PathBuf,
}

impl Counter {
    pub fn new(case: &mut Case) -> Self {
        require(case);
        require_program("criu");
        let bundle = case.bundle();
        Self::of(case, bundle)
    }

    fn of(case: &Case, mut bundle: Bundle) -> Self {
        let volume = case.directory.join("volume");
        fs::create_dir_all(&volume).unwrap();
        bundle.config.bind(&volume, "/mnt", &["rbind", "rw"]);
        bundle
            .config
            .shell("i=0; while :; do i=$((i+1)); echo $i; echo $i >/mnt/n; sleep 0.2; done");
        Self {
            bundle,
            file: volume.join("n"),
            images: case.directory.join("images"),
        }
    }

    pub fn count(&self) -> u32 {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    /// Starts it with streams that are none: CRIU wants a file outside to be as long as
    /// it was.
    #[track_caller]
    pub fn launch(&self, case: &mut Case) -> String {
        let id = case.id();
        self.bundle.write();
        let path = self.bundle.path.to_string_lossy().into_owned();
        let run = case
            .runtime()
            .args(["run", "--detach", "--bundle", &path, &id]);
        self.quietly(case, run.line()).run().ok();
        id
    }

    fn quietly(&self, case: &Case, line: &str) -> Program {
        let line = format!("{line} </dev/null >/dev/null 2>&1");
        let shell = case.program("sh").args(["-c", &line]);
        shell.limit(std::time::Duration::from_secs(120))
    }

    #[track_caller]
    pub fn await_more(&self, case: &Case) {
        let before = self.count();
        case.until("it counts", || self.count() > before + 1);
    }

    /// `checkpoint`, with the options of a test.
    pub fn checkpoint(&self, case: &Case, id: &str, options: &[&str]) -> Program {
        let images = self.images.to_string_lossy();
        case.runtime()
            .args(["checkpoint", "--image-path", &images])
            .args(options)
            .args([id])
            .limit(std::time::Duration::from_secs(120))
    }

    /// `restore`, which goes on as the launch did.
    pub fn restore(&self, case: &Case, runtime: Program, id: &str, options: &[&str]) -> Program {
        let restore = self.restore_loudly(runtime, id, options);
        self.quietly(case, restore.line())
    }

    pub fn restore_loudly(&self, runtime: Program, id: &str, options: &[&str]) -> Program {
        self.bundle.write();
        let images = self.images.to_string_lossy();
        let bundle = self.bundle.path.to_string_lossy();
        runtime
            .args(["restore", "--image-path", &images, "--bundle", &bundle])
            .args(options)
            .args([id])
            .limit(std::time::Duration::from_secs(120))
    }
}

#[convention("A checkpoint ends the container; restored, it goes on where it was.")]
fn there_and_back(case: &mut Case) {
    let counter = Counter::new(case);
    let id = counter.launch(case);
    counter.await_more(case);
    counter.checkpoint(case, &id, &[]).run().ok();
    assert!(!case.state_root().join(&id).exists());
    assert!(cgroup_directories(case.token()).is_empty());
    let there = counter.count();
    let pid_file = case.directory.join("pid");
    let option = pid_file.to_string_lossy().into_owned();
    let restore = counter.restore(
        case,
        case.runtime(),
        &id,
        &["--detach", "--pid-file", &option],
    );
    restore.run().ok();
    assert_eq!(read(&pid_file), case.pid(&id).to_string());
    counter.await_more(case);
    assert!(counter.count() > there, "not from the beginning");
    let exec = case
        .runtime()
        .args(["exec", &id, "/bin/cat", "/proc/self/cgroup"]);
    assert_eq!(exec.run().ok().stdout.trim(), "0::/");
    case.destroy(&id);
}

#[convention("Restored into a scope of systemd, and under another name and path.")]
fn another_scope(case: &mut Case) {
    let counter = Counter::new(case);
    let id = counter.launch(case);
    counter.await_more(case);
    counter.checkpoint(case, &id, &[]).run().ok();
    let scope = Scope::new(case);
    let place = scope.bundle.config.0["linux"]["cgroupsPath"].clone();
    let mut counter = Counter::of(case, scope.bundle);
    counter.bundle.config.set("/linux/cgroupsPath", place);
    let scope = Scope {
        bundle: case.bundle(),
        ..scope
    };
    let other = case.id();
    let restore = counter.restore(case, with_systemd(case), &other, &["--detach"]);
    restore.run().ok();
    counter.await_more(case);
    assert_eq!(scope.property(case, "ActiveState"), "active");
    let pid = case.pid(&other);
    assert!(
        scope
            .file("cgroup.procs")
            .lines()
            .any(|line| line == pid.to_string())
    );
    case.destroy(&other);
}

#[convention("`--leave-running` and `--pre-dump` leave it running; a later one adds to them.")]
fn incremental(case: &mut Case) {
    let mut counter = Counter::new(case);
    let id = counter.launch(case);
    counter.images = case.directory.join("first");
    counter.checkpoint(case, &id, &["--pre-dump"]).run().ok();
    counter.await_more(case);
    counter.images = case.directory.join("second");
    let parent = ["--parent-path", "../first", "--leave-running"];
    counter.checkpoint(case, &id, &parent).run().ok();
    counter.await_more(case);
    assert_eq!(case.status(&id), "running");
    case.destroy(&id);
    counter
        .restore(case, case.runtime(), &id, &["--detach"])
        .run()
        .ok();
    counter.await_more(case);
    case.destroy(&id);
}

#[convention("In the foreground `restore` has the program's output and exit status.")]
fn foreground(case: &mut Case) {
    let mut counter = Counter::new(case);
    let line = "while test ! -e /mnt/end; do echo 1 >/mnt/n; sleep 0.1; done; echo ended; exit 7";
    counter.bundle.config.shell(line);
    counter.bundle.write();
    let id = case.id();
    // Through pipes, which are given new ends.
    let path = counter.bundle.path.to_string_lossy().into_owned();
    let runtime = format!(
        "{} --root {}",
        case.runtime_path(),
        case.state_root().display()
    );
    let run = format!(": | {runtime} run --detach --bundle {path} {id} 2>&1 | cat & sleep 1");
    case.program("sh").args(["-c", &run]).run().ok();
    case.until("it runs", || counter.count() == 1);
    counter.checkpoint(case, &id, &[]).run().ok();
    fs::write(counter.file.with_file_name("end"), "").unwrap();
    let images = counter.images.to_string_lossy().into_owned();
    let restore = format!(
        "{{ : | {runtime} restore --image-path {images} --bundle {path} {id}; echo $?; }} 2>&1 | cat"
    );
    let shown = case.program("sh").args(["-c", &restore]).run().ok().stdout;
    assert_eq!(shown, "ended\n7\n");
}

#[convention("A network namespace that was joined is the one of today.")]
fn joined_network(case: &mut Case) {
    let mut counter = Counter::new(case);
    let name = case.token().to_owned();
    let ip = |words: &[&str]| case.program("ip").args(words).run().ok();
    ip(&["netns", "add", &name]);
    let path = format!("/run/netns/{name}");
    let namespaces = counter.bundle.config.0["linux"]["namespaces"]
        .as_array_mut()
        .unwrap();
    for namespace in namespaces {
        if namespace["type"] == "network" {
            *namespace = json!({"type": "network", "path": path});
        }
    }
    let id = counter.launch(case);
    counter.await_more(case);
    counter.checkpoint(case, &id, &[]).run().ok();
    counter
        .restore(case, case.runtime(), &id, &["--detach"])
        .run()
        .ok();
    counter.await_more(case);
    let inside = fs::metadata(format!("/proc/{}/ns/net", case.pid(&id))).unwrap();
    let outside = fs::metadata(&path).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!(inside.ino(), outside.ino());
    case.destroy(&id);
    case.program("ip")
        .args(["netns", "delete", &name])
        .run()
        .ok();
}

#[convention("A container that does not run cannot be checkpointed.")]
fn wrong_states(case: &mut Case) {
    let counter = Counter::new(case);
    let id = case.create(&counter.bundle);
    let refused = counter.checkpoint(case, &id, &[]).run().fails();
    refused.says("cannot be checkpointed in created state");
    assert_eq!(case.status(&id), "created");
    case.destroy(&id);
}

#[convention(
    "When CRIU fails the error has its words and the path of its log, and nothing is left."
)]
fn failures(case: &mut Case) {
    let counter = Counter::new(case);
    fs::create_dir(&counter.images).unwrap();
    fs::write(counter.images.join("descriptors.json"), "[]").unwrap();
    let id = case.id();
    let refused = counter
        .restore_loudly(case.runtime(), &id, &["--detach"])
        .run();
    refused.fails().says("restore.log");
    assert!(!case.state_root().join(&id).exists());
    assert!(cgroup_directories(case.token()).is_empty());
    assert!(!Path::new(&counter.file).exists());
}
