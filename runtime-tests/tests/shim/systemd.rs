//! `SystemdCgroup`: containers in scopes of systemd, made, asked, updated and taken away
//! through the shim. Run where systemd runs the machine.

use std::path::{Path, PathBuf};

use runtime_tests::{Bundle, Case, convention, skip};
use serde_json::json;

use crate::configured::with;
use crate::crashes::end;
use crate::driver::{Stdio3, Task};
use crate::resources::{file, needs_controllers, tell_stats};
use crate::service::exec;
use crate::telling::{Telling, alone, compare};

const CHAPTER: &str = "The shim: scopes of systemd";

/// Skips unless systemd runs this machine on pure cgroup v2.
pub fn require(case: &Case) {
    if !Path::new("/run/systemd/system").exists() || !case.view.is_unified() {
        skip("systemd does not run this machine, on cgroup v2 alone");
    }
    needs_controllers(case);
}

/// The scope of a container, and how systemd is asked about it.
struct Scope {
    unit: String,
    directory: PathBuf,
}

impl Scope {
    fn of(telling: &Telling) -> Self {
        let unit = format!("test-{}.scope", telling.case.token());
        Self {
            directory: Path::new("/sys/fs/cgroup/machine.slice").join(&unit),
            unit,
        }
    }

    #[track_caller]
    fn property(&self, telling: &Telling, name: &str) -> String {
        let show = telling.case.program("systemctl");
        let show = show.args(["show", "--value", "--property", name, &self.unit]);
        show.run().ok().stdout.trim_end().to_owned()
    }

    /// What systemd has been told, and what the kernel.
    #[track_caller]
    fn tell_limits(&self, telling: &mut Telling) {
        for name in ["MemoryMax", "TasksMax", "CPUQuotaPerSecUSec", "AllowedCPUs"] {
            let value = self.property(telling, name);
            telling.note(name, value);
        }
        for name in ["memory.max", "pids.max", "cpu.max", "cpuset.cpus"] {
            telling.note(name, file(&self.unit, name));
        }
    }

    /// Neither unit nor directory is left.
    #[track_caller]
    fn until_gone(&self, telling: &Telling) {
        telling.case.until("systemd has forgotten the scope", || {
            self.property(telling, "LoadState") == "not-found"
        });
        assert!(!self.directory.exists(), "{}", self.directory.display());
    }
}

/// A container with limits in a scope, whose shim has the option.
fn limited(telling: &mut Telling) -> (Bundle, Task, Scope) {
    let scope = Scope::of(telling);
    let mut bundle = telling.bundle("exec sleep 1000");
    let place = format!("machine.slice:test:{}", telling.case.token());
    bundle.config.set("/linux/cgroupsPath", place.into());
    bundle.config.set(
        "/linux/resources",
        json!({
            "memory": {"limit": 64 << 20},
            "pids": {"limit": 20},
            "cpu": {"quota": 50_000, "period": 100_000, "cpus": "0"},
        }),
    );
    let options = with(telling, |options| options.systemd_cgroup = true);
    let task = telling.shim_with(&bundle, "c", options);
    (bundle, task, scope)
}

#[convention(
    "SystemdCgroup: a scope with the limits, execs in it, stats, update, pause; nothing is left."
)]
fn scope(case: &mut Case) {
    require(case);
    compare(case, |telling| {
        let (_, task, scope) = limited(telling);
        telling.launch(&task, &Stdio3::default());
        for name in ["ActiveState", "Slice"] {
            let value = scope.property(telling, name);
            telling.note(name, value);
        }
        scope.tell_limits(telling);
        exec(telling, &task, "e", "exec sleep 1000");
        let inside = file(&scope.unit, "cgroup.procs").lines().count();
        telling.note("processes", inside);
        tell_stats(telling, &task);

        let resources = json!({
            "memory": {"limit": 128 << 20},
            "pids": {"limit": 30},
            "cpu": {"quota": 30_000, "period": 100_000},
        });
        telling.must("update", task.update(resources.to_string().as_bytes()));
        scope.tell_limits(telling);

        telling.must("pause", task.pause());
        telling.note("frozen", file(&scope.unit, "cgroup.freeze"));
        telling.must("resume", task.resume());
        telling.note("frozen", file(&scope.unit, "cgroup.freeze"));
        telling.finish(&task);
        scope.until_gone(telling);
    });
}

#[convention("SystemdCgroup: the shim is killed; `delete` takes the scope away, too.")]
fn killed_shim(case: &mut Case) {
    require(case);
    compare(case, |telling| {
        let (bundle, task, scope) = limited(telling);
        let pid = telling.must("create", task.create(&Stdio3::default()));
        telling.must("start", task.start(""));
        end(telling.shim_pid());
        let deleted = telling.call.delete(&bundle.path, "c").expect("delete");
        telling.note("status", deleted.exit_status);
        telling.case.until_ended(pid.cast_signed());
        scope.until_gone(telling);
    });
}

/// Ours alone: the shim of Go that containerd 1.6 has tells nothing of it.
#[convention("SystemdCgroup: out of memory in a scope: an event, and the container's end.")]
fn out_of_memory(case: &mut Case) {
    require(case);
    alone(case, |telling| {
        let (mut bundle, task, scope) = limited(telling);
        bundle.config.shell("a=x; while :; do a=$a$a$a$a; done");
        let memory = json!({"limit": 16 << 20, "swap": 16 << 20});
        bundle.config.set("/linux/resources/memory", memory);
        bundle.write();
        telling.launch(&task, &Stdio3::default());
        let ended = telling.must("wait", task.wait(""));
        telling.note("exit status", ended.exit_status);
        telling.until("/tasks/oom", "c", "");
        telling.until("/tasks/exit", "c", "");
        telling.remove(&task);
        scope.until_gone(telling);
    });
}
