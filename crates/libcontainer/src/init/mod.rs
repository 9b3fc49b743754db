//! The operations inside, `Plan::init`: the child of the one clone, still with the
//! code of `corten`, until it becomes the sealed stub.
//!
//! | file | operations |
//! |---|---|
//! | `enter.rs` | cgroups, namespaces, keyring, network |
//! | `root.rs`, `overlay.rs` | the root: attached, with a layer above it, changed, made read-only |
//! | `mounts.rs`, `filesystem.rs`, `cgroup_mounts.rs`, `attributes.rs` | `mounts` |
//! | `devices.rs` | nodes and links below /dev |
//! | `inside.rs` | console, names, sysctls, working directory |
//! | `protect.rs` | read-only and masked paths |
//! | `visit.rs` | `mounts add` and `mounts remove` in a container that exists |
//! | `undefended.rs` | what others did before it was attacked: tests only |
//! | `program.rs` | which program, which HOME, and the hand-off |
//!
//! Nothing returns from here into the code that forked: [`run`] ends in an exec or
//! in an exit. A refused step is told to the parent and undone by it: it kills us,
//! and the kernel takes the namespaces and everything mounted in them along.

mod attributes;
mod cgroup_mounts;
mod closest;
mod devices;
mod enter;
mod filesystem;
mod inside;
mod mounts;
mod overlay;
mod program;
mod protect;
mod root;
mod undefended;
mod visit;

use std::os::fd::OwnedFd;

use kernel::beneath::{Directory, Root};
use kernel::procfs::Procfs;
use kernel::{Errno, prctl, process, signal};
use plan::{ConfigPath, InitOp, NamespaceKind, Plan, Propagation};

use crate::error::reason_of;
use crate::parent::Slots;
use crate::script::StubDescriptors;
pub(crate) use visit::change_mounts;

use crate::sync::{Channel, HookReport, InitFailure, InitMessage};

/// Everything init gets from its parent, by being its copy.
pub(crate) struct Inherited<'a> {
    pub plan: &'a Plan,
    pub slots: Slots,
    /// v1: the `tasks` file of each hierarchy.
    pub tasks: Vec<OwnedFd>,
    pub descriptors: &'a StubDescriptors,
    pub stub: &'a OwnedFd,
    /// The parent has it moved into its cgroup and says when that is done.
    pub awaits_move: bool,
}

/// Why a step could not be done.
pub(crate) enum StepError {
    /// The kernel refused; the property may be a finer one than the step's.
    Refused(kernel::Error, Option<ConfigPath>),
    /// A `createContainer` hook did not succeed.
    Hook { how: String, output: String },
}

impl From<kernel::Error> for StepError {
    fn from(error: kernel::Error) -> Self {
        Self::Refused(error, None)
    }
}

/// Result of one step.
pub(crate) type StepResult = Result<(), StepError>;

/// A refusal of our own, in the words of the kernel's.
pub(crate) fn refuse(errno: Errno, why: impl Into<String>) -> kernel::Error {
    kernel::Error::new(errno, "check").with_detail(why)
}

/// What the steps hand on to each other.
pub(crate) struct Build<'a> {
    plan: &'a Plan,
    /// The property that asked for the step being done.
    from: ConfigPath,
    slots: Slots,
    tasks: Vec<OwnedFd>,
    descriptors: &'a StubDescriptors,
    channel: &'a Channel,
    /// Where the root will be attached; looked up before anything changes who we are.
    root_target: Option<OwnedFd>,
    root: Option<Root>,
    /// Where the last node or link was made, until another step is done.
    directory: Option<Directory>,
    /// What trees from the host become when their mount names no propagation.
    default_propagation: Option<Propagation>,
    /// Identity of what is at /proc of the root: (device, inode, mount).
    proc_identity: Option<(u64, u64, u64)>,
    /// Unmasked, for sysctls only.
    full_procfs: Option<Procfs>,
    /// Everything masked is one of these two, once the first is in place.
    empty_directory: Option<OwnedFd>,
    null: Option<OwnedFd>,
    program: Option<program::Found>,
    /// Mounts that were placed, in order, where they may have to go again.
    placed: Option<Vec<OwnedFd>>,
    /// `mounts`: the caller's /proc.
    host_procfs: Option<Procfs>,
    /// A parent that is killed takes us along.
    ends_with_parent: bool,
}

