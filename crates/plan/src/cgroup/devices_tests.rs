use serde_json::json;

use super::*;

fn rules(list: serde_json::Value) -> (Vec<Rule>, Vec<String>) {
    let resources = serde_json::from_value(json!({ "devices": list })).unwrap();
    let mut out = Problems::default();
    let rules = read(Some(&resources), &mut out);
    let problems = out.problems.iter().map(ToString::to_string).collect();
    (rules, problems)
}

fn written(list: serde_json::Value) -> Result<Vec<String>, String> {
    let (rules, problems) = rules(list);
    assert_eq!(problems, Vec::<String>::new());
    let mut out = Problems::default();
    let mut sheet = Sheet::new(&mut out);
    v1(&rules, &mut sheet);
    let lines = sheet
        .values
        .iter()
        .map(|v| format!("{} {}", v.file, v.value))
        .collect();
    match out.problems.first() {
        Some(problem) => Err(problem.to_string()),
        None => Ok(lines),
    }
}

#[test]
fn without_a_list_a_container_has_the_usual_devices() {
    let mut out = Problems::default();
    let rules = read(None, &mut out);
    assert_eq!(rules.len(), DEFAULTS.len());
    assert!(!allow_everything(&rules));
    assert_eq!(rules[0].from.as_str(), "linux.resources.devices (default)");
    let lines = written(json!([])).unwrap();
    assert_eq!(lines[0], "devices.deny a");
    assert_eq!(lines[1], "devices.allow c *:* m");
    assert_eq!(lines[3], "devices.allow c 1:3 rwm");
    assert_eq!(lines.len(), 1 + DEFAULTS.len());
}

#[test]
fn everything_allowed_needs_no_program_and_no_file() {
    for list in [
        json!([{"allow": true, "access": "rwm"}]),
        json!([{"allow": true}]),
        json!([{"allow": false}, {"allow": true, "type": "a", "major": -1, "minor": -1, "access": "rwm"}]),
    ] {
        assert!(allow_everything(&rules(list.clone()).0), "{list}");
        assert_eq!(written(list).unwrap(), Vec::<String>::new());
    }
    let later = json!([{"allow": true}, {"allow": false, "type": "b", "major": 8}]);
    assert!(!allow_everything(&rules(later).0));
}

#[test]
fn v1_gets_what_the_list_comes_to() {
    let lines = written(json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"},
        {"allow": true, "type": "b", "major": 8, "minor": 0, "access": "rw"},
        {"allow": true, "type": "b", "major": 8, "minor": 1, "access": "rw"},
        {"allow": false, "type": "b", "major": 8, "access": "w"},
    ]))
    .unwrap();
    assert_eq!(
        lines[..4],
        [
            "devices.deny a",
            "devices.allow c 1:3 rwm",
            "devices.allow b 8:0 r",
            "devices.allow b 8:1 r"
        ]
    );
    let lines = written(json!([
        {"allow": true},
        {"allow": false, "type": "b", "major": 8, "access": "rwm"},
    ]))
    .unwrap();
    // Every container may make nodes; opening them is another matter.
    assert_eq!(lines, ["devices.allow a", "devices.deny b 8:* rw"]);
}

#[test]
fn v1_writes_a_rule_for_any_kind_as_one_for_each() {
    let lines = written(json!([{"allow": true, "major": 8, "minor": 0, "access": "r"}])).unwrap();
    assert_eq!(
        lines[1..3],
        ["devices.allow b 8:0 r", "devices.allow c 8:0 r"]
    );
}

#[test]
fn what_v1_cannot_say_is_refused_by_name() {
    let error = written(json!([
        {"allow": true, "type": "b", "major": 8, "access": "rw"},
        {"allow": false, "type": "b", "major": 8, "minor": 3, "access": "w"},
    ]))
    .unwrap_err();
    assert_eq!(
        error,
        "linux.resources.devices[1]: cgroup v1 cannot make an exception of b 8:3 within b 8:* \
         (from linux.resources.devices[0])"
    );
}

#[test]
fn wrong_rules_are_named() {
    let (_, problems) = rules(json!([
        {"allow": true, "type": "p", "access": "rwm"},
        {"allow": true, "type": "c", "major": -2, "access": "rwm"},
        {"allow": true, "type": "c", "major": 4096, "minor": 1048576, "access": "rwm"},
        {"allow": true, "type": "c", "access": "rwx"},
    ]));
    assert_eq!(
        problems,
        [
            r#"linux.resources.devices[0].type: expected "a", "b" or "c", because a FIFO is no device of a cgroup, found "p""#,
            "linux.resources.devices[1].major: expected a device number from 0 to 4095, or -1 for any, found -2",
            "linux.resources.devices[2].major: expected a device number from 0 to 4095, or -1 for any, found 4096",
            "linux.resources.devices[2].minor: expected a device number from 0 to 1048575, or -1 for any, found 1048576",
            r#"linux.resources.devices[3].access: expected letters of "rwm", found "rwx""#,
        ]
    );
}
