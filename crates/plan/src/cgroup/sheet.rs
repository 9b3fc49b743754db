//! The values one controller gets, before it is known which directory they go to.

use super::{Alternative, Problems};
use crate::{ConfigPath, PlanError, Warning};

/// The path of one property of `linux.resources`.
pub(super) fn at(rest: &str) -> ConfigPath {
    ConfigPath::new("linux.resources").field(rest)
}

/// A [`super::Setting`] without its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub file: String,
    pub value: String,
    pub from: ConfigPath,
    pub optional: bool,
    pub instead: Option<Alternative>,
    pub not_below: Option<String>,
}

/// Whether a value is what the kernel does without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The container must not start without it.
    Required,
    /// The kernel's own default: a missing file says the same.
    Default,
}

impl Need {
    /// `Default` when `same` as the kernel's default.
    pub fn unless(same: bool) -> Self {
        if same { Self::Default } else { Self::Required }
    }
}

/// Values in the order of writing, and what is wrong with the rest.
pub(super) struct Sheet<'a> {
    pub values: Vec<Value>,
    out: &'a mut Problems,
}

impl<'a> Sheet<'a> {
    /// An empty sheet.
    pub fn new(out: &'a mut Problems) -> Self {
        Self {
            values: Vec::new(),
            out,
        }
    }

    /// Adds a value.
    pub fn put(
        &mut self,
        file: impl Into<String>,
        value: impl ToString,
        need: Need,
        from: ConfigPath,
    ) {
        self.values.push(Value {
            file: file.into(),
            value: value.to_string(),
            from,
            optional: need == Need::Default,
            instead: None,
            not_below: None,
        });
    }

    /// What to write in place of the value added last where its file is missing.
    pub fn or_else(&mut self, file: &str, value: impl ToString) {
        if let Some(last) = self.values.last_mut() {
            last.instead = Some(Alternative {
                file: file.to_owned(),
                value: value.to_string(),
            });
        }
    }

    /// The file whose number must not exceed the value added last.
    pub fn not_below(&mut self, file: &str) {
        if let Some(last) = self.values.last_mut() {
            last.not_below = Some(file.to_owned());
        }
    }

    /// This kind of hierarchy cannot do it.
    pub fn unsupported(&mut self, from: ConfigPath, sentence: impl Into<String>) {
        self.out
            .problems
            .push(PlanError::unsupported(from, sentence));
    }

    /// Something else is wrong.
    pub fn problem(&mut self, problem: PlanError) {
        self.out.problems.push(problem);
    }

    /// This kind of hierarchy does without, harmlessly.
    pub fn warn(&mut self, from: ConfigPath, text: impl Into<String>) {
        self.out.warnings.push(Warning {
            path: from,
            text: text.into(),
        });
    }
}
