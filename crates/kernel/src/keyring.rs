//! Session keyrings, keyctl(2).

use crate::answer::of_call;
use crate::{Errno, Error, Result, process};

/// Makes or joins the session keyring of this name and returns its serial
/// number, so that the container does not share its caller's keys.
///
/// # Errors
/// `ENOSYS` in a kernel without keys, `EPERM` under a filter that forbids them,
/// `EDQUOT` when /proc/sys/kernel/keys/maxkeys of this user is reached.
pub fn join_session_keyring(name: &str) -> Result<i32> {
    let call = || format!("keyctl(KEYCTL_JOIN_SESSION_KEYRING, {name:?})");
    let text = process::c_string(name)?;
    // SAFETY: the string ends in NUL and outlives the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            text.as_ptr(),
        )
    };
    of_call(answer).map(|serial| serial as i32).map_err(|e| {
        let error = Error::new(e, call());
        match e {
            Errno::DQUOT => error.with_detail(
                "the user's quota of keys is used up (kernel.keys.maxkeys, \
                 kernel.keys.root_maxkeys)",
            ),
            _ => error,
        }
    })
}

/// Adds bits to a key's permissions (`KEY_USR_SEARCH` is 0x80000, `KEY_OTH_SEARCH` 0x08).
///
/// # Errors
/// `EACCES` when the key is not ours; `EINVAL` when the kernel describes it in
/// a way this program does not know.
pub fn add_permissions(serial: i32, bits: u32) -> Result<()> {
    let mut text = [0u8; 512];
    // SAFETY: the kernel writes at most the given length.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_DESCRIBE,
            serial,
            text.as_mut_ptr(),
            text.len(),
        )
    };
    let call = || format!("keyctl(KEYCTL_DESCRIBE, {serial})");
    let length = of_call(answer).map_err(|e| Error::new(e, call()))? as usize;
    let described = text.get(..length.min(text.len())).unwrap_or(&[]);
    let now = parse_permissions(described).ok_or_else(|| Error::new(Errno::INVAL, call()))?;
    let wanted = now | bits;
    // SAFETY: takes integers.
    let answer = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_SETPERM, serial, wanted) };
    of_call(answer)
        .map(drop)
        .map_err(|e| Error::new(e, format!("keyctl(KEYCTL_SETPERM, {serial}, {wanted:#x})")))
}

/// The fourth field of `type;uid;gid;permissions;description`, hexadecimal.
fn parse_permissions(described: &[u8]) -> Option<u32> {
    let field = described.split(|b| *b == b';').nth(3)?;
    u32::from_str_radix(std::str::from_utf8(field).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::parse_permissions;

    #[test]
    fn permissions_of_a_described_key() {
        assert_eq!(
            parse_permissions(b"keyring;0;0;3f130000;_ses.x;y\0"),
            Some(0x3f13_0000)
        );
        assert_eq!(parse_permissions(b"keyring;0;0;zz;_ses"), None);
        assert_eq!(parse_permissions(b"keyring;0"), None);
    }
}
