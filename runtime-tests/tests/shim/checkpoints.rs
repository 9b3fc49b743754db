//! `Checkpoint`, and a container that is created from one. The runtime's `checkpoint` and
//! `restore` are played by a script here: what they are told, and what the shim makes of
//! their ends. With CRIU, both are tested in the emulated machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::CheckpointOptions;
use runtime_tests::{Case, convention};

use crate::driver::Stdio3;
use crate::streams::Both;
use crate::telling::{Telling, alone};

const CHAPTER: &str = "The shim: checkpoints";

/// A runtime that does what `script` says of these two verbs, and all else as it is; and
/// the options that name it. `$pid_file` and `$log` are what it was told.
fn play(telling: &Telling, script: &str) -> (PathBuf, Any) {
    let directory = telling.case.directory.join("played");
    fs::create_dir_all(&directory).expect("a directory");
    let program = directory.join("runtime");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *' checkpoint '*|*' restore '*) ;; *) exec {runtime} \"$@\";; esac\n\
         echo \"$*\" >>{directory}/told; all=$*\n\
         while [ $# -gt 0 ]; do case $1 in --pid-file) pid_file=$2;; --log) log=$2;; esac; shift; done\n\
         {script}\n",
        runtime = telling.runtime,
        directory = directory.display()
    );
    fs::write(&program, text).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a script");
    let root = telling.root();
    let played = crate::driver::options(|options| {
        options.binary_name = program.to_string_lossy().into_owned();
        options.root = root;
    });
    (directory, played)
}

fn told(directory: &Path) -> String {
    fs::read_to_string(directory.join("told")).unwrap_or_default()
}

pub fn options(change: impl FnOnce(&mut CheckpointOptions)) -> Any {
    let mut options = CheckpointOptions::default();
    change(&mut options);
    Any {
        type_url: "containerd.runc.v1.CheckpointOptions".to_owned(),
        value: options.write_to_bytes().expect("options"),
        ..Any::default()
    }
}

#[convention(
    "Checkpoint: the options reach the runtime, the container goes on unless it is to end, events tell it."
)]
fn checkpoint(case: &mut Case) {
    alone(case, |telling| {
        // As CRIU does it: what is not left running is killed.
        let script = "case $all in *leave-running*) ;; *) kill -9 $(cat init.pid);; esac";
        let (played, runtime) = play(telling, script);
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim_with(&bundle, "c", runtime);
        telling.launch(&task, &Stdio3::default());
        let image = telling.case.directory.join("image");
        let image = image.to_string_lossy().into_owned();
        let stays = options(|options| {
            options.open_tcp = true;
            options.file_locks = true;
            options.external_unix_sockets = true;
            options.cgroups_mode = "ignore".to_owned();
        });
        task.checkpoint(&image, stays).expect("checkpoint");
        let line = told(&played);
        for word in [
            "checkpoint",
            "--leave-running",
            "--tcp-established",
            "--file-locks",
            "--ext-unix-sk",
            "--manage-cgroups-mode ignore",
            &image,
        ] {
            assert!(line.contains(word), "{word} is not in {line}");
        }
        assert_eq!(task.state("").expect("state").status.value(), 2, "running");
        assert!(!bundle.path.join("criu-work").exists());
        telling.until("/tasks/checkpointed", "c", "");
        task.checkpoint(&image, options(|options| options.exit = true))
            .expect("checkpoint");
        assert_eq!(task.wait("").expect("wait").exit_status, 137);
        assert!(
            !told(&played)
                .lines()
                .last()
                .expect("a line")
                .contains("leave-running")
        );
        telling.until("/tasks/exit", "c", "");
        telling.remove(&task);
    });
}

#[convention(
    "Checkpoint: the runtime fails, options are of an unknown type; the container goes on."
)]
fn checkpoints_that_fail(case: &mut Case) {
    alone(case, |telling| {
        let script = "echo '{\"level\":\"error\",\"msg\":\"no luck\"}' >$log; exit 1";
        let (_, runtime) = play(telling, script);
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim_with(&bundle, "c", runtime);
        telling.launch(&task, &Stdio3::default());
        let image = telling.case.directory.join("image");
        let image = image.to_string_lossy().into_owned();
        let refused = task
            .checkpoint(&image, Any::default())
            .expect_err("no luck");
        assert!(refused.message.contains("no luck"), "{refused:?}");
        let unknown = Any {
            type_url: "io.example.Nonsense".to_owned(),
            ..Any::default()
        };
        task.checkpoint(&image, unknown)
            .expect_err("an unknown type");
        assert_eq!(task.state("").expect("state").status.value(), 2, "running");
        telling.finish(&task);
    });
}

#[convention(
    "Create from a checkpoint: the runtime restores at `Start`, its process is the container's, with streams and end."
)]
fn restore(case: &mut Case) {
    alone(case, |telling| {
        let script = "sh -c 'sleep 0.2; echo restored; exit 9' & echo $! >$pid_file";
        let (played, runtime) = play(telling, script);
        let image = telling.case.directory.join("image");
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim_with(&bundle, "c", runtime);
        let both = Both::make(telling, "restored");
        let made = task.create_with(|request| {
            request.stdout.clone_from(&both.streams.stdout);
            request.stderr.clone_from(&both.streams.stderr);
            request.checkpoint = image.to_string_lossy().into_owned();
        });
        assert_eq!(made.expect("create"), 0);
        let state = task.state("").expect("state");
        assert_eq!((state.pid, state.status.value()), (0, 1), "created");
        assert_eq!(told(&played), "");
        let pid = task.start("").expect("start");
        assert_eq!(task.state("").expect("state").pid, pid);
        let line = told(&played);
        for word in ["restore", "--detach", &*image.to_string_lossy()] {
            assert!(line.contains(word), "{word} is not in {line}");
        }
        assert_eq!(task.wait("").expect("wait").exit_status, 9);
        telling.until("/tasks/exit", "c", "");
        assert_eq!(both.all().0, "restored\n");
        telling.remove(&task);
        let topics: Vec<String> = telling
            .listener
            .heard()
            .into_iter()
            .map(|e| e.topic)
            .collect();
        let wanted = [
            "/tasks/create",
            "/tasks/start",
            "/tasks/exit",
            "/tasks/delete",
        ];
        assert_eq!(topics, wanted);
    });
}

#[convention(
    "Create from a checkpoint that is none: `Start` fails, and the container can be deleted, started or not."
)]
fn restores_that_fail(case: &mut Case) {
    alone(case, |telling| {
        let (_, runtime) = play(telling, "exit 1");
        for start in [false, true] {
            let bundle = telling.bundle("exec sleep 1000");
            let task = telling.shim_with(&bundle, "c", runtime.clone());
            let made = task.create_with(|request| request.checkpoint = "/nosuch/image".to_owned());
            made.expect("create");
            task.kill("", 9).expect_err("there is no process");
            if start {
                task.start("").expect_err("there is no checkpoint");
            }
            task.delete("").expect("delete");
            telling.shutdown(&task);
        }
    });
}
