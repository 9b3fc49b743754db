//! Conformance to the runtime spec, by its chapters. `RUNTIME=/usr/sbin/runc
//! cargo test -p runtime-tests --test conformance` tests another runtime.

mod annotations;
mod cgroup_limits;
mod cgroup_ownership;
mod cgroups;
mod command_line;
mod concurrent;
mod devices;
mod engine_words;
mod engines;
mod events;
mod exec;
mod exec_hostile;
mod exec_process;
mod features;
mod foreground;
mod hook_failures;
mod hooks;
mod identity;
mod idmap;
mod labels;
mod lifecycle;
mod linux;
mod mount_option_words;
mod mount_options;
mod mounts;
mod namespaces;
mod net_devices;
mod notify;
mod options;
mod overlay;
mod people;
mod process;
mod processes;
mod rootless;
mod roots;
mod running_mounts;
mod scheduling;
mod seccomp;
mod seccomp_notify;
mod security;
mod states;
mod terminal;
mod update;

fn main() -> std::process::ExitCode {
    runtime_tests::main(env!("CARGO_BIN_EXE_probe"))
}
