//! The systemd driver's part of the plan: the unit's name, where it lies, and its
//! properties, all as data. `libcgroups::systemd` asks systemd for it.
//!
//! | file | what |
//! |---|---|
//! | `place.rs` | `slice:prefix:name` -> unit, slice, path below the hierarchies' roots |
//! | `limits.rs` | settings of cgroup files -> properties that say the same |
//! | `devices.rs` | device rules -> `DevicePolicy`, `DeviceAllow` |
//! | `annotations.rs` | `org.systemd.property.NAME` -> a property |
//!
//! A limit is set twice: systemd must know it, or it would put its own value in force
//! the next time it looks at the unit; and it is written into the file, because systemd
//! rounds some values, knows not all files, and an old one not all properties.

mod annotations;
mod devices;
mod limits;
mod place;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::devices::Rule;
use super::{CgroupDirectory, Problems, Setting};
use crate::{CgroupMode, ConfigPath, HostFacts, PlanError, Request, SystemdFacts};

pub(crate) use annotations::PREFIX as ANNOTATION_PREFIX;
pub use limits::properties_of;

/// A transient scope that holds the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// `cri-containerd-0123.scope`
    pub unit: String,
    /// The manager of the calling user makes it, not the system's.
    pub user: bool,
    /// Everything systemd is told about it but the process inside.
    pub properties: Vec<Property>,
}

/// One property of a unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// `MemoryMax`
    pub name: String,
    /// In D-Bus's types.
    pub value: PropertyValue,
    /// Where it came from.
    pub from: ConfigPath,
    /// A systemd too old to know it may do without: the files say the same.
    pub optional: bool,
}

/// Equal bits, so that plans can be compared.
impl Eq for Property {}

/// The types that properties of scopes have, with D-Bus's signature of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PropertyValue {
    /// `b`
    Flag(bool),
    /// `y`
    Byte(u8),
    /// `i`
    Int32(i32),
    /// `u`
    Uint32(u32),
    /// `x`
    Int64(i64),
    /// `t`
    Uint64(u64),
    /// `d`
    Double(f64),
    /// `s`
    Text(String),
    /// `as`
    Texts(Vec<String>),
    /// `ay`
    Bytes(Vec<u8>),
    /// `au`
    Uint32s(Vec<u32>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
    /// `a(st)`
    Amounts(Vec<(String, u64)>),
}

/// Who systemd is on this host, or why it cannot be asked.
pub(super) fn manager(host: &HostFacts) -> Result<(&str, bool), PlanError> {
    let refused = |why: &str| {
        let sentence = format!("systemd support for managing cgroups is not available: {why}");
        PlanError::unsupported(ConfigPath::flag("--systemd-cgroup"), sentence)
            .hint("leave the flag out: the cgroup is then made directly")
    };
    match &host.cgroup.systemd {
        Some(SystemdFacts::Manager {
            control_group,
            user,
        }) => match host.cgroup.mode {
            CgroupMode::V1 | CgroupMode::Hybrid if *user => {
                Err(refused("cgroup v1 is not delegated to users"))
            }
            CgroupMode::None => Err(refused("/sys/fs/cgroup holds no cgroup file system")),
            _ => Ok((control_group, *user)),
        },
        Some(SystemdFacts::Missing { why }) => Err(refused(why)),
        None => Err(refused("it was not asked")),
    }
}

/// What the scope is made of, beside its cgroup's own settings.
pub(super) struct Draft<'a> {
    pub request: &'a Request,
    pub annotations: Option<&'a std::collections::HashMap<String, String>>,
    pub cgroups_path: Option<&'a str>,
}

impl Draft<'_> {
    /// The path below the hierarchies' roots, and the scope without its limits.
    pub fn place(&self, host: &HostFacts) -> Result<(String, Scope), PlanError> {
        let (control_group, user) = manager(host)?;
        let place = place::resolve(self.cgroups_path, &self.request.id, user)?;
        let path = format!("{}{}", control_group.trim_end_matches('/'), place.path);
        let from = ConfigPath::new("linux.cgroupsPath");
        let base = |name: &str, value| Property {
            name: name.to_owned(),
            value,
            from: from.clone(),
            optional: false,
        };
        let accounting = |name: &str| Property {
            optional: true,
            ..base(name, PropertyValue::Flag(true))
        };
        let io = match host.cgroup.mode {
            CgroupMode::V2 => "IOAccounting",
            _ => "BlockIOAccounting",
        };
        let description = format!("OCI container {}", self.request.id);
        let properties = vec![
            base("Description", PropertyValue::Text(description)),
            base("Slice", PropertyValue::Text(place.slice)),
            // Below it everything is the container's; systemd keeps out.
            base("Delegate", PropertyValue::Flag(true)),
            // At shutdown the engine stops it, in its own time.
            base("DefaultDependencies", PropertyValue::Flag(false)),
            accounting("CPUAccounting"),
            accounting("MemoryAccounting"),
            accounting("TasksAccounting"),
            accounting(io),
        ];
        let scope = Scope {
            unit: place.unit,
            user,
            properties,
        };
        Ok((path, scope))
    }

    /// Adds limits, devices, and what annotations want, which has the last word.
    pub fn complete(
        &self,
        scope: &mut Scope,
        (settings, directories): (&[Setting], &[CgroupDirectory]),
        rules: &[Rule],
        out: &mut Problems,
    ) {
        let limits = properties_of(settings, directories);
        if !limits.iter().any(|limit| limit.name == "TasksMax") {
            // Without a word systemd would set its own default for a unit.
            scope.properties.push(Property {
                name: "TasksMax".to_owned(),
                value: PropertyValue::Uint64(u64::MAX),
                from: ConfigPath::new("linux.resources.pids.limit").default_of(),
                optional: true,
            });
        }
        scope.properties.extend(limits);
        if !scope.user {
            scope.properties.extend(devices::properties(rules));
        }
        let sorted: BTreeMap<_, _> = self.annotations.into_iter().flatten().collect();
        for (name, text) in sorted {
            match annotations::property(name, text) {
                None => {}
                Some(Err(problem)) => out.problems.push(problem),
                Some(Ok(property)) => {
                    scope.properties.retain(|other| other.name != property.name);
                    scope.properties.push(property);
                }
            }
        }
    }
}
