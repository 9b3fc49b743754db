//! What CRIU is told: its command line, as data. `libcontainer::checkpoint` runs it.
//!
//! CRIU is a program of the host and is called as one: its options have been stable for
//! longer than the numbers of its protocol, and no library has to be linked.
//!
//! A checkpoint holds what is inside. What comes from outside has a name in it, which is
//! given the host's thing of today when the container is restored: bind mounts by their
//! place in the container, namespaces that were joined, the standard streams.

use crate::spec::{self, path_text};
use crate::{ConfigPath, Errors, PlanError};

/// Options of `checkpoint` and `restore`, named as runc and crun name them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CriuOptions {
    /// Where the checkpoint is, absolute.
    pub image_path: String,
    /// Where CRIU writes its log, absolute.
    pub work_path: String,
    /// The checkpoint before this one, relative to `image_path`.
    pub parent_path: Option<String>,
    /// `--leave-running`
    pub leave_running: bool,
    /// `--pre-dump`
    pub pre_dump: bool,
    /// `--tcp-established`
    pub tcp_established: bool,
    /// `--tcp-skip-in-flight`
    pub tcp_skip_in_flight: bool,
    /// `--tcp-close`
    pub tcp_close: bool,
    /// `--ext-unix-sk`
    pub ext_unix_sk: bool,
    /// `--shell-job`
    pub shell_job: bool,
    /// `--file-locks`
    pub file_locks: bool,
    /// `--link-remap`
    pub link_remap: bool,
    /// `--lazy-pages`
    pub lazy_pages: bool,
    /// `--auto-dedup`
    pub auto_dedup: bool,
    /// `--page-server`, as `ADDRESS:PORT`.
    pub page_server: Option<String>,
    /// `--status-fd`: a descriptor of ours that CRIU gets.
    pub status_fd: Option<i32>,
    /// `--manage-cgroups-mode`
    pub cgroups_mode: Option<String>,
    /// `--empty-ns`
    pub empty_namespaces: Vec<String>,
    /// `--network-lock`
    pub network_lock: Option<String>,
    /// `--lsm-profile`
    pub lsm_profile: Option<String>,
    /// `--lsm-mount-context`
    pub lsm_mount_context: Option<String>,
}

/// What of a configuration is outside of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Externals {
    /// Place in the container and source on the host of each bind mount.
    pub mounts: Vec<(String, String)>,
    /// CRIU's word, its label, and the path of each namespace that was joined.
    pub namespaces: Vec<(&'static str, &'static str, String)>,
    /// Annotation `org.criu.config`: a file, or nothing for none.
    pub config: Option<String>,
    /// `process.terminal`
    pub has_terminal: bool,
}

/// The annotation that names CRIU's configuration file.
pub(crate) const CONFIG_ANNOTATION: &str = "org.criu.config";

/// Reads a configuration.
///
/// # Errors
/// When it cannot be read.
pub fn externals(config: &[u8], bundle: &str) -> Result<Externals, Errors> {
    let spec = spec::load(config)?;
    let spec = spec.decoded();
    let linux = spec.linux().as_ref();
    let mut externals = Externals {
        has_terminal: spec.process().as_ref().and_then(|p| p.terminal()) == Some(true),
        ..Externals::default()
    };
    for mount in spec.mounts().iter().flatten() {
        let is_bind = |option: &String| option == "bind" || option == "rbind";
        let by_option = mount.options().iter().flatten().any(is_bind);
        if !by_option && mount.typ().as_deref() != Some("bind") {
            continue;
        }
        let source = mount.source().as_ref().map_or("", |path| path_text(path));
        let source = match source.starts_with('/') {
            true => source.to_owned(),
            false => format!("{bundle}/{source}"),
        };
        let place = format!("/{}", path_text(mount.destination()).trim_matches('/'));
        externals.mounts.push((place, source));
    }
    let namespaces = linux.and_then(|linux| linux.namespaces().as_ref());
    for namespace in namespaces.into_iter().flatten() {
        use oci_spec::runtime::LinuxNamespaceType as Kind;
        let (word, label) = match namespace.typ() {
            Kind::Network => ("net", "extRootNetNS"),
            Kind::Pid => ("pid", "extRootPidNS"),
            _ => continue,
        };
        if let Some(path) = namespace.path() {
            let path = path_text(path).to_owned();
            externals.namespaces.push((word, label, path));
        }
    }
    let annotations = spec.annotations().as_ref();
    externals.config = annotations
        .and_then(|all| all.get(CONFIG_ANNOTATION))
        .cloned();
    Ok(externals)
}

