//! SIGKILL before every system call of every command that changes something, and of
//! the processes a command makes, up to the container's program.

use runtime_tests::{Case, Fault, convention};

use crate::stricken::{Before, Command, MOST_CALLS, with_target};

const CHAPTER: &str = "Faults";

/// Kills at every call; the container goes on, or `delete --force` clears it.
fn everywhere(case: &mut Case, command: Command) {
    with_target(case, command, |target| {
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

macro_rules! kill_points {
    ($($name:ident: $process:literal of $line:expr, $before:ident;)*) => {
        $(#[convention("Killed before any of its system calls, a command leaves a container that `list` tells the truth of and `delete --force` removes whole.")]
        fn $name(case: &mut Case) {
            everywhere(case, Command {
                before: Before::$before,
                line: &$line,
                process: $process,
            });
        })*
    };
}

kill_points! {
    create: 0 of ["create", "--bundle", "{bundle}", "{id}"], Absent;
    init_of_create: 1 of ["create", "--bundle", "{bundle}", "{id}"], Absent;
    run_detached: 0 of ["run", "--detach", "--bundle", "{bundle}", "{id}"], Absent;
    init_of_run: 1 of ["run", "--bundle", "{bundle}", "{id}"], Absent;
    run_in_the_foreground: 0 of ["run", "--bundle", "{bundle}", "{id}"], Absent;
    start: 0 of ["start", "{id}"], Created;
    exec: 0 of ["exec", "{id}", "true"], Running;
    joiner_of_exec: 1 of ["exec", "{id}", "true"], Running;
    process_of_exec: 2 of ["exec", "{id}", "true"], Running;
    kill: 0 of ["kill", "{id}", "KILL"], Running;
    pause: 0 of ["pause", "{id}"], Running;
    resume: 0 of ["resume", "{id}"], Paused;
    delete: 0 of ["delete", "{id}"], Stopped;
    delete_by_force: 0 of ["delete", "--force", "{id}"], Stopped;
    delete_of_a_running_one: 0 of ["delete", "--force", "{id}"], Running;
}
