//! Making a container's directories.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use kernel::{Errno, Error, fs};
use plan::cgroup::CgroupPlan;

use crate::directory::{Place, above, is_gone, names, open_in, open_mount, read_text};
use crate::processes::pids_below;
use crate::{Cgroup, CgroupError, diagnose, freeze};

type Result<T> = std::result::Result<T, CgroupError>;

/// Makes the directories of a plan and enables the controllers it needs. A
/// directory may exist already if nothing runs in it.
///
/// # Errors
/// Those of mkdir(2); `EBUSY` for a cgroup that holds processes or is frozen.
/// What was made until then is removed again.
pub fn create(plan: &CgroupPlan) -> Result<Cgroup> {
    let mut tries = 0;
    loop {
        let cgroup = Cgroup::open(&plan.directories, &plan.path);
        let mut made = Vec::new();
        let error = match make_all(&cgroup, &mut made) {
            Ok(()) => return Ok(cgroup),
            Err(error) => error,
        };
        undo(&made);
        tries += 1;
        // Another create that failed took back a directory that we were about to
        // use: the directories above are shared.
        if !is_gone(error.source.errno()) || tries == TRIES {
            return Err(error);
        }
    }
}

/// How often others may take a shared directory away.
const TRIES: usize = 100;

/// A directory made here.
struct Made {
    parent: Rc<OwnedFd>,
    name: String,
}

/// Best effort: a directory somebody else uses by now stays.
fn undo(made: &[Made]) {
    for made in made.iter().rev() {
        if let Err(error) = fs::remove_directory_at(made.parent.as_fd(), &made.name) {
            tracing::debug!(%error, "left behind");
        }
    }
}

/// What lies beside a scope of systemd: the directories of a plan that are missing, in
/// hierarchies that systemd does not manage. `pid`, which must have one thread, is
/// moved into all of them; where it is already, that is all there is to do.
pub(crate) fn beside(plan: &CgroupPlan, pid: i32) -> Result<Cgroup> {
    let cgroup = Cgroup::open(&plan.directories, &plan.path);
    let mut made = Vec::new();
    let done = join_all(&cgroup, pid, &mut made);
    if done.is_err() {
        undo(&made);
    }
    done.map(|()| cgroup)
}

fn join_all(cgroup: &Cgroup, pid: i32, made: &mut Vec<Made>) -> Result<()> {
    for place in &cgroup.places {
        let is_there = cgroup.existing(place)?.is_some();
        if !is_there || !place.directory.v2 {
            make_one(cgroup, place, Leaf::OfTheUnit, made)?;
            let file = if place.directory.v2 {
                "cgroup.procs"
            } else {
                "tasks"
            };
            let dir = cgroup.fd(place)?;
            let located = |e| CgroupError::at_path(cgroup.located(place, e));
            fs::write_value_at(dir, file, &pid.to_string()).map_err(located)?;
        }
    }
    cgroup.enable_controllers()
}

/// What the last directory of a path is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaf {
    /// The container's alone: nobody may be in it.
    Fresh,
    /// systemd has made it, or may have, and put the container's init there.
    OfTheUnit,
}

fn make_all(cgroup: &Cgroup, made: &mut Vec<Made>) -> Result<()> {
    for place in &cgroup.places {
        let chain = make_one(cgroup, place, Leaf::Fresh, made)?;
        if !place.directory.enable.is_empty() {
            enable(cgroup, place, &chain)?;
        }
    }
    Ok(())
}

/// Makes one directory with all above it; returns those above it that were looked at:
/// all, the root first, where any of them may have to be changed.
fn make_one(
    cgroup: &Cgroup,
    place: &Place,
    leaf: Leaf,
    made: &mut Vec<Made>,
) -> Result<Vec<Rc<OwnedFd>>> {
    let located = |e: Error| CgroupError::at_path(cgroup.located(place, e));
    let copies_sets = place.directory.controllers.iter().any(|c| c == "cpuset");
    let names = names(&cgroup.path).map_err(CgroupError::at_path)?;
    let (mut chain, first) = start(place, &cgroup.path, &names)?;
    for (depth, name) in names.iter().enumerate().skip(first) {
        let Some(parent) = chain.last() else { break };
        let is_last = depth + 1 == names.len();
        let (child, is_new) = make_below(parent, name, is_last, made).map_err(|e| {
            let hint = diagnose::directory(e.errno());
            located(e).hint(hint)
        })?;
        if is_last && !is_new && leaf == Leaf::Fresh {
            refuse_used(child.as_fd(), place.directory.v2)?;
        }
        if copies_sets {
            copy_sets(parent.as_fd(), child.as_fd(), is_new && !is_last).map_err(located)?;
        }
        chain.push(Rc::new(child));
    }
    // Nobody else holds the last one.
    if let Some(leaf) = chain.pop().and_then(Rc::into_inner) {
        let _ = place.fd.set(leaf);
    }
    if let Some(parent) = chain.last() {
        let _ = place.parent.set(Rc::clone(parent));
    }
    Ok(chain)
}

