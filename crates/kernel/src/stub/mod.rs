//! The sealed stub's image: a script of system calls, assembled by the parent.
//!
//! `stub/stub.rs` tells what the stub is and how it reads the script. This is the
//! other half: a [`Script`] is filled, one method for each thing the stub may be
//! asked to do, and [`Script::assemble`] makes an executable image of it, to be
//! sealed in a memfd.

mod calls;
mod procfs;

pub use calls::{Capabilities, Hook};

use crate::error::told_errno;
use crate::process::ExitStatus;
use crate::{Errno, Error, Result};

/// The compiled stub: one page of code and a `.script` segment of eight bytes.
static STUB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stub"));

/// Where the script is mapped; the same number stands in `stub/stub.{rs,ld}`.
const SCRIPT_ADDRESS: u64 = 0x1000_0000;

/// Size of a message of the stub: four 32-bit words.
pub const MESSAGE_SIZE: usize = 16;

const MESSAGE_FAILED: u32 = 0xC0F1;
const MESSAGE_FORKED: u32 = 0xC0F2;
const MESSAGE_RESULT: u32 = 0xC0F3;
const MESSAGE_HOOK_STATUS: u32 = 0xC0F4;
const MESSAGE_HOOK_TIMEOUT: u32 = 0xC0F5;
const MESSAGE_READY: u32 = 0xC0F6;

/// What the stub says to the parent, or leaves in the failure file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Everything before the gate is done.
    Ready,
    /// A call of this step failed.
    Failed {
        /// Index of the step.
        step: usize,
        /// Index into [`Script::call_names`].
        call: usize,
        /// Why.
        errno: Errno,
    },
    /// The process that goes on, as the outer pid namespace sees it.
    Forked {
        /// Its pid.
        pid: i32,
    },
    /// Result of a call whose result the parent wanted (the seccomp listener's number).
    Result {
        /// Index of the step.
        step: usize,
        /// What the call returned.
        value: i32,
    },
    /// A hook ended with a wait status other than 0.
    HookStatus {
        /// Index of the step.
        step: usize,
        /// Code or signal.
        status: ExitStatus,
    },
    /// A hook was killed because its time was up.
    HookTimeout {
        /// Index of the step.
        step: usize,
    },
}

impl Message {
    /// Decodes one message; `None` when it is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; MESSAGE_SIZE] = bytes.try_into().ok()?;
        let word = |at: usize| {
            u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let (step, call, value) = (word(4) as usize, word(8) as usize, word(12).cast_signed());
        Some(match word(0) {
            MESSAGE_READY => Self::Ready,
            MESSAGE_FAILED => Self::Failed {
                step,
                call,
                errno: told_errno(value),
            },
            MESSAGE_FORKED => Self::Forked { pid: value },
            MESSAGE_RESULT => Self::Result { step, value },
            MESSAGE_HOOK_STATUS => Self::HookStatus {
                step,
                status: exit_status(value),
            },
            MESSAGE_HOOK_TIMEOUT => Self::HookTimeout { step },
            _ => return None,
        })
    }

    /// The bytes of those two that tell of no step.
    pub fn encode(self) -> Option<[u8; MESSAGE_SIZE]> {
        let (kind, value) = match self {
            Self::Ready => (MESSAGE_READY, 0),
            Self::Forked { pid } => (MESSAGE_FORKED, pid),
            _ => return None,
        };
        let mut bytes = [0; MESSAGE_SIZE];
        bytes[..4].copy_from_slice(&kind.to_ne_bytes());
        bytes[12..].copy_from_slice(&value.to_ne_bytes());
        Some(bytes)
    }
}

/// A wait status, wait(2).
fn exit_status(status: i32) -> ExitStatus {
    if libc::WIFSIGNALED(status) {
        ExitStatus::Signal(libc::WTERMSIG(status))
    } else {
        ExitStatus::Code(libc::WEXITSTATUS(status))
    }
}

/// Same layout as in `stub/stub.rs`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    kind: u32,
    flags: u32,
    step: u32,
    call: u32,
    number: u64,
    arguments: [u64; 6],
}

const ENTRY_SIZE: usize = 72;
const HEADER_WORDS: usize = 19;

