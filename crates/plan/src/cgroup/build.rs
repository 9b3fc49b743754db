//! `linux.resources` and `linux.cgroupsPath` put together for the host's hierarchies.

use std::collections::HashMap;

use oci_spec::runtime::LinuxResources;

use super::devices::{self, Rule};
use super::limits::{self, Limits};
use super::sheet::{Sheet, Value, at};
use super::{CgroupDirectory, CgroupManager, CgroupPlan, DeviceProgram, Problems, Setting};
use super::{bpf, path, systemd, unified, v1, v2};
use crate::{CgroupFacts, CgroupMode, ConfigPath, HostFacts, PlanError, Request, Warning};

/// Where a controller is on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    /// In a v1 hierarchy: index of its directory.
    V1(usize),
    /// In the v2 hierarchy: index of its directory.
    V2(usize),
    Absent,
}

/// One controller: its names in v1 and v2, and what to write in each.
struct Controller {
    v1: &'static str,
    v2: &'static str,
    in_v1: fn(&Limits, &mut Sheet<'_>),
    in_v2: fn(&Limits, &mut Sheet<'_>),
}

/// In the order of writing.
const CONTROLLERS: [Controller; 9] = [
    Controller {
        v1: "memory",
        v2: "memory",
        in_v1: v1::memory,
        in_v2: v2::memory,
    },
    Controller {
        v1: "cpu",
        v2: "cpu",
        in_v1: v1::cpu,
        in_v2: v2::cpu,
    },
    Controller {
        v1: "cpuset",
        v2: "cpuset",
        in_v1: v2::cpuset,
        in_v2: v2::cpuset,
    },
    Controller {
        v1: "pids",
        v2: "pids",
        in_v1: v2::pids,
        in_v2: v2::pids,
    },
    Controller {
        v1: "blkio",
        v2: "io",
        in_v1: v1::blkio,
        in_v2: v2::io,
    },
    Controller {
        v1: "hugetlb",
        v2: "hugetlb",
        in_v1: v1::hugetlb,
        in_v2: v2::hugetlb,
    },
    Controller {
        v1: "rdma",
        v2: "rdma",
        in_v1: v2::rdma,
        in_v2: v2::rdma,
    },
    Controller {
        v1: "net_cls",
        v2: "net_cls",
        in_v1: v1::net_cls,
        in_v2: v2::net_cls,
    },
    Controller {
        v1: "net_prio",
        v2: "net_prio",
        in_v1: v1::net_prio,
        in_v2: v2::net_prio,
    },
];

/// Adds the container's cgroup to the plan; `None` when a problem was pushed.
pub(crate) fn build(
    asked: &Asked<'_>,
    request: &Request,
    host: &HostFacts,
    out: &mut Problems,
) -> Option<CgroupPlan> {
    let before = out.problems.len();
    let resources = asked.resources;
    let limits = limits::read(resources, out);
    let rules = devices::read(resources, out);
    let place = match request.systemd_cgroup && !request.cgroups_disabled {
        true => asked
            .scope(request)
            .place(host)
            .map(|(path, scope)| (path, Some(scope))),
        false => {
            let base = host.cgroup.delegated.as_deref();
            path::resolve(asked.cgroups_path, &request.id, base).map(|path| (path, None))
        }
    };
    let (path, mut scope) = place.map_err(|problem| out.problems.push(problem)).ok()?;
    if request.cgroups_disabled {
        if resources.is_some_and(|r| *r != LinuxResources::default()) {
            out.warnings.push(Warning {
                path: ConfigPath::new("linux.resources"),
                text: "not applied: cgroups are disabled".to_owned(),
            });
        }
        return (out.problems.len() == before).then(|| disabled(host));
    }
    let mut draft = Draft::new(host, out);
    draft.limits(&limits);
    draft.unified(&limits);
    let program = draft.devices(&rules, resources.is_some_and(|r| r.devices().is_some()));
    let explicit = asked.cgroups_path.is_some_and(|path| !path.is_empty());
    if scope.is_none() && draft.goes_without(explicit) {
        return (out.problems.len() == before).then(|| disabled(host));
    }
    let Draft {
        directories,
        settings,
        ..
    } = draft;
    if let Some(scope) = &mut scope {
        let limits = (settings.as_slice(), directories.as_slice());
        asked.scope(request).complete(scope, limits, &rules, out);
    }
    (out.problems.len() == before).then_some(CgroupPlan {
        manager: match scope {
            Some(_) => CgroupManager::Systemd,
            None => CgroupManager::Cgroupfs,
        },
        mode: host.cgroup.mode,
        path,
        directories,
        settings,
        device_program: program,
        owner: None,
        delegated: None,
        scope,
    })
}

/// What of a configuration this chapter reads.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// `linux.resources`
    pub resources: Option<&'a LinuxResources>,
    /// `linux.cgroupsPath`
    pub cgroups_path: Option<&'a str>,
    /// Those for systemd are properties of the unit.
    pub annotations: Option<&'a HashMap<String, String>>,
}

impl<'a> Asked<'a> {
    fn scope(&self, request: &'a Request) -> systemd::Draft<'a> {
        systemd::Draft {
            request,
            annotations: self.annotations,
            cgroups_path: self.cgroups_path,
        }
    }
}

fn disabled(host: &HostFacts) -> CgroupPlan {
    CgroupPlan {
        manager: CgroupManager::Disabled,
        mode: host.cgroup.mode,
        path: String::new(),
        directories: Vec::new(),
        settings: Vec::new(),
        device_program: None,
        owner: None,
        delegated: None,
        scope: None,
    }
}

/// One directory for each mount, v1 by mount point, v2 last.
fn directories(facts: &CgroupFacts) -> Vec<CgroupDirectory> {
    let mut list: Vec<CgroupDirectory> = Vec::new();
    let v1 = match facts.mode {
        CgroupMode::V1 | CgroupMode::Hybrid => Some(&facts.v1_mounts),
        CgroupMode::V2 | CgroupMode::None => None,
    };
    for (controller, mount) in v1.into_iter().flatten() {
        match list.iter_mut().find(|d| d.mount == *mount) {
            Some(shared) => shared.controllers.push(controller.clone()),
            None => list.push(CgroupDirectory {
                controllers: vec![controller.clone()],
                mount: mount.clone(),
                v2: false,
                enable: Vec::new(),
            }),
        }
    }
    list.sort_by(|a, b| a.mount.cmp(&b.mount));
    let v2 = match facts.mode {
        CgroupMode::V2 | CgroupMode::Hybrid => facts.v2_mount.clone(),
        CgroupMode::V1 | CgroupMode::None => None,
    };
    list.extend(v2.map(|mount| CgroupDirectory {
        controllers: Vec::new(),
        mount,
        v2: true,
        enable: Vec::new(),
    }));
    list
}

/// The plan while it grows.
struct Draft<'a> {
    host: &'a HostFacts,
    directories: Vec<CgroupDirectory>,
    settings: Vec<Setting>,
    out: &'a mut Problems,
}

impl<'a> Draft<'a> {
    fn new(host: &'a HostFacts, out: &'a mut Problems) -> Self {
        Self {
            host,
            directories: directories(&host.cgroup),
            settings: Vec::new(),
            out,
        }
    }

