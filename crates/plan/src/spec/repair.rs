//! Decoding a document that something is wrong with: name the wrong value, take
//! it out, decode again. So one pass over a file finds all its wrong values, and
//! the chapters still check the rest.

use serde_json::Value;
use serde_path_to_error::Segment;

use super::quirks::{self, Findings};
use super::{Decoded, Spec, shape, wording};
use crate::{ConfigPath, PlanError, Warning};

/// Problems after which nobody reads on.
const MOST: usize = 100;

/// One part of the path to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Key(String),
    Index(usize),
}

/// Decodes a document, collecting what is wrong with its values.
pub(super) fn decode(mut tree: Value) -> Spec {
    let mut problems = Vec::new();
    let mut warnings: Vec<Warning> = Vec::new();
    find_nul(&tree, &ConfigPath::new(""), &mut problems);
    if let Value::Object(document) = &mut tree {
        let mut findings = Findings {
            problems: &mut problems,
            warnings: &mut warnings,
        };
        quirks::patch(document, &mut findings);
    }
    let mut unknown: Vec<String> = problems
        .iter()
        .map(|p| p.path.as_str().to_owned())
        .collect();
    let mut removed = Vec::new();
    let decoded = loop {
        let (path, message) = match next_wrong(&tree) {
            Ok(decoded) => break decoded,
            Err(wrong) => wrong,
        };
        let original = in_original(&path, &removed);
        let problem = wording::reword(&original, value_at(&tree, &path), &message);
        if path.is_empty() || problems.len() >= MOST {
            problems.push(problem);
            break nothing();
        }
        // A required value that was taken out for being wrong is then missing.
        if !unknown.iter().any(|p| p == problem.path.as_str()) {
            unknown.push(problem.path.as_str().to_owned());
            problems.push(problem);
        }
        if let Some(Part::Index(index)) = original.last() {
            // The other elements have other numbers now.
            let list = &original[..original.len() - 1];
            unknown.push(config_path(list).as_str().to_owned());
            removed.push((list.to_vec(), *index));
        }
        take_out(&mut tree, &path);
    };
    Spec {
        decoded,
        warnings,
        problems,
        unknown,
    }
}

/// The decoded document, or its first wrong value with the decoder's message.
fn next_wrong(tree: &Value) -> Result<Decoded, (Vec<Part>, String)> {
    if let Some((path, message)) = shape::find_wrong(tree) {
        return Err((path, message.to_owned()));
    }
    serde_path_to_error::deserialize::<_, Decoded>(tree)
        .map_err(|error| (parts_of(error.path()), error.inner().to_string()))
}

/// A document about which nothing can be said.
fn nothing() -> Decoded {
    let mut empty = Decoded::default();
    empty
        .set_process(None)
        .set_root(None)
        .set_linux(None)
        .set_mounts(None);
    empty
}

fn parts_of(path: &serde_path_to_error::Path) -> Vec<Part> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(Part::Key(key.clone())),
            Segment::Seq { index } => Some(Part::Index(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// The path in the document as it was, before elements of lists were taken out.
fn in_original(path: &[Part], removed: &[(Vec<Part>, usize)]) -> Vec<Part> {
    let mut original: Vec<Part> = Vec::with_capacity(path.len());
    for part in path {
        let part = match part {
            Part::Key(_) => part.clone(),
            Part::Index(index) => {
                let here = removed.iter().filter(|(list, _)| *list == original);
                let mut gone: Vec<usize> = here.map(|(_, index)| *index).collect();
                gone.sort_unstable();
                let mut index = *index;
                for other in gone {
                    index += usize::from(other <= index);
                }
                Part::Index(index)
            }
        };
        original.push(part);
    }
    original
}

fn value_at<'a>(tree: &'a Value, path: &[Part]) -> &'a Value {
    let mut value = tree;
    for part in path {
        let next = match part {
            Part::Key(key) => value.get(key),
            Part::Index(index) => value.get(index),
        };
        match next {
            Some(next) => value = next,
            None => return &Value::Null,
        }
    }
    value
}

/// Removes one value, or puts a harmless one in the place of one that must be there.
fn take_out(tree: &mut Value, path: &[Part]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut value = tree;
    for part in parents {
        let next = match part {
            Part::Key(key) => value.get_mut(key),
            Part::Index(index) => value.get_mut(index),
        };
        match next {
            Some(next) => value = next,
            None => return,
        }
    }
    match (value, last) {
        (Value::Object(object), Part::Key(key)) => {
            let in_process = matches!(parents, [Part::Key(top)] if top == "process");
            match key.as_str() {
                "cwd" if in_process => drop(object.insert(key.clone(), Value::from("/"))),
                "user" if in_process => {
                    object.insert(key.clone(), Value::Object(serde_json::Map::new()));
                }
                key => drop(object.remove(key)),
            }
        }
        (Value::Array(list), Part::Index(index)) if *index < list.len() => {
            list.remove(*index);
        }
        _ => {}
    }
}

/// Objects whose keys are data, so that they are written in brackets and quotes.
const MAPS: [&str; 6] = [
    "annotations",
    "linux.sysctl",
    "linux.netDevices",
    "linux.timeOffsets",
    "linux.resources.unified",
    "linux.resources.rdma",
];

/// A step down from `path`.
fn child(path: &ConfigPath, key: &str) -> ConfigPath {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if MAPS.contains(&path.as_str()) || key.is_empty() || !key.bytes().all(plain) {
        path.key(key)
    } else {
        path.field(key)
    }
}

/// As people write it.
pub(super) fn config_path(parts: &[Part]) -> ConfigPath {
    let mut path = ConfigPath::new("");
    for part in parts {
        path = match part {
            Part::Key(key) => child(&path, key),
            Part::Index(index) => path.index(*index),
        };
    }
    path
}

/// A NUL ends a string for the kernel but not for JSON: what would be done is not
/// what is written. The tree is at most 128 levels deep.
fn find_nul(value: &Value, path: &ConfigPath, problems: &mut Vec<PlanError>) {
    match value {
        Value::String(text) => check_nul(text, path, problems),
        Value::Array(list) => {
            for (n, value) in list.iter().enumerate() {
                find_nul(value, &path.index(n), problems);
            }
        }
        Value::Object(object) => {
            for (key, value) in object {
                let at = child(path, key);
                check_nul(key, &at, problems);
                find_nul(value, &at, problems);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn check_nul(text: &str, at: &ConfigPath, problems: &mut Vec<PlanError>) {
    if text.contains('\0') && problems.len() < MOST {
        let (wanted, found) = ("text without NUL characters", crate::error::quote(text));
        problems.push(PlanError::invalid(at.clone(), wanted, found));
    }
}
