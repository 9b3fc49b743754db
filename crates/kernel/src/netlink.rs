//! Network interfaces of the current network namespace.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::answer::of_int;
use crate::{Error, Result};

/// Sets `lo` up; its addresses come by themselves.
///
/// One ioctl instead of a netlink conversation, and on a unix socket: every
/// family passes it on, also in a kernel without IPv4.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN in the namespace's owner.
pub fn bring_up_loopback() -> Result<()> {
    // SAFETY: takes integers.
    let answer = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let socket = match of_int(answer) {
        // SAFETY: new and ours alone.
        Ok(number) => unsafe { OwnedFd::from_raw_fd(number) },
        Err(e) => return Err(Error::new(e, "socket(AF_UNIX, SOCK_DGRAM)")),
    };
    // SAFETY: plain data, for which zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    // A new `lo` has no flag that could be lost by this.
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: the request reads one `ifreq`, which outlives the call.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    of_int(answer)
        .map(drop)
        .map_err(|e| Error::new(e, "ioctl(SIOCSIFFLAGS, lo, IFF_UP)"))
}
