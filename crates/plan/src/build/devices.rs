//! `linux.devices`, the default devices and the links below `/dev`.

use super::Context;
use super::mounts::{bind_covers_dev, is_target};
use super::rootfs::{clean, has_own_mounts, is_below};
use crate::error::quote;
use crate::{
    ConfigPath, DeviceKind, DeviceNode, InitOp, NamespaceKind, NodeKind, ParentOp, PlanError,
    Problem,
};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};

/// Path, major, minor of the character devices every container has
/// (config-linux.md, "Default Devices").
const DEFAULT_DEVICES: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Path and target of the links every container has (runtime-linux.md).
const LINKS: &[(&str, &str)] = &[
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// The pty multiplexer: a link to that of the container's own devpts.
const PTMX: &str = "/dev/ptmx";

/// Largest numbers that mknod(2) takes: `dev_t` of the kernel is 12 and 20 bits.
const MAJOR_MAX: u32 = (1 << 12) - 1;
const MINOR_MAX: u32 = (1 << 20) - 1;

/// `CAP_MKNOD`
const CAP_MKNOD: u32 = 27;

/// A device of the container, wherever its node will come from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Device {
    path: String,
    /// `None`: a FIFO.
    number: Option<(DeviceKind, u32, u32)>,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// Adds the steps of this chapter.
pub(crate) fn build(context: &mut Context<'_>) {
    // A bound /dev belongs to whoever bound it: nothing is made in the host's.
    let dev_is_bound = bind_covers_dev(context.spec);
    let devices = configured(context);
    let names: Vec<String> = devices.iter().map(|(_, d)| d.path.clone()).collect();
    if !dev_is_bound {
        add_defaults(context, &names);
    }
    for (from, device) in devices {
        if dev_is_bound && is_below(&device.path, "/dev") {
            let text = "not made, because mounts puts a bind mount on /dev";
            context.warn(from, text);
        } else {
            make(context, from, device);
        }
    }
    if !dev_is_bound {
        add_links(context, &names);
    }
}

/// What stands in the place of a property.
fn defaults() -> ConfigPath {
    ConfigPath::new("linux.devices").default_of()
}

/// Whether the configuration itself puts nothing at this path: a mount there is a
/// wish too (`/dev/urandom` on `/dev/random`).
fn is_free(context: &Context<'_>, names: &[String], path: &str) -> bool {
    !is_target(context.spec, path) && !names.iter().any(|name| name == path)
}

/// `/dev/null` and its kind.
fn add_defaults(context: &mut Context<'_>, names: &[String]) {
    if !may_make_nodes(context) && !has_own_mounts(context) {
        let text = "none is made: that needs CAP_MKNOD in the first user namespace, \
                    or a mount namespace of the container's own";
        context.warn(defaults(), text);
        return;
    }
    for &(path, major, minor) in DEFAULT_DEVICES {
        if is_free(context, names, path) {
            let device = Device {
                path: path.to_owned(),
                number: Some((DeviceKind::Char, major, minor)),
                mode: 0o666,
                uid: 0,
                gid: 0,
            };
            make(context, defaults(), device);
        }
    }
}

/// `/dev/fd` and its kind.
fn add_links(context: &mut Context<'_>, names: &[String]) {
    for &(path, target) in LINKS {
        if is_free(context, names, path) {
            add_link(context, path, target, false);
        }
    }
    if is_free(context, names, PTMX) {
        // An image may ship a node here, which would open the host's ptys.
        add_link(context, PTMX, "pts/ptmx", true);
    }
}

fn add_link(context: &mut Context<'_>, path: &str, target: &str, replace: bool) {
    let op = InitOp::MakeLink {
        path: path.to_owned(),
        target: target.to_owned(),
        replace,
    };
    context.init(defaults(), op);
}

/// The usable entries of `linux.devices`, each path once.
fn configured(context: &mut Context<'_>) -> Vec<(ConfigPath, Device)> {
    let list = context.linux().and_then(|linux| linux.devices().as_ref());
    let at = ConfigPath::new("linux.devices");
    let mut found: Vec<(ConfigPath, Device)> = Vec::new();
    for (index, entry) in list.into_iter().flatten().enumerate() {
        let from = at.index(index);
        let Some(device) = decode(context, entry, &from) else {
            continue;
        };
        // Engines that list all devices of the host list this one too; the link
        // of the container's own devpts takes its place.
        if device.path == PTMX && device.number == Some((DeviceKind::Char, 5, 2)) {
            continue;
        }
        match found.iter().find(|(_, known)| known.path == device.path) {
            None => found.push((from, device)),
            Some((first, known)) if *known == device => {
                let text = format!("the same device as {first}, made once");
                context.warn(from.field("path"), text);
            }
            Some((first, _)) => {
                let problem = Problem::Duplicate {
                    what: "device path",
                    found: device.path,
                    first: first.field("path"),
                };
                context.problem(PlanError::new(from.field("path"), problem));
            }
        }
    }
    found
}

/// One entry; `None` after a problem was told.
fn decode(context: &mut Context<'_>, entry: &LinuxDevice, at: &ConfigPath) -> Option<Device> {
    let path = check_path(&entry.path().to_string_lossy(), at.field("path"));
    let number = check_number(entry, at, &mut context.problems);
    let mode = check_mode(entry.file_mode(), at.field("fileMode"));
    let path = path.map_err(|problem| context.problem(problem)).ok();
    let mode = mode.map_err(|problem| context.problem(problem)).ok();
    Some(Device {
        path: path?,
        number: number?,
        mode: mode?,
        uid: entry.uid().unwrap_or(0),
        gid: entry.gid().unwrap_or(0),
    })
}

/// `path`, clean.
fn check_path(path: &str, from: ConfigPath) -> Result<String, PlanError> {
    let wanted = "the absolute path of a device node inside the container";
    if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
        return Err(PlanError::invalid(from, wanted, quote(path)));
    }
    let clean = clean(path);
    if clean == "/" {
        return Err(PlanError::invalid(from, wanted, quote(path)));
    }
    if clean == "/proc" || is_below(&clean, "/proc") {
        let sentence = format!(
            "{} is in /proc, where no device node can be made",
            quote(&clean)
        );
        return Err(PlanError::conflict(from, sentence));
    }
    Ok(clean)
}

