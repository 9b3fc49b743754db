//! The kernel's side: `struct seccomp_data` and classic BPF, slowly and plainly.

use plan::SeccompProgram;

/// One instruction: code, jump if true, jump if false, operand.
pub type Instruction = (u16, u8, u8, u32);

/// `struct seccomp_data`, without the instruction pointer that no filter looks at.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub number: u32,
    pub token: u32,
    pub args: [u64; 6],
    pub big_endian: bool,
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.token,
            16..64 if offset.is_multiple_of(4) => {
                let value = self.args[(offset as usize - 16) / 8];
                let second = offset % 8 == 4;
                if second == self.big_endian {
                    value as u32
                } else {
                    (value >> 32) as u32
                }
            }
            _ => panic!("the filter loads offset {offset}"),
        }
    }
}

pub fn unpack(program: &SeccompProgram) -> Vec<Instruction> {
    let parts = |i: &u64| {
        let [c1, c0, jt, jf, rest @ ..] = i.to_be_bytes();
        (
            u16::from_be_bytes([c1, c0]),
            jt,
            jf,
            u32::from_be_bytes(rest),
        )
    };
    program.instructions.iter().map(parts).collect()
}

/// Runs a filter: the action, and how many instructions it took.
pub fn run(program: &[Instruction], call: &Call) -> (u32, usize) {
    let (mut at, mut accumulator, mut steps) = (0, 0_u32, 0);
    loop {
        let (code, if_true, if_false, operand) = program[at];
        at += 1;
        steps += 1;
        let holds = match code {
            0x20 => {
                accumulator = call.word(operand);
                continue;
            }
            0x54 => {
                accumulator &= operand;
                continue;
            }
            0x05 => {
                at += operand as usize;
                continue;
            }
            0x06 => return (operand, steps),
            0x15 => accumulator == operand,
            0x25 => accumulator > operand,
            0x35 => accumulator >= operand,
            0x45 => accumulator & operand != 0,
            _ => panic!("instruction {code:#x}"),
        };
        at += usize::from(if holds { if_true } else { if_false });
    }
}
