//! Commands for people: what happens, what went wrong, what will be done.

use clap::{Args, ValueEnum};

use super::ListFormat;

// `corten stats`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten stats                    all running containers, refreshed every second
  corten stats c1 --no-stream     one container, once
  corten --root /run/containerd/runc/k8s.io stats   those that containerd made with corten
  corten stats --format json | jq -c '.[] | [.id, .cpuPercent]'

CPU % counts 100 for each processor that is kept busy. MEM USED leaves out the page
cache that nobody has touched for long. PRESSURE is the share of the last ten seconds
in which something waited for a processor, memory, or a block device; cgroup v2 only.
Where nobody counts there is a dash.")]
pub struct Stats {
    /// Names of the containers (default: all that run)
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,

    /// Print one table and return
    #[arg(long)]
    pub no_stream: bool,

    /// A table for people, or an array a refresh for programs
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ListFormat,
}

// `corten logs`
#[derive(Debug, Args)]
pub struct Logs {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,
}

// `corten doctor`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten doctor                  what this machine can do for containers of this user
  sudo corten doctor             the same for those of root
  corten doctor --format json | jq '.checks[] | select(.state != \"ok\")'

The exit status is 1 when something is missing that containers cannot do without.")]
pub struct Doctor {
    /// For people, or for programs
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ExplainFormat,
}

// `corten completion`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten completion bash > /usr/share/bash-completion/completions/corten
  source <(corten completion bash)
  corten completion zsh > /usr/share/zsh/site-functions/_corten
  corten completion fish > ~/.config/fish/completions/corten.fish")]
pub struct Completion {
    /// Whose
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// `completion SHELL`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

// `corten explain`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  corten explain --bundle b            what `corten create` would make of it, in short
  corten explain --bundle b --steps    the same, step by step
  corten explain c1                    what was made of a container
  corten explain --bundle a --diff b   what differs between two bundles
  corten info > host.json              on one machine, then on another:
  corten explain --bundle b --host host.json")]
pub struct Explain {
    /// Explain an existing container in place of a bundle
    #[arg(value_name = "ID")]
    pub id: Option<String>,

    /// Directory with the config.json
    #[arg(
        short,
        long,
        value_name = "DIR",
        default_value = ".",
        conflicts_with = "id"
    )]
    pub bundle: String,

    /// Configuration file, a path or a name in the bundle
    #[arg(
        short = 'f',
        long,
        value_name = "FILE",
        default_value = "config.json",
        conflicts_with = "id"
    )]
    pub config: String,

    /// Every step in the order it is done, in place of the story
    #[arg(long)]
    pub steps: bool,

    /// What is different for OTHER: a bundle, a configuration file, or a container
    #[arg(long, value_name = "OTHER")]
    pub diff: Option<String>,

    /// Decide as on the machine that `corten info` or `corten doctor --format json` was
    /// run on
    #[arg(long, value_name = "FILE")]
    pub host: Option<String>,

    /// For people, or for programs
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: ExplainFormat,
}

/// `--format` of `explain` and `doctor`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// For people.
    #[default]
    Text,
    /// Everything there is.
    Json,
}
