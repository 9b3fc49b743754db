//! What can go wrong below the plan, in one line each.
//!
//! The words are an interface: containerd looks for `does not exist` and
//! `container not running`, podman for `no such file or directory` and
//! `permission denied` (docs/errors.md).

use plan::{ConfigPath, Errors};

use crate::Status;

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A step of the plan that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The property it came from.
    pub path: ConfigPath,
    /// What was wanted, "mount tmpfs on /dev".
    pub doing: String,
    /// Why not: the kernel's own words if it had any, else those of the errno.
    pub reason: String,
    /// What to do.
    pub hint: Option<String>,
    /// The system call, for `--debug`.
    pub call: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.path)?;
        if !self.doing.is_empty() {
            write!(f, "{}: ", self.doing)?;
        }
        f.write_str(&self.reason)?;
        match &self.hint {
            // The kernel's own words may already be the advice.
            Some(hint) if *hint != self.reason => write!(f, " ({hint})"),
            _ => Ok(()),
        }
    }
}

/// Everything that can end a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration was refused before anything was done.
    #[error(transparent)]
    Config(#[from] Errors),
    /// A step of the plan failed; all that was done is undone.
    ///
    /// Remedy: the hint in brackets says what to do, where there is something to say;
    /// `--debug` shows the refused call.
    #[error("{0}")]
    Step(Box<Failure>),
    /// A hook did not succeed.
    ///
    /// Remedy: see the log of the hook; `corten explain` shows where it comes from.
    #[error("{path}: {program} {how}{output}")]
    Hook {
        /// `hooks.createRuntime[0]`
        path: ConfigPath,
        /// The hook's program.
        program: String,
        /// "exited with status 3", "was killed by SIGKILL", "ran longer than 2 s"
        how: String,
        /// ": last words of it", or nothing.
        output: String,
    },
    /// Init ended without a word.
    ///
    /// Remedy: look for who killed it: the kernel log, a limit, another program.
    #[error("container init {how} while the container was being created{hint}")]
    InitDied {
        /// "was killed by SIGKILL"
        how: String,
        /// " (memory limit too low)", or nothing.
        hint: String,
    },
    /// No such container.
    ///
    /// Remedy: `corten list`; another user or engine keeps its containers below another
    /// `--root`.
    #[error("container {0:?} does not exist")]
    NotFound(String),
    /// The id is taken.
    ///
    /// Remedy: choose another name, or delete the other container.
    #[error(
        "container with given ID already exists: {0:?} (another name, or `corten delete {0}` first)"
    )]
    AlreadyExists(String),
    /// The command needs a running container.
    ///
    /// Remedy: nothing; `corten state` tells what it is.
    #[error("container not running")]
    NotRunning,
    /// `pause` twice. The first words are those of every refusal to pause.
    ///
    /// Remedy: nothing; `resume` lets it go on.
    #[error("container not running (it is paused already)")]
    AlreadyPaused,
    /// `resume` of something that goes on anyway.
    ///
    /// Remedy: nothing.
    #[error("container not paused")]
    NotPaused,
    /// The command works on the container's cgroup, and it has none of its own.
    ///
    /// Remedy: create it without `--cgroup-manager disabled`; a user needs a delegated
    /// cgroup (`corten doctor`).
    #[error(
        "the container has no control group of its own (it was created with --cgroup-manager disabled)"
    )]
    NoCgroup,
    /// `events` of something that has ended. The words differ from those of
    /// [`Error::NotRunning`] in every runtime.
    ///
    /// Remedy: nothing; start it first.
    #[error("container with id {0} is not running")]
    NothingHappens(String),
    /// `start` of something that was started.
    ///
    /// Remedy: nothing; `exec` runs one more process in it.
    #[error("cannot start an already running container")]
    AlreadyRunning,
    /// `start` of something that could not take a step.
    ///
    /// Remedy: `resume` it, then `start`.
    #[error("cannot start a paused container (`resume` it first)")]
    StartPaused,
    /// `start` of something that has ended.
    ///
    /// Remedy: delete it and create it again.
    #[error("cannot start a container that has stopped")]
    HasStopped,
    /// `start` of something that is still being made, or whose maker died.
    ///
    /// Remedy: wait for the other command, or `delete --force`.
    #[error("cannot start a container that is still being created")]
    StillCreating,
    /// There is no more of it yet than its name.
    ///
    /// Remedy: wait for the other command, or `delete --force`.
    #[error("the container is still being created (`delete --force` removes it)")]
    StateUnknown,
    /// `exec` into something that does not take processes.
    ///
    /// Remedy: `resume` a paused one, or `--ignore-paused`; create a stopped one again.
    #[error("cannot exec in a {0}")]
    ExecIn(&'static str),
    /// The process of `exec` ended without a word.
    ///
    /// Remedy: look for who killed it; the container may have ended.
    #[error("the process {how} before it became the program")]
    ExecDied {
        /// "was killed by SIGKILL"
        how: String,
    },
    /// The process of `mounts` ended without a word.
    ///
    /// Remedy: look for who killed it; the container may have ended.
    #[error("the process that was to change the mounts {how}")]
    VisitorDied {
        /// "was killed by SIGKILL"
        how: String,
    },
    /// `checkpoint` of something that does not run.
    ///
    /// Remedy: start it first, or `resume` it.
    #[error("container cannot be checkpointed in {0} state")]
    CheckpointIn(Status),
    /// `checkpoint` and `restore` are CRIU's work.
    ///
    /// Remedy: install CRIU; `corten doctor` looks for it.
    #[error("executable file not found in $PATH: criu (install CRIU: https://criu.org)")]
    NoCriu,
    /// CRIU gave up.
    ///
    /// Remedy: see the log that the line names; `criu check` tells what the kernel lacks.
    #[error("criu {verb} failed: {said} (its log is {log})")]
    Criu {
        /// "dump", "restore"
        verb: &'static str,
        /// The first errors of its log.
        said: String,
        /// Path of the whole log.
        log: String,
    },
    /// `delete` without `--force`.
    ///
    /// Remedy: `kill` first, or `delete --force`.
    #[error("cannot delete container {id} that is not stopped: {status}")]
    NotStopped {
        /// Container id.
        id: String,
        /// What it is.
        status: Status,
    },
    /// Another command holds the container.
    ///
    /// Remedy: wait for that process, or end it.
    #[error("container {id:?} is being changed by another command ({holder})")]
    Busy {
        /// Container id.
        id: String,
        /// "process 4711, corten create c1"
        holder: String,
    },
    /// The program could not be executed after `start` opened the gate.
    ///
    /// Remedy: the hint in brackets says what is wrong with the program.
    #[error("{0}")]
    Exec(Box<Failure>),
    /// The state directory holds something that this version did not write.
    ///
    /// Remedy: `delete --force`.
    #[error("state of container {id:?}: {problem} (`delete --force` removes it)")]
    BadState {
        /// Container id.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A command-line argument that cannot be used.
    ///
    /// Remedy: `--help` of the command says what is wanted.
    #[error("{argument}: {problem}")]
    Argument {
        /// `--console-socket`
        argument: &'static str,
        /// Why.
        problem: String,
    },
    /// A system call outside any step.
    ///
    /// Remedy: the reason is that of the system; `--debug` shows the call.
    #[error("{doing}: {}", reason_of(.source))]
    System {
        /// What was wanted.
        doing: String,
        /// The call.
        source: kernel::Error,
    },
    /// Control groups outside any step.
    #[error(transparent)]
    Cgroup(#[from] libcgroups::CgroupError),
}

/// The kernel's own words if it had any, else those of the errno.
pub(crate) fn reason_of(error: &kernel::Error) -> String {
    error.detail().map_or_else(|| error.reason(), str::to_owned)
}

/// Says what was being done when a system call failed.
pub(crate) trait Doing<T> {
    /// `doing` completes "cannot …"; it is built only on failure.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for kernel::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::System {
            doing: what(),
            source,
        })
    }
}
