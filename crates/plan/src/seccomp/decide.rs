//! What happens to each syscall number of one ABI, as ranges of numbers.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::arch::{Abi, X32_BIT};
use super::profile::{Condition, Operator, Profile};
use super::tables::{ARM_PRIVATE, Column, Multiplexer, Syscall};

/// What happens to a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Whatever the arguments are.
    Action(u32),
    /// Depends on the arguments.
    Tests(Tests),
}

/// The first conjunction that holds decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tests {
    pub(super) rules: Vec<(Vec<Condition>, u32)>,
    pub(super) otherwise: u32,
    pub(super) big_endian: bool,
    pub(super) narrow: bool,
}

/// From this number to before the next range's: the index of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u32,
    pub(super) decision: usize,
}

/// All decisions, each once. They are few: most syscalls share "allow".
#[derive(Debug, Default)]
pub(super) struct Decisions(pub(super) Vec<Decision>);

impl Decisions {
    pub(super) fn action(&mut self, action: u32) -> usize {
        self.index_of(Decision::Action(action))
    }

    fn index_of(&mut self, decision: Decision) -> usize {
        if let Some(index) = self.0.iter().position(|known| *known == decision) {
            return index;
        }
        self.0.push(decision);
        self.0.len() - 1
    }
}

/// One rule as it applies to one number.
struct Applied {
    number: u32,
    action: u32,
    conditions: Vec<Condition>,
}

/// Ranges over all numbers of the ABI, ascending; equal neighbours are merged.
pub(super) fn ranges(profile: &Profile, abi: &Abi, decisions: &mut Decisions) -> Vec<Range> {
    let ground = Ground::of(profile, abi);
    let default = decisions.action(ground.default);
    let newer = ground.newer.map(|(_, action)| decisions.action(action));
    let on_ground = |number| match newer {
        Some(newer) if ground.is_newer(number) => newer,
        _ => default,
    };
    let mut applied = apply(profile, abi);
    // Stable: rules of one number stay in the order of the document.
    applied.sort_by_key(|rule| rule.number);

    let mut ranges = Vec::with_capacity(applied.len() + 4);
    let mut edges = ground.edges().into_iter().peekable();
    let mut put = |first, decision| match ranges.last_mut() {
        Some(Range {
            first: same,
            decision: old,
        }) if *same == first => *old = decision,
        _ => ranges.push(Range { first, decision }),
    };
    for rules in applied.chunk_by(|a, b| a.number == b.number) {
        let number = rules[0].number;
        while let Some(edge) = edges.next_if(|edge| *edge <= number) {
            put(edge, on_ground(edge));
        }
        put(number, decisions.index_of(decide(rules, abi, &ground)));
        if let Some(next) = number.checked_add(1) {
            put(next, on_ground(next));
        }
    }
    for edge in edges {
        put(edge, on_ground(edge));
    }
    ranges.dedup_by_key(|range| range.decision);
    ranges
}

/// Every rule with every number it applies to.
fn apply(profile: &Profile, abi: &Abi) -> Vec<Applied> {
    let mut applied = Vec::with_capacity(profile.rules.len());
    for rule in &profile.rules {
        if let Some(number) = rule.syscall.number(abi.column) {
            applied.push(Applied {
                number: abi.base + number,
                action: rule.action,
                conditions: simplify(rule.conditions.iter().copied(), abi),
            });
        }
        if abi.multiplexed
            && let Some((multiplexer, call)) = rule.syscall.call_number()
            && let Some(number) = multiplexer_number(multiplexer, abi)
        {
            // The family's first argument is the member's number. The member's
            // own arguments lie behind a pointer (socketcall) or elsewhere
            // (ipc); libseccomp drops the first and keeps the others as they
            // are, and so do we.
            let member = Condition {
                argument: 0,
                operator: Operator::Equal,
                value: u64::from(call),
                mask: u64::MAX,
            };
            let others = rule.conditions.iter().filter(|c| c.argument != 0);
            applied.push(Applied {
                number,
                action: rule.action,
                conditions: simplify(std::iter::once(member).chain(others.copied()), abi),
            });
        }
    }
    applied
}

fn multiplexer_number(multiplexer: Multiplexer, abi: &Abi) -> Option<u32> {
    let number = multiplexer.syscall()?.number(abi.column)?;
    Some(abi.base + number)
}

/// Cuts to the width of the ABI, and drops what always holds.
fn simplify(conditions: impl Iterator<Item = Condition>, abi: &Abi) -> Vec<Condition> {
    let width = if abi.narrow {
        u64::from(u32::MAX)
    } else {
        u64::MAX
    };
    conditions
        .map(|condition| Condition {
            value: condition.value & width,
            mask: if condition.mask == u64::MAX {
                condition.mask
            } else {
                condition.mask & width
            },
            ..condition
        })
        .filter(|condition| condition.mask != 0)
        .collect()
}

