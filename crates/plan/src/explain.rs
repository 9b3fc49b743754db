//! A plan, or what is wrong with a configuration, for people to read.
//! (Placeholder with the final signatures; written by its own author.)

use crate::{Errors, Plan};

/// The plan as aligned text, one line a step, each with its config path.
pub fn text(_plan: &Plan) -> String {
    String::new()
}

/// The plan as JSON.
pub fn json(plan: &Plan) -> serde_json::Value {
    serde_json::to_value(plan).unwrap_or_default()
}

/// Every problem, one a line.
pub fn problems(errors: &Errors) -> String {
    let lines: Vec<String> = errors.all().iter().map(ToString::to_string).collect();
    lines.join("\n")
}
