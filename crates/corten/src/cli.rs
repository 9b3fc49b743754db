//! The command line. The doc comment of each field is its help, its line of the
//! man page and its text in the completions: one source for all three.
//!
//! Names, short forms and defaults are those engines use on every runtime
//! (`tests` below holds them to that).

use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

#[path = "cli_brief.rs"]
mod brief;
#[path = "cli_checkpoint.rs"]
pub mod checkpoint;
#[path = "cli_create.rs"]
mod create;
#[path = "duration.rs"]
mod duration;
#[path = "cli_people.rs"]
mod people;
#[path = "cli_spec.rs"]
mod spec;
#[path = "cli_update.rs"]
mod update;

pub use brief::read;
pub use checkpoint::{Checkpoint, Restore};
pub use create::{Container, Create, Run};
pub use people::{Completion, Doctor, Explain, ExplainFormat, Logs, Shell, Stats};
pub use spec::{Network, Spec, Wishes};
pub use update::Update;

/// The first three lines are what engines parse: no later line may hold the word "version".
const VERSION: &str = concat!(
    "version ",
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("CORTEN_COMMIT"),
    "\nspec: 1.3.0"
);

/// An OCI container runtime.
///
/// Runs containers from bundles: directories with a config.json and a root
/// file system, as the OCI runtime specification describes them.
#[derive(Debug, Parser)]
#[command(
    name = "corten",
    version = VERSION,
    disable_version_flag = true,
    args_override_self = true,
    arg_required_else_help = true,
    subcommand_required = true,
    subcommand_help_heading = "Commands",
    after_help = "\
Examples:
  corten spec --bundle b --memory 512M --args sh   a configuration, by options
  corten explain --bundle b                        what it will do
  corten run --bundle b --overlay c1               a container from it
  corten doctor                                    what this machine can do

Run `corten COMMAND --help` for the options of a command, `corten help errors` for
what the messages mean."
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

// Options before the command.
#[derive(Debug, Default, Args)]
pub struct Global {
    /// Directory that holds the state of containers (default: /run/corten, or
    /// $XDG_RUNTIME_DIR/corten for callers who are not root)
    #[arg(short, long, value_name = "DIR")]
    pub root: Option<String>,

    /// Append the log to FILE (also file:FILE) in place of standard error, or send it
    /// to the log daemon under a name: journald:NAME, syslog:NAME
    #[arg(short, long, value_name = "FILE")]
    pub log: Option<String>,

    /// Form of the lines in the log
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,

    /// Log every step with the property of config.json it came from
    #[arg(long)]
    pub debug: bool,

    /// Least serious kind of line to log
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub log_level: Option<LogLevel>,

    /// Let systemd make the control groups; same as --cgroup-manager systemd
    #[arg(short, long)]
    pub systemd_cgroup: bool,

    /// Who makes the control groups
    #[arg(long, value_name = "MANAGER", value_enum, default_value_t)]
    pub cgroup_manager: CgroupManager,

    /// Whether the caller is not root of the machine; auto finds out. Decides whether a
    /// container may do without a control group
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        ignore_case = true
    )]
    pub rootless: Rootless,

    /// Accepted for engines of old; criu is looked for in PATH
    #[arg(long, value_name = "FILE", hide = true)]
    criu: Option<String>,

    /// Print the version
    #[arg(short = 'v', short_alias = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,

    /// Another way to ask for help
    #[arg(short = '?', long, action = ArgAction::Help, global = true, hide = true)]
    usage: Option<bool>,
}

/// `--log-format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// time="..." level=error msg="..."
    Text,
    /// {"level":"error","msg":"...","time":"..."}
    Json,
}

/// `--log-level`, most serious first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum LogLevel {
    /// Only why a command failed.
    Error,
    /// Also what was odd in the configuration.
    #[value(alias = "warn")]
    Warning,
    /// Also the larger events.
    Info,
    /// Everything.
    #[value(alias = "trace")]
    Debug,
}

/// `--cgroup-manager`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum CgroupManager {
    /// This program, in the cgroup file system.
    #[default]
    Cgroupfs,
    /// systemd, asked over D-Bus.
    Systemd,
    /// Nobody: the container stays in the caller's control group.
    Disabled,
}

/// `--rootless`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Rootless {
    /// Take the caller for an unprivileged one.
    #[value(aliases = ["1", "t"])]
    True,
    /// Take the caller for root of the machine.
    #[value(aliases = ["0", "f"])]
    False,
    /// Find out.
    #[default]
    #[value(alias = "")]
    Auto,
}

impl Rootless {
    /// What was said; nothing is for us to find out.
    pub const fn said(self) -> Option<bool> {
        match self {
            Self::True => Some(true),
            Self::False => Some(false),
            Self::Auto => None,
        }
    }
}

