//! `slice:prefix:name` -> the unit, its slice, and where both are in the hierarchies.

use crate::error::quote;
use crate::{ConfigPath, PlanError};

/// `UNIT_NAME_MAX` of systemd without the final NUL.
const UNIT_NAME_MAX: usize = 255;

/// A scope and where it lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub unit: String,
    pub slice: String,
    /// Below the manager's own control group.
    pub path: String,
}

/// Nothing said is `corten-ID.scope` in the slice for what is not of the system
/// itself; each of the first two parts may be empty.
pub(super) fn resolve(wish: Option<&str>, id: &str, user: bool) -> Result<Place, PlanError> {
    let default_slice = if user { "user.slice" } else { "system.slice" };
    let wish = wish.unwrap_or("");
    let (slice, unit) = match wish.is_empty() {
        true => (default_slice, format!("corten-{}.scope", escape(id))),
        false => {
            let (slice, prefix, name) = parts(wish)?;
            let slice = if slice.is_empty() {
                default_slice
            } else {
                slice
            };
            (slice, unit_name(wish, prefix, name)?)
        }
    };
    let mut path = expand(wish, slice)?;
    path.push('/');
    path.push_str(&file_name(&unit));
    Ok(Place {
        unit,
        slice: slice.to_owned(),
        path,
    })
}

fn invalid(wish: &str, wanted: &str) -> PlanError {
    PlanError::invalid(ConfigPath::new("linux.cgroupsPath"), wanted, quote(wish))
}

fn parts(wish: &str) -> Result<(&str, &str, &str), PlanError> {
    let mut parts = wish.split(':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(slice), Some(prefix), Some(name), None) => Ok((slice, prefix, name)),
        _ => {
            let wanted = "cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups";
            Err(invalid(wish, wanted))
        }
    }
}

fn unit_name(wish: &str, prefix: &str, name: &str) -> Result<String, PlanError> {
    if name.is_empty() {
        return Err(invalid(wish, "a name after the second colon"));
    }
    let unit = match prefix {
        "" => format!("{name}.scope"),
        prefix => format!("{prefix}-{name}.scope"),
    };
    if unit.len() > UNIT_NAME_MAX {
        return Err(invalid(wish, "a unit's name of at most 255 bytes"));
    }
    match unit.chars().all(is_allowed) {
        true => Ok(unit),
        false => {
            let wanted = "prefix and name of letters, digits and \":-_.\\@\"";
            Err(invalid(wish, wanted))
        }
    }
}

/// systemd.unit(5)
fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || ":-_.\\@".contains(c)
}

/// As systemd-escape(1) does: an id may hold a `+`, a unit's name not.
fn escape(id: &str) -> String {
    let mut name = String::new();
    for c in id.chars() {
        match is_allowed(c) {
            true => name.push(c),
            false => name.push_str(&format!("\\x{:02x}", u32::from(c))),
        }
    }
    name
}

/// `a-b.slice` lies in `a.slice`, which systemd makes as well: `/a.slice/a-b.slice`.
/// `-.slice` is the root of all.
fn expand(wish: &str, slice: &str) -> Result<String, PlanError> {
    let refused = || invalid(wish, "a slice like \"machine.slice\" or \"a-b.slice\"");
    let stem = slice.strip_suffix(".slice").ok_or_else(refused)?;
    if stem == "-" {
        return Ok(String::new());
    }
    if slice.len() > UNIT_NAME_MAX || !stem.chars().all(is_allowed) {
        return Err(refused());
    }
    let (mut path, mut prefix) = (String::new(), String::new());
    for part in stem.split('-') {
        if part.is_empty() {
            return Err(refused());
        }
        prefix.push_str(part);
        path.push('/');
        path.push_str(&file_name(&format!("{prefix}.slice")));
        prefix.push('-');
    }
    Ok(path)
}

/// Names that the kernel's own files have, or could have, get an underscore in front.
fn file_name(unit: &str) -> String {
    const CONTROLLERS: [&str; 14] = [
        "cgroup", "cpu", "cpuacct", "cpuset", "io", "blkio", "memory", "devices", "pids",
        "hugetlb", "rdma", "misc", "freezer", "net_cls",
    ];
    let before_dot = unit.split('.').next().unwrap_or_default();
    let is_reserved = unit.starts_with(['_', '.']) || CONTROLLERS.contains(&before_dot);
    match is_reserved {
        true => format!("_{unit}"),
        false => unit.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(wish: &str) -> (String, String) {
        let place = resolve(Some(wish), "c1", false).unwrap();
        (place.unit, place.path)
    }

    #[test]
    fn slices_nest_by_their_dashes() {
        let (unit, path) = place("kubepods-burstable-podx.slice:cri-containerd:0a");
        assert_eq!(unit, "cri-containerd-0a.scope");
        assert_eq!(
            path,
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/cri-containerd-0a.scope"
        );
        assert_eq!(place("-.slice::a").1, "/a.scope");
        assert_eq!(place("memory.slice:p:a").1, "/_memory.slice/p-a.scope");
        // A slice holds no processes: whatever its name, a container is a scope.
        assert_eq!(place("a.slice:p:b.slice").1, "/a.slice/p-b.slice.scope");
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        assert_eq!(place(":docker:a").1, "/system.slice/docker-a.scope");
        assert_eq!(place(":docker:_a").1, "/system.slice/docker-_a.scope");
        let user = resolve(None, "c+1", true).unwrap();
        assert_eq!(user.unit, "corten-c\\x2b1.scope");
        assert_eq!(user.slice, "user.slice");
        assert_eq!(
            resolve(Some(""), "a", false).unwrap().path,
            "/system.slice/corten-a.scope"
        );
    }

    #[test]
    fn other_forms_are_refused() {
        for wish in [
            "/a/b",
            "a",
            "a.slice:b",
            "a.slice:b:c:d",
            "a:b:c",
            "a--b.slice:c:d",
            "-a.slice:b:c",
            "a/b.slice:c:d",
            ".slice:b:c",
            "a.slice:b:",
            "a.slice:b:c/d",
            "a.slice:b:c d",
            "a.slice:/:c",
            "../a.slice:b:c",
        ] {
            let error = resolve(Some(wish), "c1", false).unwrap_err();
            assert_eq!(error.path.as_str(), "linux.cgroupsPath", "{wish}");
        }
        let long = format!("a.slice:b:{}", "n".repeat(250));
        assert!(resolve(Some(&long), "c1", false).is_err());
    }
}
