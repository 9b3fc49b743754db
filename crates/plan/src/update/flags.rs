//! The request as part of `linux.resources`, and which option each property came from.

use serde_json::{Map, Value};

use super::UpdateRequest;
use crate::cgroup::Problems;
use crate::error::quote;
use crate::{ConfigPath, Errors, PlanError, Warning, spec};

/// What the text of an option is.
#[derive(Clone, Copy)]
enum Kind {
    /// A number of bytes, with a unit or without, or -1.
    Bytes,
    /// A number.
    Number,
    /// As it is.
    Text,
}

/// Options and the property of `linux.resources` they set.
const OPTIONS: [(&str, [&str; 2], Kind); 14] = [
    ("--blkio-weight", ["blockIO", "weight"], Kind::Number),
    ("--cpu-period", ["cpu", "period"], Kind::Number),
    ("--cpu-quota", ["cpu", "quota"], Kind::Number),
    ("--cpu-burst", ["cpu", "burst"], Kind::Number),
    ("--cpu-share", ["cpu", "shares"], Kind::Number),
    ("--cpu-rt-period", ["cpu", "realtimePeriod"], Kind::Number),
    ("--cpu-rt-runtime", ["cpu", "realtimeRuntime"], Kind::Number),
    ("--cpu-idle", ["cpu", "idle"], Kind::Number),
    ("--cpuset-cpus", ["cpu", "cpus"], Kind::Text),
    ("--cpuset-mems", ["cpu", "mems"], Kind::Text),
    ("--memory", ["memory", "limit"], Kind::Bytes),
    (
        "--memory-reservation",
        ["memory", "reservation"],
        Kind::Bytes,
    ),
    ("--memory-swap", ["memory", "swap"], Kind::Bytes),
    ("--pids-limit", ["pids", "limit"], Kind::Number),
];

/// Properties of which 0, or an empty text, is how engines write "not set".
const UNSET_BY_ZERO: [(&str, &[&str]); 3] = [
    (
        "memory",
        &["limit", "reservation", "swap", "kernel", "kernelTCP"],
    ),
    (
        "cpu",
        &[
            "shares",
            "quota",
            "period",
            "realtimeRuntime",
            "realtimePeriod",
            "cpus",
            "mems",
        ],
    ),
    ("blockIO", &["weight", "leafWeight"]),
];

/// What a request names.
pub(super) struct Named {
    /// In the form of `linux.resources`, without `devices`.
    pub tree: Map<String, Value>,
    /// `devices`
    pub devices: Option<Value>,
    /// Property and option.
    options: Vec<(ConfigPath, &'static str)>,
    /// Paths of the values in `tree`.
    leaves: Vec<ConfigPath>,
}

impl Named {
    /// Whether the request names this property or a part of it.
    pub fn asks_for(&self, path: &ConfigPath) -> bool {
        let path = path.as_str();
        let is_below = |inner: &str, outer: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        path.starts_with("--")
            || self
                .leaves
                .iter()
                .any(|leaf| is_below(leaf.as_str(), path) || is_below(path, leaf.as_str()))
    }

    /// The option, where a property came from one.
    pub fn name(&self, path: ConfigPath) -> ConfigPath {
        match self.options.iter().find(|(property, _)| *property == path) {
            Some((_, option)) => ConfigPath::flag(option),
            None => path,
        }
    }

