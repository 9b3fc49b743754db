//! Who may run, read and allocate when: numbers of sched_setattr(2), ioprio_set(2)
//! and set_mempolicy(2) by the kernel's own names.

use crate::answer::of_call;
use crate::{Error, Result};

/// Number of a scheduling policy, `SCHED_FIFO`.
#[must_use]
pub fn policy_number(name: &str) -> Option<u32> {
    let number = match name {
        "SCHED_OTHER" => libc::SCHED_OTHER,
        "SCHED_FIFO" => libc::SCHED_FIFO,
        "SCHED_RR" => libc::SCHED_RR,
        "SCHED_BATCH" => libc::SCHED_BATCH,
        "SCHED_IDLE" => libc::SCHED_IDLE,
        "SCHED_DEADLINE" => libc::SCHED_DEADLINE,
        _ => return None,
    };
    Some(number.cast_unsigned())
}

/// Bit of a scheduling flag, `SCHED_FLAG_RESET_ON_FORK`.
#[must_use]
pub fn scheduling_flag(name: &str) -> Option<u64> {
    let bit = match name {
        "SCHED_FLAG_RESET_ON_FORK" => libc::SCHED_FLAG_RESET_ON_FORK,
        "SCHED_FLAG_RECLAIM" => libc::SCHED_FLAG_RECLAIM,
        "SCHED_FLAG_DL_OVERRUN" => libc::SCHED_FLAG_DL_OVERRUN,
        "SCHED_FLAG_KEEP_POLICY" => libc::SCHED_FLAG_KEEP_POLICY,
        "SCHED_FLAG_KEEP_PARAMS" => libc::SCHED_FLAG_KEEP_PARAMS,
        "SCHED_FLAG_UTIL_CLAMP_MIN" => libc::SCHED_FLAG_UTIL_CLAMP_MIN,
        "SCHED_FLAG_UTIL_CLAMP_MAX" => libc::SCHED_FLAG_UTIL_CLAMP_MAX,
        _ => return None,
    };
    Some(u64::from(bit.cast_unsigned()))
}

/// What a process is scheduled by. Times in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// See [`policy_number`].
    pub policy: u32,
    /// See [`scheduling_flag`].
    pub flags: u64,
    /// -20 to 19.
    pub nice: i32,
    /// 1 to 99, or 0.
    pub priority: u32,
    /// `SCHED_DEADLINE`
    pub runtime: u64,
    /// `SCHED_DEADLINE`
    pub deadline: u64,
    /// `SCHED_DEADLINE`
    pub period: u64,
}

/// Size of `struct sched_attr` with and without the utilization clamps
/// (`SCHED_ATTR_SIZE_VER1` and `_VER0`, linux/sched/types.h).
const WITH_CLAMPS: u32 = 56;
const WITHOUT_CLAMPS: u32 = 48;
/// `SCHED_CAPACITY_SCALE`: a clamp to this changes nothing.
const FULL_CAPACITY: u32 = 1024;

impl Scheduling {
    /// `struct sched_attr`. The clamps, when a flag names one, are those that
    /// change nothing.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let clamps = libc::SCHED_FLAG_UTIL_CLAMP_MIN | libc::SCHED_FLAG_UTIL_CLAMP_MAX;
        let clamped = self.flags & u64::from(clamps.cast_unsigned()) != 0;
        let size = if clamped { WITH_CLAMPS } else { WITHOUT_CLAMPS };
        let mut bytes = Vec::with_capacity(WITH_CLAMPS as usize);
        bytes.extend_from_slice(&size.to_ne_bytes());
        bytes.extend_from_slice(&self.policy.to_ne_bytes());
        bytes.extend_from_slice(&self.flags.to_ne_bytes());
        bytes.extend_from_slice(&self.nice.to_ne_bytes());
        bytes.extend_from_slice(&self.priority.to_ne_bytes());
        for time in [self.runtime, self.deadline, self.period] {
            bytes.extend_from_slice(&time.to_ne_bytes());
        }
        if clamped {
            bytes.extend_from_slice(&0u32.to_ne_bytes());
            bytes.extend_from_slice(&FULL_CAPACITY.to_ne_bytes());
        }
        bytes
    }
}

/// Number of a class of I/O, `IOPRIO_CLASS_BE` (linux/ioprio.h).
#[must_use]
pub fn io_class_number(name: &str) -> Option<u32> {
    match name {
        "IOPRIO_CLASS_RT" => Some(1),
        "IOPRIO_CLASS_BE" => Some(2),
        "IOPRIO_CLASS_IDLE" => Some(3),
        _ => None,
    }
}

