//! `ctr` of newer releases of containerd than the installed one, with corten's own shim
//! and with corten under the newer shim of Go, each beside runc under that.

use runtime_tests::{Case, convention};

use crate::ctr::{self, ctr, story_beside};
use crate::daemon::Containerd;
use crate::release::Release;
use crate::session::{Engine, Session, require};
use crate::shim::{needs_the_shim, through_own_shim};

const CHAPTER: &str = "containerd, newer";

#[track_caller]
fn tell(case: &mut Case, release: Release, engine: Engine) {
    require(&["containerd", "ctr", "containerd-shim-runc-v2"]);
    needs_the_shim(case);
    release.put_in_place();
    let peer = release.peer(case);
    story_beside(
        case,
        peer,
        engine,
        |session: &mut Session, containerd: &mut Containerd| {
            ctr::tell_runs(session, containerd);
            ctr::tell_limits(session, containerd);
            ctr::tell_life(session, containerd);
            ctr::tell_execs(session, containerd);
        },
    );
}

#[convention(
    "containerd 1.7, own shim: run, limits, pause, kill, exec, as in the chapters of 1.6."
)]
fn v1_7_own_shim(case: &mut Case) {
    tell(case, Release::Trixie, through_own_shim);
}

#[convention("containerd 1.7, shim of Go: the same.")]
fn v1_7_go_shim(case: &mut Case) {
    tell(case, Release::Trixie, ctr);
}

#[convention("containerd 2.1, own shim: the same.")]
fn v2_1_own_shim(case: &mut Case) {
    tell(case, Release::Forky, through_own_shim);
}

#[convention("containerd 2.1, shim of Go: the same.")]
fn v2_1_go_shim(case: &mut Case) {
    tell(case, Release::Forky, ctr);
}
