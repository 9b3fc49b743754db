//! A decoder made by derive also takes a list for an object, by position:
//! `"root": ["rootfs", true]`. The runtime spec does not.

use serde_json::Value;

use super::repair::Part;

/// Whether some list of the text stands where the spec may not want one, so that
/// the tree must be looked at. Quick and rough: it looks at each `[` and the
/// property in front of it.
pub(super) fn may_be_wrong(text: &str) -> bool {
    let bytes = text.as_bytes();
    let lists = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'[');
    lists.into_iter().any(|(at, _)| !is_list(&bytes[..at]))
}

/// Whether `before` ends with the name of a property that is a list.
fn is_list(before: &[u8]) -> bool {
    let name = before.trim_ascii_end().strip_suffix(b":");
    let name = name.and_then(|rest| rest.trim_ascii_end().strip_suffix(b"\""));
    let Some(rest) = name else {
        return false;
    };
    let start = rest
        .iter()
        .rposition(|byte| *byte == b'"')
        .map_or(0, |n| n + 1);
    matches!(
        &rest[start..],
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

/// The first list that stands in the place of an object.
pub(super) fn find_list_for_object(tree: &Value) -> Option<Vec<Part>> {
    OBJECTS.iter().find_map(|pattern| {
        let pattern: Vec<&str> = pattern.split('.').collect();
        find(tree, &pattern)
    })
}

fn find(value: &Value, pattern: &[&str]) -> Option<Vec<Part>> {
    let Some((first, rest)) = pattern.split_first() else {
        return value.is_array().then(Vec::new);
    };
    let below = |part: Part, value: &Value| {
        let mut path = find(value, rest)?;
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
        ] {
            assert_eq!(may_be_wrong(text), wrong, "{text}");
        }
        assert!(!may_be_wrong(&crate::template(None)));
        assert!(!may_be_wrong(&crate::template(Some((1, 1)))));
    }
}
