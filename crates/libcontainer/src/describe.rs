//! What was wanted, in the words of an error line.
//!
//! The path of the property stands before these words and the system's reason
//! after them: `mounts[2]: mount devpts on /dev/pts: invalid argument`. Where the
//! path alone says it, there are none.

use plan::{
    InitOp, LastOp, MountOp, MountSource, NamespaceKind, NodeKind, ParentOp, Rlimit, RootChange,
    Scheduler, Step,
};

/// Says what an operation wants.
pub(crate) trait Describe {
    /// Verb first; may be empty.
    fn describe(&self) -> String;
}

impl Describe for ParentOp {
    fn describe(&self) -> String {
        match self {
            Self::OpenNamespace { path, .. }
            | Self::OpenRoot { path, .. }
            | Self::OpenLayer { path, .. }
            | Self::OpenMountSource { path, .. }
            | Self::OpenHookOutput { path, .. }
            | Self::OpenHostDevice { path, .. } => format!("open {path}"),
            Self::OpenProcfs { .. } => "make a procfs of the joined pid namespace".to_owned(),
            Self::MakeUserNamespace { .. } => "make a user namespace for an id map".to_owned(),
            Self::MapMount { .. } => "map the owners of its files".to_owned(),
            Self::WriteIdMap { groups: true, .. } => "write the group id map".to_owned(),
            Self::WriteIdMap { .. } => "write the user id map".to_owned(),
            Self::SetTimeOffset { clock, .. } => format!("shift the {clock} clock"),
            Self::MoveNetDevice { inside, .. } => format!("move in as {inside}"),
            Self::SetOomScore(score) => format!("set {score}"),
            Self::SetRlimit(limit) => describe_limit(limit),
            Self::SendPidfd { path } => format!("send a pidfd to {path}"),
            Self::MakeResctrlGroup(group) => format!("make {}", group.directory),
            Self::JoinResctrlGroups(directories) => format!("join {}", directories.join(", ")),
            Self::SetScheduler(scheduler) => describe_scheduler(scheduler),
            Self::SetIoPriority { class, level } => describe_io_priority(class, *level),
            Self::RunHook(hook) => format!("run {}", hook.path),
        }
    }
}

fn describe_limit(limit: &Rlimit) -> String {
    format!(
        "set {} to soft {}, hard {}",
        limit.name,
        amount(limit.soft),
        amount(limit.hard)
    )
}

fn describe_scheduler(scheduler: &Scheduler) -> String {
    format!("schedule by {}", scheduler.policy)
}

fn describe_io_priority(class: &str, level: u32) -> String {
    format!("set {class}, level {level}")
}

/// The word of a configuration for a kind of namespace.
pub(crate) fn word_of(kind: NamespaceKind) -> String {
    format!("{kind:?}").to_lowercase()
}

/// `u64::MAX` is how "unlimited" is written in a configuration.
fn amount(value: u64) -> String {
    if value == u64::MAX {
        return "unlimited".to_owned();
    }
    value.to_string()
}

