//! The bundles that benchmarks run, and the directories of their contestants.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::bundle::{Bundle, fill_store};

/// What all contestants of one benchmark share.
pub struct Bench {
    directory: TempDir,
    states: TempDir,
    token: String,
}

/// What the container of a benchmark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// The `spec` template's config with `/bin/true`.
    True,
    /// The same with a program that stays.
    Sleep,
    /// 30 bind mounts, Docker's seccomp profile, limits; `/bin/true`.
    Docker,
    /// `/bin/true` with this memory limit, in bytes.
    Limited(u64),
}

impl Bench {
    /// The bundles of one benchmark, in directories that go with it.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("rtb")
            .tempdir()
            .expect("a directory");
        let token = directory
            .path()
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .replace('.', "");
        // The probe is not run: busybox stands in for it.
        fill_store(&directory.path().join("store"), "/bin/busybox");
        let states = tempfile::Builder::new()
            .prefix("rtb")
            .tempdir_in("/dev/shm")
            .expect("a directory on a tmpfs");
        Self {
            directory,
            states,
            token,
        }
    }

    /// The private directory of this benchmark.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The bundle of this kind, made when it is first asked for.
    pub fn bundle(&self, contents: Contents) -> PathBuf {
        let name = match contents {
            Contents::True => "true".to_owned(),
            Contents::Sleep => "sleep".to_owned(),
            Contents::Docker => "docker".to_owned(),
            Contents::Limited(bytes) => format!("limited-{bytes}"),
        };
        let path = self.directory().join(name);
        if !path.exists() {
            self.make_bundle(&path, contents);
        }
        path
    }

    fn make_bundle(&self, path: &Path, contents: Contents) {
        let store = self.directory().join("store");
        let mut bundle = Bundle::make(path, &store, "");
        // Each contestant puts each container where it does by default.
        bundle
            .config
            .remove("/linux", "cgroupsPath")
            .set("/root/readonly", json!(true))
            .args(&["/bin/true"]);
        match contents {
            Contents::True => {}
            Contents::Sleep => {
                bundle.config.args(&["/bin/sleep", "1000"]);
                // Tells the floor, which reads no config.
                fs::write(path.join("sleeps"), "").expect("a mark");
            }
            Contents::Docker => make_docker_like(&mut bundle, self.directory()),
            Contents::Limited(bytes) => {
                let memory = json!({"limit": bytes});
                bundle.config.set("/linux/resources/memory", memory);
            }
        }
        bundle.write();
    }

    /// A fresh id, unique on the machine.
    pub fn id(&self, name: &str, number: usize) -> String {
        format!("{}-{name}-{number}", self.token)
    }

    /// The state root of a contestant, on a tmpfs as /run is on any host.
    pub fn state_root(&self, name: &str) -> PathBuf {
        let path = self.states.path().join(name);
        if !path.exists() {
            fs::create_dir(&path).expect("a state root");
        }
        path
    }

    /// One of the C programs in `floor/`, compiled.
    pub fn c_program(&self, name: &str) -> String {
        compile(name, self.directory())
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// Compiles `floor/<name>.c` into the directory; its path.
pub fn compile(name: &str, directory: &Path) -> String {
    let source = format!("{}/floor/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let binary = directory.join(name);
    let mut cc = Command::new("cc");
    cc.args(["-static", "-O2", "-w", "-o"])
        .arg(&binary)
        .arg(&source);
    let status = cc.status().expect("cc can be executed");
    assert!(status.success(), "{source} does not compile");
    binary.to_string_lossy().into_owned()
}

fn make_docker_like(bundle: &mut Bundle, directory: &Path) {
    for number in 0..30 {
        let source = directory.join(format!("volume{number}"));
        fs::create_dir(&source).expect("a volume");
        bundle.config.bind(
            &source,
            &format!("/volumes/{number}"),
            &["rbind", "rprivate", "rw"],
        );
        fs::create_dir_all(bundle.rootfs().join(format!("volumes/{number}"))).expect("a target");
    }
    let profile = include_str!("../tests/fixtures/docker-seccomp.json");
    let profile = serde_json::from_str(profile).expect("the profile is JSON");
    bundle
        .config
        .set("/linux/seccomp", profile)
        .set("/linux/resources/memory", json!({"limit": 256 << 20}))
        .set("/linux/resources/pids", json!({"limit": 512}))
        .set("/linux/resources/cpu", json!({"shares": 512}));
}
