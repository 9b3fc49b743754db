//! SIGKILL before every system call of every command that changes something, and of
//! the processes a command makes, up to the container's program.

use runtime_tests::{Case, Fault, convention};

use crate::stricken::{Before, Command, MOST_CALLS, with_target};

const CHAPTER: &str = "Faults";

/// Kills at every call; the container goes on, or `delete --force` clears it.
fn everywhere(case: &mut Case, command: Command) {
    with_target(case, command, None, |target| {
        for call in 1..MOST_CALLS {
            let outcome = target.strike(command, call, Fault::Kill);
            let what = format!("killed before call {call} ({:?})", outcome.struck);
            target.check_list(&what);
            target.clear(&what);
            if outcome.struck.is_none() {
                target.case.count("kill points", call - 1);
                return;
            }
        }
        panic!("no end of calls");
    });
}

crate::stricken::every_command! {
    "Killed before any of its system calls, a command leaves a container that `list` tells the truth of and `delete --force` removes whole.";
    delete_by_force: 0 of ["delete", "--force", "{id}"], Stopped;
}
