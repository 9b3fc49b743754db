//! The container's configuration with the new process in the place of its own.

use defence::Defence;
use serde_json::{Map, Value};

use super::ExecRequest;
use crate::build::capabilities::CAPABILITIES;
use crate::error::quote;
use crate::{ConfigPath, Errors, PlanError, Spec, spec};

/// What a `--process` that does not mention it has from the container. Nobody gets
/// more rights by leaving something out.
const KEPT: [&str; 9] = [
    "apparmorProfile",
    "capabilities",
    "execCPUAffinity",
    "ioPriority",
    "noNewPrivileges",
    "oomScoreAdj",
    "rlimits",
    "scheduler",
    "selinuxLabel",
];

/// The one document that the chapters read.
pub(super) fn compose(
    config: &[u8],
    request: &ExecRequest,
    problems: &mut Vec<PlanError>,
) -> Result<Spec, Errors> {
    let mut document = spec::parse(config)?;
    let own = match document.get_mut("process").map(Value::take) {
        Some(Value::Object(own)) => own,
        _ => Map::new(),
    };
    let mut process = match &request.process {
        Some(bytes) => read_process(bytes, own)?,
        None => container_process(request, own),
    };
    if request.process.is_some() && !request.args.is_empty() {
        let at = ConfigPath::flag("COMMAND");
        let text = "cannot be used together with --process";
        problems.push(PlanError::conflict(at, text));
    }
    apply_options(request, &mut process, problems);
    if let Value::Object(document) = &mut document {
        document.insert("process".to_owned(), Value::Object(process));
    }
    Ok(spec::decode(document))
}

/// `--process`, with what it leaves out.
fn read_process(bytes: &[u8], own: Map<String, Value>) -> Result<Map<String, Value>, PlanError> {
    let at = |problem: PlanError| PlanError {
        path: ConfigPath::flag("--process"),
        ..problem
    };
    let Value::Object(mut process) = spec::parse(bytes).map_err(at)? else {
        // Said by `parse`.
        return Ok(own);
    };
    let is_absent = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    for (name, value) in own {
        if KEPT.contains(&name.as_str()) && is_absent(process.get(&name)) {
            process.insert(name, value);
        }
    }
    Ok(process)
}

/// The container's own process with another command; a terminal only if asked for.
fn container_process(request: &ExecRequest, mut own: Map<String, Value>) -> Map<String, Value> {
    own.insert("args".to_owned(), Value::from(request.args.clone()));
    own.insert("terminal".to_owned(), Value::from(false));
    own
}

fn apply_options(
    request: &ExecRequest,
    process: &mut Map<String, Value>,
    problems: &mut Vec<PlanError>,
) {
    let mut set = |name: &str, value: Value| process.insert(name.to_owned(), value);
    if request.terminal {
        set("terminal", Value::from(true));
    }
    if request.no_new_privileges {
        set("noNewPrivileges", Value::from(true));
    }
    if let Some(cwd) = &request.cwd {
        set("cwd", Value::from(cwd.clone()));
    }
    if let Some(profile) = &request.apparmor_profile {
        set("apparmorProfile", Value::from(profile.clone()));
    }
    if let Some(label) = &request.process_label {
        set("selinuxLabel", Value::from(label.clone()));
    }
    apply_user(request, process, problems);
    for entry in &request.env {
        if entry.find('=').is_none_or(|equals| equals == 0) || entry.contains('\0') {
            let at = ConfigPath::flag("--env");
            problems.push(PlanError::invalid(at, "NAME=value", quote(entry)));
        } else {
            append(process, "env", Value::from(entry.clone()));
        }
    }
    for name in &request.capabilities {
        match capability(name) {
            Some(name) => add_capability(process, name),
            None => {
                let wanted = "the name of a capability, as CAP_NET_ADMIN";
                let at = ConfigPath::flag("--cap");
                problems.push(PlanError::invalid(at, wanted, quote(name)));
            }
        }
    }
}

/// Appends to a list, made if it is not there. What is something else is left for
/// the decoder to refuse.
fn append(object: &mut Map<String, Value>, name: &str, value: Value) {
    let list = object
        .entry(name)
        .or_insert_with(|| Value::from(Vec::<Value>::new()));
    if list.is_null() {
        *list = Value::from(Vec::<Value>::new());
    }
    if let Value::Array(list) = list {
        list.push(value);
    }
}

fn apply_user(
    request: &ExecRequest,
    process: &mut Map<String, Value>,
    problems: &mut Vec<PlanError>,
) {
    if request.user.is_none() && request.additional_gids.is_empty() {
        return;
    }
    let user = process
        .entry("user")
        .or_insert_with(|| Value::Object(Map::new()));
    if user.is_null() {
        *user = Value::Object(Map::new());
    }
    let Value::Object(user) = user else {
        return;
    };
    if let Some(text) = &request.user {
        match parse_user(text) {
            Some((uid, gid)) => {
                user.insert("uid".to_owned(), Value::from(uid));
                if let Some(gid) = gid {
                    user.insert("gid".to_owned(), Value::from(gid));
                }
            }
            None => {
                let wanted = "UID or UID:GID, decimal numbers below 4294967295";
                let at = ConfigPath::flag("--user");
                problems.push(PlanError::invalid(at, wanted, quote(text)));
            }
        }
    }
    for text in &request.additional_gids {
        match parse_id(text) {
            Some(gid) => append(user, "additionalGids", Value::from(gid)),
            None => {
                let wanted = "a decimal number below 4294967295";
                let at = ConfigPath::flag("--additional-gids");
                problems.push(PlanError::invalid(at, wanted, quote(text)));
            }
        }
    }
}

fn parse_user(text: &str) -> Option<(u32, Option<u32>)> {
    match text.split_once(':') {
        Some((uid, gid)) => Some((parse_id(uid)?, Some(parse_id(gid)?))),
        None => Some((parse_id(text)?, None)),
    }
}

/// Digits and nothing else: no sign, no blank, nothing that would wrap around to
/// root, and not the number that the kernel takes for "unchanged" (CVE-2026-30892).
fn parse_id(text: &str) -> Option<u32> {
    if Defence::StrictIds.is_off() {
        // What a 32-bit variable makes of it.
        return text.trim().parse::<i128>().map(|id| id as u32).ok();
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let id = text.parse().ok().filter(|id| *id != u32::MAX);
    id.filter(|_| digits)
}

/// `net_admin` -> `CAP_NET_ADMIN`
fn capability(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    CAPABILITIES
        .iter()
        .map(|(_, known)| *known)
        .find(|known| known.strip_prefix("CAP_") == Some(bare))
}

/// Never into the inheritable set (CVE-2022-29162), and so into the ambient one only
/// where the container has it inheritable already. A container without the object
/// has them all.
fn add_capability(process: &mut Map<String, Value>, name: &str) {
    let Some(Value::Object(sets)) = process.get_mut("capabilities") else {
        return;
    };
    for set in ["bounding", "effective", "permitted"] {
        append(sets, set, Value::from(name));
    }
    if Defence::NothingInheritable.is_off() {
        append(sets, "inheritable", Value::from(name));
    }
    let inheritable = sets.get("inheritable").and_then(Value::as_array);
    if inheritable.is_some_and(|list| list.iter().any(|one| one == name)) {
        append(sets, "ambient", Value::from(name));
    }
}
