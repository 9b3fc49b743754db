//! Hooks outside the container: `prestart`, `createRuntime`, `poststart`, `poststop`.

use std::time::Duration;

use kernel::process::ExitStatus;
use kernel::spawn::{Command, Finished, run_command};
use plan::{ConfigPath, Hook};

use crate::error::{Error, Result, reason_of};

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

fn run_hook(path: &ConfigPath, hook: &Hook, stdin: &[u8], directory: Option<&str>) -> Result<()> {
    let command = Command {
        path: hook.path.clone(),
        args: hook.args.clone(),
        env: hook.env.clone(),
        stdin: stdin.to_vec(),
        timeout: hook
            .timeout_seconds
            .map(|seconds| Duration::from_secs(seconds.into())),
        cwd: directory.map(str::to_owned),
    };
    let (how, output) = match run_command(&command) {
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
    Err(Error::Hook {
        path: path.clone(),
        program: hook.path.clone(),
        how,
        output,
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
