//! `exec`: one more process in a container that exists.
//!
//! ```text
//! corten ──clone3(CLONE_INTO_CGROUP)──► joiner: setns(init, all namespaces) … execveat(stub)
//!    ▲                                                                           │
//!    └────────────────── Forked{pid}, Ready ── process ◄──clone(CLONE_PARENT)────┘
//! ```
//!
//! Who could see the joiner, while it still has the code of the host's `corten`, its
//! memory and its descriptors? Every way to a process leads through its number: a
//! procfs, ptrace(2), pidfd_open(2) and kill(2) find only who has one in the pid
//! namespace that asks. Joining a pid namespace changes where *children* are born; the
//! joiner itself stays outside and has no number inside. It has left the host's root
//! behind, so nothing it opens is the host's, and it opens the container's files only
//! by `openat2` below its root. Before the first process is born inside, the joiner
//! has become the sealed stub: a page of code in a memfd, whose descriptors are the
//! conversation, the working directory (the container's own) and what the program
//! will have anyway. So what can be found inside has neither the host's binary
//! (CVE-2019-5736) nor a descriptor of the host (CVE-2016-9962, CVE-2024-21626),
//! whatever capabilities the finder holds.
//!
//! A container that shares the host's pid namespace sees the joiner as it sees every
//! process of the host; it is not dumpable then.
//!
//! The joiner runs in the memory of `corten`, which sleeps until it has become the stub
//! ([`process::run_in_our_memory`]). That opens no new way to either: both are reached
//! through their numbers alone, and by who may trace processes of the host. The memory is
//! not dumpable any more before the first namespace is joined, and stays so.
//!
//! The container can hold the joiner up: by a file system of its own on the way to
//! the program, or by freezing a cgroup that it may write to. `corten` sleeps as long;
//! SIGKILL ends it, and the joiner with it. Other signals are the program's in the
//! foreground and wait for it. No lock is held by then, so the container can be deleted.

use std::convert::Infallible;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use defence::Defence;
use kernel::process::Clone3;
use kernel::{Errno, affinity, fs, identity, pidfd, process, socket};
use libcgroups::Cgroup;
use plan::{ExecPlan, HostFacts, NamespaceKind, Plan};
use tracing::level_filters::LevelFilter;

use crate::create::{Init, kept_descriptors, send_pidfd, write_pid_file};
use crate::error::{Doing, Error, Result};
use crate::foreground;
use crate::init::{self, Inherited};
use crate::parent::{Conversation, Slots, after_ready, until_executed};
use crate::script::{self, StubDescriptors};
use crate::state::State;
use crate::status::{self, Status};
use crate::store::{ContainerDirectory, Store};
use crate::sync::Channel;
use crate::terminal::TerminalSink;

/// What `exec` needs beyond the plan.
#[derive(Debug, Default, Clone)]
pub struct ExecOptions {
    /// `--detach`
    pub detach: bool,
    /// `--pid-file`
    pub pid_file: Option<String>,
    /// `--console-socket`
    pub console_socket: Option<String>,
    /// `--pidfd-socket`
    pub pidfd_socket: Option<String>,
}

/// A container that takes processes; nobody can delete it meanwhile.
pub struct ExecTarget<'a> {
    directory: ContainerDirectory<'a>,
    state: State,
    /// A pidfd of the container's init.
    init: OwnedFd,
    is_paused: bool,
}

impl<'a> ExecTarget<'a> {
    /// Finds a container in a state that takes processes: created or running, and
    /// paused only with `ignore_paused` (the process starts when it is resumed).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::ExecIn`]
    pub fn find(store: &'a Store, id: &str, ignore_paused: bool) -> Result<Self> {
        let directory = store.find(id)?;
        directory.lock_shared()?;
        let Some(loaded) = directory.load()? else {
            return Err(Error::ExecIn("container that is still being created"));
        };
        let (status, init) = status::look(&directory, &loaded)?;
        match status {
            Status::Created | Status::Running => {}
            Status::Paused if ignore_paused => {}
            Status::Paused => {
                let what = "paused container (use --ignore-paused to override)";
                return Err(Error::ExecIn(what));
            }
            Status::Stopped => return Err(Error::ExecIn(STOPPED)),
            Status::Creating => {
                return Err(Error::ExecIn("container that is still being created"));
            }
        }
        Ok(Self {
            directory,
            state: loaded.state,
            init: init.ok_or(Error::ExecIn(STOPPED))?,
            is_paused: status == Status::Paused,
        })
    }

