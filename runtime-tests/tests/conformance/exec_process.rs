//! `exec`: what the new process has from the container, and what from options.

use std::fs;

use runtime_tests::{Bundle, Case, Facts, convention, falls_without, must};
use serde_json::{Value, json};

use crate::exec::{exec, facts, launch, probe_process, refused, write_process};

const CHAPTER: &str = "exec: the process";

/// What the probe sees, executed from a `--process` file.
#[track_caller]
fn facts_of_file(case: &Case, id: &str, process: &Value) -> Facts {
    let path = write_process(case, process);
    let finished = exec(case, &["--process", &path], id, &[]).run().ok();
    Facts::parse(&finished.stdout)
}

#[convention("Without options `exec` has the identity of the container's process.")]
fn identity_of_the_container(case: &mut Case) {
    let mut bundle = case.bundle();
    let user = json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 7], "umask": 63});
    bundle.config.set("/process/user", user);
    let id = launch(case, &mut bundle);
    let facts = facts(case, &[], &id);
    assert_eq!(facts.status("Uid"), "1000 1000 1000 1000");
    assert_eq!(facts.status("Gid"), "1001 1001 1001 1001");
    assert_eq!(facts.status("Groups"), "5 7");
    if case.is_corten() {
        assert_eq!(facts.at("/umask"), &json!(63));
    }
    case.destroy(&id);
}

#[convention("`exec --user` takes numbers and the container's names.")]
fn user_by_option(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle
        .config
        .set("/process/user", json!({"uid": 0, "gid": 9}));
    let id = launch(case, &mut bundle);
    for (user, uid, gid) in [("1000", 1000, 9), ("1000:1001", 1000, 1001), ("0:0", 0, 0)] {
        let facts = facts(case, &["--user", user], &id);
        assert_eq!(facts.status("Uid"), format!("{uid} {uid} {uid} {uid}"));
        assert_eq!(facts.status("Gid"), format!("{gid} {gid} {gid} {gid}"));
    }
    case.destroy(&id);
}

#[convention("`exec --additional-gids` adds groups.")]
fn additional_gids(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let facts = facts(case, &["-g", "10", "-g", "20"], &id);
    assert_eq!(facts.status("Groups"), "10 20");
    case.destroy(&id);
}

#[convention("CVE-2026-30892: an odd `--user` becomes nobody else, least of all root.")]
#[falls_without("strict-ids")]
fn odd_users_are_refused(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let odd = [
        " ",
        ":",
        ":0",
        "1:",
        "x",
        "-1",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "1x",
        "1:x",
        "0x1",
        "+1",
        "1 0",
    ];
    for user in odd {
        let finished = refused(case, &[&format!("--user={user}")], &id, &["/bin/true"]);
        finished.says("--user");
    }
    case.destroy(&id);
}

#[convention("CVE-2016-3697: the image's passwd file does not turn a number into somebody else.")]
fn a_number_is_no_name(case: &mut Case) {
    let mut bundle = case.bundle();
    fs::write(bundle.rootfs().join("etc/passwd"), "1:x:0:0::/:/bin/sh\n").unwrap();
    let id = launch(case, &mut bundle);
    assert_eq!(facts(case, &["-u", "1"], &id).status("Uid"), "1 1 1 1");
    case.destroy(&id);
}

#[convention("Without options `exec` has the capabilities of the container's process.")]
fn capabilities_of_the_container(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let facts = facts(case, &[], &id);
    let wanted = 1 << 5 | 1 << 10 | 1 << 29;
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(facts.capabilities(set), wanted, "{set}");
    }
    assert_eq!(
        facts.capabilities("CapInh") | facts.capabilities("CapAmb"),
        0
    );
    case.destroy(&id);
}

#[convention(
    "`exec --cap` adds to the effective, permitted and bounding sets, never to inheritable or ambient (CVE-2022-29162)."
)]
#[falls_without("nothing-inheritable")]
fn capability_by_option(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let facts = facts(case, &["--cap", "CAP_NET_ADMIN"], &id);
    let wanted = 1 << 5 | 1 << 10 | 1 << 29 | 1 << 12;
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(facts.capabilities(set), wanted, "{set}");
    }
    assert_eq!(
        facts.capabilities("CapInh") | facts.capabilities("CapAmb"),
        0
    );
    case.destroy(&id);
}

#[convention("A user other than root has no capabilities in `exec` (CVE-2016-8867).")]
#[falls_without("nothing-ambient")]
fn capabilities_of_non_root(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/noNewPrivileges", json!(false));
    let id = launch(case, &mut bundle);
    let facts = facts(case, &["--user", "1000"], &id);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(facts.capabilities(set), 0, "{set}");
    }
    case.destroy(&id);
}

#[convention("`exec` keeps noNewPrivileges of the container.")]
fn no_new_privileges_are_kept(case: &mut Case) {
    for (wanted, options, seen) in [
        (true, &[][..], "1"),
        (false, &[], "0"),
        (false, &["--no-new-privs"], "1"),
    ] {
        let mut bundle = case.bundle();
        bundle.config.set("/process/noNewPrivileges", json!(wanted));
        let id = launch(case, &mut bundle);
        assert_eq!(facts(case, options, &id).status("NoNewPrivs"), seen);
        case.destroy(&id);
    }
}

fn refuse_mkdir(bundle: &mut Bundle) {
    let rules =
        json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}]);
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules});
    bundle.config.set("/linux/seccomp", profile);
}

