//! `corten spec`

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::cli::{Network, Spec, Wishes};
use crate::report::CommandError;

/// Writes a config.json to start from; never over one that is there.
#[inline(never)]
pub fn spec(args: &Spec) -> Result<(), CommandError> {
    let path = Path::new(&args.bundle).join(&args.file);
    let path = path.to_string_lossy().into_owned();
    let failed = |source: io::Error| match source.kind() {
        ErrorKind::AlreadyExists => CommandError::ConfigExists(path.clone()),
        _ => CommandError::File {
            argument: "--bundle",
            doing: "write",
            path: path.clone(),
            source,
        },
    };
    let own = if args.rootless {
        let host = libcontainer::host::probe()?;
        Some((host.effective_uid, host.effective_gid))
    } else {
        None
    };
    let text = plan::compose(own, &wishes(&args.wishes)).map_err(libcontainer::Error::Config)?;
    let mut file = File::create_new(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// The options, as the plan takes them.
fn wishes(options: &Wishes) -> plan::Wishes {
    let options = options.clone();
    plan::Wishes {
        rootfs: options.rootfs,
        args: match options.command.is_empty() {
            true => options.args,
            false => options.command,
        },
        env: options.env,
        cwd: options.cwd,
        hostname: options.hostname,
        memory: options.memory,
        cpus: options.cpus,
        pids: options.pids,
        mounts: options.mount,
        user: options.user,
        cap_add: options.cap_add,
        cap_drop: options.cap_drop,
        privileged: options.privileged,
        own_network: options.network.map(|network| network == Network::None),
        read_only: options.read_only,
        tty: options.tty,
    }
}
