//! Signals: their names, and receiving them as data instead of as interruptions.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::answer::of_int;
use crate::{Errno, Error, Result};

/// `SIGKILL`
pub const KILL: i32 = libc::SIGKILL;
/// `SIGCHLD`
pub const CHILD: i32 = libc::SIGCHLD;
/// `SIGURG`
pub const URGENT: i32 = libc::SIGURG;
/// `SIGWINCH`
pub const WINDOW_CHANGE: i32 = libc::SIGWINCH;

/// The highest signal number of the kernel (`_NSIG`).
const LAST: i32 = 64;

/// Names without `SIG`; the first name of a number is the one shown.
const NAMES: [(i32, &str); 34] = [
    (libc::SIGHUP, "HUP"),
    (libc::SIGINT, "INT"),
    (libc::SIGQUIT, "QUIT"),
    (libc::SIGILL, "ILL"),
    (libc::SIGTRAP, "TRAP"),
    (libc::SIGABRT, "ABRT"),
    (libc::SIGIOT, "IOT"),
    (libc::SIGBUS, "BUS"),
    (libc::SIGFPE, "FPE"),
    (libc::SIGKILL, "KILL"),
    (libc::SIGUSR1, "USR1"),
    (libc::SIGSEGV, "SEGV"),
    (libc::SIGUSR2, "USR2"),
    (libc::SIGPIPE, "PIPE"),
    (libc::SIGALRM, "ALRM"),
    (libc::SIGTERM, "TERM"),
    (libc::SIGSTKFLT, "STKFLT"),
    (libc::SIGCHLD, "CHLD"),
    (libc::SIGCHLD, "CLD"),
    (libc::SIGCONT, "CONT"),
    (libc::SIGSTOP, "STOP"),
    (libc::SIGTSTP, "TSTP"),
    (libc::SIGTTIN, "TTIN"),
    (libc::SIGTTOU, "TTOU"),
    (libc::SIGURG, "URG"),
    (libc::SIGXCPU, "XCPU"),
    (libc::SIGXFSZ, "XFSZ"),
    (libc::SIGVTALRM, "VTALRM"),
    (libc::SIGPROF, "PROF"),
    (libc::SIGWINCH, "WINCH"),
    (libc::SIGIO, "IO"),
    (libc::SIGPOLL, "POLL"),
    (libc::SIGPWR, "PWR"),
    (libc::SIGSYS, "SYS"),
];

/// The number of a signal given as `15`, `TERM`, `SIGTERM`, `RTMIN+3` or
/// `SIGRTMAX-1`, in any case; 0, which only asks whether the process exists,
/// is allowed. `RTMIN` is the C library's first free one (34 with glibc).
#[must_use]
pub fn number_of(name: &str) -> Option<i32> {
    if name.bytes().next()?.is_ascii_digit() {
        return decimal(name).filter(|number| *number <= LAST);
    }
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = NAMES.iter().find(|(_, known)| *known == short);
    known
        .map(|(number, _)| *number)
        .or_else(|| real_time(short))
}

fn real_time(short: &str) -> Option<i32> {
    let (lowest, highest) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let number = if let Some(offset) = short.strip_prefix("RTMIN") {
        lowest + offset_after('+', offset)?
    } else {
        highest - offset_after('-', short.strip_prefix("RTMAX")?)?
    };
    (lowest..=highest).contains(&number).then_some(number)
}

/// `""` is 0, `"+3"` is 3.
fn offset_after(sign: char, text: &str) -> Option<i32> {
    if text.is_empty() {
        Some(0)
    } else {
        decimal(text.strip_prefix(sign)?)
    }
}

/// Digits only: no sign, no space, no more than three of them.
fn decimal(text: &str) -> Option<i32> {
    let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// `SIGTERM`, `SIGRTMIN+3`, or `signal 0` for what has no name.
#[must_use]
pub fn name_of(number: i32) -> String {
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == number) {
        return format!("SIG{name}");
    }
    match number - libc::SIGRTMIN() {
        0 => "SIGRTMIN".to_owned(),
        offset if offset > 0 && number <= libc::SIGRTMAX() => format!("SIGRTMIN+{offset}"),
        _ => format!("signal {number}"),
    }
}

