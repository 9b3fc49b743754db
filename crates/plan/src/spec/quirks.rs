//! Where `oci-spec` reads a configuration otherwise than the runtime spec means
//! it, the tree is patched before it is decoded.

use oci_spec::runtime::{Capability, LinuxDeviceType};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde_json::{Map, Value};

use super::{Decoded, required};
use crate::error::quote;
use crate::{ConfigPath, PlanError, Problem, Warning};

/// Whether a document that was decoded without errors may have been misread: a
/// number that is zero may also not have been there at all, and two switches of
/// `intelRdt` go by other names.
pub(super) fn may_concern(decoded: &Decoded) -> bool {
    let Some(linux) = decoded.linux() else {
        return false;
    };
    let pids = linux.resources().as_ref().and_then(|r| r.pids().as_ref());
    let devices = linux.devices().iter().flatten();
    let mut nodes = devices.filter(|d| d.typ() != LinuxDeviceType::P);
    linux.intel_rdt().is_some()
        || pids.is_some_and(|p| p.limit() == 0)
        || nodes.any(|d| d.major() == 0 || d.minor() == 0)
}

/// What the patches found.
pub(super) struct Findings<'a> {
    pub problems: &'a mut Vec<PlanError>,
    pub warnings: &'a mut Vec<Warning>,
}

/// Patches the document.
pub(super) fn patch(document: &mut Map<String, Value>, findings: &mut Findings<'_>) {
    // Platforms that a runtime for Linux must ignore, and two that never existed here.
    for other in [
        "solaris",
        "windows",
        "vm",
        "zos",
        "freebsd",
        "uidMappings",
        "gidMappings",
    ] {
        document.remove(other);
    }
    required::check(document, findings.problems);
    if let Some(Value::Object(process)) = document.get_mut("process") {
        patch_process(process, findings);
    }
    let version = document.get("ociVersion").and_then(Value::as_str);
    let zero_is_a_limit = !version.is_some_and(is_before_1_3);
    if let Some(Value::Object(linux)) = document.get_mut("linux") {
        if let Some(Value::Object(rdt)) = linux.get_mut("intelRdt") {
            rename_switches(rdt);
        }
        patch_linux(linux, zero_is_a_limit, findings);
    }
}

/// Whether `pids.limit` was a plain number then, in which 0 said nothing.
fn is_before_1_3(version: &str) -> bool {
    ["1.0.", "1.1.", "1.2."]
        .iter()
        .any(|start| version.starts_with(start))
}

/// The decoder wants two words of the spec in another case.
fn rename_switches(rdt: &mut Map<String, Value>) {
    for (word, read_as) in [("enableCMT", "enableCmt"), ("enableMBM", "enableMbm")] {
        if let Some(value) = rdt.remove(word) {
            rdt.insert(read_as.to_owned(), value);
        }
    }
}

fn patch_process(process: &mut Map<String, Value>, findings: &mut Findings<'_>) {
    // The schema requires `args` and `cwd` only; `user` is 0:0 when absent.
    if process.get("user").is_none_or(Value::is_null) {
        process.insert("user".to_owned(), Value::Object(Map::new()));
    }
    if process.get("cwd").is_none_or(Value::is_null) {
        let at = ConfigPath::new("process.cwd");
        let wanted = "the working directory, an absolute path";
        findings
            .problems
            .push(PlanError::new(at, Problem::Missing { wanted }));
        process.insert("cwd".to_owned(), Value::from("/"));
    }
    if let Some(Value::Object(capabilities)) = process.get_mut("capabilities") {
        for set in [
            "bounding",
            "effective",
            "inheritable",
            "permitted",
            "ambient",
        ] {
            if let Some(Value::Array(names)) = capabilities.get_mut(set) {
                drop_unknown_capabilities(set, names, findings);
            }
        }
    }
    // The decoder knows two flags of sched_setattr(2) by other names.
    if let Some(Value::Object(scheduler)) = process.get_mut("scheduler")
        && let Some(Value::Array(flags)) = scheduler.get_mut("flags")
    {
        for flag in flags {
            match flag.as_str() {
                Some("SCHED_FLAG_RESET_ON_FORK") => *flag = Value::from("SCHED_RESET_ON_FORK"),
                Some("SCHED_FLAG_DL_OVERRUN") => *flag = Value::from("SCHED_FLAG_D_L_OVERRUN"),
                _ => {}
            }
        }
    }
}

/// "Any value which cannot be mapped to a relevant kernel interface ... MUST be
/// logged as a warning", and SHOULD NOT fail: an older runtime meets a newer name.
fn drop_unknown_capabilities(set: &str, names: &mut Vec<Value>, findings: &mut Findings<'_>) {
    let mut index = 0;
    names.retain(|name| {
        let at = ConfigPath::new("process.capabilities")
            .field(set)
            .index(index);
        index += 1;
        // What is no string at all is for the decoder to refuse.
        let Some(name) = name.as_str() else {
            return true;
        };
        let text: StrDeserializer<'_, Error> = name.into_deserializer();
        let known = Capability::deserialize(text).is_ok();
        if !known {
            let text = format!("unknown capability {}, ignored", quote(name));
            findings.warnings.push(Warning { path: at, text });
        }
        known
    });
}

fn patch_linux(linux: &mut Map<String, Value>, zero_is_a_limit: bool, findings: &mut Findings<'_>) {
    // An absent limit would become 0, which is a limit since runtime-spec 1.3. Before
    // that it was how an engine said "none": podman 4 does, for `--pids-limit -1`.
    if let Some(Value::Object(resources)) = linux.get_mut("resources")
        && let Some(Value::Object(pids)) = resources.get("pids")
        && pids
            .get("limit")
            .is_none_or(|limit| limit.is_null() || (!zero_is_a_limit && limit.as_i64() == Some(0)))
    {
        resources.remove("pids");
    }
    if let Some(Value::Array(devices)) = linux.get_mut("devices") {
        require_numbers(devices, findings);
    }
}

/// "major, minor (int64, REQUIRED unless type is p)"
fn require_numbers(devices: &mut [Value], findings: &mut Findings<'_>) {
    for (n, device) in devices.iter_mut().enumerate() {
        let Value::Object(device) = device else {
            continue;
        };
        if !matches!(
            device.get("type").and_then(Value::as_str),
            Some("c" | "b" | "u")
        ) {
            continue;
        }
        for number in ["major", "minor"] {
            if device.get(number).is_none_or(Value::is_null) {
                let at = ConfigPath::new("linux.devices").index(n).field(number);
                let wanted = "a device number, required but for a FIFO";
                findings
                    .problems
                    .push(PlanError::new(at, Problem::Missing { wanted }));
                device.insert(number.to_owned(), Value::from(0));
            }
        }
    }
}
