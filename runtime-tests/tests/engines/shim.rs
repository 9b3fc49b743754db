//! containerd with the shim that comes with the runtime, beside the shim of Go with
//! another runtime: what `ctr` answers must be the same.

use std::path::{Path, PathBuf};

use runtime_tests::{Case, Program, convention, skip};
use rustix::process::Signal;

use crate::ctr::{self, ctr_with, pid, start, story, until_status};
use crate::daemon::{kill, shims};
use crate::session::{Runtime, Session};

const CHAPTER: &str = "containerd with the own shim";

/// The shim lies beside the runtime.
pub fn shim_of(runtime: &str) -> PathBuf {
    Path::new(runtime).with_file_name("containerd-shim-corten-v2")
}

/// `ctr`, which names the own shim where the runtime is the one under test.
pub fn through_own_shim(case: &Case, runtime: &Runtime, args: &[&str]) -> Program {
    if runtime.path != case.runtime_path() {
        return ctr::ctr(case, runtime, args);
    }
    let shim = shim_of(&runtime.path);
    ctr_with(case, &["--runtime", &shim.to_string_lossy()], args)
}

/// Skips where the runtime is not corten, or comes without its shim.
pub fn needs_the_shim(case: &Case) {
    if !case.is_corten() || !shim_of(case.runtime_path()).exists() {
        skip("there is no containerd-shim-corten-v2 beside the runtime");
    }
}

#[convention("ctr run: output on both streams, exit codes, a program that is missing.")]
fn runs(case: &mut Case) {
    needs_the_shim(case);
    story(case, through_own_shim, ctr::tell_runs);
}

#[convention("A container's limits are in the files of its cgroup; `ctr task metrics` reads them.")]
fn limits(case: &mut Case) {
    needs_the_shim(case);
    story(case, through_own_shim, ctr::tell_limits);
}

#[convention("A container's life in the background: pause, resume, kill, rm.")]
fn life(case: &mut Case) {
    needs_the_shim(case);
    story(case, through_own_shim, ctr::tell_life);
}

#[convention("ctr task exec: code, user, directory, in the background, and what ps says of it.")]
fn execs(case: &mut Case) {
    needs_the_shim(case);
    story(case, through_own_shim, ctr::tell_execs);
}

#[convention("The shim killed: containerd calls `delete`, and nothing of the container is left.")]
fn killed_shim(case: &mut Case) {
    needs_the_shim(case);
    story(case, through_own_shim, |session: &mut Session, _| {
        start(session, "", "c", "exec sleep 1000");
        let init = pid(session, "c");
        let token = session.case.token().to_owned();
        for shim in shims(&["-namespace", &token]) {
            kill(shim, Signal::KILL);
        }
        session.case.until_ended(init);
        until_status(session, "c", "");
        ctr::remove(session, "c");
    });
}

#[convention("-t: a terminal of the client's size, for run and exec.")]
fn terminal(case: &mut Case) {
    needs_the_shim(case);
    story(case, through_own_shim, |session, _| {
        let path = session.runtime.path.clone();
        let shim = shim_of(&path);
        match session.is_tested() {
            true => ctr::tell_terminal(session, &["--runtime", &shim.to_string_lossy()]),
            false => ctr::tell_terminal(session, &["--runc-binary", &path]),
        }
    });
}

#[convention("Containers outlive a containerd that is killed; the next one finds them again.")]
fn containerd_is_killed(case: &mut Case) {
    needs_the_shim(case);
    story(case, through_own_shim, ctr::tell_containerd_is_killed);
}

#[convention("Shim and containerd killed: the runtime lists, kills and deletes what they left.")]
fn everything_is_killed(case: &mut Case) {
    needs_the_shim(case);
    story(case, through_own_shim, ctr::tell_everything_is_killed);
}
