//! Decisions -> comparisons -> instructions.

use super::arch::X32_BIT;
use super::assemble::{Assembler, Jump, Label, Test};
use super::decide::{Decision, Decisions, Range, Tests, ranges};
use super::profile::{Condition, Operator, Profile};
use super::tables::Column;

/// Offsets of `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// `SECCOMP_RET_KILL_THREAD`: what an unlisted architecture gets.
const KILL_THREAD: u32 = 0;

/// `AUDIT_ARCH_X86_64`, which x32 shares.
const X86_64_TOKEN: u32 = 0xc000_003e;

/// The whole program.
pub(super) fn program(profile: &Profile) -> Vec<u64> {
    let mut tokens: Vec<u32> = Vec::new();
    for abi in &profile.abis {
        if !tokens.contains(&abi.token) {
            tokens.push(abi.token);
        }
    }
    let mut assembler = Assembler::default();
    let mut next = assembler.return_action(KILL_THREAD);
    let mut sections: Vec<(Targets, Label)> = Vec::with_capacity(tokens.len());
    // Backwards, so that the machine's own architecture is asked for first.
    for token in tokens.into_iter().rev() {
        let targets = targets(profile, token, &mut assembler);
        // Byte order changes no number: such pairs have one section.
        let known = sections.iter().find(|(same, _)| *same == targets);
        let section = known.map_or_else(
            || {
                let root = search(&targets, &mut assembler);
                assembler.load(NUMBER, root)
            },
            |(_, label)| *label,
        );
        sections.push((targets, section));
        let is_token = Test {
            word: ARCH,
            loaded: true,
            mask: u32::MAX,
            jump: Jump::Equal,
            operand: token,
        };
        next = assembler.test(is_token, section, next);
    }
    assembler.load(ARCH, next);
    assembler.finish()
}

/// Ranges of numbers, by their first, and where the program goes on.
type Targets = Vec<(u32, Label)>;

/// Everything under one token: one ABI, or x86_64 and x32.
fn targets(profile: &Profile, token: u32, assembler: &mut Assembler) -> Targets {
    let mut decisions = Decisions::default();
    let mut all: Vec<Range> = Vec::new();
    for abi in profile.abis.iter().filter(|abi| abi.token == token) {
        all.extend(ranges(profile, abi, &mut decisions));
    }
    all.sort_by_key(|range| range.first);
    let has = |column| profile.abis.iter().any(|abi| abi.column == column);
    let mut kill_from = |first| Range {
        first,
        decision: decisions.action(KILL_THREAD),
    };
    if has(Column::X32) && all.first().is_some_and(|range| range.first != 0) {
        all.insert(0, kill_from(0));
    }
    if has(Column::X86_64)
        && !has(Column::X32)
        && token == X86_64_TOKEN
        && let Some(last) = all.last().copied()
    {
        all.push(kill_from(X32_BIT));
        // -1 is no x32 call: it is what a tracer writes to skip a call.
        all.push(Range {
            first: u32::MAX,
            ..last
        });
    }
    all.dedup_by_key(|range| range.decision);
    let lowered = decisions.0.iter();
    let labels: Vec<Label> = lowered.map(|d| decision(d, assembler)).collect();
    all.iter()
        .map(|range| (range.first, labels[range.decision]))
        .collect()
}

/// A binary search over ranges of numbers, the number being loaded.
fn search(ranges: &[(u32, Label)], assembler: &mut Assembler) -> Label {
    let compare = |jump, operand| Test {
        word: NUMBER,
        loaded: true,
        mask: u32::MAX,
        jump,
        operand,
    };
    match ranges {
        [] => assembler.return_action(KILL_THREAD),
        [(_, all)] => *all,
        // One number among others that are all alike.
        [(_, around), (number, one), (next, after)] if around == after && *next == number + 1 => {
            assembler.test(compare(Jump::Equal, *number), *one, *around)
        }
        _ => {
            let (below, above) = ranges.split_at(ranges.len() / 2);
            let first = above.first().map_or(0, |(first, _)| *first);
            let if_above = search(above, assembler);
            let if_below = search(below, assembler);
            assembler.test(compare(Jump::GreaterOrEqual, first), if_above, if_below)
        }
    }
}

