//! Resource limits, prlimit(2). `u64::MAX` means unlimited.

use crate::answer::of_call;
use crate::{Error, Result};

/// Every limit of setrlimit(2).
const RESOURCES: [(&str, u32); 16] = [
    ("RLIMIT_AS", libc::RLIMIT_AS),
    ("RLIMIT_CORE", libc::RLIMIT_CORE),
    ("RLIMIT_CPU", libc::RLIMIT_CPU),
    ("RLIMIT_DATA", libc::RLIMIT_DATA),
    ("RLIMIT_FSIZE", libc::RLIMIT_FSIZE),
    ("RLIMIT_LOCKS", libc::RLIMIT_LOCKS),
    ("RLIMIT_MEMLOCK", libc::RLIMIT_MEMLOCK),
    ("RLIMIT_MSGQUEUE", libc::RLIMIT_MSGQUEUE),
    ("RLIMIT_NICE", libc::RLIMIT_NICE),
    ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE),
    ("RLIMIT_NPROC", libc::RLIMIT_NPROC),
    ("RLIMIT_RSS", libc::RLIMIT_RSS),
    ("RLIMIT_RTPRIO", libc::RLIMIT_RTPRIO),
    ("RLIMIT_RTTIME", libc::RLIMIT_RTTIME),
    ("RLIMIT_SIGPENDING", libc::RLIMIT_SIGPENDING),
    ("RLIMIT_STACK", libc::RLIMIT_STACK),
];

/// The number of `RLIMIT_NOFILE` and the like; exactly these names.
#[must_use]
pub fn resource_number(name: &str) -> Option<u32> {
    let known = RESOURCES.iter().find(|(known, _)| *known == name);
    known.map(|(_, number)| *number)
}

/// `RLIMIT_NOFILE` for its number.
#[must_use]
pub fn resource_name(resource: u32) -> &'static str {
    let known = RESOURCES.iter().find(|(_, number)| *number == resource);
    known.map_or("an unknown limit", |(name, _)| name)
}

/// Sets a limit of a process; 0 is this one.
///
/// # Errors
/// `EPERM` to raise a hard limit without CAP_SYS_RESOURCE *in the first user
/// namespace*, or `RLIMIT_NOFILE` above fs.nr_open; `EINVAL` when soft > hard.
pub fn set_process_limit(pid: i32, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: reads one `rlimit64`; a null pointer asks for no old value.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid,
            resource,
            &raw const limit,
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    };
    of_call(answer).map(drop).map_err(|e| {
        let name = resource_name(resource);
        Error::new(
            e,
            format!("prlimit({pid}, {name}, soft {soft}, hard {hard})"),
        )
    })
}

/// This process' limit: (soft, hard).
///
/// # Errors
/// `EINVAL` for a resource the kernel does not know.
pub fn get_limit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: writes one `rlimit64`; a null pointer sets nothing.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            std::ptr::null::<libc::rlimit64>(),
            &raw mut limit,
        )
    };
    of_call(answer)
        .map(|_| (limit.rlim_cur, limit.rlim_max))
        .map_err(|e| Error::new(e, format!("prlimit(0, {})", resource_name(resource))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        assert_eq!(resource_number("RLIMIT_NOFILE"), Some(libc::RLIMIT_NOFILE));
        assert_eq!(resource_number("NOFILE"), None);
        assert_eq!(resource_number("rlimit_nofile"), None);
        let mut numbers: Vec<u32> = RESOURCES.iter().map(|(_, n)| *n).collect();
        numbers.sort_unstable();
        assert_eq!(
            numbers,
            (0..16).collect::<Vec<u32>>(),
            "all of them, each once"
        );
    }

    #[test]
    fn every_limit_can_be_read() {
        for (name, number) in RESOURCES {
            let (soft, hard) = get_limit(number).unwrap();
            assert!(soft <= hard, "{name}");
        }
        assert!(get_limit(99).is_err());
    }
}
