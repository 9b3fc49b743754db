//! One system call of one process is made to go wrong: the process is killed before
//! it, or the call fails. With the number of the call counted up from one until the
//! program needs no more, every instant of a command is tried, from outside and for
//! any runtime: nothing in the program knows of it.
//!
//! ```text
//! sh, stopped ──seize──► exec ──► call 1, call 2, … call N: struck ──► let go
//! ```
//!
//! Registers are those of x86-64; elsewhere only killing works.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use crate::command::{Finished, Program};

/// Far beyond what a command takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A shell that waits to be traced and becomes the program that follows.
const HELD: &str = "kill -STOP $$; exec \"$@\"";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL before the call.
    Kill,
    /// The call is not made and answers this error number.
    Error(i32),
}

/// Which call of which process.
#[derive(Debug, Clone, Copy)]
pub struct Strike {
    /// 0 is the program itself, 1 the first process that is cloned, and so on.
    pub process: usize,
    /// Counted from 1: from the exec of the program, or from the birth of the child
    /// until it is the container's program. The first child becomes the runtime's last
    /// stage before that; later ones are born as such.
    pub call: usize,
    /// What goes wrong.
    pub fault: Fault,
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    /// The command.
    pub finished: Finished,
    /// Number of the system call that was struck; `None` when there was no such call.
    pub struck: Option<i64>,
}

/// A program to be run by [`Strike::run`].
pub fn held(program: Program, line: &[&str]) -> Program {
    program.args(["-c", HELD, "sh"]).args(line)
}

impl Strike {
    /// Runs a [`held`] program; a hang kills it and fails the test.
    ///
    /// # Panics
    /// When the program hangs, or cannot be traced.
    #[track_caller]
    pub fn run(self, held: Program) -> Outcome {
        let running = held.spawn();
        let command = Pid::from_raw(running.pid());
        let struck = std::thread::scope(|scope| {
            let (ended, watched) = mpsc::channel::<()>();
            let watchdog = scope.spawn(move || {
                let hangs = watched.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout);
                if hangs {
                    let _ = kill(command, Signal::SIGKILL);
                }
                hangs
            });
            let mut trace = Trace::seize(self, command);
            trace.follow();
            trace.let_go();
            drop(ended);
            let hung = watchdog.join().expect("the watchdog");
            assert!(!hung, "{self:?} of system call {:?} hung", trace.struck);
            trace.struck
        });
        Outcome {
            finished: running.finish(),
            struck,
        }
    }
}

/// The processes under observation.
struct Trace {
    strike: Strike,
    command: Pid,
    /// Processes of the program in the order of their birth, the program first.
    born: Vec<Pid>,
    alive: BTreeSet<Pid>,
    /// System calls of the victim so far.
    calls: usize,
    execs: usize,
    struck: Option<i64>,
    /// The victim is not watched any longer.
    done: bool,
}

impl Trace {
    fn seize(strike: Strike, command: Pid) -> Self {
        let stopped = waitpid(command, Some(WaitPidFlag::WUNTRACED)).expect("wait for the shell");
        assert!(
            matches!(stopped, WaitStatus::Stopped(..)),
            "the shell did not stop: {stopped:?}"
        );
        let mut options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC;
        if strike.process > 0 {
            options |= Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK;
        }
        ptrace::seize(command, options).expect("ptrace(PTRACE_SEIZE)");
        kill(command, Signal::SIGCONT).expect("continue the shell");
        Self {
            strike,
            command,
            born: vec![command],
            alive: BTreeSet::from([command]),
            calls: 0,
            execs: 0,
            struck: None,
            done: false,
        }
    }

    fn victim(&self) -> Option<Pid> {
        self.born.get(self.strike.process).copied()
    }

