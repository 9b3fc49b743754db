//! What is left when somebody dies: the shim, containerd, a client, the runtime.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use containerd_shim_protos::api::{
    CreateTaskRequest, DeleteRequest, Mount, StartRequest, WaitRequest,
};
use containerd_shim_protos::protobuf::{Message, MessageDyn, MessageField};
use containerd_shim_protos::ttrpc::proto::Request;
use runtime_tests::{Case, cgroup_directories, convention, descendants, mounts_below};
use rustix::process::{Pid, Signal, kill_process};

use crate::driver::{Stdio3, Task, descriptors, options};
use crate::service::exec;
use crate::telling::{Telling, alone, compare};

const CHAPTER: &str = "The shim: crashes";

pub fn end(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Mounts `source` on itself as the root of the bundle.
fn bound_root(source: &std::path::Path) -> Mount {
    Mount {
        type_: "bind".to_owned(),
        source: source.to_string_lossy().into_owned(),
        options: vec!["rbind".to_owned()],
        ..Mount::default()
    }
}

#[convention(
    "The shim is killed: `delete` removes container, execs, cgroups, mounts and states, and says 137; twice is no error."
)]
fn killed_shim(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let other = telling.bundle("true");
        let task = telling.shim(&bundle);
        let root = bound_root(&other.rootfs());
        let made = task.create_with(|request| request.rootfs = vec![root]);
        let pid = telling.must("create", made);
        telling.must("start", task.start(""));
        let exec = exec(telling, &task, "e", "exec sleep 1000");
        end(telling.shim_pid());
        let deleted = telling.call.delete(&bundle.path, "c");
        let answer = deleted.expect("delete");
        telling.note("status", answer.exit_status);
        telling.note("its pid", answer.pid == pid);
        for pid in [pid, exec] {
            telling.case.until_ended(pid.cast_signed());
        }
        let mounts = mounts_below(&bundle.path);
        assert!(mounts.is_empty(), "{mounts:?}");
        let cgroups = cgroup_directories(telling.case.token());
        assert!(cgroups.is_empty(), "{cgroups:?}");
        telling.note("twice", telling.call.delete(&bundle.path, "c").is_ok());
        // Its socket is still there: the next one of the same id takes it over.
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        telling.finish(&task);
    });
}

#[convention("The shim is killed while its container is only created, and while it is paused.")]
fn killed_shim_of_a_paused_one(case: &mut Case) {
    compare(case, |telling| {
        for paused in [false, true] {
            let bundle = telling.bundle("exec sleep 1000");
            let task = telling.shim(&bundle);
            let pid = telling.must("create", task.create(&Stdio3::default()));
            if paused {
                telling.must("start", task.start(""));
                telling.must("pause", task.pause());
            }
            end(telling.shim_pid());
            let deleted = telling.call.delete(&bundle.path, "c").expect("delete");
            telling.note("status", deleted.exit_status);
            telling.case.until_ended(pid.cast_signed());
        }
    });
}

#[convention("`delete` of what never was, in a bundle without anything.")]
fn delete_of_nothing(case: &mut Case) {
    // The shim of Go misses the file in which it keeps the runtime's name.
    alone(case, |telling| {
        let bundle = telling.bundle("true");
        telling.call.delete(&bundle.path, "c").expect("delete");
    });
}

#[convention(
    "The runtime is killed in the middle of `create`: the error is told, and nothing is left but an id that is free."
)]
fn killed_runtime(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        // After some time of its own, so that it is hit at another place each time.
        let killer = telling
            .case
            .directory
            .join(format!("killer-{}", telling.is_tested));
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *create*) ;; *) exec {runtime} \"$@\";; esac\nn=$(cat {path}.n); echo $((n + 1)) >{path}.n\n\
             {runtime} \"$@\" & sleep 0.00$n; kill -9 $!; wait $!; kill -9 $$\n",
            path = killer.display(),
            runtime = telling.runtime
        );
        fs::write(&killer, script).expect("a script");
        fs::write(killer.with_extension("n"), "1").expect("a file");
        fs::write(format!("{}.n", killer.display()), "1").expect("a file");
        fs::set_permissions(&killer, fs::Permissions::from_mode(0o755)).expect("a script");
        let root = telling.root();
        let broken = options(|options| {
            options.binary_name = killer.to_string_lossy().into_owned();
            options.root = root;
        });
        for _ in 0..9 {
            let task = telling.shim(&bundle);
            let answer = task.create_with(|request| {
                request.options = MessageField::some(broken.clone());
                request.rootfs = vec![bound_root(&bundle.rootfs())];
            });
            telling.tell("create", answer);
            if telling.is_tested {
                // Without anybody's `delete`.
                let pid = telling.shim_pid();
                telling
                    .case
                    .until("no process of the container is left", || {
                        descendants().keys().all(|one| *one == pid)
                    });
                let cgroups = cgroup_directories(telling.case.token());
                assert!(cgroups.is_empty(), "{cgroups:?}");
            }
            assert_eq!(mounts_below(&bundle.path), Vec::<PathBuf>::new());
            telling.shutdown(&task);
            // As containerd does it, with the options that it used.
            let _ = telling.call.delete(&bundle.path, "c");
        }
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        telling.finish(&task);
    });
}

