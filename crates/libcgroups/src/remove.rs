//! Taking a container's directories away.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use kernel::{Errno, Error, fs};

use crate::directory::{Place, above, is_gone, names, open_in};
use crate::processes::{children, pids_below};
use crate::wait::{self, Backoff};
use crate::{Cgroup, CgroupError};

/// Killed processes leave their cgroup when their memory is torn down.
const PATIENCE: Duration = Duration::from_secs(5);

impl Cgroup {
    /// Removes the directories and all the container made below them. Never
    /// anything above: what was made on the way there is shared with others.
    /// All hierarchies are tried before the first error is returned.
    ///
    /// # Errors
    /// `EBUSY` when processes stay inside for five seconds. What does not exist
    /// is removed already.
    pub fn remove(&self) -> Result<(), CgroupError> {
        // v2 first: it tells when the last process is gone, and then none is
        // left in the v1 hierarchies either.
        let v2_first = self.places.iter().rev();
        let deadline = Instant::now() + PATIENCE;
        let mut first_error = None;
        for place in v2_first {
            if let Err(error) = self.remove_place(place, deadline) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn remove_place(&self, place: &Place, deadline: Instant) -> Result<(), CgroupError> {
        let Some((parent, name)) = self.parent(place)? else {
            return Ok(());
        };
        match fs::remove_directory_at(parent.as_fd(), name) {
            Err(e) if e.errno() == Errno::BUSY => {}
            Err(e) if !is_gone(e.errno()) => return Err(self.located(place, e).into()),
            _ => return Ok(()),
        }
        let dir = match fs::open_directory_at(parent.as_fd(), name) {
            Err(e) if is_gone(e.errno()) => return Ok(()),
            dir => dir?,
        };
        let removed = remove_patiently(
            (parent.as_fd(), name),
            dir.as_fd(),
            place.directory.v2,
            deadline,
        );
        removed.map_err(|e| {
            let mut pids = Vec::new();
            let _ = pids_below(dir.as_fd(), &mut pids);
            let hint = (!pids.is_empty()).then(|| format!("processes inside: {}", some(&pids)));
            CgroupError::new(self.located(place, e)).hint(hint)
        })
    }

    /// The directory above and the name in it.
    fn parent<'a>(&'a self, place: &Place) -> kernel::Result<Option<(Rc<OwnedFd>, &'a str)>> {
        let names = names(&self.path)?;
        let Some(last) = names.last() else {
            return Ok(None);
        };
        if let Some(parent) = place.parent.get() {
            return Ok(Some((Rc::clone(parent), last)));
        }
        match open_in(&place.directory, above(&self.path)) {
            Err(e) if is_gone(e.errno()) => Ok(None),
            Err(e) => Err(e),
            Ok(fd) => Ok(Some((Rc::new(fd), last))),
        }
    }
}

fn some(pids: &[i32]) -> String {
    let shown: Vec<_> = pids.iter().take(5).map(i32::to_string).collect();
    let more = if pids.len() > shown.len() {
        ", ..."
    } else {
        ""
    };
    format!("{}{more}", shown.join(", "))
}

/// EBUSY means cgroups below (the container's own) or processes that are not
/// gone yet.
fn remove_patiently(
    (parent, name): (BorrowedFd<'_>, &str),
    dir: BorrowedFd<'_>,
    v2: bool,
    deadline: Instant,
) -> kernel::Result<()> {
    let mut backoff = Backoff::until(deadline);
    loop {
        if v2 && !wait::event(dir, "populated", 0, deadline)? {
            return Err(Error::new(Errno::BUSY, format!("rmdir({name:?})")));
        }
        remove_below(dir)?;
        match fs::remove_directory_at(parent, name) {
            Err(e) if e.errno() == Errno::BUSY => {
                if !backoff.wait()? {
                    return Err(e);
                }
            }
            Err(e) if !is_gone(e.errno()) => return Err(e),
            _ => return Ok(()),
        }
    }
}

/// Bottom up; a busy one is left for the next round.
fn remove_below(dir: BorrowedFd<'_>) -> kernel::Result<()> {
    for name in children(dir)? {
        match fs::open_directory_at(dir, &name) {
            Ok(child) => remove_below(child.as_fd())?,
            Err(e) if is_gone(e.errno()) => continue,
            Err(e) => return Err(e),
        }
        match fs::remove_directory_at(dir, &name) {
            Err(e) if e.errno() != Errno::BUSY && !is_gone(e.errno()) => return Err(e),
            _ => {}
        }
    }
    Ok(())
}
