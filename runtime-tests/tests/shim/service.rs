//! Every method of the task service, and the events that go with them.

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::shim::oci::ProcessDetails;
use runtime_tests::{Case, convention};
use serde_json::{Value, json};

use crate::driver::{Stdio3, Task};
use crate::telling::{Telling, compare};

const CHAPTER: &str = "The shim: the task service";

/// A process to execute, from a line of shell.
pub fn process(line: &str) -> Value {
    json!({
        "args": ["/bin/sh", "-c", line],
        "cwd": "/",
        "env": ["PATH=/bin"],
        "user": {"uid": 0, "gid": 0},
    })
}

/// Adds an exec and starts it; both must work.
#[track_caller]
pub fn exec(telling: &mut Telling, task: &Task, exec_id: &str, line: &str) -> u32 {
    let added = task.exec(exec_id, &process(line), &Stdio3::default());
    telling.must("exec", added);
    let pid = telling.must("start", task.start(exec_id));
    telling.name(pid, exec_id);
    pid
}

/// What `Pids` says, without the pids themselves.
fn tell_pids(telling: &mut Telling, task: &Task) {
    let Some(answer) = telling.tell("pids", task.pids()) else {
        return;
    };
    let mut found: Vec<String> = answer
        .processes
        .iter()
        .map(|process| {
            let details = process.info.as_ref().map(|info| {
                let details = ProcessDetails::parse_from_bytes(&info.value).expect("details");
                format!("{} {}", info.type_url, details.exec_id)
            });
            format!("{} {details:?}", telling.named(process.pid))
        })
        .collect();
    found.sort();
    telling.note("processes", found);
}

#[convention(
    "A container's whole life by every method but `Checkpoint`: what they answer, and every event, in order."
)]
fn whole_life(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("trap 'exit 7' TERM; while :; do sleep 0.1; done");
        let task = telling.shim(&bundle);
        let pid = telling.must("create", task.create(&Stdio3::default()));
        telling.name(pid, "init");
        telling.tell_state(&task, "");
        let connected = telling.must("connect", task.connect());
        telling.note("task pid", telling.named(connected.task_pid));
        telling.must("start", task.start(""));
        telling.tell_state(&task, "");
        with_an_exec(telling, &task);
        telling.must("pause", task.pause());
        telling.tell_state(&task, "");
        telling.must("resume", task.resume());
        telling.tell_state(&task, "");
        telling.must("resize", task.resize("", 80, 24));
        telling.must("close stdin", task.close_stdin(""));
        telling.must("stats", task.stats());
        telling.must("kill", task.kill("", 15));
        let ended = telling.must("wait", task.wait(""));
        telling.note("exit status", ended.exit_status);
        telling.until("/tasks/exit", "c", "");
        telling.tell_state(&task, "");
        telling.tell("wait again", task.wait(""));
        telling.remove(&task);
        telling.tell_events();
    });
}

fn with_an_exec(telling: &mut Telling, task: &Task) {
    let added = task.exec("e", &process("exec sleep 1000"), &Stdio3::default());
    telling.must("exec", added);
    telling.tell_state(task, "e");
    let pid = telling.must("start exec", task.start("e"));
    telling.name(pid, "exec");
    telling.tell_state(task, "e");
    // A process of the shell's comes and goes.
    telling.must("pause", task.pause());
    tell_pids_of_two(telling, task);
    telling.must("resume", task.resume());
    telling.must("kill exec", task.kill("e", 9));
    let ended = telling.must("wait exec", task.wait("e"));
    telling.note("exit status", ended.exit_status);
    telling.until("/tasks/exit", "c", "e");
    telling.tell_state(task, "e");
    let deleted = telling.must("delete exec", task.delete("e"));
    telling.note("status at delete", deleted.exit_status);
    telling.note("pid at delete", telling.named(deleted.pid));
    telling.tell_state(task, "e");
}

fn tell_pids_of_two(telling: &mut Telling, task: &Task) {
    let answer = telling.must("pids", task.pids());
    for name in ["init", "exec"] {
        let process = answer
            .processes
            .iter()
            .find(|process| telling.named(process.pid) == name);
        let details = process.map(|process| {
            process.info.as_ref().map(|info| {
                let details = ProcessDetails::parse_from_bytes(&info.value).expect("details");
                format!("{} {}", info.type_url, details.exec_id)
            })
        });
        telling.note(name, details);
    }
}

#[convention("An exec that ends at once: its start is told before its end, and its code arrives.")]
fn short_execs(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        for number in 0..20 {
            let exec_id = format!("e{number}");
            exec(telling, &task, &exec_id, &format!("exit {number}"));
            let ended = telling.must("wait", task.wait(&exec_id));
            telling.note("exit status", ended.exit_status);
            telling.until("/tasks/exit", "c", &exec_id);
            telling.must("delete", task.delete(&exec_id));
        }
        tell_pids(telling, &task);
        telling.finish(&task);
        telling.tell_events();
    });
}

#[convention(
    "Init ends while execs run: their ends are told first, and every process is told once."
)]
fn execs_end_before_init(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        exec(telling, &task, "e", "exec sleep 1000");
        telling.finish(&task);
        telling.tell_events();
    });
}

#[convention("Two containers of one group share a shim, which goes with the last of them.")]
fn a_group(case: &mut Case) {
    compare(case, |telling| {
        let mut tasks = Vec::new();
        for id in ["one", "two"] {
            let mut bundle = telling.bundle("exec sleep 1000");
            bundle.config.set(
                "/annotations",
                json!({"io.kubernetes.cri.sandbox-id": "one"}),
            );
            let options = telling.options();
            let task = telling.shim_with(&bundle, id, options);
            telling.launch(&task, &Stdio3::default());
            tasks.push(task);
        }
        let [one, two] = &tasks[..] else {
            panic!("two")
        };
        telling.note("one address", one.address == two.address);
        let pids = [one, two].map(|task| task.connect().expect("connect").shim_pid);
        telling.note("one shim", pids[0] == pids[1]);
        telling.must("kill", one.kill("", 9));
        telling.must("wait", one.wait(""));
        telling.must("delete", one.delete(""));
        // Not the last one.
        one.shutdown();
        telling.tell_state(two, "");
        telling.finish(two);
    });
}

#[convention("A signal right after `Resume`: it arrives, and what the program does of it is told.")]
fn resumed_and_killed(case: &mut Case) {
    compare(case, |telling| {
        let rounds = if crate::crowds::is_full() { 200 } else { 5 };
        for _ in 0..rounds {
            let bundle = telling.bundle("trap 'exit 9' TERM; while :; do sleep 0.1; done");
            let task = telling.shim(&bundle);
            let pid = telling.must("create", task.create(&Stdio3::default()));
            telling.must("start", task.start(""));
            let status = format!("/proc/{pid}/status");
            telling.case.until("the trap is set", || {
                let text = std::fs::read_to_string(&status).unwrap_or_default();
                let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
                let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
                caught.is_some_and(|mask| mask & (1 << 14) != 0)
            });
            telling.must("pause", task.pause());
            telling.must("resume", task.resume());
            telling.must("kill", task.kill("", 15));
            let ended = telling.must("wait", task.wait(""));
            telling.note("exit status", ended.exit_status);
            telling.remove(&task);
        }
    });
}
