//! `corten update`

use plan::UpdateRequest;

use super::existing;
use crate::cli::{Global, Update};
use crate::report::CommandError;

/// Changes the limits of a container.
#[inline(never)]
pub fn update(global: &Global, args: Update) -> Result<(), CommandError> {
    let store = existing(global, &args.id)?;
    Ok(libcontainer::update(&store, &request(args)?)?)
}

fn request(args: Update) -> Result<UpdateRequest, CommandError> {
    let options = [
        ("--blkio-weight", args.blkio_weight),
        ("--cpu-period", args.cpu_period),
        ("--cpu-quota", args.cpu_quota),
        ("--cpu-burst", args.cpu_burst),
        ("--cpu-share", args.cpu_share),
        ("--cpu-rt-period", args.cpu_rt_period),
        ("--cpu-rt-runtime", args.cpu_rt_runtime),
        ("--cpu-idle", args.cpu_idle),
        ("--cpuset-cpus", args.cpuset_cpus),
        ("--cpuset-mems", args.cpuset_mems),
        ("--memory", args.memory),
        ("--memory-reservation", args.memory_reservation),
        ("--memory-swap", args.memory_swap),
        ("--pids-limit", args.pids_limit),
        ("--l3-cache-schema", args.l3_cache_schema),
        ("--mem-bw-schema", args.mem_bw_schema),
        ("--kernel-memory", args.kernel_memory),
        ("--kernel-memory-tcp", args.kernel_memory_tcp),
    ];
    let resources = args.resources.as_deref();
    let given = |(name, text): (&'static str, Option<String>)| Some((name, text?));
    Ok(UpdateRequest {
        id: args.id,
        // What its state says.
        systemd_cgroup: false,
        resources: resources.map(libcontainer::read_resources).transpose()?,
        options: options.into_iter().filter_map(given).collect(),
    })
}
