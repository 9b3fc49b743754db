//! `create`, the story of this crate (docs/architecture.md tells it with file names).
//!
//! ```text
//! claim the id ─► cgroup, limits ─► open what init inherits ─► seal the stub
//!   ─► clone3 ─┬─► child:  init::run ─► … ─► execveat(stub)
//!              └─► parent: state, configuration, devices ─► the conversation ─► limits
//!                    ─► state is complete
//! ```
//!
//! Init builds for a millisecond: what only its program must not miss is done meanwhile.
//!
//! With systemd the second and the fourth change places: it makes a cgroup around a
//! process, so init is cloned first and waits (`libcgroups::systemd`).
//!
//! Whatever fails, everything made so far is undone and one error is returned.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use defence::Defence;
use kernel::process::Forked;
use kernel::{namespace, pidfd, process, signal, socket};
use plan::cgroup::CgroupManager;
use plan::{InitOp, LastOp, MountSource, NamespaceKind, ParentOp, Plan};

use crate::error::{Doing, Error, Result};
use crate::init::{self, Inherited};
use crate::notify::Relay;
use crate::parent::{self, Conversation};
use crate::resctrl;
use crate::script::{self, StubDescriptors};
use crate::state::{HookSubject, State};
use crate::store::{ContainerDirectory, Store};
use crate::sync::Channel;
use crate::terminal::TerminalSink;

/// What `create` and `run` need beyond the plan.
#[derive(Debug, Default, Clone)]
pub struct CreateOptions {
    /// `config.json` as it was read; kept as the container's own copy.
    pub config: Vec<u8>,
    /// `--pid-file`
    pub pid_file: Option<String>,
    /// `--console-socket`
    pub console_socket: Option<String>,
    /// `--pidfd-socket`
    pub pidfd_socket: Option<String>,
    /// `NOTIFY_SOCKET`
    pub notify_socket: Option<String>,
}

/// Container init, while it is a child of ours.
pub(crate) struct Init {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

impl Init {
    /// Kills and reaps it; that it may be gone already is no error.
    pub fn end(&self) {
        let _ = pidfd::send_signal(self.pidfd.as_fd(), signal::KILL);
        let _ = pidfd::wait(self.pidfd.as_fd());
    }
}

/// A container whose init waits: for `start`, or for `run`'s word.
pub(crate) struct Built<'a> {
    pub directory: ContainerDirectory<'a>,
    pub init: Init,
    pub terminal: TerminalSink,
    pub state: State,
    pub cgroup: Option<libcgroups::Cgroup>,
    /// Who hears that the program is ready, if it runs already.
    pub notify: Option<Relay>,
}

/// Creates a container; returns when its init waits for `start`.
///
/// # Errors
/// Everything made so far is undone.
pub fn create(store: &Store, plan: &Plan, options: &CreateOptions) -> Result<()> {
    let terminal = TerminalSink::new(plan.terminal, options.console_socket.as_deref())?;
    let built = build(store, plan, options, terminal, &|conversation| {
        conversation.go()
    })?;
    drop(built);
    Ok(())
}

/// What was made and must be unmade if the rest fails.
pub(crate) struct Undo<'a> {
    directory: &'a ContainerDirectory<'a>,
    plan: &'a Plan,
    pub cgroup: Option<libcgroups::Cgroup>,
    /// Directories of resctrl.
    resctrl: Vec<String>,
    pub init: Option<Init>,
    pub hooks_began: bool,
    net_devices: Option<parent::NetDevices>,
    pid_file: Option<&'a str>,
    notify: Option<Relay>,
}

impl<'a> Undo<'a> {
    /// Nothing is made yet.
    pub fn new(directory: &'a ContainerDirectory<'a>, plan: &'a Plan) -> Self {
        Self {
            directory,
            plan,
            cgroup: None,
            resctrl: Vec::new(),
            init: None,
            hooks_began: false,
            net_devices: None,
            pid_file: None,
            notify: None,
        }
    }
}

impl Undo<'_> {
    /// Unmakes it, last made first. Problems met here are not told: the error that
    /// brought us here is.
    pub fn run(self) {
        if let Some(devices) = self.net_devices {
            // Virtual ones would go with the network namespace of a process that is gone.
            devices.bring_back();
        }
        if let Some(init) = &self.init {
            init.end();
        }
        if let Some(cgroup) = &self.cgroup {
            let _ = cgroup.kill_all();
            stop_scope(self.plan);
            let _ = cgroup.remove();
        }
        resctrl::remove(&self.resctrl);
        if let Some(path) = self.pid_file {
            let _ = kernel::fs::remove_file(path);
        }
        let _ = self.directory.remove();
        if self.hooks_began {
            // runtime.md, lifecycle: after a failed hook the container is destroyed,
            // and poststop hooks run; their failure is only worth a warning.
            let stdin = HookSubject::from(self.plan).json("stopped", None);
            let hooks = self.plan.poststop.iter().map(|step| (&step.from, &step.op));
            let _ = parent::run_hooks(hooks, &stdin, Some(&self.plan.bundle));
        }
    }
}

