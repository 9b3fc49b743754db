//! no_new_privs, seccomp, and the way out of the sealed stub.

use std::borrow::Cow;

use oci_spec::runtime::{LinuxSeccomp, Process};

use super::{Context, annotations};
use crate::error::quote;
use crate::spec::path_text;
use crate::{ConfigPath, LastOp, PlanError, SeccompListener, SeccompProgram};

/// CAP_SYS_ADMIN.
const CAP_SYS_ADMIN: u32 = 21;

/// Adds no_new_privs and the seccomp program, early or late.
///
/// With no_new_privs a filter needs no privilege, so it is loaded as late as
/// possible and the runtime's own calls need no place in the profile. Without it
/// the kernel wants CAP_SYS_ADMIN, so it must come before the identity changes.
pub(crate) fn build(context: &mut Context<'_>, process: &Process) {
    add_personality(context);
    let sealed = process.no_new_privileges() == Some(true);
    if sealed {
        let from = ConfigPath::new("process.noNewPrivileges");
        context.last(from, LastOp::NoNewPrivileges);
    }
    let Some((from, program, listener)) = find_filter(context) else {
        return;
    };
    let may = context.host.effective_capabilities >> CAP_SYS_ADMIN & 1 == 1
        || context.has(crate::NamespaceKind::User);
    if !sealed && !may {
        let text = "a filter without process.noNewPrivileges needs CAP_SYS_ADMIN";
        context.problem(PlanError::unsupported(from.clone(), text));
    }
    let op = LastOp::LoadSeccomp {
        late: sealed,
        listener,
        program,
    };
    context.last(from, op);
}

/// A filter, and where it came from.
type Filter = (ConfigPath, SeccompProgram, Option<SeccompListener>);

/// The compiled one of the annotation, which replaces the profile, or the profile's.
fn find_filter(context: &mut Context<'_>) -> Option<Filter> {
    if let Some(text) = annotations::seccomp_program(context) {
        let from = annotations::at(annotations::SECCOMP_PROGRAM);
        let program = crate::seccomp::raw::read(text);
        if program.is_none() {
            let wanted = "up to 4096 instructions of classic BPF in base64";
            let problem = PlanError::invalid(from.clone(), wanted, quote(text));
            context.problem(problem);
        }
        return Some((from, program?, None));
    }
    let profile = context.linux()?.seccomp().as_ref()?;
    let from = ConfigPath::new("linux.seccomp");
    let profile = &*with_receiver(context, profile);
    let mut unknown = Vec::new();
    let program = crate::seccomp::compile(profile, &from, &mut context.problems, &mut unknown)?;
    if annotations::wants_known_syscalls(context) {
        let problems = unknown.into_iter();
        context
            .problems
            .extend(problems.map(|one| PlanError::conflict(one.path, one.text)));
    } else {
        context.warnings.append(&mut unknown);
    }
    let listener = program.notifies.then(|| read_listener(profile)).flatten();
    Some((from, program, listener))
}

/// The profile, with the agent of the annotation if it has none itself. Profiles are
/// long, and hardly one is changed.
fn with_receiver<'a>(context: &Context<'_>, profile: &'a LinuxSeccomp) -> Cow<'a, LinuxSeccomp> {
    let mut profile = Cow::Borrowed(profile);
    if profile.listener_path().is_none()
        && let Some(path) = annotations::seccomp_receiver(context)
    {
        profile.to_mut().set_listener_path(Some(path.into()));
    }
    profile
}

/// The agent that is asked; a profile without one is refused by its compiler.
fn read_listener(profile: &LinuxSeccomp) -> Option<SeccompListener> {
    let path = profile.listener_path().as_deref().map(path_text)?;
    Some(SeccompListener {
        path: path.to_owned(),
        metadata: profile.listener_metadata().clone(),
    })
}

/// `linux.personality`: what uname(2) says and how addresses are laid out.
fn add_personality(context: &mut Context<'_>) {
    /// `PER_LINUX32`, linux/personality.h
    const LINUX32: u32 = 8;
    let linux = context.linux();
    let Some(personality) = linux.and_then(|l| l.personality().as_ref()) else {
        return;
    };
    if let Some(flag) = personality.flags().iter().flatten().next() {
        // An unsupported value, which MUST be an error; the peers warn.
        let at = ConfigPath::new("linux.personality.flags").index(0);
        let text = format!("{}: the specification defines no flags", quote(flag));
        context.problem(PlanError::unsupported(at, text));
    }
    if personality.domain() == oci_spec::runtime::LinuxPersonalityDomain::PerLinux32 {
        let from = ConfigPath::new("linux.personality.domain");
        context.last(from, LastOp::SetPersonality { domain: LINUX32 });
    }
}

/// The gate, and what follows it.
pub(crate) fn add_exit(context: &mut Context<'_>) {
    let from = ConfigPath::new("process");
    if context.namespaces.fork_into_pid_namespace {
        let from = ConfigPath::new("linux.namespaces");
        context.last(from, LastOp::ForkIntoPidNamespace);
    }
    context.last(from.clone(), LastOp::ReportReady);
    if !context.request.start_at_once {
        context.last(from, LastOp::AwaitStart);
    }
    let first = context.request.preserve_fds.saturating_add(3);
    let from = ConfigPath::flag("--preserve-fds");
    let from = if first == 3 { from.default_of() } else { from };
    context.last(from, LastOp::CloseDescriptors { first });
    context.last(ConfigPath::new("process.args"), LastOp::Execute);
}
