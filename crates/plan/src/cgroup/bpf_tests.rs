use proptest::prelude::*;

use super::super::devices::{Kind, MKNOD, Pattern, READ, WRITE};
use super::*;
use crate::ConfigPath;

/// What the program is asked.
#[derive(Debug, Clone, Copy)]
struct Asked {
    kind: Kind,
    major: u32,
    minor: u32,
    access: u8,
}

/// What the rules mean: each access by the last rule that matches it.
fn reference(rules: &[Rule], asked: Asked) -> bool {
    let matches = |wish: Option<u32>, n: u32| wish.is_none_or(|wish| wish == n);
    [MKNOD, READ, WRITE]
        .iter()
        .filter(|bit| asked.access & **bit != 0)
        .all(|bit| {
            rules
                .iter()
                .rev()
                .find(|rule| {
                    rule.access & bit != 0
                        && rule.pattern.kind.is_none_or(|kind| kind == asked.kind)
                        && matches(rule.pattern.major, asked.major)
                        && matches(rule.pattern.minor, asked.minor)
                })
                .is_some_and(|rule| rule.allow)
        })
}

/// What an operation on registers leaves in the first one.
fn compute(code: u8, value: u64, other: u64, number: u64) -> Option<u64> {
    Some(match code {
        SET => number,
        COPY => other,
        AND => value & number,
        AND_REGISTER => value & other,
        OR_REGISTER => value | other,
        XOR => value ^ number,
        XOR_REGISTER => value ^ other,
        SHIFT_LEFT => value << number,
        SHIFT_RIGHT => value >> number,
        NEGATE => value.wrapping_neg(),
        _ => return None,
    })
}

/// Runs a program; it must end, jump forward only, and reach what it holds.
fn run(program: &[u64], asked: Asked) -> bool {
    let context = [
        u32::from(asked.access) << 16 | asked.kind as u32,
        asked.major,
        asked.minor,
    ];
    let mut registers = [0_u64; 10];
    let mut at = 0;
    loop {
        let word = program[at];
        let code = word as u8;
        let (to, from) = ((word >> 8 & 0xf) as usize, (word >> 12 & 0xf) as usize);
        let offset = (word >> 16) as u16 as i16;
        let number = i64::from((word >> 32) as u32 as i32) as u64;
        at += 1;
        if let Some(result) = compute(code, registers[to], registers[from.min(9)], number) {
            registers[to] = result;
            continue;
        }
        let jumps = match code {
            LOAD => {
                assert_eq!(from, usize::from(QUESTION));
                registers[to] = u64::from(context[offset as usize / 4]);
                continue;
            }
            SET_WIDE => {
                registers[to] = u64::from(number as u32) | program[at] & !0xffff_ffff;
                at += 1;
                continue;
            }
            JUMP => true,
            JUMP_IF_LESS => (registers[to] as i64) < number as i64,
            JUMP_UNLESS => registers[to] != number,
            JUMP_IF_ANY => registers[to] & number != 0,
            EXIT => return registers[0] == 1,
            code => panic!("unknown operation {code:#x}"),
        };
        assert!(offset > 0, "a jump goes forward");
        if jumps {
            at += offset as usize;
        }
    }
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let number = || prop_oneof![Just(None), (0_u32..3).prop_map(Some)];
    let kind = prop_oneof![Just(None), Just(Some(Kind::Block)), Just(Some(Kind::Char))];
    (kind, number(), number()).prop_map(|(kind, major, minor)| Pattern { kind, major, minor })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (any::<bool>(), any_pattern(), 1_u8..8).prop_map(|(allow, pattern, access)| Rule {
        allow,
        pattern,
        access,
        from: ConfigPath::new("linux.resources.devices"),
    })
}

fn questions() -> impl Iterator<Item = Asked> {
    [Kind::Block, Kind::Char].into_iter().flat_map(|kind| {
        (0..64).map(move |n| Asked {
            kind,
            major: n / 4 % 4,
            minor: n % 4,
            access: 0,
        })
    })
}

proptest! {
    #[test]
    fn the_program_says_what_the_rules_say(rules in prop::collection::vec(any_rule(), 0..12)) {
        let program = compile(&rules);
        for asked in questions() {
            for access in 0..8 {
                let asked = Asked { access, ..asked };
                prop_assert_eq!(run(&program, asked), reference(&rules, asked), "{:?}", asked);
            }
        }
    }
}

#[test]
fn nothing_stands_behind_a_rule_for_everything() {
    let rule = |allow, pattern, access| Rule {
        allow,
        pattern,
        access,
        from: ConfigPath::new("x"),
    };
    let any = Pattern {
        kind: None,
        major: None,
        minor: None,
    };
    let null = Pattern {
        kind: Some(Kind::Char),
        major: Some(1),
        minor: Some(3),
    };
    let with = compile(&[
        rule(true, null, ALL),
        rule(false, any, ALL),
        rule(true, null, READ),
    ]);
    let without = compile(&[rule(false, any, ALL), rule(true, null, READ)]);
    assert_eq!(with, without);
    // Both end in: r0 = 0; exit.
    assert_eq!(with[with.len() - 2..], [0xb7, 0x95]);
}

#[test]
fn instructions_are_packed_as_the_kernel_reads_them() {
    let i = Instruction::new(JUMP_UNLESS, MAJOR, -1)
        .with_source(2)
        .jump(-2);
    assert_eq!(i.word(), 0xffff_ffff_fffe_2455);
    assert_eq!(i.word().to_le_bytes()[..2], [JUMP_UNLESS, 0x24]);
}
