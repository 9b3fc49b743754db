//! The options of `corten create` and `corten run`; see [`super`].

use clap::Args;

// What `create` and `run` have in common.
#[derive(Debug, Args)]
pub struct Container {
    /// Name of the new container, unique on this machine
    #[arg(value_name = "ID")]
    pub id: String,

    /// Directory with the config.json and the root file system
    #[arg(short, long, value_name = "DIR", default_value = Container::BUNDLE)]
    pub bundle: String,

    /// Configuration file, a path or a name in the bundle
    #[arg(short = 'f', long, value_name = "FILE", default_value = Container::CONFIG)]
    pub config: String,

    /// Unix socket that receives the master side of the container's terminal
    #[arg(short, long, value_name = "PATH")]
    pub console_socket: Option<String>,

    /// Unix socket that receives a pidfd of the container's init
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<String>,

    /// File to write the pid of the container's init to
    #[arg(short, long, value_name = "FILE")]
    pub pid_file: Option<String>,

    /// Put a throw-away writable layer over the root file system, which stays as it is:
    /// many containers run from one directory
    #[arg(long, help_heading = "Writable layer")]
    pub overlay: bool,

    /// The same, but what is written is kept, in DIR/ID/upper
    #[arg(long, value_name = "DIR", help_heading = "Writable layer")]
    pub overlay_dir: Option<String>,

    /// Change the root by moving mounts and chroot, for a root file system on a
    /// ramfs; weaker than pivot_root
    #[arg(long)]
    pub no_pivot: bool,

    /// Keep the caller's session keyring
    #[arg(long)]
    pub no_new_keyring: bool,

    /// Pass N more file descriptors to the container, from 3 on (after LISTEN_FDS)
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=1_048_576))]
    pub preserve_fds: u32,

    /// Tell where the time went: a table on standard error, or in FILE for the trace
    /// viewer of a browser
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub timings: Option<String>,
}

impl Container {
    const BUNDLE: &str = ".";
    const CONFIG: &str = "config.json";
}

impl Default for Container {
    fn default() -> Self {
        Self {
            id: String::new(),
            bundle: Self::BUNDLE.to_owned(),
            config: Self::CONFIG.to_owned(),
            console_socket: None,
            pidfd_socket: None,
            pid_file: None,
            overlay: false,
            overlay_dir: None,
            no_pivot: false,
            no_new_keyring: false,
            preserve_fds: 0,
            timings: None,
        }
    }
}

// `corten create`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten create --bundle b c1 && corten start c1
  corten create --bundle b --overlay c1      the root file system stays as it is")]
pub struct Create {
    /// The container.
    #[command(flatten)]
    pub container: Container,

    /// Accepted as with `run`; `create` adopts nobody
    #[arg(long, hide = true)]
    no_subreaper: bool,
}

impl Create {
    /// Without options of its own.
    pub const fn of(container: Container) -> Self {
        Self {
            container,
            no_subreaper: false,
        }
    }
}

// `corten run`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten run --bundle b c1                   in the foreground, with its exit status
  corten run --bundle b --detach c1          in the background
  corten run --bundle b --overlay c1         the root file system stays as it is
  corten run --bundle b --timings c1         and where the time went")]
pub struct Run {
    /// The container.
    #[command(flatten)]
    pub container: Container,

    /// Return as soon as the program runs
    #[arg(short, long)]
    pub detach: bool,

    /// Keep the container after its program has ended
    #[arg(long)]
    pub keep: bool,

    /// Do not adopt orphans of the container
    #[arg(long)]
    pub no_subreaper: bool,
}