// The doc comment of a struct with options would replace that of its variant here in
// the help of the command: those are plain comments.
/// One command. Its options are defined only when it is the one that was asked
/// for: the definitions of all fill a third of the memory that `state` touches.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Create a container and leave it waiting for `start`
    Create(Create),
    /// Start the program of a created container
    Start(Start),
    /// Create a container, start it, and wait for its end
    Run(Run),
    /// Print the state of a container as JSON
    State(State),
    /// Send a signal to the init process of a container
    Kill(Kill),
    /// Delete a stopped container and everything it held
    Delete(Delete),
    /// List containers
    List(List),
    /// Run one more process in a container
    Exec(Exec),
    /// Show the processes of a container
    #[command(visible_alias = "top")]
    Ps(Ps),
    /// Freeze all processes of a container
    Pause(Pause),
    /// Let the processes of a paused container go on
    Resume(Resume),
    /// Change the limits of a container
    Update(Update),
    /// Add mounts to a running container, or take some away
    Mounts(Mounts),
    /// Write a container down with CRIU, to be restored later or elsewhere
    Checkpoint(Checkpoint),
    /// Make a container of a checkpoint
    Restore(Restore),
    /// Watch a container: what it uses, and when it is out of memory
    Events(Events),
    /// Show what containers use, refreshed every second
    Stats(Stats),
    /// Tell where the output of a container goes: it is kept by who started it
    Logs(Logs),
    /// Write a config.json to start from
    Spec(Spec),
    /// Print what this runtime can do, as JSON
    Features(Features),
    /// Print what this runtime has found out about the machine, as JSON
    Info(Info),
    /// Print what a config.json will do, or everything that is wrong with it
    Explain(Explain),
    /// Check what this machine can do for containers, and tell how to mend what is missing
    Doctor(Doctor),
    /// Print the completions for a shell; ids of containers complete, too
    Completion(Completion),
}

impl Command {
    /// Name of the command, and the container it is about.
    pub fn subject(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Create(args) => ("create", Some(&args.container.id)),
            Self::Start(args) => ("start", Some(&args.id)),
            Self::Run(args) => ("run", Some(&args.container.id)),
            Self::State(args) => ("state", Some(&args.id)),
            Self::Kill(args) => ("kill", Some(&args.id)),
            Self::Delete(args) => ("delete", Some(&args.id)),
            Self::List(_) => ("list", None),
            Self::Exec(args) => ("exec", args.words.first().map(String::as_str)),
            Self::Ps(args) => ("ps", args.words.first().map(String::as_str)),
            Self::Pause(args) => ("pause", Some(&args.id)),
            Self::Resume(args) => ("resume", Some(&args.id)),
            Self::Update(args) => ("update", Some(&args.id)),
            Self::Mounts(args) => args.change.subject(),
            Self::Checkpoint(args) => ("checkpoint", Some(&args.id)),
            Self::Restore(args) => ("restore", Some(&args.container.id)),
            Self::Events(args) => ("events", Some(&args.id)),
            Self::Stats(_) => ("stats", None),
            Self::Logs(args) => ("logs", Some(&args.id)),
            Self::Spec(_) => ("spec", None),
            Self::Features(_) => ("features", None),
            Self::Info(_) => ("info", None),
            Self::Explain(args) => ("explain", args.id.as_deref()),
            Self::Doctor(_) => ("doctor", None),
            Self::Completion(_) => ("completion", None),
        }
    }

    /// `--timings`, for the commands that have it.
    pub fn timings(&self) -> Option<&str> {
        match self {
            Self::Create(Create { container, .. }) | Self::Run(Run { container, .. }) => {
                container.timings.as_deref()
            }
            Self::Exec(args) => args.timings.as_deref(),
            _ => None,
        }
    }
}

// `corten start`
#[derive(Debug, Args)]
pub struct Start {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,
}

// `corten state`
#[derive(Debug, Args)]
pub struct State {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,
}

// `corten kill`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten kill c1                   SIGTERM, which PID 1 may ignore
  corten kill c1 KILL              the end
  corten kill --regex '^test-' KILL")]
pub struct Kill {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,

    /// Number or name, with or without SIG: 15, TERM, SIGRTMIN+3
    #[arg(value_name = "SIGNAL", default_value = Kill::SIGNAL)]
    pub signal: String,

    /// Send it to every process of the container; a stopped container is no error
    #[arg(short, long)]
    pub all: bool,

    /// ID is a regular expression: all running containers whose names match
    #[arg(short, long)]
    pub regex: bool,
}

impl Kill {
    const SIGNAL: &str = "SIGTERM";
}

// `corten delete`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten delete c1                 a stopped container
  corten delete --force c1         whatever it is doing")]
pub struct Delete {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,

    /// Kill it first if it is not stopped; a container that does not exist is no error
    #[arg(short, long)]
    pub force: bool,

    /// ID is a regular expression: all containers whose names match
    #[arg(short, long)]
    pub regex: bool,
}

// `corten list`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten list
  corten --root /run/containerd/runc/k8s.io list   those that containerd made with it
  corten list -q | xargs -r -n1 corten delete --force")]
pub struct List {
    /// A table for people, or an array of states for programs
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ListFormat,

    /// Only the names
    #[arg(short, long)]
    pub quiet: bool,
}

