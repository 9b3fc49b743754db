//! `binary://` and `file://`: output that goes to a program or a file of the host.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use runtime_tests::{Case, convention};

use crate::driver::Stdio3;
use crate::service::process;
use crate::telling::{Telling, compare};

const CHAPTER: &str = "The shim: loggers";

/// A directory of this telling, and the path of a program in it.
fn program(telling: &Telling, name: &str, text: &str) -> (PathBuf, String) {
    let directory = telling
        .case
        .directory
        .join(format!("log-{}", telling.is_tested));
    let _ = fs::create_dir(&directory);
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    let uri = format!("binary://{}", path.display());
    (directory, uri)
}

fn to(uri: &str) -> Stdio3 {
    Stdio3 {
        stdout: uri.to_owned(),
        stderr: uri.to_owned(),
        ..Stdio3::default()
    }
}

/// Writes down arguments, environment and both streams, and says when it is ready.
const WRITES_DOWN: &str = "cd ${0%/*}; echo \"$*\" >$CONTAINER_ID.arguments; \
    echo $CONTAINER_NAMESPACE >$CONTAINER_ID.namespace; \
    cat <&3 >$CONTAINER_ID.out 5>&- & cat <&4 >$CONTAINER_ID.err 5>&- & exec 5>&-; wait; echo >$CONTAINER_ID.ended";

#[convention(
    "binary://: a program gets both streams, its arguments and whose they are; it has ended when the container is deleted."
)]
fn a_program(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("echo out; echo err >&2; seq 1 20000; exit 3");
        let task = telling.shim(&bundle);
        let (directory, uri) = program(telling, "logger", WRITES_DOWN);
        telling.launch(&task, &to(&format!("{uri}?key=some%20value")));
        let ended = telling.must("wait", task.wait(""));
        telling.note("exit status", ended.exit_status);
        telling.remove(&task);
        // The shim of Go ends its loggers with a signal, and they may still write.
        let out = directory.join("c.out");
        let complete = || fs::read_to_string(&out).is_ok_and(|text| text.ends_with("20000\n"));
        match telling.is_tested {
            true => assert!(complete() && directory.join("c.ended").exists()),
            false => telling.case.until("the logger writes", complete),
        }
        for name in ["arguments", "err"] {
            let text = fs::read_to_string(directory.join(format!("c.{name}")));
            telling.note(name, text.expect("written by the logger"));
        }
        let out = fs::read_to_string(directory.join("c.out")).expect("written by the logger");
        telling.note("out", (out.len(), out.lines().last()));
        let namespace = fs::read_to_string(directory.join("c.namespace"));
        let own = telling.case.token() == namespace.expect("written by the logger").trim();
        telling.note("its namespace", own);
    });
}

#[convention("binary://: a logger of an exec.")]
fn a_program_for_an_exec(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("exec sleep 1000");
        let task = telling.shim(&bundle);
        telling.launch(&task, &Stdio3::default());
        let (directory, uri) = program(telling, "logger", WRITES_DOWN);
        let added = task.exec("e", &process("echo in an exec"), &to(&uri));
        telling.must("exec", added);
        telling.must("start", task.start("e"));
        telling.must("wait", task.wait("e"));
        telling.must("delete", task.delete("e"));
        let out = directory.join("e.out");
        telling.case.until("the logger writes", || {
            fs::read_to_string(&out).is_ok_and(|text| !text.is_empty())
        });
        telling.note(
            "out",
            fs::read_to_string(&out).expect("written by the logger"),
        );
        telling.finish(&task);
    });
}

#[convention(
    "binary://: a program that is missing, or that ends before it is ready; nothing of the container is left."
)]
fn programs_that_fail(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("echo out");
        let task = telling.shim(&bundle);
        telling.tell(
            "create with a missing one",
            task.create(&to("binary:///nosuch")),
        );
        telling.tell_state(&task, "");
        let (_, uri) = program(telling, "fails", "exit 1");
        telling.tell("create with one that ends", task.create(&to(&uri)));
        if telling.tell("kill", task.kill("", 9)).is_some() {
            telling.must("wait", task.wait(""));
            telling.tell("delete", task.delete(""));
        }
        telling.shutdown(&task);
    });
}

#[convention("A logger that ends early: the container goes on, and its output is dropped.")]
fn a_program_that_ends(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle(
            "trap '' PIPE; while ! test -e /tmp/go; do sleep 0.05; done; seq 1 100000; exit 4",
        );
        let task = telling.shim(&bundle);
        let (directory, uri) = program(telling, "ends", "exec 5>&-; : >${0%/*}/ended");
        telling.launch(&task, &to(&uri));
        telling
            .case
            .until("the logger ends", || directory.join("ended").exists());
        fs::write(bundle.rootfs().join("tmp/go"), "").expect("a file");
        let ended = telling.must("wait", task.wait(""));
        telling.note("exit status", ended.exit_status);
        telling.remove(&task);
    });
}

#[convention("file://: a file in a directory that is made, appended to.")]
fn a_file(case: &mut Case) {
    compare(case, |telling| {
        let directory = telling
            .case
            .directory
            .join(format!("files-{}", telling.is_tested));
        let path = directory.join("below/log");
        for _ in 0..2 {
            let bundle = telling.bundle("echo out; echo err >&2");
            let task = telling.shim(&bundle);
            telling.launch(&task, &to(&format!("file://{}", path.display())));
            telling.must("wait", task.wait(""));
            telling.remove(&task);
        }
        let text = fs::read_to_string(&path).expect("the file");
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        telling.note("lines", lines);
        let mode = fs::metadata(&path).expect("the file").permissions().mode();
        telling.note("mode", format!("{mode:o}"));
    });
}

#[convention("A scheme that nobody knows.")]
fn another_scheme(case: &mut Case) {
    compare(case, |telling| {
        let bundle = telling.bundle("echo out");
        let task = telling.shim(&bundle);
        telling.tell("create", task.create(&to("gopher:///x")));
        telling.tell_state(&task, "");
        telling.shutdown(&task);
    });
}
