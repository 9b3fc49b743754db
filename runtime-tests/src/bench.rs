//! The bundle that benchmarks run, and the directories of their contestants.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::bundle::{Bundle, fill_store};

/// What all contestants of one benchmark share.
pub struct Bench {
    directory: TempDir,
    states: TempDir,
    bundle: Bundle,
    token: String,
}

impl Bench {
    /// A busybox bundle: the `spec` template's config, or a Docker-like one with
    /// 30 bind mounts and its seccomp profile.
    pub fn new(docker: bool) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("rtb")
            .tempdir()
            .expect("a directory");
        let store = directory.path().join("store");
        let token = directory
            .path()
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .replace('.', "");
        // The probe is not run: busybox stands in for it.
        fill_store(&store, "/bin/busybox");
        let mut bundle = Bundle::make(
            &directory.path().join("bundle"),
            &store,
            &format!("/{token}"),
        );
        bundle
            .config
            .set("/root/readonly", json!(true))
            .args(&["/bin/true"]);
        if docker {
            make_docker_like(&mut bundle, directory.path());
        }
        bundle.write();
        let states = tempfile::Builder::new()
            .prefix("rtb")
            .tempdir_in("/dev/shm")
            .expect("a directory on a tmpfs");
        Self {
            directory,
            states,
            bundle,
            token,
        }
    }

    /// The private directory of this benchmark.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The bundle's path.
    pub fn bundle(&self) -> &Path {
        &self.bundle.path
    }

    /// A fresh id.
    pub fn id(&self, name: &str, round: usize) -> String {
        format!("{}-{name}-{round}", self.token)
    }

    /// The state root of a contestant, on a tmpfs as /run is on any host.
    pub fn state_root(&self, name: &str) -> PathBuf {
        let path = self.states.path().join(name);
        if !path.exists() {
            fs::create_dir(&path).expect("a state root");
        }
        path
    }
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
    bundle.config.set("/linux/seccomp", profile);
}