    /// Until the command has ended; its status is left for whoever spawned it.
    fn follow(&mut self) {
        let peek = WaitPidFlag::WEXITED
            | WaitPidFlag::WSTOPPED
            | WaitPidFlag::WNOWAIT
            | WaitPidFlag::__WALL;
        while self.alive.contains(&self.command) {
            let seen = match waitid(Id::All, peek) {
                Err(Errno::EINTR) => continue,
                seen => seen.expect("waitid"),
            };
            let Some(pid) = seen.pid() else { continue };
            match seen {
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                    self.alive.remove(&pid);
                    if pid != self.command {
                        // An orphan that became ours, or a process we traced.
                        let _ = waitpid(pid, Some(WaitPidFlag::__WALL));
                    }
                }
                _ => {
                    if let Ok(stopped) = waitpid(pid, Some(WaitPidFlag::__WALL)) {
                        self.stopped(pid, stopped);
                    }
                }
            }
        }
    }

    fn stopped(&mut self, pid: Pid, how: WaitStatus) {
        match how {
            WaitStatus::PtraceSyscall(_) if Some(pid) == self.victim() => self.at_call(pid),
            WaitStatus::PtraceEvent(_, _, event) => self.event(pid, event),
            WaitStatus::Stopped(_, signal) => self.resume(pid, Some(signal)),
            _ => self.resume(pid, None),
        }
    }

    fn event(&mut self, pid: Pid, event: i32) {
        let is = |one: Event| event == one as i32;
        if is(Event::PTRACE_EVENT_CLONE)
            || is(Event::PTRACE_EVENT_FORK)
            || is(Event::PTRACE_EVENT_VFORK)
        {
            let child = ptrace::getevent(pid).expect("pid of the child");
            let child = Pid::from_raw(i32::try_from(child).expect("a pid"));
            if !self.born.contains(&child) {
                self.born.push(child);
                self.alive.insert(child);
            }
        } else if is(Event::PTRACE_EVENT_EXEC) && Some(pid) == self.victim() {
            self.execs += 1;
            self.done |= match self.strike.process {
                0 => false,
                1 => self.execs == 2,
                _ => self.execs == 1,
            };
        } else if is(Event::PTRACE_EVENT_STOP) && !self.born.contains(&pid) {
            // A child may stop before its parent has told of it.
            self.born.push(pid);
            self.alive.insert(pid);
        }
        self.resume(pid, None);
    }

    /// The victim is about to make a call, or comes back from one.
    fn at_call(&mut self, pid: Pid) {
        let entering = ptrace::syscall_info(pid)
            .is_ok_and(|call| call.op == nix::libc::PTRACE_SYSCALL_INFO_ENTRY);
        // The calls before the first exec are the shell's.
        let counts = self.strike.process > 0 || self.execs > 0;
        if !entering || !counts {
            return self.resume(pid, None);
        }
        self.calls += 1;
        if self.calls < self.strike.call {
            return self.resume(pid, None);
        }
        self.struck = Some(registers::number(pid));
        self.done = true;
        match self.strike.fault {
            Fault::Kill => {
                let _ = kill(pid, Signal::SIGKILL);
            }
            Fault::Error(errno) => {
                registers::fail(pid, errno);
                self.resume(pid, None);
            }
        }
    }

    fn resume(&mut self, pid: Pid, signal: Option<Signal>) {
        // ESRCH: killed meanwhile; the next wait will say so.
        let _ = if Some(pid) == self.victim() && !self.done {
            ptrace::syscall(pid, signal)
        } else if Some(pid) == self.victim() && self.strike.process == 0 {
            ptrace::detach(pid, signal)
        } else {
            ptrace::cont(pid, signal)
        };
    }

    /// Stops watching what is still there: a container lives on.
    fn let_go(&mut self) {
        for pid in std::mem::take(&mut self.alive) {
            if ptrace::interrupt(pid).is_err() {
                continue;
            }
            if matches!(waitpid(pid, Some(WaitPidFlag::__WALL)), Ok(status) if is_stop(status)) {
                let _ = ptrace::detach(pid, None);
            }
        }
    }
}

fn is_stop(status: WaitStatus) -> bool {
    !matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..))
}

#[cfg(target_arch = "x86_64")]
mod registers {
    use nix::sys::ptrace;
    use nix::sys::wait::{WaitPidFlag, waitpid};
    use nix::unistd::Pid;

    /// Number of the call the process is entering.
    pub fn number(pid: Pid) -> i64 {
        ptrace::getregs(pid).map_or(-1, |registers| registers.orig_rax.cast_signed())
    }

    /// Takes the call away from a process that is entering it and puts an error in
    /// the place of its answer.
    pub fn fail(pid: Pid, errno: i32) {
        /// It frees the descriptor whatever it answers, close(2).
        const CLOSE: u64 = 3;
        let Ok(mut registers) = ptrace::getregs(pid) else {
            return;
        };
        if registers.orig_rax != CLOSE {
            registers.orig_rax = u64::MAX;
        }
        if ptrace::setregs(pid, registers).is_err() || ptrace::syscall(pid, None).is_err() {
            return;
        }
        let _ = waitpid(pid, Some(WaitPidFlag::__WALL));
        if let Ok(mut registers) = ptrace::getregs(pid) {
            registers.rax = i64::from(-errno).cast_unsigned();
            let _ = ptrace::setregs(pid, registers);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod registers {
    use nix::unistd::Pid;

    pub fn number(_: Pid) -> i64 {
        0
    }

    pub fn fail(_: Pid, _: i32) {
        crate::skip("calls are made to fail on x86-64 only");
    }
}
