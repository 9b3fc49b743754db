//! Capabilities as bit masks: bit n is capability n of capabilities(7).

use rustix::thread::CapabilitySet;

use crate::answer::of_int;
use crate::{Errno, Error, Result};

/// The three sets of capget(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapSets {
    /// Effective.
    pub effective: u64,
    /// Permitted.
    pub permitted: u64,
    /// Inheritable.
    pub inheritable: u64,
}

/// The bounding set, and the last capability this kernel knows.
///
/// # Errors
/// `prctl(2)`.
pub fn bounding() -> Result<(u64, u32)> {
    let mut mask = 0;
    let mut next = 0;
    while next < 64 {
        match prctl(libc::PR_CAPBSET_READ, next.into(), 0) {
            Ok(0) => {}
            Ok(_) => mask |= 1 << next,
            // Only asking for one beyond the last is refused.
            Err(Errno::INVAL) if next > 0 => break,
            Err(e) => return Err(Error::new(e, format!("prctl(PR_CAPBSET_READ, {next})"))),
        }
        next += 1;
    }
    Ok((mask, next - 1))
}

/// This thread's sets.
///
/// # Errors
/// `capget(2)`.
pub fn current() -> Result<CapSets> {
    let sets = rustix::thread::capabilities(None).map_err(|e| Error::new(e, "capget(0)"))?;
    Ok(CapSets {
        effective: sets.effective.bits(),
        permitted: sets.permitted.bits(),
        inheritable: sets.inheritable.bits(),
    })
}

/// Sets this thread's sets. A bit beyond the last capability is ignored.
///
/// # Errors
/// `EPERM` for what is not permitted, or inheritable beyond the bounding set.
pub fn set(sets: &CapSets) -> Result<()> {
    let wanted = rustix::thread::CapabilitySets {
        effective: CapabilitySet::from_bits_retain(sets.effective),
        permitted: CapabilitySet::from_bits_retain(sets.permitted),
        inheritable: CapabilitySet::from_bits_retain(sets.inheritable),
    };
    rustix::thread::set_capabilities(None, wanted).map_err(|e| {
        Error::new(
            e,
            format!(
                "capset(effective {:#x}, permitted {:#x}, inheritable {:#x})",
                sets.effective, sets.permitted, sets.inheritable
            ),
        )
    })
}

/// Drops from the bounding set everything that is not in `keep`. Nothing to
/// drop needs no privilege.
///
/// # Errors
/// `EPERM` without CAP_SETPCAP.
pub fn drop_bounding(keep: u64) -> Result<()> {
    let (held, last) = bounding()?;
    for capability in (0..=last).filter(|n| held & !keep & (1 << n) != 0) {
        prctl(libc::PR_CAPBSET_DROP, capability.into(), 0)
            .map_err(|e| Error::new(e, format!("prctl(PR_CAPBSET_DROP, {capability})")))?;
    }
    Ok(())
}

/// Makes the ambient set exactly `mask`.
///
/// # Errors
/// `EPERM` for one that is not both permitted and inheritable.
pub fn raise_ambient(mask: u64) -> Result<()> {
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as u64,
        0,
    )
    .map_err(|e| Error::new(e, "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)"))?;
    for capability in (0..64).filter(|n| mask & (1 << n) != 0) {
        prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as u64,
            capability,
        )
        .map_err(|e| {
            Error::new(
                e,
                format!("prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, {capability})"),
            )
        })?;
    }
    Ok(())
}

fn prctl(option: libc::c_int, a: u64, b: u64) -> std::result::Result<i32, Errno> {
    // SAFETY: the options of this module take integers only; the unused
    // arguments must be zero.
    of_int(unsafe { libc::prctl(option, a, b, 0u64, 0u64) })
}
