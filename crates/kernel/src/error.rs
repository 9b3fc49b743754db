//! The one error of this crate: a call, the kernel's answer, and what the
//! kernel said beyond its answer.

use std::fmt;

pub use rustix::io::Errno;

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

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

    /// The errno as text within a sentence: "no such file or directory".
    #[must_use]
    pub fn reason(&self) -> String {
        errno_text(self.0.errno)
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
    fn reasons_read_as_part_of_a_sentence() {
        assert_eq!(errno_text(Errno::PERM), "operation not permitted");
        assert_eq!(errno_text(Errno::ACCESS), "permission denied");
        assert_eq!(errno_text(Errno::BUSY), "device or resource busy");
    }
}
