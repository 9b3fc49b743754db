//! What the stub can be asked to do, each as the system calls it takes.

use crate::scheduling::{IO_WHO_PROCESS, Scheduling, io_priority, node_mask};

use super::{Entry, KIND_FORK, KIND_HOOK, KIND_PID_INTO_ENVIRONMENT, MESSAGE_READY, Script, flag};

/// A descriptor number as a call's argument.
const fn fd(number: u32) -> u64 {
    number as u64
}

/// `struct __user_cap_header_struct`'s version for 64 bits of capabilities, capset(2).
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// `PR_CAP_AMBIENT` and its operations, prctl(2).
const AMBIENT_RAISE: u64 = 2;
const AMBIENT_CLEAR_ALL: u64 = 4;

/// Capability masks for [`Script::set_capabilities`]; bit n = capability n.
#[derive(Debug, Clone, Copy, Default)]
pub struct Capabilities {
    /// Effective.
    pub effective: u64,
    /// Permitted.
    pub permitted: u64,
    /// Inheritable.
    pub inheritable: u64,
    /// Ambient.
    pub ambient: u64,
}

/// A hook for [`Script::run_hook`].
pub struct Hook<'a> {
    /// Absolute path, inside the container.
    pub path: &'a str,
    /// argv.
    pub args: &'a [String],
    /// Environment; `None` is the container's.
    pub env: Option<&'a [String]>,
    /// What it reads on its standard input.
    pub stdin: &'a [u8],
    /// Where in `stdin` ten spaces wait for the digits of the stub's own pid.
    pub pid_at: Option<usize>,
    /// Seconds; `None` waits for ever.
    pub timeout_seconds: Option<u32>,
}

impl Script {
    /// A prctl(2) of two arguments.
    fn prctl(&mut self, step: usize, name: &'static str, option: i32, argument: u64) {
        let arguments = [option as u64, argument, 0, 0, 0];
        self.call(step, (name, libc::SYS_prctl), 0, arguments);
    }

    /// Forks into the pid namespace that init joined; the parent hears
    /// [`super::Message::Forked`].
    pub fn fork_into_pid_namespace(&mut self, step: usize) {
        // A script whose interpreter is /proc/self/exe executes the stub once more,
        // without a conversation: it must not make a child of our parent again.
        let arguments = [fd(self.socket), libc::F_GETFD as u64];
        self.call(step, ("fcntl(F_GETFD)", libc::SYS_fcntl), 0, arguments);
        let entry = Entry {
            kind: KIND_FORK,
            flags: 0,
            step: 0,
            call: 0,
            number: (libc::CLONE_PARENT | libc::SIGCHLD) as u64,
            arguments: [0; 6],
        };
        self.add(step, "clone(CLONE_PARENT)", entry);
    }

    /// Writes the stub's own pid, which the program will have, over the end of a string
    /// of the environment: behind its first `kept` bytes, where ten blanks wait.
    pub fn write_pid_into_environment(&mut self, step: usize, index: usize, kept: usize) {
        let entry = Entry {
            kind: KIND_PID_INTO_ENVIRONMENT,
            flags: 0,
            step: 0,
            call: 0,
            number: 0,
            arguments: [index as u64, kept as u64, 0, 0, 0, 0],
        };
        self.add(step, "getpid", entry);
    }

    /// A session of its own; in it the terminal on descriptor 0 becomes the
    /// controlling one.
    pub fn start_session(&mut self, step: usize, terminal: bool) {
        self.call(step, ("setsid", libc::SYS_setsid), 0, [0]);
        if terminal {
            let arguments = [0, libc::TIOCSCTTY, 0];
            let call = ("ioctl(TIOCSCTTY)", libc::SYS_ioctl);
            self.call(step, call, 0, arguments);
        }
    }

    /// Whoever shares the pid namespace may neither trace the stub nor open its
    /// descriptors without CAP_SYS_PTRACE (CVE-2016-9962); the next exec undoes it.
    pub fn hide_from_tracers(&mut self, step: usize) {
        let name = "prctl(PR_SET_DUMPABLE, 0)";
        self.prctl(step, name, libc::PR_SET_DUMPABLE, 0);
    }

