//! What `corten spec` writes: the configuration that people and tools know how
//! to edit, in the places where they look for things.

mod compose;
mod tidy;

pub use compose::{Wishes, compose};

/// A `config.json` for a caller with privileges.
const DEFAULT: &str = include_str!("template/default.json");
/// One for a caller without: its own ids become root of a user namespace, and the
/// host's network and `/sys` are shared, which it could not make anew.
const ROOTLESS: &str = include_str!("template/rootless.json");

/// A `config.json`, indented with tabs, with a newline at the end. With `own`
/// (effective uid and gid of the caller) one that an unprivileged user can run.
pub fn template(own: Option<(u32, u32)>) -> String {
    match own {
        None => DEFAULT.to_owned(),
        Some((uid, gid)) => ROOTLESS
            .replace("HOST_UID", &uid.to_string())
            .replace("HOST_GID", &gid.to_string()),
    }
}
