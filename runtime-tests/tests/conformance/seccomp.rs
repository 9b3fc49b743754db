//! config-linux.md, "Seccomp".

use runtime_tests::{Case, convention, must};
use serde_json::{Value, json};

const CHAPTER: &str = "config-linux.md: Seccomp";

/// What a static program needs to live, and a runtime to start it.
const NEEDED: &str = "\
    read write close fstat newfstatat mmap mprotect munmap brk rt_sigaction rt_sigprocmask \
    rt_sigreturn sigaltstack arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom \
    exit exit_group execve execveat poll ppoll sched_getaffinity futex gettid getpid tgkill \
    readlink readlinkat prctl fcntl ioctl open openat close_range writev mremap madvise lseek \
    capset capget setuid setgid setgroups setresuid setresgid chdir fchdir getcwd getppid fchown \
    fstatfs statx getdents64 stat lstat epoll_ctl epoll_pwait nanosleep clone clone3 sendmsg \
    recvmsg sendto recvfrom seccomp faccessat2 faccessat access epoll_create1 pipe2 eventfd2 \
    getuid geteuid getgid getegid unlinkat uname sched_yield tkill dup3 umask keyctl";

fn profile(default: &str, rules: Value) -> Value {
    json!({"defaultAction": default, "syscalls": rules})
}

fn calls(case: &mut Case, seccomp: Value, names: &[&str]) -> String {
    let mut bundle = case.bundle();
    bundle.config.set("/linux/seccomp", seccomp);
    let mut args = vec!["/bin/probe", "call"];
    args.extend_from_slice(names);
    bundle.config.args(&args);
    case.run(&bundle).ok().stdout
}

/// EPERM by default.
#[must("action (string, REQUIRED) - the action for seccomp rules: SCMP_ACT_ERRNO.")]
fn errno(case: &mut Case) {
    let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]);
    assert_eq!(
        calls(case, profile("SCMP_ACT_ALLOW", rules), &["mkdir", "chdir"]),
        "mkdir 1\nchdir 0\n"
    );
}

#[must("errnoRet (uint, OPTIONAL) - the errno return code to use.")]
fn errno_value(case: &mut Case) {
    let rules =
        json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}]);
    assert_eq!(
        calls(case, profile("SCMP_ACT_ALLOW", rules), &["mkdir"]),
        "mkdir 99\n"
    );
}

/// All that is not listed, with `defaultErrnoRet`.
#[must("defaultAction (string, REQUIRED) - the default action for seccomp.")]
fn default_deny(case: &mut Case) {
    let names: Vec<&str> = NEEDED.split_whitespace().collect();
    let mut seccomp = profile(
        "SCMP_ACT_ERRNO",
        json!([{"names": names, "action": "SCMP_ACT_ALLOW"}]),
    );
    seccomp["defaultErrnoRet"] = json!(22);
    let output = calls(case, seccomp, &["mkdir", "getpriority", "sched_yield"]);
    assert_eq!(output, "mkdir 22\ngetpriority 22\nsched_yield 0\n");
}

/// An argument decides.
#[must(
    "args (array of objects, OPTIONAL) - the specific syscall in seccomp: index, value, valueTwo, op."
)]
fn arguments(case: &mut Case) {
    let arguments = json!([{"index": 2, "value": 2, "op": "SCMP_CMP_EQ"}]);
    let rules = json!([{"names": ["setpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": arguments}]);
    let output = calls(
        case,
        profile("SCMP_ACT_ALLOW", rules),
        &["setpriority", "setpriority2"],
    );
    assert_eq!(output, "setpriority 0\nsetpriority2 77\n");
}

/// The process dies of SIGSYS, and the runtime reports that.
#[must("action (string, REQUIRED) - the action for seccomp rules: SCMP_ACT_KILL_PROCESS.")]
fn kill(case: &mut Case) {
    let mut bundle = case.bundle();
    let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}]);
    bundle
        .config
        .set("/linux/seccomp", profile("SCMP_ACT_ALLOW", rules));
    bundle.config.args(&["/bin/probe", "call", "mkdir"]);
    case.run(&bundle).exits(128 + 31);
}

/// It lets the call through.
#[must("action (string, REQUIRED) - the action for seccomp rules: SCMP_ACT_LOG.")]
fn log_and_allow(case: &mut Case) {
    let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_LOG"}]);
    assert_eq!(
        calls(case, profile("SCMP_ACT_ALLOW", rules), &["mkdir"]),
        "mkdir 0\n"
    );
}

#[convention("The filter works as well when new privileges are allowed.")]
fn without_no_new_privileges(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/noNewPrivileges", json!(false));
    let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]);
    bundle
        .config
        .set("/linux/seccomp", profile("SCMP_ACT_ALLOW", rules));
    let facts = case.facts(&bundle);
    assert_eq!(
        (facts.status("NoNewPrivs"), facts.status("Seccomp")),
        ("0", "2")
    );
}

