//! `mounts add` and `mounts remove`: the mounts of a container that exists.
//!
//! ```text
//! our copy of config.json ─┐
//! the list of the caller ──┴─► one document ─► the chapter of `mounts` ─► Plan
//!                              (its `mounts` are the list)
//! ```
//!
//! An entry means what it means in `config.json`, because the same chapter reads it.
//! The plan is that of one process which joins the container, does this and leaves.

use serde_json::Value;

use crate::build::mounts::{self, PROC_FILES, target_of};
use crate::build::rootfs::{clean, has_own_mounts, is_below, refuse_without_own_mounts};
use crate::build::{self, Context, namespaces, order};
use crate::error::quote;
use crate::exec::{bare_plan, kinds_of};
use crate::{
    AttrFlags, ConfigPath, Errors, ExecPlan, HostFacts, InitOp, MountOp, MountSource,
    NamespaceKind, ParentOp, Plan, PlanError, Request, spec,
};

/// What is to become of the listed mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountsChange {
    /// `mounts add`
    Add,
    /// `mounts remove`
    Remove,
}

/// A change of mounts, without the container's `config.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountsRequest {
    /// The container id, already checked for its grammar.
    pub id: String,
    /// Add or remove.
    pub change: MountsChange,
    /// A list like `mounts` of `config.json`. Of those to be removed only the
    /// destinations matter.
    pub list: Vec<u8>,
    /// The container's bundle, from which relative sources count.
    pub bundle: String,
    /// Pid of the container's init, in the runtime's pid namespace.
    pub init: i32,
}

/// The plan of the change, or everything that is wrong with it. `config` is the
/// configuration that the container was made from.
///
/// # Errors
/// All problems, with paths into the list (`mounts[1].destination`).
pub fn change_mounts(
    config: &[u8],
    request: &MountsRequest,
    host: &HostFacts,
) -> Result<Plan, Errors> {
    let at_file = |problem: PlanError| PlanError {
        path: ConfigPath::flag("FILE"),
        ..problem
    };
    let list = spec::parse_list(&request.list).map_err(at_file)?;
    let mut document = spec::parse(config)?;
    if let Value::Object(document) = &mut document {
        document.insert("mounts".to_owned(), Value::Array(list));
    }
    let spec = spec::decode(document);
    let create = Request::create(&request.id, &request.bundle);
    let mut context = Context::new(spec.decoded(), &create, host);
    context.unknown = spec.unknown();
    context.slots = ExecPlan::ROOT.0 + 1;
    enter_container(&mut context, request.init);
    match request.change {
        MountsChange::Add => add(&mut context),
        MountsChange::Remove => remove(&mut context),
    }
    let is_about_list = |problem: &PlanError| problem.path.as_str().starts_with("mounts");
    let found = std::mem::take(&mut context.problems);
    let mut problems = spec.merge_problems(found);
    // The rest of the configuration was good when the container was made.
    problems.retain(is_about_list);
    order::arrange(&mut context.parent, &mut context.init, &mut context.last);
    Errors::check(problems, bare_plan(context, &spec))
}

/// All namespaces that a mount can depend on. Not the pid namespace: it would concern
/// children only, and there are none.
fn enter_container(context: &mut Context<'_>, init: i32) {
    namespaces::build(context);
    context.init.clear();
    context.problems.clear();
    context.warnings.clear();
    // The option `idmap` takes the maps of a joined user namespace: of init's, now.
    context.parent.retain_mut(|step| match &mut step.op {
        ParentOp::OpenNamespace { kind, path, .. } if *kind == NamespaceKind::User => {
            *path = format!("/proc/{init}/ns/user");
            true
        }
        _ => false,
    });
    context.namespaces.fork_into_pid_namespace = false;
    let mut kinds = kinds_of(&context.namespaces);
    kinds.retain(|kind| !matches!(kind, NamespaceKind::Pid | NamespaceKind::Time));
    let enter = InitOp::EnterContainer {
        namespaces: kinds,
        init: ExecPlan::INIT,
        root: None,
        keep_groups: build::annotations::keeps_groups(context),
    };
    context.init(ConfigPath::new("linux.namespaces"), enter);
}