    /// A problem told by what the caller gave. One of a property that was not given
    /// is one of what the container has and what was given together.
    pub fn explain(&self, problem: PlanError) -> PlanError {
        let path = self.name(problem.path.clone());
        let kept = path == problem.path && !self.asks_for(&path);
        let hint = match problem.hint {
            None if kept => Some("the container has it; give it anew too".to_owned()),
            hint => hint,
        };
        PlanError {
            path,
            problem: problem.problem,
            hint,
        }
    }
}

/// Reads a request.
///
/// # Errors
/// A `--resources` that is no JSON object.
pub(super) fn read(request: &UpdateRequest, out: &mut Problems) -> Result<Named, Errors> {
    let mut named = Named {
        tree: Map::new(),
        devices: None,
        options: Vec::new(),
        leaves: Vec::new(),
    };
    match &request.resources {
        Some(bytes) => {
            named.tree = read_document(bytes)?;
            for (option, _) in &request.options {
                warn(out, option, "ignored: --resources is given");
            }
        }
        None => {
            for (option, text) in &request.options {
                read_option((option, text), &mut named, out);
            }
        }
    }
    drop_unset(&mut named.tree);
    named.devices = named.tree.remove("devices");
    let top = ConfigPath::new("linux.resources");
    for (name, value) in &named.tree {
        let in_map = name == "rdma" || name == "unified";
        collect(value, top.field(name), in_map, &mut named.leaves);
    }
    Ok(named)
}

fn warn(out: &mut Problems, option: &'static str, text: &str) {
    out.warnings.push(Warning {
        path: ConfigPath::flag(option),
        text: text.to_owned(),
    });
}

/// The document of `--resources`.
fn read_document(bytes: &[u8]) -> Result<Map<String, Value>, Errors> {
    let at = |problem: PlanError| PlanError {
        path: ConfigPath::flag("--resources"),
        ..problem
    };
    match spec::parse(bytes).map_err(at)? {
        Value::Object(tree) => Ok(tree),
        // Said by `parse`.
        _ => Ok(Map::new()),
    }
}

fn read_option((option, text): (&'static str, &str), named: &mut Named, out: &mut Problems) {
    match option {
        "--kernel-memory" | "--kernel-memory-tcp" => {
            let text = "ignored: kernel memory is counted against --memory";
            return warn(out, option, text);
        }
        // `schema` reads them.
        "--l3-cache-schema" | "--mem-bw-schema" => return,
        _ => {}
    }
    let known = OPTIONS.iter().find(|(name, _, _)| *name == option);
    let Some((name, [chapter, property], kind)) = known else {
        return;
    };
    match value_of(text, *kind) {
        Ok(value) => {
            let path = ConfigPath::new("linux.resources")
                .field(chapter)
                .field(property);
            named.options.push((path, name));
            let chapter = named
                .tree
                .entry(*chapter)
                .or_insert_with(|| Value::Object(Map::new()));
            chapter[*property] = value;
        }
        Err(wanted) => {
            let at = ConfigPath::flag(name);
            out.problems
                .push(PlanError::invalid(at, wanted, quote(text)));
        }
    }
}

fn value_of(text: &str, kind: Kind) -> Result<Value, &'static str> {
    match kind {
        Kind::Text => Ok(Value::from(text)),
        Kind::Number => match (text.parse::<i64>(), text.parse::<u64>()) {
            (Ok(number), _) => Ok(Value::from(number)),
            (_, Ok(number)) => Ok(Value::from(number)),
            _ => Err("a number"),
        },
        Kind::Bytes => bytes(text)
            .map(Value::from)
            .ok_or("a number of bytes (units: k, m, g, t, p), or -1 for no limit"),
    }
}

/// `512m`, `1.5GiB`, `1048576`, `-1`: units are powers of 1024, as everywhere in
/// container tools.
pub(crate) fn bytes(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let lower = text.trim().to_ascii_lowercase();
    let short = lower.strip_suffix("ib").or(lower.strip_suffix('b'));
    let short = short.unwrap_or(&lower);
    let (number, unit) = match short.char_indices().last()? {
        (end, unit) if unit.is_ascii_alphabetic() => (&short[..end], unit),
        _ => (short, 'b'),
    };
    let shift = 10 * "bkmgtp".find(unit)?;
    let (whole, fraction) = number
        .trim_end()
        .split_once('.')
        .unwrap_or((number.trim_end(), "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let unit = 1_i128 << shift;
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let parts = fraction.parse::<i128>().ok()? * unit / scale;
    let total = whole
        .parse::<i128>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(parts)?;
    i64::try_from(total).ok()
}

/// Takes out what means "keep".
fn drop_unset(tree: &mut Map<String, Value>) {
    for (chapter, properties) in UNSET_BY_ZERO {
        if let Some(Value::Object(chapter)) = tree.get_mut(chapter) {
            chapter.retain(|name, value| {
                let is_zero = value.as_i64() == Some(0) || value.as_str() == Some("");
                !(is_zero && properties.contains(&name.as_str()))
            });
        }
    }
    // Engines write -1 for "leave it" where the type has no sign.
    if let Some(Value::Object(memory)) = tree.get_mut("memory") {
        memory.retain(|name, value| name != "swappiness" || value.as_u64() != Some(u64::MAX));
    }
    drop_nulls(tree);
}

fn drop_nulls(tree: &mut Map<String, Value>) {
    tree.retain(|_, value| {
        if let Value::Object(inner) = value {
            drop_nulls(inner);
        }
        !value.is_null()
    });
}

/// The paths of all values; lists count as their elements.
fn collect(value: &Value, path: ConfigPath, in_map: bool, leaves: &mut Vec<ConfigPath>) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (name, value) in object {
                let path = if in_map {
                    path.key(name)
                } else {
                    path.field(name)
                };
                collect(value, path, false, leaves);
            }
        }
        Value::Array(list) => {
            for index in 0..list.len() {
                leaves.push(path.index(index));
            }
        }
        Value::Object(_) => {}
        _ => leaves.push(path),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn amounts_have_binary_units() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("1048576", Some(1 << 20)),
            ("512m", Some(512 << 20)),
            ("512M", Some(512 << 20)),
            ("64kb", Some(64 << 10)),
            ("2GiB", Some(2 << 30)),
            ("1.5g", Some(3 << 29)),
            ("12b", Some(12)),
            ("1 g", Some(1 << 30)),
            ("8p", Some(8 << 50)),
            ("8192p", None),
            ("", None),
            ("m", None),
            ("-5m", None),
            ("1x", None),
            ("1.m", None),
            ("1.5.5g", None),
            ("0x10", None),
            ("lots", None),
        ] {
            assert_eq!(bytes(text), wanted, "{text:?}");
        }
    }
}