impl<'a> Build<'a> {
    fn new(
        plan: &'a Plan,
        slots: Slots,
        tasks: Vec<OwnedFd>,
        descriptors: &'a StubDescriptors,
        channel: &'a Channel,
    ) -> Self {
        Self {
            plan,
            from: ConfigPath::new(""),
            slots,
            tasks,
            descriptors,
            channel,
            root_target: None,
            root: None,
            directory: None,
            default_propagation: None,
            proc_identity: None,
            full_procfs: None,
            empty_directory: None,
            null: None,
            program: None,
            placed: None,
            host_procfs: None,
            ends_with_parent: true,
        }
    }
}

/// Builds the container around this process and becomes its program's stub.
pub(crate) fn run(inherited: Inherited<'_>) -> ! {
    tracing::debug!(track = "init", "is born");
    let Inherited {
        plan,
        slots,
        tasks,
        descriptors,
        stub,
        awaits_move,
    } = inherited;
    let channel = match descriptors.socket.try_clone() {
        Ok(socket) => Channel::new(socket),
        Err(_) => process::exit_now(1),
    };
    if awaits_move && channel.await_go().is_err() {
        process::exit_now(1);
    }
    let mut build = Build::new(plan, slots, tasks, descriptors, &channel);
    let failed = match build.prepare() {
        Ok(()) => build.carry_out(),
        Err(error) => Some((0, error.into())),
    };
    let (step, error) = match failed {
        Some(failed) => failed,
        None => {
            tracing::debug!("become the sealed stub");
            let last = plan.init.len().saturating_sub(1);
            (last, build.hand_off(stub).into())
        }
    };
    // If the parent has gone there is nobody to tell.
    let _ = channel.say(&message_of(step, error));
    process::exit_now(1)
}

fn message_of(step: usize, error: StepError) -> InitMessage {
    match error {
        StepError::Refused(error, path) => InitMessage::Failed(InitFailure {
            step,
            path,
            errno: error.errno().raw_os_error(),
            call: fit(error.call(), 600),
            detail: error.detail().map(|detail| fit(detail, 1000)),
        }),
        StepError::Hook { how, output } => InitMessage::HookFailed(HookReport {
            step,
            how: fit(&how, 200),
            output: fit(&output, 1000),
        }),
    }
}

