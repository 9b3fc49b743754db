//! The sealed stub: the last program that runs in a container before the
//! container's own.
//!
//! It exists so that the host's `corten` binary is never `/proc/self/exe` where a
//! container can look (CVE-2019-5736), and so that a created container that waits
//! for `start` costs pages by the dozen, not by the thousand. It knows nothing: the
//! parent writes a *script* of system calls into the stub's own image, seals it in
//! a memfd, and the stub carries it out. Not one system call number stands here.
//!
//! ```text
//! stack at entry:  argc │ argv[0] = path of the program │ argv[1..] = its argv │ 0 │ envp │ 0
//! SCRIPT_ADDRESS:  Header │ data the entries point to (absolute addresses) │ Entry × count
//! ```
//!
//! `kernel::stub` (the crate this is embedded in) builds the script; the layouts of
//! [`Header`] and [`Entry`] are the same there.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

/// Where the linker puts the `.script` segment; `build.rs` passes the same number.
const SCRIPT_ADDRESS: usize = 0x1000_0000;

/// Makes the linker emit the segment; the parent replaces its content.
#[used]
#[unsafe(link_section = ".script")]
static mut SCRIPT: [u64; 1] = [0x7363_7269_7074];

#[repr(C)]
struct Header {
    count: u64,
    /// Address of the first [`Entry`].
    entries: u64,
    /// Socket to the parent.
    socket: u64,
    /// File for failures after the parent has gone, or `u64::MAX`.
    error_file: u64,
    /// Numbers of the calls the stub makes on its own.
    write: u64,
    exit_group: u64,
    clone: u64,
    execve: u64,
    wait4: u64,
    pipe2: u64,
    dup3: u64,
    close: u64,
    ppoll: u64,
    kill: u64,
    getpid: u64,
    setpgid: u64,
    /// `O_CLOEXEC | O_NONBLOCK`
    pipe_flags: u64,
    /// `SIGCHLD`
    sigchld: u64,
    /// `SIGKILL`
    sigkill: u64,
}

#[repr(C)]
struct Entry {
    kind: u32,
    flags: u32,
    /// Index of the step in the plan's list.
    step: u32,
    /// Index of this entry, so that the parent can name the call.
    call: u32,
    number: u64,
    arguments: [u64; 6],
}

/// A plain system call.
const CALL: u32 = 0;
/// Fork into the pid namespace that was joined; see [`fork_into_pid_namespace`].
const FORK: u32 = 1;
/// An OCI hook: `arguments` = path, argv, envp (0: the container's), stdin, its
/// length, address where the pid's digits go (0: none); `number` = time limit in
/// seconds (0: none).
const HOOK: u32 = 2;
/// Our own pid, in decimal, over the end of a string of the environment:
/// `arguments[0]` = its index, `[1]` = how many bytes of it stay. Ten more wait.
const PID_INTO_ENVIRONMENT: u32 = 3;

/// A failure is fine.
const IGNORE_FAILURE: u32 = 1;
/// Skip unless the last entry with [`REMEMBER`] failed.
const ONLY_IF_FAILED: u32 = 1 << 1;
/// Repeat on EINTR.
const RETRY: u32 = 1 << 2;
/// A result of 0 means that the other side is gone: leave.
const LEAVE_ON_ZERO: u32 = 1 << 3;
/// `arguments[0]` is the program's path.
const PROGRAM_0: u32 = 1 << 4;
/// `arguments[1]` is the program's path.
const PROGRAM_1: u32 = 1 << 5;
/// `arguments[1]`, `[2]` are the program's argv and envp.
const ARGV_ENVP: u32 = 1 << 6;
/// From here on the parent has gone: failures go to the file.
const DETACHED: u32 = 1 << 7;
/// Send the result to the parent.
const REPORT_RESULT: u32 = 1 << 8;
/// `EPERM`, `EROFS` and `EINVAL` are fine.
const TOLERATE: u32 = 1 << 9;
/// Remember whether this one failed.
const REMEMBER: u32 = 1 << 10;
/// Keep the result.
const KEEP_RESULT: u32 = 1 << 11;
/// `arguments[0]` is the result that was kept.
const KEPT_0: u32 = 1 << 12;
/// Keep the result, and close the descriptor that was kept before.
const REPLACE_KEPT: u32 = 1 << 13;

