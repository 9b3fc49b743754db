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
    ///
    /// Remedy: add the property.
    #[error("missing: {wanted}")]
    Missing {
        /// What should stand there.
        wanted: &'static str,
    },
    /// The value is of the wrong type, form or range.
    ///
    /// Remedy: write what the line says would be accepted.
    #[error("expected {wanted}, found {}", cut(found))]
    Invalid {
        /// What would have been accepted.
        wanted: String,
        /// What was there, rendered as JSON (strings in quotes).
        found: String,
    },
    /// A word that is not one of a closed list.
    ///
    /// Remedy: mostly a misspelling: the list has all words.
    #[error("unknown {what} {} (one of: {one_of})", quote(found))]
    Unknown {
        /// The kind of word, "namespace".
        what: &'static str,
        /// The word.
        found: String,
        /// The list, comma-separated.
        one_of: String,
    },
    /// The same thing twice, where the spec allows it once.
    ///
    /// Remedy: remove one of the two.
    #[error("duplicate {what} {} (already at {first})", quote(found))]
    Duplicate {
        /// The kind of thing, "namespace".
        what: &'static str,
        /// The repeated value.
        found: String,
        /// Where it stood first.
        first: ConfigPath,
    },
    /// Two properties, or a property and the request, exclude each other.
    ///
    /// Remedy: change one of the two that exclude each other; the hint says which.
    #[error("{0}")]
    Conflict(String),
    /// This host cannot do it: the sentence says what is needed and what is there.
    ///
    /// Remedy: the sentence says what the machine would need; `corten doctor` looks for it.
    #[error("{0}")]
    Unsupported(String),
    /// The document is not one that can be read at all.
    ///
    /// Remedy: a bundle is a directory with a config.json; `corten spec` writes one.
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
            let text = "refused without a reason, which is a mistake of this program";
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

/// Characters of one value that an error line shows.
const LONGEST_VALUE: usize = 64;

/// A string of the configuration as JSON, cut when long: what `found` says.
pub(crate) fn quote(text: &str) -> String {
    let json = |text: &str| escape(&serde_json::Value::from(text).to_string());
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => json(&format!("{}...", &text[..end])),
        None => json(text),
    }
}

/// JSON escapes control characters below U+0020 only. Others that a terminal acts
/// upon (U+009B starts a sequence as ESC [ does, U+202E turns the line round) are
/// escaped here in the same notation.
fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        let is_quiet = c.is_ascii_graphic() || c == ' ' || c.escape_debug().len() == 1;
        if is_quiet {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

/// A value that is rendered already, with its end left out when it is long.
fn cut(found: &str) -> String {
    // Room for a quoted string and a word or two around it.
    match found.char_indices().nth(LONGEST_VALUE + 32) {
        Some((end, _)) => format!("{}...", &found[..end]),
        None => found.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigPath, PlanError, Problem, quote};

    #[test]
    fn values_are_shown_as_json_and_never_in_full_when_long() {
        let long = "x".repeat(2000);
        let cut = format!("\"{}...\"", "x".repeat(64));
        for (text, shown) in [
            ("", r#""""#),
            ("a\nb\0", r#""a\nb\u0000""#),
            ("say \"x\" \\", r#""say \"x\" \\""#),
            ("gr\u{fc}n \u{1f600}", "\"gr\u{fc}n \u{1f600}\""),
            (
                "\u{7f}\u{9b}31m\u{202e}\u{e0001}",
                r#""\u007f\u009b31m\u202e\udb40\udc01""#,
            ),
            (&long, &cut),
        ] {
            assert_eq!(quote(text), shown);
        }
    }

    #[test]
    fn every_kind_of_problem_is_a_short_line() {
        let long = "x".repeat(2000);
        let first = ConfigPath::new("linux.sysctl").key(&long);
        let problems = [
            Problem::Invalid {
                wanted: "a name".to_owned(),
                found: long.clone(),
            },
            Problem::Unknown {
                what: "namespace",
                found: long.clone(),
                one_of: "a, b".to_owned(),
            },
            Problem::Duplicate {
                what: "sysctl",
                found: long.clone(),
                first: first.clone(),
            },
        ];
        for problem in problems {
            let line = PlanError::new(first.clone(), problem).to_string();
            assert!(line.len() < 500, "{line}");
        }
    }
}
