//! `hooks`: six lists, four places.

use oci_spec::runtime::Hook as Entry;

use super::process::is_assignment;
use super::{Context, annotations};
use crate::error::quote;
use crate::spec::path_text;
use crate::{ConfigPath, Hook, HookOutput, InitOp, LastOp, ParentOp, PlanError, Step};

/// The lists that other commands than `create` run.
#[derive(Default)]
pub(crate) struct LaterHooks {
    /// For `start` and `run`.
    pub poststart: Vec<Step<Hook>>,
    /// For `delete`.
    pub poststop: Vec<Step<Hook>>,
}

/// Adds the hooks of creation and returns the others.
pub(crate) fn build(context: &mut Context<'_>) -> LaterHooks {
    let Some(hooks) = context.spec.hooks().as_ref() else {
        return LaterHooks::default();
    };
    // Deprecated by the spec, and what Docker and the NVIDIA hook still use.
    #[allow(deprecated)]
    let prestart = hooks.prestart().as_ref();
    let mut outside = read(context, "prestart", prestart);
    outside.extend(read(
        context,
        "createRuntime",
        hooks.create_runtime().as_ref(),
    ));
    let files = annotations::hook_outputs(context);
    write_to_files(&mut outside, &files);
    if let Some(first) = outside.first() {
        context.init(first.from.clone(), InitOp::AwaitHooks);
    }
    for step in outside {
        context.parent(step.from, ParentOp::RunHook(step.op));
    }
    let created = hooks.create_container().as_ref();
    let mut created = read(context, "createContainer", created);
    let started = hooks.start_container().as_ref();
    let mut started = read(context, "startContainer", started);
    if !(created.is_empty() && started.is_empty()) {
        let slots = open_outputs(context, &files);
        write_to_files(&mut created, &slots);
        write_to_files(&mut started, &slots);
    }
    for step in created {
        context.init(step.from, InitOp::RunHook(step.op));
    }
    for step in started {
        context.last(step.from, LastOp::RunHook(step.op));
    }
    let mut later = LaterHooks {
        poststart: read(context, "poststart", hooks.poststart().as_ref()),
        poststop: read(context, "poststop", hooks.poststop().as_ref()),
    };
    write_to_files(&mut later.poststart, &files);
    write_to_files(&mut later.poststop, &files);
    later
}

/// Standard output and standard error.
type Outputs = [Option<HookOutput>; 2];

fn write_to_files(hooks: &mut [Step<Hook>], [stdout, stderr]: &Outputs) {
    for hook in hooks {
        hook.op.stdout.clone_from(stdout);
        hook.op.stderr.clone_from(stderr);
    }
}

/// The same files, opened by the parent for whoever has the host's root no more.
fn open_outputs(context: &mut Context<'_>, files: &Outputs) -> Outputs {
    let names = [annotations::HOOKS_STDOUT, annotations::HOOKS_STDERR];
    let mut slots = [None, None];
    for ((name, file), place) in names.into_iter().zip(files).zip(&mut slots) {
        if let Some(HookOutput::File(path)) = file {
            let slot = context.slot();
            let path = path.clone();
            context.parent(
                annotations::at(name),
                ParentOp::OpenHookOutput { slot, path },
            );
            *place = Some(HookOutput::Slot(slot));
        }
    }
    slots
}

/// One list, with what is wrong in it reported.
fn read(context: &mut Context<'_>, name: &str, list: Option<&Vec<Entry>>) -> Vec<Step<Hook>> {
    let mut steps = Vec::new();
    for (n, entry) in list.into_iter().flatten().enumerate() {
        let at = ConfigPath::new("hooks").field(name).index(n);
        let path = path_text(entry.path());
        if !path.starts_with('/') {
            let problem = PlanError::invalid(at.field("path"), "an absolute path", quote(path));
            context.problem(problem);
        }
        let timeout_seconds = entry.timeout().map(u32::try_from);
        if let Some(Err(_)) | Some(Ok(0)) = timeout_seconds {
            context.problem(PlanError::invalid(
                at.field("timeout"),
                format!("seconds from 1 to {}", u32::MAX),
                entry.timeout().unwrap_or_default().to_string(),
            ));
        }
        let env = entry.env().iter().flatten();
        for (m, text) in env.enumerate().filter(|(_, text)| !is_assignment(text)) {
            let at = at.field("env").index(m);
            context.problem(PlanError::invalid(at, "NAME=value", quote(text)));
        }
        let args = entry.args().clone().filter(|args| !args.is_empty());
        let hook = Hook {
            path: path.to_owned(),
            args: args.unwrap_or_else(|| vec![path.to_owned()]),
            env: entry.env().clone(),
            timeout_seconds: timeout_seconds.and_then(Result::ok),
            stdout: None,
            stderr: None,
        };
        steps.push(Step::new(at, hook));
    }
    steps
}
