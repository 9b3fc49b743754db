//! Before the clone: everything that init inherits is opened, on the host, with
//! the caller's rights, while no code of the container exists.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use kernel::{Errno, fs, mount, namespace, process};
use plan::{
    ConfigPath, DeviceKind, InitOp, NamespaceKind, ParentOp, ParentPhase, Plan, Slot, Step,
};

use super::hooks::HOOK_OUTPUT_MODE;
use super::{failed, id_map, procfs, steps_of};
use crate::error::{Doing, Result};

/// The descriptors init inherits, by [`Slot`].
#[derive(Default)]
pub(crate) struct Slots(Vec<Option<OwnedFd>>);

impl Slots {
    /// Fills a slot.
    pub(crate) fn put(&mut self, slot: Slot, fd: OwnedFd) {
        if self.0.len() <= slot.0 {
            self.0.resize_with(slot.0 + 1, || None);
        }
        if let Some(place) = self.0.get_mut(slot.0) {
            *place = Some(fd);
        }
    }

    /// The same descriptors as a child in our memory owns them, in a table of its own.
    pub(crate) fn in_child(&self) -> kernel::Result<Self> {
        let own = |fd: &Option<OwnedFd>| {
            let number = fd.as_ref().map(AsRawFd::as_raw_fd);
            number.map(process::take_raw).transpose()
        };
        Ok(Self(self.0.iter().map(own).collect::<kernel::Result<_>>()?))
    }

    /// The descriptor of a slot.
    pub(crate) fn get(&self, slot: Slot) -> kernel::Result<BorrowedFd<'_>> {
        self.0
            .get(slot.0)
            .and_then(Option::as_ref)
            .map(AsFd::as_fd)
            .ok_or_else(|| kernel::Error::new(Errno::BADF, format!("slot {}", slot.0)))
    }

    /// The descriptor of a slot that has one use only.
    pub(crate) fn take(&mut self, slot: Slot) -> kernel::Result<OwnedFd> {
        self.0
            .get_mut(slot.0)
            .and_then(Option::take)
            .ok_or_else(|| kernel::Error::new(Errno::BADF, format!("slot {}", slot.0)))
    }
}

/// Carries out the phase before the clone.
pub(crate) fn open_slots(plan: &Plan) -> Result<Slots> {
    let mut slots = Slots::default();
    if plan.namespaces.parent_unshares_time {
        // Only children enter it, and only until init has been cloned.
        namespace::unshare(namespace::NEW_TIME).doing(|| "time namespace".to_owned())?;
    }
    for step in steps_of(plan, ParentPhase::BeforeClone) {
        match open(step, &mut slots).and_then(|()| keep_off_the_host(plan, step, &slots)) {
            Err(error) if error.errno() == Errno::PERM && may_be_left(plan, &step.op) => {}
            done => done.map_err(|error| failed(step, &error))?,
        }
    }
    Ok(slots)
}

/// Whether init may open this as well. Trees are cloned with CAP_SYS_ADMIN over the
/// mount namespace they are in, which a caller who is not root does not have: init has
/// it over its own one, a copy of the caller's.
fn may_be_left(plan: &Plan, op: &ParentOp) -> bool {
    plan.namespaces.is_new(NamespaceKind::Mount) && slot_of_tree(op).is_some()
}

/// The slot of an operation that clones a tree of the host.
const fn slot_of_tree(op: &ParentOp) -> Option<Slot> {
    match op {
        ParentOp::OpenRoot { slot, .. }
        | ParentOp::OpenLayer { slot, .. }
        | ParentOp::OpenMountSource { slot, .. }
        | ParentOp::OpenHostDevice { slot, .. } => Some(*slot),
        _ => None,
    }
}

/// In init's new mount namespace, before anything is changed there: opens what the
/// parent was not allowed to. The property and the reason of the first that fails.
pub(crate) fn open_left(
    plan: &Plan,
    slots: &mut Slots,
) -> std::result::Result<(), (ConfigPath, kernel::Error)> {
    for step in &plan.parent {
        if slot_of_tree(&step.op).is_some_and(|slot| slots.get(slot).is_err()) {
            open(step, slots).map_err(|error| (step.from.clone(), error))?;
        }
    }
    Ok(())
}