/// What CRIU knows a configuration file of a resource by, and which it is.
pub fn configuration_file(externals: &Externals, default: Option<&str>) -> Option<String> {
    match externals.config.as_deref() {
        Some("") => None,
        Some(path) => Some(path.to_owned()),
        None => default.map(str::to_owned),
    }
}

/// One running container, to be written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dump {
    /// Of init.
    pub pid: i32,
    /// Its cgroup directory whose freezer CRIU may use.
    pub freezer: Option<String>,
    /// `net[4026531840]:extRootNetNS`, `file[1f:5]`.
    pub resources: Vec<String>,
    /// `--config`
    pub config: Option<String>,
}

/// The command line of a dump, without the program.
pub fn dump_arguments(options: &CriuOptions, externals: &Externals, dump: &Dump) -> Vec<String> {
    let verb = if options.pre_dump { "pre-dump" } else { "dump" };
    let mut line = Line::new(verb, options, "dump.log", dump.config.as_deref());
    line.option("--tree", dump.pid);
    if let Some(freezer) = &dump.freezer {
        line.option("--freeze-cgroup", freezer);
    }
    line.flag(
        "--leave-running",
        options.leave_running && !options.pre_dump,
    );
    line.flag(
        "--track-mem",
        options.pre_dump || options.parent_path.is_some(),
    );
    line.flag("--skip-in-flight", options.tcp_skip_in_flight);
    line.flag("--link-remap", options.link_remap);
    if let Some(method) = &options.network_lock {
        line.option("--network-lock", method);
    }
    if let Some(server) = &options.page_server
        && let Some((address, port)) = server.rsplit_once(':')
    {
        line.flag("--page-server", true);
        line.option("--address", address);
        line.option("--port", port);
    }
    if let Some(number) = options.status_fd {
        line.option("--status-fd", number);
    }
    for (place, _) in &externals.mounts {
        line.option("--external", format!("mnt[{place}]:{place}"));
    }
    for resource in &dump.resources {
        line.option("--external", resource);
    }
    line.words
}

/// One container, to be made of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restore {
    /// Its root, which must be a mount point.
    pub root: String,
    /// Where CRIU writes the pid of init.
    pub pid_file: String,
    /// `/path` for v2, `CONTROLLER:/path` for v1.
    pub cgroup_roots: Vec<String>,
    /// Descriptor and name: `5`, `pipe:[1234]`.
    pub descriptors: Vec<(i32, String)>,
    /// `--config`
    pub config: Option<String>,
}

/// The command line of a restore, without the program. Init becomes a child of CRIU's
/// parent.
pub fn restore_arguments(
    options: &CriuOptions,
    externals: &Externals,
    restore: &Restore,
) -> Vec<String> {
    let mut line = Line::new("restore", options, "restore.log", restore.config.as_deref());
    line.option("--root", &restore.root);
    line.flag("--restore-detached", true);
    line.flag("--restore-sibling", true);
    line.option("--pidfile", &restore.pid_file);
    line.flag("--tcp-close", options.tcp_close);
    for root in &restore.cgroup_roots {
        line.option("--cgroup-root", root);
    }
    for (place, source) in &externals.mounts {
        line.option("--external", format!("mnt[{place}]:{source}"));
    }
    for (number, name) in &restore.descriptors {
        line.option("--inherit-fd", format!("fd[{number}]:{name}"));
    }
    if let Some(profile) = &options.lsm_profile {
        line.option("--lsm-profile", profile);
    }
    if let Some(context) = &options.lsm_mount_context {
        line.option("--lsm-mount-context", context);
    }
    line.words
}

