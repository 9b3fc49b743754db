//! One running test: its directory, its runtime, its containers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};
use serde_json::Value;

use crate::bundle::Bundle;
use crate::command::{Finished, Program, wait_exit};
use crate::facts::Facts;
use crate::figures;
use crate::host;
use crate::pace::paced;
use crate::view::View;

/// What a test gets: everything in it is private to the test.
pub struct Case {
    /// The view this test runs in.
    pub view: View,
    /// The test's private directory (mode 0711: user namespaces look through it).
    pub directory: PathBuf,
    runtime: String,
    store: PathBuf,
    token: String,
    version: String,
    bundles: usize,
    ids: Vec<String>,
}

/// Ends the test as skipped.
pub fn skip(reason: &str) -> ! {
    std::panic::resume_unwind(Box::new(Skipped(reason.to_owned())))
}

pub(crate) struct Skipped(pub String);

impl Case {
    pub(crate) fn new(view: View, runtime: &str, store: &Path, directory: &Path) -> Self {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o711)).expect("chmod");
        for name in ["state", "output"] {
            fs::create_dir(directory.join(name)).expect("test directory");
        }
        let name = directory.file_name().expect("a name").to_string_lossy();
        let mut case = Self {
            view,
            directory: directory.to_owned(),
            runtime: runtime.to_owned(),
            store: store.to_owned(),
            token: name.replace('.', ""),
            version: String::new(),
            bundles: 0,
            ids: Vec::new(),
        };
        let version = case.program(runtime).args(["--version"]).run();
        case.version = version.stdout.lines().next().unwrap_or_default().to_owned();
        case
    }

    /// A text that no other test uses in its ids and cgroups.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What all tests of this run share: the busybox, the probe, and what a suite adds.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// A new container id; its state is looked for at the end.
    pub fn id(&mut self) -> String {
        let id = format!("{}-{}", self.token, self.ids.len());
        self.ids.push(id.clone());
        id
    }

    /// A new bundle with its own root, in its own cgroup below every root.
    pub fn bundle(&mut self) -> Bundle {
        let number = self.bundles;
        self.bundles += 1;
        let path = self.directory.join(format!("bundle{number}"));
        Bundle::make(&path, &self.store, &format!("/{}-cg{number}", self.token))
    }

    /// Skips unless the runtime is corten: for promises beyond the spec.
    pub fn only_corten(&self) {
        if !self.is_corten() {
            skip("asserts a promise of corten's own");
        }
    }

    /// First line of the runtime's `--version`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the runtime under test is corten.
    pub fn is_corten(&self) -> bool {
        self.version.starts_with("corten ")
    }

    /// The directory of every container's state.
    pub fn state_root(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Any program, with output kept in the test's directory.
    pub fn program(&self, program: &str) -> Program {
        Program::new(&self.directory.join("output"), program)
    }

    /// The runtime with its `--root`, before any command.
    pub fn runtime(&self) -> Program {
        let root = self.state_root();
        self.program(&self.runtime)
            .args(["--root", &root.to_string_lossy()])
    }

    /// The runtime's path, for shells.
    pub fn runtime_path(&self) -> &str {
        &self.runtime
    }

    /// `create`, unfinished: add options and run it.
    pub fn create_command(&self, bundle: &Bundle, id: &str, options: &[&str]) -> Program {
        let path = bundle.path.to_string_lossy();
        self.runtime()
            .args(["create", "--bundle", &path])
            .args(options)
            .args([id])
    }

    /// Writes the config and creates the container; it must succeed.
    #[track_caller]
    pub fn create(&mut self, bundle: &Bundle) -> String {
        let id = self.id();
        bundle.write();
        self.create_command(bundle, &id, &[]).run().ok();
        id
    }

    /// Creates an ordinary container and deletes it: where a test waits for a refusal,
    /// a runtime that refuses everything must not pass.
    #[track_caller]
    pub fn works(&mut self) {
        let bundle = self.bundle();
        let id = self.create(&bundle);
        self.destroy(&id);
    }

    /// Starts a created container; it must succeed.
    #[track_caller]
    pub fn start(&self, id: &str) {
        self.runtime().args(["start", id]).run().ok();
    }

    /// Creates and starts.
    #[track_caller]
    pub fn launch(&mut self, bundle: &Bundle) -> String {
        let id = self.create(bundle);
        self.start(&id);
        id
    }

    /// Writes the config and runs it in the foreground with options.
    #[track_caller]
    pub fn run_with(&mut self, bundle: &Bundle, options: &[&str]) -> Finished {
        bundle.write();
        let id = self.id();
        self.run_command(bundle, &id, options).run()
    }

    /// `run`, unfinished.
    pub fn run_command(&self, bundle: &Bundle, id: &str, options: &[&str]) -> Program {
        let path = bundle.path.to_string_lossy();
        self.runtime()
            .args(["run", "--bundle", &path])
            .args(options)
            .args([id])
    }

    /// Runs in the foreground.
    #[track_caller]
    pub fn run(&mut self, bundle: &Bundle) -> Finished {
        self.run_with(bundle, &[])
    }

    /// Runs the probe and reads what it saw.
    #[track_caller]
    pub fn facts(&mut self, bundle: &Bundle) -> Facts {
        Facts::parse(&self.run(bundle).ok().stdout)
    }

    /// Runs one line of shell and returns what it printed, without the last newline.
    #[track_caller]
    pub fn shell(&mut self, bundle: &mut Bundle, line: &str) -> String {
        bundle.config.shell(line);
        self.run(bundle).ok().stdout.trim_end().to_owned()
    }

    /// The container's state, read with `state`; nothing may be on stderr.
    #[track_caller]
    pub fn state(&self, id: &str) -> Value {
        let finished = self.runtime().args(["state", id]).run().ok();
        assert!(finished.stderr.is_empty(), "{}", finished.describe());
        serde_json::from_str(&finished.stdout).expect("state is JSON")
    }

    /// The status word of the container.
    #[track_caller]
    pub fn status(&self, id: &str) -> String {
        let state = self.state(id);
        state["status"].as_str().expect("a status").to_owned()
    }

    /// The container's pid as its state tells it.
    #[track_caller]
    pub fn pid(&self, id: &str) -> i32 {
        let pid = self.state(id)["pid"].as_i64().expect("a pid");
        i32::try_from(pid).expect("a small pid")
    }

    /// Waits for a container's init, which became our child when the runtime left.
    #[track_caller]
    pub fn wait(&self, pid: i32) -> WaitStatus {
        let begun = Instant::now();
        while !wait_exit(pid, Duration::from_secs(1)) {
            assert!(
                begun.elapsed() < paced(Duration::from_secs(60)),
                "process {pid} did not end"
            );
            // The init of a pid namespace ends after its last process was reaped.
            host::reap_orphans(pid);
        }
        let pid = Pid::from_raw(pid).expect("a pid");
        let waited = waitpid(Some(pid), WaitOptions::empty());
        waited.expect("init is our child").expect("a status").1
    }

    /// Kills a created or running container and waits for its end.
    #[track_caller]
    pub fn kill(&self, id: &str) {
        let pid = self.pid(id);
        self.runtime().args(["kill", id, "KILL"]).run().ok();
        self.wait(pid);
    }

    /// Kills, if it runs, and deletes.
    #[track_caller]
    pub fn destroy(&self, id: &str) {
        if matches!(self.status(id).as_str(), "running" | "created") {
            self.kill(id);
        }
        self.delete(id);
    }

    /// Deletes; it must succeed.
    #[track_caller]
    pub fn delete(&self, id: &str) {
        self.runtime().args(["delete", id]).run().ok();
    }

    /// Adds to a figure that is printed, summed over all tests, at the end.
    pub fn count(&self, what: &str, number: usize) {
        figures::add(&self.store, what, number);
    }

    /// Polls until `done` or fails the test after a generous time.
    #[track_caller]
    pub fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let end = Instant::now() + paced(Duration::from_secs(30));
        while !done() {
            assert!(Instant::now() < end, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a process, which need not be a child, has ended; its status stays for
    /// who wants it.
    #[track_caller]
    pub fn until_ended(&self, pid: i32) {
        self.until("the process ends", || {
            // The init of a pid namespace ends after its last process was reaped: an exec
            // falls to this process when its shim was killed.
            host::reap_orphans(pid);
            !host::process_is_alive(pid)
        });
    }

    /// What is left on the host after the test, one line each.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let processes = host::wait_for_no_descendants(Duration::from_secs(3));
        let mut left: Vec<String> = processes
            .iter()
            .map(|(pid, line)| format!("process {pid}: {line}"))
            .collect();
        let cgroups = host::cgroup_directories(&self.token);
        left.extend(
            cgroups
                .iter()
                .map(|path| format!("cgroup {}", path.display())),
        );
        let mounts = host::mounts_below(&self.directory);
        left.extend(
            mounts
                .iter()
                .map(|path| format!("mount {}", path.display())),
        );
        for entry in fs::read_dir(self.state_root())
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            // A runtime may keep a cache of its own beside the containers.
            if !name.starts_with('.') {
                left.push(format!("state {name}"));
            }
        }
        left
    }

    /// Makes the host clean, whatever the runtime thinks of it.
    pub(crate) fn clean(&self) {
        for id in &self.ids {
            let known = self.state_root().join(id).exists();
            if known {
                let program = self.runtime().limit(Duration::from_secs(20));
                program
                    .args(["delete", "--force", id])
                    .spawn()
                    .finish_quietly();
            }
        }
        host::end(&host::wait_for_no_descendants(Duration::ZERO));
        host::wait_for_no_descendants(Duration::from_secs(3));
        host::remove_cgroups(&self.token);
        host::unmount_below(&self.directory);
    }
}
