//! The architectures of the OCI spec: how the kernel names them to a filter.

use oci_spec::runtime::Arch as OciArch;

use super::tables::Column;

/// One ABI a filter can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abi {
    /// `AUDIT_ARCH_*`, what `seccomp_data.arch` holds. x32 shares x86_64's.
    pub(super) token: u32,
    /// Its numbers.
    pub(super) column: Column,
    /// What is added to a number of the table.
    pub(super) base: u32,
    /// Arguments are 32 bits wide; the upper halves are not looked at.
    pub(super) narrow: bool,
    /// The upper half of an argument comes first in memory.
    pub(super) big_endian: bool,
    /// socketcall(2) and ipc(2) exist.
    pub(super) multiplexed: bool,
}

/// x32 numbers have this bit, under the token of x86_64.
pub(super) const X32_BIT: u32 = 0x4000_0000;

const LITTLE: u32 = 0x4000_0000;
const WIDE: u32 = 0x8000_0000;
const N32: u32 = 0x2000_0000;

impl Abi {
    const fn new(token: u32, column: Column) -> Self {
        Self {
            token,
            column,
            base: 0,
            narrow: token & WIDE == 0,
            big_endian: token & LITTLE == 0,
            multiplexed: false,
        }
    }

    const fn multiplexed(self) -> Self {
        Self {
            multiplexed: true,
            ..self
        }
    }

    const fn based(self, base: u32) -> Self {
        Self { base, ..self }
    }

    const fn narrow(self) -> Self {
        Self {
            narrow: true,
            ..self
        }
    }

    /// `ENOSYS`, which is not 38 everywhere.
    pub(super) const fn enosys(&self) -> u32 {
        match self.column {
            Column::Mips | Column::Mips64 | Column::Mips64N32 => 89,
            Column::Parisc | Column::Parisc64 => 251,
            _ => 38,
        }
    }

    /// The one this program was built for; `None` where seccomp is unknown to us.
    pub(super) fn native() -> Option<OciArch> {
        let little = cfg!(target_endian = "little");
        let either = |if_little, if_big| Some(if little { if_little } else { if_big });
        match std::env::consts::ARCH {
            "x86_64" if cfg!(target_pointer_width = "32") => Some(OciArch::ScmpArchX32),
            "x86_64" => Some(OciArch::ScmpArchX86_64),
            "x86" => Some(OciArch::ScmpArchX86),
            "arm" => Some(OciArch::ScmpArchArm),
            "aarch64" => Some(OciArch::ScmpArchAarch64),
            "riscv64" => Some(OciArch::ScmpArchRiscv64),
            "loongarch64" => Some(OciArch::ScmpArchLoongarch64),
            "s390x" => Some(OciArch::ScmpArchS390x),
            "powerpc" => Some(OciArch::ScmpArchPpc),
            "powerpc64" => either(OciArch::ScmpArchPpc64le, OciArch::ScmpArchPpc64),
            "mips" => either(OciArch::ScmpArchMipsel, OciArch::ScmpArchMips),
            "mips64" => either(OciArch::ScmpArchMipsel64, OciArch::ScmpArchMips64),
            "m68k" => Some(OciArch::ScmpArchM68k),
            _ => None,
        }
    }

    /// What the spec's word stands for; `None` for "native" on an unknown machine.
    pub(super) fn of(arch: OciArch) -> Option<Self> {
        use OciArch as A;
        Some(match arch {
            A::ScmpArchNative => return Self::native().and_then(Self::of),
            A::ScmpArchX86 => Self::new(LITTLE | 3, Column::X86).multiplexed(),
            A::ScmpArchX86_64 => Self::new(WIDE | LITTLE | 62, Column::X86_64),
            A::ScmpArchX32 => Self::new(WIDE | LITTLE | 62, Column::X32)
                .based(X32_BIT)
                .narrow(),
            A::ScmpArchArm => Self::new(LITTLE | 40, Column::Arm),
            A::ScmpArchAarch64 => Self::new(WIDE | LITTLE | 183, Column::Aarch64),
            A::ScmpArchMips => Self::new(8, Column::Mips).based(4000).multiplexed(),
            A::ScmpArchMipsel => Self::new(LITTLE | 8, Column::Mips)
                .based(4000)
                .multiplexed(),
            A::ScmpArchMips64 => Self::new(WIDE | 8, Column::Mips64).based(5000),
            A::ScmpArchMipsel64 => Self::new(WIDE | LITTLE | 8, Column::Mips64).based(5000),
            A::ScmpArchMips64n32 => Self::new(WIDE | N32 | 8, Column::Mips64N32)
                .based(6000)
                .narrow(),
            A::ScmpArchMipsel64n32 => Self::new(WIDE | LITTLE | N32 | 8, Column::Mips64N32)
                .based(6000)
                .narrow(),
            A::ScmpArchPpc => Self::new(20, Column::Ppc).multiplexed(),
            A::ScmpArchPpc64 => Self::new(WIDE | 21, Column::Ppc64).multiplexed(),
            A::ScmpArchPpc64le => Self::new(WIDE | LITTLE | 21, Column::Ppc64).multiplexed(),
            A::ScmpArchS390 => Self::new(22, Column::S390).multiplexed(),
            A::ScmpArchS390x => Self::new(WIDE | 22, Column::S390x).multiplexed(),
            A::ScmpArchParisc => Self::new(15, Column::Parisc),
            A::ScmpArchParisc64 => Self::new(WIDE | 15, Column::Parisc64),
            A::ScmpArchRiscv64 => Self::new(WIDE | LITTLE | 243, Column::Riscv64),
            A::ScmpArchLoongarch64 => Self::new(WIDE | LITTLE | 258, Column::Loongarch64),
            A::ScmpArchM68k => Self::new(4, Column::M68k).multiplexed(),
            A::ScmpArchSh => Self::new(LITTLE | 42, Column::Sh).multiplexed(),
            A::ScmpArchSheb => Self::new(42, Column::Sh).multiplexed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_ones_of_linux_audit_h() {
        let token = |arch| Abi::of(arch).map(|abi| abi.token);
        assert_eq!(token(OciArch::ScmpArchX86), Some(0x4000_0003));
        assert_eq!(token(OciArch::ScmpArchX86_64), Some(0xc000_003e));
        assert_eq!(token(OciArch::ScmpArchX32), Some(0xc000_003e));
        assert_eq!(token(OciArch::ScmpArchMipsel64n32), Some(0xe000_0008));
        assert_eq!(token(OciArch::ScmpArchPpc64le), Some(0xc000_0015));
        assert_eq!(token(OciArch::ScmpArchLoongarch64), Some(0xc000_0102));
        assert_eq!(token(OciArch::ScmpArchSheb), Some(0x0000_002a));
    }

    #[test]
    fn this_machine_has_an_abi() {
        assert!(Abi::of(OciArch::ScmpArchNative).is_some());
    }
}
