//! Requests of `update` that cannot be carried out, and `events` that cannot be watched.

use runtime_tests::{Case, convention};
use serde_json::{Value, json};

use crate::refused::check;

const CHAPTER: &str = "Bad updates and events";

fn launch(case: &mut Case) -> String {
    case.only_corten();
    let mut bundle = case.bundle();
    bundle.config.shell("sleep 1000");
    case.launch(&bundle)
}

#[convention("An option with a value that cannot be is named.")]
fn options(case: &mut Case) {
    let id = launch(case);
    for (option, value) in [
        ("--memory", "lots"),
        ("--memory", "-2"),
        ("--memory", "9999999999999g"),
        ("--memory-swap", "1x"),
        ("--cpu-period", "5"),
        ("--cpu-period", "99999999"),
        ("--cpu-quota", "1"),
        ("--cpu-share", "-1"),
        ("--cpu-share", "99999999999999999999999"),
        ("--cpu-idle", "2"),
        ("--cpu-burst", "-5"),
        ("--cpuset-cpus", "first"),
        ("--cpuset-mems", "0;1"),
        ("--blkio-weight", "5"),
        ("--blkio-weight", "70000"),
        ("--pids-limit", "many"),
        ("--l3-cache-schema", "L3:0=f"),
        ("--mem-bw-schema", "MB:0=20"),
        ("--resources", "/no/such/file"),
        ("--resources", "/"),
    ] {
        let finished = case.runtime().args(["update", option, value, &id]).run();
        check(finished, &["update", option]);
    }
    case.destroy(&id);
}

#[convention("A property of --resources with a value that cannot be is named.")]
fn properties(case: &mut Case) {
    let id = launch(case);
    let refused = |case: &Case, text: &str, words: &[&str]| {
        let command = case.runtime().args(["update", "-r", "-", &id]);
        check(command.input(text).run(), words);
    };
    let table: [(Value, &str); 10] = [
        (
            json!({"memory": {"limit": "lots"}}),
            "linux.resources.memory.limit",
        ),
        (
            json!({"memory": {"limit": 1.5}}),
            "linux.resources.memory.limit",
        ),
        (json!({"memory": []}), "linux.resources.memory"),
        (
            json!({"pids": {"limit": "1"}}),
            "linux.resources.pids.limit",
        ),
        (json!({"cpu": {"cpus": 5}}), "linux.resources.cpu.cpus"),
        (
            json!({"blockIO": {"weight": -1}}),
            "linux.resources.blockIO.weight",
        ),
        (
            json!({"hugepageLimits": [{"pageSize": "3 MB", "limit": 0}]}),
            "linux.resources.hugepageLimits[0]",
        ),
        (json!({"unified": {"../x": "1"}}), "linux.resources.unified"),
        (
            json!({"unified": {"cgroup.procs": "1"}}),
            "linux.resources.unified",
        ),
        (
            json!({"unified": {"bogus.max": "1"}}),
            "linux.resources.unified",
        ),
    ];
    for (document, property) in table {
        refused(case, &document.to_string(), &[property]);
    }
    for text in [
        "",
        "{",
        "[]",
        "null",
        "5",
        "\u{0}",
        "{\"memory\":{\"limit\":1}",
    ] {
        refused(case, text, &["--resources"]);
    }
    let deep = "[".repeat(100_000);
    refused(case, &deep, &["--resources"]);
    case.destroy(&id);
}

#[convention("An interval that is none is named.")]
fn intervals(case: &mut Case) {
    case.only_corten();
    for interval in ["0s", "5", "-1s", "soon", ""] {
        let option = format!("--interval={interval}");
        let finished = case.runtime().args(["events", &option, "no-such"]).run();
        check(finished, &["events", "--interval"]);
    }
}
