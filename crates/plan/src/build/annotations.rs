//! Annotations that change what is done: those of crun that engines and people write,
//! and that mean something without a virtual machine.

use super::Context;
use super::labels::CONTEXT_TYPE;
use crate::error::quote;
use crate::{
    AttrFlags, Attributes, CgroupMode, ClassicFlags, ConfigPath, FsParameter, HookOutput, InitOp,
    MountOp, MountSource, ParentOp, PlanError,
};

/// The caller's supplementary groups stay: podman's `--group-add keep-groups`.
const KEEP_GROUPS: &str = "run.oci.keep_original_groups";
/// A socket that is sent a pidfd of init.
const PIDFD_RECEIVER: &str = "run.oci.pidfd_receiver";
/// The agent of SCMP_ACT_NOTIFY, where the profile names none.
const SECCOMP_RECEIVER: &str = "run.oci.seccomp.receiver";
/// A cgroup below the scope of systemd, for the container's program.
pub(super) const SUBGROUP: &str = "run.oci.systemd.subgroup";
/// Where systemd of an old image finds the v1 hierarchy it wants, on a host of v2.
const NAMED_HIERARCHY: &str = "run.oci.systemd.force_cgroup_v1";
/// A cgroup below the container's, for its program and user.
pub(super) const DELEGATE_CGROUP: &str = "run.oci.delegate-cgroup";
/// A file of the host to whose end every hook writes.
pub(super) const HOOKS_STDOUT: &str = "run.oci.hooks.stdout";
/// The same for standard error.
pub(super) const HOOKS_STDERR: &str = "run.oci.hooks.stderr";
/// A compiled filter that replaces `linux.seccomp`.
pub(super) const SECCOMP_PROGRAM: &str = "run.oci.seccomp_bpf_data";
/// A system call that this program does not know is an error, not a warning.
const KNOWN_SYSCALLS: &str = "run.oci.seccomp_fail_unknown_syscall";
/// Lines for `/proc/self/timens_offsets`, from before the spec had `linux.timeOffsets`.
pub(super) const TIME_OFFSETS: &str = "run.oci.timens_offset";

/// All of them, sorted: what `features` calls potentially unsafe, because a container's
/// image may not choose them.
pub(crate) const ACTED_ON: [&str; 12] = [
    DELEGATE_CGROUP,
    HOOKS_STDERR,
    HOOKS_STDOUT,
    KEEP_GROUPS,
    CONTEXT_TYPE,
    PIDFD_RECEIVER,
    SECCOMP_RECEIVER,
    SECCOMP_PROGRAM,
    KNOWN_SYSCALLS,
    NAMED_HIERARCHY,
    SUBGROUP,
    TIME_OFFSETS,
];

/// Those whose value is a path, and of what.
const PATHS: [(&str, &str); 5] = [
    (HOOKS_STDERR, "file"),
    (HOOKS_STDOUT, "file"),
    (NAMED_HIERARCHY, "directory in the container"),
    (PIDFD_RECEIVER, "socket"),
    (SECCOMP_RECEIVER, "socket"),
];

/// Checks them, and adds the steps of those that are steps.
pub(crate) fn build(context: &mut Context<'_>) {
    for name in [KEEP_GROUPS, KNOWN_SYSCALLS] {
        if let Some(text) = value(context, name)
            && read_switch(text).is_none()
        {
            let problem = PlanError::invalid(at(name), "0 or 1", quote(text));
            context.problem(problem);
        }
    }
    for (name, what) in PATHS {
        if let Some(path) = value(context, name)
            && (!path.starts_with('/') || path.contains('\0'))
        {
            let wanted = format!("the absolute path of a {what}");
            context.problem(PlanError::invalid(at(name), wanted, quote(path)));
        }
    }
    if let Some(path) = value(context, PIDFD_RECEIVER) {
        let path = path.to_owned();
        context.parent(at(PIDFD_RECEIVER), ParentOp::SendPidfd { path });
    }
}

