//! Which cgroup tree a test sees at `/sys/fs/cgroup`.

use std::fs;
use std::process::Command;

/// A way of looking at one machine's cgroups. Each but `Host` is made in a
/// private mount namespace, so the host never notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The machine as it is.
    Host,
    /// The v1 hierarchies without the unified one beside them.
    V1,
    /// One cgroup2 mount and nothing else.
    V2,
}

/// What keeps the tests of daemons apart from each other and from the host,
/// beside the view: a network namespace, and places that look empty.
#[derive(Debug, Clone, Copy)]
pub struct Isolation {
    /// Directories that are an empty tmpfs of the same mode for the test, where they exist.
    pub empty_directories: &'static [&'static str],
    /// Directories below those that stay as they are in the view `host`, where they exist.
    pub kept_directories: &'static [&'static str],
}

impl Isolation {
    /// Lines of shell that carry it out.
    fn script(&self, view: View) -> String {
        // A standard stream may be given to the container's user: not the host's null.
        let mut script = "ip link set lo up; mount -t tmpfs -o mode=700 tmpfs /mnt; \
            mknod -m 666 /mnt/null c 1 3; mount --bind /mnt/null /dev/null; "
            .to_owned();
        let kept: &[&str] = match view {
            View::Host => self.kept_directories,
            View::V1 | View::V2 => &[],
        };
        for directory in kept {
            script += &format!(
                "if test -d {directory}; then mkdir -p /mnt{directory}; \
                 mount --rbind {directory} /mnt{directory}; fi; "
            );
        }
        for directory in self.empty_directories {
            script += &format!(
                "if test -d {directory}; then mount -t tmpfs -o mode=$(stat -c %a {directory}) tmpfs {directory}; fi; "
            );
        }
        for directory in kept {
            script += &format!(
                "if test -d /mnt{directory}; then mkdir -p {directory}; \
                 mount --move /mnt{directory} {directory}; fi; "
            );
        }
        script + "umount -l /mnt; "
    }
}

impl View {
    /// The view of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "host" => Some(Self::Host),
            "v1" => Some(Self::V1),
            "v2" => Some(Self::V2),
            _ => None,
        }
    }

    /// The name used in `VIEW` and in front of every test's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }

    /// The views `VIEW` asks for. On a unified host `v2` would only repeat `host`.
    pub fn wanted() -> Vec<Self> {
        match std::env::var("VIEW") {
            Ok(names) => names
                .split(',')
                .map(|name| {
                    Self::parse(name).unwrap_or_else(|| panic!("VIEW={name}: host, v1 or v2"))
                })
                .collect(),
            Err(_) if host_is_unified() => vec![Self::Host],
            Err(_) => vec![Self::Host, Self::V2],
        }
    }

    /// The views `VIEW` asks for, or `default` when it asks for none.
    pub fn wanted_or(default: &[Self]) -> Vec<Self> {
        match std::env::var_os("VIEW") {
            Some(_) => Self::wanted(),
            None => default.to_vec(),
        }
    }

    /// A command that runs `program` inside the view.
    pub fn command(self, program: &str) -> Command {
        self.isolated_command(program, None)
    }

    /// The same, with more of the machine hidden from `program`.
    pub(crate) fn isolated_command(self, program: &str, isolation: Option<&Isolation>) -> Command {
        let mut script = match self {
            Self::Host => String::new(),
            Self::V1 => "umount /sys/fs/cgroup/unified; ".to_owned(),
            Self::V2 => {
                "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; ".to_owned()
            }
        };
        if script.is_empty() && isolation.is_none() {
            return Command::new(program);
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if let Some(isolation) = isolation {
            command.arg("--net");
            script += &isolation.script(self);
        }
        command.args(["sh", "-ec"]);
        command.arg(format!("{script}exec \"$@\""));
        command.args(["sh", program]);
        command
    }

    /// Whether the container will find cgroup2 alone.
    pub fn is_unified(self) -> bool {
        self == Self::V2 || (self == Self::Host && host_is_unified())
    }
}

fn host_is_unified() -> bool {
    fs::metadata("/sys/fs/cgroup/cgroup.controllers").is_ok()
}
