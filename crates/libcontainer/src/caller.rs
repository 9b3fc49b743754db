//! Who calls: root, or somebody whose containers are their own business.

use kernel::identity;

/// Where the state of containers lies when `--root` does not say.
///
/// Root's lies in `/run/corten`. Others, and a "root" that is one only inside a
/// user namespace, have a runtime directory of their own; an empty name of it is
/// none (engines set it so).
pub fn default_root(runtime_directory: Option<&str>, user: Option<&str>) -> String {
    match runtime_directory {
        Some(directory) if !directory.is_empty() && is_rootless(user) => {
            format!("{}/corten", directory.trim_end_matches('/'))
        }
        _ => "/run/corten".to_owned(),
    }
}

/// `user` is `$USER`: who became root by `unshare -Ur` kept their own name, who
/// is root of a whole machine inside a user namespace is called so.
fn is_rootless(user: Option<&str>) -> bool {
    identity::effective_uid() != 0 || (user != Some("root") && in_user_namespace())
}

/// Only the first user namespace maps all ids to themselves.
pub(crate) fn in_user_namespace() -> bool {
    match kernel::fs::read_file("/proc/self/uid_map", 4096) {
        Ok(map) => String::from_utf8_lossy(&map)
            .split_whitespace()
            .ne(["0", "0", "4294967295"]),
        Err(_) => false,
    }
}

/// Whether setgroups(2) is off for good where we are, user_namespaces(7).
pub(crate) fn setgroups_denied() -> bool {
    kernel::fs::read_file("/proc/self/setgroups", 16).is_ok_and(|text| text.starts_with(b"deny"))
}

#[cfg(test)]
mod tests {
    use super::default_root;

    #[test]
    fn an_empty_runtime_directory_is_none() {
        assert_eq!(default_root(Some(""), None), "/run/corten");
        assert_eq!(default_root(None, None), "/run/corten");
    }

    #[test]
    fn root_keeps_its_own_place_whatever_the_environment_says() {
        if kernel::identity::effective_uid() == 0 {
            assert_eq!(
                default_root(Some("/run/user/0"), Some("root")),
                "/run/corten"
            );
        } else {
            assert_eq!(default_root(Some("/x/"), None), "/x/corten");
        }
    }
}
