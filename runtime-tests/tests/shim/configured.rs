//! The runtime options.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::Options;
use containerd_shim_protos::types::introspection::RuntimeInfo;
use runtime_tests::{Case, cgroup_directories, convention};
use serde_json::{Value, json};

use crate::driver::{Stdio3, options};
use crate::streams::Both;
use crate::telling::{Telling, alone, compare};

const CHAPTER: &str = "The shim: options";

pub fn with(telling: &Telling, change: impl FnOnce(&mut Options)) -> Any {
    let (runtime, root) = (telling.runtime.clone(), telling.root());
    options(|options| {
        options.binary_name = runtime;
        options.root = root;
        change(options);
    })
}

#[convention("Root and BinaryName: the states are where the option says, below the namespace.")]
fn root(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        let place = format!("{}/{}/c", telling.root(), telling.case.token());
        telling.note("its state", fs::exists(&place).expect("a directory"));
        telling.finish(&task);
        telling.note("afterwards", fs::exists(&place).expect("a directory"));
    });
}

#[convention("IoUid and IoGid: the pipes of the streams are theirs.")]
fn owner_of_the_streams(case: &mut Case) {
    compare(case, |telling| {
        // Runtimes give the streams to the container's user: before they do, whose are they?
        let script = telling
            .case
            .directory
            .join(format!("asks-{}", telling.is_tested));
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *create*) stat -L -c %u:%g /proc/self/fd/1 /proc/self/fd/2 >$0.owner;; esac\n\
             exec {} \"$@\"\n",
            telling.runtime
        );
        fs::write(&script, text).expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a script");
        let options = with(telling, |options| {
            options.binary_name = script.to_string_lossy().into_owned();
            options.io_uid = 1000;
            options.io_gid = 1001;
        });
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim_with(&bundle, "c", options);
        let both = Both::make(telling, "owned");
        telling.launch(&task, &both.streams);
        let owners = fs::read_to_string(format!("{}.owner", script.display()));
        telling.note("owners", owners.expect("written by the script"));
        telling.finish(&task);
        telling.note("heard", both.all());
    });
}

#[convention(
    "NoNewKeyring, NoPivotRoot: the container has no keyring of its own; its root is moved."
)]
fn keyring_and_root(case: &mut Case) {
    compare(case, |telling| {
        for none in [false, true] {
            let options = with(telling, |options| {
                options.no_new_keyring = none;
                options.no_pivot_root = none;
            });
            let bundle = telling.bundle("cat /proc/keys; ls /");
            let task = telling.shim_with(&bundle, "c", options);
            let both = Both::make(telling, &format!("ring-{none}"));
            telling.launch(&task, &both.streams);
            telling.must("wait", task.wait(""));
            telling.remove(&task);
            let (out, _) = both.all();
            telling.note("own keyring", out.contains("_ses.c"));
            telling.note(
                "root",
                out.lines().filter(|line| !line.contains("key")).count(),
            );
        }
    });
}

#[convention("ShimCgroup: the shim itself is in it, the container is not.")]
fn cgroup_of_the_shim(case: &mut Case) {
    compare(case, |telling| {
        let path = format!("/{}-shim", telling.case.token());
        // The shim of Go wants it to be there; ours would make it.
        if !telling.is_tested {
            let hierarchies: &[&str] = match telling.case.view.is_unified() {
                true => &[""],
                false => &["/pids", "/freezer"],
            };
            for hierarchy in hierarchies {
                fs::create_dir(format!("/sys/fs/cgroup{hierarchy}{path}")).expect("a cgroup");
            }
        }
        let options = with(telling, |options| options.shim_cgroup.clone_from(&path));
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim_with(&bundle, "c", options);
        telling.launch(&task, &Stdio3::default());
        let shim = telling.shim_pid();
        let init = task.connect().expect("connect").task_pid;
        for (name, pid) in [("shim", shim.to_string()), ("init", init.to_string())] {
            let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("cgroups");
            telling.note(name, text.contains(&path));
        }
        telling.finish(&task);
        // Threads of the shim may still be there.
        telling.case.until("its cgroups can be removed", || {
            let left = cgroup_directories(path.trim_start_matches('/'));
            left.iter()
                .rev()
                .all(|directory| fs::remove_dir(directory).is_ok())
        });
    });
}

#[convention("The shim's place when memory is short: after its containers, before containerd.")]
fn memory_is_short(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        let pid = telling.shim_pid();
        let score = |pid: i32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj"));
        telling.note("shim", score(pid).expect("a score"));
        let init = task.connect().expect("connect").task_pid.cast_signed();
        telling.note("init", score(init).expect("a score"));
        telling.finish(&task);
    });
}

#[convention("`-info`: the features of the runtime, with recursive read-only and idmapped mounts.")]
fn features(case: &mut Case) {
    // The shim of Debian 12 knows no `-info`.
    alone(case, |telling| {
        let info = std::process::Command::new(&telling.call.shim)
            .arg("-info")
            .output();
        let info = info.expect("the shim").stdout;
        let info = RuntimeInfo::parse_from_bytes(&info).expect("a message");
        assert_eq!(info.name, "io.containerd.corten.v2");
        let told: Value = serde_json::from_slice(&info.features.value).expect("features");
        let runtime = telling.case.runtime().args(["features"]).run().ok().stdout;
        assert_eq!(
            told,
            serde_json::from_str::<Value>(&runtime).expect("features")
        );
        let options = told["mountOptions"].as_array().expect("options");
        assert!(options.contains(&json!("rro")), "{options:?}");
        assert_eq!(
            told["linux"]["mountExtensions"]["idmap"]["enabled"],
            json!(true)
        );
    });
}
