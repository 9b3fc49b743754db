//! `update`: other limits for a container that exists.
//!
//! ```text
//! our copy of config.json ──► cgroup chapter ──► settings as they are ─┐
//!          │                                                           ├─► those to write, in order
//!  --resources, or options ─► merged document ─► cgroup chapter ───────┘
//!                                    └──► our copy from then on
//! ```
//!
//! What a request does not name stays as it is. The merged document is read by the
//! same chapter that `create` uses, so every property means the same for both.

mod flags;
mod merge;
mod order;
mod schema;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cgroup::{self, CgroupDirectory, CgroupPlan, Problems, Property, Setting};
use crate::spec::{self, path_text};
use crate::{ConfigPath, Errors, HostFacts, PlanError, Request, ResctrlGroup, Spec, Warning};

use flags::Named;
pub(crate) use flags::bytes;

/// An `update`, without the container's `config.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdateRequest {
    /// The container id, already checked for its grammar.
    pub id: String,
    /// systemd manages the container's cgroup.
    pub systemd_cgroup: bool,
    /// Content of `--resources`: an object like `linux.resources`.
    pub resources: Option<Vec<u8>>,
    /// Options and their texts, `("--memory", "512m")`.
    pub options: Vec<(&'static str, String)>,
}

/// Everything `update` will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdatePlan {
    /// The container's directories, which the settings count by index. `enable` names
    /// controllers that a setting needs and the container had no use for until now.
    pub directories: Vec<CgroupDirectory>,
    /// What is written, in order. What the request does not name and what stays the
    /// same is not among it.
    pub settings: Vec<Setting>,
    /// The container's group of resctrl, with the lines to be written.
    pub resctrl: Option<ResctrlGroup>,
    /// What systemd is told of the settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
    /// The container's configuration once all is written, as JSON.
    pub config: Vec<u8>,
    /// What is odd in the request.
    pub warnings: Vec<Warning>,
}

/// The plan of an update, or everything that is wrong with it. `config` is the
/// configuration that the container has.
///
/// # Errors
/// All problems, with the option's name or the path into `linux.resources`.
pub fn update(
    config: &[u8],
    request: &UpdateRequest,
    host: &HostFacts,
) -> Result<UpdatePlan, Errors> {
    let mut out = Problems::default();
    let stored = spec::load(config)?;
    let named = flags::read(request, &mut out)?;
    let mut document = spec::parse(config)?;
    let mut of_schema = Vec::new();
    let resctrl = schema::merge(&mut document, request, host, &mut of_schema);
    let resources = resources_of(&mut document);
    if named.devices.is_some() && named.devices.as_ref() != resources.get("devices") {
        // An engine may give all it knows; only what would change is worth a word.
        out.warnings.push(Warning {
            path: ConfigPath::flag("--resources"),
            text: "devices: ignored: the device rules of a container are made once".to_owned(),
        });
    }
    merge::merge(resources, &named);
    let (before, _) = chapter(&stored, request, host);
    let merged = spec::decode(document.clone());
    let (after, found) = chapter(&merged, request, host);
    refuse_weight_of_idle(&merged, &named, &mut out);
    out.problems.extend(merged.merge_problems(found.problems));
    out.warnings.extend(found.warnings);
    let problems = out.problems.into_iter().filter(is_about_resources);
    let mut problems: Vec<PlanError> = problems.map(|problem| named.explain(problem)).collect();
    problems.append(&mut of_schema);
    let (Some(after), true) = (after, problems.is_empty()) else {
        return Err(Errors::new(problems));
    };
    let before = before.map_or_else(Vec::new, |plan| plan.settings);
    let warnings = out
        .warnings
        .into_iter()
        .filter(|warning| named.asks_for(&warning.path));
    let settings = changed(&before, after.settings, &named);
    let properties = match request.systemd_cgroup {
        true => cgroup::properties_of(&settings, &after.directories),
        false => Vec::new(),
    };
    Ok(UpdatePlan {
        settings,
        properties,
        directories: after.directories,
        resctrl,
        config: document.to_string().into_bytes(),
        warnings: warnings
            .map(|warning| Warning {
                path: named.name(warning.path),
                ..warning
            })
            .collect(),
    })
}

/// `linux.resources`, made where it is missing.
fn resources_of(document: &mut Value) -> &mut Value {
    let mut value = document;
    for name in ["linux", "resources"] {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        value = &mut value[name];
    }
    value
}

/// The cgroup chapter of a configuration.
fn chapter(
    spec: &Spec,
    request: &UpdateRequest,
    host: &HostFacts,
) -> (Option<CgroupPlan>, Problems) {
    let linux = spec.decoded().linux().as_ref();
    let create = Request {
        systemd_cgroup: request.systemd_cgroup,
        ..Request::create(&request.id, "")
    };
    let path = linux.and_then(|linux| linux.cgroups_path().as_deref());
    let mut out = Problems::default();
    let plan = cgroup::build(
        &cgroup::Asked {
            resources: linux.and_then(|linux| linux.resources().as_ref()),
            cgroups_path: path.map(path_text),
            annotations: None,
        },
        &create,
        host,
        &mut out,
    );
    (plan, out)
}

/// The rest of the configuration was good when the container was made, and is not
/// asked for now.
fn is_about_resources(problem: &PlanError) -> bool {
    let path = problem.path.as_str();
    path.starts_with("linux.resources") || path.starts_with("--")
}

/// `create` leaves the shares of an idle group out; here they were asked for.
fn refuse_weight_of_idle(merged: &Spec, named: &Named, out: &mut Problems) {
    let resources = merged.decoded().linux().as_ref();
    let resources = resources.and_then(|linux| linux.resources().as_ref());
    let idle = resources.and_then(|r| r.cpu().as_ref()?.idle()) == Some(1);
    let shares = ConfigPath::new("linux.resources.cpu.shares");
    let asks_for_idle = named.asks_for(&ConfigPath::new("linux.resources.cpu.idle"));
    if idle && named.asks_for(&shares) && !asks_for_idle {
        let text = "cpu.idle is 1, and an idle group has no shares";
        out.problems
            .push(PlanError::conflict(shares, text).hint("set cpu.idle to 0 too"));
    }
}

/// The settings that were asked for or that have another value than before.
fn changed(before: &[Setting], after: Vec<Setting>, named: &Named) -> Vec<Setting> {
    let same = |a: &Setting, b: &Setting| {
        (a.directory, &a.file, &a.value, &a.instead) == (b.directory, &b.file, &b.value, &b.instead)
    };
    let mut settings: Vec<Setting> = after
        .into_iter()
        .filter(|new| named.asks_for(&new.from) || !before.iter().any(|old| same(old, new)))
        .collect();
    order::arrange(&mut settings, before);
    for setting in &mut settings {
        setting.from = named.name(setting.from.clone());
    }
    settings
}

#[cfg(test)]
#[path = "../update_tests.rs"]
mod tests;
