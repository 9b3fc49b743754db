//! A containerd of one's own.

use std::path::Path;

/// The configuration of one without CRI that keeps everything in `directory` and
/// listens on `socket`.
pub fn containerd_configuration(directory: &Path, socket: &Path) -> String {
    format!(
        "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/state\"\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n\
         [grpc]\n  address = \"{1}\"\n[ttrpc]\n  address = \"{1}.ttrpc\"\n",
        directory.display(),
        socket.display()
    )
}
