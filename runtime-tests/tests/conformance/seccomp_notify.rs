//! config-linux.md, "Seccomp": SCMP_ACT_NOTIFY, `listenerPath`, `listenerMetadata`,
//! "The Container Process State". The agent is a small C program, compiled here or
//! brought along.

use std::fs;

use runtime_tests::{Bundle, Case, Running, convention, must, skip};
use serde_json::{Value, json};

const CHAPTER: &str = "config-linux.md: Seccomp listener";

const AGENT: &str = include_str!("../fixtures/notify-agent.c");
/// The variable that names the program, where there is no compiler.
const COMPILED: &str = "NOTIFY_AGENT";

struct Agent {
    running: Running,
    socket: String,
    told: std::path::PathBuf,
}

fn compile(case: &Case) -> String {
    let in_directory = |name: &str| case.directory.join(name).display().to_string();
    let (source, program) = (in_directory("agent.c"), in_directory("agent"));
    fs::write(&source, AGENT).unwrap();
    if fs::metadata("/usr/bin/cc").is_err() {
        skip("there is no C compiler for the agent");
    }
    let compiled = case.program("cc").args(["-o", &program, &source]).run();
    if !compiled.status.success() {
        skip("no C compiler, or headers too old for SCMP_ACT_NOTIFY");
    }
    program
}

fn agent(case: &Case, mode: &str) -> Agent {
    let in_directory = |name: &str| case.directory.join(name).display().to_string();
    let program = std::env::var(COMPILED).unwrap_or_else(|_| compile(case));
    let (socket, told) = (in_directory("agent.sock"), case.directory.join("told.json"));
    let running = case
        .program(&program)
        .args([&socket, &told.display().to_string(), mode])
        .spawn();
    case.until("the agent listens", || fs::exists(&socket).unwrap());
    Agent {
        running,
        socket,
        told,
    }
}

impl Agent {
    /// What it was told; it must have ended well.
    #[track_caller]
    fn told(self) -> Value {
        self.running.finish().ok();
        serde_json::from_slice(&fs::read(&self.told).unwrap()).unwrap()
    }
}

fn ask(bundle: &mut Bundle, agent: &Agent, names: &[&str]) {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": agent.socket, "listenerMetadata": "for the agent",
        "syscalls": [{"names": names, "action": "SCMP_ACT_NOTIFY"}],
    });
    bundle.config.set("/linux/seccomp", profile);
    bundle
        .config
        .args(&["/bin/probe", "call", "mkdir", "chdir"]);
}

/// Runc 1.1 keeps it open as long as a foreground `run` lasts.
#[must(
    "The runtime MUST send exactly one container process state per connection. The connection MUST NOT be reused and it MUST be closed after sending."
)]
fn one_message_and_the_connection_is_closed(case: &mut Case) {
    if case.version().starts_with("runc version 1.1.") {
        skip("this version of runc closes it when `run` ends");
    }
    let agent = agent(case, "strict");
    let mut bundle = case.bundle();
    ask(&mut bundle, &agent, &["mkdir", "mkdirat"]);
    assert_eq!(case.run(&bundle).ok().stdout, "mkdir 77\nchdir 0\n");
    agent.told();
}

/// What the agent answers is the call's result.
#[must("action (string, REQUIRED) - the action for seccomp rules: SCMP_ACT_NOTIFY.")]
fn agent_decides(case: &mut Case) {
    let agent = agent(case, "");
    let mut bundle = case.bundle();
    ask(&mut bundle, &agent, &["mkdir", "mkdirat"]);
    assert_eq!(case.run(&bundle).ok().stdout, "mkdir 77\nchdir 0\n");
    agent.told();
}

/// The profile as an engine writes it that leaves the agent to others.
fn ask_nobody(bundle: &mut Bundle, agent: &Agent) {
    ask(bundle, agent, &["mkdir", "mkdirat"]);
    for name in ["listenerPath", "listenerMetadata"] {
        bundle.config.remove("/linux/seccomp", name);
    }
}

#[convention("run.oci.seccomp.receiver: the agent of a profile that names none.")]
fn agent_of_an_annotation(case: &mut Case) {
    if case.version().starts_with("runc ") {
        skip("annotations of crun, which runc does not act on");
    }
    let agent = agent(case, "");
    let mut bundle = case.bundle();
    ask_nobody(&mut bundle, &agent);
    let all = json!({"run.oci.seccomp.receiver": agent.socket});
    bundle.config.set("/annotations", all);
    assert_eq!(case.run(&bundle).ok().stdout, "mkdir 77\nchdir 0\n");
    agent.told();
}

#[convention(
    "RUN_OCI_SECCOMP_RECEIVER in the runtime's environment: the same, where nothing else names an agent."
)]
fn agent_of_the_environment(case: &mut Case) {
    if case.version().starts_with("runc ") {
        skip("a variable of crun, which runc does not read");
    }
    let agent = agent(case, "");
    let mut bundle = case.bundle();
    ask_nobody(&mut bundle, &agent);
    bundle.write();
    let id = case.id();
    let run = case.run_command(&bundle, &id, &[]);
    let run = run.env("RUN_OCI_SECCOMP_RECEIVER", &agent.socket).run();
    assert_eq!(run.ok().stdout, "mkdir 77\nchdir 0\n");
    agent.told();
}