/// Paths that are masked or read-only, clean, with the list they are in.
fn protected(context: &Context<'_>) -> Vec<(&'static str, String)> {
    let Some(linux) = context.linux() else {
        return Vec::new();
    };
    let lists = [
        ("linux.maskedPaths", linux.masked_paths()),
        ("linux.readonlyPaths", linux.readonly_paths()),
    ];
    let paths = lists.into_iter().flat_map(|(name, list)| {
        let list = list.as_deref().unwrap_or_default();
        list.iter().map(move |path| (name, clean(path)))
    });
    paths.collect()
}

fn add(context: &mut Context<'_>) {
    mounts::build(context);
    let protected = protected(context);
    // Nobody prepares anything below them any more, and nobody must see them
    // writable in the meantime.
    context
        .init
        .retain(|step| !matches!(step.op, InitOp::MakeReadOnly { .. }));
    let mut problems = Vec::new();
    for step in &mut context.init {
        if let InitOp::Mount(op) = &mut step.op {
            if std::mem::take(&mut op.read_only_later) {
                op.attributes.set |= AttrFlags::READ_ONLY;
            }
            problems.extend(problem_of_new(&step.from, op, &protected));
        }
    }
    context.problems.append(&mut problems);
}

/// What cannot be added to a container that runs.
fn problem_of_new(
    at: &ConfigPath,
    op: &MountOp,
    protected: &[(&'static str, String)],
) -> Option<PlanError> {
    let is_whole = match &op.source {
        MountSource::Existing { .. } => {
            let text = "a remount changes what is there already, and only new mounts can be added";
            return Some(PlanError::conflict(at.field("options"), text));
        }
        MountSource::CgroupV1 { .. } | MountSource::CgroupV2 { .. } => true,
        MountSource::Filesystem { fstype, .. } => fstype == "proc",
        MountSource::Tree { .. } => false,
    };
    if is_whole {
        let text = "procfs and control groups are mounted when the container is created";
        return Some(PlanError::conflict(at.field("type"), text));
    }
    let covers = |path: &str| path == op.target || is_below(path, &op.target);
    let (list, path) = protected.iter().find(|(_, path)| covers(path))?;
    let shown = quote(&op.target);
    let text = format!("a mount on {shown} would cover {path}, which is in {list}");
    Some(PlanError::conflict(at.field("destination"), text))
}

/// The last of the list goes first: it may lie in an earlier one.
fn remove(context: &mut Context<'_>) {
    let list = context.spec.mounts().as_deref().unwrap_or_default();
    let at = ConfigPath::new("mounts");
    if !list.is_empty() && !has_own_mounts(context) {
        refuse_without_own_mounts(context, at.clone());
    }
    let protected = protected(context);
    for (index, mount) in list.iter().enumerate().rev() {
        let written = mount.destination().to_string_lossy();
        let target = target_of(mount);
        let from = at.index(index);
        match problem_of_old(&from, &written, &target, &protected) {
            Some(problem) => context.problem(problem),
            None => {
                let protected = protected.iter().map(|(_, path)| path.clone()).collect();
                context.init(from, InitOp::Unmount { target, protected });
            }
        }
    }
}

/// What cannot be taken away.
fn problem_of_old(
    at: &ConfigPath,
    written: &str,
    target: &str,
    protected: &[(&'static str, String)],
) -> Option<PlanError> {
    let from = at.field("destination");
    if written.is_empty() || written.contains('\0') {
        let wanted = "an absolute path inside the container";
        return Some(PlanError::invalid(from, wanted, quote(written)));
    }
    let shown = quote(target);
    if target == "/" {
        let text = "the root cannot be taken away";
        return Some(PlanError::conflict(from, text));
    }
    if let Some((list, _)) = protected.iter().find(|(_, path)| path == target) {
        let text = format!("{shown} is in {list}, and what covers it stays");
        return Some(PlanError::conflict(from, text));
    }
    let is_proc = target == "/proc" || is_below(target, "/proc");
    if is_proc && !PROC_FILES.contains(&target) {
        let text = format!("{shown} belongs to procfs, on which labels and masks rely");
        return Some(PlanError::conflict(from, text));
    }
    None
}

#[cfg(test)]
#[path = "running_mounts_tests.rs"]
mod tests;