    /// The configuration the container was made from.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn config(&self) -> Result<Vec<u8>> {
        self.directory.read_config()
    }

    /// The machine, as a plan of [`exec`] needs to know it.
    ///
    /// # Errors
    /// As [`crate::host::probe`].
    pub fn host(&self) -> Result<HostFacts> {
        crate::host::probe_beside(&self.state)
    }

    /// Whether it has control groups of its own.
    pub fn has_cgroup(&self) -> bool {
        self.state.has_cgroup()
    }

    /// Whether it has a session keyring of its own.
    pub fn has_keyring(&self) -> bool {
        self.state.has_keyring
    }
}

const STOPPED: &str = "stopped container";

/// Runs a process in a container. In the foreground the result is its exit status
/// for the caller, or 128 + the signal that ended it; detached it is 0 as soon as
/// the program was executed.
///
/// # Errors
/// When it could not be executed; nothing of it is left then.
pub fn exec(target: ExecTarget<'_>, plan: &ExecPlan, options: &ExecOptions) -> Result<i32> {
    let console = options.console_socket.as_deref();
    let mut terminal = TerminalSink::new(plan.process.terminal, console)?;
    let signals = if options.detach {
        None
    } else {
        Some(foreground::collect_signals()?)
    };
    let ExecTarget {
        directory,
        state,
        init,
        is_paused,
    } = target;
    let how = How::new(plan, options, is_paused);
    let cgroups = cgroups_of(&state, plan);
    let (mut process, channel, call_names) =
        clone_joiner(&directory, &state, init, &how, &cgroups)?;
    if !how.in_our_memory {
        // From here on `delete` finds the process in the control group. A paused
        // container may keep it from running, and must be deletable all the same.
        directory.unlock()?;
    }
    let mut conversation = Conversation {
        plan: &plan.process,
        channel: &channel,
        call_names: &call_names,
        cgroup: cgroups.first(),
        terminal: &mut terminal,
        net_devices: None,
        running: Some(state.pid),
        hooks_began: false,
    };
    if let Err(error) = finish(&mut conversation, &mut process, &how) {
        process.end();
        if let Some(path) = &options.pid_file {
            let _ = fs::remove_file(path);
        }
        return Err(error);
    }
    tracing::debug!("the program runs");
    match signals {
        Some(signals) => {
            let attended = foreground::attend(process.pidfd.as_fd(), terminal, &signals, None);
            if attended.is_err() {
                // Without us nobody would see its end, as with `run`.
                process.end();
            }
            Ok(attended?.shell_code())
        }
        None => Ok(0),
    }
}

/// The conversation, up to the moment when the program runs.
fn finish(conversation: &mut Conversation<'_>, process: &mut Init, how: &How<'_>) -> Result<()> {
    let options = how.options;
    let in_words_of_exec = |error| match error {
        Error::InitDied { how, .. } => Error::ExecDied { how },
        error => error,
    };
    tracing::debug!("wait until the process is ready");
    conversation
        .until_ready(process)
        .map_err(in_words_of_exec)?;
    if let Some(path) = &options.pid_file {
        write_pid_file(path, process.pid)?;
    }
    if let Some(path) = &options.pidfd_socket {
        send_pidfd(path, b"setns", process.pidfd.as_fd())?;
    }
    let executed = if how.awaits_go {
        after_ready(conversation)
    } else {
        until_executed(conversation)
    };
    executed.map_err(in_words_of_exec)
}

/// What is decided before the joiner is made.
struct How<'a> {
    plan: &'a ExecPlan,
    options: &'a ExecOptions,
    /// We have something to do between its last preparation and its program.
    awaits_go: bool,
    /// The joiner runs in our memory while we sleep, which spares 40 page faults and the
    /// copy of the page tables. Not where
    /// - the container is paused: we would sleep for long;
    /// - it joins no namespace: then nothing keeps it out of a container that is deleted
    ///   between our unlocking and its birth;
    /// - it joins a time namespace: setns(2) refuses who shares memory (`EUSERS`);
    /// - it joins a user namespace, or we are not root: a change of identity decides about
    ///   dumpability (`fs.suid_dumpable`), which is ours then, too;
    /// - its steps are logged or timed: locks and notes of the log are in that memory, and
    ///   one that is killed would leave them taken. For the same reason nothing that init
    ///   does is a warning: what it has to say is its error.
    in_our_memory: bool,
}

