//! The one system call that returns twice on the same stack.
//!
//! With `CLONE_VM` and no stack of its own the child goes on below the stack pointer of
//! its parent, which sleeps (`CLONE_VFORK`). It must not return from the function that
//! made the call, whose frame is the parent's: so the call and what the child does then
//! are one piece of assembly, of which the child never leaves.

use std::arch::asm;
use std::convert::Infallible;
use std::ffi::c_long;

use crate::Errno;

/// What the child runs.
pub(crate) type Body<'a> = &'a dyn Fn() -> Infallible;

/// Where the child begins. Unwinding out of here aborts it.
unsafe extern "C" fn begin(body: *const Body<'_>) -> ! {
    // SAFETY: `clone3` was given it by reference, and the parent sleeps.
    match unsafe { (*body)() } {}
}

/// `clone3(arguments)`; the child runs `body`. The parent gets the child's pid.
///
/// # Safety
/// The flags must hold `CLONE_VM` and `CLONE_VFORK`, the stack must be none, and this
/// process must have one thread.
pub(crate) unsafe fn clone3(
    arguments: &mut libc::clone_args,
    body: &Body<'_>,
) -> Result<i32, Errno> {
    let answer: c_long;
    let size = size_of::<libc::clone_args>();
    // SAFETY: the kernel preserves all registers but those named. The child writes below
    // what is ours of the stack, and to any memory that `body` leads to: nothing here
    // says that it does not.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            // Below the red zone, and aligned as a call wants it.
            "sub rsp, 128",
            "and rsp, -16",
            "mov rdi, rdx",
            "call {begin}",
            "ud2",
            "2:",
            begin = sym begin,
            inlateout("rax") libc::SYS_clone3 => answer,
            in("rdi") std::ptr::from_mut(arguments),
            in("rsi") size,
            in("rdx") std::ptr::from_ref(body),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x0, x2",
            "bl {begin}",
            "brk #1",
            "2:",
            begin = sym begin,
            in("x8") libc::SYS_clone3,
            inlateout("x0") std::ptr::from_mut(arguments) => answer,
            in("x1") size,
            in("x2") std::ptr::from_ref(body),
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "riscv64")]
    unsafe {
        asm!(
            "ecall",
            "bnez a0, 2f",
            "mv a0, a2",
            "call {begin}",
            "ebreak",
            "2:",
            begin = sym begin,
            in("a7") libc::SYS_clone3,
            inlateout("a0") std::ptr::from_mut(arguments) => answer,
            in("a1") size,
            in("a2") std::ptr::from_ref(body),
        );
    }
    // The raw call returns errno, negated.
    match answer {
        failed @ ..0 => Err(Errno::from_raw_os_error(-failed as i32)),
        pid => Ok(pid as i32),
    }
}
