//! One story, told with two shims; both transcripts must be the same.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use runtime_tests::{Bundle, Case, View, descendants, skip, wait_for_no_descendants};

use crate::driver::{Answer, Call, Task, options};
use crate::listener::Listener;

/// A story in progress.
pub struct Telling<'a> {
    pub case: &'a mut Case,
    /// The runtime that the shim executes.
    pub runtime: String,
    pub listener: Listener,
    pub call: Call,
    /// Whether this is the shim under test.
    pub is_tested: bool,
    /// What pids are called in the transcript.
    names: BTreeMap<u32, String>,
    transcript: Vec<String>,
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/sbin"]);
    places
        .map(|place| PathBuf::from(place).join(name))
        .find(|path| path.is_file())
}

/// The runtime beside the shim of Go.
fn peer(case: &Case) -> PathBuf {
    if let Ok(peer) = std::env::var("PEER") {
        return peer.into();
    }
    // crun refuses hybrid hosts, and Debian 12's wants CAP_SYS_RESOURCE on v2.
    let name = if case.view == View::V1 {
        "crun"
    } else {
        "runc"
    };
    find(name).unwrap_or_else(|| skip(&format!("{name} is not installed (`make test-deps`)")))
}

/// The shim under test, which lies beside the runtime.
fn own_shim(case: &Case) -> PathBuf {
    let shim = PathBuf::from(case.runtime_path()).with_file_name("containerd-shim-corten-v2");
    if !case.is_corten() || !shim.exists() {
        skip("there is no containerd-shim-corten-v2 beside the runtime");
    }
    shim
}

/// Tells `story` with both shims and compares.
#[track_caller]
pub fn compare(case: &mut Case, story: impl Fn(&mut Telling)) {
    let shim = own_shim(case);
    let Some(theirs) = find("containerd-shim-runc-v2") else {
        skip("containerd-shim-runc-v2 is not installed (`make test-deps`)");
    };
    let peer = peer(case).to_string_lossy().into_owned();
    let mine = tell_with(case, shim, None, &story);
    let theirs = tell_with(case, theirs, Some(peer), &story);
    let differences: Vec<String> = (0..mine.len().max(theirs.len()))
        .map(|at| (mine.get(at), theirs.get(at)))
        .filter(|(mine, theirs)| mine != theirs)
        .map(|(mine, theirs)| {
            let text = |line: Option<&String>| line.cloned().unwrap_or_default();
            format!("- {}\n+ {}", text(mine), text(theirs))
        })
        .collect();
    assert!(
        differences.is_empty(),
        "- here, + with the shim of Go:\n{}",
        differences.join("\n")
    );
}

/// Tells what the shim of Go cannot do.
#[track_caller]
pub fn alone(case: &mut Case, story: impl Fn(&mut Telling)) {
    let shim = own_shim(case);
    tell_with(case, shim, None, &story);
}

#[track_caller]
fn tell_with(
    case: &mut Case,
    shim: PathBuf,
    runtime: Option<String>,
    story: &impl Fn(&mut Telling),
) -> Vec<String> {
    // Shown when it fails.
    println!("--- {}", shim.display());
    let listener = Listener::start(&case.directory);
    let call = Call {
        shim,
        namespace: case.token().to_owned(),
        events: listener.address(),
        environment: Vec::new(),
    };
    let mut telling = Telling {
        is_tested: runtime.is_none(),
        runtime: runtime.unwrap_or_else(|| case.runtime_path().to_owned()),
        case,
        listener,
        call,
        names: BTreeMap::new(),
        transcript: Vec::new(),
    };
    story(&mut telling);
    telling.end()
}