    fn limits(&mut self, limits: &Limits) {
        for controller in &CONTROLLERS {
            let home = self.home(controller.v1, controller.v2);
            let (name, write) = match (home, self.host.cgroup.mode) {
                (Home::V1(_), _) | (Home::Absent, CgroupMode::V1 | CgroupMode::Hybrid) => {
                    (controller.v1, controller.in_v1)
                }
                _ => (controller.v2, controller.in_v2),
            };
            let mut sheet = Sheet::new(self.out);
            write(limits, &mut sheet);
            let values = sheet.values;
            self.place(name, home, values);
        }
    }

    fn home(&self, v1: &str, v2: &str) -> Home {
        let has = |d: &CgroupDirectory| !d.v2 && d.controllers.iter().any(|c| c == v1);
        if let Some(index) = self.directories.iter().position(has) {
            return Home::V1(index);
        }
        match self.v2_directory() {
            Some(index) if self.host.cgroup.v2_controllers.iter().any(|c| c == v2) => {
                Home::V2(index)
            }
            _ => Home::Absent,
        }
    }

    fn v2_directory(&self) -> Option<usize> {
        self.directories.iter().position(|d| d.v2)
    }

    /// The values become settings of the controller's directory. Without a
    /// directory only what the kernel does anyway can be had.
    fn place(&mut self, controller: &str, home: Home, values: Vec<Value>) {
        let directory = match home {
            Home::V1(index) | Home::V2(index) => index,
            Home::Absent => {
                for value in values.into_iter().filter(|value| !value.optional) {
                    let sentence = self.absent(controller);
                    self.out
                        .problems
                        .push(PlanError::unsupported(value.from, sentence));
                }
                return;
            }
        };
        if home == Home::V2(directory) && values.iter().any(|value| !value.optional) {
            self.enable(directory, controller);
        }
        self.settings
            .extend(values.into_iter().map(|value| Setting {
                directory,
                file: value.file,
                value: value.value,
                from: value.from,
                optional: value.optional,
                instead: value.instead,
                not_below: value.not_below,
            }));
    }

