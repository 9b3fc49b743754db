//! Pods of Kubernetes, through the CRI plugin of containerd. Every story is told three
//! times, each time with another default runtime: corten with its own shim, corten
//! under the shim of Go, and a peer under that. All three answers must be the same. Where
//! systemd runs the machine, it makes all cgroups (`SystemdCgroup = true`).
//!
//! The client is `cri`, a program of this workspace: Debian has no crictl.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_tests::{Case, Program, skip};
use serde_json::{Value, json};

use crate::ctr::directory;
use crate::daemon::{Daemon, remove_with_mounts};
use crate::images::{Images, NAME, PAUSE};
use crate::release::Release;
use crate::session::{
    PATIENCE, Runtime, Session, cgroup_parent, compare_all, find_program, require, uses_systemd,
};
use crate::shim::{needs_the_shim, shim_of};

mod confinement;
mod containerd_1_6;
mod containerd_1_7;
mod containerd_2_1;
mod crashes;
mod lifecycle;
mod limits;
mod mounts;
mod namespaces;
mod streams;

/// The names that `contrib/containerd` gives to the two ways of using corten.
const HANDLERS: [&str; 2] = ["corten", "corten-runc-shim"];
/// States of a container.
pub const CREATED: u64 = 0;
pub const RUNNING: u64 = 1;
pub const EXITED: u64 = 2;

/// `cri`, called with a method and its request.
fn cri(case: &Case, _: &Runtime, args: &[&str]) -> Program {
    let socket = socket(case);
    let socket = socket.to_string_lossy();
    // The other end of streams is given by its address.
    let socket = match args {
        ["stream" | "forward", ..] => None,
        _ => Some(&*socket),
    };
    case.program(&client().to_string_lossy())
        .args(socket)
        .args(args)
        .limit(PATIENCE)
}

/// Cargo puts it beside this program, or above its `deps`.
fn client() -> PathBuf {
    let own = std::env::current_exe().expect("own path");
    let above = own.ancestors().skip(1).take(2);
    let found = above
        .map(|path| path.join("cri"))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| skip("the client `cri` is not built (`cargo build -p cri`)"))
}

fn socket(case: &Case) -> PathBuf {
    directory(case).join("containerd.sock")
}

/// Where the plugin writes what containers say.
pub fn logs(case: &Case) -> PathBuf {
    directory(case).join("logs")
}

/// Tells a story three times, with a new containerd of this release each time.
#[track_caller]
pub fn story(case: &mut Case, release: Release, story: impl Fn(&mut Session, &mut Plugin)) {
    let [own, under_go] = prepare(case, release);
    let runtimes = [own, under_go, ("peer", release.peer(case))];
    tell(case, release, runtimes, story);
}

/// [`story`] of what Debian's peers cannot do: both ways of using corten are compared.
#[track_caller]
pub fn story_without_peer(
    case: &mut Case,
    release: Release,
    story: impl Fn(&mut Session, &mut Plugin),
) {
    let runtimes = prepare(case, release);
    tell(case, release, runtimes, story);
}