/// Where the walk begins, and with which name: just above the container's directory if
/// that exists, as it usually does, and nothing is to be changed on the way there.
fn start(place: &Place, path: &str, names: &[&str]) -> Result<(Vec<Rc<OwnedFd>>, usize)> {
    let directory = &place.directory;
    let whole = directory.controllers.iter().any(|c| c == "cpuset") || !directory.enable.is_empty();
    if !whole && let Ok(parent) = open_in(directory, above(path)) {
        return Ok((vec![Rc::new(parent)], names.len().saturating_sub(1)));
    }
    Ok((vec![Rc::new(open_mount(directory)?)], 0))
}

/// Opens or makes `name`. The container's own directory is usually missing, the
/// ones above it usually there.
fn make_below(
    parent: &Rc<OwnedFd>,
    name: &str,
    make_first: bool,
    made: &mut Vec<Made>,
) -> kernel::Result<(OwnedFd, bool)> {
    if !make_first {
        match fs::open_directory_at(parent.as_fd(), name) {
            Err(e) if e.errno() == Errno::NOENT => {}
            found => return found.map(|fd| (fd, false)),
        }
    }
    let is_new = match fs::make_directory_at(parent.as_fd(), name, 0o755) {
        Ok(()) => {
            made.push(Made {
                parent: Rc::clone(parent),
                name: name.to_owned(),
            });
            true
        }
        Err(e) if e.errno() == Errno::EXIST => false,
        Err(e) => return Err(e),
    };
    Ok((fs::open_directory_at(parent.as_fd(), name)?, is_new))
}

/// A container in a cgroup with strangers would share its limits with them, and
/// end them when it ends.
fn refuse_used(dir: BorrowedFd<'_>, v2: bool) -> Result<()> {
    let busy = |detail: String| {
        let error = Error::new(Errno::BUSY, "container's cgroup").with_detail(detail);
        Err(CgroupError::at_path(error))
    };
    let mut pids = Vec::new();
    pids_below(dir, &mut pids)?;
    if !pids.is_empty() {
        return busy(format!(
            "container's cgroup is not empty: {} process(es) found",
            pids.len()
        ));
    }
    if freeze::is_frozen_itself(dir, v2)? {
        return busy("container's cgroup unexpectedly frozen".to_owned());
    }
    Ok(())
}

/// v1 only: a new cpuset is empty, and no process can join it (ENOSPC).
fn copy_sets(
    parent: BorrowedFd<'_>,
    child: BorrowedFd<'_>,
    for_children: bool,
) -> kernel::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if read_text(child, file)?.trim().is_empty() {
            fs::write_value_at(child, file, read_text(parent, file)?.trim())?;
        }
    }
    if for_children {
        // The kernel copies the sets of this directory to each made below it.
        fs::write_value_at(child, "cgroup.clone_children", "1")?;
    }
    Ok(())
}

impl Cgroup {
    /// Enables the controllers that the directories name, in a cgroup that exists.
    ///
    /// # Errors
    /// Those of writing `cgroup.subtree_control` of the cgroups above.
    pub(crate) fn enable_controllers(&self) -> Result<()> {
        for place in &self.places {
            if place.directory.enable.is_empty() {
                continue;
            }
            let mut names = names(&self.path)?;
            names.pop();
            let mut chain = vec![Rc::new(open_mount(&place.directory)?)];
            for name in names {
                let Some(parent) = chain.last() else { break };
                let child = fs::open_directory_at(parent.as_fd(), name)
                    .map_err(|e| self.located(place, e))?;
                chain.push(Rc::new(child));
            }
            enable(self, place, &chain)?;
        }
        Ok(())
    }
}

/// v2: a controller works in a directory when every directory above enabled it.
/// Each is asked first: a write that changes nothing still walks every cgroup of
/// the host.
fn enable(cgroup: &Cgroup, place: &Place, chain: &[Rc<OwnedFd>]) -> Result<()> {
    let wanted = &place.directory.enable;
    let file = "cgroup.subtree_control";
    let missing = |dir: &Rc<OwnedFd>| -> kernel::Result<String> {
        let enabled = read_text(dir.as_fd(), file)?;
        let missing = wanted
            .iter()
            .filter(|c| !enabled.split_whitespace().any(|e| e == *c));
        Ok(missing
            .map(|c| format!("+{c}"))
            .collect::<Vec<_>>()
            .join(" "))
    };
    // What a directory has, those above it have too.
    if chain
        .last()
        .is_some_and(|parent| missing(parent).is_ok_and(|m| m.is_empty()))
    {
        return Ok(());
    }
    for dir in chain {
        let missing = missing(dir)?;
        if !missing.is_empty() {
            fs::write_value_at(dir.as_fd(), file, &missing).map_err(|e| {
                let hint = diagnose::enable(dir.as_fd(), e.errno());
                CgroupError::new(cgroup.located(place, e)).hint(hint)
            })?;
        }
    }
    Ok(())
}
