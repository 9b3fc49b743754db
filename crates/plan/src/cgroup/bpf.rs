//! The device rules as a program for `BPF_CGROUP_DEVICE`.
//!
//! The kernel asks with a kind, two numbers and a set of accesses. Each access
//! is decided by the last rule of the list that matches it, so the rules are
//! tried from the end; accesses that were allowed are struck off, and when none
//! is left the answer is yes:
//!
//! ```text
//! r2 = accesses not decided yet    r3 = kind    r4 = major    r5 = minor
//! for each rule, from the last:
//!     other kind, major or minor?  next rule
//!     allow:  r2 &= !access; r2 == 0?  return 1
//!     deny:   r2 & access != 0?        return 0
//! return 0
//! ```
//!
//! Neighbours that decide the same about every access of one device each (the
//! devices every container has are ten of them) are asked without a jump between
//! them: the kernel's verifier follows both ways of each jump, and took eight times
//! as long for a chain of comparisons, most of what attaching the program costs.
//!
//! ```text
//! r6 = kind << 60 | major << 32 | minor
//! r7 = -1
//! for each:  r8 = r6 ^ wanted;  r7 &= r8 | -r8        negative unless equal
//! r7 >= 0?   return allow
//! ```

use std::collections::BTreeSet;

use super::devices::{ALL, Rule};

/// `struct bpf_insn`: the operation, its register, its jump, its number.
#[derive(Debug, Clone, Copy)]
struct Instruction {
    code: u8,
    register: u8,
    source: u8,
    offset: i16,
    number: i32,
}

impl Instruction {
    const fn new(code: u8, register: u8, number: i32) -> Self {
        Self {
            code,
            register,
            source: 0,
            offset: 0,
            number,
        }
    }

    const fn jump(self, offset: i16) -> Self {
        Self { offset, ..self }
    }

    const fn with_source(self, source: u8) -> Self {
        Self { source, ..self }
    }

    /// `u8 code, dst:4, src:4, s16 off, s32 imm`, first byte lowest.
    fn word(self) -> u64 {
        let registers = self.register | (self.source << 4);
        u64::from(self.code)
            | u64::from(registers) << 8
            | u64::from(self.offset.cast_unsigned()) << 16
            | u64::from(self.number.cast_unsigned()) << 32
    }
}

/// `BPF_LDX | BPF_MEM | BPF_W`
const LOAD: u8 = 0x61;
/// `BPF_ALU64 | BPF_MOV | BPF_K`
const SET: u8 = 0xb7;
/// `BPF_ALU64 | BPF_MOV | BPF_X`
const COPY: u8 = 0xbf;
/// `BPF_ALU64 | BPF_AND | BPF_K`
const AND: u8 = 0x57;
/// `BPF_ALU64 | BPF_RSH | BPF_K`
const SHIFT_RIGHT: u8 = 0x77;
/// `BPF_ALU64 | BPF_LSH | BPF_K`
const SHIFT_LEFT: u8 = 0x67;
/// `BPF_ALU64 | BPF_OR | BPF_X`
const OR_REGISTER: u8 = 0x4f;
/// `BPF_ALU64 | BPF_AND | BPF_X`
const AND_REGISTER: u8 = 0x5f;
/// `BPF_ALU64 | BPF_XOR | BPF_K`, the number sign-extended
const XOR: u8 = 0xa7;
/// `BPF_ALU64 | BPF_XOR | BPF_X`
const XOR_REGISTER: u8 = 0xaf;
/// `BPF_ALU64 | BPF_NEG`
const NEGATE: u8 = 0x87;
/// `BPF_LD | BPF_DW | BPF_IMM`: 64 bits, the upper half in the next instruction
const SET_WIDE: u8 = 0x18;
/// `BPF_JMP | BPF_JSLT | BPF_K`
const JUMP_IF_LESS: u8 = 0xc5;
/// `BPF_JMP | BPF_JA`
const JUMP: u8 = 0x05;
/// `BPF_JMP | BPF_JNE | BPF_K`
const JUMP_UNLESS: u8 = 0x55;
/// `BPF_JMP | BPF_JSET | BPF_K`
const JUMP_IF_ANY: u8 = 0x45;
/// `BPF_JMP | BPF_EXIT`
const EXIT: u8 = 0x95;

const RESULT: u8 = 0;
const QUESTION: u8 = 1;
const ACCESS: u8 = 2;
const KIND: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const DEVICE: u8 = 6;
const NONE_EQUAL: u8 = 7;
const DIFFERENCE: u8 = 8;
const NEGATED: u8 = 9;

/// The program for these rules, which must not end in a rule that allows all.
pub(super) fn compile(rules: &[Rule]) -> Vec<u64> {
    let mut program = prologue();
    let mut seen = BTreeSet::new();
    let mut decided = false;
    let mut neighbours: Vec<&Rule> = Vec::new();
    for rule in rules.iter().rev() {
        // Engines repeat the defaults in their lists; a later twin has decided.
        if !seen.insert((rule.allow, rule.pattern, rule.access)) {
            continue;
        }
        let joins = key_of(rule).is_some();
        if neighbours
            .first()
            .is_some_and(|n| !joins || n.allow != rule.allow)
        {
            program.extend(assemble_neighbours(&neighbours));
            neighbours.clear();
        }
        if joins {
            neighbours.push(rule);
            continue;
        }
        program.extend(assemble(rule));
        if rule.is_final() {
            // The verifier refuses instructions that nothing reaches.
            decided = true;
            break;
        }
    }
    program.extend(assemble_neighbours(&neighbours));
    if !decided {
        program.extend(answer(false));
    }
    program.into_iter().map(Instruction::word).collect()
}

