//! What CRIU is told, as data. `libcontainer::checkpoint` runs it.
//!
//! CRIU is a program of the host. As a service of its own (`criu swrk`) it does what its
//! command line does, and more: it tells of what it is about to do, for hooks, and gives
//! the master of a restored terminal away. Its protocol ([`rpc`]) is small enough to need
//! no library.
//!
//! A checkpoint holds what is inside. What comes from outside has a name in it, which is
//! given the host's thing of today when the container is restored: bind mounts by their
//! place in the container, namespaces that were joined, the standard streams.

pub mod rpc;

use rpc::{Field, Message, Value};

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
    let mut externals = Externals::default();
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

/// The directories of the images and of the log, as descriptors of the caller's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directories {
    /// Of `image_path`.
    pub images: i32,
    /// Of `work_path`.
    pub work: i32,
}

/// One running container, to be written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dump {
    /// Where to.
    pub directories: Directories,
    /// Of init.
    pub pid: i32,
    /// Its cgroup directory whose freezer CRIU may use.
    pub freezer: Option<String>,
    /// `net[4026531840]:extRootNetNS`, `file[1f:5]`.
    pub resources: Vec<String>,
    /// CRIU's configuration file.
    pub config: Option<String>,
}

/// CRIU's options for a dump.
pub fn dump(options: &CriuOptions, externals: &Externals, dump: &Dump) -> Message {
    let mut message = of_both(options, dump.directories, "dump.log", &dump.config);
    message.number(Field::Pid, dump.pid);
    message.texts(Field::FreezeCgroup, &dump.freezer);
    let lasting = options.leave_running && !options.pre_dump;
    message.flag(Field::LeaveRunning, lasting);
    let tracked = options.pre_dump || options.parent_path.is_some();
    message.flag(Field::TrackMem, tracked);
    message.flag(Field::TcpSkipInFlight, options.tcp_skip_in_flight);
    message.flag(Field::LinkRemap, options.link_remap);
    if let Some(server) = &options.page_server
        && let Some((address, port)) = server.rsplit_once(':')
    {
        let port = port.parse().unwrap_or_default();
        message.pair(
            Field::PageServer,
            [text(address), Some(Value::Number(port))],
        );
    }
    if let Some(number) = options.status_fd {
        message.number(Field::StatusFd, number);
    }
    for (place, _) in &externals.mounts {
        message.texts(Field::External, [format!("mnt[{place}]:{place}")]);
    }
    message.texts(Field::External, &dump.resources);
    message
}

/// One container, to be made of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restore {
    /// Where from.
    pub directories: Directories,
    /// Its root, which must be a mount point.
    pub root: String,
    /// Path and, of v1, controllers.
    pub cgroup_roots: Vec<(String, Option<String>)>,
    /// Descriptor and name: `5`, `pipe:[1234]`.
    pub descriptors: Vec<(i32, String)>,
    /// CRIU's configuration file.
    pub config: Option<String>,
}

/// CRIU's options for a restore. Init becomes a child of CRIU's parent.
pub fn restore(options: &CriuOptions, externals: &Externals, restore: &Restore) -> Message {
    let directories = restore.directories;
    let mut message = of_both(options, directories, "restore.log", &restore.config);
    message.texts(Field::Root, [&restore.root]);
    message.flag(Field::RstSibling, true);
    message.flag(Field::NotifyScripts, true);
    message.flag(Field::TcpClose, options.tcp_close);
    for (path, controllers) in &restore.cgroup_roots {
        let controllers = controllers.as_deref().and_then(text);
        message.pair(Field::CgRoot, [controllers, text(path)]);
    }
    for (place, source) in &externals.mounts {
        message.texts(Field::External, [format!("mnt[{place}]:{source}")]);
    }
    for (number, name) in &restore.descriptors {
        let number = Value::Number(number.cast_unsigned().into());
        message.pair(Field::InheritFd, [text(name), Some(number)]);
    }
    message.texts(Field::LsmProfile, &options.lsm_profile);
    message.texts(Field::LsmMountContext, &options.lsm_mount_context);
    message
}

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

