//! What a raw system call returns, as a `Result`.

use crate::Errno;

/// The errno the last failing call of the C library left.
pub(crate) fn last_errno() -> Errno {
    let code = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    Errno::from_raw_os_error(code)
}

/// The value of `libc::syscall` and most C functions: -1 says look at errno.
pub(crate) fn of_call(value: libc::c_long) -> Result<libc::c_long, Errno> {
    if value == -1 {
        Err(last_errno())
    } else {
        Ok(value)
    }
}

/// The same for the functions that return `int`.
pub(crate) fn of_int(value: libc::c_int) -> Result<libc::c_int, Errno> {
    if value == -1 {
        Err(last_errno())
    } else {
        Ok(value)
    }
}