impl Telling<'_> {
    /// A container whose program is a line of shell; nothing is written yet. Its bundle
    /// is named like its container, `c`, as containerd's are.
    #[track_caller]
    pub fn bundle(&mut self, line: &str) -> Bundle {
        let mut bundle = self.case.bundle();
        bundle.config.shell(line);
        let path = bundle.path.with_extension("d").join("c");
        std::fs::create_dir(bundle.path.with_extension("d")).expect("a directory");
        std::fs::rename(&bundle.path, &path).expect("the bundle");
        bundle.path = path;
        bundle
    }

    /// Where the runtime keeps states.
    pub fn root(&self) -> String {
        let name = if self.is_tested { "mine" } else { "theirs" };
        self.case
            .directory
            .join(name)
            .to_string_lossy()
            .into_owned()
    }

    /// Options that every shim here gets.
    pub fn options(&self) -> Any {
        options(|options| {
            options.binary_name.clone_from(&self.runtime);
            options.root = self.root();
        })
    }

    /// Writes the config and starts a shim with the id `c` for it.
    #[track_caller]
    pub fn shim(&mut self, bundle: &Bundle) -> Task {
        self.shim_with(bundle, "c", self.options())
    }

    #[track_caller]
    pub fn shim_with(&mut self, bundle: &Bundle, id: &str, options: Any) -> Task {
        bundle.write();
        let task = Task::start_shim(&self.call, &bundle.path, id, options);
        task.unwrap_or_else(|error| panic!("start: {error}"))
    }

    /// Puts anything into the transcript.
    pub fn note(&mut self, what: &str, found: impl std::fmt::Debug) {
        self.transcript.push(format!("{what}: {found:?}"));
    }

    /// Puts an answer into the transcript: the code of an error, not its words.
    pub fn tell<T>(&mut self, what: &str, answer: Answer<T>) -> Option<T> {
        match answer {
            Ok(value) => {
                self.note(what, "OK");
                Some(value)
            }
            Err(refusal) => {
                self.note(what, refusal.code);
                None
            }
        }
    }

    /// As [`tell`](Self::tell), of something that must work with both.
    #[track_caller]
    pub fn must<T>(&mut self, what: &str, answer: Answer<T>) -> T {
        match answer {
            Ok(value) => {
                self.note(what, "OK");
                value
            }
            Err(refusal) => panic!("{what}: {refusal:?}"),
        }
    }

    /// What a pid is to be called.
    pub fn name(&mut self, pid: u32, name: &str) {
        assert_ne!(pid, 0, "{name} has no pid");
        self.names.insert(pid, name.to_owned());
    }

    /// The name of a pid.
    pub fn named(&self, pid: u32) -> String {
        let unknown = || if pid == 0 { "0" } else { "another" }.to_owned();
        self.names.get(&pid).cloned().unwrap_or_else(unknown)
    }

    /// Puts `State` into the transcript.
    pub fn tell_state(&mut self, task: &Task, exec_id: &str) {
        let what = format!("state {exec_id}");
        if let Some(state) = self.tell(&what, task.state(exec_id)) {
            let bundle = state.bundle == task.bundle.to_string_lossy();
            let found = format!(
                "{} {} bundle {bundle} {} {:?} terminal {} exit {} timed {}",
                state.id,
                state.exec_id,
                self.named(state.pid),
                state.status.enum_value(),
                state.terminal,
                state.exit_status,
                state
                    .exited_at
                    .as_ref()
                    .is_some_and(|time| time.seconds > 0)
            );
            self.note(&what, found);
        }
    }

    /// Waits until an event was heard.
    #[track_caller]
    pub fn until(&self, topic: &str, container: &str, exec: &str) {
        let what = format!("{topic} of {container} {exec}");
        self.case
            .until(&what, || self.listener.has(topic, container, exec));
    }

    /// Puts all events that were heard into the transcript.
    pub fn tell_events(&mut self) {
        for event in self.listener.heard() {
            let found = format!(
                "{} {} {} {}",
                event.container,
                event.exec,
                self.named(event.pid),
                event.rest
            );
            self.note(&format!("event {}", event.topic), found);
        }
    }

    /// Creates and starts; both must work.
    #[track_caller]
    pub fn launch(&mut self, task: &Task, streams: &crate::driver::Stdio3) {
        let pid = self.must("create", task.create(streams));
        self.name(pid, &format!("init of {}", task.id));
        let pid = self.must("start", task.start(""));
        self.note("started", self.named(pid));
    }

    /// Kills init, deletes the container and ends the shim.
    #[track_caller]
    pub fn finish(&mut self, task: &Task) {
        self.tell("kill", task.kill("", 9));
        let ended = self.must("wait", task.wait(""));
        self.note("exit status", ended.exit_status);
        self.remove(task);
    }

    /// Deletes a container that has ended, and ends the shim.
    #[track_caller]
    pub fn remove(&mut self, task: &Task) {
        let deleted = self.must("delete", task.delete(""));
        self.note("status at delete", deleted.exit_status);
        self.until("/tasks/delete", &task.id, "");
        self.shutdown(task);
    }

    /// The shim goes.
    #[track_caller]
    pub fn shutdown(&mut self, task: &Task) {
        let path = PathBuf::from(task.address.trim_start_matches("unix://"));
        task.shutdown();
        self.case
            .until("the shim's socket is gone", || !path.exists());
    }

    /// The pid of the shim of `c`, or of the group that began with it.
    #[track_caller]
    pub fn shim_pid(&self) -> i32 {
        let is_it = |line: &str| line.contains("containerd-shim-") && line.contains(" -id c ");
        let all = descendants();
        let found = all.iter().find(|(_, line)| is_it(line));
        *found.unwrap_or_else(|| panic!("no shim in {all:?}")).0
    }

    #[track_caller]
    fn end(self) -> Vec<String> {
        let left = wait_for_no_descendants(Duration::from_secs(20));
        assert!(left.is_empty(), "processes stay: {left:?}");
        let root = PathBuf::from(self.root()).join(self.case.token());
        let states = std::fs::read_dir(root).into_iter().flatten().flatten();
        let states: Vec<_> = states.map(|entry| entry.file_name()).collect();
        assert!(states.is_empty(), "states stay: {states:?}");
        self.transcript
    }
}