    /// setns(2) on an inherited descriptor of a pid namespace.
    pub fn join_pid_namespace(&mut self, step: usize, number: u32) {
        let arguments = [fd(number), libc::CLONE_NEWPID as u64];
        self.call(step, ("setns(CLONE_NEWPID)", libc::SYS_setns), 0, arguments);
    }

    /// setrlimit(2) on itself; `u64::MAX` is unlimited.
    pub fn set_limit(&mut self, step: usize, resource: u32, soft: u64, hard: u64) {
        let mut limit = soft.to_ne_bytes().to_vec();
        limit.extend_from_slice(&hard.to_ne_bytes());
        let arguments = [0, u64::from(resource), self.add_data(&limit), 0];
        self.call(step, ("prlimit64", libc::SYS_prlimit64), 0, arguments);
    }

    /// sched_setattr(2) on itself.
    pub fn set_scheduling(&mut self, step: usize, scheduling: Scheduling) {
        let attributes = self.add_data(&scheduling.to_bytes());
        let call = ("sched_setattr", libc::SYS_sched_setattr);
        self.call(step, call, 0, [0, attributes, 0]);
    }

    /// ioprio_set(2) on itself.
    pub fn set_io_priority(&mut self, step: usize, class: u32, level: u32) {
        let priority = u64::from(io_priority(class, level));
        let call = ("ioprio_set", libc::SYS_ioprio_set);
        self.call(step, call, 0, [u64::from(IO_WHO_PROCESS), 0, priority]);
    }

    /// set_mempolicy(2); `mode` with its flags.
    pub fn set_memory_policy(&mut self, step: usize, mode: u32, nodes: &[u32]) {
        let (mask, bits) = node_mask(nodes);
        let mask = if bits == 0 { 0 } else { self.add_data(&mask) };
        let call = ("set_mempolicy", libc::SYS_set_mempolicy);
        self.call(step, call, 0, [u64::from(mode), mask, bits]);
    }

    /// personality(2)
    pub fn set_personality(&mut self, step: usize, domain: u32) {
        let arguments = [u64::from(domain)];
        self.call(step, ("personality", libc::SYS_personality), 0, arguments);
    }

    /// The parent's death is ours no more.
    pub fn outlive_parent(&mut self, step: usize) {
        let name = "prctl(PR_SET_PDEATHSIG, 0)";
        self.prctl(step, name, libc::PR_SET_PDEATHSIG, 0);
    }

    /// The parent's death is ours, from here on; a fork and a change of identity clear it.
    pub fn die_with_parent(&mut self, step: usize) {
        let name = "prctl(PR_SET_PDEATHSIG, SIGKILL)";
        let signal = libc::SIGKILL as u64;
        self.prctl(step, name, libc::PR_SET_PDEATHSIG, signal);
    }

    /// `no_new_privs`, prctl(2).
    pub fn set_no_new_privileges(&mut self, step: usize) {
        let name = "prctl(PR_SET_NO_NEW_PRIVS)";
        self.prctl(step, name, libc::PR_SET_NO_NEW_PRIVS, 1);
    }

    /// Installs a filter; each instruction is packed as code << 48 | jt << 40 |
    /// jf << 32 | k. With `listener` the parent hears the listener's number and says
    /// when it has handed it on; it is closed here then: who asks a dead agent must
    /// get an answer, and would wait for ever if the asker held the listener itself.
    pub fn load_seccomp(&mut self, step: usize, program: &[u64], flags: u64, listener: bool) {
        let mut filter = Vec::with_capacity(program.len() * 8);
        for &instruction in program {
            // struct sock_filter { u16 code; u8 jt; u8 jf; u32 k; }
            filter.extend_from_slice(&((instruction >> 48) as u16).to_ne_bytes());
            filter.push((instruction >> 40) as u8);
            filter.push((instruction >> 32) as u8);
            filter.extend_from_slice(&(instruction as u32).to_ne_bytes());
        }
        let filter = self.add_data(&filter);
        // struct sock_fprog { u16 len; struct sock_filter *filter; }
        let mut header = (program.len() as u16).to_ne_bytes().to_vec();
        header.resize(8, 0);
        header.extend_from_slice(&filter.to_ne_bytes());
        let header = self.add_data(&header);
        let arguments = [u64::from(libc::SECCOMP_SET_MODE_FILTER), flags, header];
        let name = "seccomp(SECCOMP_SET_MODE_FILTER)";
        if !listener {
            self.call(step, (name, libc::SYS_seccomp), 0, arguments);
            return;
        }
        let report = flag::REPORT_RESULT | flag::KEEP_RESULT;
        self.call(step, (name, libc::SYS_seccomp), report, arguments);
        self.await_parent(step);
        let flags = flag::KEPT_0 | flag::IGNORE_FAILURE;
        self.call(step, ("close(listener)", libc::SYS_close), flags, [0]);
    }