/// The one that was made here.
fn stop_scope(plan: &Plan) {
    if let Some(scope) = &plan.cgroup.scope
        && let Ok(mut systemd) = libcgroups::systemd::Manager::connect(scope.user)
    {
        let _ = systemd.stop(&scope.unit);
        systemd.forget(&scope.unit);
    }
}

/// Builds a container up to the gate, then lets `finish` do what must succeed for
/// the container to stay.
pub(crate) fn build<'a>(
    store: &'a Store,
    plan: &Plan,
    options: &CreateOptions,
    terminal: TerminalSink,
    finish: &dyn Fn(&Conversation<'_>) -> Result<()>,
) -> Result<Built<'a>> {
    let directory = store.claim(&plan.id)?;
    let mut undo = Undo::new(&directory, plan);
    let mut terminal = terminal;
    match build_parts(plan, options, &mut undo, &mut terminal, finish) {
        Ok(state) => {
            let (cgroup, init) = (undo.cgroup.take(), undo.init.take());
            let notify = undo.notify.take();
            match init {
                Some(init) => Ok(Built {
                    directory,
                    init,
                    terminal,
                    state,
                    cgroup,
                    notify,
                }),
                None => Err(Error::NotRunning),
            }
        }
        Err(error) => {
            undo.run();
            Err(error)
        }
    }
}

fn build_parts<'a>(
    plan: &'a Plan,
    options: &'a CreateOptions,
    undo: &mut Undo<'a>,
    terminal: &mut TerminalSink,
    finish: &dyn Fn(&Conversation<'_>) -> Result<()>,
) -> Result<State> {
    tracing::debug!("save the claim");
    let mut state = State::new(plan)?;
    if let Some(manager) = &options.notify_socket {
        undo.directory.make_notify()?;
        if !has_gate(plan) {
            undo.notify = Relay::open(undo.directory, manager)?;
        }
    }
    claim_cgroup(plan, undo, &mut state)?;
    let later = may_wait(plan);
    if !later {
        finish_preparing(plan, options, undo)?;
    }
    make_resctrl(plan, undo)?;
    state.resctrl.clone_from(&undo.resctrl);
    let (init, channel, call_names) = start_init(plan, undo)?;
    save_state(&mut state, undo.directory, undo.init.insert(init))?;
    if later {
        finish_preparing(plan, options, undo)?;
    }
    if let Some(scope) = &plan.cgroup.scope {
        let delegated = make_scope(plan, scope, undo, &mut state)?;
        channel
            .go_with(delegated)
            .doing(|| "answer to init".to_owned())?;
    }
    let init = undo.init.as_mut().ok_or(Error::NotRunning)?;
    let mut conversation = Conversation {
        plan,
        channel: &channel,
        call_names: &call_names,
        cgroup: undo.cgroup.as_ref(),
        terminal,
        hooks_began: false,
        net_devices: None,
        running: None,
    };
    tracing::debug!("wait until init is ready");
    let done = conversation.until_ready(init);
    tracing::debug!("init is ready");
    undo.hooks_began = conversation.hooks_began;
    undo.net_devices = conversation.net_devices.take();
    done?;
    if init.pid != state.pid {
        // The process that goes on was born in a joined pid namespace.
        save_state(&mut state, undo.directory, init)?;
    }
    if let Some(path) = &options.pid_file {
        write_pid_file(path, state.pid)?;
        undo.pid_file = Some(path);
    }
    if let Some(path) = &options.pidfd_socket {
        send_pidfd(path, PIDFD_OF_INIT, init.pidfd.as_fd())?;
    }
    undo.directory.complete()?;
    finish(&conversation)?;
    Ok(state)
}