const KIND_CALL: u32 = 0;
const KIND_FORK: u32 = 1;
const KIND_HOOK: u32 = 2;
const KIND_PID_INTO_ENVIRONMENT: u32 = 3;

/// Flags of an entry; told in `stub/stub.rs`.
mod flag {
    pub(super) const IGNORE_FAILURE: u32 = 1;
    pub(super) const ONLY_IF_FAILED: u32 = 1 << 1;
    pub(super) const RETRY: u32 = 1 << 2;
    pub(super) const LEAVE_ON_ZERO: u32 = 1 << 3;
    pub(super) const PROGRAM_0: u32 = 1 << 4;
    pub(super) const PROGRAM_1: u32 = 1 << 5;
    pub(super) const ARGV_ENVP: u32 = 1 << 6;
    pub(super) const DETACHED: u32 = 1 << 7;
    pub(super) const REPORT_RESULT: u32 = 1 << 8;
    pub(super) const TOLERATE: u32 = 1 << 9;
    pub(super) const REMEMBER: u32 = 1 << 10;
    pub(super) const KEEP_RESULT: u32 = 1 << 11;
    pub(super) const KEPT_0: u32 = 1 << 12;
    pub(super) const REPLACE_KEPT: u32 = 1 << 13;
}

/// A script under construction. Every method takes the index of the step it
/// belongs to, by which the parent names the property when a call fails.
pub struct Script {
    entries: Vec<Entry>,
    names: Vec<&'static str>,
    /// What entries point to; lies directly behind the header.
    data: Vec<u8>,
    socket: u32,
    error_file: Option<u32>,
}

impl Script {
    /// An empty script. `socket` is the number under which the stub finds its end
    /// of the conversation, `error_file` that of the file that takes failures after
    /// the parent has gone.
    pub fn new(socket: u32, error_file: Option<u32>) -> Self {
        Self {
            entries: Vec::with_capacity(64),
            names: Vec::with_capacity(64),
            data: Vec::with_capacity(1024),
            socket,
            error_file,
        }
    }

    /// The names of the calls, by [`Message::Failed::call`].
    pub fn call_names(&self) -> &[&'static str] {
        &self.names
    }

    /// Adds bytes, aligned to eight, and returns their address.
    fn add_data(&mut self, bytes: &[u8]) -> u64 {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let address = SCRIPT_ADDRESS + (HEADER_WORDS * 8 + self.data.len()) as u64;
        self.data.extend_from_slice(bytes);
        address
    }

    fn add_string(&mut self, text: &str) -> u64 {
        let address = self.add_data(text.as_bytes());
        self.data.push(0);
        address
    }

    /// A vector of strings as execve(2) takes it.
    fn add_strings(&mut self, strings: &[String]) -> u64 {
        let mut words: Vec<u8> = Vec::with_capacity((strings.len() + 1) * 8);
        for string in strings {
            words.extend_from_slice(&self.add_string(string).to_ne_bytes());
        }
        words.extend_from_slice(&0u64.to_ne_bytes());
        self.add_data(&words)
    }

    fn add(&mut self, step: usize, name: &'static str, mut entry: Entry) {
        entry.step = step as u32;
        entry.call = self.names.len() as u32;
        self.names.push(name);
        self.entries.push(entry);
    }