    /// Gives a descriptor to `uid`, group kept; EPERM, EROFS and EINVAL are fine
    /// (what cannot be owned can still be used).
    pub fn own_descriptor(&mut self, step: usize, number: u32, uid: u32) {
        let arguments = [fd(number), u64::from(uid), u64::from(u32::MAX)];
        let name = "fchown(stdio)";
        self.call(step, (name, libc::SYS_fchown), flag::TOLERATE, arguments);
    }

    /// Drops these from the bounding set.
    pub fn limit_bounding(&mut self, step: usize, drop: u64) {
        for capability in (0..64u32).filter(|c| drop & (1 << c) != 0) {
            let name = "prctl(PR_CAPBSET_DROP)";
            self.prctl(step, name, libc::PR_CAPBSET_DROP, u64::from(capability));
        }
    }

    /// Groups and ids, capabilities kept across.
    pub fn set_identity(&mut self, step: usize, uid: u32, gid: u32, groups: Option<&[u32]>) {
        let name = "prctl(PR_SET_KEEPCAPS)";
        self.prctl(step, name, libc::PR_SET_KEEPCAPS, 1);
        if let Some(groups) = groups {
            let bytes: Vec<u8> = groups.iter().flat_map(|g| g.to_ne_bytes()).collect();
            let list = self.add_data(&bytes);
            let arguments = [groups.len() as u64, list];
            self.call(step, ("setgroups", libc::SYS_setgroups), 0, arguments);
        }
        let all = |id: u32| [u64::from(id); 3];
        self.call(step, ("setresgid", libc::SYS_setresgid), 0, all(gid));
        self.call(step, ("setresuid", libc::SYS_setresuid), 0, all(uid));
        self.prctl(step, name, libc::PR_SET_KEEPCAPS, 0);
    }

    /// Enters the directory behind a descriptor while we are still privileged, as
    /// the peers try first.
    pub fn try_directory(&mut self, step: usize, number: u32) {
        let flags = flag::IGNORE_FAILURE | flag::REMEMBER;
        self.call(step, ("fchdir(cwd)", libc::SYS_fchdir), flags, [fd(number)]);
    }

    /// Enters it as the container's user if that failed.
    pub fn retry_directory(&mut self, step: usize, number: u32) {
        let flags = flag::ONLY_IF_FAILED;
        self.call(step, ("fchdir(cwd)", libc::SYS_fchdir), flags, [fd(number)]);
    }

    /// capset(2), then the ambient set. What cannot be raised into the ambient set
    /// stays out, as in the peers.
    pub fn set_capabilities(&mut self, step: usize, sets: Capabilities) {
        let mut header = CAPABILITY_VERSION_3.to_ne_bytes().to_vec();
        header.extend_from_slice(&0u32.to_ne_bytes());
        let header = self.add_data(&header);
        let mut data = Vec::with_capacity(24);
        for shift in [0, 32] {
            for set in [sets.effective, sets.permitted, sets.inheritable] {
                data.extend_from_slice(&((set >> shift) as u32).to_ne_bytes());
            }
        }
        let data = self.add_data(&data);
        self.call(step, ("capset", libc::SYS_capset), 0, [header, data]);
        let ambient = libc::PR_CAP_AMBIENT as u64;
        let clear = [ambient, AMBIENT_CLEAR_ALL, 0, 0, 0];
        let name = "prctl(PR_CAP_AMBIENT)";
        self.call(step, (name, libc::SYS_prctl), flag::IGNORE_FAILURE, clear);
        for capability in (0..64u64).filter(|c| sets.ambient & (1 << c) != 0) {
            let raise = [ambient, AMBIENT_RAISE, capability, 0, 0];
            self.call(step, (name, libc::SYS_prctl), flag::IGNORE_FAILURE, raise);
        }
    }