const EINTR: i64 = -4;
const EPERM: i64 = -1;
const EINVAL: i64 = -22;
const EROFS: i64 = -30;
const ENOENT: i64 = -2;

/// First word of a message to the parent.
const MESSAGE_FAILED: u32 = 0xC0F1;
const MESSAGE_FORKED: u32 = 0xC0F2;
const MESSAGE_RESULT: u32 = 0xC0F3;
const MESSAGE_HOOK_STATUS: u32 = 0xC0F4;
const MESSAGE_HOOK_TIMEOUT: u32 = 0xC0F5;

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym main,
);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x0, sp", "bl {main}", "brk #1", main = sym main);
#[cfg(target_arch = "riscv64")]
global_asm!(".globl _start", "_start:", "mv a0, sp", "call {main}", "ebreak", main = sym main);

/// One system call; negative results are errnos.
///
/// # Safety
/// The arguments must be what the call expects: pointers in the script were made by the parent.
unsafe fn call(number: u64, a: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the kernel's calling convention; memory the call writes lies in the
    // script, on the stack, or is the caller's promise.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a[0] => result, in("x1") a[1], in("x2") a[2],
            in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "riscv64")]
    unsafe {
        asm!("ecall", in("a7") number, inlateout("a0") a[0] => result, in("a1") a[1], in("a2") a[2],
            in("a3") a[3], in("a4") a[4], in("a5") a[5], options(nostack));
    }
    result
}

/// What the stub was started with.
struct Start {
    header: *const Header,
    program: u64,
    argv: u64,
    envp: u64,
    detached: bool,
    kept: u64,
}

impl Start {
    fn header(&self) -> &Header {
        // SAFETY: the parent put a header at SCRIPT_ADDRESS; nothing writes it.
        unsafe { &*self.header }
    }

    /// Four words to the parent, or to the file once the parent has gone.
    fn tell(&self, message: u32, step: u32, call_index: u32, value: i64) {
        let words = [message, step, call_index, value as u32];
        let header = self.header();
        let to = if self.detached { header.error_file } else { header.socket };
        if to != u64::MAX {
            // SAFETY: `words` lives across the call.
            unsafe { call(header.write, [to, words.as_ptr() as u64, 16, 0, 0, 0]) };
        }
    }

    fn leave(&self, code: u64) -> ! {
        loop {
            // SAFETY: takes no pointers and does not return.
            unsafe { call(self.header().exit_group, [code, 0, 0, 0, 0, 0]) };
        }
    }

    fn fail(&self, entry: &Entry, errno: i64) -> ! {
        self.tell(MESSAGE_FAILED, entry.step, entry.call, -errno);
        // The shells' convention, for whoever waits for the container's process.
        self.leave(if errno == ENOENT { 127 } else { 126 })
    }
}

