//! The test of the tests: one property of a config is taken away, or one command of
//! the runtime is broken, and the test must notice.
//!
//! What a test *sets* is found by itself: each config that it writes is compared with
//! the one it was given. A test that sets nothing asserts the defaults or a command,
//! so these are broken for it. A test that notices nothing at all is a hole.

use std::fs::OpenOptions;
use std::io::Write;

use serde_json::{Value, json};

/// The file that takes what a test sets and calls, one JSON text a line.
pub const RECORD: &str = "RUNTIME_TESTS_RECORD";
/// What is broken in this run, as JSON; read by [`apply`] and by `saboteur`.
pub const SABOTAGE: &str = "RUNTIME_TESTS_SABOTAGE";
/// The runtime that `saboteur` calls.
pub const REAL_RUNTIME: &str = "RUNTIME_TESTS_REAL";

/// Members without which a config is none. Their absence proves only that it is refused.
const REQUIRED: &[&str] = &[
    "action",
    "allow",
    "class",
    "containerID",
    "defaultAction",
    "destination",
    "hard",
    "hostID",
    "major",
    "minor",
    "mode",
    "names",
    "ociVersion",
    "pageSize",
    "path",
    "policy",
    "size",
    "soft",
    "source",
    "type",
];

/// The pointers at which `config` is not what `default` is: the smallest parts that
/// can be taken away, or put back, one by one.
pub fn changes(default: &Value, config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differ(Some(default), config, "", &mut found);
    // The program is what looks, not what is looked at.
    found.retain(|pointer| !pointer.starts_with("/process/args"));
    found
}

