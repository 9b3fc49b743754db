//! Every system call of every command fails once. The command says so in one line and
//! leaves nothing behind, or it works in spite of it; it never hangs.

use runtime_tests::{Case, Fault, Outcome, View, convention};
use rustix::io::Errno;

use crate::stricken::{Before, Command, MOST_CALLS, Target, is_full, with_target};

const CHAPTER: &str = "Faults";

/// What a kernel without the call, a security module, full memory, a signal, a full
/// disk and a full table answer.
const ANSWERS: [Errno; 6] = [
    Errno::NOSYS,
    Errno::PERM,
    Errno::NOMEM,
    Errno::INTR,
    Errno::NOSPC,
    Errno::MFILE,
];

/// Calls whose failure no program can tell of: exit and sigreturn do not come back.
const POINTLESS: [i64; 3] = [15, 60, 231];
/// Memory that a language's run time cannot do without: it aborts.
const MEMORY: [i64; 5] = [9, 10, 11, 12, 25];
/// The language's own library ends so, at the first hash table.
const LANGUAGE: &str = "failed to generate random data";
/// read(2): a container's process that waits for its parent takes a failure for the
/// parent's end, and ends without a word: there is nobody to tell.
const READ: i64 = 0;
/// Calls that would have said what is wrong.
const WRITING: [i64; 2] = [1, 20];

fn everywhere(case: &mut Case, command: Command) {
    let mut problems = Vec::new();
    with_target(case, command, None, |target| {
        for call in 1..MOST_CALLS {
            let mut struck = None;
            let answers = chosen(target.case.view, call);
            for answer in answers {
                let outcome = target.strike(command, call, Fault::Error(answer.raw_os_error()));
                struck = outcome.struck;
                let what = format!("call {call} ({struck:?}) answers {answer}");
                problems.extend(judge(target, command, &outcome, &what));
                target.clear(&what);
                target
                    .case
                    .count("failing calls", usize::from(struck.is_some()));
            }
            if struck.is_none() && !answers.is_empty() {
                assert!(problems.is_empty(), "{}", problems.join("\n"));
                return;
            }
        }
        panic!("no end of calls");
    });
}

/// All answers, or one: an odd call in one view, an even one in the other.
fn chosen(view: View, call: usize) -> &'static [Errno] {
    if is_full() {
        return &ANSWERS;
    }
    let turn = call / 2 % ANSWERS.len();
    let skipped = call.is_multiple_of(2) == (view == View::V2);
    if skipped { &[] } else { &ANSWERS[turn..=turn] }
}

/// What is wrong with how the command took it.
fn judge(target: &Target<'_>, command: Command, outcome: &Outcome, what: &str) -> Option<String> {
    let finished = &outcome.finished;
    let call = outcome.struck.unwrap_or_default();
    target.check_list(what);
    if finished.status.success() || POINTLESS.contains(&call) {
        return None;
    }
    let aborted = finished.code().is_none();
    let by_language = finished.stderr.contains(LANGUAGE);
    if aborted && (MEMORY.contains(&call) || by_language) {
        return None;
    }
    let lines = finished.stderr.lines().count();
    let mute = match command.process {
        0 => WRITING.contains(&call),
        _ => call == READ && lines == 0,
    };
    if aborted || (lines != 1 && !mute) {
        return Some(format!("{what}: {lines} lines: {}", finished.describe()));
    }
    let leftovers = match command.before {
        Before::Absent => target.left_by_failure(),
        _ => Vec::new(),
    };
    (!leftovers.is_empty()).then(|| format!("{what}: {leftovers:?} after {}", finished.stderr))
}

crate::stricken::every_command! {
    "Whichever of its system calls fails, a command says so in one line and leaves nothing, or works; it never hangs.";
    list: 0 of ["list"], Running;
    state: 0 of ["state", "{id}"], Running;
}
