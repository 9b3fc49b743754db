//! `containerd-shim-corten-v2`: between containerd and the containers of corten.
//!
//! ```text
//! containerd ── start ──► bootstrap.rs ── spawns ──► server.rs
//!     │                                                 │ ttrpc
//!     └──────────────── tasks ──────────────────► service/ ──► container.rs, process.rs
//!     ▲                                            │    │
//!     └── events.rs ◄── follow.rs ◄── reaper.rs    │    └──► command.rs: `corten create`, `exec`
//!                                                  └──────► libcontainer: all other verbs
//! ```

mod bootstrap;
mod command;
mod container;
mod events;
mod flags;
mod grpc;
mod id_map;
mod info;
mod io;
mod log;
mod options;
mod process;
mod reaper;
mod remove;
mod rootfs;
mod server;
mod service;
mod shim_cgroup;

use std::io::Write;
use std::process::ExitCode;

use flags::{Action, Flags};

fn main() -> ExitCode {
    let result = Flags::parse(std::env::args().skip(1)).and_then(|flags| run(&flags));
    let printed = result.and_then(|reply| {
        std::io::stdout()
            .write_all(&reply)
            .map_err(|error| format!("standard output: {error}"))
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // containerd shows what a shim says here as the reason of its failure.
            let _ = writeln!(std::io::stderr(), "containerd-shim-corten-v2: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<Vec<u8>, String> {
    match flags.action {
        Action::Start => bootstrap::start(flags),
        Action::Delete => remove::delete(flags),
        Action::Serve => server::serve(flags).map(|()| Vec::new()),
        Action::Info => info::info(),
        Action::HoldUserNamespace => id_map::hold(),
        Action::Version => Ok(format!(
            "containerd-shim-corten-v2:\n  Version:  {}\n",
            env!("CARGO_PKG_VERSION")
        )
        .into_bytes()),
    }
}