extern "C" fn main(stack: *const u64) -> ! {
    // SAFETY: the kernel's initial stack: argc, argv, 0, envp, 0.
    let mut start = unsafe {
        let argc = *stack;
        Start {
            header: SCRIPT_ADDRESS as *const Header,
            program: *stack.add(1),
            argv: stack.add(2) as u64,
            envp: stack.add(argc as usize + 2) as u64,
            detached: false,
            kept: 0,
        }
    };
    let mut failed = false;
    let mut index = 0;
    while index < start.header().count {
        // SAFETY: the parent put `count` entries there.
        let entry = unsafe { &*(start.header().entries as *const Entry).add(index as usize) };
        index += 1;
        if entry.flags & ONLY_IF_FAILED != 0 && !failed {
            continue;
        }
        match entry.kind {
            CALL => {
                let result = carry_out(&start, entry);
                if entry.flags & REPLACE_KEPT != 0 {
                    // SAFETY: our own descriptor.
                    unsafe { call(start.header().close, [start.kept, 0, 0, 0, 0, 0]) };
                }
                if entry.flags & (KEEP_RESULT | REPLACE_KEPT) != 0 {
                    start.kept = result as u64;
                }
                if entry.flags & REMEMBER != 0 {
                    failed = result < 0;
                }
            }
            FORK => fork_into_pid_namespace(&start, entry),
            HOOK => run_hook(&start, entry),
            PID_INTO_ENVIRONMENT => write_pid_into_environment(&start, entry),
            _ => start.fail(entry, EINVAL),
        }
        if entry.flags & DETACHED != 0 {
            start.detached = true;
        }
    }
    start.leave(0)
}

fn carry_out(start: &Start, entry: &Entry) -> i64 {
    let flags = entry.flags;
    let mut a = entry.arguments;
    if flags & KEPT_0 != 0 {
        a[0] = start.kept;
    }
    if flags & PROGRAM_0 != 0 {
        a[0] = start.program;
    }
    if flags & PROGRAM_1 != 0 {
        a[1] = start.program;
    }
    if flags & ARGV_ENVP != 0 {
        a[1] = start.argv;
        a[2] = start.envp;
    }
    loop {
        // SAFETY: the parent wrote the arguments for this call.
        let result = unsafe { call(entry.number, a) };
        if result == EINTR && flags & RETRY != 0 {
            continue;
        }
        if result == 0 && flags & LEAVE_ON_ZERO != 0 {
            start.leave(1);
        }
        let tolerated = flags & TOLERATE != 0 && matches!(result, EPERM | EINVAL | EROFS);
        if result < 0 && flags & IGNORE_FAILURE == 0 && !tolerated {
            start.fail(entry, result);
        }
        if flags & REPORT_RESULT != 0 {
            start.tell(MESSAGE_RESULT, entry.step, entry.call, result);
        }
        return result;
    }
}

/// `setns` on a pid namespace concerns children only. The child made here is the
/// first process of ours that strangers in there can see, and it is this stub. It is
/// made with CLONE_PARENT (in `number`), so `corten`, not we, is its parent.
fn fork_into_pid_namespace(start: &Start, entry: &Entry) {
    // SAFETY: no stack, no tid pointers: a plain fork.
    let pid = unsafe { call(start.header().clone, [entry.number, 0, 0, 0, 0, 0]) };
    if pid < 0 {
        start.fail(entry, pid);
    }
    if pid > 0 {
        start.tell(MESSAGE_FORKED, entry.step, entry.call, pid);
        start.leave(0);
    }
}

/// Writes the decimal digits of our own pid, right-aligned in ten bytes of spaces.
fn write_pid(start: &Start, address: u64) {
    // SAFETY: no arguments.
    let mut pid = unsafe { call(start.header().getpid, [0; 6]) };
    let mut at = 10;
    while at > 0 {
        at -= 1;
        // SAFETY: the parent reserved ten bytes there, in the script's writable segment.
        unsafe { ((address as *mut u8).add(at)).write_volatile(b'0' + (pid % 10) as u8) };
        pid /= 10;
        if pid == 0 {
            break;
        }
    }
}

/// The number is known only once the process is in its pid namespace.
fn write_pid_into_environment(start: &Start, entry: &Entry) {
    let [index, kept, ..] = entry.arguments;
    // SAFETY: the parent knows that the string is there, and how long it is.
    let string = unsafe { *(start.envp as *const u64).add(index as usize) } + kept;
    write_pid(start, string);
    let mut length = 0;
    // SAFETY: the ten bytes that write_pid filled from their end, and the NUL behind them.
    unsafe {
        let digits = string as *mut u8;
        let mut from = 0;
        while from < 10 && !(digits.add(from).read_volatile().is_ascii_digit()) {
            from += 1;
        }
        while from < 10 {
            digits.add(length).write_volatile(digits.add(from).read_volatile());
            length += 1;
            from += 1;
        }
        digits.add(length).write_volatile(0);
    }
}

