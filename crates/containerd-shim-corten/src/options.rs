//! The runtime options of a container: which `corten`, and how it is called.
//!
//! They arrive as `containerd.runc.v1.Options`, which containerd sends to a shim
//! named like runc's, or as `runtimeoptions.v1.Options`, which it sends to all
//! others: that one carries them as TOML.

use std::path::{Path, PathBuf};

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{CodedInputStream, Message};
use containerd_shim_protos::shim::oci;
use serde::{Deserialize, Serialize};

/// Where states lie when the options name no root; below it, one directory for
/// each namespace of containerd.
const DEFAULT_ROOT: &str = "/run/containerd/corten";

/// How `corten` is called for one container. Also the content of
/// [`FILE`](Self::FILE) in the bundle, from which `delete` works when the shim is gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Options {
    /// Path or name of the program; empty: the `corten` beside this shim.
    pub binary_name: String,
    /// Directory of states; empty: the default.
    pub root: String,
    /// `--systemd-cgroup`
    pub systemd_cgroup: bool,
    /// `--no-pivot`
    pub no_pivot_root: bool,
    /// `--no-new-keyring`
    pub no_new_keyring: bool,
    /// Control group that the shim itself is put into.
    pub shim_cgroup: String,
    /// Owner of the pipes of a container's standard streams.
    pub io_uid: u32,
    /// Group of the pipes of a container's standard streams.
    pub io_gid: u32,
    /// Directory of checkpoint images.
    pub criu_image_path: String,
    /// Working directory of CRIU.
    pub criu_work_path: String,
}

impl Options {
    /// Name of the file in the bundle.
    pub const FILE: &'static str = "corten-options.json";

    /// Decodes what containerd sent; an empty message is the default.
    ///
    /// # Errors
    /// One line that names the type.
    pub fn decode(any: &Any) -> Result<Self, String> {
        let kind = any.type_url.rsplit('/').next().unwrap_or_default();
        let bad = |error: String| format!("options of type {kind:?}: {error}");
        match kind {
            "" => Ok(Self::default()),
            "containerd.runc.v1.Options" => oci::Options::parse_from_bytes(&any.value)
                .map(Self::from)
                .map_err(|error| bad(error.to_string())),
            "runtimeoptions.v1.Options" => {
                let (path, body) = toml_of(&any.value).map_err(bad)?;
                let text = match (body.is_empty(), path.is_empty()) {
                    (false, _) => String::from_utf8(body).map_err(|e| bad(e.to_string()))?,
                    (true, true) => String::new(),
                    (true, false) => std::fs::read_to_string(&path)
                        .map_err(|error| bad(format!("{path}: {error}")))?,
                };
                toml::from_str(&text).map_err(|error| bad(error.to_string()))
            }
            _ => Err(bad("unknown".to_owned())),
        }
    }

    /// A control group `SLICE:PREFIX:NAME` is systemd's. Through CRI the kubelet asks for
    /// one by that name, and containerd 1.6 has no other way to tell a shim so. What is
    /// wrong with a configuration, `create` says.
    pub fn with_config_of(mut self, bundle: &str) -> Self {
        #[derive(Deserialize)]
        struct Config {
            linux: Linux,
        }
        #[derive(Deserialize)]
        struct Linux {
            #[serde(rename = "cgroupsPath")]
            cgroups_path: String,
        }
        let text = std::fs::read(format!("{bundle}/config.json")).unwrap_or_default();
        if let Ok(config) = serde_json::from_slice::<Config>(&text) {
            self.follow_cgroups_path(&config.linux.cgroups_path);
        }
        self
    }

    fn follow_cgroups_path(&mut self, path: &str) {
        let mut parts = path.split(':');
        let slice = parts.next().is_some_and(|slice| slice.ends_with(".slice"));
        self.systemd_cgroup |= slice && !path.contains('/') && parts.count() == 2;
    }

