//! Programs without a file: a sealed memory file is what a container may see
//! of this program (CVE-2019-5736).

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

use crate::answer::of_int;
use crate::{Errno, Error, Result};

/// An executable memory file with these contents, one piece after the other,
/// which nobody can change any more.
///
/// # Errors
/// `EACCES` where `vm.memfd_noexec` is 2: memory files cannot be executed there.
pub fn sealed_memfd(name: &str, pieces: &[&[u8]]) -> Result<OwnedFd> {
    let fd = create(name)?;
    write_pieces(&fd, pieces)?;
    seal(&fd)?;
    Ok(fd)
}

/// An empty memory file for notes that a process and its children share.
///
/// # Errors
/// `memfd_create(2)`.
pub fn shared_memfd(name: &str) -> Result<OwnedFd> {
    rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)
        .map_err(|e| Error::new(e, format!("memfd_create({name:?}, MFD_CLOEXEC)")))
}

fn create(name: &str) -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Linux 6.3 wants to be told and warns otherwise; before, the flag is EINVAL.
    let executable = MemfdFlags::from_bits_retain(libc::MFD_EXEC);
    let made = match rustix::fs::memfd_create(name, flags | executable) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        made => made,
    };
    made.map_err(|e| {
        let error = Error::new(
            e,
            format!("memfd_create({name:?}, MFD_EXEC|MFD_ALLOW_SEALING)"),
        );
        match e {
            Errno::ACCESS => error
                .with_detail("vm.memfd_noexec=2 forbids executable memory files; set it to 1 or 0"),
            _ => error,
        }
    })
}

fn write_pieces(fd: &OwnedFd, pieces: &[&[u8]]) -> Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|p| IoSlice::new(p)).collect();
    let mut rest = slices.as_mut_slice();
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match rustix::io::writev(fd, rest) {
            Ok(0) => return Err(Error::new(Errno::IO, format!("writev({})", fd.as_raw_fd()))),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(Errno::INTR) => {}
            Err(e) => return Err(Error::new(e, format!("writev({})", fd.as_raw_fd()))),
        }
    }
    Ok(())
}

fn seal(fd: &OwnedFd) -> Result<()> {
    let content = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    // The mode too, since Linux 6.3; EINVAL before.
    // SAFETY: takes integers.
    let answer = unsafe {
        libc::fcntl(
            fd.as_raw_fd(),
            libc::F_ADD_SEALS,
            content.bits() as libc::c_int | libc::F_SEAL_EXEC,
        )
    };
    let sealed = match of_int(answer) {
        Ok(_) => Ok(()),
        Err(Errno::INVAL) => rustix::fs::fcntl_add_seals(fd, content),
        Err(e) => Err(e),
    };
    sealed.map_err(|e| Error::new(e, format!("fcntl({}, F_ADD_SEALS)", fd.as_raw_fd())))
}
