//! Layers for a container in a user namespace: their files get the owners that the
//! container wants, and stay as they are on the disk (`MOUNT_ATTR_IDMAP`).
//!
//! The kernel takes the maps from a user namespace, and a user namespace needs a
//! process. A process with threads cannot enter one, so it is a second one of this
//! program: it waits in the namespace until the maps are written and the namespace is
//! open here.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

/// The action of the second process.
pub const HOLD: &str = "hold-user-namespace";

/// The maps of one mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    uids: String,
    gids: String,
}

impl IdMap {
    /// Takes `uidmap=` and `gidmap=` out of a mount's options; their values are
    /// `container:host:size`, several with commas.
    ///
    /// # Errors
    /// One line that names the option.
    pub fn take_from(options: &mut Vec<String>) -> Result<Option<Self>, String> {
        let mut take = |name: &str| -> Result<Option<String>, String> {
            let Some(at) = options.iter().position(|o| o.starts_with(name)) else {
                return Ok(None);
            };
            let option = options.remove(at);
            lines(&option[name.len()..])
                .map(Some)
                .ok_or_else(|| format!("{option:?}: must be container:host:size"))
        };
        match (take("uidmap=")?, take("gidmap=")?) {
            (None, None) => Ok(None),
            (Some(uids), Some(gids)) => Ok(Some(Self { uids, gids })),
            _ => Err("uidmap and gidmap: one is missing".to_owned()),
        }
    }

    /// A user namespace with these maps, in which nobody lives.
    ///
    /// # Errors
    /// One line.
    pub fn make_user_namespace(&self) -> Result<OwnedFd, String> {
        let line = |error: std::io::Error| format!("user namespace: {error}");
        let own = std::env::current_exe().map_err(line)?;
        let mut child = Command::new(own)
            .arg(HOLD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(line)?;
        let mut ready = [0];
        let said = child
            .stdout
            .take()
            .map_or(Ok(0), |mut stdout| stdout.read(&mut ready));
        let of = |file: &str| format!("/proc/{}/{file}", child.id());
        let made = match said {
            Ok(1) => std::fs::write(of("uid_map"), &self.uids)
                .and_then(|()| std::fs::write(of("gid_map"), &self.gids))
                .and_then(|()| std::fs::File::open(of("ns/user")))
                .map(OwnedFd::from),
            Ok(_) => Err(std::io::Error::other("none could be made")),
            Err(error) => Err(error),
        };
        // It ends when its input does. The reaper may have been faster.
        drop(child.stdin.take());
        let _ = child.wait();
        made.map_err(line)
    }
}

/// Lines of `/proc/PID/uid_map`.
fn lines(value: &str) -> Option<String> {
    let line = |map: &str| {
        let numbers: Option<Vec<u32>> = map.split(':').map(|part| part.parse().ok()).collect();
        match numbers?[..] {
            [container, host, size] => Some(format!("{container} {host} {size}\n")),
            _ => None,
        }
    };
    value.split(',').map(line).collect()
}

/// The second process: enters a new user namespace, says so, and waits.
///
/// # Errors
/// One line.
pub fn hold() -> Result<Vec<u8>, String> {
    kernel::namespace::unshare(kernel::namespace::NEW_USER).map_err(|error| error.to_string())?;
    let mut out = std::io::stdout();
    out.write_all(b"!")
        .and_then(|()| out.flush())
        .and_then(|()| std::io::stdin().read_to_end(&mut Vec::new()))
        .map(|_| Vec::new())
        .map_err(|error| error.to_string())
}

/// A detached copy of the mount at `path`, its ids mapped by the namespace.
///
/// # Errors
/// Those of the kernel; EINVAL for a file system that has no such mounts.
pub fn clone_mapped(
    path: &str,
    recursive: bool,
    user_namespace: &OwnedFd,
) -> Result<OwnedFd, String> {
    let line = |error: kernel::Error| error.to_string();
    let tree = kernel::mount::open_tree(path, true, recursive, false).map_err(line)?;
    kernel::mount::set_id_map(tree.as_fd(), recursive, user_namespace.as_fd()).map_err(line)?;
    Ok(tree)
}

/// Copies of an overlay's lower layers, mounted beside its root while it is mounted
/// itself: it keeps what it needs of them.
#[derive(Debug)]
pub struct Layers {
    paths: Vec<String>,
}

impl Layers {
    /// Puts the copies in the place of the layers of `lowerdir=`.
    ///
    /// # Errors
    /// One line that names the layer.
    pub fn put_into(
        options: &mut [String],
        target: &str,
        user_namespace: &OwnedFd,
    ) -> Result<Self, String> {
        let mut layers = Self { paths: Vec::new() };
        let Some(option) = options.iter_mut().find(|o| o.starts_with("lowerdir=")) else {
            return Ok(layers);
        };
        for layer in option["lowerdir=".len()..].split(':') {
            let path = format!("{target}-layer{}", layers.paths.len());
            std::fs::create_dir_all(&path).map_err(|error| format!("{path}: {error}"))?;
            layers.paths.push(path.clone());
            let tree = clone_mapped(layer, false, user_namespace)?;
            kernel::mount::move_mount_to_path(tree.as_fd(), &path)
                .map_err(|error| error.to_string())?;
        }
        *option = format!("lowerdir={}", layers.paths.join(":"));
        Ok(layers)
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        for path in &self.paths {
            let _ = kernel::mount::unmount_detach(path);
            let _ = std::fs::remove_dir(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(options: &[&str]) -> (Result<Option<IdMap>, String>, Vec<String>) {
        let mut options: Vec<String> = options.iter().map(|&o| o.to_owned()).collect();
        (IdMap::take_from(&mut options), options)
    }

    #[test]
    fn maps_are_no_options_of_the_file_system() {
        let (map, left) = taken(&["index=off", "uidmap=0:7:2,2:100:1", "gidmap=0:8:3"]);
        let wanted = IdMap {
            uids: "0 7 2\n2 100 1\n".to_owned(),
            gids: "0 8 3\n".to_owned(),
        };
        assert_eq!(map, Ok(Some(wanted)));
        assert_eq!(left, ["index=off"]);
        assert_eq!(taken(&["ro"]).0, Ok(None));
    }

    #[test]
    fn half_a_map_is_an_error() {
        assert!(taken(&["uidmap=0:7:2"]).0.is_err());
        let (map, _) = taken(&["uidmap=0:7", "gidmap=0:7:2"]);
        assert!(map.is_err_and(|error| error.contains("uidmap=0:7")));
    }
}
