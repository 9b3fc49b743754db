//! The options of `corten spec`.

use clap::{ArgAction, Args, ValueEnum};

// `corten spec`
#[derive(Debug, Args)]
#[command(after_help = "\
Without any of the options that describe a container the file is the one to start from
that other runtimes write: a shell with a terminal and a read-only root. With one of
them the root is writable (--read-only: not) and the terminal the caller's (--tty: its
own).

Examples:
  corten spec --memory 512M --cpus 1 --args sh -c 'free; nproc'
  corten spec --memory 512M --cpus 1 -- sh -c 'free; nproc'
  corten spec --rootfs /srv/debian --mount /:/host:ro --tty --args bash
  corten spec --privileged --network host --args ip link
  corten spec --mount tmpfs:/scratch:size=64m --user 1000:1000 --cap-drop ALL")]
pub struct Spec {
    /// Directory to write config.json to
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub bundle: String,

    /// File to write, absolute or in the bundle
    #[arg(short, long, value_name = "FILE", default_value = "config.json")]
    pub file: String,

    /// For callers who are not root: with a user namespace that maps them to root
    #[arg(long)]
    pub rootless: bool,

    /// What the container is to be.
    #[command(flatten)]
    pub wishes: Wishes,
}

// The container in options.
#[derive(Debug, Clone, Args)]
pub struct Wishes {
    /// Root file system (default: rootfs in the bundle)
    #[arg(long, value_name = "DIR", help_heading = "The container")]
    pub rootfs: Option<String>,

    /// Set a variable of the environment
    #[arg(short, long, value_name = "NAME=VALUE", action = ArgAction::Append, help_heading = "The container")]
    pub env: Vec<String>,

    /// Working directory
    #[arg(long, value_name = "DIR", help_heading = "The container")]
    pub cwd: Option<String>,

    /// Host name
    #[arg(long, value_name = "NAME", help_heading = "The container")]
    pub hostname: Option<String>,

    /// Most memory, in bytes or with K, M, G: 512M
    #[arg(short, long, value_name = "SIZE", help_heading = "The container")]
    pub memory: Option<String>,

    /// Most processor time, in processors: 0.5
    #[arg(long, value_name = "NUMBER", help_heading = "The container")]
    pub cpus: Option<String>,

    /// Most processes and threads
    #[arg(long, value_name = "NUMBER", help_heading = "The container")]
    pub pids: Option<u32>,

    /// Bind a file or directory of the host, or make a tmpfs (source tmpfs); options
    /// are those of mount(8), with commas
    #[arg(short = 'v', long, value_name = "SOURCE:TARGET[:OPTIONS]", action = ArgAction::Append, help_heading = "The container")]
    pub mount: Vec<String>,

    /// User, and group if it is not 0
    #[arg(short, long, value_name = "UID[:GID]", help_heading = "The container")]
    pub user: Option<String>,

    /// One more capability, or ALL
    #[arg(long, value_name = "CAPABILITY", action = ArgAction::Append, help_heading = "The container")]
    pub cap_add: Vec<String>,

    /// One capability less, or ALL
    #[arg(long, value_name = "CAPABILITY", action = ArgAction::Append, help_heading = "The container")]
    pub cap_drop: Vec<String>,

    /// All capabilities and devices, nothing masked, /sys and the control groups
    /// writable: as good as root of the machine
    #[arg(long, help_heading = "The container")]
    pub privileged: bool,

    /// host: that of the caller; none: a new one with nothing but a loopback device
    #[arg(long, value_name = "WHICH", value_enum, help_heading = "The container")]
    pub network: Option<Network>,

    /// No writing in the root file system
    #[arg(long, help_heading = "The container")]
    pub read_only: bool,

    /// A terminal of its own
    #[arg(short, long, help_heading = "The container")]
    pub tty: bool,

    /// The program and its arguments: all that follows, options of corten no more. The
    /// same is said by -- without --args
    #[arg(
        long,
        value_name = "WORD",
        num_args = 1..,
        allow_hyphen_values = true,
        help_heading = "The container"
    )]
    pub args: Vec<String>,

    /// The program and its arguments, as with --args
    #[arg(value_name = "WORD", last = true, conflicts_with = "args")]
    pub command: Vec<String>,
}

/// `spec --network`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// The caller's.
    Host,
    /// A new one.
    None,
}
