//! `hooks`: six lists, four places.

use oci_spec::runtime::Hook as Entry;

use super::Context;
use super::process::is_assignment;
use crate::error::quote;
use crate::spec::path_text;
use crate::{ConfigPath, Hook, InitOp, LastOp, ParentOp, PlanError, Step};

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
    if let Some(first) = outside.first() {
        context.init(first.from.clone(), InitOp::AwaitHooks);
    }
    for step in outside {
        context.parent(step.from, ParentOp::RunHook(step.op));
    }
    for step in read(
        context,
        "createContainer",
        hooks.create_container().as_ref(),
    ) {
        context.init(step.from, InitOp::RunHook(step.op));
    }
    for step in read(context, "startContainer", hooks.start_container().as_ref()) {
        context.last(step.from, LastOp::RunHook(step.op));
    }
    LaterHooks {
        poststart: read(context, "poststart", hooks.poststart().as_ref()),
        poststop: read(context, "poststop", hooks.poststop().as_ref()),
    }
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
        };
        steps.push(Step::new(at, hook));
    }
    steps
}
