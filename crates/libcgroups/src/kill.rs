//! Ending every process of a cgroup.

use kernel::{Errno, Error, fs, pidfd, process};

use crate::directory::is_gone;
use crate::{Cgroup, CgroupError};

const SIGKILL: i32 = 9;

/// Rounds of reading and killing where nothing can be frozen. A process that
/// forks all the time gets away from one round, not from many.
const ROUNDS: usize = 64;

impl Cgroup {
    /// Kills every process of the cgroup and of those below it; they may still
    /// be dying when it returns. Frozen ones die too.
    ///
    /// # Errors
    /// `EDEADLK` when the caller itself is inside: whoever removes a container
    /// must not be in it (a cgroup path that names the caller's own cgroup once
    /// cost the calling shell its life). Those of writing and of signals.
    pub fn kill_all(&self) -> Result<(), CgroupError> {
        let pids = self.pids()?;
        if pids.contains(&process::pid()) {
            let error = Error::new(Errno::DEADLK, format!("kill all in {}", self.path));
            return Err(error
                .with_detail("this process is in the container's cgroup")
                .into());
        }
        if pids.is_empty() {
            return Ok(());
        }
        let killed_by_kernel = self.kill_v2()?;
        if killed_by_kernel && self.v1_with_processes().is_none() {
            return Ok(());
        }
        self.kill_one_by_one(killed_by_kernel)
    }

    /// `cgroup.kill`, Linux 5.14: all at once, forking or not. `false` where
    /// there is no such file.
    fn kill_v2(&self) -> Result<bool, CgroupError> {
        let Some(place) = self.v2() else {
            return Ok(false);
        };
        let Some(dir) = self.existing(place)? else {
            return Ok(false);
        };
        match fs::write_value_at(dir, "cgroup.kill", "1") {
            Ok(()) => Ok(true),
            Err(e) if is_gone(e.errno()) => Ok(false),
            Err(e) => Err(self.located(place, e).into()),
        }
    }

    /// Frozen first, where that is possible, so that none is born meanwhile.
    fn kill_one_by_one(&self, mostly_dead: bool) -> Result<(), CgroupError> {
        // Those the kernel killed would never be seen frozen.
        let frozen = !mostly_dead && self.freeze().is_ok();
        let rounds = if frozen { 1 } else { ROUNDS };
        let killed = self.kill_rounds(rounds);
        // A frozen v1 process dies when it is thawed, so always thaw.
        let thawed = self.thaw();
        killed.and(thawed)
    }

    fn kill_rounds(&self, rounds: usize) -> Result<(), CgroupError> {
        for _ in 0..rounds {
            let pids = self.pids()?;
            if pids.is_empty() {
                return Ok(());
            }
            for pid in pids {
                kill(pid)?;
            }
        }
        Ok(())
    }
}

fn kill(pid: i32) -> kernel::Result<()> {
    let sent = pidfd::open(pid).and_then(|fd| {
        use std::os::fd::AsFd;
        pidfd::send_signal(fd.as_fd(), SIGKILL)
    });
    match sent {
        Err(e) if e.errno() != Errno::SRCH => Err(e),
        _ => Ok(()),
    }
}
