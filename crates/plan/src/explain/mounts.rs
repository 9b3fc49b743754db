//! One mount, in words.

use super::outside::Sources;
use crate::{
    Atime, AttrFlags, Attributes, ClassicFlags, FsParameter, MountLabel, MountOp, MountSource,
    Propagation, PropagationKind,
};

/// Flag, the option that sets it, the option that clears it.
const FLAGS: &[(AttrFlags, &str, &str)] = &[
    (AttrFlags::READ_ONLY, "ro", "rw"),
    (AttrFlags::NO_SUID, "nosuid", "suid"),
    (AttrFlags::NO_DEV, "nodev", "dev"),
    (AttrFlags::NO_EXEC, "noexec", "exec"),
    (AttrFlags::NO_DIR_ATIME, "nodiratime", "diratime"),
    (AttrFlags::NO_SYMLINK_FOLLOW, "nosymfollow", "symfollow"),
];

/// `mount a new tmpfs on /dev: size=65536k, mode=755 (nosuid, strictatime)`
pub(super) fn say_mount(mount: &MountOp, sources: &Sources<'_>) -> String {
    let mut text = say_source(mount, sources);
    let words = words(mount);
    if !words.is_empty() {
        text.push_str(&format!(" ({})", words.join(", ")));
    }
    if mount.copy_up {
        text.push_str(", filled with what it covers");
    }
    if let Some(label) = &mount.label {
        text.push_str(&match label {
            MountLabel::Option { name, label } => format!(", labelled {name}={label}"),
            MountLabel::Attribute(label) => format!(", its root labelled {label}"),
        });
    }
    text
}

fn say_source(mount: &MountOp, sources: &Sources<'_>) -> String {
    let target = &mount.target;
    match &mount.source {
        MountSource::Tree { slot } => {
            let source = sources.get(*slot);
            let all = if source.recursive {
                " with all below it"
            } else {
                ""
            };
            format!("bind {}{all} on {target}", source.path)
        }
        MountSource::Filesystem {
            fstype,
            source,
            parameters,
            classic,
        } => {
            let named = source.as_ref().filter(|name| *name != fstype);
            let of = match named {
                Some(path) if path.starts_with('/') => format!(" of {path}"),
                Some(name) if name != "none" => format!(" named {name}"),
                _ => String::new(),
            };
            format!(
                "mount {fstype}{of} on {target}{}",
                say_parameters(parameters, *classic)
            )
        }
        MountSource::CgroupV2 {
            own_namespace: true,
        } => format!("mount cgroup2 on {target}"),
        MountSource::CgroupV2 { .. } => {
            format!("bind the container's own control group on {target}")
        }
        MountSource::CgroupV1 {
            own_namespace,
            hierarchies,
            ..
        } => {
            let names: Vec<_> = hierarchies.iter().map(|(name, _)| name.as_str()).collect();
            let how = if *own_namespace { "mount" } else { "bind" };
            format!(
                "{how} the cgroup hierarchies {} below {target}",
                names.join(" ")
            )
        }
        MountSource::Existing { parameters } => {
            let parameters = say_parameters(parameters, ClassicFlags::empty());
            format!("change the mount on {target}{parameters}")
        }
    }
}

/// `: size=64k, sync`
fn say_parameters(parameters: &[FsParameter], classic: ClassicFlags) -> String {
    let mut words: Vec<_> = parameters
        .iter()
        .map(|parameter| match &parameter.value {
            Some(value) => format!("{}={value}", parameter.key),
            None => parameter.key.clone(),
        })
        .collect();
    if classic.contains(ClassicFlags::I_VERSION) {
        words.push("iversion".to_owned());
    }
    if classic.contains(ClassicFlags::SILENT) {
        words.push("silent".to_owned());
    }
    if words.is_empty() {
        String::new()
    } else {
        format!(": {}", words.join(", "))
    }
}

/// The options of the mount as such, in the words of the configuration.
fn words(mount: &MountOp) -> Vec<String> {
    let mut words = attribute_words("r", mount.recursive_attributes);
    words.extend(attribute_words("", mount.attributes));
    if mount.read_only_later {
        words.push("ro later".to_owned());
    }
    words.extend(mount.propagation.iter().map(|p| say_propagation(*p)));
    if let Some(map) = &mount.id_map {
        words.push(if map.recursive { "ridmap" } else { "idmap" }.to_owned());
    }
    if mount.target_no_follow {
        words.push("no symlink followed".to_owned());
    }
    words
}

fn attribute_words(prefix: &str, attributes: Attributes) -> Vec<String> {
    let flags = FLAGS.iter().filter_map(|(flag, set, clear)| {
        if attributes.set.contains(*flag) {
            Some(*set)
        } else if attributes.clear.contains(*flag) {
            Some(*clear)
        } else {
            None
        }
    });
    let atime = attributes.atime.map(|mode| match mode {
        Atime::Relative => "relatime",
        Atime::Never => "noatime",
        Atime::Strict => "strictatime",
    });
    flags
        .chain(atime)
        .map(|word| format!("{prefix}{word}"))
        .collect()
}

/// `rslave`
pub(super) fn say_propagation(propagation: Propagation) -> String {
    let prefix = if propagation.recursive { "r" } else { "" };
    let word = match propagation.kind {
        PropagationKind::Shared => "shared",
        PropagationKind::Slave => "slave",
        PropagationKind::Private => "private",
        PropagationKind::Unbindable => "unbindable",
    };
    format!("{prefix}{word}")
}