/// A path may lead to the host's own namespace (`/proc/1/ns/net`: the container of a
/// container that uses the host's network). Joining it is fine; what the plan would
/// then write through it is not the container's.
fn keep_off_the_host(plan: &Plan, step: &Step<ParentOp>, slots: &Slots) -> kernel::Result<()> {
    let ParentOp::OpenNamespace { slot, kind, path } = &step.op else {
        return Ok(());
    };
    let Some(writer) = plan
        .init
        .iter()
        .find(|step| writes_through(&step.op, *kind))
    else {
        return Ok(());
    };
    let Some(file) = namespace::file_name(super::clone::flag_of(*kind)) else {
        return Ok(());
    };
    let own = namespace::open_own(file)?;
    if !namespace::same_namespace(slots.get(*slot)?, own.as_fd())? {
        return Ok(());
    }
    let kind = crate::describe::word_of(*kind);
    let why = format!(
        "{path} is the host's own {kind} namespace, and {} would change the host",
        writer.from
    );
    Err(kernel::Error::new(Errno::PERM, "fstat(namespace)").with_detail(why))
}

/// Whether an operation of init changes something of a namespace of this kind.
fn writes_through(op: &InitOp, kind: NamespaceKind) -> bool {
    match (op, kind) {
        (InitOp::SetHostname(_) | InitOp::SetDomainname(_), NamespaceKind::Uts) => true,
        (InitOp::WriteSysctl { file, .. }, NamespaceKind::Network) => file.starts_with("net/"),
        (InitOp::WriteSysctl { file, .. }, NamespaceKind::Uts) => {
            file.starts_with("kernel/domainname") || file.starts_with("kernel/hostname")
        }
        (InitOp::WriteSysctl { file, .. }, NamespaceKind::Ipc) => {
            let names = ["kernel/msg", "kernel/sem", "kernel/shm", "fs/mqueue/"];
            names.iter().any(|name| file.starts_with(name))
        }
        _ => false,
    }
}

fn open(step: &Step<ParentOp>, slots: &mut Slots) -> kernel::Result<()> {
    match &step.op {
        ParentOp::OpenNamespace { slot, kind, path } => {
            slots.put(*slot, open_namespace(path, *kind)?);
        }
        ParentOp::OpenRoot { slot, path } => slots.put(*slot, open_root(path)?),
        ParentOp::OpenLayer { slot, path, owner } => slots.put(*slot, open_layer(path, *owner)?),
        ParentOp::OpenMountSource {
            slot,
            path,
            recursive,
            no_follow,
            copy_symlink,
        } => {
            if *copy_symlink {
                let source = fs::open_path_no_follow(path)?;
                if fs::stat(source.as_fd())?.kind == fs::FileKind::Symlink {
                    slots.put(*slot, source);
                    return Ok(());
                }
            }
            slots.put(*slot, mount::open_tree(path, true, *recursive, *no_follow)?);
        }
        ParentOp::OpenHostDevice {
            slot,
            path,
            kind,
            major,
            minor,
        } => slots.put(*slot, open_device(path, *kind, (*major, *minor))?),
        ParentOp::OpenProcfs {
            slot,
            pid_namespace,
            parameters,
        } => {
            let procfs = procfs::open(slots.get(*pid_namespace)?, parameters)?;
            slots.put(*slot, procfs);
        }
        ParentOp::MakeUserNamespace { slot, uids, gids } => {
            slots.put(*slot, id_map::make_user_namespace(uids, gids)?);
        }
        ParentOp::MapMount {
            tree,
            user_namespace,
            recursive,
        } => map_mount(slots.get(*tree)?, slots.get(*user_namespace)?, *recursive)?,
        ParentOp::OpenHookOutput { slot, path } => {
            slots.put(*slot, fs::append_or_create(path, HOOK_OUTPUT_MODE)?);
        }
        ParentOp::SetTimeOffset {
            clock,
            seconds,
            nanoseconds,
        } => set_time_offset(clock, *seconds, *nanoseconds)?,
        // The other phases have their own places.
        _ => {}
    }
    Ok(())
}

