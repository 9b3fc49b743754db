//! What needs a real host: systemd as the service manager, cgroup v2 alone with all its
//! controllers, users' own managers, the privileges of a machine's root. Run by
//! `make test-vm` in a machine made for it; anywhere else each test is skipped.

mod checkpoint;
mod checkpoint_options;
mod controllers;
mod hybrid;
mod machine;
mod older_kernel;
mod podman;
mod scopes;
mod selinux;
mod users;

fn main() -> std::process::ExitCode {
    runtime_tests::main(env!("CARGO_BIN_EXE_probe"))
}
