//! `--timings`: where the time of a start went.

use runtime_tests::{Case, convention};
use serde_json::Value;

const CHAPTER: &str = "budget";

/// Trace viewers of browsers open it.
#[convention("The timeline of a start names each step with its property, in trace events.")]
fn trace_events(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    bundle.write();
    let file = case.directory.join("timeline.json");
    let option = format!("--timings={}", file.display());
    case.run_with(&bundle, &[&option]).ok();
    let text = std::fs::read_to_string(file).expect("the timeline");
    let timeline: Value = serde_json::from_str(&text).expect("JSON");
    let events = timeline["traceEvents"].as_array().expect("a list");
    let of = |track: &str| -> Vec<&Value> {
        let mine = |event: &&Value| event["ph"] == "X" && event["cat"] == track;
        events.iter().filter(mine).collect()
    };
    let (parent, init) = (of("corten"), of("init"));
    for phase in ["plan", "clone init", "the program runs", "remove the state"] {
        let named = parent.iter().any(|event| event["name"] == phase);
        assert!(named, "{phase:?} is missing: {text}");
    }
    let mount = init
        .iter()
        .find(|event| event["args"]["property"] == "mounts[0]");
    let mount = mount.unwrap_or_else(|| panic!("mounts[0] is missing: {text}"));
    assert!(mount["ts"].is_f64() && mount["dur"].is_f64(), "{mount}");
    let begins = |events: &[&Value]| -> Vec<f64> {
        events
            .iter()
            .filter_map(|event| event["ts"].as_f64())
            .collect()
    };
    assert!(begins(&parent).is_sorted() && begins(&init).is_sorted());
}

/// The table goes to standard error: standard output is the container's.
#[convention("The timeline is told as a table when no file is named.")]
fn table(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/echo", "said"]);
    bundle.write();
    let finished = case.run_with(&bundle, &["--timings"]).ok();
    assert_eq!(finished.stdout, "said\n", "{}", finished.describe());
    finished
        .says("at µs")
        .says("mounts[0]: mount proc on /proc");
}