#[must(
    "The container process state includes the following properties: ociVersion, fds, pid, metadata, state."
)]
fn process_state(case: &mut Case) {
    let agent = agent(case, "");
    let mut bundle = case.bundle();
    bundle.config.set("/annotations", json!({"a.b": "c"}));
    ask(&mut bundle, &agent, &["mkdir", "mkdirat"]);
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    case.start(&id);
    case.wait(pid);
    case.delete(&id);
    let told = agent.told();
    assert_eq!(told["fds"], json!(["seccompFd"]));
    assert_eq!(told["pid"], json!(pid));
    assert_eq!(told["metadata"], json!("for the agent"));
    assert!(told["ociVersion"].as_str().unwrap().starts_with("1."));
    assert_eq!(told["state"]["id"], json!(id));
    assert_eq!(told["state"]["pid"], json!(pid));
    assert_eq!(told["state"]["status"], json!("creating"));
    assert_eq!(told["state"]["annotations"]["a.b"], json!("c"));
}

#[convention(
    "Without noNewPrivileges the filter with a listener is loaded early, and the change of identity comes after it."
)]
fn without_no_new_privileges(case: &mut Case) {
    let agent = agent(case, "");
    let mut bundle = case.bundle();
    ask(
        &mut bundle,
        &agent,
        &["mkdir", "mkdirat", "setresuid", "setuid"],
    );
    bundle.config.set("/process/noNewPrivileges", json!(false));
    bundle
        .config
        .set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(case.run(&bundle).ok().stdout, "mkdir 77\nchdir 0\n");
    agent.told();
}

/// In a created container the runtime has gone when the program runs, and the agent still decides.
#[must("action (string, REQUIRED) - the action for seccomp rules: SCMP_ACT_NOTIFY.")]
fn created_container(case: &mut Case) {
    let agent = agent(case, "");
    let mut bundle = case.bundle();
    ask(&mut bundle, &agent, &["mkdir", "mkdirat"]);
    bundle.config.shell("/bin/probe call mkdir > /tmp/seen");
    let id = case.create(&bundle);
    let pid = case.pid(&id);
    case.start(&id);
    // Before Linux 6.11 the agent hears of the end when the process is waited for.
    case.wait(pid);
    let seen = fs::read_to_string(bundle.rootfs().join("tmp/seen")).unwrap();
    case.destroy(&id);
    assert_eq!(seen, "mkdir 77\n");
    agent.told();
}

#[convention(
    "Whatever the runtime itself still calls, but for write, may be notified: the agent is there."
)]
fn calls_of_the_start_itself_may_be_notified(case: &mut Case) {
    case.only_corten();
    let agent = agent(case, "");
    let mut bundle = case.bundle();
    let calls = [
        "mkdir",
        "mkdirat",
        "read",
        "close",
        "close_range",
        "prctl",
        "fcntl",
        "execve",
        "capset",
        "setresuid",
        "setresgid",
        "setgroups",
        "faccessat2",
        "fchdir",
    ];
    ask(&mut bundle, &agent, &calls);
    bundle.config.set("/process/noNewPrivileges", json!(false));
    assert_eq!(case.run(&bundle).ok().stdout, "mkdir 77\nchdir 0\n");
    agent.told();
}

#[convention(
    "Nobody but the agent holds the listener: calls answer ENOSYS when it is gone, and wait for nobody."
)]
fn dead_agent(case: &mut Case) {
    let agent = agent(case, "die");
    let mut bundle = case.bundle();
    ask(&mut bundle, &agent, &["mkdir", "mkdirat"]);
    let id = case.create(&bundle);
    agent.told();
    let pid = case.pid(&id);
    case.start(&id);
    case.wait(pid);
    case.delete(&id);
}

#[convention(
    "SCMP_ACT_NOTIFY with a joined pid namespace: the process that has the listener is not the one that was cloned first."
)]
fn joined_pid_namespace(case: &mut Case) {
    let mut holder = case.bundle();
    holder.config.args(&["/bin/sleep", "60"]);
    let held = case.launch(&holder);
    let agent = agent(case, "");
    let mut bundle = case.bundle();
    ask(&mut bundle, &agent, &["mkdir", "mkdirat"]);
    let path = format!("/proc/{}/ns/pid", case.pid(&held));
    bundle.config.join_namespace("pid", &path);
    let finished = case.run(&bundle);
    case.destroy(&held);
    assert_eq!(finished.ok().stdout, "mkdir 77\nchdir 0\n");
    agent.told();
}

#[convention("A process of `exec` has a listener of its own, and its container runs.")]
fn process_of_exec(case: &mut Case) {
    let first = agent(case, "");
    let mut bundle = case.bundle();
    ask(&mut bundle, &first, &["mkdir", "mkdirat"]);
    bundle.config.args(&["/bin/sleep", "60"]);
    let id = case.launch(&bundle);
    let pid = case.pid(&id);
    // It has accepted its one connection.
    fs::remove_file(&first.socket).unwrap();
    let second = agent(case, "");
    let exec = case
        .runtime()
        .args(["exec", &id, "/bin/probe", "call", "mkdir"]);
    let finished = exec.run();
    let told = second.told();
    case.destroy(&id);
    first.told();
    assert_eq!(finished.ok().stdout, "mkdir 77\n");
    assert_eq!(told["state"]["status"], json!("running"));
    assert_eq!(told["state"]["pid"], json!(pid));
    assert_ne!(told["pid"], json!(pid));
}

#[convention("SCMP_ACT_NOTIFY in a user namespace: the process may be root of that one only.")]
fn user_namespace(case: &mut Case) {
    let agent = agent(case, "");
    let mut bundle = case.bundle();
    ask(&mut bundle, &agent, &["mkdir", "mkdirat"]);
    bundle.config.user_namespace(100_000);
    bundle.give_directories_to(100_000);
    assert_eq!(case.run(&bundle).ok().stdout, "mkdir 77\nchdir 0\n");
    agent.told();
}
