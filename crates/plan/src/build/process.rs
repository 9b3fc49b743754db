//! `process`: the program, its environment, its limits.

use std::collections::HashSet;

use oci_spec::runtime::Process;

use super::Context;
use crate::error::quote;
use crate::path::clean_absolute;
use crate::spec::path_text;
use crate::{
    ConfigPath, InitOp, LISTEN_PID, LastOp, NOTIFY_DIRECTORY, NamespaceKind, ParentOp, PlanError,
    Problem, Program, Rlimit,
};

/// Adds the steps of `process`, but for identity, security and console.
pub(crate) fn build(context: &mut Context<'_>, process: &Process) -> Program {
    add_oom_score(context, process);
    add_rlimits(context, process);
    add_working_directory(context, process);
    let program = read_program(context, process);
    let from = ConfigPath::new("process.args").index(0);
    context.init(from.clone(), InitOp::FindProgram);
    context.last(from, LastOp::CheckProgram);
    program
}

fn add_oom_score(context: &mut Context<'_>, process: &Process) {
    let at = ConfigPath::new("process.oomScoreAdj");
    match process.oom_score_adj() {
        None => {}
        Some(score @ -1000..=1000) => context.parent(at, ParentOp::SetOomScore(score)),
        Some(score) => context.problem(PlanError::invalid(
            at,
            "an integer from -1000 to 1000",
            score.to_string(),
        )),
    }
}

fn add_rlimits(context: &mut Context<'_>, process: &Process) {
    let all = ConfigPath::new("process.rlimits");
    let mut seen: Vec<(String, ConfigPath)> = Vec::new();
    for (n, limit) in process.rlimits().iter().flatten().enumerate() {
        let at = all.index(n);
        let name = limit.typ().to_string();
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
            let problem = Problem::Duplicate {
                what: "resource limit",
                found: name,
                first: first.clone(),
            };
            context.problem(PlanError::new(at.field("type"), problem));
            continue;
        }
        seen.push((name.clone(), at.clone()));
        let (soft, hard) = (limit.soft(), limit.hard());
        if soft > hard {
            let text = format!("{soft} is above the hard limit {hard} ({name})");
            context.problem(PlanError::conflict(at.field("soft"), text));
            continue;
        }
        let limit = Rlimit { name, soft, hard };
        if context.has(NamespaceKind::User) {
            context.parent(at, ParentOp::SetRlimit(limit));
        } else {
            context.last(at, LastOp::SetRlimit(limit));
        }
    }
}

fn add_working_directory(context: &mut Context<'_>, process: &Process) {
    let at = ConfigPath::new("process.cwd");
    let cwd = path_text(process.cwd());
    if !cwd.starts_with('/') {
        context.problem(PlanError::invalid(at, "an absolute path", quote(cwd)));
        return;
    }
    let path = clean_absolute(cwd);
    let op = InitOp::MakeWorkingDirectory {
        path: path.clone(),
        uid: process.user().uid(),
        gid: process.user().gid(),
    };
    context.init(at.clone(), op);
    context.init(at, InitOp::OpenWorkingDirectory { path });
}

fn read_program(context: &mut Context<'_>, process: &Process) -> Program {
    let at = ConfigPath::new("process.args");
    let args = process.args().clone().unwrap_or_default();
    match args.first() {
        None => context.problem(PlanError::conflict(at, "must name a program")),
        Some(name) if name.is_empty() => context.problem(PlanError::invalid(
            at.index(0),
            "the name of a program",
            "\"\"",
        )),
        Some(_) => {}
    }
    Program {
        args,
        env: read_environment(context, process),
        uid: process.user().uid(),
    }
}

/// `NAME=value`, as environ(7) wants it; the value may be empty.
pub(super) fn is_assignment(entry: &str) -> bool {
    entry.find('=').is_some_and(|equals| equals > 0)
}

/// Descriptors of a service manager, sd_listen_fds(3): the receiver compares
/// `LISTEN_PID` with its own pid, and takes none when they differ.
fn add_activation(context: &mut Context<'_>, env: &mut Vec<String>) {
    let request = context.request;
    if request.listen_fds == 0 {
        return;
    }
    env.push(format!("LISTEN_FDS={}", request.listen_fds));
    if let Some(names) = &request.listen_fd_names {
        env.push(format!("LISTEN_FDNAMES={names}"));
    }
    let namespaces = &context.namespaces;
    let is_new = namespaces.clone.contains(&NamespaceKind::Pid);
    if is_new && !namespaces.fork_into_pid_namespace {
        env.push(format!("{LISTEN_PID}1"));
        return;
    }
    // Only the process itself will know: ten places, and the first string of all, which
    // is found by its index.
    env.insert(0, format!("{LISTEN_PID}{:10}", ""));
    context.last(ConfigPath::new("LISTEN_FDS"), LastOp::TellPid);
}

/// `NAME=value` each. The last of several with one name wins and keeps its place.
fn read_environment(context: &mut Context<'_>, process: &Process) -> Vec<String> {
    let at = ConfigPath::new("process.env");
    let all: Vec<&String> = process.env().iter().flatten().collect();
    for (n, entry) in all.iter().enumerate() {
        if !is_assignment(entry) {
            context.problem(PlanError::invalid(at.index(n), "NAME=value", quote(entry)));
        }
    }
    let name_of = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut seen = HashSet::new();
    if context.request.listen_fds > 0 {
        seen.extend(["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"].map(str::to_owned));
    }
    let notified = context.request.notify_directory.is_some();
    if notified {
        seen.insert("NOTIFY_SOCKET".to_owned());
    }
    let mut env: Vec<String> = Vec::with_capacity(all.len());
    for entry in all.into_iter().rev() {
        if seen.insert(name_of(entry)) {
            env.push(entry.clone());
        }
    }
    env.reverse();
    add_activation(context, &mut env);
    if notified {
        env.push(format!("NOTIFY_SOCKET={NOTIFY_DIRECTORY}/notify.sock"));
    }
    env
}
