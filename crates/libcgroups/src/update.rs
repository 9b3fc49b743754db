//! Other values for a cgroup that is in use.

use std::os::fd::BorrowedFd;

use kernel::Errno;
use plan::cgroup::Setting;

use crate::directory::{is_name, read_text};
use crate::{Cgroup, CgroupError};

type Result<T> = std::result::Result<T, CgroupError>;

/// Values that were written, and those that stood there before.
#[derive(Debug)]
#[must_use]
pub struct Change<'a> {
    cgroup: &'a Cgroup,
    before: Vec<Setting>,
}

impl Cgroup {
    /// Writes settings in place of the values in force: all of them or none. What has
    /// the value already is not written. Controllers that the directories name and
    /// that were not needed until now are enabled.
    ///
    /// # Errors
    /// The first that could not be written, as in [`Cgroup::apply`]; the values before
    /// are in force again then, or the error says which one is not.
    pub fn update(&self, settings: &[Setting]) -> Result<Change<'_>> {
        self.enable_controllers()?;
        let mut change = Change {
            cgroup: self,
            before: Vec::new(),
        };
        let mut waiting: Vec<&Setting> = settings.iter().collect();
        loop {
            let mut refused = Vec::new();
            for setting in &waiting {
                match change.write(setting) {
                    Ok(()) => {}
                    // A value may be refused only because of another that is still
                    // the old one, and what is in force need not be what we wrote.
                    Err(error) if error.source.errno() == Errno::INVAL => {
                        refused.push((*setting, error));
                    }
                    Err(error) => return Err(change.take_back_after(error)),
                }
            }
            if refused.is_empty() {
                return Ok(change);
            }
            let is_stuck = refused.len() == waiting.len();
            let (settings, errors): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
            match errors.into_iter().next() {
                Some(error) if is_stuck => return Err(change.take_back_after(error)),
                _ => waiting = settings,
            }
        }
    }
}

impl Change<'_> {
    fn write(&mut self, setting: &Setting) -> Result<()> {
        let before = self.before(setting);
        if before
            .as_ref()
            .is_some_and(|old| old.value == setting.value)
        {
            return Ok(());
        }
        self.cgroup.write(setting)?;
        self.before.extend(before);
        Ok(())
    }

    /// What to write to undo a setting; nothing where there is no such file.
    fn before(&self, setting: &Setting) -> Option<Setting> {
        let dir = self.cgroup.fd(self.cgroup.place_of(setting).ok()?).ok()?;
        let other = setting.instead.as_ref();
        let (file, value) = old_value(dir, &setting.file, &setting.value)
            .or_else(|| old_value(dir, &other?.file, &other?.value))?;
        Some(Setting {
            file,
            value,
            instead: None,
            not_below: None,
            ..setting.clone()
        })
    }

    /// Puts the values before in force again, the last written first: each step back
    /// is to a state that the kernel has taken before.
    ///
    /// # Errors
    /// The first that could not be written; the others are back.
    pub fn take_back(self) -> Result<()> {
        let mut outcome = Ok(());
        for old in self.before.iter().rev() {
            // The others go back all the same.
            outcome = outcome.and(self.cgroup.write(old));
        }
        outcome
    }

    fn take_back_after(self, error: CgroupError) -> CgroupError {
        let outcome = match self.take_back() {
            Ok(()) => "all limits are as before".to_owned(),
            Err(other) => format!("and the old value could not be put back: {other}"),
        };
        let hint = match &error.hint {
            Some(hint) => format!("{hint}; {outcome}"),
            None => outcome,
        };
        error.hint(Some(hint))
    }
}

/// A file, and what written to it gives its present value again.
fn old_value(dir: BorrowedFd<'_>, file: &str, written: &str) -> Option<(String, String)> {
    if !is_name(file) {
        return None;
    }
    let text = read_text(dir, file).ok()?;
    Some((file.to_owned(), undo_of(file, written, &text)))
}

/// What takes `written` back, when `text` was in the file before it.
fn undo_of(file: &str, written: &str, text: &str) -> String {
    let first_word = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let key = first_word(written);
    if let Some(absent) = absent_entry(file, &key) {
        let line = text.lines().find(|line| first_word(line) == key);
        return line.map_or_else(|| format!("{key} {absent}"), str::to_owned);
    }
    let text = text.trim();
    match file {
        // `oom_kill_disable 0`, and more lines
        "memory.oom_control" => text.lines().next().and_then(|line| line.split(' ').nth(1)),
        // `default 100`, and a line for each device
        "io.weight" | "io.bfq.weight" => text.lines().next(),
        _ => Some(text),
    }
    // Nothing, as in `cpuset.cpus`; a write of no bytes does not reach the file.
    .filter(|value| !value.is_empty())
    .unwrap_or("\n")
    .to_owned()
}

/// Files with a line for each device: what it says of one that has no line.
fn absent_entry(file: &str, key: &str) -> Option<&'static str> {
    let of_device = key.contains(':');
    match file {
        "io.max" => Some("rbps=max wbps=max riops=max wiops=max"),
        "io.weight" | "io.bfq.weight" if of_device => Some("default"),
        "blkio.bfq.weight_device" => Some("default"),
        "io.latency" => Some("target=0"),
        "rdma.max" => Some("hca_handle=max hca_object=max"),
        "misc.max" => Some("max"),
        "net_prio.ifpriomap" => Some("0"),
        _ if file.starts_with("blkio.") && of_device => Some("0"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::undo_of;

    #[test]
    fn what_takes_a_value_back() {
        let limits = "8:0 rbps=max wbps=5 riops=max wiops=max\n8:16 rbps=1 wbps=max\n";
        for (file, written, text, wanted) in [
            ("memory.max", "5", "max\n", "max"),
            ("cpu.max", "5 10", "max 100000\n", "max 100000"),
            ("cpuset.cpus", "0", "\n", "\n"),
            ("cpuset.cpus", "0", "0-3\n", "0-3"),
            (
                "memory.oom_control",
                "1",
                "oom_kill_disable 0\nunder_oom 0\n",
                "0",
            ),
            ("io.weight", "5", "default 100\n8:0 50\n", "default 100"),
            ("io.weight", "8:0 5", "default 100\n8:0 50\n", "8:0 50"),
            (
                "io.weight",
                "8:16 5",
                "default 100\n8:0 50\n",
                "8:16 default",
            ),
            (
                "io.max",
                "8:0 rbps=9",
                limits,
                "8:0 rbps=max wbps=5 riops=max wiops=max",
            ),
            (
                "io.max",
                "8:1 rbps=9",
                limits,
                "8:1 rbps=max wbps=max riops=max wiops=max",
            ),
            (
                "blkio.throttle.read_bps_device",
                "8:0 9",
                "8:0 7\n8:16 3\n",
                "8:0 7",
            ),
            ("blkio.throttle.read_bps_device", "8:0 9", "", "8:0 0"),
            ("blkio.bfq.weight", "9", "100\n", "100"),
            (
                "rdma.max",
                "mlx hca_handle=2",
                "",
                "mlx hca_handle=max hca_object=max",
            ),
            ("net_prio.ifpriomap", "eth0 5", "lo 0\neth0 3\n", "eth0 3"),
            ("hugetlb.2MB.max", "0", "max\n", "max"),
        ] {
            assert_eq!(undo_of(file, written, text), wanted, "{file}={written}");
        }
    }
}
