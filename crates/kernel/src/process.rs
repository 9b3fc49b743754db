//! Making processes and becoming programs.
//!
//! A process is made by one raw `clone3`, never by the C library's `fork`: only
//! the raw call takes all namespaces, the cgroup and a pidfd at once. The price
//! is two rules, both kept here:
//!
//! 1. **One thread.** The child has only the thread that called; a lock another
//!    thread held would stay locked for ever. [`clone3`] refuses to run with more.
//! 2. **The child never returns into its parent's code.** It is a copy with the
//!    same destructors on its stack: one that ran would remove the parent's
//!    cgroup or temporary file. [`run_in_child`] and [`run_in_our_memory`] hold this
//!    by construction; who takes [`Forked::Child`] from [`clone3`] has to end in
//!    [`execute`], [`execute_fd`] or [`exit_now`].

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::answer::{of_call, of_int};
use crate::{Errno, Error, Result};

/// include/uapi/linux/sched.h, the same on every architecture; libc's constant
/// of this name is an `int` and therefore 0.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// How a process ended, waitid(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It left with this code, 0 to 255.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl ExitStatus {
    /// What a shell would call it: the code, or 128 + the signal.
    #[must_use]
    pub const fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// What the new process is to be, clone(2).
#[derive(Debug, Clone, Copy, Default)]
pub struct Clone3<'fd> {
    /// `CLONE_NEW*`, see [`crate::namespace`].
    pub namespaces: u64,
    /// A cgroup v2 directory it is born in (`CLONE_INTO_CGROUP`, Linux 5.7):
    /// moving it there afterwards would wait for an RCU grace period.
    pub into_cgroup: Option<BorrowedFd<'fd>>,
    /// It becomes a child of the caller's parent (`CLONE_PARENT`).
    pub parent_is_ours: bool,
}

/// Where [`clone3`] returned.
#[derive(Debug)]
pub enum Forked {
    /// In the caller.
    Parent {
        /// The child as the caller's pid namespace numbers it.
        pid: i32,
        /// The child; cannot come to mean another process.
        pidfd: OwnedFd,
    },
    /// In the new process. Must not return into the caller's code.
    Child,
}

