//! eBPF programs that decide about devices of a cgroup v2, bpf(2).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::answer::of_call;
use crate::{Errno, Error, Result, rlimit};

// Neither libc nor the C library declares bpf(2). The constants and the two
// structures below are from include/uapi/linux/bpf.h, where every field has a
// fixed width and place: they are the same on all architectures.
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// Room for what the verifier says of a program it refuses.
const LOG_BYTES: usize = 64 * 1024;
/// How much of its end is shown.
const LOG_TAIL: usize = 400;

#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct ProgAttach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// Loads a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`. Each word is one
/// `struct bpf_insn` as a little-endian machine reads it.
///
/// # Errors
/// `EPERM` without CAP_BPF or CAP_SYS_ADMIN in the first user namespace;
/// `EINVAL` and `EACCES` with the end of the verifier's log as detail.
pub fn load_device_program(instructions: &[u64]) -> Result<OwnedFd> {
    let native = native_words(instructions);
    match load(&native, None) {
        Ok(program) => Ok(program),
        // Before Linux 5.11 programs count against RLIMIT_MEMLOCK.
        Err(Errno::PERM) => {
            raise_locked_memory();
            load(&native, None).map_err(|e| load_error(e, instructions.len()))
        }
        Err(errno) => {
            let mut log = vec![0; LOG_BYTES];
            match load(&native, Some(&mut log)) {
                Ok(program) => Ok(program),
                Err(_) => Err(with_log(load_error(errno, instructions.len()), &log)),
            }
        }
    }
}

/// `struct bpf_insn` is one byte of code, two registers of four bits (which a
/// big-endian machine keeps the other way round), 16 and 32 bits.
fn native_words(instructions: &[u64]) -> Vec<[u8; 8]> {
    let word = |&word: &u64| {
        let [code, registers, off0, off1, imm0, imm1, imm2, imm3] = word.to_le_bytes();
        if cfg!(target_endian = "little") {
            return [code, registers, off0, off1, imm0, imm1, imm2, imm3];
        }
        [
            code,
            registers.rotate_left(4),
            off1,
            off0,
            imm3,
            imm2,
            imm1,
            imm0,
        ]
    };
    instructions.iter().map(word).collect()
}

fn load(
    instructions: &[[u8; 8]],
    log: Option<&mut Vec<u8>>,
) -> std::result::Result<OwnedFd, Errno> {
    let mut attributes = ProgLoad {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr() as u64,
        // Devices need no helper that is for GPL programs only.
        license: c"Apache-2.0".as_ptr() as u64,
        ..ProgLoad::default()
    };
    attributes.prog_name[..7].copy_from_slice(b"devices");
    if let Some(log) = log {
        attributes.log_level = 1;
        attributes.log_size = log.len() as u32;
        attributes.log_buf = log.as_mut_ptr() as u64;
    }
    // SAFETY: the instructions, the license and the log are borrowed until here.
    let number = unsafe { bpf(BPF_PROG_LOAD, &attributes) }?;
    // SAFETY: a new descriptor, which the kernel made close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(number as libc::c_int) })
}

/// # Safety
/// `attributes` is what the command reads, and the memory its addresses name is
/// alive, of the length it says, and writable where the command writes (the log).
unsafe fn bpf<T>(
    command: libc::c_long,
    attributes: &T,
) -> std::result::Result<libc::c_long, Errno> {
    // SAFETY: by this function's own contract; the size is the structure's.
    of_call(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    })
}

fn raise_locked_memory() {
    // Without the privilege the second attempt fails as the first did.
    let _ = rlimit::set_process_limit(0, libc::RLIMIT_MEMLOCK, u64::MAX, u64::MAX);
}

fn load_error(errno: Errno, count: usize) -> Error {
    let call = format!("bpf(BPF_PROG_LOAD, CGROUP_DEVICE, {count} instructions)");
    Error::new(errno, call)
}

fn with_log(error: Error, log: &[u8]) -> Error {
    let text: Vec<u8> = log.iter().copied().take_while(|b| *b != 0).collect();
    let lines = String::from_utf8_lossy(&text);
    let one_line = lines.split_whitespace().collect::<Vec<_>>().join(" ");
    let from = one_line.len().saturating_sub(LOG_TAIL);
    match one_line.get(from..) {
        Some(tail) if !tail.is_empty() => {
            let detail = format!("{}, the verifier said: {tail}", error.reason());
            error.with_detail(detail)
        }
        _ => error,
    }
}

/// Lets a program decide about devices of a cgroup, together with those that
/// others attached (`BPF_F_ALLOW_MULTI`): all of them have to agree.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN or CAP_NET_ADMIN, or where an ancestor forbids
/// it; `EBADF` when the descriptor is no cgroup v2 directory.
pub fn attach_cgroup_device(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<()> {
    let attributes = ProgAttach {
        target_fd: cgroup.as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: descriptors and integers only.
    let answer = unsafe { bpf(BPF_PROG_ATTACH, &attributes) };
    answer.map(drop).map_err(|e| {
        let (cgroup, program) = (cgroup.as_raw_fd(), program.as_raw_fd());
        let call = format!(
            "bpf(BPF_PROG_ATTACH, cgroup {cgroup}, program {program}, CGROUP_DEVICE, ALLOW_MULTI)"
        );
        Error::new(e, call)
    })
}
