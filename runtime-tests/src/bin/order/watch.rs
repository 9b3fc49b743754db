//! Which functions a program executes, and which of them the processes that it clones.
//! Each function begins with a breakpoint, which gives way when it is met; a process
//! that is born gets them all again, and is let go when it becomes another program.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A shell that waits to be traced and becomes the program that follows.
const HELD: &str = "kill -STOP $$; exec \"$@\"";
const INT3: u8 = 0xcc;

/// Names of the program's functions, by address; aliases share one.
fn functions(program: &str) -> BTreeMap<u64, Vec<String>> {
    let listed = Command::new("readelf").args(["-sW", program]).output();
    let listed = listed.expect("readelf (Debian: binutils)").stdout;
    let mut functions: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&listed).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, address, size, "FUNC" | "IFUNC", .., name] = words[..] else {
            continue;
        };
        let address = u64::from_str_radix(address, 16).expect("an address");
        if address != 0 && size != "0" {
            functions.entry(address).or_default().push(name.to_owned());
        }
    }
    functions
}

/// Which process: the program itself, or one that it cloned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    Program,
    Clone,
}

/// A function is used for the first time by one of them.
pub struct Use {
    pub who: Who,
    /// As the symbol table spells it.
    pub name: String,
}

struct Watch {
    functions: BTreeMap<u64, Vec<String>>,
    /// First bytes of the functions.
    original: BTreeMap<u64, u8>,
    seen: HashSet<(Who, u64)>,
    uses: Vec<Use>,
    alive: BTreeSet<Pid>,
    command: Pid,
    begun: bool,
}

fn memory(pid: Pid) -> File {
    let path = format!("/proc/{pid}/mem");
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.expect("the memory of a traced process")
}

impl Watch {
    /// The program has been executed: what its functions begin with is remembered.
    fn read(&mut self, pid: Pid) {
        let memory = memory(pid);
        for address in self.functions.keys() {
            let mut byte = [0];
            memory.read_exact_at(&mut byte, *address).expect("read");
            self.original.insert(*address, byte[0]);
        }
    }

    /// Every function of a process begins with a breakpoint.
    fn set(&self, pid: Pid) {
        let memory = memory(pid);
        for address in self.functions.keys() {
            memory.write_all_at(&[INT3], *address).expect("write");
        }
    }

    /// The breakpoint gives way to the function.
    fn hit(&mut self, pid: Pid) {
        let Ok(mut registers) = ptrace::getregs(pid) else {
            return;
        };
        let address = registers.rip - 1;
        let Some(byte) = self.original.get(&address) else {
            return;
        };
        memory(pid).write_all_at(&[*byte], address).expect("write");
        registers.rip = address;
        ptrace::setregs(pid, registers).expect("set the instruction pointer");
        let who = if pid == self.command {
            Who::Program
        } else {
            Who::Clone
        };
        if self.seen.insert((who, address)) {
            let names = self.functions[&address].iter().cloned();
            self.uses.extend(names.map(|name| Use { who, name }));
        }
    }

    fn stopped(&mut self, how: WaitStatus) {
        let goes_on = match how {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                self.alive.remove(&pid);
                return;
            }
            WaitStatus::Stopped(pid, Signal::SIGTRAP) => {
                self.hit(pid);
                ptrace::cont(pid, None)
            }
            WaitStatus::Stopped(pid, signal) => ptrace::cont(pid, signal),
            WaitStatus::PtraceEvent(pid, _, event) => self.event(pid, event),
            _ => return,
        };
        // ESRCH: killed meanwhile; the next wait will say so.
        let _ = goes_on;
    }

    fn event(&mut self, pid: Pid, event: i32) -> nix::Result<()> {
        if event == Event::PTRACE_EVENT_EXEC as i32 {
            if pid != self.command || self.begun {
                self.alive.remove(&pid);
                return ptrace::detach(pid, None);
            }
            self.begun = true;
            self.read(pid);
            self.set(pid);
        } else if event == Event::PTRACE_EVENT_STOP as i32 && self.alive.insert(pid) {
            // A process is born.
            self.set(pid);
        }
        ptrace::cont(pid, None)
    }
}

/// Runs a command line to its end; the functions that were used, in order.
pub fn first_uses(line: &[String]) -> Vec<Use> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", HELD, "sh"]).args(line);
    shell.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = shell.spawn().expect("a shell");
    let command = Pid::from_raw(child.id().cast_signed());
    waitpid(command, Some(WaitPidFlag::WUNTRACED)).expect("the shell stops");
    let options = Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK;
    ptrace::seize(command, options).expect("ptrace(PTRACE_SEIZE)");
    kill(command, Signal::SIGCONT).expect("continue the shell");
    let mut watch = Watch {
        functions: functions(&line[0]),
        original: BTreeMap::new(),
        seen: HashSet::new(),
        uses: Vec::new(),
        alive: BTreeSet::from([command]),
        command,
        begun: false,
    };
    while watch.alive.contains(&command) {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Err(Errno::EINTR) => {}
            seen => watch.stopped(seen.expect("waitpid")),
        }
    }
    // Its status was taken above.
    let _ = child.try_wait();
    watch.uses
}