fn decision(decision: &Decision, assembler: &mut Assembler) -> Label {
    match decision {
        Decision::Action(action) => assembler.return_action(*action),
        Decision::Tests(tests) => {
            let otherwise = assembler.return_action(tests.otherwise);
            let groups = tests.rules.chunk_by(ask_alike);
            groups.rev().fold(otherwise, |next, rules| {
                if let [(conditions, action)] = rules {
                    let holds = assembler.return_action(*action);
                    return conditions.iter().rev().fold(holds, |holds, condition| {
                        compare(condition, tests, (holds, next), assembler)
                    });
                }
                one_of(rules, tests, next, assembler)
            })
        }
    }
}

type TestedRule = (Vec<Condition>, u32);

/// Both rules ask whether the same argument equals a value, and the upper
/// halves of the values are the same.
fn ask_alike(a: &TestedRule, b: &TestedRule) -> bool {
    let ([a], [b]) = (&a.0[..], &b.0[..]) else {
        return false;
    };
    let plain = |c: &Condition| c.operator == Operator::Equal && c.mask == u64::MAX;
    plain(a) && plain(b) && a.argument == b.argument && a.value >> 32 == b.value >> 32
}

/// Rules that [`ask_alike`]: each half is loaded once for all of them.
fn one_of(rules: &[TestedRule], tests: &Tests, next: Label, assembler: &mut Assembler) -> Label {
    let mut target = next;
    let mut upper = None;
    for (index, (conditions, action)) in rules.iter().enumerate().rev() {
        let Some(condition) = conditions.first() else {
            continue;
        };
        let (low, high) = halves(condition, tests);
        let holds = assembler.return_action(*action);
        let test = Test {
            loaded: index != 0,
            ..low.test(Jump::Equal)
        };
        target = assembler.shared_test(test, holds, target);
        upper = Some(high);
    }
    match upper {
        Some(high) if !tests.narrow => high.equals((target, next), assembler),
        _ => target,
    }
}

/// The lower and the upper half of what a condition looks at.
fn halves(condition: &Condition, tests: &Tests) -> (Half, Half) {
    let start = ARGUMENTS + 8 * u32::from(condition.argument);
    let (low_word, high_word) = if tests.big_endian {
        (start + 4, start)
    } else {
        (start, start + 4)
    };
    let low = Half {
        word: low_word,
        mask: condition.mask as u32,
        value: condition.value as u32,
    };
    let high = Half {
        word: high_word,
        mask: (condition.mask >> 32) as u32,
        value: (condition.value >> 32) as u32,
    };
    (low, high)
}

/// One comparison: upper half first where it can decide, then the lower.
fn compare(
    condition: &Condition,
    tests: &Tests,
    (yes, no): (Label, Label),
    assembler: &mut Assembler,
) -> Label {
    let (yes, no) = match condition.operator {
        Operator::NotEqual | Operator::Less | Operator::LessOrEqual => (no, yes),
        Operator::Equal | Operator::Greater | Operator::GreaterOrEqual => (yes, no),
    };
    let (low, high) = halves(condition, tests);
    let jump = match condition.operator {
        Operator::Equal | Operator::NotEqual => Jump::Equal,
        Operator::Less | Operator::GreaterOrEqual => Jump::GreaterOrEqual,
        Operator::LessOrEqual | Operator::Greater => Jump::Greater,
    };
    let in_low = if jump == Jump::Equal {
        low.equals((yes, no), assembler)
    } else {
        assembler.shared_test(low.test(jump), yes, no)
    };
    if tests.narrow {
        return in_low;
    }
    if jump == Jump::Equal {
        return high.equals((in_low, no), assembler);
    }
    let same = Test {
        loaded: true,
        ..high.test(Jump::Equal)
    };
    let not_above = assembler.shared_test(same, in_low, no);
    assembler.shared_test(high.test(Jump::Greater), yes, not_above)
}

/// One half of an argument.
#[derive(Clone, Copy)]
struct Half {
    word: u32,
    mask: u32,
    value: u32,
}

impl Half {
    fn test(self, jump: Jump) -> Test {
        Test {
            word: self.word,
            loaded: false,
            mask: self.mask,
            jump,
            operand: self.value,
        }
    }

    /// Equality under the mask, in as few instructions as it takes.
    fn equals(self, (yes, no): (Label, Label), assembler: &mut Assembler) -> Label {
        match self {
            Self { mask: 0, .. } => yes,
            Self { mask, value: 0, .. } if mask != u32::MAX => {
                let any = Test {
                    mask: u32::MAX,
                    operand: mask,
                    ..self.test(Jump::AnyOf)
                };
                assembler.shared_test(any, no, yes)
            }
            _ => assembler.shared_test(self.test(Jump::Equal), yes, no),
        }
    }
}
