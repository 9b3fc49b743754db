//! What is refused, with which code; and that nothing is left of it.

use std::fs;

use containerd_shim_protos::api::Mount;
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use runtime_tests::{Bundle, Case, convention, mounts_below};
use serde_json::json;

use crate::driver::{Stdio3, Task, options};
use crate::service::process;
use crate::telling::{Telling, compare};

const CHAPTER: &str = "The shim: bad input";

fn nowhere() -> Stdio3 {
    Stdio3::default()
}

/// A fifo that is missing where it could be made.
fn lost(bundle: &Bundle) -> Stdio3 {
    Stdio3 {
        stdout: bundle.path.join("nosuch").to_string_lossy().into_owned(),
        ..nowhere()
    }
}

/// Every method with the ids that `task` has, but for `Create`.
fn tell_every_method(telling: &mut Telling, task: &Task, exec_id: &str) {
    let words = |method: &str| format!("{method} of {} {exec_id:?}", task.id);
    telling.tell(&words("state"), task.state(exec_id));
    telling.tell(&words("start"), task.start(exec_id));
    telling.tell(&words("kill"), task.kill(exec_id, 15));
    telling.tell(&words("resize"), task.resize(exec_id, 80, 24));
    telling.tell(&words("close stdin"), task.close_stdin(exec_id));
    telling.tell(&words("wait"), task.wait(exec_id));
    telling.tell(&words("delete"), task.delete(exec_id));
}

#[convention("Ids that are unknown, to every method.")]
fn unknown_ids(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        tell_every_method(telling, &task, "");
        tell_every_method(telling, &task, "e");
        telling.tell("pids", task.pids());
        telling.tell("pause", task.pause());
        telling.tell("resume", task.resume());
        telling.tell("stats", task.stats());
        telling.tell("update", task.update(b"{}"));
        telling.tell(
            "checkpoint",
            task.checkpoint("/nosuch/image", Any::default()),
        );
        telling.tell("exec", task.exec("e", &process("true"), &nowhere()));
        telling.launch(&task, &nowhere());
        tell_every_method(telling, &task, "e");
        telling.finish(&task);
    });
}

#[convention("Ids that are taken, of a container and of an exec.")]
fn taken_ids(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &nowhere());
        telling.tell("create again", task.create(&nowhere()));
        telling.must(
            "exec",
            task.exec("e", &process("exec sleep 1000"), &nowhere()),
        );
        telling.tell("exec again", task.exec("e", &process("true"), &nowhere()));
        telling.must("start", task.start("e"));
        telling.tell(
            "exec of one that runs",
            task.exec("e", &process("true"), &nowhere()),
        );
        telling.tell_state(&task, "");
        telling.finish(&task);
    });
}

#[convention("Methods in a state that they are not for: created, running, paused, stopped.")]
fn wrong_states(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.must("create", task.create(&nowhere()));
        telling.tell("resume a created one", task.resume());
        telling.tell("pause a created one", task.pause());
        telling.tell_state(&task, "");
        telling.must(
            "exec",
            task.exec("e", &process("exec sleep 1000"), &nowhere()),
        );
        telling.must("start", task.start(""));
        telling.tell("start twice", task.start(""));
        telling.tell("delete a running one", task.delete(""));
        telling.tell("resume a running one", task.resume());
        telling.tell("kill an exec before its start", task.kill("e", 9));
        telling.must("start an exec", task.start("e"));
        telling.tell("start an exec twice", task.start("e"));
        telling.tell("delete a running exec", task.delete("e"));
        telling.must("kill an exec", task.kill("e", 9));
        telling.must("wait for an exec", task.wait("e"));
        telling.until("/tasks/exit", "c", "e");
        telling.tell("kill an exec that is gone", task.kill("e", 9));
        telling.tell("start an exec that is gone", task.start("e"));
        telling.tell("resize an exec that is gone", task.resize("e", 1, 1));
        telling.must("delete an exec", task.delete("e"));
        telling.tell("kill an exec that was deleted", task.kill("e", 9));
        telling.must("pause", task.pause());
        telling.tell("start a paused one", task.start(""));
        telling.tell("delete a paused one", task.delete(""));
        telling.must("resume", task.resume());
        telling.must("kill", task.kill("", 9));
        telling.must("wait", task.wait(""));
        telling.until("/tasks/exit", "c", "");
        for (what, answer) in [
            ("kill a stopped one", task.kill("", 9)),
            ("kill all of a stopped one", task.kill_all(9)),
            ("pause a stopped one", task.pause()),
            ("resume a stopped one", task.resume()),
            (
                "exec in a stopped one",
                task.exec("f", &process("true"), &nowhere()),
            ),
            (
                "checkpoint a stopped one",
                task.checkpoint("/nosuch/image", Any::default()),
            ),
        ] {
            telling.tell(what, answer);
        }
        telling.tell("start a stopped one", task.start(""));
        telling.remove(&task);
    });
}

