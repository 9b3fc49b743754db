//! Container engines that drive the runtime, from Debian's packages and with images
//! made here. Every test tells one story twice, with the runtime under test and
//! with a peer, and what the engine shows must be the same ([`session`]).
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `PEER` | the runtime to compare with | crun in the v1 view, else runc |

use runtime_tests::{Isolation, View};

mod buildah;
mod cri;
mod ctr;
mod daemon;
mod docker;
mod facts;
mod images;
mod newer_containerd;
mod podman;
mod podman_confinement;
mod podman_failures;
mod podman_lifecycle;
mod podman_limits;
mod podman_networks;
mod podman_processes;
mod podman_rootless;
mod podman_volumes;
mod release;
mod session;
mod shim;

fn main() -> std::process::ExitCode {
    runtime_tests::main_isolated(
        env!("CARGO_BIN_EXE_probe"),
        &[View::V1],
        Isolation {
            // Sockets, locks, network namespaces and images of the host's engines.
            empty_directories: &["/run", "/dev/shm", "/var/lib/containers", "/var/lib/cni"],
            // systemd makes the containers' scopes.
            kept_directories: &["/run/systemd", "/run/dbus", "/run/user"],
        },
    )
}
