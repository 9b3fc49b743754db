//! Syscall numbers of every architecture, as facts.
//!
//! One row a name, one column an ABI in the order of [`Column`]. Numbers are
//! relative to the ABI's base (MIPS counts from 4000, 5000 and 6000, x32 sets bit
//! 30); ARM's private calls from `0x0f_0000` on are written from `0xf000` on. All
//! syscalls of Linux 6.17 are here; from 403 on every ABI has the same number.

mod a_to_m;
mod n_to_z;

use a_to_m::A_TO_M;
use n_to_z::N_TO_Z;

/// A name and its numbers.
type Row = (&'static str, [u16; COLUMNS]);

/// How many columns a row has.
const COLUMNS: usize = 18;

/// The ABI has no such call.
const X: u16 = u16::MAX;

/// Where a column writes ARM's private calls, and where they really are.
const ARM_PRIVATE_WRITTEN: u16 = 0xf000;

/// The first of ARM's private calls (`__ARM_NR_BASE`).
pub(super) const ARM_PRIVATE: u32 = 0x0f_0000;

/// The column of an ABI. Byte order changes no number, so the little- and
/// big-endian variants of MIPS, PowerPC and SuperH share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    X86,
    X86_64,
    X32,
    Arm,
    Aarch64,
    Mips,
    Mips64,
    Mips64N32,
    Ppc,
    Ppc64,
    S390,
    S390x,
    Parisc,
    Parisc64,
    Riscv64,
    Loongarch64,
    M68k,
    Sh,
}

/// A syscall that some architecture has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Syscall(&'static Row);

impl Syscall {
    /// `None` when no architecture has a call of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let rows: &'static [Row] = if name < N_TO_Z[0].0 { &A_TO_M } else { &N_TO_Z };
        let at = rows.binary_search_by(|row| row.0.cmp(name)).ok()?;
        rows.get(at).map(Self)
    }

    /// Its number in one ABI, relative to the ABI's base.
    pub(super) fn number(self, column: Column) -> Option<u32> {
        match self.0.1[column as usize] {
            X => None,
            private if private >= ARM_PRIVATE_WRITTEN => {
                Some(ARM_PRIVATE + u32::from(private - ARM_PRIVATE_WRITTEN))
            }
            number => Some(u32::from(number)),
        }
    }

    /// The number by which socketcall(2) or ipc(2) reaches it: `linux/net.h`, `linux/ipc.h`.
    pub(super) fn call_number(self) -> Option<(Multiplexer, u32)> {
        let find = |calls: &[(&str, u32)]| {
            let call = calls.iter().find(|(name, _)| *name == self.0.0)?;
            Some(call.1)
        };
        if let Some(number) = find(&SOCKET_CALLS) {
            return Some((Multiplexer::Socketcall, number));
        }
        find(&IPC_CALLS).map(|number| (Multiplexer::Ipc, number))
    }
}

/// All names, sorted.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    A_TO_M.iter().chain(&N_TO_Z).map(|row| row.0)
}

/// A syscall that stands for a family; its first argument says which member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Multiplexer {
    /// socketcall(2)
    Socketcall,
    /// ipc(2)
    Ipc,
}

impl Multiplexer {
    /// The multiplexer itself.
    pub(super) fn syscall(self) -> Option<Syscall> {
        Syscall::named(match self {
            Self::Socketcall => "socketcall",
            Self::Ipc => "ipc",
        })
    }
}

/// `SYS_*` of `linux/net.h`
const SOCKET_CALLS: [(&str, u32); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// `SEMOP`, `MSGSND`, ... of `linux/ipc.h`
const IPC_CALLS: [(&str, u32); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_name() {
        for row in A_TO_M.iter().chain(&N_TO_Z) {
            let found = Syscall::named(row.0).expect(row.0);
            assert_eq!(found.0.0, row.0);
        }
        assert!(Syscall::named("").is_none());
        assert!(Syscall::named("zzz").is_none());
    }

    #[test]
    fn every_family_member_has_a_row() {
        for (name, number) in SOCKET_CALLS.iter().chain(&IPC_CALLS) {
            let call = Syscall::named(name).expect(name).call_number();
            assert_eq!(call.map(|(_, found)| found), Some(*number));
        }
    }

    #[test]
    fn arm_private_calls_are_where_the_kernel_has_them() {
        let set_tls = Syscall::named("set_tls").expect("set_tls");
        assert_eq!(set_tls.number(Column::Arm), Some(0x0f_0005));
        assert_eq!(set_tls.number(Column::X86), None);
    }
}
