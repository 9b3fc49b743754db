//! The lock of a container: commands that change it take turns.
//!
//! It is the flock(2) of the state directory, so it ends with its holder, however that
//! ends. Nobody holds it while waiting for the container's own processes to do
//! something, nor while hooks of a running container run: a container that hangs can
//! be deleted. What remains is short, or is `create` at its hooks; whoever waits
//! longer than [`PATIENCE`] is told who holds it.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use kernel::{fs, readiness};

use crate::error::{Doing, Error, Result};
use crate::store::ContainerDirectory;

/// How long a command waits for others on the same container. Killing an init takes
/// no longer, nor does freezing a container.
const PATIENCE: Duration = Duration::from_secs(10);

/// /proc/locks has one line of about 60 bytes for each lock of the machine.
const LOCKS_LIMIT_BYTES: usize = 16 << 20;

/// flock(2) of a descriptor; with `false` it does not wait, and tells whether it has it.
type Take = fn(BorrowedFd<'_>, bool) -> kernel::Result<bool>;

impl ContainerDirectory<'_> {
    /// Waits for other commands on this container to end and keeps further ones
    /// out until this value is dropped.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it was deleted while we waited; [`Error::Busy`].
    pub fn lock(&self) -> Result<()> {
        self.lock_within(fs::lock_exclusive, PATIENCE)
    }

    /// [`ContainerDirectory::lock`] for commands that change nothing and may run
    /// side by side.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn lock_shared(&self) -> Result<()> {
        self.lock_within(fs::lock_shared, PATIENCE)
    }

    /// Whether nobody holds the lock. Who makes a container does, from before its claim
    /// is written until it is complete. Not for who holds the lock himself: it would be
    /// given away.
    pub(crate) fn is_abandoned(&self) -> Result<bool> {
        let doing = || format!("lock of {}", self.id());
        let free = fs::lock_shared(self.fd(), false).doing(doing)?;
        if free {
            self.unlock()?;
        }
        Ok(free)
    }

    /// Lets others in before this value, or a copy of it in a child, is dropped.
    pub(crate) fn unlock(&self) -> Result<()> {
        fs::unlock(self.fd()).doing(|| format!("lock of {}", self.id()))
    }

    fn lock_within(&self, take: Take, patience: Duration) -> Result<()> {
        let doing = || format!("lock of {}", self.id());
        let deadline = Instant::now() + patience;
        // flock(2) knows no time limit, and no event tells of its end.
        let mut pause = Duration::from_millis(1);
        while !take(self.fd(), false).doing(doing)? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Busy {
                    id: self.id().to_owned(),
                    holder: self.holder().unwrap_or_else(|| "unknown".to_owned()),
                });
            }
            readiness::poll_ready([], Some(pause.min(left))).doing(doing)?;
            pause = (pause * 2).min(Duration::from_millis(16));
        }
        self.check_still_there()
    }

    /// "process 4711 (corten create c1)", if it can be seen from here.
    fn holder(&self) -> Option<String> {
        let inode = fs::stat(self.fd()).ok()?.ino;
        let locks = fs::read_file("/proc/locks", LOCKS_LIMIT_BYTES).ok()?;
        let pid = holder_of(&String::from_utf8_lossy(&locks), inode)?;
        let command = fs::read_file(&format!("/proc/{pid}/cmdline"), 200).unwrap_or_default();
        let words = String::from_utf8_lossy(&command).replace('\0', " ");
        Some(match words.trim_end() {
            "" => format!("process {pid}"),
            words => format!("process {pid}, {words}"),
        })
    }
}

/// Finds the holder of a flock in the text of /proc/locks (proc_locks(5)):
/// `1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF`. Who waits has an arrow after
/// the number. The device is not compared: that of an overlay is another one there.
fn holder_of(locks: &str, inode: u64) -> Option<i32> {
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        if words.next() != Some("FLOCK") {
            return None;
        }
        let pid = words.nth(2)?.parse().ok()?;
        let place = words.next()?;
        let found = place.rsplit(':').next()?.parse() == Ok(inode);
        (found && pid > 0).then_some(pid)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::holder_of;
    use crate::error::Error;
    use crate::store::Store;

    #[test]
    fn the_holder_is_found_among_other_locks() {
        let locks = "1: POSIX  ADVISORY  READ  1 00:19:7 128 128\n\
                     2: FLOCK  ADVISORY  WRITE 8 00:19:70 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 4711 00:19:7 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 4712 00:19:7 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 0 00:19:9 0 EOF\n";
        assert_eq!(holder_of(locks, 7), Some(4711));
        assert_eq!(holder_of(locks, 70), Some(8));
        // One of another pid namespace has no number here.
        assert_eq!(holder_of(locks, 9), None);
        assert_eq!(holder_of("", 7), None);
    }

    #[test]
    fn who_waits_too_long_is_told_who_holds_it() {
        let root = std::env::temp_dir().join(format!("corten-lock-{}", std::process::id()));
        let store = Store::open_or_make(&root.to_string_lossy()).unwrap();
        let holder = store.claim("c1").unwrap();
        let other = store.find("c1").unwrap();
        let error = other.lock_within(kernel::fs::lock_shared, Duration::ZERO);
        let wanted = format!("process {},", std::process::id());
        assert!(
            matches!(&error, Err(Error::Busy { holder, .. }) if holder.starts_with(&wanted)),
            "{error:?}"
        );
        holder.unlock().unwrap();
        other.lock().unwrap();
        other.remove().unwrap();
        std::fs::remove_dir(root).unwrap();
    }
}
