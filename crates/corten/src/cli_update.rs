//! The options of `corten update`; see [`super`].

use clap::Args;

// `corten update`
#[derive(Debug, Args)]
pub struct Update {
    /// Name of the container
    #[arg(value_name = "ID")]
    pub id: String,

    /// JSON file with an object like linux.resources of a config.json; - is standard
    /// input. What it does not name stays as it is, other options are ignored
    #[arg(short, long, value_name = "FILE", allow_hyphen_values = true)]
    pub resources: Option<String>,

    /// Share of block devices, from 10 to 1000
    #[arg(long, value_name = "WEIGHT", allow_hyphen_values = true)]
    pub blkio_weight: Option<String>,

    /// Period of the processor quota
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub cpu_period: Option<String>,

    /// Processor time in each period, or -1 for no limit
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub cpu_quota: Option<String>,

    /// Unused quota that may be used later
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub cpu_burst: Option<String>,

    /// Share of processor time among others, from 2 to 262144
    #[arg(long, value_name = "SHARES", allow_hyphen_values = true)]
    pub cpu_share: Option<String>,

    /// Period of the realtime quota (cgroup v1)
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub cpu_rt_period: Option<String>,

    /// Realtime processor time in each period (cgroup v1)
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub cpu_rt_runtime: Option<String>,

    /// Whether to run only when nobody else wants to
    #[arg(long, value_name = "0|1", allow_hyphen_values = true)]
    pub cpu_idle: Option<String>,

    /// Processors to run on, as 0-3,7
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub cpuset_cpus: Option<String>,

    /// Memory nodes to use
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub cpuset_mems: Option<String>,

    /// Memory, with k, m, g or t for more, or -1 for no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory: Option<String>,

    /// Memory that is taken away last
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,

    /// Memory and swap together, or -1 for no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,

    /// Processes and threads, or -1 for no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<String>,

    /// Cache allocation of Intel RDT
    #[arg(long, value_name = "SCHEMA", allow_hyphen_values = true)]
    pub l3_cache_schema: Option<String>,

    /// Memory bandwidth allocation of Intel RDT
    #[arg(long, value_name = "SCHEMA", allow_hyphen_values = true)]
    pub mem_bw_schema: Option<String>,

    /// Ignored: it is counted against --memory
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, hide = true)]
    pub kernel_memory: Option<String>,

    /// Ignored: it is counted against --memory
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, hide = true)]
    pub kernel_memory_tcp: Option<String>,
}
