//! What init does, in words.

use super::mounts::{say_mount, say_propagation};
use super::outside::{Sources, name, number};
use crate::{ConsoleSize, DeviceNode, Hook, InitOp, NodeKind, RootChange};

/// One operation.
pub(super) fn say(op: &InitOp, sources: &Sources<'_>) -> String {
    match op {
        InitOp::AwaitScope => "wait until systemd has moved it into its scope".to_owned(),
        InitOp::JoinCgroups => "move into the control group of every hierarchy".to_owned(),
        InitOp::AwaitIdMap { .. } => {
            "wait for the id maps, then become root of the user namespace".to_owned()
        }
        InitOp::JoinNamespace { kind, slot } => {
            let path = sources.get(*slot).path;
            format!("join the {} namespace {path}", name(*kind))
        }
        InitOp::EnterContainer { namespaces, .. } => {
            let names: Vec<_> = namespaces.iter().map(|kind| name(*kind)).collect();
            format!("join the container's namespaces: {}", names.join(", "))
        }
        InitOp::SetCpuAffinity { cpus } => format!("stay on the CPUs {cpus:?}"),
        InitOp::EnterDelegatedCgroup { .. } => "move into the delegated control group".to_owned(),
        InitOp::UnshareCgroup => "make a new cgroup namespace, rooted here".to_owned(),
        InitOp::NewSessionKeyring { name } => format!("start the session keyring {name}"),
        InitOp::SetKeyLabel(label) => format!("label the keyring {label}"),
        InitOp::BringUpLoopback => "set the loopback device up".to_owned(),
        InitOp::AwaitNetDevices => "wait for the network devices".to_owned(),
        InitOp::SetRootPropagation(propagation) => {
            let word = say_propagation(*propagation);
            format!("make all mounts {word}: what is mounted here stays here")
        }
        InitOp::AttachRoot { slot } => {
            format!("attach the tree of {}", sources.get(*slot).path)
        }
        InitOp::OverlayRoot { slot, layer, .. } => {
            let layer = match layer {
                Some(layer) => format!("{}/upper, which stays", sources.get(*layer).path),
                None => "memory, gone with the container".to_owned(),
            };
            let root = sources.get(*slot).path;
            format!("make a root of {root}, which stays as it is, and a layer in {layer}")
        }
        InitOp::OpenRootInPlace => "open the root where it is".to_owned(),
        InitOp::Mount(mount) => say_mount(mount, sources),
        InitOp::Unmount { target, .. } => format!("take away what is mounted on {target}"),
        InitOp::MakeDevice(node) => say_device(node),
        InitOp::MakeLink {
            path,
            target,
            replace,
        } => {
            let replace = if *replace {
                ", in place of what is there"
            } else {
                ""
            };
            format!("link {path} to {target}{replace}")
        }
        InitOp::AwaitHooks => "wait for the hooks on the host".to_owned(),
        InitOp::RunHook(hook) => say_hook(hook, "in the container's namespaces"),
        InitOp::ChangeRoot(change) => say_change(*change).to_owned(),
        InitOp::SetPropagation(propagation) => {
            format!("make / {}", say_propagation(*propagation))
        }
        _ => say_rest(op),
    }
}

/// The second half: what happens below the container's own root.
fn say_rest(op: &InitOp) -> String {
    match op {
        InitOp::OpenConsole { size, uid, device } => {
            let owner = match uid {
                0 => String::new(),
                uid => format!(", owned by uid {uid}"),
            };
            let size = size.map_or(String::new(), say_size);
            let console = if *device { "/dev/console and " } else { "" };
            format!("open a terminal{size} as {console}stdio{owner}")
        }
        InitOp::SetHostname(name) => format!("set the host name to {name:?}"),
        InitOp::SetDomainname(name) => format!("set the domain name to {name:?}"),
        InitOp::WriteSysctl { file, value } => format!("write {value:?} to /proc/sys/{file}"),
        InitOp::MakeWorkingDirectory { path, uid, gid } => {
            format!("make {path}, the working directory, for {uid}:{gid} if it is missing")
        }
        InitOp::OpenWorkingDirectory { path } => {
            format!("open {path}, the working directory")
        }
        InitOp::MakeReadOnly { target } => format!("make {target} read-only"),
        InitOp::ProtectPath { path } => {
            format!("make {path} and all below it read-only, if it exists")
        }
        InitOp::MakeRootReadOnly => "make / read-only".to_owned(),
        InitOp::MaskPath { path, .. } => format!("hide {path}, if it exists"),
        InitOp::SetUmask(mask) => format!("set the umask to {mask:04o}"),
        InitOp::FindProgram => "find the program in the container's PATH".to_owned(),
        // Said by the first half.
        _ => String::new(),
    }
}

const fn say_change(change: RootChange) -> &'static str {
    match change {
        RootChange::Pivot => "pivot into the root and detach the host's",
        RootChange::Move => "move the root over the host's and chroot, without pivot_root",
        RootChange::Chroot => "chroot into the root",
    }
}

fn say_size(size: ConsoleSize) -> String {
    format!(" of {} rows and {} columns", size.height, size.width)
}

fn say_device(node: &DeviceNode) -> String {
    let path = &node.path;
    let (mode, uid, gid) = (node.mode, node.uid, node.gid);
    let rights = match (uid, gid) {
        (0, 0) => format!("mode {mode:04o}"),
        _ => format!("mode {mode:04o}, owner {uid}:{gid}"),
    };
    match node.node {
        NodeKind::Fifo => format!("make {path}, a FIFO, {rights}"),
        NodeKind::Device {
            device,
            major,
            minor,
        } => format!("make {path}, {}, {rights}", number(device, major, minor)),
        NodeKind::Bind {
            device,
            major,
            minor,
            ..
        } => format!("bind the host's {path}, {}", number(device, major, minor)),
    }
}

/// A hook, and where it runs.
pub(super) fn say_hook(hook: &Hook, place: &str) -> String {
    let args = hook
        .args
        .iter()
        .skip(1)
        .map(|arg| format!(" {}", word(arg)));
    let timeout = match hook.timeout_seconds {
        Some(seconds) => format!(", for at most {seconds} s"),
        None => String::new(),
    };
    let args: String = args.collect();
    let files = match (&hook.stdout, &hook.stderr) {
        (None, None) => "",
        (Some(_), None) => ", its standard output to the annotated file",
        (None, Some(_)) => ", its standard error to the annotated file",
        (Some(_), Some(_)) => ", its output to the annotated files",
    };
    format!("run {}{args} {place}{timeout}{files}", word(&hook.path))
}

/// A word of a command line, quoted when it would not read as one word.
pub(super) fn word(text: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "/._-+=:,@%".contains(char);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}
