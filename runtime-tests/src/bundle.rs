//! Bundles: a root with busybox and the probe, and a config that tests edit.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::mutation;

/// The part of busybox that tests call; each is a hard link, because masked
/// paths and `/proc/self/exe` see through symbolic links.
const APPLETS: &[&str] = &[
    "cat", "chmod", "chown", "cp", "dd", "df", "echo", "env", "false", "free", "grep", "head",
    "hostname", "id", "ifconfig", "ionice", "ip", "kill", "ln", "ls", "mkdir", "mknod", "mount",
    "mv", "nproc", "ps", "pwd", "readlink", "rm", "rmdir", "seq", "sh", "sleep", "stat", "stty",
    "test", "touch", "true", "tty", "umount", "uname", "wc",
];

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    daemon:x:1:1:daemon:/sbin:/bin/false\n\
    user:x:1000:1000:user:/home/user:/bin/sh\n";

const GROUP: &str = "root:x:0:\ndaemon:x:1:\nuser:x:1000:\n";

/// A `config.json` that can be edited by JSON pointer.
#[derive(Debug, Clone)]
pub struct Config(pub Value);

impl Config {
    /// A small config that every runtime accepts: all namespaces but user and
    /// time, the usual mounts, three capabilities, the given cgroup.
    pub fn new(cgroups_path: &str) -> Self {
        let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
        Self(json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": {"uid": 0, "gid": 0},
                "args": ["/bin/probe", "facts"],
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "cwd": "/",
                "capabilities": {
                    "bounding": capabilities, "effective": capabilities, "permitted": capabilities
                },
                "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
                "noNewPrivileges": true
            },
            "root": {"path": "rootfs"},
            "hostname": "tested",
            "mounts": default_mounts(),
            "linux": {
                "cgroupsPath": cgroups_path,
                "namespaces": [
                    {"type": "pid"}, {"type": "network"}, {"type": "ipc"},
                    {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}
                ],
                "resources": {"devices": [{"allow": false, "access": "rwm"}]},
                "maskedPaths": [
                    "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                    "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
                ],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
            }
        }))
    }

    /// Sets the value at a JSON pointer, making objects on the way.
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        let mut at = &mut self.0;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            if let (Ok(index), true) = (part.parse::<usize>(), at.is_array()) {
                at = &mut at[index];
            } else {
                at = &mut at[part];
            }
        }
        *at = value;
        self
    }

    /// Appends to the array at a JSON pointer, making it when it is absent.
    pub fn push(&mut self, pointer: &str, value: Value) -> &mut Self {
        let mut list = self
            .0
            .pointer(pointer)
            .cloned()
            .unwrap_or_else(|| json!([]));
        list.as_array_mut().expect("an array").push(value);
        self.set(pointer, list)
    }

    /// Removes a member of an object.
    pub fn remove(&mut self, parent: &str, member: &str) -> &mut Self {
        if let Some(object) = self.0.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.remove(member);
        }
        self
    }

    /// The program and its arguments.
    pub fn args<S: AsRef<str>>(&mut self, args: &[S]) -> &mut Self {
        let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        self.set("/process/args", json!(args))
    }

    /// Runs a line of shell.
    pub fn shell(&mut self, line: &str) -> &mut Self {
        self.args(&["/bin/sh", "-c", line])
    }

    /// Appends a mount.
    pub fn mount(&mut self, target: &str, kind: &str, source: &str, options: &[&str]) -> &mut Self {
        self.push(
            "/mounts",
            json!({"destination": target, "type": kind, "source": source, "options": options}),
        )
    }

    /// Appends a bind mount.
    pub fn bind(&mut self, source: &Path, target: &str, options: &[&str]) -> &mut Self {
        self.mount(target, "bind", &source.to_string_lossy(), options)
    }

    /// Appends a hook.
    pub fn hook(&mut self, kind: &str, line: &str) -> &mut Self {
        self.push(
            &format!("/hooks/{kind}"),
            json!({"path": "/bin/sh", "args": ["sh", "-c", line], "env": ["PATH=/usr/bin:/bin"]}),
        )
    }

    /// Takes a namespace away: the container shares the runtime's.
    pub fn without_namespace(&mut self, kind: &str) -> &mut Self {
        self.namespaces().retain(|one| one["type"] != kind);
        self
    }

    /// Joins the namespace at `path` in place of a new one.
    pub fn join_namespace(&mut self, kind: &str, path: &str) -> &mut Self {
        self.without_namespace(kind);
        self.namespaces().push(json!({"type": kind, "path": path}));
        self
    }

    fn namespaces(&mut self) -> &mut Vec<Value> {
        let list = self
            .0
            .pointer_mut("/linux/namespaces")
            .and_then(Value::as_array_mut);
        list.expect("linux.namespaces")
    }

    /// A user namespace that maps container root to `first`, with 65536 ids.
    pub fn user_namespace(&mut self, first: u32) -> &mut Self {
        let map = json!([{"containerID": 0, "hostID": first, "size": 65536}]);
        self.namespaces().push(json!({"type": "user"}));
        self.set("/linux/uidMappings", map.clone());
        self.set("/linux/gidMappings", map)
    }
}

