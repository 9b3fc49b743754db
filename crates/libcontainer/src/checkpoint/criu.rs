//! Running CRIU, and what it says when it fails.

use std::os::fd::BorrowedFd;

use kernel::fs;
use kernel::process::ExitStatus;
use kernel::spawn::{Command, run_command};
use plan::checkpoint::CriuOptions;

use crate::error::{Doing, Error, Result};

/// Where a caller without `PATH` (podman) has its programs; CRIU calls some itself.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Of a log: the end is what counts.
const LOG_LIMIT: usize = 64 << 20;
/// How many of its lines an error quotes.
const QUOTED_LINES: usize = 3;

/// The configuration of CRIU where none is named; runc's, should ours be missing.
pub(super) fn default_config() -> Option<&'static str> {
    let candidates = ["/etc/criu/corten.conf", "/etc/criu/runc.conf"];
    candidates
        .into_iter()
        .find(|path| fs::stat_path(path).is_ok())
}

/// The directories that CRIU writes to.
pub(super) fn make_directories(options: &CriuOptions) -> Result<()> {
    for (flag, path) in [
        ("--image-path", &options.image_path),
        ("--work-path", &options.work_path),
    ] {
        fs::make_directories(path, 0o700).doing(|| format!("{flag} {path}"))?;
    }
    Ok(())
}

/// Runs CRIU to its end.
///
/// # Errors
/// It is not installed; its own errors, from its log.
pub(super) fn run(
    options: &CriuOptions,
    arguments: Vec<String>,
    log: &str,
    descriptors: &[BorrowedFd<'_>],
) -> Result<()> {
    let path = std::env::var("PATH").ok().filter(|path| !path.is_empty());
    let path = path.unwrap_or_else(|| PATH.to_owned());
    let candidates = path.split(':').map(|directory| format!("{directory}/criu"));
    let program = candidates
        .into_iter()
        .find(|program| fs::stat_path(program).is_ok())
        .ok_or(Error::NoCriu)?;
    let verb = arguments.first().cloned().unwrap_or_default();
    let mut args = vec!["criu".to_owned()];
    args.extend(arguments);
    let mut env: Vec<String> = std::env::vars()
        .filter(|(name, _)| name != "PATH")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    env.push(format!("PATH={path}"));
    tracing::debug!(?args, "criu");
    let finished = run_command(&Command {
        path: program.clone(),
        args,
        env: Some(env),
        descriptors,
        ..Command::default()
    });
    let finished = finished.doing(|| program.clone())?;
    if finished.status == ExitStatus::Code(0) {
        return Ok(());
    }
    let log = format!("{}/{log}", options.work_path);
    let text = fs::read_file(&log, LOG_LIMIT).unwrap_or(finished.output);
    Err(Error::Criu {
        verb,
        said: errors_of(&String::from_utf8_lossy(&text)),
        log,
    })
}

/// The first of the lines that a log calls errors, without times and places: those that
/// follow are consequences.
fn errors_of(log: &str) -> String {
    let message = |line: &str| {
        let (_, rest) = line.split_once("Error (")?;
        let (_, message) = rest.split_once("): ")?;
        Some(message.trim().to_owned())
    };
    let lines: Vec<String> = log.lines().filter_map(message).take(QUOTED_LINES).collect();
    match lines.is_empty() {
        true => log.lines().next().unwrap_or("nothing").trim().to_owned(),
        false => lines.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::errors_of;

    #[test]
    fn the_first_errors_are_quoted() {
        let log = "(00.1) Dumping\n(00.2) Error (criu/tty.c:1): tty: no master\n\
                   (00.3) Warn  (x.c:1): y\n(00.4) Error (criu/cr-dump.c:2): Dumping FAILED.\n";
        assert_eq!(errors_of(log), "tty: no master; Dumping FAILED.");
        assert_eq!(errors_of("a\nb\n"), "a");
        assert_eq!(errors_of(""), "nothing");
    }
}