#[convention(
    "containerd goes away and comes back: the shim goes on, and all events arrive in order."
)]
fn restarted_listener(case: &mut Case) {
    // The shim of Go tries again what failed behind what followed.
    alone(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        telling.until("/tasks/start", "c", "");
        telling.listener.pause();
        exec(telling, &task, "e", "exit 4");
        telling.must("wait", task.wait("e"));
        telling.must("delete exec", task.delete("e"));
        telling.listener.resume();
        telling.until("/tasks/exit", "c", "e");
        // What containerd does to find its tasks again.
        let again = task.reconnect();
        telling.tell_state(&again, "");
        let address = fs::read_to_string(bundle.path.join("address")).unwrap_or_default();
        telling.note("the address is in the bundle", address == task.address);
        telling.finish(&again);
        assert_a_whole_life(telling);
    });
}

/// What was heard is the life of a container in which one exec ended first.
fn assert_a_whole_life(telling: &Telling) {
    let topics = telling.listener.heard().into_iter();
    let topics: Vec<String> = topics.map(|event| event.topic).collect();
    let wanted = [
        "create",
        "start",
        "exec-added",
        "exec-started",
        "exit",
        "exit",
        "delete",
    ];
    assert_eq!(topics, wanted.map(|name| format!("/tasks/{name}")));
}

/// Sends a request and goes without waiting for its answer.
fn ask_and_leave(task: &Task, method: &str, payload: Vec<u8>) {
    let path = task.address.trim_start_matches("unix://");
    let mut socket = UnixStream::connect(path).expect("the shim's socket");
    let request = Request {
        service: "containerd.task.v2.Task".to_owned(),
        method: method.to_owned(),
        payload,
        ..Request::default()
    };
    let body = request.write_to_bytes().expect("a message");
    let length = u32::try_from(body.len()).expect("a small message");
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend(1_u32.to_be_bytes());
    // Type of a request, no flags.
    frame.extend([1, 0]);
    frame.extend(body);
    std::io::Write::write_all(&mut socket, &frame).expect("the shim's socket");
}

#[convention(
    "Clients that ask and leave, or that send half a message: no descriptor is left, others are answered."
)]
fn clients_that_leave(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        let pid = telling.shim_pid();
        // The first requests load what stays loaded.
        telling.tell_state(&task, "");
        let before = descriptors(pid);
        let wait = WaitRequest {
            id: "c".to_owned(),
            ..WaitRequest::default()
        };
        let wait = wait.write_to_bytes().expect("a message");
        for _ in 0..50 {
            ask_and_leave(&task, "Wait", wait.clone());
            ask_and_leave(&task, "Stats", wait.clone());
            let path = task.address.trim_start_matches("unix://");
            let mut half = UnixStream::connect(path).expect("the shim's socket");
            std::io::Write::write_all(&mut half, &[0, 0, 1]).expect("the shim's socket");
            let mut nonsense = UnixStream::connect(path).expect("the shim's socket");
            std::io::Write::write_all(&mut nonsense, &[0xff; 64]).expect("the shim's socket");
        }
        telling.tell_state(&task, "");
        let now = || descriptors(pid);
        for _ in 0..200 {
            if now().len() <= before.len() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let now = now();
        // The shim of Go keeps some.
        let closed = now.len() <= before.len() || !telling.is_tested;
        assert!(closed, "{now:?}\nbefore: {before:?}\n{}", task.log());
        telling.finish(&task);
    });
}

