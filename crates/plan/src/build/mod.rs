//! From a decoded configuration to the plan. One file for each chapter of the
//! runtime spec; each pushes its steps and problems into the [`Context`].

pub(crate) mod annotations;
pub(crate) mod capabilities;
pub(crate) mod console;
mod delegation;
pub(crate) mod devices;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod hooks;
#[cfg(test)]
mod hostile_tests;
pub(crate) mod identity;
pub(crate) mod idmap;
pub(crate) mod labels;
pub(crate) mod masks;
mod memory_policy;
mod mount_idmap;
pub(crate) mod mount_options;
pub(crate) mod mount_source;
pub(crate) mod mounts;
pub(crate) mod namespaces;
mod net_devices;
pub(crate) mod order;
pub(crate) mod process;
pub(crate) mod resctrl;
pub(crate) mod rootfs;
mod scheduling;
pub(crate) mod security;
pub(crate) mod sysctl;
mod time_offsets;

use oci_spec::runtime::Process;

use crate::cgroup::{self, CgroupPlan};
use crate::spec::path_text;
use crate::validate;
use crate::{
    ConfigPath, Errors, HostFacts, InitOp, LastOp, NamespaceKind, Namespaces, ParentOp, Plan,
    PlanError, Problem, Program, Request, Slot, Spec, Step, Warning,
};

/// What every chapter reads and adds to.
pub(crate) struct Context<'a> {
    /// The decoded configuration.
    pub spec: &'a oci_spec::runtime::Spec,
    /// The command line.
    pub request: &'a Request,
    /// The machine.
    pub host: &'a HostFacts,
    /// Properties that could not be decoded, whose absence proves nothing.
    pub unknown: &'a [String],
    /// Which namespaces are new or joined; complete before any other chapter runs.
    pub namespaces: Namespaces,
    /// Absolute, lexically clean path of the root file system on the host.
    pub rootfs: String,
    /// Problems so far.
    pub problems: Vec<PlanError>,
    /// Warnings so far.
    pub warnings: Vec<Warning>,
    /// The next free slot.
    pub slots: usize,
    /// Steps outside the container.
    pub parent: Vec<Step<ParentOp>>,
    /// Steps inside, before the hand-off.
    pub init: Vec<Step<InitOp>>,
    /// Steps inside, after it.
    pub last: Vec<Step<LastOp>>,
}

impl<'a> Context<'a> {
    /// An empty plan for this input.
    pub fn new(
        spec: &'a oci_spec::runtime::Spec,
        request: &'a Request,
        host: &'a HostFacts,
    ) -> Self {
        Self {
            spec,
            request,
            host,
            unknown: &[],
            namespaces: Namespaces::default(),
            rootfs: String::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
            slots: 0,
            parent: Vec::new(),
            init: Vec::new(),
            last: Vec::new(),
        }
    }

    /// The next slot for a descriptor that the parent opens.
    pub fn slot(&mut self) -> Slot {
        let slot = Slot(self.slots);
        self.slots += 1;
        slot
    }

    /// Something is wrong.
    pub fn problem(&mut self, problem: PlanError) {
        self.problems.push(problem);
    }

    /// Something is odd and went on all the same.
    pub fn warn(&mut self, path: ConfigPath, text: impl Into<String>) {
        self.warnings.push(Warning {
            path,
            text: text.into(),
        });
    }

    /// A step outside the container.
    pub fn parent(&mut self, from: ConfigPath, op: ParentOp) {
        self.parent.push(Step::new(from, op));
    }

    /// A step inside, before the hand-off.
    pub fn init(&mut self, from: ConfigPath, op: InitOp) {
        self.init.push(Step::new(from, op));
    }

    /// A step inside, after the hand-off.
    pub fn last(&mut self, from: ConfigPath, op: LastOp) {
        self.last.push(Step::new(from, op));
    }

    /// Whether the container has a namespace of this kind that is not the runtime's.
    pub fn has(&self, kind: NamespaceKind) -> bool {
        self.namespaces.has(kind)
    }

    /// The `linux` section.
    pub fn linux(&self) -> Option<&'a oci_spec::runtime::Linux> {
        self.spec.linux().as_ref()
    }
}

