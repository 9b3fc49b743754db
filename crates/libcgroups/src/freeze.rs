//! Stopping a cgroup's processes where they are, and letting them go on.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use kernel::{Errno, Error, fs};
use plan::cgroup::CgroupDirectory;

use crate::directory::{Place, is_gone, open_file_in, read_text};
use crate::wait::{self, Backoff};
use crate::{Cgroup, CgroupError};

/// A process in the middle of a vfork or of slow I/O freezes late.
const PATIENCE: Duration = Duration::from_secs(10);

type Result<T> = std::result::Result<T, CgroupError>;

impl Cgroup {
    /// Freezes all processes, and returns when all are frozen. v2 does it where
    /// it is mounted at all (it tells when it is done), v1 otherwise.
    ///
    /// # Errors
    /// `EBUSY` when some process would not freeze within ten seconds; they all go
    /// on then. `ENODEV` without a v2 hierarchy and without a v1 freezer.
    pub fn freeze(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let (place, done) = match (self.v2(), self.v1("freezer")) {
            (Some(v2), _) => (v2, self.freeze_v2(v2, deadline)?),
            (None, Some(v1)) => (v1, self.freeze_v1(v1, deadline)?),
            (None, None) => {
                let error = Error::new(Errno::NODEV, "freeze");
                return Err(error
                    .with_detail("no cgroup v2 and no v1 freezer hierarchy")
                    .into());
            }
        };
        if done {
            return Ok(());
        }
        self.thaw()?;
        let error = Error::new(Errno::BUSY, "freeze").with_detail("some process would not freeze");
        Err(self.located(place, error).into())
    }

    fn freeze_v2(&self, place: &Place, deadline: Instant) -> Result<bool> {
        let located = |e| self.located(place, e);
        let dir = self.fd(place)?;
        fs::write_value_at(dir, "cgroup.freeze", "1").map_err(located)?;
        Ok(wait::event(dir, "frozen", 1, deadline).map_err(located)?)
    }

    fn freeze_v1(&self, place: &Place, deadline: Instant) -> Result<bool> {
        let located = |e| self.located(place, e);
        let dir = self.fd(place)?;
        let mut backoff = Backoff::until(deadline);
        loop {
            // Written again each time: a process that was forked meanwhile is
            // only frozen by another round.
            fs::write_value_at(dir, "freezer.state", "FROZEN").map_err(located)?;
            if read_text(dir, "freezer.state").map_err(located)?.trim() == "FROZEN" {
                return Ok(true);
            }
            if !backoff.wait()? {
                return Ok(false);
            }
        }
    }

    /// Lets all processes go on. Those that do not exist any more need not.
    ///
    /// # Errors
    /// Those of writing.
    pub fn thaw(&self) -> Result<()> {
        let files = [
            (self.v2(), "cgroup.freeze", "0"),
            (self.v1("freezer"), "freezer.state", "THAWED"),
        ];
        for (place, file, value) in files {
            let Some(place) = place else { continue };
            let Some(dir) = self.existing(place)? else {
                continue;
            };
            match fs::write_value_at(dir, file, value) {
                Err(e) if !is_gone(e.errno()) => return Err(self.located(place, e).into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether this cgroup was frozen, itself and not by one above it.
    ///
    /// # Errors
    /// Those of reading; what does not exist is not frozen.
    pub fn is_frozen(&self) -> Result<bool> {
        for place in &self.places {
            if is_frozen_in(&place.directory, &self.path).map_err(|e| self.located(place, e))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// [`Cgroup::is_frozen`] of one that nothing else is asked of.
///
/// # Errors
/// As there.
pub fn is_frozen(directories: &[CgroupDirectory], path: &str) -> Result<bool> {
    for directory in directories {
        if is_frozen_in(directory, path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// By the path of the one file: it is read for every container of a host.
fn is_frozen_in(directory: &CgroupDirectory, path: &str) -> kernel::Result<bool> {
    if !directory.v2 && !directory.controllers.iter().any(|name| name == "freezer") {
        return Ok(false);
    }
    let file = open_file_in(directory, path, file_of(directory.v2));
    answer(file.and_then(|file| says_frozen(file.as_fd())))
}

/// [`Cgroup::is_frozen`] of an open directory.
pub(crate) fn is_frozen_itself(dir: BorrowedFd<'_>, v2: bool) -> kernel::Result<bool> {
    let file = fs::open_read_at(dir, file_of(v2));
    answer(file.and_then(|file| says_frozen(file.as_fd())))
}

/// The wish, not the effect: `cgroup.events` and `freezer.state` also tell of
/// frozen parents.
const fn file_of(v2: bool) -> &'static str {
    if v2 {
        "cgroup.freeze"
    } else {
        "freezer.self_freezing"
    }
}

fn says_frozen(file: BorrowedFd<'_>) -> kernel::Result<bool> {
    // A digit and a newline.
    let mut buffer = [0; 8];
    let length = fs::read(file, &mut buffer)?;
    Ok(buffer.get(..length).unwrap_or_default().trim_ascii() == b"1")
}

/// What is gone is not frozen.
fn answer(read: kernel::Result<bool>) -> kernel::Result<bool> {
    match read {
        Err(e) if is_gone(e.errno()) => Ok(false),
        read => read,
    }
}
