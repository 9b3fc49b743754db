//! What a look at the cgroup tells about the end of a container.

use crate::Cgroup;
use crate::directory::{Place, field, read_text};

impl Cgroup {
    /// How many processes the kernel killed here for want of memory; `None`
    /// without a memory controller.
    pub fn oom_kills(&self) -> Option<u64> {
        let (place, file) = self.memory("memory.oom_control", "memory.events")?;
        field(&read_text(self.fd(place).ok()?, file).ok()?, "oom_kill")
    }

    /// Bytes of memory in use; `None` without a memory controller.
    pub fn memory_usage(&self) -> Option<u64> {
        let (place, file) = self.memory("memory.usage_in_bytes", "memory.current")?;
        read_text(self.fd(place).ok()?, file)
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    fn memory(&self, v1: &'static str, v2: &'static str) -> Option<(&Place, &'static str)> {
        match self.v1("memory") {
            Some(place) => Some((place, v1)),
            None => Some((self.v2()?, v2)),
        }
    }
}