/// systemd before 226 does not start without its hierarchy of v1. Only where v2 is all
/// there is must it be mounted for it, after all other mounts.
pub(crate) fn mount_named_hierarchy(context: &mut Context<'_>) {
    let Some(path) = value(context, NAMED_HIERARCHY) else {
        return;
    };
    let target = super::rootfs::clean(path);
    let from = at(NAMED_HIERARCHY);
    if context.host.cgroup.mode != CgroupMode::V2 {
        context.warn(
            from,
            "not needed and left out: the host has cgroup v1 hierarchies",
        );
        return;
    }
    let parameter = |key: &str, value: Option<&str>| FsParameter {
        key: key.to_owned(),
        value: value.map(str::to_owned),
        from: from.clone(),
    };
    let source = MountSource::Filesystem {
        fstype: "cgroup".to_owned(),
        source: Some("cgroup".to_owned()),
        parameters: vec![
            parameter("none", None),
            parameter("name", Some("systemd")),
            parameter("xattr", None),
        ],
        classic: ClassicFlags::empty(),
    };
    let mount = MountOp {
        target,
        target_no_follow: false,
        source,
        attributes: Attributes {
            set: AttrFlags::NO_SUID | AttrFlags::NO_DEV | AttrFlags::NO_EXEC,
            ..Attributes::default()
        },
        recursive_attributes: Attributes::default(),
        propagation: Vec::new(),
        copy_up: false,
        read_only_later: false,
        label: None,
        id_map: None,
    };
    context.init(from, InitOp::Mount(mount));
}

/// Whether the groups of the caller stay.
pub(crate) fn keeps_groups(context: &Context<'_>) -> bool {
    value(context, KEEP_GROUPS).and_then(read_switch) == Some(true)
}

/// Whether every system call of a seccomp profile must be known.
pub(super) fn wants_known_syscalls(context: &Context<'_>) -> bool {
    value(context, KNOWN_SYSCALLS).and_then(read_switch) == Some(true)
}

/// The agent of a seccomp profile that names none.
pub(super) fn seccomp_receiver<'a>(context: &Context<'a>) -> Option<&'a str> {
    let request = context.request.seccomp_receiver.as_deref();
    value(context, SECCOMP_RECEIVER).or(request)
}

/// Where hooks write their standard output and standard error.
pub(super) fn hook_outputs(context: &Context<'_>) -> [Option<HookOutput>; 2] {
    [HOOKS_STDOUT, HOOKS_STDERR]
        .map(|name| value(context, name).map(|path| HookOutput::File(path.to_owned())))
}

/// The cgroup below its scope that the container's program starts in.
pub(super) fn subgroup<'a>(context: &Context<'a>) -> Option<&'a str> {
    value(context, SUBGROUP).filter(|name| !name.is_empty())
}

/// The cgroup below the container's that its program starts in.
pub(super) fn delegated_cgroup<'a>(context: &Context<'a>) -> Option<&'a str> {
    value(context, DELEGATE_CGROUP)
}

/// The compiled filter.
pub(super) fn seccomp_program<'a>(context: &Context<'a>) -> Option<&'a str> {
    value(context, SECCOMP_PROGRAM)
}

/// How far the clocks of a new time namespace are shifted, in the kernel's words.
pub(super) fn time_offsets<'a>(context: &Context<'a>) -> Option<&'a str> {
    value(context, TIME_OFFSETS)
}

fn value<'a>(context: &Context<'a>, name: &str) -> Option<&'a str> {
    let all = context.spec.annotations().as_ref()?;
    all.get(name).map(String::as_str)
}

fn read_switch(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" | "" => Some(false),
        _ => None,
    }
}

pub(super) fn at(name: &str) -> ConfigPath {
    ConfigPath::new("annotations").key(name)
}

#[cfg(test)]
#[path = "annotations_tests.rs"]
mod tests;