/// The namespace of another process, of the kind that was asked for.
fn open_namespace(path: &str, kind: NamespaceKind) -> kernel::Result<OwnedFd> {
    let fd = fs::open_read(path)?;
    // ENOTTY: no namespace at all.
    let found = namespace::namespace_type(fd.as_fd())
        .map_err(|error| error.with_detail("not the file of a namespace"))?;
    let wanted = super::clone::flag_of(kind);
    let name = |flag| namespace::file_name(flag).unwrap_or("unknown");
    let wrong = if found != wanted {
        let (found, wanted) = (name(found), name(wanted));
        format!("a namespace of the type {found}, wanted {wanted}")
    } else if kind == NamespaceKind::User
        && namespace::same_namespace(fd.as_fd(), namespace::open_own("user")?.as_fd())?
    {
        // setns(2) would say EINVAL, and only once everything else is built.
        "already the runtime's own user namespace, so there is nothing to join".to_owned()
    } else {
        return Ok(fd);
    };
    Err(kernel::Error::new(Errno::INVAL, "ioctl(NS_GET_NSTYPE)").with_detail(wrong))
}

/// The owners of a tree's files become others. A symlink that `copy-symlink`
/// will make anew is no mount.
fn map_mount(
    tree: BorrowedFd<'_>,
    user_namespace: BorrowedFd<'_>,
    recursive: bool,
) -> kernel::Result<()> {
    if fs::stat(tree)?.kind == fs::FileKind::Symlink {
        return Ok(());
    }
    mount::set_id_map(tree, recursive, user_namespace)
}

/// The root: a directory, and not one that a symlink leads to (the image's owner
/// may have put it there).
fn open_root(path: &str) -> kernel::Result<OwnedFd> {
    let found = fs::open_path_no_follow(path)?;
    match fs::stat(found.as_fd())?.kind {
        fs::FileKind::Directory => mount::open_tree(path, true, true, true),
        fs::FileKind::Symlink => Err(kernel::Error::new(Errno::LOOP, format!("open({path:?})"))
            .with_detail(format!("{path} is a symlink"))),
        _ => Err(kernel::Error::new(Errno::NOTDIR, format!("open({path:?})"))),
    }
}

/// The directory of a writable layer, made where there is none. What is below it may
/// be of a container that ran before: nothing there is followed.
fn open_layer(path: &str, owner: Option<(u32, u32)>) -> kernel::Result<OwnedFd> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    fs::make_directories(if above.is_empty() { "/" } else { above }, 0o755)?;
    let above = fs::open_directory(if above.is_empty() { "/" } else { above })?;
    match fs::make_directory_at(above.as_fd(), name, 0o700) {
        Ok(()) => {
            if let Some((uid, gid)) = owner {
                let made = fs::open_path_at(above.as_fd(), name)?;
                fs::change_owner(made.as_fd(), uid, gid)?;
            }
        }
        Err(error) if error.errno() != Errno::EXIST => return Err(error),
        Err(_) => {}
    }
    mount::open_tree(path, true, false, true)
}

/// A node of the host, verified to be the device it is taken for.
fn open_device(path: &str, kind: DeviceKind, number: (u32, u32)) -> kernel::Result<OwnedFd> {
    let node = mount::open_tree(path, true, false, true)?;
    let stat = fs::stat(node.as_fd())?;
    let wanted = match kind {
        DeviceKind::Char => fs::FileKind::Char,
        DeviceKind::Block => fs::FileKind::Block,
    };
    if stat.kind == wanted && stat.rdev == number {
        return Ok(node);
    }
    let (major, minor) = number;
    let wrong = format!("the host's {path} is not the device {major}:{minor}");
    Err(kernel::Error::new(Errno::NODEV, format!("open_tree({path:?})")).with_detail(wrong))
}

/// The next child is born in a time namespace whose clocks are shifted; they can
/// be shifted only before that (time_namespaces(7)).
fn set_time_offset(clock: &str, seconds: i64, nanoseconds: u32) -> kernel::Result<()> {
    let line = format!("{clock} {seconds} {nanoseconds}\n");
    kernel::procfs::Procfs::host()?.write("self/timens_offsets", &line)
}