#[convention("`exec` loads the container's seccomp filter.")]
fn seccomp_is_kept(case: &mut Case) {
    let mut bundle = case.bundle();
    refuse_mkdir(&mut bundle);
    let id = launch(case, &mut bundle);
    let calls = exec(case, &[], &id, &["/bin/probe", "call", "mkdir", "chdir"])
        .run()
        .ok();
    assert_eq!(calls.stdout, "mkdir 99\nchdir 0\n");
    case.destroy(&id);
}

#[convention("`exec` loads the seccomp filter when new privileges are allowed, too.")]
fn seccomp_without_no_new_privileges(case: &mut Case) {
    let mut bundle = case.bundle();
    refuse_mkdir(&mut bundle);
    bundle.config.set("/process/noNewPrivileges", json!(false));
    let id = launch(case, &mut bundle);
    let calls = exec(
        case,
        &["--user", "1000"],
        &id,
        &["/bin/probe", "call", "mkdir"],
    )
    .run()
    .ok();
    assert_eq!(calls.stdout, "mkdir 99\n");
    case.destroy(&id);
}

#[convention("`exec` has the container's rlimits and oom score.")]
fn limits_are_kept(case: &mut Case) {
    let mut bundle = case.bundle();
    let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}]);
    bundle.config.set("/process/rlimits", limits);
    bundle.config.set("/process/oomScoreAdj", json!(321));
    let id = launch(case, &mut bundle);
    let facts = facts(case, &[], &id);
    assert_eq!(facts.at("/limits/Max open files"), &json!(["77", "88"]));
    assert_eq!(facts.text("/oom_score_adj"), "321");
    case.destroy(&id);
}

#[convention("`exec --env` adds to the container's environment.")]
fn environment(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.push("/process/env", json!("KEPT=1"));
    bundle.config.push("/process/env", json!("CHANGED=1"));
    let id = launch(case, &mut bundle);
    let facts = facts(case, &["-e", "CHANGED=2", "-e", "NEW=a b=c"], &id);
    assert_eq!(facts.env("KEPT"), Some("1"));
    assert_eq!(facts.env("CHANGED"), Some("2"));
    assert_eq!(facts.env("NEW"), Some("a b=c"));
    case.destroy(&id);
}

#[convention("HOME of `exec` is from the container's own passwd file.")]
fn home(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    assert_eq!(facts(case, &[], &id).env("HOME"), Some("/root"));
    assert_eq!(
        facts(case, &["-u", "1000"], &id).env("HOME"),
        Some("/home/user")
    );
    case.destroy(&id);
}

#[convention("`exec --cwd` is a directory of the container.")]
fn working_directory(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/cwd", json!("/var"));
    let id = launch(case, &mut bundle);
    assert_eq!(facts(case, &[], &id).text("/cwd"), "/var");
    assert_eq!(facts(case, &["--cwd", "/tmp"], &id).text("/cwd"), "/tmp");
    case.destroy(&id);
}

#[convention("A working directory of `exec` that is not there is an error.")]
fn working_directory_must_exist(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    refused(case, &["--cwd", "/none"], &id, &["/bin/true"]).says("no such file or directory");
    assert!(!bundle.rootfs().join("none").exists());
    case.destroy(&id);
}

/// All that engines use.
#[convention("`exec --process FILE` says everything itself.")]
fn process_file(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let facts = facts_of_file(case, &id, &probe_process());
    assert_eq!(facts.status("Uid"), "1000 1000 1000 1000");
    assert_eq!(facts.capabilities("CapBnd"), 1);
    assert_eq!((facts.env("A"), facts.env("PATH")), (Some("1"), None));
    assert_eq!(facts.text("/cwd"), "/tmp");
    case.destroy(&id);
}

#[convention("`exec --process` may be a pipe, and waits for whoever writes it.")]
fn process_of_a_slow_writer(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let file = case.directory.join("process.json");
    fs::write(&file, probe_process().to_string()).unwrap();
    let line = format!(
        "{{ sleep 0.3; cat {}; }} | {} --root {} exec --process /dev/stdin {id}",
        file.display(),
        case.runtime_path(),
        case.state_root().display(),
    );
    let finished = case.program("sh").args(["-c", &line]).run().ok();
    let facts = Facts::parse(&finished.stdout);
    assert_eq!(facts.text("/cwd"), "/tmp");
    case.destroy(&id);
}

/// Nobody gains privileges by leaving something out.
#[convention("`exec --process` without noNewPrivileges keeps the container's.")]
fn process_file_keeps_no_new_privileges(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let mut process = probe_process();
    assert_eq!(facts_of_file(case, &id, &process).status("NoNewPrivs"), "1");
    process["noNewPrivileges"] = json!(false);
    assert_eq!(facts_of_file(case, &id, &process).status("NoNewPrivs"), "0");
    case.destroy(&id);
}

/// `exec` reads our own copy.
#[must("Any updates to config.json after this step MUST NOT affect the container.")]
fn our_copy_of_the_config(case: &mut Case) {
    case.only_corten();
    let mut bundle = case.bundle();
    refuse_mkdir(&mut bundle);
    let id = launch(case, &mut bundle);
    bundle.write_raw(b"{}");
    let calls = exec(case, &[], &id, &["/bin/probe", "call", "mkdir"])
        .run()
        .ok();
    assert_eq!(calls.stdout, "mkdir 99\n");
    case.destroy(&id);
}

#[convention("Options end at the container's id; what follows is the program's.")]
fn options_stop_at_the_id(case: &mut Case) {
    let mut bundle = case.bundle();
    let id = launch(case, &mut bundle);
    let said = exec(case, &[], &id, &["/bin/echo", "--tty", "-e", "--", "x"])
        .run()
        .ok();
    assert_eq!(said.stdout, "--tty -e -- x\n");
    case.destroy(&id);
}
