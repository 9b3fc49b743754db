//! `--l3-cache-schema` and `--mem-bw-schema`: other lines for the container's group of
//! resctrl.

use serde_json::Value;

use super::UpdateRequest;
use crate::build::{Context, resctrl};
use crate::{ConfigPath, HostFacts, PlanError, Problem, Request, ResctrlGroup, spec};

/// Option and the property of `linux.intelRdt` it sets.
const OPTIONS: [(&str, &str); 2] = [
    ("--l3-cache-schema", "l3CacheSchema"),
    ("--mem-bw-schema", "memBwSchema"),
];

/// What is given, by property. With `--resources` nothing of it counts.
fn given(request: &UpdateRequest) -> Vec<(&'static str, &'static str, &str)> {
    if request.resources.is_some() {
        return Vec::new();
    }
    let text = |option| request.options.iter().find(|(name, _)| *name == option);
    let given = OPTIONS
        .iter()
        .filter_map(|(option, property)| Some((*option, *property, text(*option)?.1.as_str())));
    given.filter(|(_, _, text)| !text.is_empty()).collect()
}

/// Puts what is given into the container's configuration, and says what is to be
/// written into its group: these lines alone.
pub(super) fn merge(
    document: &mut Value,
    request: &UpdateRequest,
    host: &HostFacts,
    problems: &mut Vec<PlanError>,
) -> Option<ResctrlGroup> {
    let given = given(request);
    let (first, _, _) = given.first()?;
    let Some(Value::Object(group)) = document.pointer_mut("/linux/intelRdt") else {
        let text = "the container has no linux.intelRdt, so there is no schema to change";
        let problem = Problem::Unsupported(text.to_owned());
        problems.push(PlanError::new(ConfigPath::flag(first), problem));
        return None;
    };
    let mut alone = group.clone();
    for name in ["l3CacheSchema", "memBwSchema", "schemata"] {
        alone.remove(name);
    }
    for (_, property, text) in &given {
        group.insert((*property).to_owned(), Value::from(*text));
        alone.insert((*property).to_owned(), Value::from(*text));
    }
    let mut reduced = document.clone();
    if let Some(place) = reduced.pointer_mut("/linux/intelRdt") {
        *place = Value::Object(alone);
    }
    read(&spec::decode(reduced), request, host, problems)
}

/// The chapter reads it, so that a line means what it means for `create`.
fn read(
    reduced: &crate::Spec,
    request: &UpdateRequest,
    host: &HostFacts,
    problems: &mut Vec<PlanError>,
) -> Option<ResctrlGroup> {
    let create = Request::create(&request.id, "");
    let mut context = Context::new(reduced.decoded(), &create, host);
    let group = resctrl::read(&mut context);
    let found = reduced.merge_problems(context.problems);
    let is_ours = |problem: &PlanError| problem.path.as_str().starts_with("linux.intelRdt");
    problems.extend(found.into_iter().filter(is_ours).map(by_option));
    group
}

fn by_option(problem: PlanError) -> PlanError {
    let option = OPTIONS.iter().find(|(_, property)| {
        let path = problem.path.as_str();
        path == format!("linux.intelRdt.{property}")
    });
    match option {
        Some((option, _)) => PlanError {
            path: ConfigPath::flag(option),
            ..problem
        },
        None => problem,
    }
}
