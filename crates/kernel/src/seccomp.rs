//! Installing a seccomp filter, seccomp(2).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::answer::of_call;
use crate::{Errno, Error, Result};

/// The longest program the kernel takes (`BPF_MAXINSNS`).
pub const LONGEST_PROGRAM: usize = 4096;

/// Filters this thread from now on. Each instruction is `code << 48 | jt << 40
/// | jf << 32 | k`; `flags` are `SECCOMP_FILTER_FLAG_*`. With
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` the listener comes back, close-on-exec.
///
/// # Errors
/// `EACCES` without CAP_SYS_ADMIN and no_new_privs; `EINVAL` for a program the
/// kernel does not accept or a flag it does not know; `EBUSY` for a second listener.
pub fn load_filter(program: &[u64], flags: u64) -> Result<Option<OwnedFd>> {
    let call = || {
        format!(
            "seccomp(SET_MODE_FILTER, {flags:#x}, {} instructions)",
            program.len()
        )
    };
    if program.len() > LONGEST_PROGRAM {
        let error = Error::new(Errno::INVAL, call());
        return Err(error.with_detail("the kernel takes at most 4096 instructions"));
    }
    let mut filter: Vec<libc::sock_filter> = program.iter().map(|&i| unpack(i)).collect();
    let header = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: reads the header and the instructions behind it; both outlive the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const header,
        )
    };
    let value = of_call(answer).map_err(|e| Error::new(e, call()))?;
    if flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with this flag the value is a new descriptor, ours alone.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(value as libc::c_int) }))
}

fn unpack(instruction: u64) -> libc::sock_filter {
    libc::sock_filter {
        code: (instruction >> 48) as u16,
        jt: (instruction >> 40) as u8,
        jf: (instruction >> 32) as u8,
        k: instruction as u32,
    }
}

/// Makes sure that a descriptor is the listener of a filter (seccomp_unotify(2)).
///
/// # Errors
/// `EBADF` when it is something else; those of reading /proc.
pub fn verify_listener(fd: BorrowedFd<'_>) -> Result<()> {
    let found = crate::procfs::Procfs::host()?.fd_path(fd)?;
    if found == "anon_inode:seccomp notify" {
        return Ok(());
    }
    Err(
        Error::new(Errno::BADF, format!("readlink(fd {})", fd.as_raw_fd()))
            .with_detail(format!("{found} is no seccomp listener")),
    )
}
