//! `linux.cgroupsPath` -> a clean absolute path below the root of every hierarchy.

use defence::Defence;

use crate::error::quote;
use crate::{ConfigPath, PlanError};

/// Longest name of one directory, `NAME_MAX`.
const NAME_MAX: usize = 255;

/// Where the container's cgroup is.
///
/// * `/a/b` is `/a/b`; `a/b` is below `base`, the cgroup delegated to the caller
///   or the root.
/// * Empty or absent is `/corten/ID` below `base`: a cgroup of the container's
///   own, never the caller's. Whoever ends the container ends every process of
///   its cgroup.
/// * `slice:prefix:name` without `--systemd-cgroup` is one directory of that
///   name, as engines with the wrong driver configured expect.
pub(super) fn resolve(
    wish: Option<&str>,
    id: &str,
    base: Option<&str>,
) -> Result<String, PlanError> {
    let base = base.unwrap_or("/");
    let wish = wish.unwrap_or("");
    if wish.is_empty() {
        return Ok(join(&[&names(base), &["corten", id]]));
    }
    let parts = names(wish);
    check(wish, &parts)?;
    if wish.starts_with('/') {
        return Ok(join(&[&parts]));
    }
    Ok(join(&[&names(base), &parts]))
}

/// The names of a path, without empty ones and `.`.
fn names(path: &str) -> Vec<&str> {
    path.split('/')
        .filter(|name| !name.is_empty() && *name != ".")
        .collect()
}

fn join(parts: &[&[&str]]) -> String {
    let mut path = String::new();
    for name in parts.iter().copied().flatten() {
        path.push('/');
        path.push_str(name);
    }
    path
}

fn check(wish: &str, parts: &[&str]) -> Result<(), PlanError> {
    let invalid = |wanted: &str| {
        let at = ConfigPath::new("linux.cgroupsPath");
        Err(PlanError::invalid(at, wanted, quote(wish)))
    };
    if Defence::CgroupNames.is_off() {
        return Ok(());
    }
    if parts.contains(&"..") {
        return invalid("a path without \"..\"");
    }
    // The kernel refuses newlines itself: they would forge lines of /proc/PID/cgroup.
    if wish.contains(['\0', '\n']) {
        return invalid("a path without NUL and newline");
    }
    if parts.is_empty() {
        return invalid("a cgroup below the root, which holds the whole system");
    }
    if parts.iter().any(|name| name.len() > NAME_MAX) {
        return invalid("names of at most 255 bytes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(wish: &str) -> String {
        resolve(Some(wish), "c1", None).unwrap()
    }

    #[test]
    fn a_container_without_a_path_gets_a_cgroup_of_its_own() {
        assert_eq!(resolve(None, "c1", None).unwrap(), "/corten/c1");
        assert_eq!(resolved(""), "/corten/c1");
        assert_eq!(
            resolve(None, "c1", Some("/user.slice/u1")).unwrap(),
            "/user.slice/u1/corten/c1"
        );
    }

    #[test]
    fn paths_are_made_absolute_and_clean() {
        assert_eq!(resolved("/a/b"), "/a/b");
        assert_eq!(resolved("a/b"), "/a/b");
        assert_eq!(resolved("//a/./b//"), "/a/b");
        assert_eq!(resolved("system.slice:docker:x"), "/system.slice:docker:x");
        assert_eq!(resolve(Some("a"), "c", Some("/u")).unwrap(), "/u/a");
        assert_eq!(resolve(Some("/a"), "c", Some("/u")).unwrap(), "/a");
        assert_eq!(resolved("/..a/b.."), "/..a/b..");
    }

    #[test]
    fn the_root_and_what_is_above_it_are_refused() {
        for wish in ["/", ".", "//", "./", "/..", "..", "/a/../b", "a/.."] {
            let error = resolve(Some(wish), "c1", None).unwrap_err();
            assert_eq!(error.path.as_str(), "linux.cgroupsPath", "{wish}");
        }
        assert!(resolve(Some("/a\0b"), "c1", None).is_err());
        assert!(resolve(Some("/a\nb"), "c1", None).is_err());
        assert!(resolve(Some(&"n".repeat(256)), "c1", None).is_err());
        let error = resolve(Some("/../x"), "c1", None).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"linux.cgroupsPath: expected a path without "..", found "/../x""#
        );
    }
}
