//! A decoder made by derive also takes a list for an object, by position:
//! `"root": ["rootfs", true]`, and `{"pid": null}` for the word `"pid"`. The
//! runtime spec does not.

use serde_json::Value;

use super::repair::Part;

/// Whether some list of the text stands where the spec may not want one, or an
/// object in the place of a word, so that the tree must be looked at. Quick and
/// rough: it looks at each opening bracket and the property in front of it.
pub(super) fn may_be_wrong(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b'[' => !property_before(&bytes[..at]).is_some_and(is_list),
        b'{' => property_before(&bytes[..at]).is_some_and(is_word),
        _ => false,
    })
}

/// The name with which `before` ends, if its value comes next.
fn property_before(before: &[u8]) -> Option<&[u8]> {
    let rest = before.trim_ascii_end().strip_suffix(b":")?;
    let rest = rest.trim_ascii_end().strip_suffix(b"\"")?;
    let quote = rest.iter().rposition(|byte| *byte == b'"');
    Some(&rest[quote.map_or(0, |n| n + 1)..])
}

/// Whether a property of this name is one word of a closed list.
fn is_word(name: &[u8]) -> bool {
    matches!(
        name,
        b"type" | b"action" | b"defaultAction" | b"op" | b"domain" | b"mode" | b"policy" | b"class"
    )
}

/// Whether a property of this name is a list.
fn is_list(name: &[u8]) -> bool {
    matches!(
        name,
        b"args"
            | b"env"
            | b"options"
            | b"mounts"
            | b"names"
            | b"syscalls"
            | b"architectures"
            | b"flags"
            | b"bounding"
            | b"effective"
            | b"inheritable"
            | b"permitted"
            | b"ambient"
            | b"rlimits"
            | b"additionalGids"
            | b"namespaces"
            | b"devices"
            | b"maskedPaths"
            | b"readonlyPaths"
            | b"uidMappings"
            | b"gidMappings"
            | b"hugepageLimits"
            | b"weightDevice"
            | b"throttleReadBpsDevice"
            | b"throttleWriteBpsDevice"
            | b"throttleReadIOPSDevice"
            | b"throttleWriteIOPSDevice"
            | b"priorities"
            | b"schemata"
            | b"prestart"
            | b"createRuntime"
            | b"createContainer"
            | b"startContainer"
            | b"poststart"
            | b"poststop"
    )
}

/// Every object of the spec; `*` is any element or key.
const OBJECTS: &[&str] = &[
    "process",
    "process.user",
    "process.consoleSize",
    "process.capabilities",
    "process.rlimits.*",
    "process.ioPriority",
    "process.scheduler",
    "process.execCPUAffinity",
    "root",
    "mounts.*",
    "mounts.*.uidMappings.*",
    "mounts.*.gidMappings.*",
    "hooks",
    "hooks.*.*",
    "linux",
    "linux.uidMappings.*",
    "linux.gidMappings.*",
    "linux.namespaces.*",
    "linux.devices.*",
    "linux.netDevices.*",
    "linux.timeOffsets.*",
    "linux.resources",
    "linux.resources.devices.*",
    "linux.resources.memory",
    "linux.resources.cpu",
    "linux.resources.pids",
    "linux.resources.blockIO",
    "linux.resources.blockIO.*.*",
    "linux.resources.hugepageLimits.*",
    "linux.resources.network",
    "linux.resources.network.priorities.*",
    "linux.resources.rdma.*",
    "linux.seccomp",
    "linux.seccomp.syscalls.*",
    "linux.seccomp.syscalls.*.args.*",
    "linux.intelRdt",
    "linux.memoryPolicy",
    "linux.personality",
];

/// Words of closed lists. A decoder made by derive takes `{"pid": null}` for `"pid"`.
const WORDS: &[&str] = &[
    "process.rlimits.*.type",
    "process.ioPriority.class",
    "process.scheduler.policy",
    "process.scheduler.flags.*",
    "linux.namespaces.*.type",
    "linux.devices.*.type",
    "linux.resources.devices.*.type",
    "linux.seccomp.defaultAction",
    "linux.seccomp.architectures.*",
    "linux.seccomp.flags.*",
    "linux.seccomp.syscalls.*.action",
    "linux.seccomp.syscalls.*.args.*.op",
    "linux.memoryPolicy.mode",
    "linux.memoryPolicy.flags.*",
    "linux.personality.domain",
];

/// The first value of a shape that the decoder would take and the spec does not,
/// with the decoder's words for such a mistake.
pub(super) fn find_wrong(tree: &Value) -> Option<(Vec<Part>, &'static str)> {
    let search = |patterns: &[&str], is_wrong: fn(&Value) -> bool| {
        patterns.iter().find_map(|pattern| {
            let pattern: Vec<&str> = pattern.split('.').collect();
            find(tree, &pattern, is_wrong)
        })
    };
    let list = search(OBJECTS, Value::is_array)
        .map(|path| (path, "invalid type: sequence, expected a map"));
    list.or_else(|| {
        search(WORDS, Value::is_object).map(|path| (path, "invalid type: map, expected a string"))
    })
}

fn find(value: &Value, pattern: &[&str], is_wrong: fn(&Value) -> bool) -> Option<Vec<Part>> {
    let Some((first, rest)) = pattern.split_first() else {
        return is_wrong(value).then(Vec::new);
    };
    let below = |part: Part, value: &Value| {
        let mut path = find(value, rest, is_wrong)?;
        path.insert(0, part);
        Some(path)
    };
    match value {
        Value::Object(object) if *first == "*" => object
            .iter()
            .find_map(|(key, value)| below(Part::Key(key.clone()), value)),
        Value::Array(list) if *first == "*" => list
            .iter()
            .enumerate()
            .find_map(|(index, value)| below(Part::Index(index), value)),
        Value::Object(object) => below(Part::Key((*first).to_owned()), object.get(*first)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::may_be_wrong;

    #[test]
    fn only_lists_in_odd_places_are_looked_at_twice() {
        for (text, wrong) in [
            (r#"{"args": ["x"], "env" : [ ]}"#, false),
            (r#"{"root": ["x"]}"#, true),
            (r#"{"args": [["x"]]}"#, true),
            (r#"["x"]"#, true),
            (r#"{"args": ["[x"]}"#, true),
            (r#"{"type" : {"pid": null}}"#, true),
            (r#"{"process": {"type": "x"}}"#, false),
        ] {
            assert_eq!(may_be_wrong(text), wrong, "{text}");
        }
        assert!(!may_be_wrong(&crate::template(None)));
        assert!(!may_be_wrong(&crate::template(Some((1, 1)))));
    }
}