/// `type`, `major` and `minor`; `Some(None)` is a FIFO.
#[allow(
    clippy::option_option,
    reason = "the outer one is whether the entry is usable"
)]
fn check_number(
    entry: &LinuxDevice,
    at: &ConfigPath,
    problems: &mut Vec<PlanError>,
) -> Option<Option<(DeviceKind, u32, u32)>> {
    let kind = match entry.typ() {
        LinuxDeviceType::P => return Some(None),
        LinuxDeviceType::B => DeviceKind::Block,
        LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Char,
        LinuxDeviceType::A => {
            let problem = Problem::Unknown {
                what: "device type",
                found: entry.typ().as_str().to_owned(),
                one_of: "c, b, u, p".to_owned(),
            };
            problems.push(PlanError::new(at.field("type"), problem));
            return None;
        }
    };
    let mut check = |name: &str, value: i64, max: u32| {
        let number = u32::try_from(value).ok().filter(|number| *number <= max);
        if number.is_none() {
            let wanted = format!("a device number from 0 to {max}");
            let problem = PlanError::invalid(at.field(name), wanted, value.to_string());
            problems.push(match value {
                -1 => problem.hint("-1 is a wildcard only in linux.resources.devices"),
                _ => problem,
            });
        }
        number
    };
    let major = check("major", entry.major(), MAJOR_MAX);
    let minor = check("minor", entry.minor(), MINOR_MAX);
    Some(Some((kind, major?, minor?)))
}

/// `fileMode`: permission bits. Engines pass `st_mode` of the host's node, with
/// the type in it, which `type` says already.
fn check_mode(mode: Option<u32>, from: ConfigPath) -> Result<u32, PlanError> {
    match mode {
        None => Ok(0o666),
        Some(mode) if mode <= 0o177_777 => Ok(mode & 0o7777),
        Some(mode) => {
            let wanted = "permission bits as a decimal number (438 is 0666)";
            Err(PlanError::invalid(from, wanted, mode.to_string()))
        }
    }
}

/// mknod(2) makes character and block devices only in the first user namespace.
fn may_make_nodes(context: &Context<'_>) -> bool {
    !context.has(NamespaceKind::User)
        && !context.host.in_user_namespace
        && context.host.effective_capabilities & (1 << CAP_MKNOD) != 0
}

/// The step, or steps, for one device.
fn make(context: &mut Context<'_>, from: ConfigPath, device: Device) {
    let node = match device.number {
        None => NodeKind::Fifo,
        Some((device, major, minor)) if may_make_nodes(context) => NodeKind::Device {
            device,
            major,
            minor,
        },
        Some(_) if !has_own_mounts(context) => {
            let sentence = format!(
                "{} can be neither made (no CAP_MKNOD in the first user namespace) \
                 nor bound from the host (no mount namespace of the container's own)",
                quote(&device.path)
            );
            context.problem(PlanError::conflict(from, sentence));
            return;
        }
        Some((kind, major, minor)) => {
            let slot = context.slot();
            let open = ParentOp::OpenHostDevice {
                slot,
                path: device.path.clone(),
                kind,
                major,
                minor,
            };
            context.parent(from.clone(), open);
            NodeKind::Bind {
                slot,
                device: kind,
                major,
                minor,
            }
        }
    };
    let node = DeviceNode {
        path: device.path,
        node,
        mode: device.mode,
        uid: device.uid,
        gid: device.gid,
    };
    context.init(from, InitOp::MakeDevice(node));
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