impl Describe for InitOp {
    fn describe(&self) -> String {
        match self {
            Self::AwaitScope => "wait for the scope".to_owned(),
            Self::JoinCgroups => "join the container's cgroup".to_owned(),
            Self::AwaitIdMap { .. } => "become root of the new user namespace".to_owned(),
            Self::JoinNamespace { kind, .. } => {
                format!("join the {} namespace", word_of(*kind))
            }
            Self::EnterContainer { .. } => "join the container's namespaces".to_owned(),
            Self::SetCpuAffinity { cpus } => format!("set {cpus:?}"),
            Self::EnterDelegatedCgroup { .. } => "move into the delegated cgroup".to_owned(),
            Self::UnshareCgroup => "make a cgroup namespace".to_owned(),
            Self::NewSessionKeyring { name } => format!("make the session keyring {name}"),
            Self::SetKeyLabel(label) => format!("label keys {label:?}"),
            Self::BringUpLoopback => "bring up the loopback interface".to_owned(),
            Self::AwaitNetDevices => "wait for the network devices".to_owned(),
            Self::SetRootPropagation(_) => "set the propagation of /".to_owned(),
            Self::AttachRoot { .. } => "attach the root".to_owned(),
            Self::OverlayRoot { .. } => "put a writable layer over the root".to_owned(),
            Self::OpenRootInPlace => "open the root".to_owned(),
            Self::Mount(mount) => mount.describe(),
            Self::Unmount { target, .. } => format!("unmount {target}"),
            Self::MakeDevice(node) => match node.node {
                NodeKind::Bind { .. } => format!("bind {}", node.path),
                NodeKind::Device { .. } | NodeKind::Fifo => format!("make {}", node.path),
            },
            Self::MakeLink { path, target, .. } => format!("link {path} to {target}"),
            Self::AwaitHooks => "wait for hooks".to_owned(),
            Self::RunHook(hook) => format!("run {}", hook.path),
            Self::ChangeRoot(RootChange::Pivot) => "pivot_root".to_owned(),
            Self::ChangeRoot(RootChange::Move | RootChange::Chroot) => "chroot".to_owned(),
            Self::SetPropagation(_) => "set the propagation of the root".to_owned(),
            Self::OpenConsole { .. } => "open a terminal in /dev/pts".to_owned(),
            Self::SetHostname(name) | Self::SetDomainname(name) => format!("set {name:?}"),
            Self::WriteSysctl { value, .. } => format!("set {value:?}"),
            Self::MakeWorkingDirectory { path, .. } => format!("make {path}"),
            Self::OpenWorkingDirectory { path } => format!("open {path}"),
            Self::MakeReadOnly { target } => format!("make {target} read-only"),
            Self::ProtectPath { path } => format!("protect {path}"),
            Self::MakeRootReadOnly => "make the root read-only".to_owned(),
            Self::MaskPath { path, .. } => format!("mask {path}"),
            Self::SetUmask(_) => "set the umask".to_owned(),
            // The reason is the peers' sentence, complete (features.md 1.20 of the field).
            Self::FindProgram => String::new(),
        }
    }
}

impl Describe for MountOp {
    fn describe(&self) -> String {
        let target = &self.target;
        match &self.source {
            MountSource::Tree { .. } => format!("bind on {target}"),
            MountSource::Filesystem { fstype, .. } => format!("mount {fstype} on {target}"),
            MountSource::CgroupV2 { .. } | MountSource::CgroupV1 { .. } => {
                format!("mount cgroup on {target}")
            }
            MountSource::Existing { .. } => format!("remount {target}"),
        }
    }
}

/// What `--debug` shows of a step: its property, and what is about to be done.
pub(crate) fn trace<Op: Describe + std::fmt::Debug>(step: &Step<Op>) {
    let Step { from, op } = step;
    let say = || match op.describe() {
        words if words.is_empty() => format!("{op:?}"),
        words => words,
    };
    tracing::debug!("{from}: {}", say());
}

/// The stub's operations; some need the name of the program.
pub(crate) fn describe_last(op: &LastOp, program: &str) -> String {
    match op {
        LastOp::ForkIntoPidNamespace => "fork into the pid namespace".to_owned(),
        LastOp::TellPid => "write LISTEN_PID".to_owned(),
        LastOp::SetRlimit(limit) => describe_limit(limit),
        LastOp::SetScheduler(scheduler) => describe_scheduler(scheduler),
        LastOp::SetIoPriority { class, level } => describe_io_priority(class, *level),
        LastOp::SetMemoryPolicy(policy) => format!("set {}", policy.mode),
        LastOp::SetPersonality { domain } => format!("set the personality {domain:#x}"),
        // podman looks for the path in these quotes.
        LastOp::SetExecLabel { module, label } => {
            let file = module.exec_file();
            format!("write {label:?} to `/proc/self/attr/{file}`")
        }
        LastOp::NoNewPrivileges => "set no_new_privs".to_owned(),
        LastOp::LoadSeccomp { .. } => "load the seccomp filter".to_owned(),
        LastOp::OwnStdio { uid } => format!("give the standard streams to uid {uid}"),
        LastOp::LimitBounding { .. } => "limit the bounding set".to_owned(),
        LastOp::SetIdentity { uid, gid, .. } => format!("become uid {uid}, gid {gid}"),
        LastOp::ChangeDirectory => "enter the working directory".to_owned(),
        LastOp::SetCapabilities(_) => "set the capabilities".to_owned(),
        LastOp::CheckProgram | LastOp::Execute => format!("exec: {program:?}"),
        LastOp::ReportReady => "report to the parent".to_owned(),
        LastOp::AwaitStart => "wait for start".to_owned(),
        LastOp::RunHook(hook) => format!("run {}", hook.path),
        LastOp::CloseDescriptors { .. } => "close descriptors".to_owned(),
    }
}
