//! Programs that drive runtimes, and whether they know this one.

use super::{Check, Survey};

/// Engine, and what to do once so that it uses corten; `PATH` is where corten is.
const ENGINES: [(&str, &str); 5] = [
    (
        "podman",
        "podman --runtime PATH run ..., or for good: contrib/podman/corten.conf to /etc/containers/containers.conf.d/",
    ),
    (
        "buildah",
        "buildah --runtime PATH run ...; it reads the configuration of podman",
    ),
    (
        "dockerd",
        "add \"runtimes\": {\"corten\": {\"path\": \"PATH\"}} to /etc/docker/daemon.json and reload it, then docker run --runtime corten ...",
    ),
    (
        "containerd",
        "ctr run --runc-binary PATH ..., or for Kubernetes contrib/containerd/corten.toml",
    ),
    (
        "crio",
        "contrib/crio/corten.conf to /etc/crio/crio.conf.d/, then systemctl restart crio",
    ),
];

pub(super) fn examine(survey: &Survey, checks: &mut Vec<Check>) {
    if survey.engines.is_empty() {
        checks.push(Check::ok("engines", "none in PATH; corten works without"));
    }
    let own = survey
        .own_path
        .as_deref()
        .unwrap_or("/usr/local/sbin/corten");
    for engine in &survey.engines {
        checks.push(match &engine.configured_in {
            Some(file) => Check::ok(
                &engine.name,
                format!("{}, knows corten by {file}", engine.path),
            ),
            None => {
                let advice = ENGINES.iter().find(|(name, _)| *name == engine.name);
                let mend = advice.map_or("", |(_, mend)| mend).replace("PATH", own);
                let found = format!("{}, not configured for corten", engine.path);
                Check::degraded(&engine.name, found, "it uses another runtime", &mend)
            }
        });
    }
}
