//! On which CPUs a process may be, sched_setaffinity(2).

use crate::answer::of_int;
use crate::{Error, Result};

/// Keeps this thread, and what it makes, on these CPUs.
///
/// # Errors
/// `EINVAL` when none of them exists, or is in the cpuset of its control group.
pub fn set(cpus: &[u32]) -> Result<()> {
    let length = cpus.iter().max().map_or(0, |last| *last as usize / 64 + 1);
    let mut mask = vec![0; length];
    for cpu in cpus {
        if let Some(word) = mask.get_mut(*cpu as usize / 64) {
            *word |= 1u64 << (cpu % 64);
        }
    }
    set_mask(&mask)
}

/// The CPUs this thread may be on, as the kernel's words of bits.
///
/// # Errors
/// Those of sched_getaffinity(2).
pub fn mask() -> Result<Vec<u64>> {
    // 8192 CPUs, the most that a kernel can be built for.
    let mut mask = vec![0u64; 128];
    // SAFETY: the kernel writes at most the given number of bytes. The raw call,
    // because the C library's takes a set of fixed size only.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_sched_getaffinity,
            0,
            mask.len() * size_of::<u64>(),
            mask.as_mut_ptr(),
        )
    };
    let bytes =
        crate::answer::of_call(answer).map_err(|e| Error::new(e, "sched_getaffinity(0)"))?;
    mask.truncate((bytes as usize).div_ceil(size_of::<u64>()));
    Ok(mask)
}

/// Puts back what [`mask`] told.
///
/// # Errors
/// As [`set`].
pub fn set_mask(mask: &[u64]) -> Result<()> {
    // SAFETY: the kernel reads the given number of bytes.
    let answer = unsafe { libc::sched_setaffinity(0, size_of_val(mask), mask.as_ptr().cast()) };
    of_int(answer)
        .map(drop)
        .map_err(|e| Error::new(e, "sched_setaffinity(0)"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_was_told_can_be_set_again() {
        let now = super::mask().unwrap();
        super::set_mask(&now).unwrap();
        assert_eq!(super::mask().unwrap(), now);
        assert!(super::set(&[]).is_err());
    }
}
