//! `exec`: one more process in a container that exists.
//!
//! ```text
//! our copy of config.json ─┐
//! --process, or options ───┼─► compose ─► one document ─► the chapters of `build` ─► ExecPlan
//! the machine ─────────────┘   (its `process` is the new one)
//! ```
//!
//! The new process is described like the container's own, by the same chapters,
//! so seccomp, limits, identity and everything else mean the same for both.

mod compose;
mod cpus;
mod ordinary;
mod subgroup;

use serde::{Deserialize, Serialize};

use crate::build::{self, Context, namespaces, order};
use crate::cgroup::{CgroupManager, CgroupPlan};
use crate::{
    CgroupMode, ConfigPath, Errors, HostFacts, InitOp, NamespaceKind, Namespaces, Plan, Request,
    Slot, Spec, Step, TerminalHost,
};

pub use subgroup::SubCgroup;

/// An `exec`, without the container's `config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// The container id, already checked for its grammar.
    pub id: String,
    /// Content of `--process`: a `process` object. Without it the container's own
    /// is the starting point.
    pub process: Option<Vec<u8>>,
    /// The command, if there is no `--process`.
    pub args: Vec<String>,
    /// `--cwd`
    pub cwd: Option<String>,
    /// `--env`, each `NAME=value`.
    pub env: Vec<String>,
    /// `--user`, as `UID` or `UID:GID`.
    pub user: Option<String>,
    /// `--additional-gids`
    pub additional_gids: Vec<String>,
    /// `--cap`, added to the bounding, permitted and effective set.
    pub capabilities: Vec<String>,
    /// `--no-new-privs`
    pub no_new_privileges: bool,
    /// `--tty`
    pub terminal: bool,
    /// `--apparmor`
    pub apparmor_profile: Option<String>,
    /// `--process-label`
    pub process_label: Option<String>,
    /// `--cgroup`, each `[CONTROLLER[,CONTROLLER]:]PATH`.
    pub cgroups: Vec<String>,
    /// Descriptors 3..3+n that the process keeps: `--preserve-fds` plus `LISTEN_FDS`.
    pub preserve_fds: u32,
    /// `LISTEN_FDS` when it was meant for us.
    pub listen_fds: u32,
    /// `LISTEN_FDNAMES`
    pub listen_fd_names: Option<String>,
    /// `RUN_OCI_SECCOMP_RECEIVER`
    pub seccomp_receiver: Option<String>,
    /// What stands at the other end of a terminal.
    pub terminal_host: TerminalHost,
    /// The container has no control groups of its own.
    pub cgroups_disabled: bool,
    /// The container has no session keyring of its own.
    pub no_new_keyring: bool,
}

impl ExecRequest {
    /// A command with the container's own settings.
    pub fn command(id: &str, args: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            process: None,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            cwd: None,
            env: Vec::new(),
            user: None,
            additional_gids: Vec::new(),
            capabilities: Vec::new(),
            no_new_privileges: false,
            terminal: false,
            apparmor_profile: None,
            process_label: None,
            cgroups: Vec::new(),
            preserve_fds: 0,
            listen_fds: 0,
            listen_fd_names: None,
            seccomp_receiver: None,
            terminal_host: TerminalHost::Foreground,
            cgroups_disabled: false,
            no_new_keyring: false,
        }
    }
}

/// Everything `exec` will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecPlan {
    /// The process, in the terms of a container's plan. Its lists hold what concerns
    /// one process: nothing is cloned, mounted, or made.
    pub process: Plan,
    /// Below which of the container's control groups it is born.
    pub cgroups: Vec<SubCgroup>,
    /// `process.execCPUAffinity.initial`: the CPUs to be on until it is in the
    /// container's control group.
    pub initial_cpus: Option<Vec<u32>>,
}

impl ExecPlan {
    /// Slot of the pidfd of the container's init, which stands for its namespaces.
    pub const INIT: Slot = Slot(0);
    /// Slot of the root of the container's init.
    pub const ROOT: Slot = Slot(1);
}

/// The plan of one more process, or everything that is wrong with it. `config` is
/// the configuration that the container was made from.
///
/// # Errors
/// All problems, with paths into the container's configuration as it would be with
/// this `process` (`process.user.uid`), or the option's name.
pub fn exec(config: &[u8], request: &ExecRequest, host: &HostFacts) -> Result<ExecPlan, Errors> {
    let mut problems = Vec::new();
    let spec = match ordinary::compose(config, request) {
        Some(spec) => spec,
        None => compose::compose(config, request, &mut problems)?,
    };
    let cgroups = subgroup::read(&request.cgroups, host.cgroup.mode, &mut problems);
    let create = Request {
        start_at_once: true,
        no_new_keyring: request.no_new_keyring,
        preserve_fds: request.preserve_fds,
        listen_fds: request.listen_fds,
        listen_fd_names: request.listen_fd_names.clone(),
        seccomp_receiver: request.seccomp_receiver.clone(),
        terminal: request.terminal_host,
        cgroups_disabled: request.cgroups_disabled,
        ..Request::create(&request.id, "")
    };
    let mut context = Context::new(spec.decoded(), &create, host);
    context.warnings.extend(spec.warnings().iter().cloned());
    enter_container(&mut context);
    build::resctrl::join(&mut context);
    let mut program = crate::Program::default();
    let mut terminal = false;
    let mut initial_cpus = None;
    if let Some(process) = spec.decoded().process() {
        terminal = process.terminal() == Some(true);
        build::console::build(&mut context, process);
        initial_cpus = cpus::build(&mut context, process);
        program = build::build_process(&mut context, process);
    }
    context.problems.append(&mut problems);
    let process = finish(context, &spec, program, terminal)?;
    Ok(ExecPlan {
        process,
        cgroups,
        initial_cpus,
    })
}

