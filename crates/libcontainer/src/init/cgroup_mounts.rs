//! `type: cgroup`.
//!
//! A new cgroup file system is mounted only from a cgroup namespace of the
//! container's own. From the first namespace that would take the kernel's
//! threadgroup lock for writing, 4 to 11 ms on an idle host, and would show the
//! host's whole tree; there the container's own directories are bound instead.

use std::os::fd::{AsFd, OwnedFd};

use defence::Defence;
use kernel::mount::{self, FsContext};
use kernel::procfs::Procfs;
use plan::{AttrFlags, CgroupMode, MountOp};

use super::attributes::attributes_of;
use super::filesystem::new_tmpfs;
use super::{Build, StepResult};

/// Where hosts mount their hierarchies, or the one of v2.
const MOUNTS: &str = "/sys/fs/cgroup";
/// A line for each hierarchy, each as long as a path may be.
const LIMIT_BYTES: usize = 1 << 20;

impl Build<'_> {
    pub(super) fn mount_cgroup_v2(&mut self, op: &MountOp, own_namespace: bool) -> StepResult {
        let target = self.directory_target(op)?;
        let tree = if own_namespace {
            new_hierarchy("", 0)?
        } else {
            let mount = match self.plan.cgroup.mode {
                CgroupMode::V2 => MOUNTS.to_owned(),
                _ => format!("{MOUNTS}/unified"),
            };
            self.own_cgroup("", &mount)?
        };
        self.place(op, &tree, &target)
    }

    /// A tmpfs with a directory for each hierarchy, and links for co-mounted
    /// controllers, as on the host.
    pub(super) fn mount_cgroup_v1(
        &mut self,
        op: &MountOp,
        own_namespace: bool,
        hierarchies: &[(String, String)],
        aliases: &[(String, String)],
    ) -> StepResult {
        let target = self.directory_target(op)?;
        let tmpfs = new_tmpfs(&[("source", "tmpfs"), ("mode", "755")])?;
        let mut outer = op.clone();
        // Its directories and links are made first.
        outer.attributes.set.remove(AttrFlags::READ_ONLY);
        self.place(&outer, &tmpfs, &target)?;
        for (name, options) in hierarchies {
            let attributes = attributes_of(&op.attributes);
            let tree = if own_namespace {
                new_hierarchy(options, attributes.set)?
            } else {
                let tree = self.own_cgroup(options, &format!("{MOUNTS}/{name}"))?;
                mount::set_attributes(tree.as_fd(), false, &attributes)?;
                tree
            };
            kernel::fs::make_directory_at(tmpfs.as_fd(), name, 0o755)?;
            mount::move_mount_to(tree.as_fd(), tmpfs.as_fd(), name)?;
        }
        for (alias, directory) in aliases {
            kernel::fs::make_symlink_at(tmpfs.as_fd(), alias, directory)?;
        }
        if op.attributes.set.contains(AttrFlags::READ_ONLY) {
            let attributes = attributes_of(&op.attributes);
            mount::set_attributes(tmpfs.as_fd(), false, &attributes)?;
        }
        Ok(())
    }

    /// A bind of the container's own directory in a hierarchy of the host, which is
    /// mounted on `mount`. A container without one stays in its caller's.
    fn own_cgroup(&self, options: &str, mount: &str) -> kernel::Result<OwnedFd> {
        if Defence::OwnCgroupOnly.is_off() {
            return mount::open_tree(mount, true, false, true);
        }
        let cgroup = &self.plan.cgroup;
        let mut directories = cgroup.directories.iter();
        let path = match directories.find(|directory| is_hierarchy(directory, options)) {
            Some(directory) => format!("{}{}", directory.mount, cgroup.path),
            None => format!("{mount}{}", current_cgroup(options)?),
        };
        mount::open_tree(&path, true, false, true)
    }
}

/// The cgroup this process is in, as proc_pid_cgroup(5) tells: `number:options:path`.
fn current_cgroup(options: &str) -> kernel::Result<String> {
    let text = Procfs::host()?.read("self/cgroup", LIMIT_BYTES)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let named = |line: &str| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let mut own = controllers.split(',');
        let first = options.split(',').next().unwrap_or_default();
        own.any(|controller| controller == first)
            .then(|| path.to_owned())
    };
    text.lines().find_map(named).ok_or_else(|| {
        let missing = kernel::Error::new(kernel::Errno::NOENT, "read(/proc/self/cgroup)");
        missing.with_detail(format!("no line for the hierarchy {options:?}"))
    })
}

/// `cpu,cpuacct`, `name=systemd`, or nothing for the v2 hierarchy beside v1 ones.
fn new_hierarchy(options: &str, attributes: u64) -> kernel::Result<OwnedFd> {
    let v2 = options.is_empty();
    let fstype = if v2 { "cgroup2" } else { "cgroup" };
    let context = FsContext::open(fstype)?;
    context.set_string("source", fstype)?;
    if !v2 {
        for option in options.split(',') {
            match option.split_once('=') {
                Some((key, value)) => context.set_string(key, value)?,
                None => context.set_flag(option)?,
            }
        }
        if options.starts_with("name=") {
            context.set_flag("none")?;
        }
    }
    context.create()?;
    context.mount(attributes)
}

fn is_hierarchy(directory: &plan::cgroup::CgroupDirectory, options: &str) -> bool {
    if options.is_empty() {
        return directory.v2;
    }
    let first = options.split(',').next().unwrap_or_default();
    directory.controllers.iter().any(|c| c == first)
}
