//! Hooks outside the container: `prestart`, `createRuntime`, `poststart`, `poststop`.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use kernel::fs;
use kernel::process::ExitStatus;
use kernel::spawn::{Command, Finished, run_command};
use plan::{ConfigPath, Hook, HookOutput, ParentOp, ParentPhase, Plan};

use super::steps_of;
use crate::error::{Error, Result, reason_of};
use crate::state::HookSubject;

/// Of a file that hooks write to and that was not there: what hooks say is for
/// whoever asked for it.
pub(super) const HOOK_OUTPUT_MODE: u32 = 0o600;

/// Runs hooks in order until one does not succeed.
pub(crate) fn run_hooks<'a>(
    hooks: impl Iterator<Item = (&'a ConfigPath, &'a Hook)>,
    stdin: &[u8],
    directory: Option<&str>,
) -> Result<()> {
    for (path, hook) in hooks {
        run_hook(path, hook, stdin, directory)?;
    }
    Ok(())
}

/// `prestart` and `createRuntime`, when the namespaces are there.
pub(crate) fn run_hooks_before_pivot(plan: &Plan, init: i32) -> Result<()> {
    let stdin = HookSubject::from(plan).json("creating", Some(init));
    let hooks = steps_of(plan, ParentPhase::BeforePivot).filter_map(|step| match &step.op {
        ParentOp::RunHook(hook) => Some((&step.from, hook)),
        _ => None,
    });
    run_hooks(hooks, &stdin, Some(&plan.bundle))
}

fn run_hook(path: &ConfigPath, hook: &Hook, stdin: &[u8], directory: Option<&str>) -> Result<()> {
    let failed = |how, output| Error::Hook {
        path: path.clone(),
        program: hook.path.clone(),
        how,
        output,
    };
    let open = |output: &Option<HookOutput>| {
        open_output(output.as_ref()).map_err(|how| failed(how, String::new()))
    };
    let files = (open(&hook.stdout)?, open(&hook.stderr)?);
    let (how, output) = match start_hook(hook, stdin, directory, files) {
        Ok(Finished {
            status: ExitStatus::Code(0),
            timed_out: false,
            ..
        }) => return Ok(()),
        Ok(finished) => (
            describe_end(&finished, hook.timeout_seconds),
            last_words(&finished.output),
        ),
        Err(error) => (
            format!("could not be executed: {}", reason_of(&error)),
            String::new(),
        ),
    };
    Err(failed(how, output))
}

/// A file for what a hook outside says, or why it has none. Descriptors are for hooks
/// inside.
fn open_output(output: Option<&HookOutput>) -> std::result::Result<Option<OwnedFd>, String> {
    let Some(HookOutput::File(path)) = output else {
        return Ok(None);
    };
    let opened = fs::append_or_create(path, HOOK_OUTPUT_MODE).map(Some);
    opened.map_err(|error| format!("cannot write its output to {path}: {}", reason_of(&error)))
}

fn start_hook(
    hook: &Hook,
    stdin: &[u8],
    directory: Option<&str>,
    (stdout, stderr): (Option<OwnedFd>, Option<OwnedFd>),
) -> kernel::Result<Finished> {
    run_command(&Command {
        path: hook.path.clone(),
        args: hook.args.clone(),
        env: hook.env.clone(),
        stdin: stdin.to_vec(),
        timeout: hook
            .timeout_seconds
            .map(|seconds| Duration::from_secs(seconds.into())),
        cwd: directory.map(str::to_owned),
        stdout: stdout.as_ref().map(AsFd::as_fd),
        stderr: stderr.as_ref().map(AsFd::as_fd),
        descriptors: &[],
    })
}

/// "exited with status 3", "was killed by SIGKILL", "ran longer than 2 s".
pub(crate) fn describe_end(finished: &Finished, timeout_seconds: Option<u32>) -> String {
    if finished.timed_out {
        return format!(
            "ran longer than {} s and was killed",
            timeout_seconds.unwrap_or_default()
        );
    }
    describe_status(finished.status)
}

/// How a process ended, in words.
pub(crate) fn describe_status(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exited with status {code}"),
        ExitStatus::Signal(signal) => {
            format!("was killed by {}", kernel::signal::name_of(signal))
        }
    }
}

/// What a hook said, on one line, its end if it is long.
pub(crate) fn last_words(output: &[u8]) -> String {
    const LIMIT: usize = 500;
    let text = String::from_utf8_lossy(output);
    let line = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    if line.is_empty() {
        return String::new();
    }
    let start = line
        .char_indices()
        .map(|(at, _)| at)
        .find(|at| line.len() - at <= LIMIT)
        .unwrap_or_default();
    let cut = if start > 0 { "…" } else { "" };
    format!(": {cut}{}", line.get(start..).unwrap_or_default())
}
