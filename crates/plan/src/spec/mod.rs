//! `config.json`: bytes -> the decoded configuration.
//!
//! The ordinary file is decoded in one go. Only a file that something is wrong
//! with, or that needs a [`quirks`] patch, is read again as a tree, so that
//! every wrong value in it can be named ([`repair`]).

mod quirks;
mod repair;
mod required;
mod shape;
mod wording;

use std::path::Path;

use serde_json::Value;

use crate::{ConfigPath, Errors, PlanError, Problem, Warning};

/// A `config.json` of Kubernetes' largest pods stays below one MiB.
const LONGEST: usize = 16 << 20;
/// Nesting at which the slow reader is asked; it stops at 128, as serde_json does.
const DEEP: usize = 100;

type Decoded = oci_spec::runtime::Spec;

/// A `config.json`. Opaque: what it means is the plan's business.
///
/// Wrong types and words inside are kept here and reported by [`crate::build`]
/// together with everything else that is wrong.
#[derive(Debug, Clone)]
pub struct Spec {
    decoded: Decoded,
    warnings: Vec<Warning>,
    problems: Vec<PlanError>,
    /// Paths below which values were left out, so that nothing can be said about them.
    unknown: Vec<String>,
}

impl Spec {
    /// For the chapters of this crate.
    pub(crate) fn decoded(&self) -> &Decoded {
        &self.decoded
    }

    /// Leaves the configuration without its process.
    pub(crate) fn take_process(&mut self) -> Option<oci_spec::runtime::Process> {
        let process = self.decoded.process().clone();
        self.decoded.set_process(None);
        process
    }

    /// Gives the configuration another process.
    pub(crate) fn put_process(&mut self, process: oci_spec::runtime::Process) {
        self.decoded.set_process(Some(process));
    }

    /// What was found odd while decoding.
    pub(crate) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Paths below which values were left out.
    pub(crate) fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The problems of decoding with those that the chapters found, without the
    /// ones that are only consequences of a value that could not be decoded.
    pub(crate) fn merge_problems(&self, found: Vec<PlanError>) -> Vec<PlanError> {
        if self.problems.is_empty() {
            return found;
        }
        // Without the namespaces nearly every chapter would come to false conclusions.
        let blind = self
            .unknown
            .iter()
            .any(|p| p.starts_with("linux.namespaces") || p == "linux");
        let mut all = self.problems.clone();
        if !blind {
            let news = found.into_iter().filter(|problem| {
                let path = problem.path.as_str();
                !self
                    .unknown
                    .iter()
                    .any(|p| is_below(path, p) || is_below(p, path))
            });
            all.extend(news);
        }
        all
    }
}

/// Whether `path` is `top` or something inside it.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Reads a `config.json`.
///
/// # Errors
/// What makes the document unreadable as a whole: its size, its encoding, its
/// syntax. Wrong values in it are reported by [`crate::build`].
pub fn load(bytes: &[u8]) -> Result<Spec, Errors> {
    let text = read_text(bytes)?;
    if let Some(spec) = load_ordinary(text) {
        return Ok(spec);
    }
    let tree = read_tree(text)?;
    Ok(repair::decode(tree))
}

/// Reads a configuration in one go; `None` when something is wrong with it, or may be
/// meant otherwise than it was decoded.
pub(crate) fn load_ordinary(text: &str) -> Option<Spec> {
    if text.len() > LONGEST || is_suspicious(text) {
        return None;
    }
    let decoded = serde_json::from_str::<Decoded>(text).ok()?;
    if quirks::may_concern(&decoded) || required::may_lack(text, &decoded) {
        return None;
    }
    Some(Spec {
        decoded,
        warnings: Vec::new(),
        problems: Vec::new(),
        unknown: Vec::new(),
    })
}

/// Reads any document of the spec as a tree.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, PlanError> {
    read_tree(read_text(bytes)?)
}

/// Reads a document that is one list.
pub(crate) fn parse_list(bytes: &[u8]) -> Result<Vec<Value>, PlanError> {
    let tree = serde_json::from_str(read_text(bytes)?);
    match tree.map_err(|e| unreadable(wording::syntax(&e)))? {
        Value::Array(list) => Ok(list),
        other => Err(PlanError::invalid(
            ConfigPath::new("config.json"),
            "a list",
            wording::found(&other),
        )),
    }
}

/// The configuration that a tree is, as [`load`] gives it.
pub(crate) fn decode(tree: Value) -> Spec {
    repair::decode(tree)
}

fn unreadable(text: String) -> PlanError {
    PlanError::new(ConfigPath::new("config.json"), Problem::Unreadable(text))
}

/// The bytes as text, if they can be JSON at all.
fn read_text(bytes: &[u8]) -> Result<&str, PlanError> {
    if bytes.len() > LONGEST {
        let text = format!("is {} bytes long, the limit is {LONGEST}", bytes.len());
        return Err(unreadable(text));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        let text = "begins with a byte order mark, which JSON does not allow";
        return Err(unreadable(text.to_owned()));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(unreadable("is empty".to_owned()));
    }
    std::str::from_utf8(bytes)
        .map_err(|e| unreadable(format!("is not UTF-8 (at byte {})", e.valid_up_to())))
}

/// Whether the one-go decoder would overlook something: a NUL (JSON can only
/// write it escaped), nesting in a property that it skips, a list for an object.
fn is_suspicious(text: &str) -> bool {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest > DEEP || text.contains("\\u0000") || shape::may_be_wrong(text)
}

/// The document as a tree; syntax errors with their place.
fn read_tree(text: &str) -> Result<Value, PlanError> {
    let tree: Value = serde_json::from_str(text).map_err(|e| unreadable(wording::syntax(&e)))?;
    if tree.is_object() {
        return Ok(tree);
    }
    let found = wording::found(&tree);
    Err(PlanError::invalid(
        ConfigPath::new("config.json"),
        "an object",
        found,
    ))
}

/// The text of a path that was decoded from JSON, and therefore is UTF-8.
pub(crate) fn path_text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
