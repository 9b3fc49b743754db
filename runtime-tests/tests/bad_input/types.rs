//! Every property of the specification, one after the other with a value of another
//! type: who takes it in silence does not know the property.

use runtime_tests::{Case, must, skip};
use serde_json::{Value, json};

use crate::refused::check;

const CHAPTER: &str = "config.md: Valid types";

/// Each property once, with a value that the specification allows.
const EVERY: &str = include_str!("../fixtures/every-property.json");

/// Objects whose members are named by the user.
const MAPS: [&str; 6] = [
    "/annotations",
    "/linux/netDevices",
    "/linux/resources/rdma",
    "/linux/resources/unified",
    "/linux/sysctl",
    "/linux/timeOffsets",
];

/// A property as a JSON pointer, and as errors name it.
#[derive(Clone, Default)]
struct Place {
    pointer: String,
    path: String,
}

impl Place {
    fn member(&self, name: &str) -> Self {
        let path = match () {
            () if MAPS.contains(&self.pointer.as_str()) => format!("{}[\"{name}\"]", self.path),
            () if self.path.is_empty() => name.to_owned(),
            () => format!("{}.{name}", self.path),
        };
        let pointer = format!("{}/{name}", self.pointer);
        Self { pointer, path }
    }

    fn element(&self, index: usize) -> Self {
        Self {
            pointer: format!("{}/{index}", self.pointer),
            path: format!("{}[{index}]", self.path),
        }
    }
}

/// The place and all below it.
fn places(place: &Place, value: &Value, found: &mut Vec<Place>) {
    found.push(place.clone());
    match value {
        Value::Object(members) => {
            let members = members.iter();
            members.for_each(|(name, value)| places(&place.member(name), value, found));
        }
        Value::Array(list) => {
            let list = list.iter().enumerate();
            list.for_each(|(index, value)| places(&place.element(index), value, found));
        }
        _ => {}
    }
}

fn of_another_type(value: &Value) -> Value {
    match value {
        Value::Object(_) => json!(["a list"]),
        Value::Array(_) => json!({"an": "object"}),
        Value::String(_) => json!(5),
        _ => json!("text"),
    }
}

/// All properties below these pointers; the rest of the config is the default one.
fn every_type(case: &mut Case, wanted: &[&str], except: &[&str]) {
    let every: Value = serde_json::from_str(EVERY).expect("the fixture is JSON");
    let mut taken = Vec::new();
    let mut count = 0;
    for section in sections(&every, wanted, except) {
        let complete = every.pointer(&section.pointer).expect("the section");
        let mut all = Vec::new();
        places(&section, complete, &mut all);
        for place in all {
            count += 1;
            if !refuses(case, &section, complete, &place) {
                taken.push(place.path);
            }
        }
    }
    assert!(count > 0, "no property in {wanted:?}");
    if !case.is_corten() {
        let refused = count - taken.len();
        skip(&format!(
            "recorded: {refused} of {count} are refused, not {}",
            taken.join(" ")
        ));
    }
}

/// Each section is set as a whole, so that only what belongs to it can be wrong.
fn sections(every: &Value, wanted: &[&str], except: &[&str]) -> Vec<Place> {
    let mut found = Vec::new();
    for parent in wanted {
        let words = parent.split('/').skip(1);
        let place = words.fold(Place::default(), |place, word| place.member(word));
        let members = every.pointer(parent).and_then(Value::as_object);
        let names = members.expect("an object").keys();
        let members = names.map(|name| place.member(name));
        found.extend(members.filter(|place| !except.contains(&place.pointer.as_str())));
    }
    found
}

/// Whether the place with a value of another type is refused, by its name.
fn refuses(case: &mut Case, section: &Place, complete: &Value, place: &Place) -> bool {
    let mut bundle = case.bundle();
    bundle.config.args(&["/bin/true"]);
    bundle.config.set(&section.pointer, complete.clone());
    let value = bundle
        .config
        .0
        .pointer(&place.pointer)
        .expect("the property");
    let other = of_another_type(value);
    bundle.config.set(&place.pointer, other);
    bundle.write();
    let id = case.id();
    let finished = case.create_command(&bundle, &id, &[]).run();
    let _ = std::fs::remove_dir_all(&bundle.path);
    if case.is_corten() {
        check(finished, &[&format!("{}: ", place.path)]);
        return true;
    }
    if finished.status.success() {
        case.destroy(&id);
        return false;
    }
    true
}

#[must("Runtimes MUST generate an error when invalid or unsupported values are encountered.")]
fn top_level(case: &mut Case) {
    every_type(case, &[""], &["/process", "/linux"]);
}

#[must("Runtimes MUST generate an error when invalid or unsupported values are encountered.")]
fn process(case: &mut Case) {
    every_type(case, &["/process"], &[]);
}

#[must("Runtimes MUST generate an error when invalid or unsupported values are encountered.")]
fn linux(case: &mut Case) {
    every_type(case, &["/linux"], &["/linux/resources"]);
}

#[must("Runtimes MUST generate an error when invalid or unsupported values are encountered.")]
fn resources(case: &mut Case) {
    every_type(case, &["/linux/resources"], &[]);
}
