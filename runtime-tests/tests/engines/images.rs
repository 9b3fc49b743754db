//! Images, made of busybox and the probe alone: there is no registry.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Its name in every archive that can hold one.
pub const NAME: &str = "localhost/busybox:latest";
/// The image of the process that holds the namespaces of a pod.
pub const PAUSE: &str = "localhost/pause:latest";

/// Like the machine's own, so that names can be looked up inside.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\n\
    user:x:1000:1000:user:/home/user:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ndaemon:x:1:\nwheel:x:10:user\nuser:x:1000:\nnobody:x:65534:\n";

/// The archives of one image.
pub struct Images {
    directory: PathBuf,
}

impl Images {
    /// Makes them in `store`, unless another test of this run has.
    pub fn make(store: &Path) -> Self {
        let directory = store.join("images");
        if !directory.exists() {
            let own = store.join(format!("images.{}", std::process::id()));
            fs::create_dir(&own).expect("image directory");
            build(store, &own);
            // Whoever comes second has built the same for nothing.
            if fs::rename(&own, &directory).is_err() {
                fs::remove_dir_all(&own).expect("remove the second build");
            }
        }
        Self { directory }
    }

    /// The root itself; only to be read.
    pub fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// A plain tar of the root: `podman import`, `docker import`.
    pub fn root_tar(&self) -> PathBuf {
        self.directory.join("root.tar")
    }

    /// An OCI image layout in a tar: `ctr image import`, `podman load`.
    pub fn oci_archive(&self) -> PathBuf {
        self.directory.join("oci.tar")
    }

    /// The same for [`PAUSE`].
    pub fn pause_archive(&self) -> PathBuf {
        self.directory.join("oci-pause.tar")
    }

    /// What `docker save` writes: `docker load`, `podman load`.
    pub fn docker_archive(&self) -> PathBuf {
        self.directory.join("docker.tar")
    }
}

fn build(store: &Path, directory: &Path) {
    make_root(store, &directory.join("root"));
    let layer = directory.join("root.tar");
    tar(&directory.join("root"), &layer, &["."]);
    let digest = sha256(&layer);
    let config = |command: &[&str]| {
        json!({
            "architecture": architecture(), "os": "linux",
            "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": command},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        })
    };
    make_oci(
        &directory.join("oci"),
        NAME,
        (&layer, &digest),
        &config(&["sh"]),
    );
    let pause = config(&["sleep", "1000000"]);
    make_oci(
        &directory.join("oci-pause"),
        PAUSE,
        (&layer, &digest),
        &pause,
    );
    make_docker(directory, &layer, &digest, &config(&["sh"]));
}

/// Hard links, not symbolic ones: a mask on one applet must not hide all.
fn make_root(store: &Path, root: &Path) {
    for name in [
        "bin",
        "dev",
        "etc",
        "home/user",
        "mnt",
        "proc",
        "root",
        "run",
        "sbin",
        "sys",
        "tmp",
        "usr/bin",
        "usr/sbin",
        "var/tmp",
    ] {
        fs::create_dir_all(root.join(name)).expect("root directory");
    }
    for name in ["tmp", "var/tmp"] {
        let anybody = fs::Permissions::from_mode(0o1777);
        fs::set_permissions(root.join(name), anybody).expect("chmod");
    }
    fs::write(root.join("etc/passwd"), PASSWD).expect("passwd");
    fs::write(root.join("etc/group"), GROUP).expect("group");
    let busybox = root.join("bin/busybox");
    fs::copy(store.join("busybox"), &busybox).expect("copy busybox");
    fs::copy(store.join("probe"), root.join("bin/probe")).expect("copy the probe");
    let applets = Command::new(&busybox).arg("--list").output();
    let applets = applets.expect("busybox runs").stdout;
    for applet in String::from_utf8_lossy(&applets).lines() {
        if applet != "busybox" {
            fs::hard_link(&busybox, root.join("bin").join(applet)).expect("link an applet");
        }
    }
}

/// <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>
fn make_oci(layout: &Path, name: &str, (layer, digest): (&Path, &str), config: &Value) {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("blobs");
    fs::hard_link(layer, blobs.join(digest)).expect("layer blob");
    let put = |kind: &str, value: &Value| {
        let path = blobs.join("new");
        fs::write(&path, value.to_string()).expect("blob");
        let digest = sha256(&path);
        let size = fs::metadata(&path).expect("blob").len();
        fs::rename(path, blobs.join(&digest)).expect("blob");
        let kind = format!("application/vnd.oci.image.{kind}+json");
        json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": size})
    };
    let layer_size = fs::metadata(layer).expect("layer").len();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": put("config.v1", config),
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": format!("sha256:{digest}"), "size": layer_size}],
    });
    let mut described = put("manifest.v1", &manifest);
    described["platform"] = json!({"architecture": architecture(), "os": "linux"});
    described["annotations"] = json!({
        "io.containerd.image.name": name, "org.opencontainers.image.ref.name": "latest"});
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [described]});
    fs::write(layout.join("index.json"), index.to_string()).expect("index");
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .expect("layout");
    let archive = layout.with_extension("tar");
    tar(layout, &archive, &["blobs", "index.json", "oci-layout"]);
}

/// The format of `docker save` before it became an OCI layout.
fn make_docker(directory: &Path, layer: &Path, digest: &str, config: &Value) {
    let saved = directory.join("docker");
    fs::create_dir_all(saved.join(digest)).expect("layer directory");
    fs::hard_link(layer, saved.join(digest).join("layer.tar")).expect("layer");
    fs::write(saved.join("config.json"), config.to_string()).expect("config");
    let manifest = json!([{"Config": "config.json", "RepoTags": [NAME],
        "Layers": [format!("{digest}/layer.tar")]}]);
    fs::write(saved.join("manifest.json"), manifest.to_string()).expect("manifest");
    let archive = directory.join("docker.tar");
    tar(&saved, &archive, &["manifest.json", "config.json", digest]);
}

fn tar(from: &Path, archive: &Path, names: &[&str]) {
    let mut command = Command::new("tar");
    command
        .args(["--numeric-owner", "--owner=0", "--group=0", "--sort=name"])
        .arg("-C")
        .arg(from)
        .arg("-cf")
        .arg(archive)
        .args(names);
    let status = command.status().expect("tar runs");
    assert!(status.success(), "tar {}: {status}", archive.display());
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output();
    let output = output.expect("sha256sum runs").stdout;
    let digest = output.get(..64).expect("a digest");
    String::from_utf8_lossy(digest).into_owned()
}

/// This machine's, in the words of images.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
