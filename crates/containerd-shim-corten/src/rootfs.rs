//! The mounts that containerd wants below a bundle before the container is made.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use containerd_shim_protos::api::Mount;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::mount::{mount, mount_change, unmount};

use crate::id_map::{IdMap, Layers, clone_mapped};

/// More does not go through mount(2).
const DATA_LIMIT: usize = 4095;

/// Mounts all of them, one over the other, on `target`; what was mounted is
/// taken away again when one fails.
///
/// # Errors
/// One line that names the mount.
pub fn mount_all(mounts: &[Mount], target: &str) -> Result<(), String> {
    if mounts.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(target).map_err(|error| format!("{target}: {error}"))?;
    for (done, wanted) in mounts.iter().enumerate() {
        if let Err(error) = mount_one(wanted, target) {
            for _ in 0..done {
                let _ = unmount(target, UnmountFlags::DETACH);
            }
            let (kind, source) = (&wanted.type_, &wanted.source);
            return Err(format!(
                "rootfs: mount {kind} of {source} on {target}: {error}"
            ));
        }
    }
    Ok(())
}

/// Takes away whatever is mounted on `target`.
///
/// # Errors
/// One line.
pub fn unmount_all(target: &str) -> Result<(), String> {
    loop {
        match unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // Nothing is mounted there any more.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => return Ok(()),
            Err(error) => return Err(format!("unmount {target}: {error}")),
        }
    }
}

/// The options of a mount, as mount(2) wants them.
#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    flags: MountFlags,
    propagation: Option<MountPropagationFlags>,
    bind: bool,
    data: Vec<String>,
}

fn parse(wanted: &Mount) -> Parsed {
    let mut parsed = Parsed {
        flags: MountFlags::empty(),
        propagation: None,
        bind: matches!(wanted.type_.as_str(), "bind" | "rbind"),
        data: Vec::new(),
    };
    if wanted.type_ == "rbind" {
        parsed.flags |= RECURSIVE;
    }
    for option in &wanted.options {
        match option.as_str() {
            "ro" => parsed.flags |= MountFlags::RDONLY,
            "rw" => parsed.flags &= !MountFlags::RDONLY,
            "nosuid" => parsed.flags |= MountFlags::NOSUID,
            "nodev" => parsed.flags |= MountFlags::NODEV,
            "noexec" => parsed.flags |= MountFlags::NOEXEC,
            "noatime" => parsed.flags |= MountFlags::NOATIME,
            "nodiratime" => parsed.flags |= MountFlags::NODIRATIME,
            "relatime" => parsed.flags |= MountFlags::RELATIME,
            "strictatime" => parsed.flags |= MountFlags::STRICTATIME,
            "sync" => parsed.flags |= MountFlags::SYNCHRONOUS,
            "dirsync" => parsed.flags |= MountFlags::DIRSYNC,
            "bind" => parsed.bind = true,
            "rbind" => {
                parsed.bind = true;
                parsed.flags |= RECURSIVE;
            }
            "defaults" | "async" | "atime" | "dev" | "exec" | "suid" | "loop" => {}
            "private" => parsed.propagation = Some(MountPropagationFlags::PRIVATE),
            "slave" => parsed.propagation = Some(MountPropagationFlags::DOWNSTREAM),
            "shared" => parsed.propagation = Some(MountPropagationFlags::SHARED),
            "unbindable" => parsed.propagation = Some(MountPropagationFlags::UNBINDABLE),
            "rprivate" => parsed.propagation = recursive(MountPropagationFlags::PRIVATE),
            "rslave" => parsed.propagation = recursive(MountPropagationFlags::DOWNSTREAM),
            "rshared" => parsed.propagation = recursive(MountPropagationFlags::SHARED),
            data => parsed.data.push(data.to_owned()),
        }
    }
    parsed
}

/// MS_REC of mount(2): a bind takes the mounts below along. It has the same value for
/// propagation, where it has a name.
const RECURSIVE: MountFlags = MountFlags::from_bits_retain(MountPropagationFlags::REC.bits());

fn recursive(kind: MountPropagationFlags) -> Option<MountPropagationFlags> {
    Some(kind | MountPropagationFlags::REC)
}

fn mount_one(wanted: &Mount, target: &str) -> Result<(), String> {
    let mut parsed = parse(wanted);
    let line = |error: rustix::io::Errno| error.to_string();
    let map = IdMap::take_from(&mut parsed.data)?;
    let users = map.map(|map| map.make_user_namespace()).transpose()?;
    if parsed.bind {
        bind(wanted, &parsed, target, users.as_ref())?;
        let attributes = parsed.flags & !RECURSIVE;
        if !attributes.is_empty() {
            rustix::mount::mount_remount(target, MountFlags::BIND | attributes, "")
                .map_err(line)?;
        }
    } else {
        let layers = users
            .map(|users| Layers::put_into(&mut parsed.data, target, &users))
            .transpose()?;
        mount_filesystem(wanted, &parsed, target)?;
        drop(layers);
    }
    match parsed.propagation {
        Some(propagation) => mount_change(target, propagation).map_err(line),
        None => Ok(()),
    }
}

