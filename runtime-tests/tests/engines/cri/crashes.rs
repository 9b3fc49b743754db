//! Daemons that die.

use rustix::process::Signal;
use serde_json::json;

use super::{EXITED, Plugin, RUNNING, run, run_pod, start};
use crate::daemon::{kill, shims};
use crate::session::Session;

pub fn tell(session: &mut Session, plugin: &mut Plugin) {
    let pod = run_pod(session, "pod", json!({}));
    let container = start(session, &pod, "main", json!({}));
    let ending = json!({"command": ["sh", "-c", "until test -e /end; do sleep 0.1; done; exit 8"]});
    let ending = start(session, &pod, "ending", ending);
    plugin.crash_and_restart(session);
    container.until_state(session, RUNNING);
    container.tell(session, "echo still");
    ending.exec(session, "touch /end");
    let status = ending.until_state(session, EXITED);
    session.note(
        "its end is told to the next one",
        &status["exit_code"].to_string(),
    );
    run(session, &pod, "new", "echo new", json!({}));

    let socket = super::socket(session.case);
    let mut found = shims(&["-address", &socket.to_string_lossy()]);
    assert_eq!(found.len(), 1, "one for the pod");
    kill(found.remove(0), Signal::KILL);
    let status = container.until_state(session, EXITED);
    session.note("the shim was killed", &status["exit_code"].to_string());
    container.remove(session);
    // The next pod is not concerned.
    let pod = run_pod(session, "next", json!({}));
    run(session, &pod, "main", "echo next", json!({}));
}
