//! Releases of containerd: the one of this system, and newer ones of Debian, which
//! `scripts/fetch-containerd` has unpacked.

use std::path::Path;

use runtime_tests::{Case, skip};

use crate::images::PAUSE;
use crate::session::{Runtime, find_program, peer, peer_or};
use crate::shim::shim_of;

/// A containerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// What is installed.
    System,
    /// 1.7, of Debian 13.
    Trixie,
    /// 2.1, of the Debian after that.
    Forky,
}

impl Release {
    /// Mounts its programs over those of the system, in the test's own mount namespace;
    /// skips the test when they are not here.
    pub fn put_in_place(self) {
        let suite = match self {
            Self::System => return,
            Self::Trixie => "trixie",
            Self::Forky => "forky",
        };
        let cache = std::env::var("CONTAINERD_CACHE");
        let cache = cache.unwrap_or_else(|_| "/var/cache/corten-containerd".to_owned());
        let programs = Path::new(&cache).join(suite).join("usr/bin");
        for name in ["containerd", "ctr", "containerd-shim-runc-v2"] {
            let own = programs.join(name);
            if !own.is_file() {
                skip(&format!(
                    "containerd of {suite} is not here (`scripts/fetch-containerd {suite}`)"
                ));
            }
            let place = find_program(name).expect("the system's was required before");
            rustix::mount::mount_bind(&own, place).expect("bind mount");
        }
    }

    /// The runtime to compare with. It must know the version of the specification that
    /// this containerd writes.
    pub fn peer(self, case: &Case) -> String {
        if self == Self::System {
            return peer(case);
        }
        let peer = peer_or("runc");
        if peer.ends_with("/crun") {
            skip(
                "containerd writes a version of the specification that Debian 12's crun does not know",
            );
        }
        peer
    }

    /// Whether it can make a volume read-only with all that is mounted below.
    pub fn has_recursive_read_only(self) -> bool {
        self == Self::Forky
    }

    /// Its configuration: what a machine like this one needs, and the snippet of
    /// `contrib`, with the runtime under test in place of the installed one.
    pub fn configuration(self, home: &Path, runtime: &Runtime, systemd: bool) -> String {
        let (version, of_machine, snippet) = match self {
            Self::System | Self::Trixie => (2, VERSION_2, SNIPPET_1),
            Self::Forky => (3, VERSION_3, SNIPPET_2),
        };
        let of_machine = format!("version = {version}{OF_ALL}{of_machine}");
        // It is a file of its own no more.
        let lines = snippet.lines().filter(|line| !line.starts_with("version"));
        let mut snippet = lines.collect::<Vec<_>>().join("\n");
        if systemd {
            let commented = snippet.clone();
            snippet = snippet.replace("# SystemdCgroup = true", "SystemdCgroup = true");
            assert_ne!(snippet, commented, "it tells how");
        }
        assert!(snippet.contains(INSTALLED), "{snippet}");
        let of_machine = of_machine
            .replace("HOME", &home.to_string_lossy())
            .replace("DEFAULT", runtime.name)
            .replace("PAUSE", PAUSE)
            .replace("SYSTEMD", &systemd.to_string());
        // The peer is another binary under the shim of Go.
        let (tested, peer) = match runtime.name {
            "peer" => (INSTALLED, runtime.path.as_str()),
            _ => (runtime.path.as_str(), "/nonexistent"),
        };
        let shim = shim_of(tested).to_string_lossy().into_owned();
        let snippet = snippet.replace(INSTALLED_SHIM, &shim);
        of_machine.replace("PEER", peer) + &snippet.replace(INSTALLED, tested)
    }
}

/// Where the snippets say that corten and its shim are.
const INSTALLED: &str = "/usr/sbin/corten";
const INSTALLED_SHIM: &str = "/usr/sbin/containerd-shim-corten-v2";
/// The snippets, for containerd 1 and 2.
const SNIPPET_1: &str = include_str!("../../../contrib/containerd/corten.toml");
const SNIPPET_2: &str = include_str!("../../../contrib/containerd/corten-2.toml");

/// Both, after the version.
const OF_ALL: &str = r#"
root = "HOME/root"
state = "HOME/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "HOME/containerd.sock"
[ttrpc]
  address = "HOME/containerd.sock.ttrpc"
"#;

/// containerd 1.
const VERSION_2: &str = r#"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "PAUSE"
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "HOME/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "DEFAULT"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.peer]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.peer.options]
  BinaryName = "PEER"
  SystemdCgroup = SYSTEMD
"#;

/// containerd 2.
const VERSION_3: &str = r#"
[plugins."io.containerd.nri.v1.nri"]
  disable = true
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "PAUSE"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "HOME/net.d"
[plugins."io.containerd.cri.v1.runtime".containerd]
  default_runtime_name = "DEFAULT"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.peer]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.peer.options]
  BinaryName = "PEER"
  SystemdCgroup = SYSTEMD
"#;