impl<'a> How<'a> {
    fn new(plan: &'a ExecPlan, options: &'a ExecOptions, is_paused: bool) -> Self {
        let late =
            |step: &plan::Step<plan::ParentOp>| matches!(step.op.phase(), plan::ParentPhase::Ready);
        let own = |kind: &NamespaceKind| matches!(kind, NamespaceKind::User | NamespaceKind::Time);
        let lets_share = |step: &plan::Step<plan::InitOp>| match &step.op {
            plan::InitOp::EnterContainer { namespaces, .. } => {
                !namespaces.is_empty() && !namespaces.iter().any(own)
            }
            _ => false,
        };
        Self {
            plan,
            options,
            // A terminal gets its size, or is handed on.
            awaits_go: plan.process.terminal
                || options.pid_file.is_some()
                || options.pidfd_socket.is_some()
                || plan.process.parent.iter().any(late),
            in_our_memory: !is_paused
                && LevelFilter::current() <= LevelFilter::WARN
                && identity::effective_uid() == 0
                && plan.process.init.iter().any(lets_share)
                && !Defence::SealedStub.is_off(),
        }
    }
}

/// Opens what the joiner inherits, seals the stub, clones.
fn clone_joiner(
    directory: &ContainerDirectory<'_>,
    state: &State,
    container_init: OwnedFd,
    how: &How<'_>,
    cgroups: &[Cgroup],
) -> Result<(Init, Channel, Vec<&'static str>)> {
    let plan = &how.plan.process;
    tracing::debug!("open what the joiner inherits");
    let slots = open_slots(state, container_init, plan)?;
    let (ours, theirs) = socket::seqpacket_pair().doing(|| "conversation".to_owned())?;
    let descriptors = StubDescriptors::new(theirs, None, kept_descriptors(plan))?;
    let stub = script::seal(plan, &descriptors, how.awaits_go)?;
    let mut tasks = Vec::new();
    for cgroup in cgroups {
        tasks.append(&mut cgroup.tasks_files()?);
        // Opened while nobody can put another one in its place.
        cgroup.directory_to_join()?;
    }
    let mut joiner = Joiner {
        plan,
        slots,
        tasks,
        descriptors,
        stub: stub.image,
        ours,
        in_our_memory: how.in_our_memory,
        awaits_move: false,
    };
    tracing::debug!("clone the joiner");
    if how.in_our_memory {
        // A container that keeps the joiner from running, and us, must be deletable all
        // the same. Who deletes it now ends its init first, without which there are no
        // namespaces to join, and waits for its cgroup to be empty.
        directory.unlock()?;
    }
    let process = joiner.clone_into(state, how.plan, cgroups)?;
    let Joiner {
        ours, awaits_move, ..
    } = joiner;
    let channel = Channel::new(ours);
    if awaits_move {
        let moved = move_into_scope(state, process.pid).and_then(|()| {
            let went = channel.go();
            went.doing(|| "answer to the joiner".to_owned())
        });
        if let Err(error) = moved {
            process.end();
            return Err(error);
        }
    }
    Ok((process, channel, stub.call_names))
}

/// What a user may not do from a login session, whose cgroup has only root's in common
/// with the container's, the user's systemd may.
fn move_into_scope(state: &State, pid: i32) -> Result<()> {
    match &state.cgroup.scope {
        Some(scope) => {
            let mut systemd = libcgroups::systemd::Manager::connect(scope.user)?;
            Ok(systemd.attach(&scope.unit, pid)?)
        }
        None => Ok(()),
    }
}

/// The container's init, and its root where the plan wants it.
fn open_slots(state: &State, init: OwnedFd, plan: &Plan) -> Result<Slots> {
    let stopped = || Error::ExecIn(STOPPED);
    let gone = |error: &kernel::Error| matches!(error.errno(), Errno::SRCH | Errno::NOENT);
    let mut slots = Slots::default();
    let enters = |slot| {
        plan.init.iter().any(|step| match step.op {
            plan::InitOp::EnterContainer { root, .. } => root == Some(slot),
            _ => false,
        })
    };
    if enters(ExecPlan::ROOT) {
        let root = match fs::open_path(&format!("/proc/{}/root", state.pid)) {
            Err(error) if gone(&error) => return Err(stopped()),
            opened => opened.doing(|| "root of the container".to_owned())?,
        };
        slots.put(ExecPlan::ROOT, root);
    }
    // Asked last: the number is given to nobody else before init has ended.
    if pidfd::has_ended(init.as_fd()).doing(|| format!("process {}", state.pid))? {
        return Err(stopped());
    }
    slots.put(ExecPlan::INIT, init);
    Ok(slots)
}

/// The control groups to be in: one handle for each directory, because `--cgroup`
/// may name another path for each v1 controller.
fn cgroups_of(state: &State, plan: &ExecPlan) -> Vec<Cgroup> {
    if !state.has_cgroup() {
        return Vec::new();
    }
    let open = |directory: &plan::cgroup::CgroupDirectory| {
        let concerns = |group: &&plan::SubCgroup| {
            let wanted = &group.controllers;
            wanted.is_empty() || wanted.iter().any(|one| directory.controllers.contains(one))
        };
        let below = plan.cgroups.iter().rev().find(concerns);
        let below = below.map_or("", |group| group.path.as_str());
        let path = format!("{}{below}", state.cgroup.path);
        Cgroup::open(std::slice::from_ref(directory), &path)
    };
    state.cgroup.directories.iter().map(open).collect()
}

