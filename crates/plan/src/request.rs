//! What the caller asked for on the command line, as far as the plan depends on it.

use serde::{Deserialize, Serialize};

/// Where the container finds the socket of its service manager, `notify.sock`; the same
/// as with runc.
pub const NOTIFY_DIRECTORY: &str = "/run/notify";

/// The variable that names the receiver of descriptors, sd_listen_fds(3).
pub const LISTEN_PID: &str = "LISTEN_PID=";

/// A `create` or `run`, without its `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The container id, already checked for its grammar.
    pub id: String,
    /// The bundle directory, absolute and resolved.
    pub bundle: String,
    /// Nobody will call `start`: no gate is made (`run`).
    pub start_at_once: bool,
    /// Use `MS_MOVE` and chroot in place of `pivot_root` (`--no-pivot`).
    pub no_pivot: bool,
    /// What is written to the root goes to a layer above it (`--overlay`).
    #[serde(default)]
    pub overlay: Option<Overlay>,
    /// Keep the caller's session keyring (`--no-new-keyring`).
    pub no_new_keyring: bool,
    /// Descriptors 3..3+n that the container's program keeps: `--preserve-fds`
    /// plus `LISTEN_FDS`.
    pub preserve_fds: u32,
    /// `LISTEN_FDS` when it was meant for us; becomes `LISTEN_FDS`/`LISTEN_PID` inside.
    pub listen_fds: u32,
    /// `LISTEN_FDNAMES`, the names of those descriptors.
    pub listen_fd_names: Option<String>,
    /// The host's directory that the container sees at [`NOTIFY_DIRECTORY`], absolute;
    /// a service manager waits for its program (`NOTIFY_SOCKET`).
    pub notify_directory: Option<String>,
    /// The agent of SCMP_ACT_NOTIFY where neither the profile nor an annotation names
    /// one (`RUN_OCI_SECCOMP_RECEIVER`, as crun has it).
    #[serde(default)]
    pub seccomp_receiver: Option<String>,
    /// What stands at the other end of the container's terminal.
    pub terminal: TerminalHost,
    /// Whether cgroups are managed at all (`--cgroup-manager disabled`).
    pub cgroups_disabled: bool,
    /// `--systemd-cgroup`.
    pub systemd_cgroup: bool,
}

/// Where a writable layer over the root is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlay {
    /// In memory, and gone with the container.
    Memory,
    /// In a directory below this one that has the container's name; it stays.
    Directory(String),
}

/// Who receives the master side of the container's terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TerminalHost {
    /// Nobody: `create` or `run --detach` without `--console-socket`.
    None,
    /// A process that listens on `--console-socket`.
    Socket,
    /// This process stays in the foreground and proxies.
    Foreground,
}

impl Request {
    /// A plain `create`, for tests.
    pub fn create(id: &str, bundle: &str) -> Self {
        Self {
            id: id.to_owned(),
            bundle: bundle.to_owned(),
            start_at_once: false,
            no_pivot: false,
            overlay: None,
            no_new_keyring: false,
            preserve_fds: 0,
            listen_fds: 0,
            listen_fd_names: None,
            notify_directory: None,
            seccomp_receiver: None,
            terminal: TerminalHost::None,
            cgroups_disabled: false,
            systemd_cgroup: false,
        }
    }
}
