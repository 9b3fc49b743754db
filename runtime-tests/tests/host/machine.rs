//! The machine that these tests want, and how systemd is asked about it.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_tests::{Bundle, Case, Finished, Program, skip};

/// Skips unless systemd runs this machine on pure cgroup v2, for root.
pub fn require(case: &Case) {
    if !Path::new("/run/systemd/system").exists() {
        skip("systemd does not run this machine");
    }
    if !case.view.is_unified() {
        skip("this machine is not on cgroup v2 alone");
    }
    if !rustix::process::geteuid().is_root() {
        skip("needs root");
    }
}

/// Skips unless a program is there.
pub fn require_program(name: &str) {
    let directories = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let found = directories.iter().any(|d| Path::new(d).join(name).exists());
    if !found {
        skip(&format!("{name} is not installed"));
    }
}

/// A container in a scope.
pub struct Scope {
    /// With its place and a program that waits.
    pub bundle: Bundle,
    /// `test-TOKEN.scope`
    pub unit: String,
    /// On the host.
    pub directory: PathBuf,
}

impl Scope {
    /// In `machine.slice`, which is systemd's own for such things.
    pub fn new(case: &mut Case) -> Self {
        Self::in_slice(case, "machine.slice", "/machine.slice")
    }

    /// In a slice, whose directory is `path`.
    pub fn in_slice(case: &mut Case, slice: &str, path: &str) -> Self {
        require(case);
        let name = case.token().to_owned();
        let mut bundle = case.bundle();
        let place = format!("{slice}:test:{name}");
        bundle.config.set("/linux/cgroupsPath", place.into());
        bundle.config.args(&["/bin/sleep", "1000"]);
        let unit = format!("test-{name}.scope");
        let directory = PathBuf::from(format!("/sys/fs/cgroup{path}/{unit}"));
        Self {
            bundle,
            unit,
            directory,
        }
    }

    /// `create` and `start` with systemd.
    #[track_caller]
    pub fn launch(&self, case: &mut Case) -> String {
        let id = case.id();
        self.create(case, &id).ok();
        case.start(&id);
        id
    }

    /// `create` with systemd, whatever comes of it.
    pub fn create(&self, case: &Case, id: &str) -> Finished {
        self.bundle.write();
        let path = self.bundle.path.to_string_lossy().into_owned();
        with_systemd(case)
            .args(["create", "--bundle", &path, id])
            .run()
    }

    /// A property of the unit, as systemctl prints it.
    #[track_caller]
    pub fn property(&self, case: &Case, name: &str) -> String {
        property(case, &self.unit, name)
    }

    /// A file of the cgroup, without the last newline.
    #[track_caller]
    pub fn file(&self, name: &str) -> String {
        read(&self.directory.join(name))
    }
}

/// The runtime with `--systemd-cgroup`.
pub fn with_systemd(case: &Case) -> Program {
    case.runtime().args(["--systemd-cgroup"])
}

/// A property of a unit.
#[track_caller]
pub fn property(case: &Case, unit: &str, name: &str) -> String {
    let show = case
        .program("systemctl")
        .args(["show", "--value", "--property", name, unit]);
    show.run().ok().stdout.trim_end().to_owned()
}

/// A small file.
#[track_caller]
pub fn read(path: &Path) -> String {
    let text = fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_owned()
}

/// The number in a `key number` line.
pub fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

/// The whole disk that holds a path, and the partition.
pub fn disk_of(path: &Path) -> [(u64, u64); 2] {
    let device = std::os::unix::fs::MetadataExt::dev(&fs::metadata(path).unwrap());
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let parent = format!("/sys/dev/block/{major}:{minor}/../dev");
    let text = fs::read_to_string(parent).unwrap_or_else(|_| skip("no disk below /tmp"));
    let (whole, part) = text.trim().split_once(':').unwrap();
    let whole = (whole.parse().unwrap(), part.parse().unwrap());
    [whole, (major.into(), minor.into())]
}