    fn enable(&mut self, directory: usize, controller: &str) {
        if let Some(directory) = self.directories.get_mut(directory)
            && !directory.enable.iter().any(|c| c == controller)
        {
            directory.enable.push(controller.to_owned());
        }
    }

    fn absent(&self, controller: &str) -> String {
        let facts = &self.host.cgroup;
        if facts.mode == CgroupMode::None {
            return format!(
                "needs the cgroup controller {controller:?}, and /sys/fs/cgroup holds no cgroup file system"
            );
        }
        let mut have: Vec<&str> = self
            .directories
            .iter()
            .flat_map(|d| &d.controllers)
            .map(String::as_str)
            .collect();
        if self.v2_directory().is_some() {
            have.extend(facts.v2_controllers.iter().map(String::as_str));
        }
        have.retain(|name| !name.starts_with("name="));
        have.sort_unstable();
        let have = match have.is_empty() {
            true => "none".to_owned(),
            false => have.join(" "),
        };
        let below = match facts.mode {
            CgroupMode::V2 => facts.v2_mount.as_deref().unwrap_or("/sys/fs/cgroup"),
            _ => "/sys/fs/cgroup",
        };
        let mut text = format!("no cgroup controller {controller:?} under {below} (have: {have})");
        // systemd knows no others.
        let is_known = ["cpu", "cpuset", "io", "memory", "pids"].contains(&controller);
        if is_known && facts.delegated.is_some() {
            text.push_str("; root delegates more: systemctl edit user@.service, Delegate=");
            text.push_str("cpu cpuset io memory pids");
        }
        text
    }

    /// After all others, so that a file named outright has the last word.
    fn unified(&mut self, limits: &Limits) {
        for (file, value) in &limits.unified {
            let from = at("unified").key(file);
            let controller = match unified::controller(file, &from) {
                Ok(controller) => controller,
                Err(problem) => {
                    self.out.problems.push(problem);
                    continue;
                }
            };
            let home = match (controller, self.v2_directory()) {
                (None, Some(index)) => Home::V2(index),
                (None, None) => Home::Absent,
                (Some(name), _) => self.home("", name),
            };
            let mut sheet = Sheet::new(self.out);
            unified::put(file, value, &from, &mut sheet);
            let values = sheet.values;
            match (controller, home) {
                (_, Home::Absent) if values.iter().all(|value| value.optional) => {}
                (Some(name), Home::Absent) => {
                    let sentence = self.not_in_v2(name);
                    self.out
                        .problems
                        .push(PlanError::unsupported(from, sentence));
                }
                (None, Home::Absent) => {
                    let sentence = "needs cgroup v2, which this host does not have";
                    self.out
                        .problems
                        .push(PlanError::unsupported(from, sentence));
                }
                (Some(name), home) => self.place(name, home, values),
                (None, Home::V1(index) | Home::V2(index)) => self.core(index, values),
            }
        }
    }