/// Makes a process, with a pidfd in any case.
///
/// The C library does not know of the child: its idea of the thread id (used
/// by no code of ours) stays the parent's until the next execve.
///
/// SIGCHLD gets its default disposition here: whoever started us may have left
/// it ignored, and then the kernel reaps our children and their status is lost.
///
/// # Errors
/// `EBUSY` when this process has more than one thread. `EINVAL` also when the
/// caller is init of a pid namespace and asks for `CLONE_PARENT`. `ENOSPC` when
/// a namespace limit of /proc/sys/user is reached, `EPERM` without the
/// privilege for a namespace, `EBUSY` for a cgroup that has enabled controllers,
/// `EACCES` for one that this user may not write (after becoming root of a
/// joined user namespace, the host's: clone first, become root then).
pub fn clone3(clone: &Clone3<'_>) -> Result<Forked> {
    let mut pidfd: RawFd = -1;
    let mut arguments = arguments_of(clone, 0, &mut pidfd)?;
    // SAFETY: without CLONE_VM and with `stack` 0 the child is a copy on write
    // of this address space and goes on here, as after fork(2). No other thread
    // exists (checked above), so the copy holds no foreign lock. `arguments`
    // and `pidfd` outlive the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut arguments,
            size_of::<libc::clone_args>(),
        )
    };
    match of_call(answer) {
        Ok(0) => Ok(Forked::Child),
        Ok(pid) => Ok(Forked::Parent {
            pid: pid as i32,
            // SAFETY: with CLONE_PIDFD the kernel stored a new descriptor here,
            // which nobody else knows.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
        Err(errno) => Err(clone3_error(errno, clone)),
    }
}

/// What every clone here needs; `more` are further flags.
fn arguments_of(clone: &Clone3<'_>, more: u64, pidfd: &mut RawFd) -> Result<libc::clone_args> {
    require_one_thread()?;
    crate::signal::set_default(libc::SIGCHLD);
    let mut flags = clone.namespaces | more | libc::CLONE_PIDFD as u64;
    let mut cgroup = 0;
    if let Some(directory) = clone.into_cgroup {
        flags |= CLONE_INTO_CGROUP;
        cgroup = directory.as_raw_fd() as u64;
    }
    let mut exit_signal = libc::SIGCHLD as u64;
    if clone.parent_is_ours {
        // The caller's own exit signal is inherited; naming one is EINVAL.
        flags |= libc::CLONE_PARENT as u64;
        exit_signal = 0;
    }
    // SAFETY: the structure is plain integers, for which zero is "not wanted".
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags;
    arguments.pidfd = std::ptr::from_mut(pidfd) as u64;
    arguments.exit_signal = exit_signal;
    arguments.cgroup = cgroup;
    Ok(arguments)
}

/// Makes a process that runs `body` in this memory, while this one sleeps until the
/// other has executed a program or ended, as with vfork(2). No page table is copied and
/// no page twice: a third of what a process costs that soon executes something.
///
/// What `body` does to memory is done for both, the heap, thread-local values and errno
/// among it; descriptors, namespaces, working directory, signals, identity, filters and
/// `no_new_privs` are its own. Closing its copy of a descriptor leaves ours open.
///
/// It may be killed at any moment, and what it was changing then stays half changed. So
/// it gets nothing to change but what it makes itself (`Fn`), must take no lock and fill
/// no cell of ours, and of a heap that it may have left in disorder nothing more is taken
/// ([`crate::heap`]).
///
/// Our sleep is one that fatal signals end, also while the child waits for a file system
/// or is frozen: who holds locks that others need gives them up before.
///
/// To the kernel both are one where memory is meant. Dumpability is: what `body` sets is
/// ours, too. So is a victim of the OOM killer, though it picks nobody in this state;
/// only `memory.oom.group` of the child's cgroup takes us along. What the child touches is
/// charged to our cgroup, not to its own.
///
/// # Errors
/// As [`clone3`].
pub fn run_in_our_memory(
    clone: &Clone3<'_>,
    body: &dyn Fn() -> Infallible,
) -> Result<(i32, OwnedFd)> {
    let mut pidfd: RawFd = -1;
    let flags = (libc::CLONE_VM | libc::CLONE_VFORK) as u64;
    let mut arguments = arguments_of(clone, flags, &mut pidfd)?;
    LEAVES.store(false, Ordering::Relaxed);
    // SAFETY: `arguments` and `pidfd` outlive the call, and `body` the child's use of it:
    // with CLONE_VFORK we sleep for as long as it runs in our memory.
    let answer = unsafe { crate::vfork::clone3(&mut arguments, &body) };
    let pid = answer.map_err(|errno| clone3_error(errno, clone))?;
    if !LEAVES.load(Ordering::Relaxed) {
        crate::heap::abandon();
    }
    // SAFETY: with CLONE_PIDFD the kernel stored a new descriptor here, which nobody else
    // knows.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// Set where a process of [`run_in_our_memory`] is done with its parent's memory.
static LEAVES: AtomicBool = AtomicBool::new(false);

/// [`clone3`] with nothing new.
///
/// # Errors
/// As [`clone3`].
pub fn fork() -> Result<Forked> {
    clone3(&Clone3::default())
}

/// Makes a process that runs `body` and leaves with its value. It cannot
/// return, not even by a panic.
///
/// # Errors
/// As [`clone3`].
pub fn run_in_child(clone: &Clone3<'_>, body: impl FnOnce() -> i32) -> Result<(i32, OwnedFd)> {
    match clone3(clone)? {
        Forked::Parent { pid, pidfd } => Ok((pid, pidfd)),
        Forked::Child => {
            let guard = LeaveOnDrop;
            let code = body();
            std::mem::forget(guard);
            exit_now(code)
        }
    }
}

/// Ends the child when `body` unwinds (tests; the product aborts on panic).
struct LeaveOnDrop;

impl Drop for LeaveOnDrop {
    fn drop(&mut self) {
        exit_now(101);
    }
}

fn clone3_error(errno: Errno, clone: &Clone3<'_>) -> Error {
    let mut flags = crate::namespace::flag_names(clone.namespaces);
    if !flags.is_empty() {
        flags.push('|');
    }
    flags.push_str("CLONE_PIDFD");
    if clone.parent_is_ours {
        flags.push_str("|CLONE_PARENT");
    }
    if let Some(directory) = clone.into_cgroup {
        flags.push_str(&format!(
            "|CLONE_INTO_CGROUP, cgroup {}",
            directory.as_raw_fd()
        ));
    }
    let error = Error::new(errno, format!("clone3({flags})"));
    match errno {
        Errno::NOSYS => error
            .with_detail("needs Linux 5.7, and no filter around this process that hides clone3"),
        Errno::NOSPC => error.with_detail(
            "a limit of /proc/sys/user/max_*_namespaces or the nesting depth of 32 is reached",
        ),
        _ => error,
    }
}

/// `unshare(CLONE_THREAD)` does nothing but answer EINVAL when the caller is
/// not alone in its address space: one call without a path, where reading
/// /proc/self/task would build dentries.
fn require_one_thread() -> Result<()> {
    // SAFETY: takes integers; on success nothing was changed.
    let answer = unsafe { libc::unshare(libc::CLONE_THREAD) };
    match of_int(answer) {
        Ok(_) => Ok(()),
        Err(Errno::INVAL) => Err(more_threads()),
        // A filter around us refuses unshare(2).
        Err(_) => match rustix::fs::stat("/proc/self/task") {
            Ok(stat) if stat.st_nlink != 3 => Err(more_threads()),
            _ => Ok(()),
        },
    }
}

fn more_threads() -> Error {
    Error::new(Errno::BUSY, "clone3()").with_detail("this process has more than one thread")
}

/// Ends the process at once: no destructor, no `atexit`, no flush.
pub fn exit_now(code: i32) -> ! {
    LEAVES.store(true, Ordering::Relaxed);
    // SAFETY: ends the process; there is no state left to be unsound.
    unsafe { libc::_exit(code) }
}

/// Becomes the program at `path`, execve(2). Returns only to say why not.
pub fn execute(path: &CStr, argv: &[CString], env: &[CString]) -> Error {
    let (argv_pointers, env_pointers) = (pointers(argv), pointers(env));
    // SAFETY: `path` and every string behind the pointers end in NUL and outlive
    // the call, and both lists end in a null pointer.
    unsafe { libc::execve(path.as_ptr(), argv_pointers.as_ptr(), env_pointers.as_ptr()) };
    let errno = crate::answer::last_errno();
    Error::new(errno, format!("execve({path:?}, {argv:?})"))
}

/// Becomes the program behind a descriptor: `execveat(fd, "", AT_EMPTY_PATH)`.
///
/// The descriptor may be close-on-exec for a binary, not for a script: its
/// interpreter opens it again (`ENOENT`).
pub fn execute_fd(fd: BorrowedFd<'_>, argv: &[CString], env: &[CString]) -> Error {
    let (argv_pointers, env_pointers) = (pointers(argv), pointers(env));
    LEAVES.store(true, Ordering::Relaxed);
    // SAFETY: as in `execute`; the empty path is a static string.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            argv_pointers.as_ptr(),
            env_pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    let errno = crate::answer::last_errno();
    LEAVES.store(false, Ordering::Relaxed);
    let number = fd.as_raw_fd();
    Error::new(
        errno,
        format!("execveat({number}, \"\", {argv:?}, AT_EMPTY_PATH)"),
    )
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    let with_end = strings.iter().map(|s| s.as_ptr());
    with_end.chain(std::iter::once(std::ptr::null())).collect()
}

/// Strings for [`execute`].
///
/// # Errors
/// `EINVAL` when one holds a NUL byte.
pub fn c_strings<S: AsRef<str>>(strings: &[S]) -> Result<Vec<CString>> {
    strings.iter().map(|s| c_string(s.as_ref())).collect()
}

/// A string for [`execute`].
///
/// # Errors
/// `EINVAL` when it holds a NUL byte.
pub fn c_string(string: &str) -> Result<CString> {
    CString::new(string).map_err(|_| {
        Error::new(Errno::INVAL, format!("execve({string:?})")).with_detail("holds a NUL byte")
    })
}

/// This process in its own pid namespace.
#[must_use]
pub fn pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// The parent in this process' pid namespace; 0 when it is outside of it.
#[must_use]
pub fn parent_pid() -> i32 {
    rustix::process::Pid::as_raw(rustix::process::getppid())
}

/// Makes every descriptor from `first` on close at the next execve (Linux 5.11).
///
/// # Errors
/// `close_range(2)`.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
        .map_err(|e| Error::new(e, format!("close_range({first}, ~0, CLOSE_RANGE_CLOEXEC)")))
}

/// Closes every descriptor from `first` on. Whoever still holds an `OwnedFd`
/// among them must not use or drop it any more: for the last breath before
/// execve and _exit.
///
/// # Errors
/// `close_range(2)`.
pub fn close_from(first: u32) -> Result<()> {
    close_range(first, 0).map_err(|e| Error::new(e, format!("close_range({first}, ~0, 0)")))
}

fn close_range(first: u32, flags: libc::c_uint) -> std::result::Result<(), Errno> {
    // SAFETY: takes integers. Closing what an `OwnedFd` holds breaks no memory;
    // `close_from` documents the rest.
    of_call(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) })?;
    Ok(())
}

