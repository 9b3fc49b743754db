//! Maps of ids: of the container's user namespace, and of idmapped mounts.

use std::os::fd::{AsFd, OwnedFd};

use kernel::process::{Clone3, ExitStatus, Forked};
use kernel::procfs::Procfs;
use kernel::spawn::{Command, run_command};
use kernel::{Errno, fs, namespace, pidfd, process, socket};
use plan::{IdMapRight, IdMapping};

use super::hooks::{describe_end, last_words};

/// Where distributions install newuidmap(1) and newgidmap(1). `PATH` is not asked:
/// engines call with an environment that has none.
const HELPER_DIRECTORIES: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

/// A user namespace with these maps, in which nobody lives: a process is born in it,
/// waits until the maps are written and the namespace is open, and leaves. It is on
/// the host and stays who it was there: no container can see or trace it.
pub(super) fn make_user_namespace(
    uids: &[IdMapping],
    gids: &[IdMapping],
) -> kernel::Result<OwnedFd> {
    let (ours, theirs) = socket::seqpacket_pair()?;
    let clone = Clone3 {
        namespaces: namespace::NEW_USER,
        ..Clone3::default()
    };
    let Forked::Parent { pid, pidfd } = process::clone3(&clone)? else {
        drop(ours);
        // Until the other end is closed, be it because the parent has died.
        let _ = socket::receive(theirs.as_fd(), &mut [0; 1]);
        process::exit_now(0);
    };
    drop(theirs);
    let made = write(pid, false, uids, IdMapRight::Capability)
        .and_then(|()| write(pid, true, gids, IdMapRight::Capability))
        // A magic link, which the private procfs does not follow.
        .and_then(|()| fs::open_read(&format!("/proc/{pid}/ns/user")));
    drop(ours);
    pidfd::wait(pidfd.as_fd())?;
    made
}

/// `/proc/<pid>/uid_map` or `gid_map`, in one write as the kernel demands.
pub(super) fn write(
    pid: i32,
    groups: bool,
    map: &[IdMapping],
    by: IdMapRight,
) -> kernel::Result<()> {
    if by == IdMapRight::Helper {
        return ask_helper(pid, groups, map);
    }
    let proc = Procfs::host()?;
    let lines: String = map
        .iter()
        .map(|m| format!("{} {} {}\n", m.container_id, m.host_id, m.size))
        .collect();
    if groups && by == IdMapRight::OwnId {
        proc.write(&format!("{pid}/setgroups"), "deny")?;
    }
    let file = if groups { "gid_map" } else { "uid_map" };
    proc.write(&format!("{pid}/{file}"), &lines)
}

/// `newuidmap pid container-id host-id size...`: a program with the file capability
/// or the set-user-ID bit that we lack.
fn ask_helper(pid: i32, groups: bool, map: &[IdMapping]) -> kernel::Result<()> {
    let name = if groups { "newgidmap" } else { "newuidmap" };
    let candidates = HELPER_DIRECTORIES.map(|directory| format!("{directory}/{name}"));
    let Some(path) = candidates.iter().find(|path| fs::stat_path(path).is_ok()) else {
        let missing = kernel::Error::new(Errno::NOENT, format!("execve({name})"));
        return Err(missing.with_detail(format!("{name} is not installed (Debian: uidmap)")));
    };
    let numbers = map
        .iter()
        .flat_map(|m| [m.container_id, m.host_id, m.size])
        .map(|number| number.to_string());
    let command = Command {
        path: path.clone(),
        args: [name.to_owned(), pid.to_string()]
            .into_iter()
            .chain(numbers)
            .collect(),
        ..Command::default()
    };
    let finished = run_command(&command)?;
    if finished.status == ExitStatus::Code(0) {
        return Ok(());
    }
    let refused = kernel::Error::new(Errno::PERM, format!("{name} {pid}"));
    let (how, output) = (describe_end(&finished, None), last_words(&finished.output));
    Err(refused.with_detail(format!("{name} {how}{output}")))
}
