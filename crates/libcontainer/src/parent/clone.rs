//! The one `clone3`.

use std::os::fd::{AsFd, BorrowedFd};

use kernel::error::told_errno;
use kernel::process::{Clone3, Forked};
use kernel::{Errno, identity, namespace, pidfd, process, socket};
use plan::{NamespaceKind, Plan};

use super::Slots;

/// `CLONE_NEW*` of a namespace.
pub(crate) const fn flag_of(kind: NamespaceKind) -> u64 {
    match kind {
        NamespaceKind::Cgroup => namespace::NEW_CGROUP,
        NamespaceKind::Ipc => namespace::NEW_IPC,
        NamespaceKind::Mount => namespace::NEW_MOUNT,
        NamespaceKind::Network => namespace::NEW_NETWORK,
        NamespaceKind::Pid => namespace::NEW_PID,
        NamespaceKind::Time => namespace::NEW_TIME,
        NamespaceKind::User => namespace::NEW_USER,
        NamespaceKind::Uts => namespace::NEW_UTS,
    }
}

/// Clones init into its new namespaces and, on v2, into its cgroup.
///
/// A joined user namespace must own the new ones, and from a new user namespace
/// nothing of the host's could be joined any more. So what `before_clone` lists is
/// entered by a process in between, which clones init as *our* child and leaves:
///
/// ```text
/// corten ──fork──► between: setns(...) ───clone3(NEW*|CLONE_PARENT)──► init
///    ◄────────────── pid of init ┘ exits                    (child of corten)
/// ```
///
/// Init becomes root of that namespace afterwards: the kernel lets only the owner
/// of the host's cgroup directory be born into it.
pub(crate) fn clone_init(
    plan: &Plan,
    slots: &Slots,
    cgroup: Option<BorrowedFd<'_>>,
) -> kernel::Result<Forked> {
    let namespaces = plan
        .namespaces
        .clone
        .iter()
        .fold(0, |flags, kind| flags | flag_of(*kind));
    let ordinary = Clone3 {
        namespaces,
        into_cgroup: cgroup,
        parent_is_ours: false,
    };
    if !plan.namespaces.via_user_namespace {
        return process::clone3(&ordinary);
    }
    clone_from_within(plan, slots, &ordinary)
}

fn clone_from_within(plan: &Plan, slots: &Slots, ordinary: &Clone3<'_>) -> kernel::Result<Forked> {
    let (ours, theirs) = socket::seqpacket_pair()?;
    match process::fork()? {
        Forked::Parent { pidfd: between, .. } => {
            drop(theirs);
            let mut buffer = [0; 8];
            let (length, _) = socket::receive(ours.as_fd(), &mut buffer)?;
            pidfd::wait(between.as_fd())?;
            match (length, buffer) {
                (5, [0, a, b, c, d, ..]) => {
                    let pid = i32::from_ne_bytes([a, b, c, d]);
                    Ok(Forked::Parent {
                        pid,
                        pidfd: pidfd::open(pid)?,
                    })
                }
                (5, [1, a, b, c, d, ..]) => {
                    let errno = told_errno(i32::from_ne_bytes([a, b, c, d]));
                    Err(kernel::Error::new(
                        errno,
                        "setns or clone3 beside the joined namespaces",
                    ))
                }
                _ => Err(kernel::Error::new(Errno::CHILD, "setns, clone3")),
            }
        }
        Forked::Child => {
            let tell = |kind: u8, value: i32| {
                let mut packet = vec![kind];
                packet.extend_from_slice(&value.to_ne_bytes());
                // Nobody is left to tell when this fails.
                let _ = socket::send(theirs.as_fd(), &packet);
            };
            let sibling = Clone3 {
                parent_is_ours: true,
                ..*ordinary
            };
            let cloned = join_before_clone(plan, slots).and_then(|()| process::clone3(&sibling));
            match cloned {
                Ok(Forked::Child) => return Ok(Forked::Child),
                Ok(Forked::Parent { pid, .. }) => tell(0, pid),
                Err(error) => tell(1, error.errno().raw_os_error()),
            }
            process::exit_now(0)
        }
    }
}

/// Joins with the caller's privileges what they suffice for, then the user
/// namespace, and with its privileges the rest.
fn join_before_clone(plan: &Plan, slots: &Slots) -> kernel::Result<()> {
    let join = |kind, slot| {
        let fd = slots.get(slot)?;
        namespace::set_namespace(fd, flag_of(kind))
    };
    let mut refused = Vec::new();
    for &(kind, slot) in &plan.namespaces.before_clone {
        match join(kind, slot) {
            Ok(()) => {}
            Err(error) if error.errno() == Errno::PERM && kind != NamespaceKind::User => {
                refused.push((kind, slot));
            }
            Err(error) => return Err(error),
        }
    }
    refused
        .into_iter()
        .try_for_each(|(kind, slot)| join(kind, slot))
}

/// Uid 0 and gid 0 of the user namespace we are in now.
pub(crate) fn become_root() -> kernel::Result<()> {
    identity::set_ids(0, 0)
}