/// Lets a descriptor survive the next execve.
///
/// # Errors
/// `fcntl(2)`.
pub fn keep_on_exec(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())
        .map_err(|e| Error::new(e, format!("fcntl({}, F_SETFD, 0)", fd.as_raw_fd())))
}

/// Makes the descriptor with this number close at the next execve.
///
/// # Errors
/// `EBADF` when there is none.
pub fn set_close_on_exec(number: RawFd) -> Result<()> {
    // SAFETY: takes integers.
    of_int(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })
        .map(drop)
        .map_err(|e| Error::new(e, format!("fcntl({number}, F_SETFD, FD_CLOEXEC)")))
}

/// Makes `number` another name of `fd`; what was there is closed, dup3(2).
/// When both are the same number only close-on-exec is set.
///
/// # Errors
/// `dup3(2)`.
pub fn duplicate_to(fd: BorrowedFd<'_>, number: RawFd, close_on_exec: bool) -> Result<()> {
    let raw = fd.as_raw_fd();
    if raw == number {
        return if close_on_exec {
            set_close_on_exec(raw)
        } else {
            keep_on_exec(fd)
        };
    }
    let flags = if close_on_exec { libc::O_CLOEXEC } else { 0 };
    // SAFETY: takes integers; the caller chose to give up what `number` was.
    of_int(unsafe { libc::dup3(raw, number, flags) })
        .map(drop)
        .map_err(|e| Error::new(e, format!("dup3({raw}, {number})")))
}