    fn call<const N: usize>(
        &mut self,
        step: usize,
        (name, number): (&'static str, libc::c_long),
        flags: u32,
        arguments: [u64; N],
    ) {
        let mut all = [0; 6];
        for (to, from) in all.iter_mut().zip(arguments) {
            *to = from;
        }
        let entry = Entry {
            kind: KIND_CALL,
            flags,
            step: 0,
            call: 0,
            number: number.cast_unsigned(),
            arguments: all,
        };
        self.add(step, name, entry);
    }

    /// The executable: the stub's code with this script as its second segment.
    ///
    /// # Errors
    /// `ENOEXEC` when the embedded stub is not the ELF file `build.rs` should have made.
    pub fn assemble(&self) -> Result<Vec<u8>> {
        let damaged = || Error::new(Errno::NOEXEC, "assemble(stub)");
        let header = ScriptSegment::find(STUB).ok_or_else(damaged)?;
        self.image(&header).ok_or_else(damaged)
    }

    fn image(&self, segment: &ScriptSegment) -> Option<Vec<u8>> {
        let entries_at = (HEADER_WORDS * 8 + self.data.len()).next_multiple_of(8);
        let length = entries_at + self.entries.len() * ENTRY_SIZE;
        let mut image = Vec::with_capacity(segment.offset + length);
        image.extend_from_slice(STUB.get(..segment.offset)?);
        for field in [segment.file_size_at, segment.memory_size_at] {
            image
                .get_mut(field..field + 8)?
                .copy_from_slice(&(length as u64).to_ne_bytes());
        }
        for word in self.header(SCRIPT_ADDRESS + entries_at as u64) {
            image.extend_from_slice(&word.to_ne_bytes());
        }
        image.extend_from_slice(&self.data);
        image.resize(segment.offset + entries_at, 0);
        for entry in &self.entries {
            for half in [entry.kind, entry.flags, entry.step, entry.call] {
                image.extend_from_slice(&half.to_ne_bytes());
            }
            image.extend_from_slice(&entry.number.to_ne_bytes());
            for argument in entry.arguments {
                image.extend_from_slice(&argument.to_ne_bytes());
            }
        }
        Some(image)
    }

    fn header(&self, entries: u64) -> [u64; HEADER_WORDS] {
        let number = |call: libc::c_long| call.cast_unsigned();
        [
            self.entries.len() as u64,
            entries,
            u64::from(self.socket),
            self.error_file.map_or(u64::MAX, u64::from),
            number(libc::SYS_write),
            number(libc::SYS_exit_group),
            number(libc::SYS_clone),
            number(libc::SYS_execve),
            number(libc::SYS_wait4),
            number(libc::SYS_pipe2),
            number(libc::SYS_dup3),
            number(libc::SYS_close),
            number(libc::SYS_ppoll),
            number(libc::SYS_kill),
            number(libc::SYS_getpid),
            number(libc::SYS_setpgid),
            (libc::O_CLOEXEC | libc::O_NONBLOCK) as u64,
            libc::SIGCHLD as u64,
            libc::SIGKILL as u64,
        ]
    }
}

/// The program header of the segment that holds the script.
struct ScriptSegment {
    /// Offset of the segment in the file.
    offset: usize,
    /// Offset of `p_filesz`.
    file_size_at: usize,
    /// Offset of `p_memsz`.
    memory_size_at: usize,
}

impl ScriptSegment {
    fn find(elf: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let bytes = elf.get(at..at + 8)?;
            Some(u64::from_ne_bytes(bytes.try_into().ok()?))
        };
        let headers = word(std::mem::offset_of!(libc::Elf64_Ehdr, e_phoff))? as usize;
        let size = size_of::<libc::Elf64_Phdr>();
        (0..8).map(|n| headers + n * size).find_map(|at| {
            let address = word(at + std::mem::offset_of!(libc::Elf64_Phdr, p_vaddr))?;
            (address == SCRIPT_ADDRESS).then_some(())?;
            Some(Self {
                offset: word(at + std::mem::offset_of!(libc::Elf64_Phdr, p_offset))? as usize,
                file_size_at: at + std::mem::offset_of!(libc::Elf64_Phdr, p_filesz),
                memory_size_at: at + std::mem::offset_of!(libc::Elf64_Phdr, p_memsz),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_agree_with_the_stub() {
        assert_eq!(size_of::<Entry>(), ENTRY_SIZE);
        assert!(ScriptSegment::find(STUB).is_some());
        assert!(STUB.len() < 8192, "the stub grew: {}", STUB.len());
    }

    #[test]
    fn messages_decode() {
        let bytes = |words: [u32; 4]| words.map(u32::to_ne_bytes).concat();
        assert_eq!(
            Message::decode(&bytes([MESSAGE_READY, 0, 0, 0])),
            Some(Message::Ready)
        );
        assert_eq!(
            Message::decode(&bytes([MESSAGE_FAILED, 3, 7, 2])),
            Some(Message::Failed {
                step: 3,
                call: 7,
                errno: Errno::NOENT
            })
        );
        assert_eq!(Message::decode(&bytes([1, 2, 3, 4])), None);
        assert_eq!(Message::decode(b"short"), None);
        for message in [Message::Ready, Message::Forked { pid: 77 }] {
            let encoded = message.encode().unwrap();
            assert_eq!(Message::decode(&encoded), Some(message));
        }
    }
}
