//! What can be wrong with a configuration, said so that it can be mended.

use std::fmt;

use serde::Serialize;

use crate::ConfigPath;

/// One thing that is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanError {
    /// The offending property.
    pub path: ConfigPath,
    /// What is wrong with it.
    pub problem: Problem,
    /// What to do, where that is not plain from the problem.
    pub hint: Option<String>,
}

/// What is wrong with one property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum Problem {
    /// A property that must be there is not. `wanted` completes "missing: ".
    #[error("missing: {wanted}")]
    Missing {
        /// What should stand there.
        wanted: &'static str,
    },
    /// The value is of the wrong type, form or range.
    #[error("expected {wanted}, found {found}")]
    Invalid {
        /// What would have been accepted.
        wanted: String,
        /// What was there, rendered as JSON (strings in quotes, cut when long).
        found: String,
    },
    /// A word that is not one of a closed list.
    #[error("unknown {what} {found:?} (one of: {one_of})")]
    Unknown {
        /// The kind of word, "namespace".
        what: &'static str,
        /// The word.
        found: String,
        /// The list, comma-separated.
        one_of: String,
    },
    /// The same thing twice, where the spec allows it once.
    #[error("duplicate {what} {found:?} (already at {first})")]
    Duplicate {
        /// The kind of thing, "namespace".
        what: &'static str,
        /// The repeated value.
        found: String,
        /// Where it stood first.
        first: ConfigPath,
    },
    /// Two properties, or a property and the request, exclude each other.
    #[error("{0}")]
    Conflict(String),
    /// This host cannot do it: the sentence says what is needed and what is there.
    #[error("{0}")]
    Unsupported(String),
    /// The document is not one that can be read at all.
    #[error("{0}")]
    Unreadable(String),
}

impl PlanError {
    /// An error without a hint.
    pub fn new(path: ConfigPath, problem: Problem) -> Self {
        Self {
            path,
            problem,
            hint: None,
        }
    }

    /// The same error with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Shorthand for [`Problem::Invalid`].
    pub fn invalid(path: ConfigPath, wanted: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(
            path,
            Problem::Invalid {
                wanted: wanted.into(),
                found: found.into(),
            },
        )
    }

    /// Shorthand for [`Problem::Conflict`].
    pub fn conflict(path: ConfigPath, sentence: impl Into<String>) -> Self {
        Self::new(path, Problem::Conflict(sentence.into()))
    }

    /// Shorthand for [`Problem::Unsupported`].
    pub fn unsupported(path: ConfigPath, sentence: impl Into<String>) -> Self {
        Self::new(path, Problem::Unsupported(sentence.into()))
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PlanError {}

/// Every problem of a configuration, in the order of the document. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Errors(Vec<PlanError>);

impl Errors {
    /// `Err` when there is at least one problem, `value` otherwise.
    pub fn check<T>(problems: Vec<PlanError>, value: T) -> Result<T, Self> {
        if problems.is_empty() {
            Ok(value)
        } else {
            Err(Self(problems))
        }
    }

    /// These problems. A list that is empty all the same says so in its place.
    pub(crate) fn new(mut problems: Vec<PlanError>) -> Self {
        if problems.is_empty() {
            let text = "the plan could not be made, and no chapter said why";
            problems.push(PlanError::conflict(ConfigPath::new("config.json"), text));
        }
        Self(problems)
    }

    /// All problems.
    pub fn all(&self) -> &[PlanError] {
        &self.0
    }
}

impl From<PlanError> for Errors {
    fn from(problem: PlanError) -> Self {
        Self(vec![problem])
    }
}

/// The first problem, and how many more there are.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.0.first() {
            write!(f, "{first}")?;
        }
        match self.0.len() {
            0 | 1 => Ok(()),
            2 => f.write_str(" [and 1 more problem: see `corten explain`]"),
            n => write!(f, " [and {} more problems: see `corten explain`]", n - 1),
        }
    }
}

impl std::error::Error for Errors {}

/// Something the spec says to warn about and go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Warning {
    /// The property.
    pub path: ConfigPath,
    /// What was found and what was done instead.
    pub text: String,
}

/// A string of the configuration as JSON, cut when long: what `found` says.
pub(crate) fn quote(text: &str) -> String {
    const LIMIT: usize = 64;
    let json = |text: &str| serde_json::Value::from(text).to_string();
    match text.char_indices().nth(LIMIT) {
        Some((cut, _)) => json(&format!("{}...", &text[..cut])),
        None => json(text),
    }
}