fn bind(
    wanted: &Mount,
    parsed: &Parsed,
    target: &str,
    users: Option<&OwnedFd>,
) -> Result<(), String> {
    let recursive = parsed.flags.contains(RECURSIVE);
    let Some(users) = users else {
        let flags = MountFlags::BIND | (parsed.flags & RECURSIVE);
        return mount(&wanted.source, target, "", flags, None).map_err(|error| error.to_string());
    };
    let tree = clone_mapped(&wanted.source, recursive, users)?;
    kernel::mount::move_mount_to_path(tree.as_fd(), target).map_err(|error| error.to_string())
}

/// An overlay of many layers has more options than a page holds. All its layers lie
/// below one directory, so it is mounted from there, with short names.
fn mount_filesystem(wanted: &Mount, parsed: &Parsed, target: &str) -> Result<(), String> {
    let data = parsed.data.join(",");
    let shortened = (data.len() > DATA_LIMIT && wanted.type_ == "overlay")
        .then(|| shorten(&parsed.data))
        .flatten();
    let mounted = |data: &str| -> Result<(), String> {
        if data.len() > DATA_LIMIT {
            return Err(format!("the options are longer than {DATA_LIMIT} bytes"));
        }
        let data = std::ffi::CString::new(data).map_err(|error| error.to_string())?;
        mount(&wanted.source, target, &wanted.type_, parsed.flags, &*data)
            .map_err(|error| error.to_string())
    };
    let Some((directory, short)) = shortened else {
        return mounted(&data);
    };
    // Everything else in this program names files by absolute paths.
    let before = std::env::current_dir().map_err(|error| error.to_string())?;
    std::env::set_current_dir(&directory)
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    let result = mounted(&short);
    std::env::set_current_dir(before).map_err(|error| error.to_string())?;
    result
}

/// The directory that all layers have in common, and the options with names from there.
fn shorten(options: &[String]) -> Option<(std::path::PathBuf, String)> {
    let lower = options.iter().find_map(|o| o.strip_prefix("lowerdir="))?;
    let mut layers = lower.split(':');
    let mut common = Path::new(layers.next()?).parent()?.to_owned();
    for layer in layers {
        while !Path::new(layer).starts_with(&common) {
            common = common.parent()?.to_owned();
        }
    }
    if common == Path::new("/") {
        return None;
    }
    let relative = |layer: &str| -> Option<String> {
        let path = Path::new(layer).strip_prefix(&common).ok()?;
        Some(path.to_str()?.to_owned())
    };
    let short: Option<Vec<String>> = lower.split(':').map(relative).collect();
    let short = format!("lowerdir={}", short?.join(":"));
    let options: Vec<&str> = options
        .iter()
        .map(|option| match option.starts_with("lowerdir=") {
            true => short.as_str(),
            false => option.as_str(),
        })
        .collect();
    Some((common, options.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(kind: &str, options: &[&str]) -> Mount {
        Mount {
            type_: kind.to_owned(),
            options: options.iter().map(|&o| o.to_owned()).collect(),
            ..Mount::default()
        }
    }

    #[test]
    fn options_are_flags_propagation_or_data() {
        let parsed = parse(&wanted(
            "overlay",
            &["ro", "nosuid", "rslave", "lowerdir=/a:/b"],
        ));
        assert_eq!(parsed.flags, MountFlags::RDONLY | MountFlags::NOSUID);
        assert_eq!(parsed.data, ["lowerdir=/a:/b"]);
        assert_eq!(
            parsed.propagation,
            recursive(MountPropagationFlags::DOWNSTREAM)
        );
        assert!(!parsed.bind);
        assert!(parse(&wanted("bind", &["rbind", "ro"])).bind);
    }

    #[test]
    fn many_layers_get_short_names() {
        let options = [
            "index=off",
            "lowerdir=/s/3/fs:/s/2/fs:/s/1/fs",
            "upperdir=/s/9/fs",
        ];
        let options: Vec<String> = options.iter().map(|&o| o.to_owned()).collect();
        let (directory, short) = shorten(&options).unwrap_or_default();
        assert_eq!(directory, Path::new("/s"));
        assert_eq!(short, "index=off,lowerdir=3/fs:2/fs:1/fs,upperdir=/s/9/fs");
        assert_eq!(shorten(&["lowerdir=/a/1:/b/2".to_owned()]), None);
    }
}