/// A command line while it grows.
struct Line {
    words: Vec<String>,
}

impl Line {
    /// What both directions have.
    fn new(verb: &str, options: &CriuOptions, log: &str, config: Option<&str>) -> Self {
        let mut line = Self {
            words: vec![verb.to_owned()],
        };
        line.option("--images-dir", &options.image_path);
        line.option("--work-dir", &options.work_path);
        line.option("--log-file", log);
        line.flag("-v4", true);
        if let Some(config) = config {
            line.option("--config", config);
        }
        if let Some(parent) = &options.parent_path {
            line.option("--prev-images-dir", parent);
        }
        let mode = options.cgroups_mode.as_deref().unwrap_or("soft");
        line.flag(&format!("--manage-cgroups={mode}"), true);
        line.flag("--tcp-established", options.tcp_established);
        line.flag("--ext-unix-sk", options.ext_unix_sk);
        line.flag("--shell-job", options.shell_job);
        line.flag("--file-locks", options.file_locks);
        line.flag("--lazy-pages", options.lazy_pages);
        line.flag("--auto-dedup", options.auto_dedup);
        for kind in &options.empty_namespaces {
            // CRIU's word is shorter than the specification's.
            let kind = if kind == "network" { "net" } else { kind };
            line.option("--empty-ns", kind);
        }
        line
    }

    fn option(&mut self, name: &str, value: impl ToString) {
        self.words.push(name.to_owned());
        self.words.push(value.to_string());
    }

    fn flag(&mut self, name: &str, given: bool) {
        if given {
            self.words.push(name.to_owned());
        }
    }
}

/// Checks what a command line alone can tell.
///
/// # Errors
/// The option that cannot be meant.
pub fn check(options: &CriuOptions) -> Result<(), PlanError> {
    let one_of = |flag: &'static str, value: &Option<String>, words: &[&str]| match value {
        Some(value) if !words.contains(&value.as_str()) => {
            let wanted = format!("one of {}", words.join(", "));
            Err(PlanError::invalid(ConfigPath::flag(flag), wanted, value))
        }
        _ => Ok(()),
    };
    let modes = ["soft", "full", "strict", "ignore"];
    one_of("--manage-cgroups-mode", &options.cgroups_mode, &modes)?;
    let locks = ["iptables", "nftables", "skip"];
    one_of("--network-lock", &options.network_lock, &locks)?;
    for kind in &options.empty_namespaces {
        one_of("--empty-ns", &Some(kind.clone()), &["network"])?;
    }
    if let Some(parent) = options
        .parent_path
        .as_deref()
        .filter(|p| p.starts_with('/'))
    {
        let at = ConfigPath::flag("--parent-path");
        let wanted = "a path relative to --image-path";
        return Err(PlanError::invalid(at, wanted, parent));
    }
    let port = |server: &String| server.rsplit_once(':')?.1.parse::<u16>().ok();
    if let Some(server) = &options.page_server
        && port(server).is_none()
    {
        let at = ConfigPath::flag("--page-server");
        return Err(PlanError::invalid(at, "ADDRESS:PORT", server));
    }
    Ok(())
}