/// Another descriptor of the same file, numbered `least` or higher, close-on-exec.
///
/// # Errors
/// `fcntl(2)`.
pub fn duplicate_at_least(fd: BorrowedFd<'_>, least: RawFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, least).map_err(|e| {
        Error::new(
            e,
            format!("fcntl({}, F_DUPFD_CLOEXEC, {least})", fd.as_raw_fd()),
        )
    })
}

/// Whether a descriptor of this number is open.
#[must_use]
pub fn descriptor_is_open(number: RawFd) -> bool {
    // SAFETY: takes integers.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// A descriptor known by its number only: 0 to 2, or one the caller was told of.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn borrow_raw(number: RawFd) -> Result<BorrowedFd<'static>> {
    require_open(number)?;
    // SAFETY: open (checked), not -1, and by the caller's word nobody closes it
    // while this is used; if somebody did, calls would answer EBADF.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Takes over a descriptor known by its number only, one that was inherited.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn take_raw(number: RawFd) -> Result<OwnedFd> {
    require_open(number)?;
    // SAFETY: open (checked), and by the caller's word nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn require_open(number: RawFd) -> Result<()> {
    if number >= 0 && descriptor_is_open(number) {
        Ok(())
    } else {
        Err(Error::new(Errno::BADF, format!("fcntl({number}, F_GETFD)")))
    }
}

/// A new session and process group without a terminal, setsid(2).
///
/// # Errors
/// `EPERM` when the caller leads a process group already.
pub fn start_session() -> Result<()> {
    match rustix::process::setsid() {
        Ok(_) => Ok(()),
        Err(e) => Err(Error::new(e, "setsid()")),
    }
}

/// Sets the file mode creation mask and returns the one before.
pub fn set_umask(mask: u32) -> u32 {
    let mask = rustix::fs::Mode::from_bits_truncate(mask);
    rustix::process::umask(mask).bits()
}
