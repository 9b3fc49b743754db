//! Maps of ids: of the container's user namespace, and of idmapped mounts.

use std::os::fd::{AsFd, OwnedFd};

use kernel::process::{Clone3, Forked};
use kernel::procfs::Procfs;
use kernel::{fs, namespace, pidfd, process, socket};
use plan::IdMapping;

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
    let made = write(pid, false, uids)
        .and_then(|()| write(pid, true, gids))
        // A magic link, which the private procfs does not follow.
        .and_then(|()| fs::open_read(&format!("/proc/{pid}/ns/user")));
    drop(ours);
    pidfd::wait(pidfd.as_fd())?;
    made
}

/// `/proc/<pid>/uid_map` or `gid_map`, in one write as the kernel demands.
pub(super) fn write(pid: i32, groups: bool, map: &[IdMapping]) -> kernel::Result<()> {
    let proc = Procfs::host()?;
    let lines: String = map
        .iter()
        .map(|m| format!("{} {} {}\n", m.container_id, m.host_id, m.size))
        .collect();
    if groups && kernel::identity::effective_uid() != 0 {
        // Without CAP_SETGID outside, the kernel takes a group map only once
        // setgroups(2) is off for good (user_namespaces(7), CVE-2014-8989).
        proc.write(&format!("{pid}/setgroups"), "deny")?;
    }
    let file = if groups { "gid_map" } else { "uid_map" };
    proc.write(&format!("{pid}/{file}"), &lines)
}