fn differ(default: Option<&Value>, config: &Value, at: &str, found: &mut Vec<String>) {
    match (default, config) {
        (Some(default), config) if default == config => {}
        (Some(Value::Object(old)), Value::Object(new)) => {
            for (name, value) in new {
                differ(old.get(name), value, &child(at, name), found);
            }
            let gone = old.keys().filter(|name| !new.contains_key(*name));
            found.extend(gone.map(|name| child(at, name)));
        }
        (Some(Value::Array(old)), Value::Array(new)) if new.starts_with(old) => {
            for (index, value) in new.iter().enumerate().skip(old.len()) {
                added(value, &child(at, &index.to_string()), found);
            }
        }
        (None, Value::Object(new)) if !new.is_empty() => {
            for (name, value) in new {
                differ(None, value, &child(at, name), found);
            }
        }
        (None, Value::Array(new)) if !new.is_empty() => {
            for (index, value) in new.iter().enumerate() {
                added(value, &child(at, &index.to_string()), found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

/// An element of a list, as a whole and without each part that it can do without.
fn added(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    if let Value::Object(members) = value {
        for (name, member) in members {
            if !REQUIRED.contains(&name.as_str()) {
                differ(None, member, &child(at, name), found);
            }
        }
    }
}

fn child(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What a test without a change of its own may assert.
pub(crate) fn defaults(config: &Value) -> Vec<String> {
    let mut found: Vec<String> = [
        "/hostname",
        "/linux/cgroupsPath",
        "/linux/maskedPaths",
        "/linux/readonlyPaths",
        "/linux/resources",
        "/process/capabilities",
        "/process/env",
        "/process/noNewPrivileges",
        "/process/rlimits",
    ]
    .map(str::to_owned)
    .into();
    for list in ["/linux/namespaces", "/mounts"] {
        let length = config
            .pointer(list)
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        found.extend((0..length).map(|index| child(list, &index.to_string())));
    }
    found
}

/// A property's name, whichever element of a list it is: `/mounts/#/options/ro`.
pub(crate) fn property(pointer: &str, config: &Value) -> String {
    let is_index = |part: &str| part.parse::<usize>().is_ok();
    let parts: Vec<&str> = pointer.split('/').collect();
    let named = parts.iter().enumerate().map(|(depth, part)| match () {
        () if !is_index(part) => (*part).to_owned(),
        () => {
            let element = config.pointer(&parts[..=depth].join("/"));
            let text = element.and_then(Value::as_str);
            // `size=1m` and `size=2m` are one option.
            let name = text.filter(|text| !text.contains('/'));
            name.map_or("#".to_owned(), |text| {
                text.split('=').next().unwrap_or_default().to_owned()
            })
        }
    });
    named.collect::<Vec<_>>().join("/")
}

/// Tells what a written config sets, when this run records.
pub(crate) fn record_config(default: &Value, config: &Value) {
    if std::env::var_os(RECORD).is_none() {
        return;
    }
    for pointer in changes(default, config) {
        record(&json!({"config": pointer, "property": property(&pointer, config)}));
    }
    for pointer in defaults(default) {
        record(&json!({"default": pointer}));
    }
}

/// Adds one line to the record.
pub fn record(line: &Value) {
    let Some(path) = std::env::var_os(RECORD) else {
        return;
    };
    let file = OpenOptions::new().create(true).append(true).open(path);
    let _ = file.and_then(|mut file| writeln!(file, "{line}"));
}

/// The config as the broken runtime sees it.
pub(crate) fn apply(default: &Value, config: &Value) -> Value {
    let sabotage = std::env::var(SABOTAGE).ok();
    let sabotage = sabotage.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let pointer = sabotage.as_ref().and_then(|it| {
        let named = it.get("config").or_else(|| it.get("default"));
        named.and_then(Value::as_str)
    });
    match pointer {
        Some(pointer) => without(default, config, pointer),
        None => config.clone(),
    }
}

fn without(default: &Value, config: &Value, pointer: &str) -> Value {
    let mut broken = config.clone();
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        return broken;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    // What the default has and the test changed comes back; all else goes.
    let old = default
        .pointer(pointer)
        .filter(|old| config.pointer(pointer) != Some(old));
    match (broken.pointer_mut(parent), old) {
        (Some(Value::Object(members)), Some(old)) => {
            members.insert(name, old.clone());
        }
        (Some(Value::Object(members)), None) => {
            members.remove(&name);
        }
        (Some(Value::Array(list)), _) => {
            if let Some(index) = name.parse().ok().filter(|index| *index < list.len()) {
                list.remove(index);
            }
        }
        _ => {}
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_that_was_set_is_found() {
        let default = json!({"a": 1, "list": ["x"], "gone": true});
        let config = json!({"a": 2, "list": ["x", "y"], "new": {"b/c": 1, "d": 2},
            "mounts": [{"destination": "/x", "options": ["ro"]}]});
        let found = changes(&default, &config);
        let wanted = [
            "/a",
            "/list/1",
            "/mounts/0",
            "/mounts/0/options/0",
            "/new/b~1c",
            "/new/d",
            "/gone",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_list_that_lost_something_comes_back_as_a_whole() {
        let default = json!({"namespaces": ["pid", "mount"]});
        let config = json!({"namespaces": ["mount"]});
        assert_eq!(changes(&default, &config), ["/namespaces"]);
        assert_eq!(without(&default, &config, "/namespaces"), default);
    }

    #[test]
    fn one_part_is_taken_away() {
        let config = json!({"mounts": [{"options": ["ro", "nosuid"]}], "new": {"b/c": 1}});
        let broken = without(&json!({}), &config, "/mounts/0/options/0");
        assert_eq!(broken["mounts"][0]["options"], json!(["nosuid"]));
        let broken = without(&json!({}), &config, "/new/b~1c");
        assert_eq!(broken["new"], json!({}));
        // A default that the test did not touch goes as well.
        assert_eq!(
            without(&config, &config, "/mounts"),
            json!({"new": {"b/c": 1}})
        );
    }

    #[test]
    fn elements_have_the_name_of_their_list() {
        let config = json!({"mounts": [{"options": ["size=1m"]}]});
        assert_eq!(
            property("/mounts/0/options/0", &config),
            "/mounts/#/options/size"
        );
        assert_eq!(property("/mounts/0", &config), "/mounts/#");
    }
}