fn default_mounts() -> Value {
    json!([
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
            "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
    ])
}

/// A bundle directory.
#[derive(Debug)]
pub struct Bundle {
    /// The directory that holds `config.json` and `rootfs`.
    pub path: PathBuf,
    /// What [`Bundle::write`] writes.
    pub config: Config,
    /// The config as the test was given it.
    default: Value,
}

impl Bundle {
    /// Makes the directory with a fresh busybox root; nothing is written yet.
    pub(crate) fn make(path: &Path, store: &Path, cgroups_path: &str) -> Self {
        let config = Config::new(cgroups_path);
        let bundle = Self {
            path: path.to_owned(),
            default: config.0.clone(),
            config,
        };
        let root = bundle.rootfs();
        for directory in [
            "bin",
            "dev",
            "etc",
            "home/user",
            "mnt",
            "proc",
            "root",
            "run",
            "sys",
            "tmp",
            "var",
        ] {
            fs::create_dir_all(root.join(directory)).expect("root directory");
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("chmod");
        fs::write(root.join("etc/passwd"), PASSWD).expect("passwd");
        fs::write(root.join("etc/group"), GROUP).expect("group");
        fs::hard_link(store.join("probe"), root.join("bin/probe")).expect("link the probe");
        for applet in APPLETS {
            fs::hard_link(store.join("busybox"), root.join("bin").join(applet))
                .expect("link busybox");
        }
        fs::write(root.join("etc/marker"), "of the root\n").expect("marker");
        symlink("marker", root.join("etc/link")).expect("symlink");
        bundle
    }

    /// The container's root on the host.
    pub fn rootfs(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// Writes `config.json`.
    pub fn write(&self) -> &Self {
        mutation::record_config(&self.default, &self.config.0);
        let config = mutation::apply(&self.default, &self.config.0);
        self.write_raw(config.to_string().as_bytes())
    }

    /// Writes any bytes as `config.json`.
    pub fn write_raw(&self, bytes: &[u8]) -> &Self {
        fs::write(self.path.join("config.json"), bytes).expect("config.json");
        self
    }

    /// Gives the root's directories to `id`. Files stay root's: they are links
    /// shared with other tests, and readable by all.
    pub fn give_directories_to(&self, id: u32) {
        fn walk(path: &Path, id: u32) {
            chown(path, Some(id), Some(id)).expect("chown");
            for entry in fs::read_dir(path).expect("read").flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    walk(&entry.path(), id);
                }
            }
        }
        walk(&self.rootfs(), id);
    }
}

/// Puts the busybox and the probe that all roots link to into `store`.
pub(crate) fn fill_store(store: &Path, probe: &str) {
    fs::create_dir_all(store).expect("store");
    let busybox = [
        "/bin/busybox",
        "/usr/bin/busybox",
        "/usr/lib/busybox/busybox",
    ];
    let busybox = busybox.iter().find(|path| Path::new(path).exists());
    fs::copy(
        busybox.expect("busybox-static is installed"),
        store.join("busybox"),
    )
    .expect("copy busybox");
    fs::copy(probe, store.join("probe")).expect("copy the probe");
}