#[convention(
    "Clients that ask for a container, its start, an exec and its deletion, and leave at once: all of it happens."
)]
fn asked_and_left(case: &mut Case) {
    // The shim of Go stops in the middle.
    alone(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        let message = |message: &dyn MessageDyn| message.write_to_bytes_dyn().expect("a message");
        let create = CreateTaskRequest {
            id: "c".to_owned(),
            bundle: bundle.path.to_string_lossy().into_owned(),
            options: MessageField::some(telling.options()),
            ..CreateTaskRequest::default()
        };
        ask_and_leave(&task, "Create", message(&create));
        telling.until("/tasks/create", "c", "");
        let start = StartRequest {
            id: "c".to_owned(),
            ..StartRequest::default()
        };
        ask_and_leave(&task, "Start", message(&start));
        telling.until("/tasks/start", "c", "");
        telling.must(
            "exec",
            task.exec("e", &crate::service::process("exit 3"), &Stdio3::default()),
        );
        let start = StartRequest {
            exec_id: "e".to_owned(),
            ..start
        };
        ask_and_leave(&task, "Start", message(&start));
        telling.until("/tasks/exit", "c", "e");
        telling.must("kill", task.kill("", 9));
        telling.until("/tasks/exit", "c", "");
        let delete = DeleteRequest {
            id: "c".to_owned(),
            ..DeleteRequest::default()
        };
        ask_and_leave(&task, "Delete", message(&delete));
        telling.until("/tasks/delete", "c", "");
        task.state("").expect_err("it is deleted");
        telling.shutdown(&task);
        assert_a_whole_life(telling);
    });
}

#[convention("A client that nobody can read from: `Create` and `Start` return all the same.")]
fn dead_fifos(case: &mut Case) {
    // The shim of Go waits for ever.
    alone(case, |telling| {
        let bundle = telling.bundle("echo word; exec sleep 1000");
        let task = telling.shim(&bundle);
        let streams = Stdio3 {
            stdout: crate::streams::fifo(&telling.case.directory.join("out")),
            ..Stdio3::default()
        };
        let waiting = {
            let task = task.reconnect();
            let streams = streams.clone();
            crate::streams::meanwhile(move || task.create(&streams))
        };
        // Others are answered meanwhile.
        std::thread::sleep(Duration::from_millis(100));
        telling.tell_state(&task, "");
        waiting.join().expect("a thread").expect("create");
        telling.must("start", task.start(""));
        telling.finish(&task);
    });
}

/// What is mounted on the bundle's place is full.
#[convention(
    "A full disk below the bundle: `Create` and `Exec` are refused, and work when there is room again."
)]
fn full_disk(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let small = telling
            .case
            .directory
            .join(format!("small-{}", telling.is_tested));
        fs::create_dir(&small).expect("a directory");
        let disk = rustix::mount::mount(
            "tmpfs",
            &small,
            "tmpfs",
            rustix::mount::MountFlags::empty(),
            Some(c"size=64k"),
        );
        disk.expect("a small disk");
        let fill = |telling: &Telling, full: bool| {
            let _ = telling;
            let path = small.join("filler");
            match full {
                true => drop(fs::write(&path, vec![0; 1 << 20])),
                false => fs::remove_file(&path).expect("the filler"),
            }
        };
        bundle.write();
        fs::copy(bundle.path.join("config.json"), small.join("config.json")).expect("a copy");
        let options = telling.options();
        let task = Task::start_shim(&telling.call, &small, "c", options).expect("start");
        let root = || bound_root(&bundle.rootfs());
        fill(telling, true);
        let full = task.create_with(|request| request.rootfs = vec![root()]);
        telling.note("create on a full disk", full.is_ok());
        let mounts = mounts_below(&small.join("rootfs"));
        telling.note("mounts", mounts);
        fill(telling, false);
        let made = task.create_with(|request| request.rootfs = vec![root()]);
        telling.must("create", made);
        telling.must("start", task.start(""));
        fill(telling, true);
        let added = task.exec("e", &crate::service::process("true"), &Stdio3::default());
        // Either refuses here, or when it is started.
        let started = added.and_then(|()| task.start("e"));
        telling.note("exec on a full disk", started.is_ok());
        fill(telling, false);
        let _ = task.delete("e");
        exec(telling, &task, "f", "exit 5");
        let ended = telling.must("wait", task.wait("f"));
        telling.note("exit status", ended.exit_status);
        telling.must("delete", task.delete("f"));
        telling.finish(&task);
        rustix::mount::unmount(&small, rustix::mount::UnmountFlags::DETACH).expect("unmount");
    });
}