#[convention(
    "An exec that is deleted before it is started, and a created container that is deleted."
)]
fn deleted_before_the_start(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        let pid = telling.must("create", task.create(&nowhere()));
        telling.name(pid, "init");
        telling.must("exec", task.exec("e", &process("true"), &nowhere()));
        if let Some(deleted) = telling.tell("delete an exec", task.delete("e")) {
            telling.note("its status", deleted.exit_status);
        }
        telling.tell_state(&task, "e");
        if let Some(deleted) = telling.tell("delete a created one", task.delete("")) {
            telling.note("its pid", telling.named(deleted.pid));
        }
        telling.tell_state(&task, "");
        telling.shutdown(&task);
    });
}

#[convention("Signals that do not exist, and a process that is none.")]
fn nonsense(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &nowhere());
        telling.tell("signal 0", task.kill("", 0));
        telling.tell("signal 99", task.kill("", 99));
        telling.tell("signal 4294967295", task.kill("", u32::MAX));
        telling.tell("no resources", task.update(b""));
        telling.tell("resources that are none", task.update(b"[1"));
        telling.tell("no process", task.exec_raw("e", Vec::new(), &nowhere()));
        telling.tell(
            "half a process",
            task.exec_raw("f", b"{\"args\":".to_vec(), &nowhere()),
        );
        let missing = json!({"args": ["/nosuch"], "cwd": "/", "user": {"uid": 0, "gid": 0}});
        telling.must(
            "exec of a missing program",
            task.exec("g", &missing, &nowhere()),
        );
        telling.tell("its start", task.start("g"));
        telling.tell("its wait", task.wait("g"));
        telling.tell("its delete", task.delete("g"));
        let lost = lost(&bundle);
        telling.tell(
            "exec with lost streams",
            task.exec("h", &process("true"), &lost),
        );
        telling.tell("its start", task.start("h"));
        telling.tell("its delete", task.delete("h"));
        telling.finish(&task);
    });
}

/// That a `create` which failed has left neither a container nor a mount.
fn tell_nothing_is_there(telling: &mut Telling, task: &Task) {
    telling.tell_state(task, "");
    // containerd does this for the shim of Go, which may leave the container.
    if !telling.is_tested {
        let _ = telling.call.delete(&task.bundle, "c");
    }
    let mounts = mounts_below(&task.bundle);
    telling.note("mounts", mounts);
}

#[convention(
    "Create: options of an unknown type, a bundle that is missing, a config that is none, a program that is missing, a mount that fails."
)]
fn creates_that_fail(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        let unknown = Any {
            type_url: "io.example.Nonsense".to_owned(),
            value: vec![1, 2, 3],
            ..Any::default()
        };
        let answer = task.create_with(|request| request.options = MessageField::some(unknown));
        telling.tell("options of an unknown type", answer);
        tell_nothing_is_there(telling, &task);
        let answer = task.create_with(|request| request.bundle = "/nosuch/bundle".to_owned());
        telling.tell("a missing bundle", answer);
        tell_nothing_is_there(telling, &task);
        let missing = options(|options| options.binary_name = "/nosuch/runtime".to_owned());
        let answer = task.create_with(|request| request.options = MessageField::some(missing));
        telling.tell("a missing runtime", answer);
        tell_nothing_is_there(telling, &task);
        let mount = |kind: &str, source: &str| Mount {
            type_: kind.to_owned(),
            source: source.to_owned(),
            ..Mount::default()
        };
        let answer = task.create_with(|request| {
            request.rootfs = vec![mount("tmpfs", "tmpfs"), mount("nosuch", "nosuch")];
        });
        telling.tell("a mount that fails", answer);
        tell_nothing_is_there(telling, &task);
        let answer = task.create_with(|request| request.rootfs = vec![mount("tmpfs", "tmpfs")]);
        telling.tell("a root without the program", answer);
        tell_nothing_is_there(telling, &task);
        let lost = lost(&bundle);
        telling.tell("lost streams", task.create(&lost));
        tell_nothing_is_there(telling, &task);
        fs::write(bundle.path.join("config.json"), "{").expect("config.json");
        telling.tell("a config that is none", task.create(&nowhere()));
        tell_nothing_is_there(telling, &task);
        bundle.write();
        telling.launch(&task, &nowhere());
        telling.finish(&task);
        telling.tell_events();
    });
}

#[convention(
    "`start` without a config, with options of an unknown type, in a bundle that is none."
)]
fn starts_that_fail(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("true");
        let options = telling.options();
        let start = |telling: &Telling, options: &Any| {
            Task::start_shim(&telling.call, &bundle.path, "c", options.clone()).map(|task| {
                task.shutdown();
            })
        };
        telling.note("without a config", start(telling, &options).is_ok());
        bundle.write_raw(b"{");
        telling.note("with half a config", start(telling, &options).is_ok());
        telling.call.environment = vec![("SCHED_CORE".to_owned(), "1".to_owned())];
        bundle.write();
        telling.note("with SCHED_CORE", start(telling, &options).is_ok());
    });
}
