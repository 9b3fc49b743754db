//! A kernel, or a filter around the runtime, that does not have a system call: it
//! answers ENOSYS or EPERM every time, to the runtime and to all that it clones.

use std::time::Duration;

use runtime_tests::{Case, Finished, cgroup_directories, convention, descendants, skip};

const CHAPTER: &str = "Faults";

/// Everything newer than the first containers that a runtime calls.
const CALLS: [&str; 12] = [
    "openat2",
    "clone3",
    "fsopen",
    "fsconfig",
    "fsmount",
    "open_tree",
    "move_mount",
    "mount_setattr",
    "pidfd_open",
    "pidfd_send_signal",
    "close_range",
    "statx",
];

/// A command in whose processes `call` answers `errno`.
fn without(case: &Case, call: &str, errno: &str, line: &[&str]) -> Finished {
    let inject = format!("inject={call}:error={errno}");
    let trace = format!("trace={call}");
    let root = case.state_root().to_string_lossy().into_owned();
    case.program("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject])
        .args([case.runtime_path(), "--root", &root])
        .args(line)
        .limit(Duration::from_secs(30))
        .run()
}

/// It worked, or one line says what the kernel lacks.
fn judge(case: &Case, call: &str, errno: &str, finished: &Finished) -> Option<String> {
    case.count("refused calls", 1);
    let stderr = &finished.stderr;
    let names_it = stderr.contains(call) || stderr.contains("needs Linux");
    let one_line = finished.code().is_some() && stderr.lines().count() == 1;
    let good = finished.status.success() || one_line && names_it;
    (!good).then(|| format!("{call} answers {errno}: {}", finished.describe()))
}

fn only_with_strace(case: &Case) {
    case.only_corten();
    if !std::path::Path::new("/usr/bin/strace").exists() {
        skip("strace is not installed");
    }
}

#[convention(
    "On a kernel without one of the newer system calls, and where a filter forbids it, `run` works or one line names what is missing, and nothing is left."
)]
fn while_a_container_runs(case: &mut Case) {
    only_with_strace(case);
    let mut bundle = case.bundle();
    bundle.config.args(&["true"]);
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let mut problems = Vec::new();
    for call in CALLS {
        for errno in ["ENOSYS", "EPERM"] {
            let id = case.id();
            let finished = without(case, call, errno, &["run", "--bundle", &path, &id]);
            problems.extend(judge(case, call, errno, &finished));
            // What could not be cleaned up for want of the call is known, and goes with it.
            case.runtime().args(["delete", "--force", &id]).run().ok();
            case.until("nothing runs", || descendants().is_empty());
            let left = cgroup_directories(case.token());
            assert!(left.is_empty(), "{call} answers {errno}: {left:?}");
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[convention(
    "Nor does a command on a container that exists hang or harm it: it works or one line names what is missing."
)]
fn on_a_container_that_exists(case: &mut Case) {
    only_with_strace(case);
    let mut bundle = case.bundle();
    bundle.config.args(&["sleep", "1000"]);
    let id = case.launch(&bundle);
    let mut problems = Vec::new();
    for call in CALLS {
        for errno in ["ENOSYS", "EPERM"] {
            for line in [
                &["exec", &id, "true"][..],
                &["state", &id],
                &["list"],
                &["ps", &id],
                &["pause", &id],
                &["resume", &id],
                &["kill", &id, "CONT"],
            ] {
                let finished = without(case, call, errno, line);
                // Nothing to resume where `pause` was refused; and ps(1) is executed by the
                // language's own library, which does not tell the call.
                let excused = ["not paused", "ps: could not be executed"];
                if !excused.iter().any(|words| finished.stderr.contains(words)) {
                    problems.extend(judge(case, call, errno, &finished));
                }
            }
            if case.status(&id) == "paused" {
                case.runtime().args(["resume", &id]).run().ok();
            }
            assert_eq!(case.status(&id), "running", "{call} answers {errno}");
        }
    }
    case.destroy(&id);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
