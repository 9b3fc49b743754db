//! What differs between two configurations, property by property.
//!
//! Lists whose entries have a name (mounts by destination, namespaces by type) are
//! compared by it, lists of words as sets where their order means nothing: an entry
//! more at the front is one difference, not twenty.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::page::visible;
use crate::ConfigPath;

/// One property that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// `linux.resources.memory.limit`, `mounts[/data]`
    pub path: ConfigPath,
    /// In the first configuration; `None` when only the other has it.
    pub one: Option<String>,
    /// In the other one.
    pub other: Option<String>,
}

/// Names of entries, in the order in which they are looked for.
const NAMES: [&str; 5] = ["destination", "type", "path", "names", "containerID"];

/// Lists of words in which the order has a meaning.
const ORDERED: [&str; 2] = ["args", "options"];

/// All differences, by path.
pub fn diff(one: &Value, other: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(&ConfigPath::new(""), Some(one), Some(other), &mut found);
    found
}

/// A line each: `- ` what the first has, `+ ` what the other has.
pub fn differences(found: &[Difference]) -> String {
    let mut text = String::new();
    for difference in found {
        let mut put = |sign: char, value: &Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!("{sign} {}: {}\n", difference.path, visible(value)));
            }
        };
        put('-', &difference.one);
        put('+', &difference.other);
    }
    text
}

fn compare(
    path: &ConfigPath,
    one: Option<&Value>,
    other: Option<&Value>,
    found: &mut Vec<Difference>,
) {
    match (one, other) {
        (Some(one), Some(other)) if one == other => {}
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let names: std::collections::BTreeSet<&String> =
                one.keys().chain(other.keys()).collect();
            for name in names {
                compare(&path.field(name), one.get(name), other.get(name), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => lists(path, one, other, found),
        (one, other) => {
            let text = |value: &Value| value.to_string();
            found.push(Difference {
                path: path.clone(),
                one: one.map(text),
                other: other.map(text),
            });
        }
    }
}

fn lists(path: &ConfigPath, one: &[Value], other: &[Value], found: &mut Vec<Difference>) {
    let last = path.as_str().rsplit('.').next().unwrap_or_default();
    if let (Some(one), Some(other)) = (by_name(one), by_name(other)) {
        let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        for name in names {
            let path = ConfigPath::from_text(format!("{path}[{name}]"));
            compare(
                &path,
                one.get(name).copied(),
                other.get(name).copied(),
                found,
            );
        }
        return;
    }
    let words = |list: &[Value]| list.iter().all(Value::is_string);
    if words(one) && words(other) && !ORDERED.contains(&last) {
        for (list, rest, is_one) in [(one, other, true), (other, one, false)] {
            for word in list.iter().filter(|word| !rest.contains(word)) {
                let word = Some(word.to_string());
                let (one, other) = if is_one { (word, None) } else { (None, word) };
                let path = path.clone();
                found.push(Difference { path, one, other });
            }
        }
        return;
    }
    found.push(Difference {
        path: path.clone(),
        one: Some(Value::from(one).to_string()),
        other: Some(Value::from(other).to_string()),
    });
}

/// Entries by their names; `None` when one has none, or two have the same.
fn by_name(list: &[Value]) -> Option<BTreeMap<String, &Value>> {
    let key = NAMES
        .iter()
        .find(|key| !list.is_empty() && list.iter().all(|entry| entry.get(**key).is_some()));
    let key = match key {
        Some(key) => key,
        None if list.is_empty() => return Some(BTreeMap::new()),
        None => return None,
    };
    let mut map = BTreeMap::new();
    for entry in list {
        let name = match entry.get(*key)? {
            Value::String(name) => name.clone(),
            other => other.to_string(),
        };
        if map.insert(name, entry).is_some() {
            return None;
        }
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{diff, differences};

    #[test]
    fn entries_are_compared_by_name_and_words_as_sets() {
        let one = json!({
            "process": {"args": ["sh"], "env": ["A=1", "B=2"]},
            "mounts": [{"destination": "/proc", "type": "proc"}, {"destination": "/a", "options": ["ro"]}],
            "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}]},
        });
        let other = json!({
            "process": {"args": ["sh", "-c"], "env": ["B=2", "A=1", "C=3"]},
            "mounts": [{"destination": "/a", "options": ["rw"]}, {"destination": "/proc", "type": "proc"}],
            "linux": {"namespaces": [{"type": "pid"}], "resources": {"memory": {"limit": 1}}},
        });
        let wanted = "- linux.namespaces[network]: {\"type\":\"network\"}\n\
            + linux.resources: {\"memory\":{\"limit\":1}}\n\
            - mounts[/a].options: [\"ro\"]\n\
            + mounts[/a].options: [\"rw\"]\n\
            - process.args: [\"sh\"]\n\
            + process.args: [\"sh\",\"-c\"]\n\
            + process.env: \"C=3\"\n";
        assert_eq!(differences(&diff(&one, &other)), wanted);
        assert!(diff(&one, &one).is_empty());
    }
}