    /// Whether the program could be executed by whoever we are now.
    pub fn check_program(&mut self, step: usize) {
        let arguments = [
            libc::AT_FDCWD as u64,
            0,
            libc::X_OK as u64,
            libc::AT_EACCESS as u64,
        ];
        let name = "faccessat2(X_OK)";
        self.call(
            step,
            (name, libc::SYS_faccessat2),
            flag::PROGRAM_1,
            arguments,
        );
    }

    /// Says [`super::Message::Ready`]. Only write(2), because a filter may be on.
    pub fn report_ready(&mut self, step: usize) {
        let mut words = MESSAGE_READY.to_ne_bytes().to_vec();
        words.extend_from_slice(&[0; 12]);
        let arguments = [fd(self.socket), self.add_data(&words), words.len() as u64];
        self.call(step, ("write(ready)", libc::SYS_write), 0, arguments);
    }

    /// Waits for one byte of the parent; leaves when it is gone.
    pub fn await_parent(&mut self, step: usize) {
        let buffer = self.add_data(&[0; 8]);
        let flags = flag::RETRY | flag::LEAVE_ON_ZERO;
        let arguments = [fd(self.socket), buffer, 8];
        self.call(step, ("read(go)", libc::SYS_read), flags, arguments);
    }

    /// Waits for one byte in the fifo. It is open for writing here too, so that no
    /// reader ever sees its end. From here on the parent has gone.
    pub fn await_start(&mut self, step: usize, fifo: u32) {
        let buffer = self.add_data(&[0; 8]);
        let flags = flag::RETRY | flag::LEAVE_ON_ZERO | flag::DETACHED;
        let arguments = [fd(fifo), buffer, 1];
        self.call(step, ("read(exec.fifo)", libc::SYS_read), flags, arguments);
    }

    /// Runs a hook inside the container.
    pub fn run_hook(&mut self, step: usize, hook: &Hook<'_>) {
        let stdin = self.add_data(hook.stdin);
        let arguments = [
            self.add_string(hook.path),
            self.add_strings(hook.args),
            hook.env.map_or(0, |env| self.add_strings(env)),
            stdin,
            hook.stdin.len() as u64,
            hook.pid_at.map_or(0, |at| stdin + at as u64),
        ];
        let entry = Entry {
            kind: KIND_HOOK,
            flags: 0,
            step: 0,
            call: 0,
            number: hook.timeout_seconds.map_or(0, u64::from),
            arguments,
        };
        self.add(step, "execve(hook)", entry);
    }

    /// Puts `file` under the number `stream` and keeps what was there under `keeper`,
    /// closed on exec.
    pub fn redirect(&mut self, step: usize, stream: u32, file: u32, keeper: u32) {
        let call = ("dup3(keep stream)", libc::SYS_dup3);
        let arguments = [fd(stream), fd(keeper), libc::O_CLOEXEC as u64];
        self.call(step, call, 0, arguments);
        let call = ("dup3(output of hook)", libc::SYS_dup3);
        self.call(step, call, 0, [fd(file), fd(stream), 0]);
    }

    /// Undoes [`Script::redirect`].
    pub fn restore(&mut self, step: usize, stream: u32, keeper: u32) {
        let call = ("dup3(stream)", libc::SYS_dup3);
        self.call(step, call, 0, [fd(keeper), fd(stream), 0]);
    }

    /// Marks a descriptor close-on-exec: it stays for telling of a failed exec.
    pub fn close_on_exec(&mut self, step: usize, number: u32) {
        let arguments = [fd(number), libc::F_SETFD as u64, libc::FD_CLOEXEC as u64];
        let name = "fcntl(F_SETFD)";
        self.call(
            step,
            (name, libc::SYS_fcntl),
            flag::IGNORE_FAILURE,
            arguments,
        );
    }

    /// Really closes the descriptors from `first` to `last`: execve(2) resolves its
    /// path before it honours close-on-exec (CVE-2024-21626).
    pub fn close_range(&mut self, step: usize, first: u32, last: u32) {
        let arguments = [fd(first), fd(last), 0];
        self.call(step, ("close_range", libc::SYS_close_range), 0, arguments);
    }

    /// Becomes the program.
    pub fn execute(&mut self, step: usize) {
        let flags = flag::PROGRAM_0 | flag::ARGV_ENVP;
        self.call(step, ("execve", libc::SYS_execve), flags, [0, 0, 0]);
    }
}
