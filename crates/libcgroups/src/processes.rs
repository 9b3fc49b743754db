//! Who is inside, and how to get inside.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kernel::fs;

use crate::directory::{Place, is_gone, read_text};
use crate::{Cgroup, CgroupError};

/// Hierarchies that know a container's processes, the best informed first.
const V1_PREFERENCE: [&str; 4] = ["freezer", "devices", "pids", "memory"];

impl Cgroup {
    /// The v2 directory of a cgroup that [`crate::create`] made, for
    /// `CLONE_INTO_CGROUP`; `None` where there is no v2 hierarchy. A process that
    /// is born inside costs nothing; moving one into a v2 cgroup waits for an RCU
    /// grace period, up to 11 ms on an idle machine.
    pub fn directory_for_clone(&self) -> Option<BorrowedFd<'_>> {
        self.v2().and_then(|place| self.fd(place).ok())
    }

    /// [`Cgroup::directory_for_clone`] of a cgroup that was named with
    /// [`Cgroup::open`]: it may have gone, and whoever joins it must know.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn directory_to_join(&self) -> Result<Option<BorrowedFd<'_>>, CgroupError> {
        self.v2()
            .map(|place| self.fd(place))
            .transpose()
            .map_err(CgroupError::at_path)
    }

    /// `tasks` of each v1 hierarchy, open for writing. The child, which must have
    /// one thread, writes `0` to each: unlike `cgroup.procs`, `tasks` moves a
    /// thread without waiting for all others of the machine. Since Linux 5.16 the
    /// kernel asks for the rights of who opened the file, not of who writes.
    ///
    /// # Errors
    /// Those of openat(2).
    pub fn tasks_files(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        let v1 = self.places.iter().filter(|place| !place.directory.v2);
        let open = |place: &Place| {
            let opened = fs::open_at(
                self.fd(place)?,
                "tasks",
                fs::OFlags::WRONLY | fs::OFlags::NOFOLLOW,
            );
            opened.map_err(|e| self.located(place, e))
        };
        v1.map(|place| open(place).map_err(CgroupError::at_path))
            .collect()
    }

    /// Every process of the cgroup and of those below it, sorted. On a hybrid
    /// host the v2 directory and a v1 one are both asked.
    ///
    /// # Errors
    /// Those of reading; a cgroup that does not exist holds nobody.
    pub fn pids(&self) -> Result<Vec<i32>, CgroupError> {
        let mut pids = Vec::new();
        for place in self.v2().into_iter().chain(self.v1_with_processes()) {
            if let Some(dir) = self.existing(place)? {
                pids_below(dir, &mut pids).map_err(|e| self.located(place, e))?;
            }
        }
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// The v1 directory to ask for processes.
    pub(crate) fn v1_with_processes(&self) -> Option<&Place> {
        let preferred = V1_PREFERENCE
            .iter()
            .find_map(|controller| self.v1(controller));
        preferred.or_else(|| self.places.iter().find(|place| !place.directory.v2))
    }
}

/// Adds the processes of a directory and of all below it. What goes away
/// meanwhile holds nobody.
pub(crate) fn pids_below(dir: BorrowedFd<'_>, pids: &mut Vec<i32>) -> kernel::Result<()> {
    match read_text(dir, "cgroup.procs") {
        // Processes of other pid namespaces are shown as 0.
        Ok(text) => pids.extend(
            text.lines()
                .filter_map(|l| l.parse::<i32>().ok())
                .filter(|p| *p > 0),
        ),
        Err(e) if is_gone(e.errno()) => return Ok(()),
        // A threaded cgroup has no processes of its own: its root lists them.
        Err(e) if e.errno() == kernel::Errno::OPNOTSUPP => {}
        Err(e) => return Err(e),
    }
    for child in children(dir)? {
        match fs::open_directory_at(dir, &child) {
            Ok(child) => pids_below(child.as_fd(), pids)?,
            Err(e) if is_gone(e.errno()) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The names of the cgroups directly below.
pub(crate) fn children(dir: BorrowedFd<'_>) -> kernel::Result<Vec<String>> {
    let entries = match fs::read_directory(dir) {
        Err(e) if is_gone(e.errno()) => return Ok(Vec::new()),
        entries => entries?,
    };
    let directories = entries
        .into_iter()
        .filter(|(_, kind)| *kind == fs::FileKind::Directory);
    Ok(directories.map(|(name, _)| name).collect())
}
