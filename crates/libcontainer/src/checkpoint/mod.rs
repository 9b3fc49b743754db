//! `checkpoint`: a container is written down by CRIU, and `restore` makes it again.
//!
//! ```text
//! checkpoint: lock ─► names of what is outside ─► criu dump ─► as after `delete`, if CRIU
//!                                                              has ended the processes
//! restore:    claim ─► cgroup, limits ─► root bound on itself ─► criu restore, hooks when it
//!             has made the namespaces ─► init is our child ─► state.json, pid file ─►
//!             poststart hooks
//! ```
//!
//! `plan::checkpoint` says what CRIU is told, `criu.rs` tells it.

mod criu;
mod restore;

use plan::checkpoint::rpc::Request;
use plan::checkpoint::{self, CriuOptions, Dump, Externals};

use crate::delete;
use crate::error::{Doing, Error, Result};
use crate::state::State;
use crate::status::{self, Status};
use crate::store::Store;

pub use restore::{RestoreOptions, restore};

/// The names of the standard streams, beside CRIU's own files; as runc has it.
const DESCRIPTORS: &str = "descriptors.json";
/// More than three names could be.
const DESCRIPTORS_LIMIT: usize = 64 << 10;

/// Writes a container down. Unless it is to go on running, it is gone afterwards.
///
/// Returns what failed without keeping the container: `poststop` hooks.
///
/// # Errors
/// [`Error::CheckpointIn`]; [`Error::Criu`] with what CRIU said: the container runs on.
pub fn checkpoint(store: &Store, id: &str, options: &CriuOptions) -> Result<Option<Error>> {
    checkpoint::check(options).map_err(|problem| Error::Config(plan::Errors::from(problem)))?;
    let directory = store.find(id)?;
    directory.lock()?;
    let Some(loaded) = directory.load()? else {
        return Err(Error::CheckpointIn(Status::Creating));
    };
    let state = &loaded.state;
    match status::derive(&directory, &loaded)? {
        Status::Running | Status::Paused => {}
        status => return Err(Error::CheckpointIn(status)),
    }
    let externals = checkpoint::externals(&directory.read_config()?, &state.bundle)?;
    let directories = criu::OpenDirectories::new(options)?;
    let (names, resources) = outside(state, &externals)?;
    let dump = Dump {
        directories: directories.numbers(),
        pid: state.pid,
        freezer: state.has_cgroup().then(|| freezer(state)).flatten(),
        resources,
        config: checkpoint::configuration_file(&externals, criu::default_config()),
    };
    let names = serde_json::to_vec(&names).unwrap_or_default();
    let file = format!("{}/{DESCRIPTORS}", options.image_path);
    kernel::fs::replace_file(&file, 0o600, &names).doing(|| file.clone())?;
    let errand = criu::Errand {
        request: match options.pre_dump {
            true => Request::PreDump,
            false => Request::Dump,
        },
        message: checkpoint::dump(options, &externals, &dump),
        log: "dump.log",
        descriptors: Vec::new(),
    };
    criu::run(options, errand, &mut |_| Ok(()))?;
    if options.leave_running || options.pre_dump {
        return Ok(None);
    }
    delete::remove(&directory, &loaded)
}

/// The names of the standard streams, and what CRIU takes for outside.
fn outside(state: &State, externals: &Externals) -> Result<(Vec<String>, Vec<String>)> {
    let doing = || format!("process {}", state.pid);
    let mut resources = Vec::new();
    for (word, label, path) in &externals.namespaces {
        let inode = kernel::fs::stat_path(path).doing(|| path.clone())?.ino;
        resources.push(format!("{word}[{inode}]:{label}"));
    }
    let own = kernel::fs::read_file(&format!("/proc/{}/mountinfo", state.pid), 16 << 20);
    let own = String::from_utf8_lossy(&own.doing(doing)?).into_owned();
    let mut names = Vec::new();
    for number in 0..3 {
        let path = format!("/proc/{}/fd/{number}", state.pid);
        let Ok(link) = kernel::fs::open_path_no_follow(&path) else {
            // It has closed that one.
            names.push(String::new());
            continue;
        };
        use std::os::fd::AsFd;
        let link = kernel::fs::read_link(link.as_fd()).doing(doing)?;
        let name = match link.starts_with('/') {
            true => outside_file(&path, &own).unwrap_or(link),
            false => link,
        };
        if name.starts_with("file[") && !resources.contains(&name) {
            resources.push(name.clone());
        }
        names.push(name);
    }
    Ok((names, resources))
}

/// CRIU's name of a file that lies on no mount of the container's.
fn outside_file(path: &str, mounts: &str) -> Option<String> {
    use std::os::fd::AsFd;
    let file = kernel::fs::open_path(path).ok()?;
    let mount = kernel::fs::mount_id(file.as_fd()).ok()?;
    let first = |line: &str| line.split(' ').next()?.parse::<u64>().ok();
    if mounts.lines().filter_map(first).any(|own| own == mount) {
        return None;
    }
    let inode = kernel::fs::stat(file.as_fd()).ok()?.ino;
    Some(format!("file[{mount:x}:{inode:x}]"))
}

/// Where all processes can be frozen at once.
fn freezer(state: &State) -> Option<String> {
    let mut directories = state.cgroup.directories.iter();
    let has = directories.find(|one| one.v2 || one.controllers.iter().any(|c| c == "freezer"))?;
    Some(format!("{}{}", has.mount, state.cgroup.path))
}