/// Opens what init inherits, seals the stub, clones. The child never returns.
fn start_init(plan: &Plan, undo: &Undo<'_>) -> Result<(Init, Channel, Vec<&'static str>)> {
    tracing::debug!("open what init inherits");
    let mut slots = parent::open_slots(plan)?;
    let gate = has_gate(plan)
        .then(|| undo.directory.make_gate())
        .transpose()?;
    let (ours, theirs) = socket::seqpacket_pair().doing(|| "conversation".to_owned())?;
    let kept = kept_descriptors(plan);
    let mut descriptors = StubDescriptors::new(theirs, gate, kept)?;
    descriptors.add_hook_outputs(plan, &slots, kept)?;
    let stub = script::seal(plan, &descriptors, true)?;
    tracing::debug!("clone init");
    let cgroup = undo.cgroup.as_ref();
    let tasks = match cgroup {
        Some(cgroup) => cgroup.tasks_files()?,
        None => Vec::new(),
    };
    if let Some((cgroup, delegated)) = cgroup.zip(plan.cgroup.delegated.as_ref()) {
        let procs = cgroup.make_delegated(&delegated.path, delegated.uid)?;
        slots.put(delegated.procs, procs);
    }
    let into = cgroup.and_then(libcgroups::Cgroup::directory_for_clone);
    let forked =
        parent::clone_init(plan, &slots, into).doing(|| "clone container init".to_owned())?;
    match forked {
        Forked::Child => {
            drop(ours);
            init::run(Inherited {
                plan,
                slots,
                tasks,
                descriptors: &descriptors,
                stub: &stub.image,
                awaits_move: false,
            })
        }
        Forked::Parent { pid, pidfd } => {
            if plan.namespaces.parent_unshares_time {
                return_to_own_time()?;
            }
            Ok((Init { pid, pidfd }, Channel::new(ours), stub.call_names))
        }
    }
}

/// Whether init will wait for `start`.
fn has_gate(plan: &Plan) -> bool {
    plan.last.iter().any(|step| step.op == LastOp::AwaitStart)
}

/// Hooks are children too, and live in the host's time.
fn return_to_own_time() -> Result<()> {
    namespace::open_own("time")
        .and_then(|own| namespace::set_namespace(own.as_fd(), namespace::NEW_TIME))
        .doing(|| "time namespace".to_owned())
}

/// Makes the cgroup and puts its limits in force before anything runs in it; returns
/// its inode number.
pub(crate) fn make_cgroup(plan: &Plan, undo: &mut Undo<'_>) -> Result<Option<u64>> {
    tracing::debug!("make the control group");
    let cgroup = libcgroups::create(&plan.cgroup)?;
    limit(plan, undo.cgroup.insert(cgroup))
}

/// Makes the cgroup, unless systemd will, under a claim to it.
fn claim_cgroup(plan: &Plan, undo: &mut Undo<'_>, state: &mut State) -> Result<()> {
    if plan.cgroup.manager != CgroupManager::Disabled {
        undo.directory.save_claim(state)?;
    }
    if plan.cgroup.manager == CgroupManager::Cgroupfs {
        state.cgroup.inode = make_cgroup(plan, undo)?;
        undo.directory.confirm_claim()?;
    }
    Ok(())
}

/// Whether there can be done while init builds what only programs must not miss: hooks
/// of ours, the container's, and whoever reads the state. The conversation with init
/// begins after it, and without its last word no program runs, whatever fails. Not
/// - where init runs hooks of its own, before any word of ours;
/// - where init mounts a device: that it may is asked of the program as well, and must not
///   depend on who is faster;
/// - where strangers share the pid namespace: one who got hold of init would be in a
///   cgroup that allows all devices;
/// - before there is any file that says whose the state directory is, and with systemd,
///   which makes the cgroup later.
fn may_wait(plan: &Plan) -> bool {
    let asks = |step: &plan::Step<InitOp>| match &step.op {
        InitOp::RunHook(_) => true,
        InitOp::Mount(mount) => match &mount.source {
            MountSource::Filesystem { fstype, .. } => !WITHOUT_DEVICE.contains(&fstype.as_str()),
            _ => false,
        },
        _ => false,
    };
    plan.cgroup.manager == CgroupManager::Cgroupfs
        && plan.namespaces.clone.contains(&NamespaceKind::Pid)
        && !plan.init.iter().any(asks)
}

/// File systems that open no device.
const WITHOUT_DEVICE: [&str; 9] = [
    "proc", "sysfs", "tmpfs", "ramfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay",
];

/// See [`may_wait`].
fn finish_preparing(plan: &Plan, options: &CreateOptions, undo: &Undo<'_>) -> Result<()> {
    tracing::debug!("save the configuration");
    undo.directory.save_config(&options.config)?;
    attach_devices(plan, undo)
}

