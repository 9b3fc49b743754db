//! The decoder's messages, in words for people who write `config.json`.

use serde_json::Value;

use super::repair::{Part, config_path};
use crate::error::quote;
use crate::{ConfigPath, PlanError, Problem};

/// A syntax error of serde_json, with its place first.
pub(super) fn syntax(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let place = format!("line {}, column {}", error.line(), error.column());
    if message == "recursion limit exceeded" {
        return format!("{place}: nested more than 128 levels deep");
    }
    let message = match message {
        "EOF while parsing an object" => "the text ends inside an object",
        "EOF while parsing a list" => "the text ends inside a list",
        "EOF while parsing a string" => "the text ends inside a string",
        "EOF while parsing a value" => "the text ends where a value should be",
        "key must be a string" => "expected a property's name in double quotes",
        "trailing characters" => "expected nothing after the end of the document",
        "expected value" => "expected a value",
        "expected ident" => "expected null, true or false",
        message if message.starts_with("control character") => {
            "a control character inside a string, which JSON writes as \\u0000 to \\u001f"
        }
        message => message,
    };
    format!("{place}: {message}")
}

/// What stands there, for "found ...".
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the string {}", quote(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// One decoding error. `value` is what stands at `path`.
pub(super) fn reword(path: &[Part], value: &Value, message: &str) -> PlanError {
    let at = config_path(path);
    if let Some(field) = message.strip_prefix("missing field `") {
        let field = field.trim_end_matches('`');
        let wanted = "the spec requires it";
        return PlanError::new(at.field(field), Problem::Missing { wanted });
    }
    if message.starts_with("unknown variant") {
        return unknown_word(at, value, message);
    }
    let wanted = match message.rsplit_once(", expected ") {
        Some((_, expected)) => wanted(at.as_str(), expected),
        None if message.contains("execCPUAffinity") => "a list of CPUs like \"0-3,7\"".to_owned(),
        None => format!("a valid value ({message})"),
    };
    PlanError::invalid(at, wanted, found(value))
}

/// The decoder's type in words.
fn wanted(path: &str, expected: &str) -> String {
    let bytes = path.starts_with("linux.resources.memory.")
        || (path.starts_with("linux.resources.hugepageLimits[") && path.ends_with(".limit"));
    let text = match expected {
        "i64" | "u64" if bytes => "an integer number of bytes",
        "i8" | "i16" | "i32" | "i64" | "isize" => "an integer",
        "u64" | "usize" => "an integer from 0",
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "a boolean" => "true or false",
        "a string" | "path string" | "string or map" | "a borrowed string" => "a string",
        // What a decoder of words says to an object.
        "map with a single key" | "unit" => "a string",
        "a sequence" => "a list",
        "a map" => "an object",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    };
    text.to_owned()
}

/// A word of a closed list: the choices are in the decoder's message.
fn unknown_word(at: ConfigPath, value: &Value, message: &str) -> PlanError {
    let choices = message
        .split_once(", expected ")
        .map_or("", |(_, list)| list);
    // Every second piece between back-quotes is a choice.
    let mut choices: Vec<&str> = choices.split('`').skip(1).step_by(2).collect();
    for choice in &mut choices {
        // The decoder's own names of these two.
        match *choice {
            "SCHED_RESET_ON_FORK" => *choice = "SCHED_FLAG_RESET_ON_FORK",
            "SCHED_FLAG_D_L_OVERRUN" => *choice = "SCHED_FLAG_DL_OVERRUN",
            _ => {}
        }
    }
    choices.sort_unstable();
    if at.as_str().starts_with("linux.devices[") {
        // "All kinds" is for cgroup rules, which share the decoder's type.
        choices.retain(|word| *word != "a");
    }
    let problem = Problem::Unknown {
        what: kind_of_word(at.as_str()),
        found: value.as_str().unwrap_or_default().to_owned(),
        one_of: choices.join(", "),
    };
    PlanError::new(at, problem)
}

fn kind_of_word(path: &str) -> &'static str {
    let list = |name: &str| {
        path.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('['))
    };
    match path {
        _ if list("linux.namespaces") => "namespace",
        _ if list("process.rlimits") => "resource limit",
        _ if list("linux.devices") || list("linux.resources.devices") => "device type",
        _ if list("linux.seccomp.architectures") => "architecture",
        _ if path.ends_with(".op") => "operator",
        _ if path.ends_with(".action") || path.ends_with(".defaultAction") => "action",
        _ if path.contains(".flags[") => "flag",
        "process.scheduler.policy" => "scheduling policy",
        "process.ioPriority.class" => "I/O class",
        "linux.personality.domain" => "domain",
        "linux.memoryPolicy.mode" => "memory policy",
        _ => "word",
    }
}