fn answer(yes: bool) -> [Instruction; 2] {
    [
        Instruction::new(SET, RESULT, i32::from(yes)),
        Instruction::new(EXIT, 0, 0),
    ]
}

/// Takes `struct bpf_cgroup_dev_ctx` apart: `access << 16 | kind`, major, minor.
fn prologue() -> Vec<Instruction> {
    let load = |register, offset| {
        Instruction::new(LOAD, register, 0)
            .with_source(QUESTION)
            .jump(offset)
    };
    let mut program = vec![
        load(ACCESS, 0),
        Instruction::new(COPY, KIND, 0).with_source(ACCESS),
        Instruction::new(AND, KIND, 0xffff),
        Instruction::new(SHIFT_RIGHT, ACCESS, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
        Instruction::new(COPY, DEVICE, 0).with_source(KIND),
        Instruction::new(SHIFT_LEFT, DEVICE, 28),
        Instruction::new(OR_REGISTER, DEVICE, 0).with_source(MAJOR),
        Instruction::new(SHIFT_LEFT, DEVICE, 32),
        Instruction::new(OR_REGISTER, DEVICE, 0).with_source(MINOR),
        // access(F_OK) asks for nothing, and gets it.
        Instruction::new(JUMP_UNLESS, ACCESS, 0).jump(2),
    ];
    program.extend(answer(true));
    program
}

/// What a rule about every access of one device, or of one major number, compares.
#[derive(Clone, Copy)]
enum Key {
    /// `kind << 60 | major << 32 | minor`
    Device(u64),
    /// `kind << 28 | major`
    Major(i32),
}

/// `None` for a rule that must be asked on its own.
fn key_of(rule: &Rule) -> Option<Key> {
    let (kind, major) = (rule.pattern.kind? as u32, rule.pattern.major?);
    // The kernel's majors have 12 bits; a larger one would reach into the kind.
    if rule.access != ALL || major >> 28 != 0 {
        return None;
    }
    let high = kind << 28 | major;
    Some(match rule.pattern.minor {
        Some(minor) => Key::Device(u64::from(high) << 32 | u64::from(minor)),
        None => Key::Major(high.cast_signed()),
    })
}

/// See the head of this file. All of them say the same.
fn assemble_neighbours(rules: &[&Rule]) -> Vec<Instruction> {
    let Some(first) = rules.first() else {
        return Vec::new();
    };
    let of = |code, register, source| Instruction::new(code, register, 0).with_source(source);
    let mut whole = vec![Instruction::new(SET, NONE_EQUAL, -1)];
    for key in rules.iter().filter_map(|rule| key_of(rule)) {
        match key {
            Key::Device(wanted) => {
                let halves = [wanted as u32, (wanted >> 32) as u32].map(u32::cast_signed);
                whole.push(Instruction::new(SET_WIDE, DIFFERENCE, halves[0]));
                whole.push(Instruction::new(0, 0, halves[1]));
                whole.push(of(XOR_REGISTER, DIFFERENCE, DEVICE));
            }
            Key::Major(wanted) => {
                whole.push(of(COPY, DIFFERENCE, DEVICE));
                whole.push(Instruction::new(SHIFT_RIGHT, DIFFERENCE, 32));
                whole.push(Instruction::new(XOR, DIFFERENCE, wanted));
            }
        }
        whole.push(of(COPY, NEGATED, DIFFERENCE));
        whole.push(Instruction::new(NEGATE, NEGATED, 0));
        whole.push(of(OR_REGISTER, DIFFERENCE, NEGATED));
        whole.push(of(AND_REGISTER, NONE_EQUAL, DIFFERENCE));
    }
    whole.push(Instruction::new(JUMP_IF_LESS, NONE_EQUAL, 0).jump(2));
    whole.extend(answer(first.allow));
    whole
}

fn assemble(rule: &Rule) -> Vec<Instruction> {
    let access = i32::from(rule.access);
    let mut body = Vec::with_capacity(7);
    match (rule.allow, rule.access == ALL) {
        (_, true) => {}
        (true, false) => {
            body.push(Instruction::new(AND, ACCESS, i32::from(ALL) & !access));
            body.push(Instruction::new(JUMP_UNLESS, ACCESS, 0).jump(2));
        }
        (false, false) => {
            body.push(Instruction::new(JUMP_IF_ANY, ACCESS, access).jump(1));
            body.push(Instruction::new(JUMP, 0, 0).jump(2));
        }
    }
    body.extend(answer(rule.allow));
    let numbers = [
        (KIND, rule.pattern.kind.map(|kind| kind as u32)),
        (MAJOR, rule.pattern.major),
        (MINOR, rule.pattern.minor),
    ];
    let tests: Vec<_> = numbers
        .into_iter()
        .filter_map(|(r, n)| Some((r, n?)))
        .collect();
    let mut whole = Vec::with_capacity(tests.len() + body.len());
    for (done, (register, number)) in tests.iter().enumerate() {
        // At most two more tests and four instructions: no offset can overflow.
        let to_next = (tests.len() - done - 1 + body.len()) as i16;
        whole.push(Instruction::new(JUMP_UNLESS, *register, number.cast_signed()).jump(to_next));
    }
    whole.extend(body);
    whole
}

#[cfg(test)]
#[path = "bpf_tests.rs"]
mod tests;
