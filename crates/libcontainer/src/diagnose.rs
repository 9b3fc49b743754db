//! Looks around after a failure: costs nothing on the happy path.

pub(crate) mod program;

use std::os::fd::AsFd;

use kernel::process::ExitStatus;
use kernel::{Errno, pidfd};
use plan::{ConfigPath, InitOp, LastOp, Lsm, MountSource, ParentOp};

use crate::create::Init;
use crate::error::{Error, Failure};
use crate::parent::describe_status;

const RAISED_LIMIT: &str = "raising a hard limit needs CAP_SYS_RESOURCE; lower it to the caller's";

const RT_IO: &str = "IOPRIO_CLASS_RT needs CAP_SYS_NICE on the host";

fn scheduler_hint(errno: Errno) -> Option<String> {
    let hint = match errno {
        Errno::PERM => {
            "needs CAP_SYS_NICE on the host; on cgroup v1 real time also needs linux.resources.cpu.realtimeRuntime"
        }
        Errno::BUSY => "the CPUs have no such time left",
        Errno::OPNOTSUPP => "this kernel has no utilization clamps",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What to do about a refused parent step.
pub(crate) fn parent_hint(op: &ParentOp, error: &kernel::Error) -> Option<String> {
    let hint = match (op, error.errno()) {
        (ParentOp::SetRlimit(_), Errno::PERM) => RAISED_LIMIT,
        (ParentOp::MakeResctrlGroup(group), Errno::NOENT) if group.must_exist => {
            "a closID without a schema names a class that is there already"
        }
        (ParentOp::MakeResctrlGroup(_), Errno::NOSPC) => {
            "the processor has no class of service left"
        }
        (ParentOp::SetScheduler(_), errno) => return scheduler_hint(errno),
        (ParentOp::SetIoPriority { .. }, Errno::PERM) => RT_IO,
        (ParentOp::SetOomScore(_), Errno::ACCESS) => "lowering the score needs CAP_SYS_RESOURCE",
        (ParentOp::WriteIdMap { .. }, Errno::PERM) => {
            "the caller may map only its own id, and the ids that /etc/subuid and /etc/subgid grant"
        }
        (ParentOp::OpenRoot { .. }, Errno::NOENT | Errno::NOTDIR) => {
            "root.path must name a directory with the container's root file system; a relative path counts from the bundle"
        }
        (ParentOp::OpenRoot { .. } | ParentOp::OpenMountSource { .. }, Errno::NOSPC) => {
            "sysctl fs.mount-max limits the number of mounts"
        }
        (ParentOp::OpenRoot { .. }, Errno::LOOP) => {
            "root.path must name the directory itself, not a symlink to it"
        }
        (ParentOp::MoveNetDevice { .. }, Errno::NODEV) => {
            "the device must be in the runtime's network namespace"
        }
        (ParentOp::MoveNetDevice { .. }, Errno::EXIST) => "the container has a device of this name",
        (ParentOp::MoveNetDevice { .. }, Errno::INVAL) => {
            "a device like lo, or one bound to others, cannot leave its network namespace"
        }
        (ParentOp::MapMount { .. }, Errno::INVAL) => {
            "this file system, or one mounted below it, has no idmapped mounts"
        }
        (ParentOp::MapMount { .. }, Errno::PERM) => {
            "needs CAP_SYS_ADMIN where the file system was mounted; a mapping cannot be mapped again"
        }
        (ParentOp::OpenLayer { .. }, Errno::ROFS | Errno::ACCESS) => {
            "--overlay-dir must be writable; --overlay keeps the layer in memory"
        }
        (ParentOp::OpenMountSource { .. }, Errno::PERM) => {
            "what is on the host can be added to a running container only by root of the host"
        }
        (ParentOp::OpenMountSource { .. }, Errno::NOENT) => "the source of a bind mount must exist",
        (_, Errno::NOSYS) => "the kernel is too old: Linux 5.14 is needed",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What to do about a refused step of init.
pub(crate) fn init_hint(op: &InitOp, error: &kernel::Error) -> Option<String> {
    let hint = match (op, error.errno()) {
        (InitOp::Mount(mount), Errno::INVAL)
            if mount.id_map.is_some() && error.call().starts_with("mount_setattr(") =>
        {
            "this file system, or one mounted below it, has no idmapped mounts"
        }
        (InitOp::Mount(mount), errno) => return mount_hint(&mount.source, errno),
        (InitOp::OverlayRoot { layer: Some(_), .. }, Errno::INVAL) => {
            "not every file system can hold a layer, an overlay or NFS cannot; --overlay keeps it in memory"
        }
        (InitOp::OverlayRoot { .. }, Errno::PERM) => {
            "in a user namespace overlayfs needs Linux 5.11"
        }
        (InitOp::WriteSysctl { .. }, Errno::NOENT) => "this kernel has no such sysctl",
        (InitOp::WriteSysctl { .. }, Errno::INVAL) => "the kernel does not take this value",
        (InitOp::ChangeRoot(_), Errno::INVAL) => {
            "pivot_root needs a root that is not on a ramfs; --no-pivot does without"
        }
        (
            InitOp::MakeWorkingDirectory { .. } | InitOp::OpenWorkingDirectory { .. },
            Errno::NOTDIR,
        ) => "process.cwd must name a directory; one that is missing is made",
        (InitOp::OpenConsole { .. }, Errno::NOENT) => {
            "process.terminal needs a devpts mounted on /dev/pts"
        }
        (
            InitOp::MakeWorkingDirectory { .. } | InitOp::OpenWorkingDirectory { .. },
            Errno::LOOP,
        ) => "process.cwd must not lead through /proc/*/fd",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn mount_hint(source: &MountSource, errno: Errno) -> Option<String> {
    let hint = match (source, errno) {
        (MountSource::Filesystem { fstype, .. }, Errno::NODEV) => {
            return Some(format!("this kernel has no file system {fstype:?}"));
        }
        (MountSource::Filesystem { fstype, .. }, Errno::PERM) if fstype == "sysfs" => {
            "sysfs needs a network namespace that belongs to the container's user namespace; bind /sys instead"
        }
        (MountSource::Filesystem { fstype, .. }, Errno::PERM) if fstype == "proc" => {
            "procfs needs a pid namespace that belongs to the container's user namespace"
        }
        // cgroup1_root_to_use(): EPERM outside the first cgroup namespace.
        (MountSource::Filesystem { fstype, .. }, Errno::PERM) if fstype == "cgroup" => {
            "a v1 hierarchy cannot be made in a cgroup namespace: mount it on the host first"
        }
        (_, Errno::NOSPC) => "sysctl fs.mount-max limits the number of mounts",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What to do about a refused call of the stub.
pub(crate) fn last_hint(op: &LastOp, error: &kernel::Error) -> Option<String> {
    let hint = match (op, error.errno()) {
        (LastOp::SetRlimit(_), Errno::PERM) => RAISED_LIMIT,
        (LastOp::SetScheduler(_), errno) => return scheduler_hint(errno),
        (LastOp::SetIoPriority { .. }, Errno::PERM) => RT_IO,
        (LastOp::SetMemoryPolicy(_), Errno::NOSYS) => "this kernel knows no NUMA nodes",
        (LastOp::SetMemoryPolicy(_), Errno::INVAL) => {
            "a node that is not there, has no memory or is outside the cpuset, or a mode newer than this kernel"
        }
        (LastOp::SetExecLabel { module, .. }, errno) => return label_hint(*module, errno, error),
        (LastOp::SetIdentity { .. }, Errno::INVAL) => {
            "the id is not mapped in the container's user namespace"
        }
        (LastOp::SetIdentity { .. }, Errno::PERM) => {
            "the runtime may not take this id; in a user namespace setgroups may be denied"
        }
        (LastOp::SetCapabilities(_), Errno::PERM) => {
            "the runtime itself does not have one of these capabilities"
        }
        (LastOp::LoadSeccomp { .. }, Errno::INVAL) => {
            "this kernel does not know a flag or an action of the profile"
        }
        (LastOp::CheckProgram, Errno::ACCESS) => {
            "the user of the container may not execute it: see its mode, those of the directories above it, and whether the file system is mounted noexec"
        }
        (LastOp::Execute, Errno::NOEXEC) => {
            "not a program for this machine, or a script without #!"
        }
        (LastOp::Execute, Errno::NOENT) => {
            "the program's interpreter (its #! line or dynamic loader) is not in the root"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn label_hint(module: Lsm, errno: Errno, error: &kernel::Error) -> Option<String> {
    let hint = match (module, errno) {
        (_, Errno::PERM) if error.call() == "fsmount(proc)" => {
            "in a user namespace a label needs a procfs among the mounts"
        }
        (Lsm::AppArmor, Errno::NOENT) => {
            "no such profile is loaded in the kernel: apparmor_parser loads one"
        }
        (Lsm::AppArmor, Errno::ACCESS | Errno::PERM) => {
            "the profile the runtime runs under does not allow this change"
        }
        (Lsm::SELinux, Errno::INVAL) => "the loaded policy has no such context",
        (Lsm::SELinux, Errno::ACCESS) => "the loaded policy does not allow the runtime setexec",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Whether a process ended because its container was out of memory.
pub(crate) fn was_killed_for_memory(
    status: ExitStatus,
    cgroup: Option<&libcgroups::Cgroup>,
) -> bool {
    matches!(status, ExitStatus::Signal(9))
        && cgroup.and_then(libcgroups::Cgroup::oom_kills).unwrap_or(0) > 0
}

/// Init ended without a word: the pidfd and the cgroup say why.
pub(crate) fn init_died(init: &Init, cgroup: Option<&libcgroups::Cgroup>) -> Error {
    // Its end is certain: it closed its side of the conversation.
    let status = pidfd::wait(init.pidfd.as_fd()).unwrap_or(ExitStatus::Signal(9));
    if was_killed_for_memory(status, cgroup) {
        return Error::Step(Box::new(Failure {
            path: ConfigPath::new("linux.resources.memory.limit"),
            doing: "build the container within it".to_owned(),
            reason: "the kernel killed container init: out of memory".to_owned(),
            hint: Some("the limit is too low for the container's init".to_owned()),
            call: String::new(),
        }));
    }
    Error::InitDied {
        how: describe_status(status),
        hint: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use kernel::Errno;
    use plan::{MountSource, ParentOp, Slot};

    use super::{mount_hint, parent_hint};

    /// "No space left on device" is what nobody understands.
    #[test]
    fn too_many_mounts_are_told_as_that() {
        let source = MountSource::Tree { slot: Slot(0) };
        let hint = mount_hint(&source, Errno::NOSPC);
        assert!(hint.is_some_and(|hint| hint.contains("fs.mount-max")));
        let open = ParentOp::OpenRoot {
            slot: Slot(0),
            path: "/r".to_owned(),
        };
        let hint = parent_hint(&open, &kernel::Error::new(Errno::NOSPC, "open_tree"));
        assert!(hint.is_some_and(|hint| hint.contains("fs.mount-max")));
    }
}
