//! `corten exec`

use plan::ExecRequest;

use super::existing;
use super::prepare::{Until, listen_fd_names, listen_fds, seccomp_receiver, terminal};
use crate::cli::{Exec, Global};
use crate::report::CommandError;
use libcontainer::{Error, ExecOptions, ExecTarget, ExitCode};

/// Runs a process in a container; in the foreground the exit status is that of
/// the process, or 128 + the signal that ended it.
#[inline(never)]
pub fn exec(global: &Global, args: Exec) -> Result<ExitCode, CommandError> {
    let Some((id, command)) = args.words.split_first() else {
        return Ok(ExitCode::SUCCESS);
    };
    // What the caller leaked to us is not the container's.
    let listen_fds = listen_fds();
    let preserve_fds = listen_fds.saturating_add(args.preserve_fds);
    libcontainer::seal_descriptors(preserve_fds)?;
    let until = if args.detach {
        Until::Started
    } else {
        Until::Ended
    };
    let terminal_host = terminal(args.console_socket.as_deref(), until)?;
    let process = args.process.as_deref().map(libcontainer::read_process);
    let process = process.transpose()?;
    tracing::debug!("find the container");
    let store = existing(global, id)?;
    let target = ExecTarget::find(&store, id, args.ignore_paused)?;
    let request = ExecRequest {
        id: id.clone(),
        process,
        args: command.to_vec(),
        cwd: args.cwd,
        env: args.env,
        user: args.user,
        additional_gids: args.additional_gids,
        capabilities: args.cap,
        no_new_privileges: args.no_new_privs,
        terminal: args.tty,
        apparmor_profile: args.apparmor,
        process_label: args.process_label,
        cgroups: args.cgroup,
        preserve_fds,
        listen_fds,
        listen_fd_names: listen_fd_names(),
        seccomp_receiver: seccomp_receiver(),
        terminal_host,
        cgroups_disabled: !target.has_cgroup(),
        no_new_keyring: !target.has_keyring(),
    };
    tracing::debug!("probe the machine");
    let host = target.host()?;
    tracing::debug!("plan");
    let plan = plan::exec(&target.config()?, &request, &host).map_err(Error::Config)?;
    for warning in &plan.process.warnings {
        tracing::warn!("{}: {}", warning.path, warning.text);
    }
    let options = ExecOptions {
        detach: args.detach,
        pid_file: args.pid_file.filter(|path| !path.is_empty()),
        console_socket: args.console_socket,
        pidfd_socket: args.pidfd_socket.filter(|path| !path.is_empty()),
    };
    let code = libcontainer::exec(target, &plan, &options)?;
    // exit(2) passes on eight bits; 128 + 64 is the largest there can be.
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}
