//! What can go wrong with a cgroup, and which property asked for it.

use std::fmt;

use plan::ConfigPath;

/// A call that failed, the property it was made for, and what a look around
/// said about the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupError {
    /// The property of the configuration, where there is one.
    pub from: Option<ConfigPath>,
    /// The call.
    pub source: kernel::Error,
    /// Why, or what to do.
    pub hint: Option<String>,
}

impl CgroupError {
    /// An error that no property is to blame for.
    pub(crate) fn new(source: kernel::Error) -> Self {
        Self {
            from: None,
            source,
            hint: None,
        }
    }

    /// An error about the place of the cgroup.
    pub(crate) fn at_path(source: kernel::Error) -> Self {
        Self {
            from: Some(ConfigPath::new("linux.cgroupsPath")),
            ..Self::new(source)
        }
    }

    /// The same with advice.
    pub(crate) fn hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

impl From<kernel::Error> for CgroupError {
    fn from(source: kernel::Error) -> Self {
        Self::new(source)
    }
}

impl fmt::Display for CgroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = &self.from {
            write!(f, "{from}: ")?;
        }
        write!(f, "{}", self.source)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CgroupError {}
