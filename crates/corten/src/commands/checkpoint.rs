//! `corten checkpoint` and `corten restore`

use plan::checkpoint::CriuOptions;

use super::existing;
use super::prepare::{Until, prepare};
use crate::cli::checkpoint::Criu;
use crate::cli::{Checkpoint, Global, Restore};
use crate::report::CommandError;
use libcontainer::{ExitCode, RestoreOptions};

/// Writes a container down.
#[inline(never)]
pub fn checkpoint(global: &Global, args: Checkpoint) -> Result<(), CommandError> {
    let store = existing(global, &args.id)?;
    let options = CriuOptions {
        leave_running: args.leave_running,
        pre_dump: args.pre_dump,
        tcp_skip_in_flight: args.tcp_skip_in_flight,
        link_remap: args.link_remap,
        page_server: args.page_server,
        status_fd: args.status_fd,
        ..of_both(args.criu)?
    };
    if let Some(warning) = libcontainer::checkpoint(&store, &args.id, &options)? {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Makes a container of a checkpoint; in the foreground the exit status is that of its
/// program, or 128 + the signal that ended it.
#[inline(never)]
pub fn restore(global: &Global, args: Restore) -> Result<ExitCode, CommandError> {
    let until = match args.detach {
        true => Until::Started,
        false => Until::Ended,
    };
    let criu = CriuOptions {
        lsm_profile: args.lsm_profile,
        lsm_mount_context: args.lsm_mount_context,
        ..of_both(args.criu)?
    };
    let prepared = prepare(global, args.container, until)?;
    let options = RestoreOptions {
        config: prepared.options.config,
        criu,
        detach: args.detach,
        no_subreaper: args.no_subreaper,
        pid_file: prepared.options.pid_file,
        console_socket: prepared.options.console_socket,
    };
    let code = libcontainer::restore(&prepared.store, &prepared.plan, &options)?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

fn of_both(args: Criu) -> Result<CriuOptions, CommandError> {
    let image_path = absolute("--image-path", &args.image_path)?;
    let work_path = match &args.work_path {
        Some(path) if !path.is_empty() => absolute("--work-path", path)?,
        _ => image_path.clone(),
    };
    Ok(CriuOptions {
        image_path,
        work_path,
        parent_path: args.parent_path.filter(|path| !path.is_empty()),
        tcp_established: args.tcp_established,
        tcp_close: args.tcp_close,
        ext_unix_sk: args.ext_unix_sk,
        shell_job: args.shell_job,
        file_locks: args.file_locks,
        lazy_pages: args.lazy_pages,
        auto_dedup: args.auto_dedup,
        cgroups_mode: args.manage_cgroups_mode.filter(|mode| !mode.is_empty()),
        empty_namespaces: args.empty_ns,
        network_lock: args.network_lock,
        ..CriuOptions::default()
    })
}

/// CRIU has a working directory of its own.
fn absolute(argument: &'static str, path: &str) -> Result<String, CommandError> {
    match std::path::absolute(path) {
        Ok(path) => Ok(path.to_string_lossy().into_owned()),
        Err(source) => Err(CommandError::File {
            argument,
            doing: "resolve",
            path: path.to_owned(),
            source,
        }),
    }
}
