//! `delete`: what is left of a container when its shim was killed.

use std::time::SystemTime;

use containerd_shim_protos::api::DeleteResponse;
use containerd_shim_protos::protobuf::Message;
use libcontainer::Store;

use crate::events::timestamp;
use crate::flags::Flags;
use crate::options::Options;
use crate::rootfs;

/// SIGKILL, as a shell says it: nobody knows how it ended.
const KILLED: u32 = 128 + 9;

/// Removes the container with force and its mounts, and returns the reply.
///
/// # Errors
/// One line.
pub fn delete(flags: &Flags) -> Result<Vec<u8>, String> {
    let bundle = match flags.bundle.as_str() {
        "" => std::env::current_dir()
            .map_err(|error| error.to_string())?
            .to_string_lossy()
            .into_owned(),
        bundle => bundle.to_owned(),
    };
    let options = Options::load(&bundle);
    if let Some(store) =
        Store::open(&options.root(&flags.namespace)).map_err(|error| error.to_string())?
    {
        libcontainer::delete(&store, &flags.id, true).map_err(|error| error.to_string())?;
    }
    rootfs::unmount_all(&format!("{bundle}/rootfs"))?;
    let pid = std::fs::read_to_string(format!("{bundle}/init.pid")).unwrap_or_default();
    let mut response = DeleteResponse::new();
    response.pid = pid.trim().parse().unwrap_or(0);
    response.exit_status = KILLED;
    response.set_exited_at(timestamp(SystemTime::now()));
    response.write_to_bytes().map_err(|error| error.to_string())
}
