//! From the options of `create` and `run` to a plan: what both do first.

use std::borrow::Cow;
use std::path::Path;

use plan::{Overlay, Plan, Request, TerminalHost};

use super::{check_id, root};
use crate::cli::{CgroupManager, Container, Global};
use crate::report::CommandError;
use libcontainer::{CreateOptions, Error, Store};

/// Everything that `libcontainer::create` and `run` take.
pub struct Prepared {
    /// Where the state goes.
    pub store: Store,
    /// What will be done.
    pub plan: Plan,
    /// What does not depend on the plan.
    pub options: CreateOptions,
}

/// How long this process stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// `create`
    Created,
    /// `run --detach`
    Started,
    /// `run`
    Ended,
}

/// Reads the configuration and plans the container. Nothing is made yet but the
/// root directory of the state.
///
/// # Errors
/// Everything that can be found out before anything is done.
pub fn prepare(global: &Global, args: Container, until: Until) -> Result<Prepared, CommandError> {
    tracing::debug!("read the configuration");
    check_id(&args.id)?;
    let listen_fds = listen_fds();
    let root = root(global)?;
    let notify_socket = notify_socket();
    let notify_directory = match &notify_socket {
        Some(_) => Some(notify_directory(&root, &args.id)?),
        None => None,
    };
    let request = Request {
        id: args.id,
        bundle: libcontainer::resolve_bundle(&args.bundle)?,
        start_at_once: until != Until::Created,
        no_pivot: args.no_pivot,
        overlay: overlay(args.overlay, args.overlay_dir.as_deref())?,
        no_new_keyring: args.no_new_keyring,
        preserve_fds: listen_fds.saturating_add(args.preserve_fds),
        listen_fds,
        listen_fd_names: listen_fd_names(),
        notify_directory,
        seccomp_receiver: seccomp_receiver(),
        terminal: terminal(args.console_socket.as_deref(), until)?,
        cgroups_disabled: global.cgroup_manager == CgroupManager::Disabled,
        systemd_cgroup: uses_systemd(global),
    };
    let config = libcontainer::read_config(&request.bundle, &configuration(&args.config))?;
    // What the caller leaked to us is not the container's.
    libcontainer::seal_descriptors(request.preserve_fds)?;
    tracing::debug!("decode the configuration");
    let spec = plan::spec::load(&config).map_err(Error::Config)?;
    tracing::debug!("probe the machine");
    let systemd = request.systemd_cgroup && !request.cgroups_disabled;
    let host = libcontainer::host::probe_for(global.rootless.said(), systemd)?;
    tracing::debug!("plan");
    let plan = plan::build(&spec, &request, &host).map_err(Error::Config)?;
    for warning in &plan.warnings {
        tracing::warn!("{}: {}", warning.path, warning.text);
    }
    let options = CreateOptions {
        config,
        pid_file: args.pid_file.filter(|path| !path.is_empty()),
        console_socket: args.console_socket,
        pidfd_socket: args.pidfd_socket.filter(|path| !path.is_empty()),
        notify_socket,
    };
    tracing::debug!("open the state directory");
    let store = Store::open_or_make(&root)?;
    Ok(Prepared {
        store,
        plan,
        options,
    })
}

/// `--config`: a file from where the caller is, as crun has it, or one of the bundle. The
/// default is always the bundle's.
pub fn configuration(file: &str) -> Cow<'_, str> {
    let here = Path::new(file);
    if file == DEFAULT_CONFIG || here.is_absolute() || !here.exists() {
        return Cow::Borrowed(file);
    }
    let absolute = std::path::absolute(here);
    absolute.map_or(Cow::Borrowed(file), |path| {
        Cow::Owned(path.to_string_lossy().into_owned())
    })
}

const DEFAULT_CONFIG: &str = "config.json";

/// Two options say the same.
pub fn uses_systemd(global: &Global) -> bool {
    global.systemd_cgroup || global.cgroup_manager == CgroupManager::Systemd
}

/// Who will hold the other side of a terminal, should one be wanted.
///
/// # Errors
/// A socket that nothing would come over.
pub fn terminal(console_socket: Option<&str>, until: Until) -> Result<TerminalHost, CommandError> {
    match (console_socket, until) {
        (None, Until::Ended) => Ok(TerminalHost::Foreground),
        (None, _) => Ok(TerminalHost::None),
        (Some(_), Until::Ended) => Err(CommandError::Argument {
            argument: "--console-socket",
            problem: "cannot use console socket if corten will not detach or allocate tty \
                      (in the foreground the caller's own is used; give --detach)"
                .to_owned(),
        }),
        (Some(_), _) => Ok(TerminalHost::Socket),
    }
}

/// The service manager that waits for the container's program (sd_notify(3)).
pub fn notify_socket() -> Option<String> {
    let socket = std::env::var("NOTIFY_SOCKET").ok();
    socket.filter(|socket| !socket.is_empty())
}

/// Where a writable layer over the root goes, if one is wanted.
fn overlay(in_memory: bool, directory: Option<&str>) -> Result<Option<Overlay>, CommandError> {
    match directory {
        Some(directory) => {
            let path = libcontainer::make_overlay_directory(directory)?;
            Ok(Some(Overlay::Directory(path)))
        }
        None => Ok(in_memory.then_some(Overlay::Memory)),
    }
}

fn notify_directory(root: &str, id: &str) -> Result<String, CommandError> {
    let root = std::path::absolute(root).map_err(|source| CommandError::File {
        argument: "--root",
        doing: "resolve",
        path: root.to_owned(),
        source,
    })?;
    Ok(Store::notify_directory(&root.to_string_lossy(), id))
}

/// Number of sockets that a service manager passed to us (sd_listen_fds(3)): from
/// descriptor 3 on, meant for us only if `LISTEN_PID` is our own.
pub fn listen_fds() -> u32 {
    let number = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    match (number("LISTEN_FDS"), number("LISTEN_PID")) {
        (Some(fds), Some(pid)) if pid == std::process::id() => fds,
        _ => 0,
    }
}

/// An agent for seccomp profiles that ask one and name none.
pub(super) fn seccomp_receiver() -> Option<String> {
    let path = std::env::var("RUN_OCI_SECCOMP_RECEIVER").ok();
    path.filter(|path| !path.is_empty())
}

/// What a service manager calls them.
pub fn listen_fd_names() -> Option<String> {
    let names = std::env::var("LISTEN_FDNAMES").ok();
    names.filter(|names| !names.is_empty())
}

#[cfg(test)]
mod tests {
    use plan::TerminalHost;

    use super::{Until, terminal};

    #[test]
    fn a_console_socket_needs_somebody_to_leave() {
        let socket = Some("/s");
        assert_eq!(
            terminal(socket, Until::Started).ok(),
            Some(TerminalHost::Socket)
        );
        assert_eq!(
            terminal(None, Until::Ended).ok(),
            Some(TerminalHost::Foreground)
        );
        assert_eq!(
            terminal(None, Until::Created).ok(),
            Some(TerminalHost::None)
        );
        assert!(terminal(socket, Until::Ended).is_err());
    }
}