/// At most `limit` characters, none of them a control character: a message is one
/// packet, and becomes one line.
fn fit(text: &str, limit: usize) -> String {
    text.chars()
        .take(limit)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

impl Build<'_> {
    /// Before the first step.
    fn prepare(&mut self) -> kernel::Result<()> {
        prctl::set_parent_death_signal(Some(signal::KILL))?;
        if self.channel.has_message()? {
            // Nobody speaks before he is asked: the parent died before it could take us
            // along, and its end of the conversation is closed.
            process::exit_now(1);
        }
        // The caller's blocked and ignored signals are none of the container's.
        signal::reset_all()?;
        // So is its umask: what is made for the container has the modes it is made with.
        process::set_umask(0o022);
        // Out of the caller's session: its terminal is none of the container's either.
        if !self.plan.namespaces.fork_into_pid_namespace {
            // The one that goes on in there starts its own.
            process::start_session()?;
        }
        let early = &self.plan.namespaces.before_clone;
        if early.iter().any(|(kind, _)| *kind == NamespaceKind::User) {
            crate::parent::become_root()?;
        }
        if kernel::identity::effective_uid() == 0 {
            // Whatever shares our namespaces from now on may neither trace us nor
            // open our descriptors (CVE-2016-9962). An unprivileged parent must
            // still write our id maps; then it comes after them.
            prctl::set_dumpable(false)?;
        }
        let attaches =
            |op: &InitOp| matches!(op, InitOp::AttachRoot { .. } | InitOp::OverlayRoot { .. });
        if self.plan.namespaces.clone.contains(&NamespaceKind::Mount)
            && self.plan.init.iter().any(|step| attaches(&step.op))
        {
            // As long as we are who the caller was, the path leads there; as uid 0 of
            // a user namespace we may not be allowed to search it. A caller that is
            // itself root of one (rootless podman) may need its capabilities for the
            // path, which are gone now: then uid 0 of the new one tries.
            self.root_target = match kernel::fs::open_path(&self.plan.rootfs) {
                Err(error) if error.errno() == Errno::ACCESS => None,
                found => Some(found?),
            };
        }
        Ok(())
    }

    /// All steps, in order; the first that fails.
    fn carry_out(&mut self) -> Option<(usize, StepError)> {
        let plan = self.plan;
        for (index, step) in plan.init.iter().enumerate() {
            crate::describe::trace(step);
            self.from = step.from.clone();
            if let Err(error) = self.step(&step.op) {
                return Some((index, error));
            }
        }
        None
    }

    fn step(&mut self, op: &InitOp) -> StepResult {
        if !matches!(op, InitOp::MakeDevice(_) | InitOp::MakeLink { .. }) {
            self.directory = None;
        }
        match op {
            InitOp::JoinCgroups
            | InitOp::AwaitScope
            | InitOp::AwaitIdMap { .. }
            | InitOp::JoinNamespace { .. }
            | InitOp::EnterContainer { .. }
            | InitOp::SetCpuAffinity { .. }
            | InitOp::UnshareCgroup
            | InitOp::EnterDelegatedCgroup { .. }
            | InitOp::NewSessionKeyring { .. }
            | InitOp::SetKeyLabel(_)
            | InitOp::AwaitNetDevices
            | InitOp::BringUpLoopback => Ok(self.enter(op)?),
            InitOp::SetRootPropagation(_) => {
                crate::parent::open_left(self.plan, &mut self.slots)
                    .map_err(|(path, error)| StepError::Refused(error, Some(path)))?;
                Ok(self.change_root(op)?)
            }
            InitOp::AttachRoot { .. }
            | InitOp::OverlayRoot { .. }
            | InitOp::OpenRootInPlace
            | InitOp::ChangeRoot(_)
            | InitOp::SetPropagation(_)
            | InitOp::MakeRootReadOnly
            | InitOp::MakeReadOnly { .. } => Ok(self.change_root(op)?),
            InitOp::Mount(mount) => self.mount(mount),
            InitOp::Unmount { target, protected } => self.unmount(target, protected),
            InitOp::MakeDevice(node) => Ok(self.make_device(node)?),
            InitOp::MakeLink {
                path,
                target,
                replace,
            } => Ok(self.make_link(path, target, *replace)?),
            InitOp::AwaitHooks => Ok(self.await_hooks()?),
            InitOp::RunHook(hook) => self.run_hook(hook),
            InitOp::OpenConsole { .. }
            | InitOp::SetHostname(_)
            | InitOp::SetDomainname(_)
            | InitOp::WriteSysctl { .. }
            | InitOp::MakeWorkingDirectory { .. }
            | InitOp::OpenWorkingDirectory { .. } => Ok(self.arrange(op)?),
            InitOp::ProtectPath { path } => Ok(self.protect(path)?),
            InitOp::MaskPath { path, label } => Ok(self.mask(path, label.as_deref())?),
            InitOp::SetUmask(mask) => {
                process::set_umask(*mask);
                Ok(())
            }
            InitOp::FindProgram => Ok(self.find_program()?),
        }
    }

    /// A refusal of one field of the step's property, `mounts[2].type`.
    fn about(&self, field: &str, error: kernel::Error) -> StepError {
        StepError::Refused(error, Some(self.from.field(field)))
    }

    /// The container's root, once there is one.
    fn root(&self) -> kernel::Result<&Root> {
        self.root
            .as_ref()
            .ok_or_else(|| refuse(Errno::BADF, "the root is not open yet"))
    }

    /// The parent runs its hooks while everything is mounted and the host's root
    /// still there.
    fn await_hooks(&self) -> kernel::Result<()> {
        self.channel.say(&InitMessage::ReadyForHooks)?;
        self.channel.await_go()
    }

    fn run_hook(&self, hook: &plan::Hook) -> StepResult {
        use kernel::process::ExitStatus;
        use kernel::spawn::{Command, run_command};
        let stdin =
            crate::state::HookSubject::from(self.plan).json("creating", Some(process::pid()));
        let file = |output: Option<&plan::HookOutput>| match output {
            Some(plan::HookOutput::Slot(slot)) => self.slots.get(*slot).map(Some),
            _ => Ok(None),
        };
        let command = Command {
            path: hook.path.clone(),
            args: hook.args.clone(),
            env: Some(hook.env.clone().unwrap_or_default()),
            stdin,
            timeout: hook
                .timeout_seconds
                .map(|seconds| std::time::Duration::from_secs(seconds.into())),
            // The caller's may be anywhere, and the bundle out of a mapped user's reach.
            cwd: Some("/".to_owned()),
            stdout: file(hook.stdout.as_ref())?,
            stderr: file(hook.stderr.as_ref())?,
            descriptors: &[],
        };
        match run_command(&command) {
            Ok(finished) if finished.status == ExitStatus::Code(0) && !finished.timed_out => Ok(()),
            Ok(finished) => Err(StepError::Hook {
                how: crate::parent::describe_end(&finished, hook.timeout_seconds),
                output: crate::parent::last_words(&finished.output),
            }),
            Err(error) => Err(StepError::Hook {
                how: format!("could not be executed: {}", reason_of(&error)),
                output: String::new(),
            }),
        }
    }
}