#[convention(
    "The filter works when new privileges are allowed, also for a user who could not load it himself."
)]
fn without_no_new_privileges_as_user(case: &mut Case) {
    let mut bundle = case.bundle();
    bundle.config.set("/process/noNewPrivileges", json!(false));
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}]);
    bundle
        .config
        .set("/linux/seccomp", profile("SCMP_ACT_ALLOW", rules));
    bundle.config.args(&["/bin/probe", "call", "mkdir"]);
    assert_eq!(case.run(&bundle).ok().stdout, "mkdir 5\n");
}

#[convention("A profile may name system calls of other kernels.")]
fn unknown_name_is_ignored(case: &mut Case) {
    let rules =
        json!([{"names": ["no_such_call", "mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]);
    assert_eq!(
        calls(case, profile("SCMP_ACT_ALLOW", rules), &["mkdir"]),
        "mkdir 1\n"
    );
}

/// SIGSYS ends a program without a handler.
#[must("action (string, REQUIRED) - the action for seccomp rules: SCMP_ACT_TRAP.")]
fn trap_kills(case: &mut Case) {
    let mut bundle = case.bundle();
    let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_TRAP"}]);
    bundle
        .config
        .set("/linux/seccomp", profile("SCMP_ACT_ALLOW", rules));
    // Not pid 1, which a signal without a handler would not end.
    bundle.config.shell("/bin/probe call mkdir; echo $?");
    assert_eq!(case.run(&bundle).ok().stdout, "159\n");
}

/// Each operator, on a call that is made with 1 and with 2.
#[must(
    "op (string, REQUIRED) - the operator for syscall arguments in seccomp: SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE, SCMP_CMP_EQ, SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ."
)]
fn operators(case: &mut Case) {
    // With `value`, whether the calls with 1 and with 2 are refused.
    for (operator, value, wanted) in [
        ("SCMP_CMP_NE", 1, "setpriority 0\nsetpriority2 77\n"),
        ("SCMP_CMP_LT", 2, "setpriority 77\nsetpriority2 0\n"),
        ("SCMP_CMP_LE", 1, "setpriority 77\nsetpriority2 0\n"),
        ("SCMP_CMP_EQ", 1, "setpriority 77\nsetpriority2 0\n"),
        ("SCMP_CMP_GE", 2, "setpriority 0\nsetpriority2 77\n"),
        ("SCMP_CMP_GT", 1, "setpriority 0\nsetpriority2 77\n"),
        // The mask is `value` here, and `valueTwo` what is compared.
        ("SCMP_CMP_MASKED_EQ", 2, "setpriority 0\nsetpriority2 77\n"),
    ] {
        let argument = json!([{"index": 2, "value": value, "valueTwo": 2, "op": operator}]);
        let rules = json!([{"names": ["setpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77,
            "args": argument}]);
        let profile = profile("SCMP_ACT_ALLOW", rules);
        let output = calls(case, profile, &["setpriority", "setpriority2"]);
        assert_eq!(output, wanted, "{operator}");
    }
}

/// All of one rule, not one of them.
#[must("args (array of objects, OPTIONAL) - the specific syscall in seccomp.")]
fn arguments_must_all_match(case: &mut Case) {
    let rules = json!([{"names": ["setpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": [
        {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 2, "op": "SCMP_CMP_EQ"}]}]);
    let profile = profile("SCMP_ACT_ALLOW", rules);
    let output = calls(case, profile, &["setpriority", "setpriority2"]);
    assert_eq!(output, "setpriority 0\nsetpriority2 77\n");
}

/// Nobody traces: ENOSYS, seccomp(2).
#[must("action (string, REQUIRED) - the action for seccomp rules: SCMP_ACT_TRACE.")]
fn trace_without_a_tracer(case: &mut Case) {
    let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_TRACE"}]);
    let output = calls(case, profile("SCMP_ACT_ALLOW", rules), &["mkdir"]);
    assert_eq!(output, "mkdir 38\n");
}

/// A program of one thread dies of it.
#[must("action (string, REQUIRED) - the action for seccomp rules: SCMP_ACT_KILL_THREAD.")]
fn kill_thread(case: &mut Case) {
    for action in ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD"] {
        let mut bundle = case.bundle();
        let rules = json!([{"names": ["mkdir", "mkdirat"], "action": action}]);
        let profile = profile("SCMP_ACT_ALLOW", rules);
        bundle.config.set("/linux/seccomp", profile);
        bundle.config.args(&["/bin/probe", "call", "mkdir"]);
        case.run(&bundle).exits(128 + 31);
    }
}
