//! JSON in the order in which people write a configuration, indented with tabs.

use serde_json::Value;

/// Properties that come first, in this order; the others follow by name.
const ORDER: [&str; 35] = [
    "ociVersion",
    "process",
    "root",
    "hostname",
    "mounts",
    "linux",
    "terminal",
    "user",
    "uid",
    "gid",
    "args",
    "env",
    "cwd",
    "capabilities",
    "rlimits",
    "noNewPrivileges",
    "path",
    "readonly",
    "destination",
    "type",
    "source",
    "options",
    "containerID",
    "hostID",
    "size",
    "hard",
    "soft",
    "allow",
    "access",
    "uidMappings",
    "gidMappings",
    "resources",
    "namespaces",
    "maskedPaths",
    "readonlyPaths",
];

/// The text, with a newline at the end.
pub(super) fn write(value: &Value) -> String {
    let mut text = String::new();
    put(&mut text, value, 0);
    text + "\n"
}

fn put(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            let place = |name: &str| ORDER.iter().position(|known| *known == name);
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(name, _)| place(name).unwrap_or(ORDER.len()));
            let entries = entries.into_iter().map(|(name, value)| (Some(name), value));
            put_all(text, ['{', '}'], depth, entries);
        }
        Value::Array(list) if !list.is_empty() => {
            put_all(
                text,
                ['[', ']'],
                depth,
                list.iter().map(|value| (None, value)),
            );
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn put_all<'a>(
    text: &mut String,
    [open, close]: [char; 2],
    depth: usize,
    entries: impl Iterator<Item = (Option<&'a String>, &'a Value)>,
) {
    text.push(open);
    for (number, (name, value)) in entries.enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.extend(std::iter::repeat_n('\t', depth + 1));
        if let Some(name) = name {
            text.push_str(&Value::from(name.as_str()).to_string());
            text.push_str(": ");
        }
        put(text, value, depth + 1);
    }
    text.push('\n');
    text.extend(std::iter::repeat_n('\t', depth));
    text.push(close);
}

#[cfg(test)]
mod tests {
    use super::super::template;
    use super::write;

    #[test]
    fn a_template_stays_as_it_was_written() {
        for own in [None, Some((1000, 1000))] {
            let text = template(own);
            let value = serde_json::from_str(&text).unwrap();
            assert_eq!(write(&value), text);
        }
    }
}
