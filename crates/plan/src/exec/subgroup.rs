//! `--cgroup`: a control group below the container's.

use defence::Defence;
use serde::{Deserialize, Serialize};

use crate::error::quote;
use crate::{CgroupMode, ConfigPath, PlanError};

/// One `--cgroup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubCgroup {
    /// v1: the hierarchies it is about; empty is all.
    pub controllers: Vec<String>,
    /// Below the container's own: `/a/b`, or empty for that itself. Never leads out.
    pub path: String,
}

/// Reads all `--cgroup` options.
pub(super) fn read(
    options: &[String],
    mode: CgroupMode,
    problems: &mut Vec<PlanError>,
) -> Vec<SubCgroup> {
    let mut groups = Vec::new();
    for option in options {
        match parse(option, mode) {
            Ok(group) => groups.push(group),
            Err(problem) => problems.push(problem),
        }
    }
    groups
}

fn parse(option: &str, mode: CgroupMode) -> Result<SubCgroup, PlanError> {
    let at = ConfigPath::flag("--cgroup");
    let (controllers, path) = match option.split_once(':') {
        Some((controllers, path)) => (controllers, path),
        None => ("", option),
    };
    let controllers: Vec<String> = controllers
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    if !controllers.is_empty() && mode == CgroupMode::V2 {
        let text = format!(
            "{} names controllers, which have no paths of their own on cgroup v2 (give the path alone)",
            quote(option)
        );
        return Err(PlanError::unsupported(at, text));
    }
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let climbs = parts.contains(&"..") && !Defence::CgroupNames.is_off();
    if climbs || path.contains('\0') {
        let wanted = "a path below the container's control group, without \"..\"";
        return Err(PlanError::invalid(at, wanted, quote(option)));
    }
    let path = parts
        .iter()
        .fold(String::new(), |path, part| path + "/" + part);
    Ok(SubCgroup { controllers, path })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::CgroupMode;

    #[test]
    fn paths_stay_below_the_container() {
        let path = |option: &str| parse(option, CgroupMode::V2).map(|group| group.path).ok();
        assert_eq!(path("a/b").as_deref(), Some("/a/b"));
        assert_eq!(path("/a//b/./").as_deref(), Some("/a/b"));
        assert_eq!(path("/").as_deref(), Some(""));
        for out in ["..", "/..", "a/../..", "a/..", "../x", "a\0"] {
            assert_eq!(path(out), None, "{out:?}");
        }
    }

    #[test]
    fn controllers_are_of_v1() {
        let group = parse("cpu,memory:/x", CgroupMode::Hybrid).unwrap();
        assert_eq!(group.controllers, ["cpu", "memory"]);
        assert!(parse("cpu:/x", CgroupMode::V2).is_err());
    }
}
