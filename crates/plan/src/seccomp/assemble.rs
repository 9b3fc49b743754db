//! Classic BPF, assembled from its end to its start.
//!
//! Jumps of classic BPF go forwards only and conditional ones reach 255
//! instructions. Building backwards, every target stands already when a jump to
//! it is written: no labels to patch, equal subprograms are found by the targets
//! they jump to and shared, and a target out of reach is known to be so at once.

use std::collections::HashMap;

/// `BPF_MAXINSNS`: more than this seccomp(2) refuses.
pub(super) const MOST_INSTRUCTIONS: usize = 4096;

/// Where an instruction stands, counted from the end of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Label(usize);

/// `struct sock_filter`
#[derive(Debug, Clone, Copy)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    operand: u32,
}

/// What a test does with the word it looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Jump {
    Equal,
    Greater,
    GreaterOrEqual,
    /// Any of the bits.
    AnyOf,
}

/// A word of `struct seccomp_data`, loaded, masked, compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Test {
    /// Byte offset of the word.
    pub(super) word: u32,
    /// The accumulator holds the word already.
    pub(super) loaded: bool,
    /// Applied first; all bits when there is none.
    pub(super) mask: u32,
    pub(super) jump: Jump,
    pub(super) operand: u32,
}

const LOAD_WORD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

impl Jump {
    const fn code(self) -> u16 {
        match self {
            Self::Equal => 0x15,          // BPF_JMP | BPF_JEQ | BPF_K
            Self::Greater => 0x25,        // BPF_JMP | BPF_JGT | BPF_K
            Self::GreaterOrEqual => 0x35, // BPF_JMP | BPF_JGE | BPF_K
            Self::AnyOf => 0x45,          // BPF_JMP | BPF_JSET | BPF_K
        }
    }
}

/// A program under construction.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    reversed: Vec<Instruction>,
    tests: HashMap<(Test, Label, Label), Label>,
    /// The latest stand-in for a target that was out of reach.
    relays: HashMap<Label, Label>,
    returns: HashMap<u32, Label>,
}

impl Assembler {
    fn push(&mut self, code: u16, operand: u32, (if_true, if_false): (u8, u8)) -> Label {
        self.reversed.push(Instruction {
            code,
            if_true,
            if_false,
            operand,
        });
        Label(self.reversed.len() - 1)
    }

    /// Ends the program with an action.
    pub(super) fn return_action(&mut self, action: u32) -> Label {
        if let Some(label) = self.returns.get(&action) {
            return *label;
        }
        let label = self.push(RETURN, action, (0, 0));
        self.returns.insert(action, label);
        label
    }

    /// How many instructions the next one would have to skip.
    fn distance(&self, target: Label) -> usize {
        self.reversed.len() - target.0 - 1
    }

    /// `target`, or a stand-in, in reach of a conditional jump even after one
    /// more instruction.
    fn in_reach(&mut self, target: Label) -> Label {
        const REACH: usize = u8::MAX as usize - 1;
        if self.distance(target) <= REACH {
            return target;
        }
        if let Some(relay) = self.relays.get(&target)
            && self.distance(*relay) <= REACH
        {
            return *relay;
        }
        let stand_in = match self.reversed.get(target.0) {
            Some(end) if end.code == RETURN => self.push(RETURN, end.operand, (0, 0)),
            _ => self.jump(target),
        };
        self.relays.insert(target, stand_in);
        stand_in
    }

    fn jump(&mut self, target: Label) -> Label {
        let distance = u32::try_from(self.distance(target)).unwrap_or(u32::MAX);
        self.push(JUMP, distance, (0, 0))
    }

    /// [`Self::test`], or the equal one that stands already.
    pub(super) fn shared_test(&mut self, test: Test, if_true: Label, if_false: Label) -> Label {
        let key = (test, if_true, if_false);
        if let Some(label) = self.tests.get(&key) {
            return *label;
        }
        let label = self.test(test, if_true, if_false);
        self.tests.insert(key, label);
        label
    }

    /// Goes one way or the other.
    pub(super) fn test(&mut self, test: Test, if_true: Label, if_false: Label) -> Label {
        if if_true == if_false {
            return if_true;
        }
        let if_true = self.in_reach(if_true);
        let if_false = self.in_reach(if_false);
        // in_reach keeps both distances within a byte.
        let offsets = (self.distance(if_true) as u8, self.distance(if_false) as u8);
        let mut label = self.push(test.jump.code(), test.operand, offsets);
        if test.mask != u32::MAX {
            label = self.push(AND, test.mask, (0, 0));
        }
        if !test.loaded {
            label = self.push(LOAD_WORD, test.word, (0, 0));
        }
        label
    }

    /// Loads a word and goes on at `next`.
    pub(super) fn load(&mut self, word: u32, next: Label) -> Label {
        if self.distance(next) != 0 {
            self.jump(next);
        }
        self.push(LOAD_WORD, word, (0, 0))
    }

    /// The program in the order of execution, packed as
    /// [`crate::SeccompProgram::instructions`] says. It starts with what was
    /// written last.
    pub(super) fn finish(self) -> Vec<u64> {
        let pack = |i: &Instruction| {
            u64::from(i.code) << 48
                | u64::from(i.if_true) << 40
                | u64::from(i.if_false) << 32
                | u64::from(i.operand)
        };
        self.reversed.iter().rev().map(pack).collect()
    }
}
