//! `start`: one shim for each container, or for each pod.
//!
//! ```text
//! containerd                         start                          the shim
//! argv, environment, stdin  ──►  whose group? its socket
//!                                someone listens: ─────────────────► is there already
//!                                nobody: bind, listen
//!                                spawn ────── socket as stdin ─────► serves it
//! stdout ◄── address
//! ```
//!
//! What the reply looks like depends on containerd: from 2.3 on it sends
//! `BootstrapParams` and reads `BootstrapResult`; all before read a plain address.

use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use containerd_shim_protos::bootstrap_api::{BootstrapParams, BootstrapResult};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use sha2::{Digest, Sha256};

use crate::flags::Flags;
use crate::options::Options;
use crate::shim_cgroup;

/// Where sockets lie unless containerd says otherwise: their names are long, and
/// the address of a socket has at most 107 bytes.
pub const SOCKET_DIRECTORY: &str = "/run/containerd/s";
/// Version of the task service that the reply announces; the one before is served too.
const PROTOCOL_VERSION: i32 = 3;
/// Annotations that name the group of a container, in this order.
const GROUPS: [&str; 2] = [
    "io.containerd.runc.v2.group",
    "io.kubernetes.cri.sandbox-id",
];

/// What containerd sent to standard input.
struct Request {
    /// It speaks the bootstrap protocol.
    params: Option<BootstrapParams>,
    options: Options,
}

/// Starts the shim of `flags.id`, whose bundle is the working directory, and
/// returns the reply.
///
/// # Errors
/// One line.
pub fn start(flags: &Flags) -> Result<Vec<u8>, String> {
    let request = read_request(flags)?;
    let params = request.params.as_ref();
    let directory = params
        .map(|params| params.socket_dir())
        .filter(|directory| !directory.is_empty())
        .unwrap_or(SOCKET_DIRECTORY);
    let path = socket_path(directory, flags, &group(&flags.id)?);
    let address = format!("unix://{path}");
    if let Some(listener) = listen(directory, &path)? {
        let ttrpc = params.map(|params| params.containerd_ttrpc_address.as_str());
        if let Err(error) = spawn(flags, listener, ttrpc, &request.options) {
            let _ = kernel::fs::remove_file(&path);
            return Err(error);
        }
    }
    // containerd 1.x finds the shim by this file after its own restart.
    kernel::fs::replace_file("address", 0o600, address.as_bytes()).map_err(line)?;
    if params.is_none() {
        return Ok(address.into_bytes());
    }
    let result = BootstrapResult {
        version: PROTOCOL_VERSION,
        address,
        protocol: "ttrpc".to_owned(),
        ..BootstrapResult::default()
    };
    result.write_to_bytes().map_err(line)
}

fn line(error: impl ToString) -> String {
    error.to_string()
}

/// The two forms are told apart by the id and the namespace, which only one has.
fn read_request(flags: &Flags) -> Result<Request, String> {
    let mut sent = Vec::new();
    std::io::stdin()
        .read_to_end(&mut sent)
        .map_err(|error| format!("standard input: {error}"))?;
    let params = BootstrapParams::parse_from_bytes(&sent)
        .ok()
        .filter(|params| params.instance_id == flags.id && params.namespace == flags.namespace);
    if let Some(params) = params {
        let options = params
            .extensions
            .iter()
            .find_map(|extension| Options::decode(&extension.value).ok())
            .unwrap_or_default();
        return Ok(Request {
            params: Some(params),
            options,
        });
    }
    let any = Any::parse_from_bytes(&sent).map_err(|error| format!("options: {error}"))?;
    Ok(Request {
        params: None,
        options: Options::decode(&any)?,
    })
}

/// The annotations of `config.json` say whose shim it is to be.
fn group(id: &str) -> Result<String, String> {
    #[derive(serde::Deserialize)]
    struct Config {
        #[serde(default)]
        annotations: std::collections::BTreeMap<String, String>,
    }
    let text = std::fs::read("config.json").map_err(|error| format!("config.json: {error}"))?;
    let config: Config =
        serde_json::from_slice(&text).map_err(|error| format!("config.json: {error}"))?;
    let group = GROUPS.iter().find_map(|name| config.annotations.get(*name));
    Ok(group.map_or(id, String::as_str).to_owned())
}

fn socket_path(directory: &str, flags: &Flags, group: &str) -> String {
    let name = format!("{}/{}/{group}", flags.address, flags.namespace);
    let mut path = format!("{directory}/");
    for byte in Sha256::digest(name) {
        path.push_str(&format!("{byte:02x}"));
    }
    path
}

/// A new socket, or nothing when a shim of this group listens there already.
fn listen(directory: &str, path: &str) -> Result<Option<OwnedFd>, String> {
    kernel::fs::make_directories(directory, 0o711).map_err(line)?;
    let bind = || {
        let old = kernel::process::set_umask(0o177);
        let bound = UnixListener::bind(path);
        kernel::process::set_umask(old);
        bound
    };
    let bound = match bind() {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if UnixStream::connect(path).is_ok() {
                return Ok(None);
            }
            // Its shim was killed.
            kernel::fs::remove_file(path).map_err(line)?;
            bind()
        }
        bound => bound,
    };
    let listener = bound.map_err(|error| format!("{path}: {error}"))?;
    Ok(Some(listener.into()))
}

fn spawn(
    flags: &Flags,
    listener: OwnedFd,
    ttrpc_address: Option<&str>,
    options: &Options,
) -> Result<(), String> {
    let own = std::env::current_exe().map_err(line)?;
    let mut command = Command::new(own);
    command
        .args(["-namespace", &flags.namespace])
        .args(["-address", &flags.address])
        .args(["-id", &flags.id]);
    if flags.debug {
        command.arg("-debug");
    }
    if let Some(address) = ttrpc_address.filter(|address| !address.is_empty()) {
        command.env("TTRPC_ADDRESS", address);
    }
    share_no_core()?;
    let child = command
        .stdin(Stdio::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot start the shim: {error}"))?;
    shim_cgroup::place(child.id(), &options.shim_cgroup)?;
    shim_cgroup::rank_for_oom(child.id());
    Ok(())
}

/// Where containerd says `SCHED_CORE`, no thread of another pod runs beside one of this
/// pod's on the same core: everything below this process inherits the cookie (Linux 5.14).
fn share_no_core() -> Result<(), String> {
    use rustix::thread::{CoreSchedulingScope, create_core_scheduling_cookie};
    if std::env::var_os("SCHED_CORE").is_none_or(|value| value.is_empty()) {
        return Ok(());
    }
    let own = rustix::process::getpid();
    create_core_scheduling_cookie(own, CoreSchedulingScope::ThreadGroup)
        .map_err(|error| format!("SCHED_CORE: {error} (needs SMT, and CONFIG_SCHED_CORE)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_a_group_has_one_short_name() {
        let flags = Flags {
            namespace: "k8s.io".to_owned(),
            address: "/run/containerd/containerd.sock".to_owned(),
            ..Flags::default()
        };
        let path = socket_path(SOCKET_DIRECTORY, &flags, "a");
        assert_eq!(path.len(), SOCKET_DIRECTORY.len() + 65);
        assert_eq!(path, socket_path(SOCKET_DIRECTORY, &flags, "a"));
        assert_ne!(path, socket_path(SOCKET_DIRECTORY, &flags, "b"));
    }
}