    /// Keeps them in the bundle.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn save(&self, bundle: &str) -> Result<(), String> {
        let path = format!("{bundle}/{}", Self::FILE);
        let text = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        kernel::fs::replace_file(&path, 0o600, &text).map_err(|error| error.to_string())
    }

    /// What was kept; the default when nothing was.
    pub fn load(bundle: &str) -> Self {
        std::fs::read(format!("{bundle}/{}", Self::FILE))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Directory of the states of one namespace of containerd.
    pub fn root(&self, namespace: &str) -> String {
        let root = match self.root.as_str() {
            "" => DEFAULT_ROOT,
            root => root,
        };
        format!("{root}/{namespace}")
    }

    /// The program to execute.
    pub fn binary(&self) -> PathBuf {
        if !self.binary_name.is_empty() {
            return PathBuf::from(&self.binary_name);
        }
        let beside = std::env::current_exe()
            .ok()
            .and_then(|own| Some(own.parent()?.join("corten")))
            .filter(|path| Path::exists(path));
        beside.unwrap_or_else(|| PathBuf::from("corten"))
    }
}

impl From<oci::Options> for Options {
    fn from(options: oci::Options) -> Self {
        Self {
            binary_name: options.binary_name,
            root: options.root,
            systemd_cgroup: options.systemd_cgroup,
            no_pivot_root: options.no_pivot_root,
            no_new_keyring: options.no_new_keyring,
            shim_cgroup: options.shim_cgroup,
            io_uid: options.io_uid,
            io_gid: options.io_gid,
            criu_image_path: options.criu_image_path,
            criu_work_path: options.criu_work_path,
        }
    }
}

/// `config_path` (2) and `config_body` (3) of `runtimeoptions.v1.Options`.
fn toml_of(message: &[u8]) -> Result<(String, Vec<u8>), String> {
    let mut path = String::new();
    let mut body = Vec::new();
    let mut input = CodedInputStream::from_bytes(message);
    let mut read = || -> containerd_shim_protos::protobuf::Result<()> {
        while let Some(tag) = input.read_raw_tag_or_eof()? {
            match tag >> 3 {
                2 => path = input.read_string()?,
                3 => body = input.read_bytes()?,
                _ => {
                    input.read_bytes()?;
                }
            }
        }
        Ok(())
    };
    read().map_err(|error| error.to_string())?;
    Ok((path, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(kind: &str, value: Vec<u8>) -> Any {
        Any {
            type_url: kind.to_owned(),
            value,
            ..Any::default()
        }
    }

    #[test]
    fn those_of_runc() {
        let sent = oci::Options {
            binary_name: "/usr/sbin/other".to_owned(),
            systemd_cgroup: true,
            io_uid: 7,
            ..oci::Options::default()
        };
        let bytes = sent.write_to_bytes().unwrap_or_default();
        let options =
            Options::decode(&any("containerd.runc.v1.Options", bytes)).unwrap_or_default();
        assert_eq!(options.binary_name, "/usr/sbin/other");
        assert!(options.systemd_cgroup);
        assert_eq!(options.io_uid, 7);
    }

    #[test]
    fn toml_in_the_generic_ones() {
        let toml = b"Root = \"/run/other\"\nNoNewKeyring = true\n";
        let mut bytes = vec![
            0x0a,
            1,
            b'x',
            0x1a,
            u8::try_from(toml.len()).unwrap_or_default(),
        ];
        bytes.extend(toml);
        let sent = any("types.example/runtimeoptions.v1.Options", bytes);
        let options = Options::decode(&sent).unwrap_or_default();
        assert_eq!(options.root("k8s.io"), "/run/other/k8s.io");
        assert!(options.no_new_keyring);
    }

    #[test]
    fn a_slice_is_managed_by_systemd() {
        for (path, systemd) in [
            ("kubepods-pod1.slice:cri-containerd:abc", true),
            ("system.slice:docker:", true),
            ("/kubepods/pod1/abc", false),
            ("/a.slice:b:c", false),
            ("a.slice:b", false),
            ("", false),
        ] {
            let mut options = Options::default();
            options.follow_cgroups_path(path);
            assert_eq!(options.systemd_cgroup, systemd, "{path}");
        }
    }

    #[test]
    fn none_at_all() {
        assert_eq!(Options::decode(&Any::default()), Ok(Options::default()));
        assert_eq!(
            Options::default().root("default"),
            "/run/containerd/corten/default"
        );
    }

    #[test]
    fn of_an_unknown_type() {
        let refused = Options::decode(&any("io.example.Nonsense", Vec::new()));
        assert!(refused.is_err_and(|error| error.contains("io.example.Nonsense")));
    }
}