/// A set of signals.
#[derive(Clone, Copy)]
pub struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// No signal.
    #[must_use]
    pub fn empty() -> Self {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: initialises the set it is given; zeroed memory is one, too.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    /// Every signal.
    #[must_use]
    pub fn all() -> Self {
        let mut set = Self::empty();
        // SAFETY: writes the set it is given.
        unsafe { libc::sigfillset(&raw mut set.0) };
        set
    }

    /// These signals; numbers that are none are left out.
    #[must_use]
    pub fn of(numbers: &[i32]) -> Self {
        let mut set = Self::empty();
        for &number in numbers {
            // SAFETY: writes the set it is given; a bad number is EINVAL.
            unsafe { libc::sigaddset(&raw mut set.0, number) };
        }
        set
    }

    /// Whether the set has this signal.
    #[must_use]
    pub fn contains(&self, number: i32) -> bool {
        // SAFETY: reads the set it is given.
        unsafe { libc::sigismember(&raw const self.0, number) == 1 }
    }
}

/// The mask of blocked signals before [`block`]; [`OldMask::restore`] puts it back.
#[must_use]
pub struct OldMask(SignalSet);

impl OldMask {
    /// Blocks what was blocked before, nothing else. Signals that waited are
    /// delivered at once.
    ///
    /// # Errors
    /// `sigprocmask(2)`.
    pub fn restore(self) -> Result<()> {
        change_mask(libc::SIG_SETMASK, &self.0).map(drop)
    }
}

/// Blocks every signal that can be blocked.
///
/// # Errors
/// `sigprocmask(2)`.
pub fn block_all() -> Result<OldMask> {
    block(&SignalSet::all())
}

/// Blocks these signals as well: they wait, for a [`signalfd`] for example.
///
/// # Errors
/// `sigprocmask(2)`.
pub fn block(set: &SignalSet) -> Result<OldMask> {
    change_mask(libc::SIG_BLOCK, set).map(OldMask)
}

fn change_mask(how: libc::c_int, set: &SignalSet) -> Result<SignalSet> {
    let mut old = SignalSet::empty();
    // SAFETY: reads one set, writes the other.
    let code = unsafe { libc::pthread_sigmask(how, &raw const set.0, &raw mut old.0) };
    match code {
        0 => Ok(old),
        code => Err(Error::new(
            Errno::from_raw_os_error(code),
            "rt_sigprocmask()",
        )),
    }
}

/// Gives every signal its default effect and blocks none: execve keeps what is
/// ignored and what is blocked, and a program is not to inherit ours.
///
/// # Errors
/// `sigprocmask(2)`.
pub fn reset_all() -> Result<()> {
    for number in 1..=LAST {
        set_to_default(number);
    }
    change_mask(libc::SIG_SETMASK, &SignalSet::empty()).map(drop)
}

/// A write to a pipe or socket that nobody reads becomes `EPIPE` instead of our end.
pub fn ignore_pipe_signal() {
    // SAFETY: SIG_IGN runs no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Gives one signal its default effect. A caller may have left SIGCHLD ignored
/// to us, and then no child's exit status can be learned.
pub fn set_default(number: i32) {
    set_to_default(number);
}

/// By raw call: the C library refuses to touch the two signals it keeps for
/// itself (32 and 33), which a caller may have left ignored to us all the same.
/// SIGKILL and SIGSTOP refuse; they cannot have been changed.
fn set_to_default(number: libc::c_int) {
    // The kernel's structure differs between architectures, but all of it being
    // zero means SIG_DFL, no flags, no mask on every one. 32 bytes are the most.
    const DEFAULT: [u64; 4] = [0; 4];
    const SIGNAL_SET_BYTES: usize = LAST as usize / 8;
    // SAFETY: reads one structure, and no code of ours runs for SIG_DFL.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            number,
            DEFAULT.as_ptr(),
            std::ptr::null_mut::<u64>(),
            SIGNAL_SET_BYTES,
        )
    };
}

/// What [`read_signal`] tells of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The signal.
    pub number: i32,
    /// Who sent it, 0 for the kernel or from outside of this pid namespace.
    pub sender: i32,
}