/// sched_setattr(2) on a process; 0 is this one.
///
/// # Errors
/// `EPERM` for real time, a lower nice value or the process of another user, without
/// CAP_SYS_NICE *in the first user namespace*; `EBUSY` when the CPUs have no such
/// time left; `EINVAL` for parameters that do not belong to the policy.
pub fn set_scheduling(pid: i32, scheduling: Scheduling) -> Result<()> {
    let attributes = scheduling.to_bytes();
    // SAFETY: the kernel reads as many bytes as the structure's first field says,
    // which is the length of `attributes`.
    let answer = unsafe { libc::syscall(libc::SYS_sched_setattr, pid, attributes.as_ptr(), 0) };
    let call = || format!("sched_setattr({pid})");
    of_call(answer).map(drop).map_err(|e| Error::new(e, call()))
}

/// ioprio_set(2) on a process; 0 is this one.
///
/// # Errors
/// `EPERM` for real time or the process of another user, without CAP_SYS_NICE *in
/// the first user namespace*.
pub fn set_io_priority(pid: i32, class: u32, level: u32) -> Result<()> {
    let priority = io_priority(class, level);
    // SAFETY: takes integers.
    let answer = unsafe { libc::syscall(libc::SYS_ioprio_set, IO_WHO_PROCESS, pid, priority) };
    let call = || format!("ioprio_set(IOPRIO_WHO_PROCESS, {pid}, {priority:#x})");
    of_call(answer).map(drop).map_err(|e| Error::new(e, call()))
}

/// `IOPRIO_WHO_PROCESS`, linux/ioprio.h.
pub(crate) const IO_WHO_PROCESS: u32 = 1;

/// `IOPRIO_PRIO_VALUE`, linux/ioprio.h.
pub(crate) const fn io_priority(class: u32, level: u32) -> u32 {
    const CLASS_SHIFT: u32 = 13;
    class << CLASS_SHIFT | level
}

/// Number of a memory policy, `MPOL_BIND`.
#[must_use]
pub fn memory_mode_number(name: &str) -> Option<u32> {
    /// linux/mempolicy.h, since Linux 5.15 and 6.9.
    const PREFERRED_MANY: i32 = 5;
    const WEIGHTED_INTERLEAVE: i32 = 6;
    let number = match name {
        "MPOL_DEFAULT" => libc::MPOL_DEFAULT,
        "MPOL_PREFERRED" => libc::MPOL_PREFERRED,
        "MPOL_BIND" => libc::MPOL_BIND,
        "MPOL_INTERLEAVE" => libc::MPOL_INTERLEAVE,
        "MPOL_LOCAL" => libc::MPOL_LOCAL,
        "MPOL_PREFERRED_MANY" => PREFERRED_MANY,
        "MPOL_WEIGHTED_INTERLEAVE" => WEIGHTED_INTERLEAVE,
        _ => return None,
    };
    Some(number.cast_unsigned())
}

/// Bit of a flag of a memory policy, `MPOL_F_STATIC_NODES`.
#[must_use]
pub fn memory_flag(name: &str) -> Option<u32> {
    let bit = match name {
        "MPOL_F_STATIC_NODES" => libc::MPOL_F_STATIC_NODES,
        "MPOL_F_RELATIVE_NODES" => libc::MPOL_F_RELATIVE_NODES,
        "MPOL_F_NUMA_BALANCING" => libc::MPOL_F_NUMA_BALANCING,
        _ => return None,
    };
    Some(bit.cast_unsigned())
}

/// A set of nodes as the kernel reads it, and its length in bits plus one, as
/// set_mempolicy(2) wants it. No nodes: no set.
pub(crate) fn node_mask(nodes: &[u32]) -> (Vec<u8>, u64) {
    let Some(last) = nodes.iter().max() else {
        return (Vec::new(), 0);
    };
    let mut words = vec![0u64; *last as usize / 64 + 1];
    for node in nodes {
        if let Some(word) = words.get_mut(*node as usize / 64) {
            *word |= 1 << (node % 64);
        }
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    (bytes, words.len() as u64 * 64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_laid_out_as_the_kernels() {
        let plain = Scheduling {
            policy: 1,
            priority: 5,
            ..Scheduling::default()
        };
        assert_eq!(plain.to_bytes().len(), WITHOUT_CLAMPS as usize);
        assert_eq!(
            plain.to_bytes()[20..24],
            5u32.to_ne_bytes(),
            "sched_priority"
        );
        let clamped = Scheduling {
            flags: scheduling_flag("SCHED_FLAG_UTIL_CLAMP_MAX").unwrap_or_default(),
            ..plain
        };
        assert_eq!(clamped.to_bytes().len(), WITH_CLAMPS as usize);
    }

    #[test]
    fn node_masks() {
        assert_eq!(node_mask(&[]), (Vec::new(), 0));
        let (bytes, bits) = node_mask(&[0, 2, 65]);
        assert_eq!(bits, 129);
        assert_eq!(bytes[..8], 5u64.to_ne_bytes());
        assert_eq!(bytes[8..], 2u64.to_ne_bytes());
    }
}