/// What both directions have.
fn of_both(
    options: &CriuOptions,
    directories: Directories,
    log: &str,
    config: &Option<String>,
) -> Message {
    let mut message = Message::default();
    message.number(Field::ImagesDirFd, directories.images);
    message.number(Field::WorkDirFd, directories.work);
    message.texts(Field::LogFile, [log]);
    message.number(Field::LogLevel, 4);
    message.texts(Field::ConfigFile, config);
    message.texts(Field::ParentImg, &options.parent_path);
    let mode = options.cgroups_mode.as_deref().unwrap_or("soft");
    message.number(Field::ManageCgroupsMode, number_of(&CGROUP_MODES, mode));
    if let Some(method) = &options.network_lock {
        message.number(Field::NetworkLock, number_of(&NETWORK_LOCKS, method));
    }
    // The terminal of a container: nobody inside has its master.
    message.flag(Field::OrphanPtsMaster, true);
    message.flag(Field::TcpEstablished, options.tcp_established);
    message.flag(Field::ExtUnixSk, options.ext_unix_sk);
    message.flag(Field::ShellJob, options.shell_job);
    message.flag(Field::FileLocks, options.file_locks);
    message.flag(Field::LazyPages, options.lazy_pages);
    message.flag(Field::AutoDedup, options.auto_dedup);
    if !options.empty_namespaces.is_empty() {
        // The only one that `check` lets through.
        message.number(Field::EmptyNs, NEW_NETWORK);
    }
    message
}

/// `CLONE_NEWNET`
const NEW_NETWORK: i32 = 0x4000_0000;
/// `criu_cg_mode`
const CGROUP_MODES: [(&str, i32); 4] = [("ignore", 0), ("soft", 3), ("full", 4), ("strict", 5)];
/// `criu_network_lock_method`
const NETWORK_LOCKS: [(&str, i32); 3] = [("iptables", 1), ("nftables", 2), ("skip", 3)];

fn number_of(words: &[(&str, i32)], wanted: &str) -> i32 {
    let found = words.iter().find(|(word, _)| *word == wanted);
    found.map_or(0, |(_, number)| *number)
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
    let modes = CGROUP_MODES.map(|(word, _)| word);
    one_of("--manage-cgroups-mode", &options.cgroups_mode, &modes)?;
    let locks = NETWORK_LOCKS.map(|(word, _)| word);
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
            "process": {"cwd": "/", "user": {"uid": 0, "gid": 0}},
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
        assert_eq!(
            configuration_file(&externals, Some("/d")).unwrap(),
            "/etc/x.conf"
        );
        let none = Externals::default();
        assert_eq!(configuration_file(&none, Some("/d")).unwrap(), "/d");
    }

    #[test]
    fn messages() {
        let externals = read(config());
        let mut options = options();
        options.tcp_established = true;
        options.empty_namespaces = vec!["network".to_owned()];
        let directories = Directories { images: 8, work: 9 };
        let wanted = Dump {
            directories,
            pid: 7,
            resources: vec!["net[5]:extRootNetNS".to_owned()],
            ..Dump::default()
        };
        let lines = |message: &Message| message.to_string();
        let mut expected = "ImagesDirFd 8\nWorkDirFd 9\nLogFile dump.log\nLogLevel 4\n\
            ManageCgroupsMode 3\nOrphanPtsMaster 1\nTcpEstablished 1\nEmptyNs 1073741824\nPid 7\n\
            External mnt[/data]:/data\nExternal mnt[/etc/hosts]:/etc/hosts\n\
            External net[5]:extRootNetNS\n";
        assert_eq!(lines(&dump(&options, &externals, &wanted)), expected);
        options.empty_namespaces.clear();
        let wanted = Restore {
            directories,
            root: "/r".to_owned(),
            cgroup_roots: vec![("/a/b".to_owned(), None)],
            descriptors: vec![(5, "pipe:[9]".to_owned())],
            config: None,
        };
        expected = "ImagesDirFd 8\nWorkDirFd 9\nLogFile restore.log\nLogLevel 4\n\
            ManageCgroupsMode 3\nOrphanPtsMaster 1\nTcpEstablished 1\n\
            Root /r\nRstSibling 1\nNotifyScripts 1\nCgRoot - /a/b\n\
            External mnt[/data]:/b/vol\nExternal mnt[/etc/hosts]:/h\nInheritFd pipe:[9] 5\n";
        assert_eq!(lines(&restore(&options, &externals, &wanted)), expected);
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
