//! From a decoded configuration to the plan. One file for each chapter of the
//! runtime spec; each pushes its steps and problems into the [`Context`].

pub(crate) mod devices;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod masks;
pub(crate) mod mount_options;
pub(crate) mod mount_source;
pub(crate) mod mounts;
pub(crate) mod rootfs;

use crate::cgroup::{self, CgroupPlan};
use crate::{
    ConfigPath, Errors, HostFacts, InitOp, LastOp, NamespaceKind, Namespaces, ParentOp, Plan,
    PlanError, Program, Request, SeccompProgram, Slot, Spec, Step, Warning,
};

/// What every chapter reads and adds to.
pub(crate) struct Context<'a> {
    /// The decoded configuration.
    pub spec: &'a oci_spec::runtime::Spec,
    /// The command line.
    pub request: &'a Request,
    /// The machine.
    pub host: &'a HostFacts,
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
    rootfs::build(&mut context);
    mounts::build(&mut context);
    devices::build(&mut context);
    masks::build(&mut context);
    let seccomp = build_seccomp(&mut context);
    let cgroup = build_cgroup(&mut context);
    finish(context, cgroup, seccomp)
}

/// `linux.seccomp`
fn build_seccomp(context: &mut Context<'_>) -> Option<SeccompProgram> {
    let profile = context.linux()?.seccomp().as_ref()?;
    let at = ConfigPath::new("linux.seccomp");
    crate::seccomp::compile(profile, &at, &mut context.problems, &mut context.warnings)
}

/// `linux.resources` and `linux.cgroupsPath`
fn build_cgroup(context: &mut Context<'_>) -> Option<CgroupPlan> {
    let linux = context.linux();
    let path = linux.and_then(|l| l.cgroups_path().as_ref());
    let mut out = cgroup::Problems::default();
    let plan = cgroup::build(
        linux.and_then(|l| l.resources().as_ref()),
        path.and_then(|p| p.to_str()),
        context.request,
        context.host,
        &mut out,
    );
    context.problems.append(&mut out.problems);
    context.warnings.append(&mut out.warnings);
    plan
}

/// The parts put together, if nothing is wrong with any.
fn finish(
    mut context: Context<'_>,
    cgroup: Option<CgroupPlan>,
    seccomp: Option<SeccompProgram>,
) -> Result<Plan, Errors> {
    let from = ConfigPath::new("process.args");
    if context.has(NamespaceKind::Pid) && seccomp.is_some() {
        let slot = context.slot();
        context.parent(from.clone(), ParentOp::OpenNull { slot });
        context.warn(from.clone(), "the plan is not complete");
    }
    context.init(from.clone(), InitOp::FindProgram);
    context.last(from.clone(), LastOp::Execute);
    context.problem(PlanError::unsupported(from, "the plan is not complete"));
    let plan = Plan {
        id: context.request.id.clone(),
        bundle: context.request.bundle.clone(),
        rootfs: context.rootfs,
        oci_version: context.spec.version().clone(),
        annotations: Default::default(),
        namespaces: context.namespaces,
        cgroup: cgroup.unwrap_or(CgroupPlan {
            manager: cgroup::CgroupManager::Disabled,
            mode: context.host.cgroup.mode,
            path: String::new(),
            directories: Vec::new(),
            settings: Vec::new(),
            device_program: None,
        }),
        parent: context.parent,
        init: context.init,
        last: context.last,
        program: Program {
            args: Vec::new(),
            env: Vec::new(),
            uid: 0,
        },
        poststart: Vec::new(),
        poststop: Vec::new(),
        terminal: false,
        warnings: context.warnings,
    };
    Errors::check(context.problems, plan)
}
