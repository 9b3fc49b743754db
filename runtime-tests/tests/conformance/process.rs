//! config.md, "Process".

use runtime_tests::{Case, Test, tests};
use serde_json::json;

pub const TESTS: &[Test] = tests!["process": cwd, env];

/// `cwd` (string, REQUIRED) is the working directory that will be set for the executable.
fn cwd(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/cwd", json!("/home/user"));
    assert_eq!(case.facts(&bundle).text("/cwd"), "/home/user");
}

/// `env` (array of strings, OPTIONAL) with the same semantics as IEEE Std 1003.1-2008's environ.
fn env(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.push("/process/env", json!("ONE=two=three"));
    let facts = case.facts(&bundle);
    assert_eq!(facts.env("ONE"), Some("two=three"));
    assert_eq!(
        facts.env("RUNTIME"),
        None,
        "the caller's environment stays outside"
    );
}
