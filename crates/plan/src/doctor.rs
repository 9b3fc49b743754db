//! `corten doctor`: what a machine can do for containers, judged from facts alone.
//!
//! ```text
//! kernel ──► HostFacts (what plans are made from) ──┐
//! kernel, files, PATH ──► Survey (what only people ask) ─┴─► examine ──► Check, Check, ...
//! ```
//!
//! As with plans the judgement is pure: a report from another machine can be judged
//! here, and every verdict has a test that needs no such machine.

mod engines;
mod kernel;
mod limits;
mod users;

use serde::{Deserialize, Serialize};

use crate::HostFacts;

/// What no plan depends on, but people want to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Survey {
    /// Name of the caller's user.
    pub user: String,
    /// `user.max_user_namespaces`
    pub max_user_namespaces: Option<u64>,
    /// Debian's `kernel.unprivileged_userns_clone`
    pub unprivileged_userns_clone: Option<u64>,
    /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`
    pub apparmor_restrict_userns: Option<u64>,
    /// How many ids /etc/subuid grants to the user.
    pub subuids: u64,
    /// How many ids /etc/subgid grants to the user.
    pub subgids: u64,
    /// Where the program is, if it is in PATH.
    pub newuidmap: Option<String>,
    /// The same.
    pub newgidmap: Option<String>,
    /// The same.
    pub criu: Option<String>,
    /// The same; ps(1) shows the processes of a container.
    pub ps: Option<String>,
    /// `kernel.seccomp.actions_avail`
    pub seccomp_actions: Vec<String>,
    /// proc_filesystems(5), those that are loaded.
    pub filesystems: Vec<String>,
    /// /proc/self/ns has `time`.
    pub time_namespaces: bool,
    /// The kernel keeps keyrings.
    pub keyrings: bool,
    /// /proc/pressure is there.
    pub pressure: bool,
    /// Programs that drive runtimes.
    pub engines: Vec<Engine>,
    /// Where this program is.
    pub own_path: Option<String>,
}

/// One that was found in PATH.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Engine {
    /// `podman`
    pub name: String,
    /// Where.
    pub path: String,
    /// The configuration that names corten.
    pub configured_in: Option<String>,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// The verdict.
    pub state: Health,
    /// What there is.
    pub found: String,
    /// What the user does without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// The verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Containers run, but something is not to be had.
    Degraded,
    /// Containers cannot do without.
    Missing,
}

impl Health {
    /// The word of the report.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
        }
    }
}

impl Check {
    fn ok(name: &str, found: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            state: Health::Ok,
            found: found.into(),
            costs: None,
            mend: None,
        }
    }

    fn degraded(name: &str, found: impl Into<String>, costs: &str, mend: &str) -> Self {
        Self {
            state: Health::Degraded,
            costs: Some(costs.to_owned()),
            mend: Some(mend.to_owned()).filter(|text| !text.is_empty()),
            ..Self::ok(name, found)
        }
    }

    fn missing(name: &str, found: impl Into<String>, costs: &str, mend: &str) -> Self {
        Self {
            state: Health::Missing,
            ..Self::degraded(name, found, costs, mend)
        }
    }
}

/// All checks, in the order of the report.
pub fn examine(host: &HostFacts, survey: &Survey) -> Vec<Check> {
    let mut checks = Vec::new();
    kernel::examine(host, survey, &mut checks);
    limits::examine(host, survey, &mut checks);
    users::examine(host, survey, &mut checks);
    engines::examine(survey, &mut checks);
    checks
}

/// An ordinary user or root of a user namespace: what the system grants to root it may
/// not grant here.
fn is_rootless(host: &HostFacts) -> bool {
    host.effective_uid != 0 || host.in_user_namespace
}

#[cfg(test)]
#[path = "doctor/tests.rs"]
mod tests;