/// Skips the test for what is missing; returns both ways of using corten.
fn prepare(case: &Case, release: Release) -> [(&'static str, String); 2] {
    require(&["containerd", "ctr", "containerd-shim-runc-v2"]);
    client();
    if !Path::new("/usr/lib/cni/bridge").exists() {
        skip("containernetworking-plugins is not installed (`make test-deps`)");
    }
    needs_the_shim(case);
    release.put_in_place();
    HANDLERS.map(|handler| (handler, case.runtime_path().to_owned()))
}

#[track_caller]
fn tell<const COUNT: usize>(
    case: &mut Case,
    release: Release,
    runtimes: [(&'static str, String); COUNT],
    story: impl Fn(&mut Session, &mut Plugin),
) {
    compare_all(case, runtimes, cri, |session| {
        let mut plugin = Plugin::start(session, release);
        story(session, &mut plugin);
        plugin.remove_all(session);
        drop(plugin);
        remove_with_mounts(&directory(session.case));
    });
}

/// A containerd with the CRI plugin.
pub struct Plugin {
    daemon: Daemon,
    release: Release,
}

impl Plugin {
    fn start(session: &Session, release: Release) -> Self {
        let case = session.case;
        let home = directory(case);
        let networks = home.join("net.d");
        fs::create_dir_all(&networks).expect("containerd's directory");
        fs::write(networks.join("10-pods.conflist"), network()).expect("network");
        let config = release.configuration(&home, &session.runtime, uses_systemd(case));
        fs::write(home.join("config.toml"), config).expect("containerd's configuration");
        let plugin = Self {
            daemon: launch(case),
            release,
        };
        let images = Images::make(case.store());
        for archive in [images.oci_archive(), images.pause_archive()] {
            case.program("ctr")
                .args(["--address", &socket(case).to_string_lossy()])
                .args(["--namespace", "k8s.io", "image", "import"])
                .args([archive.to_string_lossy()])
                .run()
                .ok();
        }
        // The plugin hears of images by events.
        case.until("the plugin knows both images", || {
            let images = call(session, "ListImages", json!({})).to_string();
            images.contains(NAME) && images.contains(PAUSE)
        });
        plugin
    }

    /// Which containerd it is.
    pub fn release(&self) -> Release {
        self.release
    }

    /// Kills containerd and starts another one on what it left.
    pub fn crash_and_restart(&mut self, session: &Session) {
        self.daemon.crash();
        self.daemon = launch(session.case);
        session.case.until("the plugin is ready", || {
            session.ask(&["Status"]).code() == Some(0)
        });
    }

    /// Stops and removes all pods with their containers.
    fn remove_all(&self, session: &mut Session) {
        let pods = call(session, "ListPodSandbox", json!({}));
        for pod in pods["items"].as_array().into_iter().flatten() {
            let id = json!({"pod_sandbox_id": pod["id"]});
            call(session, "StopPodSandbox", id.clone());
            call(session, "RemovePodSandbox", id);
        }
    }
}

fn launch(case: &Case) -> Daemon {
    let config = directory(case).join("config.toml");
    let shim = shim_of(case.runtime_path());
    let beside = shim.parent().expect("a directory").to_string_lossy();
    let path = std::env::var("PATH").unwrap_or_default();
    let program = case
        .program(&find_program("containerd").expect("required before"))
        .env("PATH", &format!("{beside}:{path}:/usr/sbin:/sbin"))
        .args(["--config", &config.to_string_lossy()]);
    Daemon::start(case, program, &socket(case))
}

/// One bridge for all pods of the test's own network namespace.
fn network() -> String {
    let subnet = json!([[{"subnet": "10.88.0.0/16"}]]);
    json!({"cniVersion": "0.4.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false,
            "ipam": {"type": "host-local", "dataDir": "/run/ipam", "ranges": subnet,
                "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": true}},
    ]})
    .to_string()
}

/// Calls a method, which must succeed.
#[track_caller]
pub fn call(session: &Session, method: &str, request: Value) -> Value {
    let answer = session.ask(&[method, &request.to_string()]).ok().stdout;
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{method}: {error}: {answer}"))
}

/// Calls a method, which must fail; returns the reason.
#[track_caller]
pub fn refused(session: &Session, method: &str, request: Value) -> String {
    session.ask(&[method, &request.to_string()]).fails().stderr
}

/// `base` with what `more` says.
pub fn with(mut base: Value, more: Value) -> Value {
    merge(&mut base, more);
    base
}

fn merge(base: &mut Value, more: Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (name, value) in more {
                merge(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more,
    }
}

/// A pod that was run.
pub struct Pod {
    pub id: String,
    config: Value,
}

/// A container that was started.
pub struct Container {
    pub id: String,
    log: PathBuf,
}

/// What [`Pod::config`] says for every pod.
fn pod_config(session: &Session, name: &str) -> Value {
    let logs = logs(session.case).join(name);
    json!({
        "metadata": {"name": name, "uid": name, "namespace": "default"},
        "hostname": name,
        "log_directory": logs.to_string_lossy(),
        "linux": {
            "cgroup_parent": cgroup_parent(session.case),
            "security_context": {"namespace_options": {"pid": 1}},
        },
    })
}

/// Runs a pod with the default runtime, which is the one of the session.
#[track_caller]
pub fn run_pod(session: &Session, name: &str, more: Value) -> Pod {
    let config = with(pod_config(session, name), more);
    let answer = call(session, "RunPodSandbox", json!({"config": config}));
    let id = answer["pod_sandbox_id"].as_str().expect("an id");
    Pod {
        id: id.to_owned(),
        config,
    }
}

/// The request that creates a container; every container has a pid namespace of its
/// own, as the kubelet asks for.
fn creation(pod: &Pod, name: &str, more: Value) -> Value {
    let config = with(
        json!({
            "metadata": {"name": name},
            "image": {"image": NAME},
            "command": ["sleep", "1000"],
            "log_path": format!("{name}.log"),
            "linux": {"security_context": {"namespace_options": {"pid": 1}}},
        }),
        more,
    );
    json!({"pod_sandbox_id": pod.id, "config": config, "sandbox_config": pod.config})
}

/// Creates a container.
#[track_caller]
pub fn create(session: &Session, pod: &Pod, name: &str, more: Value) -> Container {
    let answer = call(session, "CreateContainer", creation(pod, name, more));
    let id = answer["container_id"].as_str().expect("an id");
    let logs = pod.config["log_directory"].as_str().expect("a directory");
    Container {
        id: id.to_owned(),
        log: Path::new(logs).join(format!("{name}.log")),
    }
}

/// Creates and starts a container.
#[track_caller]
pub fn start(session: &Session, pod: &Pod, name: &str, more: Value) -> Container {
    let container = create(session, pod, name, more);
    call(session, "StartContainer", container.request());
    container
}

/// The last word on each stream: the log is written after the end.
const LAST: &str = "that was all";

/// Runs a line of shell in a container of its own, writes down how that ended and what
/// it said, and removes it.
#[track_caller]
pub fn run(session: &mut Session, pod: &Pod, name: &str, line: &str, more: Value) {
    let whole = format!("({line}); code=$?; echo {LAST}; echo {LAST} >&2; exit $code");
    let command = with(json!({"command": ["sh", "-c", whole]}), more);
    let container = start(session, pod, name, command);
    let status = container.until_state(session, EXITED);
    session.case.until("the log is whole", || {
        container.log().matches(LAST).count() == 2
    });
    let end = format!(
        "{} {} {}",
        status["exit_code"],
        status["reason"],
        container.log()
    );
    session.note(&format!("{name}: {line}"), &end);
    container.remove(session);
}

impl Container {
    /// What most methods want.
    pub fn request(&self) -> Value {
        json!({"container_id": self.id})
    }

    /// `status` of `ContainerStatus`.
    #[track_caller]
    pub fn status(&self, session: &Session) -> Value {
        call(session, "ContainerStatus", self.request())["status"].take()
    }

    /// Waits until it is in this state; returns its status.
    #[track_caller]
    pub fn until_state(&self, session: &Session, state: u64) -> Value {
        let mut status = Value::Null;
        session
            .case
            .until(&format!("state {state} of {}", self.id), || {
                status = self.status(session);
                status["state"] == state
            });
        status
    }

    /// What it has said so far on both streams: the log without times.
    pub fn log(&self) -> String {
        log(&self.log)
    }

    /// Runs a line of shell in it; returns the answer.
    #[track_caller]
    pub fn exec(&self, session: &Session, line: &str) -> Value {
        let request = json!({"cmd": ["sh", "-c", line], "timeout": 60});
        call(session, "ExecSync", with(request, self.request()))
    }

    /// The same, written down, too.
    #[track_caller]
    pub fn tell(&self, session: &mut Session, line: &str) -> Value {
        let answer = self.exec(session, line);
        session.note(line, &answer.to_string());
        answer
    }

    /// Removes it.
    #[track_caller]
    pub fn remove(self, session: &Session) {
        call(session, "RemoveContainer", self.request());
    }
}

/// What a log of this format says of standard output, and then of standard error: which
/// of them is read first is chance. Partial lines are put together:
/// <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>
pub fn log(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let of = |wanted: &str| {
        let mut said = String::new();
        for line in text.lines() {
            let mut words = line.splitn(4, ' ').skip(1);
            if words.next() != Some(wanted) {
                continue;
            }
            let whole = words.next() != Some("P");
            said += words.next().unwrap_or_default();
            if whole {
                said.push('\n');
            }
        }
        said
    };
    of("stdout") + &of("stderr")
}
