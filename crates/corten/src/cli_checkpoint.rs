//! The options of `corten checkpoint` and `corten restore`; see [`super`].

use clap::Args;

use super::Container;

// What both take. Some mean something for one of them alone: engines give both the same.
#[derive(Debug, Args)]
pub struct Criu {
    /// Directory of the checkpoint
    #[arg(long, value_name = "DIR", default_value = "checkpoint")]
    pub image_path: String,

    /// Directory for CRIU's log; that of the checkpoint unless it is said
    #[arg(long, value_name = "DIR")]
    pub work_path: Option<String>,

    /// Earlier checkpoint, relative to this one, that this one adds to
    #[arg(long, value_name = "DIR")]
    pub parent_path: Option<String>,

    /// Allow open TCP connections
    #[arg(long)]
    pub tcp_established: bool,

    /// Restore open TCP connections as closed ones
    #[arg(long)]
    pub tcp_close: bool,

    /// Allow Unix sockets whose other end is outside
    #[arg(long)]
    pub ext_unix_sk: bool,

    /// Allow a session and terminals that began outside
    #[arg(long)]
    pub shell_job: bool,

    /// Allow locks of files
    #[arg(long)]
    pub file_locks: bool,

    /// Fetch memory only when it is used (userfaultfd)
    #[arg(long)]
    pub lazy_pages: bool,

    /// Drop memory from the earlier checkpoint that is in a later one
    #[arg(long)]
    pub auto_dedup: bool,

    /// How control groups are kept: soft, full, strict or ignore
    #[arg(long, value_name = "MODE")]
    pub manage_cgroups_mode: Option<String>,

    /// Make this namespace without anything in it: network
    #[arg(long, value_name = "NAMESPACE")]
    pub empty_ns: Vec<String>,

    /// How the network is kept still: iptables, nftables or skip
    #[arg(long, value_name = "METHOD")]
    pub network_lock: Option<String>,
}

// `corten checkpoint`
#[derive(Debug, Args)]
pub struct Checkpoint {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,

    /// For CRIU.
    #[command(flatten)]
    pub criu: Criu,

    /// Let the container go on afterwards
    #[arg(long)]
    pub leave_running: bool,

    /// Write only memory, and let the container go on: a later checkpoint is faster
    #[arg(long)]
    pub pre_dump: bool,

    /// Leave TCP connections out that are not open yet
    #[arg(long)]
    pub tcp_skip_in_flight: bool,

    /// Allow files that have no name any more
    #[arg(long)]
    pub link_remap: bool,

    /// Send memory to the page server of another machine
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub page_server: Option<String>,

    /// Descriptor that is told when lazy pages can be fetched
    #[arg(long, value_name = "N")]
    pub status_fd: Option<i32>,
}

// `corten restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// The container.
    #[command(flatten)]
    pub container: Container,

    /// For CRIU.
    #[command(flatten)]
    pub criu: Criu,

    /// Return as soon as the container runs
    #[arg(short, long)]
    pub detach: bool,

    /// Do not adopt orphans of the container
    #[arg(long)]
    pub no_subreaper: bool,

    /// Other label for the processes, as apparmor:PROFILE or selinux:LABEL
    #[arg(long, value_name = "TYPE:NAME")]
    pub lsm_profile: Option<String>,

    /// Other SELinux label for mounts
    #[arg(long, value_name = "LABEL")]
    pub lsm_mount_context: Option<String>,

    /// Accepted as with `checkpoint`
    #[arg(long, hide = true)]
    link_remap: bool,
}
