//! The request over what the container has.

use serde_json::{Map, Value};

use super::Named;

/// Lists whose elements are found again by some of their fields.
const KEYED: [(&str, &[&str]); 7] = [
    ("hugepageLimits", &["pageSize"]),
    ("priorities", &["name"]),
    ("weightDevice", &["major", "minor"]),
    ("throttleReadBpsDevice", &["major", "minor"]),
    ("throttleWriteBpsDevice", &["major", "minor"]),
    ("throttleReadIOPSDevice", &["major", "minor"]),
    ("throttleWriteIOPSDevice", &["major", "minor"]),
];

/// Puts what is named into the container's `linux.resources`.
pub(super) fn merge(resources: &mut Value, named: &Named) {
    let memory = |property| named.tree.get("memory")?.get(property);
    if memory("limit").and_then(Value::as_i64) == Some(-1)
        && memory("swap").is_none()
        && let Some(Value::Object(kept)) = resources.get_mut("memory")
    {
        // It is the sum of memory and swap: below "no limit" there is no such number.
        kept.remove("swap");
    }
    over(resources, &Value::Object(named.tree.clone()), "");
}

/// Objects are merged, keyed lists too, anything else is replaced; what is of a
/// wrong type is left for the decoder to refuse.
fn over(kept: &mut Value, given: &Value, name: &str) {
    match (&mut *kept, given) {
        (Value::Object(kept), Value::Object(given)) => {
            for (name, value) in given {
                over(kept.entry(name).or_insert(Value::Null), value, name);
            }
        }
        (Value::Null, Value::Object(_)) => {
            *kept = Value::Object(Map::new());
            over(kept, given, name);
        }
        (Value::Array(old), Value::Array(given)) => {
            let fields = KEYED.iter().find(|(list, _)| *list == name);
            let same = |a: &Value, b: &Value| {
                fields.is_some_and(|(_, fields)| fields.iter().all(|f| a.get(f) == b.get(f)))
            };
            // The given ones keep their places in the list: errors name them.
            let others = old
                .iter()
                .filter(|old| fields.is_some() && !given.iter().any(|given| same(old, given)));
            *old = given.iter().chain(others).cloned().collect();
        }
        _ => *kept = given.clone(),
    }
}
