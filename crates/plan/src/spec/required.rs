//! Properties that the spec requires and `oci-spec` takes for zero, empty or
//! false where they are absent. A forgotten `hostID` would be the host's root.

use oci_spec::runtime::{LinuxBlockIo, LinuxIdMapping, LinuxResources};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::Decoded;
use crate::{ConfigPath, PlanError, Problem};

/// Lists, with the properties that each element must have.
const REQUIRED: &[(&str, &[&str])] = &[
    ("process.rlimits", &["soft", "hard"]),
    ("linux.uidMappings", MAPPING),
    ("linux.gidMappings", MAPPING),
    ("linux.resources.devices", &["allow"]),
    ("linux.resources.hugepageLimits", &["pageSize", "limit"]),
    ("linux.resources.network.priorities", &["name", "priority"]),
    ("linux.resources.blockIO.weightDevice", &["major", "minor"]),
    ("linux.resources.blockIO.throttleReadBpsDevice", THROTTLE),
    ("linux.resources.blockIO.throttleWriteBpsDevice", THROTTLE),
    ("linux.resources.blockIO.throttleReadIOPSDevice", THROTTLE),
    ("linux.resources.blockIO.throttleWriteIOPSDevice", THROTTLE),
];
const MAPPING: &[&str] = &["containerID", "hostID", "size"];
const THROTTLE: &[&str] = &["major", "minor", "rate"];

/// Reports what is missing in the tree, so that nothing is concluded from it.
pub(super) fn check(document: &mut Map<String, Value>, problems: &mut Vec<PlanError>) {
    for (path, properties) in REQUIRED {
        let Some((first, rest)) = path.split_once('.') else {
            continue;
        };
        let top = document.get_mut(first);
        let list = top.and_then(|top| rest.split('.').try_fold(top, |at, key| at.get_mut(key)));
        if let Some(list) = list {
            check_list(list, &ConfigPath::new(path), properties, problems);
        }
    }
    let Some(Value::Array(mounts)) = document.get_mut("mounts") else {
        return;
    };
    for (n, mount) in mounts.iter_mut().enumerate() {
        for name in ["uidMappings", "gidMappings"] {
            if let Some(list) = mount.get_mut(name) {
                let path = ConfigPath::new("mounts").index(n).field(name);
                check_list(list, &path, MAPPING, problems);
            }
        }
    }
}

fn check_list(
    list: &mut Value,
    path: &ConfigPath,
    properties: &[&str],
    problems: &mut Vec<PlanError>,
) {
    for (n, entry) in list.as_array_mut().into_iter().flatten().enumerate() {
        let Value::Object(entry) = entry else {
            continue;
        };
        for property in properties {
            if entry.get(*property).is_none_or(Value::is_null) {
                let at = path.index(n).field(property);
                let wanted = "the spec requires it";
                problems.push(PlanError::new(at, Problem::Missing { wanted }));
                // In the place of nothing `null` would be a second problem.
                entry.remove(*property);
            }
        }
    }
}

/// Whether something may be missing, so that the tree must be looked at: some
/// required property was decoded as zero. Where that is quite usual, the text
/// decides.
pub(super) fn may_lack(text: &str, decoded: &Decoded) -> bool {
    let linux = decoded.linux().as_ref();
    let resources = linux.and_then(|l| l.resources().as_ref());
    let process = decoded.process().as_ref();
    let mut limits = process.and_then(|p| p.rlimits().as_ref()).into_iter();
    let mut rules = resources.and_then(|r| r.devices().as_ref()).into_iter();
    let is_usual = limits.any(|all| all.iter().any(|l| l.soft() == 0 || l.hard() == 0))
        || rules.any(|all| all.iter().any(|rule| !rule.allow()))
        || mappings(decoded).any(|m| m.container_id() == 0);
    mappings(decoded).any(|m| m.host_id() == 0 || m.size() == 0)
        || resources.is_some_and(has_zero)
        || (is_usual && !Document::read(text).is_some_and(|document| document.is_complete()))
}

fn mappings(decoded: &Decoded) -> impl Iterator<Item = &LinuxIdMapping> {
    let linux = decoded.linux().as_ref();
    let uids = linux.and_then(|l| l.uid_mappings().as_ref());
    let gids = linux.and_then(|l| l.gid_mappings().as_ref());
    let mounts = decoded.mounts().iter().flatten();
    let of_mounts = mounts.flat_map(|m| [m.uid_mappings(), m.gid_mappings()]);
    let of_mounts = of_mounts.flatten().flatten();
    uids.into_iter().chain(gids).flatten().chain(of_mounts)
}

fn has_zero(resources: &LinuxResources) -> bool {
    let mut pages = resources.hugepage_limits().iter().flatten();
    let network = resources.network().as_ref();
    let mut priorities = network.and_then(|n| n.priorities().as_ref()).into_iter();
    pages.any(|p| p.limit() == 0 || p.page_size().is_empty())
        || priorities.any(|all| all.iter().any(|p| p.priority() == 0 || p.name().is_empty()))
        || resources.block_io().as_ref().is_some_and(block_has_zero)
}

fn block_has_zero(block: &LinuxBlockIo) -> bool {
    let mut weights = block.weight_device().iter().flatten();
    let rates = [
        block.throttle_read_bps_device(),
        block.throttle_write_bps_device(),
        block.throttle_read_iops_device(),
        block.throttle_write_iops_device(),
    ];
    let mut rates = rates.into_iter().flatten().flatten();
    weights.any(|w| w.major() == 0 || w.minor() == 0)
        || rates.any(|t| t.major() == 0 || t.minor() == 0 || t.rate() == 0)
}

/// Of the whole text only whether these few properties are there.
#[derive(Deserialize)]
struct Document {
    process: Option<Process>,
    mounts: Option<Vec<Mount>>,
    linux: Option<Linux>,
}

#[derive(Deserialize)]
struct Process {
    rlimits: Option<Vec<Limit>>,
}

#[derive(Deserialize)]
struct Limit {
    soft: Option<IgnoredAny>,
    hard: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mount {
    uid_mappings: Option<Vec<Mapping>>,
    gid_mappings: Option<Vec<Mapping>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    uid_mappings: Option<Vec<Mapping>>,
    gid_mappings: Option<Vec<Mapping>>,
    resources: Option<Resources>,
}

#[derive(Deserialize)]
struct Mapping {
    #[serde(rename = "containerID")]
    container_id: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Resources {
    devices: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
struct Rule {
    allow: Option<IgnoredAny>,
}

impl Document {
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn is_complete(&self) -> bool {
        let linux = self.linux.as_ref();
        let own = linux.map(|l| [&l.uid_mappings, &l.gid_mappings]);
        let mounts = self.mounts.iter().flatten();
        let maps = mounts
            .map(|m| [&m.uid_mappings, &m.gid_mappings])
            .chain(own);
        let resources = linux.and_then(|l| l.resources.as_ref());
        let limits = self.process.iter().flat_map(|p| &p.rlimits);
        let rules = resources.into_iter().flat_map(|r| &r.devices);
        let mut mappings = maps.flatten().flatten().flatten();
        limits
            .flatten()
            .all(|limit| limit.soft.is_some() && limit.hard.is_some())
            && rules.flatten().all(|rule| rule.allow.is_some())
            && mappings.all(|mapping| mapping.container_id.is_some())
    }
}
