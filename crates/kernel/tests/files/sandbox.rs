//! Threads that see something else than the rest of the test process.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Runs `test` on a thread with a mount namespace, root, working directory and
/// umask of its own; nothing it mounts is seen outside, and all of it is gone
/// when the thread is. `test` gets an empty directory.
pub fn in_mount_namespace(test: impl FnOnce(&Path) + Send + 'static) {
    // It outlives the thread: inside, what is mounted on it would keep it.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    on_thread(move || {
        // SAFETY: both calls only change attributes of this thread.
        unsafe {
            let answer = libc::unshare(libc::CLONE_FS | libc::CLONE_NEWNS);
            assert_eq!(answer, 0, "needs root, for a mount namespace");
            libc::umask(0o022);
        }
        kernel::mount::change_propagation("/", true, kernel::mount::Propagation::Private).unwrap();
        test(&path);
    });
}

/// Runs `test` on a thread for which the kernel has no such system call.
pub fn without_system_call<T: Send + 'static>(
    number: libc::c_long,
    test: impl FnOnce() -> T + Send + 'static,
) -> T {
    on_thread(move || {
        refuse_system_call(u32::try_from(number).unwrap());
        test()
    })
}

/// For the rest of this thread's life, `number` fails with ENOSYS.
pub fn refuse_system_call(number: u32) {
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf,
        k,
    };
    let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, enosys),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program and its instructions live until the calls return;
    // both calls change only this thread.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program),
            0
        );
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a thread is what can be given its own view; nothing is cloned here"
)]
pub fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match std::thread::spawn(work).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A directory in memory, for tests that change thousands of names.
pub fn memory_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a tmpfs on /dev/shm")
}

/// Device and inode number.
pub fn identity(fd: impl AsFd) -> (u64, u64) {
    fn of(fd: BorrowedFd<'_>) -> (u64, u64) {
        let found = kernel::fs::stat(fd).unwrap();
        (found.dev, found.ino)
    }
    of(fd.as_fd())
}