/// The process that is to be cloned, and what it inherits.
struct Joiner<'a> {
    plan: &'a Plan,
    slots: Slots,
    tasks: Vec<OwnedFd>,
    descriptors: StubDescriptors,
    stub: OwnedFd,
    /// Our end of the conversation.
    ours: OwnedFd,
    in_our_memory: bool,
    /// It was born outside of its control group and has to be moved.
    awaits_move: bool,
}

impl Joiner<'_> {
    /// Clones it into the v2 control group, if there is one. The CPUs of
    /// `execCPUAffinity.initial` are those it starts on.
    fn clone_into(&mut self, state: &State, exec: &ExecPlan, cgroups: &[Cgroup]) -> Result<Init> {
        let affinity = |error| kernel::Result::<()>::Err(error).doing(|| INITIAL.to_owned());
        let before = match &exec.initial_cpus {
            Some(cpus) => {
                let before = affinity::mask().doing(|| INITIAL.to_owned())?;
                affinity::set(cpus).or_else(affinity)?;
                Some(before)
            }
            None => None,
        };
        let mut cloned = self.clone_with(cgroups)?;
        if let Err(error) = &cloned
            && error.errno() == Errno::BUSY
            && exec.cgroups.is_empty()
            && let Some(inner) = cgroup_of_init(state)
        {
            cloned = self.clone_with(&[inner])?;
        }
        let is_refused = matches!(&cloned, Err(error) if error.errno() == Errno::ACCESS);
        if is_refused && exec.cgroups.is_empty() && state.cgroup.scope.is_some() {
            // It waits for us.
            (self.awaits_move, self.in_our_memory) = (true, false);
            cloned = self.clone_with(&[])?;
        }
        if matches!(&cloned, Err(error) if error.errno() == Errno::NODEV) {
            // The cgroup was removed meanwhile.
            return Err(Error::ExecIn(STOPPED));
        }
        let process = cloned.doing(|| "clone a process into the container's cgroup".to_owned())?;
        if let Some(before) = before {
            affinity::set_mask(&before).or_else(affinity)?;
        }
        Ok(process)
    }

    fn clone_with(&self, cgroups: &[Cgroup]) -> Result<kernel::Result<Init>> {
        let mut into_cgroup = None;
        for cgroup in cgroups {
            into_cgroup = into_cgroup.or(cgroup.directory_to_join()?);
        }
        let clone = Clone3 {
            into_cgroup,
            ..Clone3::default()
        };
        let cloned = if self.in_our_memory {
            process::run_in_our_memory(&clone, &|| self.run())
        } else {
            process::run_in_child(&clone, || match self.run() {})
        };
        Ok(cloned.map(|(pid, pidfd)| Init { pid, pidfd }))
    }

    /// In the new process. What is dropped here is closed in its own table; the memory
    /// is the parent's, who drops what is borrowed here.
    fn run(&self) -> Infallible {
        let theirs = self.descriptors.socket.as_fd();
        let inherited = process::duplicate_to(theirs, self.ours.as_raw_fd(), true)
            // Our parent's end is gone: its death is the end of the conversation.
            .and_then(|()| self.slots.in_child());
        let tasks = self
            .tasks
            .iter()
            .map(|fd| process::take_raw(fd.as_raw_fd()));
        match (inherited, tasks.collect()) {
            (Ok(slots), Ok(tasks)) => init::run(Inherited {
                plan: self.plan,
                slots,
                tasks,
                descriptors: &self.descriptors,
                stub: &self.stub,
                awaits_move: self.awaits_move,
            }),
            _ => process::exit_now(1),
        }
    }
}

const INITIAL: &str = "process.execCPUAffinity.initial";

/// Where on v2 init has moved itself to. An init like systemd enables controllers
/// for groups below the container's, and then nobody may be in the upper one.
fn cgroup_of_init(state: &State) -> Option<Cgroup> {
    let text = fs::read_file(&format!("/proc/{}/cgroup", state.pid), 1 << 16).ok()?;
    let text = String::from_utf8_lossy(&text);
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let below = path.strip_prefix(state.cgroup.path.as_str())?;
    let v2 = state.cgroup.directories.iter().find(|one| one.v2)?;
    below
        .starts_with('/')
        .then(|| Cgroup::open(std::slice::from_ref(v2), path))
}
