//! Files of the host: named by an absolute path the operator controls, or by
//! one name in a directory that is already open.
//!
//! Paths inside a root an image controls belong to [`crate::beneath`].

mod content;
mod directory;
mod open;
mod stat;

pub use content::{
    append_or_create, create_file_at, read, read_file, read_file_at, read_to_end,
    read_whole_file_at, replace_file, replace_file_at, reread, write_all, write_once, write_some,
    write_value, write_value_at,
};
pub(crate) use directory::read_entries;
pub use directory::{
    make_directories, make_directory, make_directory_at, make_fifo_at, make_symlink_at,
    read_directory, remove_directory, remove_directory_at, remove_file, remove_file_at,
    remove_tree_at, rename_at,
};
pub use open::{
    lock_exclusive, lock_shared, open_at, open_directory, open_directory_at,
    open_directory_no_follow, open_path, open_path_at, open_path_no_follow, open_read,
    open_read_at, open_read_waiting, open_read_write, open_write, read_link, read_link_at,
    reopen_directory, resolve, unlock,
};
pub use rustix::fs::OFlags;
pub(crate) use stat::statx_at;
pub use stat::{
    FileKind, Stat, access_execute, change_mode, change_owner, filesystem_magic,
    filesystem_magic_at, mount_id, set_label, stat, stat_at, stat_path,
};

/// `PROC_SUPER_MAGIC`, statfs(2).
pub const PROC_MAGIC: i64 = 0x9fa0;
/// `SYSFS_MAGIC`, statfs(2).
pub const SYSFS_MAGIC: i64 = 0x6265_6572;
/// `CGROUP2_SUPER_MAGIC`, statfs(2).
pub const CGROUP2_MAGIC: i64 = 0x6367_7270;
/// `CGROUP_SUPER_MAGIC`, statfs(2).
pub const CGROUP_MAGIC: i64 = 0x0027_e0eb;
/// `TMPFS_MAGIC`, statfs(2).
pub const TMPFS_MAGIC: i64 = 0x0102_1994;
/// `RDTGROUP_SUPER_MAGIC`, linux/magic.h.
pub const RESCTRL_MAGIC: i64 = 0x0765_5821;
/// `DEVPTS_SUPER_MAGIC`, statfs(2).
pub const DEVPTS_MAGIC: i64 = 0x1cd1;

/// `O_PATH|O_NOFOLLOW`, for the text of an error. `O_CLOEXEC` is left out: all
/// descriptors of this crate have it.
pub(crate) fn flags_text(flags: OFlags) -> String {
    let mut text = match flags & OFlags::ACCMODE {
        OFlags::WRONLY => "O_WRONLY".to_owned(),
        OFlags::RDWR => "O_RDWR".to_owned(),
        _ if flags.contains(OFlags::PATH) => "O_PATH".to_owned(),
        _ => "O_RDONLY".to_owned(),
    };
    for (flag, name) in [
        (OFlags::APPEND, "|O_APPEND"),
        (OFlags::CREATE, "|O_CREAT"),
        (OFlags::EXCL, "|O_EXCL"),
        (OFlags::TRUNC, "|O_TRUNC"),
        (OFlags::DIRECTORY, "|O_DIRECTORY"),
        (OFlags::NOFOLLOW, "|O_NOFOLLOW"),
        (OFlags::NONBLOCK, "|O_NONBLOCK"),
        (OFlags::NOCTTY, "|O_NOCTTY"),
    ] {
        if flags.contains(flag) {
            text.push_str(name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_read_like_strace() {
        assert_eq!(
            flags_text(OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC),
            "O_PATH|O_NOFOLLOW"
        );
        assert_eq!(
            flags_text(OFlags::WRONLY | OFlags::CREATE),
            "O_WRONLY|O_CREAT"
        );
        assert_eq!(flags_text(OFlags::empty()), "O_RDONLY");
    }
}
