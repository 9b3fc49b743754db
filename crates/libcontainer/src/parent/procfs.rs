//! A procfs of a joined pid namespace.
//!
//! A procfs shows the pid namespace of the process that makes it, and init never
//! is in a joined one: it builds from outside. So a sealed stub goes in, makes the
//! file system, and waits until its descriptor was fetched. Strangers in there see
//! the stub and a socket, nothing of the host (CVE-2019-5736, CVE-2016-9962).
//!
//! ```text
//! corten ──fork, exec──► stub: setns(pid) ──clone(CLONE_PARENT)──► fsopen, fsmount
//!    ◄──── Forked{pid}, Result{descriptor}, pidfd_getfd ──────────┘ leaves at end of file
//! ```

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use kernel::mount::{self, FsContext};
use kernel::process::Forked;
use kernel::procfs::Procfs;
use kernel::stub::{Message, Script};
use kernel::{Errno, memfd, pidfd, process, socket};
use plan::FsParameter;

use crate::sync::{Channel, Received};

/// Makes it; the result is a detached mount.
pub(super) fn open(
    pid_namespace: BorrowedFd<'_>,
    parameters: &[FsParameter],
) -> kernel::Result<OwnedFd> {
    let (ours, theirs) = socket::seqpacket_pair()?;
    let script = script(&theirs, pid_namespace, parameters);
    let image = memfd::sealed_memfd("corten-stub", &[&script.assemble()?])?;
    let Forked::Parent { pidfd: outer, .. } = process::fork()? else {
        become_stub(&image, &[theirs.as_fd(), pid_namespace]);
    };
    drop(theirs);
    let channel = Channel::new(ours);
    // The one inside may speak before the one outside has told of it.
    let (mut inner, mut made) = (None, None);
    let fetched = loop {
        match channel.receive()? {
            Received::Stub(Message::Forked { pid }) => {
                pidfd::wait(outer.as_fd())?;
                inner = Some(super::open_child(pid)?);
            }
            Received::Stub(Message::Result { value, .. }) => made = Some(value),
            Received::Stub(Message::Failed { call, errno, .. }) => {
                let name = script.call_names().get(call).copied();
                break Err(kernel::Error::new(errno, name.unwrap_or("stub")));
            }
            _ => break Err(kernel::Error::new(Errno::CHILD, "make a procfs")),
        }
        if let (Some(inner), Some(number)) = (&inner, made) {
            break pidfd::get_fd(inner.as_fd(), number);
        }
    };
    // The end of the conversation is its sign to leave.
    drop(channel);
    pidfd::wait(inner.as_ref().unwrap_or(&outer).as_fd())?;
    // Strangers were in there with the stub.
    Procfs::verify(fetched?).map(Procfs::into_fd)
}

fn script(socket: &OwnedFd, pid_namespace: BorrowedFd<'_>, parameters: &[FsParameter]) -> Script {
    let number = |fd: BorrowedFd<'_>| fd.as_raw_fd().cast_unsigned();
    let options: Vec<(&str, Option<&str>)> = parameters
        .iter()
        .map(|p| (p.key.as_str(), p.value.as_deref()))
        .collect();
    let mut script = Script::new(number(socket.as_fd()), None);
    script.die_with_parent(0);
    script.hide_from_tracers(0);
    script.join_pid_namespace(0, number(pid_namespace));
    script.fork_into_pid_namespace(0);
    script.die_with_parent(0);
    script.make_procfs(0, &options);
    script.await_parent(0);
    script
}

/// The child: nothing of it is left after this.
fn become_stub(image: &OwnedFd, kept: &[BorrowedFd<'_>]) -> ! {
    let ready =
        leave_the_host().and_then(|()| kept.iter().try_for_each(|fd| process::keep_on_exec(*fd)));
    if ready.is_ok()
        && let Ok(argv) = process::c_strings(&["corten-stub"])
    {
        process::execute_fd(image.as_fd(), &argv, &[]);
    }
    // The parent sees the end of the conversation.
    process::exit_now(1)
}

/// The stub's root and working directory can be entered through /proc by whoever may
/// trace it, and `..` leads from any directory of the host to all of it. So both
/// become an empty file system that is attached nowhere.
fn leave_the_host() -> kernel::Result<()> {
    let empty = FsContext::open("tmpfs")?;
    empty.create()?;
    let empty = empty.mount(mount::MOUNT_ATTR_RDONLY)?;
    mount::change_directory(empty.as_fd())?;
    mount::chroot_here()
}