/// On v2 a program decides about devices, and to have the kernel check and compile it
/// takes as long as making the cgroup. Whether init is born before or after makes no
/// difference to it: every container's program lets it make all nodes and open null and
/// terminals, and `plan` puts these rules after those of the configuration.
pub(crate) fn attach_devices(plan: &Plan, undo: &Undo<'_>) -> Result<()> {
    if let Some((cgroup, program)) = undo
        .cgroup
        .as_ref()
        .zip(plan.cgroup.device_program.as_ref())
    {
        tracing::debug!("attach the device program");
        cgroup.attach_devices(program)?;
    }
    Ok(())
}

/// Has systemd make a scope around init, which waits (`libcgroups::systemd` draws it).
/// Returns `cgroup.procs` of the cgroup that is delegated below.
pub(crate) fn make_scope(
    plan: &Plan,
    scope: &plan::cgroup::Scope,
    undo: &mut Undo<'_>,
    state: &mut State,
) -> Result<Option<OwnedFd>> {
    tracing::debug!("make the scope");
    libcgroups::systemd::Manager::connect(scope.user)?.start(scope, state.pid)?;
    // From here on it goes when init goes.
    let cgroup = libcgroups::systemd::adopt(&plan.cgroup, state.pid)?;
    state.cgroup.inode = limit(plan, undo.cgroup.insert(cgroup))?;
    attach_devices(plan, undo)?;
    undo.directory.save_creating(state)?;
    undo.directory.confirm_claim()?;
    let made = undo.cgroup.as_ref().zip(plan.cgroup.delegated.as_ref());
    let made = made.map(|(cgroup, wanted)| cgroup.make_delegated(&wanted.path, wanted.uid));
    Ok(made.transpose()?)
}

fn limit(plan: &Plan, cgroup: &libcgroups::Cgroup) -> Result<Option<u64>> {
    cgroup.apply(&plan.cgroup.settings)?;
    if let Some(uid) = plan.cgroup.owner {
        cgroup.give_to(uid)?;
    }
    Ok(cgroup.inode()?)
}

/// The class of service that init will be put into.
fn make_resctrl(plan: &Plan, undo: &mut Undo<'_>) -> Result<()> {
    for step in &plan.parent {
        if let ParentOp::MakeResctrlGroup(group) = &step.op {
            let made = resctrl::make(group).map_err(|error| parent::failed(step, &error))?;
            undo.resctrl.extend(made);
        }
    }
    Ok(())
}

/// Writes what a later `delete --force` needs should we be killed from here on.
pub(crate) fn save_state(
    state: &mut State,
    directory: &ContainerDirectory<'_>,
    init: &Init,
) -> Result<()> {
    tracing::debug!("save the state");
    let doing = || format!("state of process {}", init.pid);
    let stat = kernel::procfs::read_process_stat(init.pid).doing(doing)?;
    state.pid = init.pid;
    state.start_time = stat.start_time;
    state.pidfd_inode = pidfd::inode(init.pidfd.as_fd()).doing(doing)?;
    directory.save_creating(state)
}

/// How many descriptors from 3 on the container's program keeps.
pub(crate) fn kept_descriptors(plan: &Plan) -> u32 {
    plan.last
        .iter()
        .find_map(|step| match step.op {
            LastOp::CloseDescriptors { first } => Some(first.saturating_sub(3)),
            _ => None,
        })
        .unwrap_or_default()
}

/// Decimal, no newline (engines parse the whole file as a number), complete or absent.
pub(crate) fn write_pid_file(path: &str, pid: i32) -> Result<()> {
    kernel::fs::replace_file(path, 0o644, pid.to_string().as_bytes())
        .doing(|| format!("--pid-file {path}"))
}

/// What `--pidfd-socket` asks for.
pub(crate) fn send_pidfd(path: &str, word: &[u8], pidfd: BorrowedFd<'_>) -> Result<()> {
    hand_over_pidfd(path, word, pidfd).doing(|| format!("--pidfd-socket {path}"))
}

/// The word that comes with init's pidfd; that of `exec` has another.
pub(crate) const PIDFD_OF_INIT: &[u8] = b"standard";

/// One message to whoever listens: a word and the pidfd. Connected only now, so that
/// the process never inherits the socket.
pub(crate) fn hand_over_pidfd(
    path: &str,
    word: &[u8],
    pidfd: BorrowedFd<'_>,
) -> kernel::Result<()> {
    let socket = socket::connect_stream(path)?;
    socket::send_with_fd(socket.as_fd(), word, pidfd)
}

/// Keeps what the caller leaked to us out of the container: everything that is not
/// promised to it is closed by the next exec.
pub fn seal_descriptors(preserve: u32) -> Result<()> {
    if Defence::Descriptors.is_off() {
        return Ok(());
    }
    process::close_on_exec_from(3 + preserve).doing(|| "inherited descriptors".to_owned())
}