/// `--format` of `list` and `ps`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Aligned columns.
    #[default]
    Table,
    /// One line, an array.
    Json,
}

// `corten exec`
#[derive(Debug, Default, Args)]
#[command(
    override_usage = "corten exec [OPTIONS] ID COMMAND [ARGUMENTS]...\n       \
                            corten exec [OPTIONS] --process FILE ID",
    after_help = "\
Examples:
  corten exec --tty c1 sh                  a shell beside its program
  corten exec --user 1000:1000 --env A=1 c1 id"
)]
pub struct Exec {
    /// JSON file with the process object of a config.json; what it leaves out of
    /// capabilities, limits, labels and no_new_privs is that of the container
    #[arg(short, long, value_name = "FILE")]
    pub process: Option<String>,

    /// Working directory (default: that of the container's process)
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<String>,

    /// Set a variable of the environment
    #[arg(short, long, value_name = "NAME=VALUE", action = ArgAction::Append)]
    pub env: Vec<String>,

    /// User, and group if it is another one than the container's process has
    #[arg(short, long, value_name = "UID[:GID]")]
    pub user: Option<String>,

    /// One more group
    #[arg(short = 'g', long, value_name = "GID", action = ArgAction::Append)]
    pub additional_gids: Vec<String>,

    /// One more capability in the bounding, effective and permitted set
    #[arg(short, long, value_name = "CAPABILITY", action = ArgAction::Append)]
    pub cap: Vec<String>,

    /// Never gain privileges by executing a program
    #[arg(long)]
    pub no_new_privs: bool,

    /// Give it a terminal of its own
    #[arg(short, long)]
    pub tty: bool,

    /// Return as soon as the program runs
    #[arg(short, long)]
    pub detach: bool,

    /// File to write the pid of the process to
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<String>,

    /// Unix socket that receives the master side of its terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<String>,

    /// Unix socket that receives a pidfd of the process
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<String>,

    /// Pass N more file descriptors to the process, from 3 on
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=1_048_576))]
    pub preserve_fds: u32,

    /// Also in a paused container: the process starts when it is resumed
    #[arg(long)]
    pub ignore_paused: bool,

    /// Control group below the container's; on cgroup v1 for all controllers or
    /// some
    #[arg(long, value_name = "[CONTROLLER,...:]PATH", action = ArgAction::Append)]
    pub cgroup: Vec<String>,

    /// SELinux label
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,

    /// AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,

    /// Tell where the time went: a table on standard error, or in FILE for the trace
    /// viewer of a browser
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub timings: Option<String>,

    /// Name of the container, then the command and its arguments
    // One list, because whatever follows the name is not ours to read.
    #[arg(value_name = "ID", required = true, trailing_var_arg = true)]
    pub words: Vec<String>,
}

// `corten ps`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten ps c1
  corten ps c1 -o pid,stat,rss,args
  corten ps --format json c1")]
#[command(override_usage = "corten ps [OPTIONS] ID [ARGUMENTS OF ps]...")]
pub struct Ps {
    /// Rows of ps(1) for people, or an array of pids for programs
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ListFormat,

    /// Name of the container, then the arguments of ps(1) (default: -ef), which
    /// must leave a column PID
    // One list, because whatever follows the name is not ours to read.
    #[arg(value_name = "ID", required = true, trailing_var_arg = true)]
    pub words: Vec<String>,
}

// `corten pause`
#[derive(Debug, Args)]
pub struct Pause {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,
}

// `corten resume`
#[derive(Debug, Args)]
pub struct Resume {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,
}

// `corten mounts`
#[derive(Debug, Args)]
pub struct Mounts {
    /// What is to become of them.
    #[command(subcommand)]
    pub change: MountsChange,
}

// `corten mounts add` and `corten mounts remove`
#[derive(Debug, Subcommand)]
pub enum MountsChange {
    /// Mount what FILE lists, all of it or nothing
    Add(MountsList),
    /// Take away what is mounted on the destinations that FILE lists, with all below
    Remove(MountsList),
}

impl MountsChange {
    fn subject(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Add(list) => ("mounts add", Some(&list.id)),
            Self::Remove(list) => ("mounts remove", Some(&list.id)),
        }
    }
}

// What both take.
#[derive(Debug, Args)]
pub struct MountsList {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,

    /// JSON list like the `mounts` of a config.json, from standard input if it is -;
    /// relative sources count from the container's bundle
    #[arg(value_name = "FILE")]
    pub file: String,
}

// `corten events`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten events --stats c1
  corten events --interval 1s c1 | jq .data.memory.usage")]
pub struct Events {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,

    /// Time between two records of what it uses, as 5s, 500ms or 1m30s
    #[arg(long, value_name = "DURATION", default_value = "5s",
          value_parser = duration::parse)]
    pub interval: Duration,

    /// Print one record and return
    #[arg(long)]
    pub stats: bool,
}

// `corten features`
#[derive(Debug, Args)]
pub struct Features {}

// `corten info`
#[derive(Debug, Args)]
pub struct Info {}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