/// A non-blocking descriptor that is readable when one of these signals, which
/// must be blocked, has arrived.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn signalfd(set: &SignalSet) -> Result<OwnedFd> {
    // SAFETY: reads the set; -1 asks for a new descriptor.
    let answer =
        unsafe { libc::signalfd(-1, &raw const set.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    match of_int(answer) {
        // SAFETY: new and ours alone.
        Ok(number) => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        Err(e) => Err(Error::new(e, "signalfd4(-1, SFD_CLOEXEC|SFD_NONBLOCK)")),
    }
}

/// The next signal that has arrived; `None` when there is none. Standard signals
/// that came twice before they were read are one.
///
/// # Errors
/// `read(2)`.
pub fn read_signal(fd: BorrowedFd<'_>) -> Result<Option<Received>> {
    let mut info = std::mem::MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    loop {
        // SAFETY: writes at most the size of the structure; any bytes are one.
        let (answer, info) = unsafe {
            let size = size_of::<libc::signalfd_siginfo>();
            let answer = libc::read(fd.as_raw_fd(), info.as_mut_ptr().cast(), size);
            (answer, info.assume_init_ref())
        };
        if answer > 0 {
            let (number, sender) = (info.ssi_signo as i32, info.ssi_pid as i32);
            return Ok(Some(Received { number, sender }));
        }
        match crate::answer::last_errno() {
            Errno::INTR => {}
            Errno::AGAIN => return Ok(None),
            e => return Err(Error::new(e, format!("read({}, signalfd)", fd.as_raw_fd()))),
        }
    }
}

/// kill(2): for a process that cannot be reaped meanwhile (our child), or for a
/// group (`-pid`). Everything else goes through a pidfd.
///
/// # Errors
/// `ESRCH`, `EPERM`, `EINVAL`.
pub fn send(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: takes integers.
    of_int(unsafe { libc::kill(pid, signal) })
        .map(drop)
        .map_err(|e| Error::new(e, format!("kill({pid}, {})", name_of(signal))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_every_form() {
        for name in ["15", "TERM", "term", "SIGTERM", "sigterm", "SigTerm"] {
            assert_eq!(number_of(name), Some(15), "{name}");
        }
        let (lowest, highest) = (libc::SIGRTMIN(), libc::SIGRTMAX());
        assert_eq!(number_of("SIGRTMIN+3"), Some(lowest + 3));
        assert_eq!(number_of("rtmin"), Some(lowest));
        assert_eq!(number_of("RTMAX-1"), Some(highest - 1));
        assert_eq!(number_of("SIGRTMAX"), Some(64));
        assert_eq!(number_of("0"), Some(0));
        assert_eq!(number_of("64"), Some(64));
        assert_eq!(number_of("CLD"), number_of("SIGCHLD"));
        assert_eq!(number_of("IOT"), number_of("ABRT"));
    }

    #[test]
    fn what_is_no_signal() {
        let bad = [
            "",
            " ",
            "SIG",
            "FOO",
            "-1",
            "+9",
            "65",
            "9999999999",
            "9 ",
            " 9",
            "SIGSIGTERM",
            "RTMIN-1",
            "RTMAX+1",
            "RTMIN+31",
            "RTMAX-31",
            "RTMIN+",
            "RTMIN++1",
            "RTMIN+-1",
            "0x9",
            "SIG9",
            "TERM\0",
            "ＴＥＲＭ",
        ];
        for name in bad {
            assert_eq!(number_of(name), None, "{name:?}");
        }
    }

    #[test]
    fn names_and_numbers_agree() {
        for number in 1..=LAST {
            let name = name_of(number);
            match number {
                32 | 33 => assert_eq!(name, format!("signal {number}")),
                _ => assert_eq!(number_of(&name), Some(number), "{name}"),
            }
        }
        assert_eq!(name_of(6), "SIGABRT");
        assert_eq!(name_of(0), "signal 0");
        assert_eq!(name_of(65), "signal 65");
    }

    #[test]
    fn sets_hold_what_they_were_given() {
        let set = SignalSet::of(&[libc::SIGCHLD, 1000]);
        assert!(set.contains(libc::SIGCHLD) && !set.contains(libc::SIGTERM));
        assert!(SignalSet::all().contains(libc::SIGTERM));
    }
}