/// An unconditional rule beats conditional ones, and the first of several wins.
/// Of conditional rules that hold at once the one asked first wins (see [`Rank`]).
fn decide(rules: &[Applied], abi: &Abi, ground: &Ground) -> Decision {
    if let Some(plain) = rules.iter().find(|rule| rule.conditions.is_empty()) {
        return Decision::Action(plain.action);
    }
    let mut rules: Vec<(usize, &Applied)> = rules.iter().enumerate().collect();
    let questions: Vec<Vec<Question>> = rules
        .iter()
        .map(|(_, rule)| questions(&rule.conditions, abi))
        .collect();
    let mut first_asked: HashMap<&[Question], usize> = HashMap::new();
    for (index, path) in questions.iter().enumerate() {
        for level in 1..=path.len() {
            first_asked.entry(&path[..level]).or_insert(index);
        }
    }
    rules.sort_by_cached_key(|(index, _)| {
        let path = &questions[*index];
        let step = |level: usize| {
            let first = first_asked.get(&path[..=level]).copied();
            (path[level].rank, first.unwrap_or(*index))
        };
        (0..path.len()).map(step).collect::<Vec<_>>()
    });
    let mut tests: Vec<(Vec<Condition>, u32)> = rules
        .into_iter()
        .map(|(_, rule)| (rule.conditions.clone(), rule.action))
        .collect();
    tests.dedup_by(|later, earlier| later.0.starts_with(&earlier.0));
    Decision::Tests(Tests {
        rules: tests,
        // A call with rules is not newer than the profile, even when only the
        // members of its family are mentioned.
        otherwise: ground.default,
        big_endian: abi.big_endian,
        narrow: abi.narrow,
    })
}

/// What a condition asks of an argument, or of one half of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Question {
    rank: Rank,
    mask: u64,
}

/// Smaller is asked first: later arguments before earlier ones, equality before
/// upper bounds before lower bounds, larger values before smaller ones except for
/// upper bounds. Questions of the same rank are asked in the order of the document.
///
/// It is the order in which libseccomp's filters ask, so a profile whose rules
/// contradict each other means here what it means elsewhere.
type Rank = (Reverse<u8>, u8, u64);

fn questions(conditions: &[Condition], abi: &Abi) -> Vec<Question> {
    let mut questions = Vec::with_capacity(2 * conditions.len());
    for condition in conditions {
        let mut ask = |class, value, mask| {
            let rank = (Reverse(condition.argument), class, value);
            questions.push(Question { rank, mask });
        };
        let value = condition.value;
        match condition.operator {
            Operator::Equal | Operator::NotEqual => {
                let low = u64::from(u32::MAX);
                if !abi.narrow {
                    ask(0, !(value >> 32), condition.mask >> 32);
                }
                ask(0, !(value & low), condition.mask & low);
            }
            Operator::Less | Operator::LessOrEqual => ask(1, value, u64::MAX),
            Operator::Greater | Operator::GreaterOrEqual => ask(2, !value, u64::MAX),
        }
    }
    questions
}

/// What happens to numbers without a rule.
struct Ground {
    default: u32,
    /// The largest number the profile mentions, and what newer ones get.
    newer: Option<(u32, u32)>,
    column: Column,
}

/// x32 has the calls that differ from x86_64's in an old block of their own,
/// above which nothing newer will ever be.
const X32_BLOCK: std::ops::Range<u32> = X32_BIT + 512..X32_BIT + 548;

/// ARM's private calls are no syscalls of the kernel proper and have no age.
const ARM_BLOCK: std::ops::Range<u32> = ARM_PRIVATE..ARM_PRIVATE + 0x1_0000;

impl Ground {
    fn of(profile: &Profile, abi: &Abi) -> Self {
        let mut ground = Self {
            default: profile.default,
            newer: None,
            column: abi.column,
        };
        if profile.newer_do_not_exist {
            let number = |syscall: &Syscall| Some(abi.base + syscall.number(abi.column)?);
            let newest = profile.mentioned.iter().filter_map(number);
            let newest = newest.filter(|number| !ground.is_ageless(*number)).max();
            ground.newer = newest.map(|newest| (newest, ERRNO | abi.enosys()));
        }
        ground
    }

    fn is_ageless(&self, number: u32) -> bool {
        match self.column {
            Column::X32 => X32_BLOCK.contains(&number),
            Column::Arm => ARM_BLOCK.contains(&number),
            _ => false,
        }
    }

    fn is_newer(&self, number: u32) -> bool {
        let newest = self.newer.map(|(newest, _)| newest);
        newest.is_some_and(|newest| number > newest) && !self.is_ageless(number)
    }

    /// Where the ABI's numbers start. MIPS leaves those below its base unused.
    fn first(&self) -> u32 {
        match self.column {
            Column::X32 => X32_BIT,
            _ => 0,
        }
    }

    /// Where the answer of [`Self::is_newer`] may change, ascending.
    fn edges(&self) -> Vec<u32> {
        let mut edges = vec![self.first()];
        if let Some((newest, _)) = self.newer {
            edges.push(newest + 1);
            match self.column {
                Column::X32 => edges.extend([X32_BLOCK.start, X32_BLOCK.end]),
                Column::Arm => edges.extend([ARM_BLOCK.start, ARM_BLOCK.end]),
                _ => {}
            }
        }
        edges
    }
}

/// `SECCOMP_RET_ERRNO`
const ERRNO: u32 = 0x0005_0000;
