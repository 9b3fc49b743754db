//! The one error of this crate: a call, the kernel's answer, and what the
//! kernel said beyond its answer.

use std::fmt;

pub use rustix::io::Errno;

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Calls with the version of Linux that brought what is asked of them here.
const NEWER_CALLS: [(&str, &str); 12] = [
    ("clone3", "5.7"),
    ("close_range", "5.11"),
    ("fsconfig", "5.2"),
    ("fsmount", "5.2"),
    ("fsopen", "5.2"),
    ("mount_setattr", "5.12"),
    ("move_mount", "5.2"),
    ("open_tree", "5.2"),
    ("openat2", "5.6"),
    ("pidfd_open", "5.3"),
    ("pidfd_send_signal", "5.3"),
    ("statx", "5.8"),
];

/// The call with its arguments, the errno, and what the kernel said beyond it.
///
/// It is one pointer wide: `Result`s of this crate stay small on the path
/// where nothing fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Failure>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    errno: Errno,
    call: String,
    detail: Option<String>,
}

impl Error {
    /// A call that failed with `errno`. `call` is the call as a reader of
    /// strace would write it: `openat2(3, "etc/passwd", O_PATH)`.
    #[must_use]
    pub fn new(errno: Errno, call: impl Into<String>) -> Self {
        Self(Box::new(Failure {
            errno,
            call: call.into(),
            detail: None,
        }))
    }

    /// The same error with what is known beyond the errno: the text of an
    /// fscontext, or what this crate wanted and did not find. It takes the
    /// place of the errno's text when the error is shown.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The errno of the call.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.0.errno
    }

    /// The call with its arguments.
    #[must_use]
    pub fn call(&self) -> &str {
        &self.0.call
    }

    /// What the kernel (or this crate) said beyond the errno.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The errno as text within a sentence: "no such file or directory". Of a call that
    /// an older kernel does not have, or a filter around this process may forbid, it
    /// names the call.
    #[must_use]
    pub fn reason(&self) -> String {
        let text = errno_text(self.0.errno);
        match (self.0.errno, self.newer_call()) {
            (Errno::NOSYS, Some((name, since))) => format!("needs Linux {since} for {name}"),
            (Errno::PERM, Some((name, _))) => format!("{name}: {text}"),
            _ => text,
        }
    }

    fn newer_call(&self) -> Option<&'static (&'static str, &'static str)> {
        let name = self.0.call.split('(').next();
        NEWER_CALLS.iter().find(|(one, _)| Some(*one) == name)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.detail {
            Some(detail) => write!(f, "{}: {detail}", self.0.call),
            None => write!(f, "{}: {}", self.0.call, self.reason()),
        }
    }
}

impl std::error::Error for Error {}

/// The errno that somebody else told: a number that is none becomes EPROTO, where
/// [`Errno::from_raw_os_error`] would end the program.
#[must_use]
pub fn told_errno(number: i32) -> Errno {
    /// `MAX_ERRNO`, include/linux/err.h.
    const LARGEST: i32 = 4095;
    match number {
        1..=LARGEST => Errno::from_raw_os_error(number),
        _ => Errno::PROTO,
    }
}

/// The C library's text for `errno`, its first letter made small unless it
/// begins an abbreviation ("RFS specific error").
#[must_use]
pub fn errno_text(errno: Errno) -> String {
    let whole = std::io::Error::from_raw_os_error(errno.raw_os_error()).to_string();
    let text = match whole.rfind(" (os error ") {
        Some(end) => &whole[..end],
        None => &whole,
    };
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// The errno of the libc call that just failed on this thread.
pub(crate) fn last_errno() -> Errno {
    // SAFETY: errno is a thread local integer; libc gives a valid pointer to it.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_call_and_the_reason() {
        let error = Error::new(Errno::NOENT, "openat2(3, \"etc/x\", O_PATH)");
        assert_eq!(
            error.to_string(),
            "openat2(3, \"etc/x\", O_PATH): no such file or directory"
        );
        assert_eq!(error.errno(), Errno::NOENT);
        assert_eq!(
            error
                .with_detail("tmpfs: Unknown parameter 'sizee'")
                .to_string(),
            "openat2(3, \"etc/x\", O_PATH): tmpfs: Unknown parameter 'sizee'"
        );
    }

    #[test]
    fn numbers_that_are_no_errno_are_told_as_such() {
        assert_eq!(told_errno(2), Errno::NOENT);
        for number in [0, -1, 4096, i32::MIN, i32::MAX] {
            assert_eq!(told_errno(number), Errno::PROTO, "{number}");
        }
    }

    #[test]
    fn calls_of_newer_kernels_are_named() {
        let missing = Error::new(Errno::NOSYS, "fsopen(\"proc\")");
        assert_eq!(missing.reason(), "needs Linux 5.2 for fsopen");
        let forbidden = Error::new(Errno::PERM, "pidfd_open(7)");
        assert_eq!(forbidden.reason(), "pidfd_open: operation not permitted");
        let other = Error::new(Errno::NOENT, "openat2(root, \"x\")");
        assert_eq!(other.reason(), "no such file or directory");
        let older = Error::new(Errno::PERM, "mount(\"a\", \"b\")");
        assert_eq!(older.reason(), "operation not permitted");
    }

    #[test]
    fn reasons_read_as_part_of_a_sentence() {
        assert_eq!(errno_text(Errno::PERM), "operation not permitted");
        assert_eq!(errno_text(Errno::ACCESS), "permission denied");
        assert_eq!(errno_text(Errno::BUSY), "device or resource busy");
    }
}