/// The plan of one container: everything `create` will do, or everything that is
/// wrong with the configuration.
///
/// # Errors
/// All problems, in the order of the document as far as possible.
pub fn build(spec: &Spec, request: &Request, host: &HostFacts) -> Result<Plan, Errors> {
    let mut context = Context::new(spec.decoded(), request, host);
    context.unknown = spec.unknown();
    context.warnings.extend(spec.warnings().iter().cloned());
    // While /proc is the host's and the keyring not joined.
    labels::label_keyring(&mut context);
    // Chapters look at the namespaces and the root of the container, so these come first.
    namespaces::build(&mut context);
    validate::check_version(&mut context);
    validate::check_annotations(&mut context);
    annotations::build(&mut context);
    validate::check_privilege(&mut context);
    time_offsets::build(&mut context);
    idmap::build(&mut context);
    net_devices::build(&mut context);
    resctrl::build(&mut context);
    rootfs::build(&mut context);
    mounts::build(&mut context);
    annotations::mount_named_hierarchy(&mut context);
    devices::build(&mut context);
    let hooks = hooks::build(&mut context);
    let process = context.spec.process().as_ref();
    if let Some(process) = process {
        console::build(&mut context, process);
    }
    validate::check_names(&mut context);
    sysctl::build(&mut context);
    masks::build(&mut context);
    let program = match process {
        Some(process) => build_process(&mut context, process),
        None => missing_process(&mut context),
    };
    let cgroup = build_cgroup(&mut context);
    finish(
        context,
        spec,
        Chapters {
            program,
            hooks,
            cgroup,
        },
    )
}

/// What the chapters give beyond their steps.
struct Chapters {
    program: Program,
    hooks: hooks::LaterHooks,
    cgroup: Option<CgroupPlan>,
}

/// Everything about the container's program. The order of these calls is the
/// order inside the phases of the sealed stub.
pub(crate) fn build_process(context: &mut Context<'_>, process: &Process) -> Program {
    scheduling::build(context, process);
    labels::build(context, process);
    security::build(context, process);
    identity::build(context, process);
    let program = process::build(context, process);
    security::add_exit(context);
    program
}

/// The spec wants `process` at `start`; a program to be looked up and checked is
/// needed at create already.
fn missing_process(context: &mut Context<'_>) -> Program {
    let wanted = "the program to run";
    let at = ConfigPath::new("process");
    context.problem(PlanError::new(at, Problem::Missing { wanted }));
    Program::default()
}

/// `linux.resources` and `linux.cgroupsPath`
fn build_cgroup(context: &mut Context<'_>) -> Option<CgroupPlan> {
    let linux = context.linux();
    let path = linux.and_then(|l| l.cgroups_path().as_deref());
    let mut out = cgroup::Problems::default();
    let plan = cgroup::build(
        &cgroup::Asked {
            resources: linux.and_then(|l| l.resources().as_ref()),
            cgroups_path: path.map(path_text),
            annotations: context.spec.annotations().as_ref(),
        },
        context.request,
        context.host,
        &mut out,
    );
    context.problems.append(&mut out.problems);
    context.warnings.append(&mut out.warnings);
    let mut plan = plan?;
    delegation::build(context, &mut plan);
    Some(plan)
}

/// The parts put together and in order, if nothing is wrong with any.
fn finish(mut context: Context<'_>, spec: &Spec, chapters: Chapters) -> Result<Plan, Errors> {
    let mut problems = spec.merge_problems(context.problems);
    order::arrange_problems(&mut problems);
    let Some(cgroup) = chapters.cgroup else {
        return Err(Errors::new(problems));
    };
    order::arrange(&mut context.parent, &mut context.init, &mut context.last);
    let annotations = context.spec.annotations().iter().flatten();
    let process = context.spec.process().as_ref();
    let plan = Plan {
        id: context.request.id.clone(),
        bundle: context.request.bundle.clone(),
        rootfs: context.rootfs,
        oci_version: context.spec.version().clone(),
        annotations: annotations.map(|(k, v)| (k.clone(), v.clone())).collect(),
        namespaces: context.namespaces,
        cgroup,
        parent: context.parent,
        init: context.init,
        last: context.last,
        program: chapters.program,
        poststart: chapters.hooks.poststart,
        poststop: chapters.hooks.poststop,
        terminal: process.is_some_and(|p| p.terminal() == Some(true)),
        warnings: context.warnings,
    };
    Errors::check(problems, plan)
}