/// The names of the standard streams in a checkpoint, as `descriptors.json` holds them.
///
/// # Errors
/// The text is not a list of texts.
pub fn descriptors(bytes: &[u8]) -> Result<Vec<String>, PlanError> {
    serde_json::from_slice(bytes).map_err(|_| {
        let at = ConfigPath::new("descriptors.json");
        PlanError::invalid(at, "a list of names", format!("{} bytes", bytes.len()))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn options() -> CriuOptions {
        CriuOptions {
            image_path: "/i".to_owned(),
            work_path: "/w".to_owned(),
            ..CriuOptions::default()
        }
    }

    fn read(json: Value) -> Externals {
        externals(json.to_string().as_bytes(), "/b").unwrap()
    }

    fn config() -> Value {
        serde_json::json!({
            "ociVersion": "1.0.2",
            "root": {"path": "rootfs"},
            "process": {"terminal": true, "cwd": "/", "user": {"uid": 0, "gid": 0}},
            "annotations": {"org.criu.config": "/etc/x.conf"},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/data/", "type": "none", "source": "vol", "options": ["rbind"]},
                {"destination": "/etc/hosts", "type": "bind", "source": "/h"},
            ],
            "linux": {"namespaces": [
                {"type": "network", "path": "/n"}, {"type": "pid"}, {"type": "ipc", "path": "/p"},
            ]},
        })
    }

    #[test]
    fn what_is_outside_has_a_name() {
        let externals = read(config());
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let mounts = [pair("/data", "/b/vol"), pair("/etc/hosts", "/h")];
        assert_eq!(externals.mounts, mounts);
        let namespaces = [("net", "extRootNetNS", "/n".to_owned())];
        assert_eq!(externals.namespaces, namespaces);
        assert!(externals.has_terminal);
        assert_eq!(
            configuration_file(&externals, Some("/d")).unwrap(),
            "/etc/x.conf"
        );
        let none = Externals::default();
        assert_eq!(configuration_file(&none, Some("/d")).unwrap(), "/d");
    }

    #[test]
    fn command_lines() {
        let externals = read(config());
        let mut options = options();
        options.tcp_established = true;
        options.empty_namespaces = vec!["network".to_owned()];
        let dump = Dump {
            pid: 7,
            resources: vec!["net[5]:extRootNetNS".to_owned()],
            ..Dump::default()
        };
        assert_eq!(
            dump_arguments(&options, &externals, &dump).join(" "),
            "dump --images-dir /i --work-dir /w --log-file dump.log -v4 --manage-cgroups=soft \
             --tcp-established --empty-ns net --tree 7 \
             --external mnt[/data]:/data --external mnt[/etc/hosts]:/etc/hosts \
             --external net[5]:extRootNetNS"
        );
        options.empty_namespaces.clear();
        let restore = Restore {
            root: "/r".to_owned(),
            pid_file: "/p".to_owned(),
            cgroup_roots: vec!["/a/b".to_owned()],
            descriptors: vec![(5, "pipe:[9]".to_owned())],
            config: None,
        };
        assert_eq!(
            restore_arguments(&options, &externals, &restore).join(" "),
            "restore --images-dir /i --work-dir /w --log-file restore.log -v4 \
             --manage-cgroups=soft --tcp-established --root /r --restore-detached \
             --restore-sibling --pidfile /p --cgroup-root /a/b \
             --external mnt[/data]:/b/vol --external mnt[/etc/hosts]:/h \
             --inherit-fd fd[5]:pipe:[9]"
        );
    }

    #[test]
    fn options_that_cannot_be_meant() {
        assert!(check(&options()).is_ok());
        let refused = |change: fn(&mut CriuOptions)| {
            let mut options = options();
            change(&mut options);
            check(&options).unwrap_err().path.as_str().to_owned()
        };
        assert_eq!(
            refused(|o| o.parent_path = Some("/x".to_owned())),
            "--parent-path"
        );
        assert_eq!(
            refused(|o| o.page_server = Some("x".to_owned())),
            "--page-server"
        );
        let mode = refused(|o| o.cgroups_mode = Some("x".to_owned()));
        assert_eq!(mode, "--manage-cgroups-mode");
        assert_eq!(
            refused(|o| o.empty_namespaces.push("ipc".to_owned())),
            "--empty-ns"
        );
        assert_eq!(
            refused(|o| o.network_lock = Some("x".to_owned())),
            "--network-lock"
        );
    }

    #[test]
    fn names_of_streams() {
        assert_eq!(descriptors(br#"["a", "b"]"#).unwrap(), ["a", "b"]);
        assert!(descriptors(b"{}").is_err());
        assert!(descriptors(b"[1]").is_err());
    }
}