/// Every namespace that the configuration names, new or joined, is joined at once,
/// and so are the control groups and the keyring.
fn enter_container(context: &mut Context<'_>) {
    namespaces::build(context);
    // Which kinds there are is of interest; how `create` got there is not.
    context.parent.clear();
    context.init.clear();
    context.problems.clear();
    context.namespaces.fork_into_pid_namespace = context.has(NamespaceKind::Pid);
    build::labels::label_keyring(context);
    let mode = context.host.cgroup.mode;
    if matches!(mode, CgroupMode::V1 | CgroupMode::Hybrid) && !context.request.cgroups_disabled {
        context.init(ConfigPath::new("linux.cgroupsPath"), InitOp::JoinCgroups);
    }
    let kinds = kinds_of(&context.namespaces);
    // Without a mount namespace of its own the root of init is that of a chroot.
    let root = (!context.namespaces.is_new(NamespaceKind::Mount)).then_some(ExecPlan::ROOT);
    let enter = InitOp::EnterContainer {
        namespaces: kinds,
        init: ExecPlan::INIT,
        root,
        keep_groups: build::annotations::keeps_groups(context),
    };
    context.init(ConfigPath::new("linux.namespaces"), enter);
    if !context.request.no_new_keyring {
        let name = format!("_ses.{}", context.request.id);
        let from = ConfigPath::flag("--no-new-keyring").default_of();
        context.init(from, InitOp::NewSessionKeyring { name });
    }
}

/// All kinds that are not the runtime's own.
pub(crate) fn kinds_of(namespaces: &Namespaces) -> Vec<NamespaceKind> {
    use NamespaceKind as N;
    [
        N::User,
        N::Ipc,
        N::Uts,
        N::Network,
        N::Cgroup,
        N::Time,
        N::Pid,
        N::Mount,
    ]
    .into_iter()
    .filter(|kind| namespaces.has(*kind))
    .collect()
}

/// The parts put together and in order, if nothing is wrong with any.
fn finish(
    mut context: Context<'_>,
    spec: &Spec,
    program: crate::Program,
    terminal: bool,
) -> Result<Plan, Errors> {
    let mut problems = spec.merge_problems(std::mem::take(&mut context.problems));
    order::arrange_problems(&mut problems);
    order::arrange(&mut context.parent, &mut context.init, &mut context.last);
    adapt(&mut context.init);
    let plan = Plan {
        program,
        terminal,
        ..bare_plan(context, spec)
    };
    Errors::check(problems, plan)
}

/// The steps of a context as a plan of one process that joins a container.
pub(crate) fn bare_plan(context: Context<'_>, spec: &Spec) -> Plan {
    let kinds = kinds_of(&context.namespaces);
    Plan {
        id: context.request.id.clone(),
        bundle: String::new(),
        rootfs: String::new(),
        oci_version: spec.decoded().version().clone(),
        annotations: std::collections::BTreeMap::new(),
        namespaces: Namespaces {
            join: kinds.iter().map(|kind| (*kind, ExecPlan::INIT)).collect(),
            fork_into_pid_namespace: context.namespaces.fork_into_pid_namespace,
            ..Namespaces::default()
        },
        cgroup: CgroupPlan {
            manager: CgroupManager::Disabled,
            mode: context.host.cgroup.mode,
            path: String::new(),
            directories: Vec::new(),
            settings: Vec::new(),
            device_program: None,
            owner: None,
            delegated: None,
            scope: None,
        },
        parent: context.parent,
        init: context.init,
        last: context.last,
        program: crate::Program::default(),
        poststart: Vec::new(),
        poststop: Vec::new(),
        terminal: false,
        warnings: context.warnings,
    }
}

/// What only the container's first process may do: make its working directory,
/// and be the one whose terminal is /dev/console.
fn adapt(steps: &mut Vec<Step<InitOp>>) {
    steps.retain(|step| !matches!(step.op, InitOp::MakeWorkingDirectory { .. }));
    for step in steps {
        if let InitOp::OpenConsole { device, .. } = &mut step.op {
            *device = false;
        }
    }
}

#[cfg(test)]
#[path = "../exec_tests.rs"]
mod tests;
