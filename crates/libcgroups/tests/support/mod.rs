//! Real cgroups in both views of this machine: as it is, and one cgroup2 mount
//! alone, which is made in a private mount namespace.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]
#![allow(dead_code, missing_docs)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use libcgroups::{Cgroup, create};
use plan::cgroup::{CgroupDirectory, CgroupManager, CgroupPlan, Setting};
use plan::{CgroupFacts, CgroupMode, ConfigPath};

const VIEW: &str = "LIBCGROUPS_TEST_VIEW";

/// A test and its name.
pub type Test = (&'static str, fn(&CgroupFacts));

/// Runs each test in each view, in a process of its own that has one thread, as
/// the runtime has (the usual harness always has two). Words of the command line
/// select tests by parts of their names.
pub fn run_in_every_view(tests: &[Test]) -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| !w.starts_with('-'))
        .collect();
    if std::env::var_os(VIEW).is_some() {
        let (_, body) = tests.iter().find(|(name, _)| *name == words[0]).unwrap();
        body(&libcgroups::probe(true).unwrap());
        return ExitCode::SUCCESS;
    }
    let Some(views) = views() else {
        return ExitCode::SUCCESS;
    };
    let mut failed = 0;
    for (name, _) in tests {
        if !words.is_empty() && !words.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        for (view, script) in views {
            let good = run_in_view(name, view, script);
            println!(
                "test {view} {name} ... {}",
                if good { "ok" } else { "FAILED" }
            );
            failed += u32::from(!good);
        }
    }
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

type View = (&'static str, &'static str);

const HYBRID: &[View] = &[
    ("host", "true"),
    ("v1", "umount /sys/fs/cgroup/unified"),
    (
        "v2",
        "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    ),
];

/// What can be seen on this machine.
fn views() -> Option<&'static [View]> {
    if kernel::identity::effective_uid() != 0 {
        println!("SKIPPED: making cgroups needs root");
        return None;
    }
    match libcgroups::probe(true).unwrap().mode {
        CgroupMode::None => {
            println!("SKIPPED: no cgroup file system at /sys/fs/cgroup");
            None
        }
        CgroupMode::Hybrid => Some(HYBRID),
        CgroupMode::V1 | CgroupMode::V2 => Some(&HYBRID[..1]),
    }
}

fn run_in_view(name: &str, view: &str, script: &str) -> bool {
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-ec"])
        .arg(format!("{script}; exec \"$@\""))
        .arg("sh")
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(VIEW, view)
        .status()
        .unwrap();
    status.success()
}

pub fn view() -> String {
    std::env::var(VIEW).unwrap()
}

/// A path that no other test has.
pub fn unique_path() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("/libcgroups-test-{}-{n}/c1", std::process::id())
}

/// A plan without settings, for the hierarchies of this view.
pub fn plan_at(path: &str, facts: &CgroupFacts) -> CgroupPlan {
    let mut directories: Vec<CgroupDirectory> = Vec::new();
    for (controller, mount) in &facts.v1_mounts {
        match directories.iter_mut().find(|d| d.mount == *mount) {
            Some(shared) => shared.controllers.push(controller.clone()),
            None => directories.push(CgroupDirectory {
                controllers: vec![controller.clone()],
                mount: mount.clone(),
                v2: false,
                enable: Vec::new(),
            }),
        }
    }
    directories.extend(facts.v2_mount.iter().map(|mount| CgroupDirectory {
        controllers: Vec::new(),
        mount: mount.clone(),
        v2: true,
        enable: Vec::new(),
    }));
    CgroupPlan {
        manager: CgroupManager::Cgroupfs,
        mode: facts.mode,
        path: path.to_owned(),
        directories,
        settings: Vec::new(),
        device_program: None,
        owner: None,
        delegated: None,
        scope: None,
    }
}

/// A cgroup that is taken away when the test ends, however it ends.
pub struct TestCgroup {
    pub plan: CgroupPlan,
    pub cgroup: Cgroup,
}

impl TestCgroup {
    pub fn new(facts: &CgroupFacts) -> Self {
        Self::of(plan_at(&unique_path(), facts))
    }

    pub fn of(plan: CgroupPlan) -> Self {
        let cgroup = create(&plan).unwrap_or_else(|e| panic!("{e}"));
        Self { plan, cgroup }
    }

    /// The cgroup's directories.
    pub fn paths(&self) -> Vec<PathBuf> {
        paths(&self.plan)
    }

    /// The directory of a v1 controller or, for `""`, of v2.
    pub fn path_of(&self, controller: &str) -> Option<PathBuf> {
        let has = |d: &&CgroupDirectory| match controller {
            "" => d.v2,
            name => d.controllers.iter().any(|c| c == name),
        };
        let found = self.plan.directories.iter().find(has)?;
        Some(PathBuf::from(format!("{}{}", found.mount, self.plan.path)))
    }

    /// Index of the directory of a v1 controller or, for `""`, of v2.
    pub fn index_of(&self, controller: &str) -> Option<usize> {
        self.plan.directories.iter().position(|d| match controller {
            "" => d.v2,
            name => d.controllers.iter().any(|c| c == name),
        })
    }

    /// Puts a process into every hierarchy, the slow way.
    pub fn add(&self, pid: u32) {
        for path in self.paths() {
            std::fs::write(path.join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }
}

pub fn paths(plan: &CgroupPlan) -> Vec<PathBuf> {
    let at = |d: &CgroupDirectory| PathBuf::from(format!("{}{}", d.mount, plan.path));
    plan.directories.iter().map(at).collect()
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        let _ = self.cgroup.thaw();
        let _ = self.cgroup.kill_all();
        let _ = self.cgroup.remove();
        for path in self.paths() {
            let _ = std::fs::remove_dir(path.parent().unwrap());
        }
    }
}

/// A process that waits for a line before it runs a shell script.
pub struct Gated(pub Child);

impl Gated {
    pub fn new(script: &str) -> Self {
        let child = Command::new("sh")
            .args(["-c", &format!("read line; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    pub fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// Lets it run and returns what it printed.
    pub fn finish(mut self) -> String {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        let output = std::mem::replace(&mut self.0, dummy())
            .wait_with_output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits for it to end by itself.
    pub fn wait(mut self) -> std::process::ExitStatus {
        let status = self.0.wait().unwrap();
        self.0 = dummy();
        status
    }
}

fn dummy() -> Child {
    Command::new("true").spawn().unwrap()
}

impl Drop for Gated {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn setting(directory: usize, file: &str, value: &str) -> Setting {
    Setting {
        directory,
        file: file.to_owned(),
        value: value.to_owned(),
        from: ConfigPath::new("linux.resources.test"),
        optional: false,
        instead: None,
        not_below: None,
    }
}