    /// Files of the core need no controller enabled.
    fn core(&mut self, directory: usize, values: Vec<Value>) {
        self.place("", Home::V1(directory), values);
    }

    fn not_in_v2(&self, controller: &str) -> String {
        let v1 = |name: &str| matches!(self.home(name, ""), Home::V1(_));
        if v1(controller) || (controller == "io" && v1("blkio")) {
            return format!(
                "the controller {controller:?} belongs to cgroup v1 on this host, and unified means v2"
            );
        }
        self.absent(controller)
    }

    /// The rules as settings of v1 or a program of v2.
    fn devices(&mut self, rules: &[Rule], asked: bool) -> Option<DeviceProgram> {
        // Attaching needs privileges; without them the kernel makes no device
        // nodes for us, and the host's own are guarded by their modes.
        if is_unprivileged(self.host) || devices::allow_everything(rules) {
            return None;
        }
        let from = match asked {
            true => at("devices"),
            false => at("devices").default_of(),
        };
        if let Home::V1(index) = self.home("devices", "") {
            let mut sheet = Sheet::new(self.out);
            devices::v1(rules, &mut sheet);
            let values = sheet.values;
            self.place("devices", Home::V1(index), values);
            return None;
        }
        if self.v2_directory().is_some() {
            return Some(DeviceProgram {
                instructions: bpf::compile(rules),
                from,
            });
        }
        let sentence = self.absent("devices");
        if asked {
            self.out
                .problems
                .push(PlanError::unsupported(from, sentence));
        } else {
            self.out.warnings.push(Warning {
                path: from,
                text: format!("not applied: {sentence}"),
            });
        }
        None
    }

    /// Whether the container stays in its caller's cgroup because no other can be
    /// had and nothing asked for one. With something asked for, says what is
    /// missing.
    fn goes_without(&mut self, explicit: bool) -> bool {
        let facts = &self.host.cgroup;
        let why = match facts.mode {
            CgroupMode::None => "no cgroup file system at /sys/fs/cgroup",
            _ if self.host.may_lack_cgroup == Some(true) => {
                "the host's cgroups are mounted read-only"
            }
            _ if self.host.may_lack_cgroup == Some(false) => return false,
            _ if is_unprivileged(self.host) && facts.delegated.is_none() => {
                "no cgroup is delegated to this user"
            }
            _ => return false,
        };
        let needed = self.settings.iter().find(|setting| !setting.optional);
        let from = match needed {
            // A path given by hand may be writable all the same: the kernel decides.
            _ if explicit && facts.mode != CgroupMode::None => return false,
            Some(setting) => setting.from.clone(),
            None if explicit => ConfigPath::new("linux.cgroupsPath"),
            None => {
                self.out.warnings.push(Warning {
                    path: ConfigPath::new("linux.cgroupsPath").default_of(),
                    text: format!("the container stays in the caller's cgroup: {why}"),
                });
                return true;
            }
        };
        let hint = match facts.mode {
            CgroupMode::V2 => {
                "systemd delegates one: systemd-run --user --scope -p Delegate=yes COMMAND"
            }
            _ => "cgroup v1 is not delegated to users; leave the property out",
        };
        let problem = PlanError::unsupported(from, why);
        self.out.problems.push(match facts.mode {
            CgroupMode::None => problem,
            _ => problem.hint(hint),
        });
        true
    }
}

fn is_unprivileged(host: &HostFacts) -> bool {
    host.effective_uid != 0 || host.in_user_namespace
}

#[cfg(test)]
#[path = "build_tests.rs"]
mod tests;