/// Runs one hook: stdin is the state, a time limit, a status of 0 or failure.
fn run_hook(start: &Start, entry: &Entry) {
    let header = start.header();
    let [path, argv, envp, stdin, length, pid_at] = entry.arguments;
    if pid_at != 0 {
        write_pid(start, pid_at);
    }
    let mut pipe = [0u32; 2];
    let mut pidfd = 0u32;
    // SAFETY: `pipe` has room for two descriptors.
    let made = unsafe { call(header.pipe2, [pipe.as_mut_ptr() as u64, header.pipe_flags, 0, 0, 0, 0]) };
    if made < 0 {
        start.fail(entry, made);
    }
    // All of it is in the pipe, and the pipe has no writer any more, before the hook
    // exists: it never meets an empty pipe, which would be EAGAIN, and one that never
    // reads cannot hold us up. What exceeds the pipe's 64 KiB is cut.
    // SAFETY: the state lies in the script.
    unsafe {
        call(header.write, [u64::from(pipe[1]), stdin, length, 0, 0, 0]);
        call(header.close, [u64::from(pipe[1]), 0, 0, 0, 0, 0]);
    }
    const CLONE_PIDFD: u64 = 0x1000;
    // SAFETY: a fork; with CLONE_PIDFD the third argument (parent_tid) receives the descriptor.
    let pid = unsafe { call(header.clone, [CLONE_PIDFD | header.sigchld, 0, &raw mut pidfd as u64, 0, 0, 0]) };
    if pid < 0 {
        start.fail(entry, pid);
    }
    if pid == 0 {
        let envp = if envp == 0 { start.envp } else { envp };
        // SAFETY: the child; paths and vectors were written by the parent of us all.
        unsafe {
            call(header.setpgid, [0; 6]);
            call(header.dup3, [u64::from(pipe[0]), 0, 0, 0, 0, 0]);
            let errno = call(header.execve, [path, argv, envp, 0, 0, 0]);
            start.tell(MESSAGE_FAILED, entry.step, entry.call, -errno);
        }
        start.leave(255);
    }
    // SAFETY: our own descriptor.
    unsafe { call(header.close, [u64::from(pipe[0]), 0, 0, 0, 0, 0]) };
    wait_for_hook(start, entry, pid, pidfd);
}

fn wait_for_hook(start: &Start, entry: &Entry, pid: i64, pidfd: u32) {
    let header = start.header();
    if entry.number != 0 {
        let timeout = [entry.number, 0];
        let poll = [u64::from(pidfd) | (1 << 32)];
        // SAFETY: one pollfd (fd, events = POLLIN) and one timespec.
        let ready = unsafe {
            call(header.ppoll, [poll.as_ptr() as u64, 1, timeout.as_ptr() as u64, 0, 0, 0])
        };
        if ready == 0 {
            // SAFETY: the hook is its own process group.
            unsafe { call(header.kill, [(-pid) as u64, header.sigkill, 0, 0, 0, 0]) };
            start.tell(MESSAGE_HOOK_TIMEOUT, entry.step, entry.call, entry.number as i64);
            start.leave(126);
        }
    }
    let mut status = 0u32;
    loop {
        // SAFETY: `status` has room for the status.
        let waited = unsafe { call(header.wait4, [pid as u64, &raw mut status as u64, 0, 0, 0, 0]) };
        if waited != EINTR {
            break;
        }
    }
    // SAFETY: our own descriptor.
    unsafe { call(header.close, [u64::from(pidfd), 0, 0, 0, 0, 0]) };
    if status != 0 {
        start.tell(MESSAGE_HOOK_STATUS, entry.step, entry.call, i64::from(status));
        start.leave(126);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
