//! The architectures, for the tests: written apart from the compiler's table.

#[derive(Debug, Clone, Copy)]
pub struct Machine {
    pub word: &'static str,
    pub token: u32,
    pub base: u32,
    pub big_endian: bool,
    /// Arguments are 32 bits wide.
    pub narrow: bool,
    /// socketcall(2) and ipc(2) exist.
    pub multiplexed: bool,
}

const fn machine(word: &'static str, token: u32, base: u32, big_endian: bool) -> Machine {
    Machine {
        word,
        token,
        base,
        big_endian,
        narrow: false,
        multiplexed: false,
    }
}

impl Machine {
    const fn narrow(self) -> Self {
        Self {
            narrow: true,
            ..self
        }
    }

    const fn multiplexed(self) -> Self {
        Self {
            multiplexed: true,
            ..self
        }
    }

    /// The bits of an argument that count.
    pub fn width(&self) -> u64 {
        if self.narrow { 0xffff_ffff } else { u64::MAX }
    }

    pub fn enosys(&self) -> u32 {
        match self.word.trim_start_matches("SCMP_ARCH_") {
            word if word.starts_with("MIPS") => 89,
            word if word.starts_with("PARISC") => 251,
            _ => 38,
        }
    }
}

pub const X86_64: Machine = machine("SCMP_ARCH_X86_64", 0xc000_003e, 0, false);
pub const X86: Machine = machine("SCMP_ARCH_X86", 0x4000_0003, 0, false)
    .narrow()
    .multiplexed();
pub const X32: Machine = machine("SCMP_ARCH_X32", 0xc000_003e, 0x4000_0000, false).narrow();

/// Those the oracle (libseccomp 2.5) knows.
pub const KNOWN_TO_THE_ORACLE: [Machine; 19] = [
    X86_64,
    X86,
    X32,
    machine("SCMP_ARCH_ARM", 0x4000_0028, 0, false).narrow(),
    machine("SCMP_ARCH_AARCH64", 0xc000_00b7, 0, false),
    machine("SCMP_ARCH_MIPS", 0x0000_0008, 4000, true)
        .narrow()
        .multiplexed(),
    machine("SCMP_ARCH_MIPSEL", 0x4000_0008, 4000, false)
        .narrow()
        .multiplexed(),
    machine("SCMP_ARCH_MIPS64", 0x8000_0008, 5000, true),
    machine("SCMP_ARCH_MIPSEL64", 0xc000_0008, 5000, false),
    machine("SCMP_ARCH_MIPS64N32", 0xa000_0008, 6000, true).narrow(),
    machine("SCMP_ARCH_MIPSEL64N32", 0xe000_0008, 6000, false).narrow(),
    machine("SCMP_ARCH_PPC", 0x0000_0014, 0, true)
        .narrow()
        .multiplexed(),
    machine("SCMP_ARCH_PPC64", 0x8000_0015, 0, true).multiplexed(),
    machine("SCMP_ARCH_PPC64LE", 0xc000_0015, 0, false).multiplexed(),
    machine("SCMP_ARCH_S390", 0x0000_0016, 0, true)
        .narrow()
        .multiplexed(),
    machine("SCMP_ARCH_S390X", 0x8000_0016, 0, true).multiplexed(),
    machine("SCMP_ARCH_PARISC", 0x0000_000f, 0, true).narrow(),
    machine("SCMP_ARCH_PARISC64", 0x8000_000f, 0, true),
    machine("SCMP_ARCH_RISCV64", 0xc000_00f3, 0, false),
];

/// Those it does not.
pub const UNKNOWN_TO_THE_ORACLE: [Machine; 4] = [
    machine("SCMP_ARCH_LOONGARCH64", 0xc000_0102, 0, false),
    machine("SCMP_ARCH_M68K", 0x0000_0004, 0, true)
        .narrow()
        .multiplexed(),
    machine("SCMP_ARCH_SH", 0x4000_002a, 0, false)
        .narrow()
        .multiplexed(),
    machine("SCMP_ARCH_SHEB", 0x0000_002a, 0, true)
        .narrow()
        .multiplexed(),
];
