//! Docker's default profile: the one that most containers have.

use serde_json::Value;

use crate::differential::{newest, unknown_to_the_oracle};
use crate::interpreter::{Call, run, unpack};
use crate::machines::{X32, X86, X86_64};
use crate::oracle;

pub fn profile() -> Value {
    serde_json::from_str(include_str!("../fixtures/docker-seccomp.json")).expect("the fixture")
}

#[test]
fn every_name_is_known() {
    for entry in profile()["syscalls"].as_array().expect("syscalls") {
        for name in entry["names"].as_array().expect("names") {
            let name = name.as_str().expect("a name");
            assert!(
                plan::seccomp::syscall_names().any(|known| known == name),
                "{name}"
            );
        }
    }
}

#[test]
fn it_is_small_and_quick() {
    let program = plan::seccomp::compile_json(&profile()).expect("it compiles");
    let instructions = unpack(&program);
    println!("{} instructions", instructions.len());
    assert!(instructions.len() < 400, "{}", instructions.len());
    let most = (0..600)
        .map(|number| {
            let call = Call {
                number,
                token: X86_64.token,
                args: [0; 6],
                big_endian: false,
            };
            run(&instructions, &call).1
        })
        .max();
    println!("{most:?} instructions a call at most");
    assert!(most < Some(20));
}

/// The calls that differ from x86_64's, numbered before all of them were new.
const X32_BLOCK: std::ops::Range<u32> = 0x4000_0200..0x4000_0224;

#[test]
fn it_agrees_with_the_oracle() {
    let profile = profile();
    let ours = unpack(&plan::seccomp::compile_json(&profile).expect("it compiles"));
    let machines = [X86_64, X86, X32];
    let theirs = oracle::compile(&profile, &machines).expect("the oracle takes it");
    println!("the oracle: {} instructions", theirs.len());
    for machine in machines {
        let unknown = unknown_to_the_oracle(&profile, &machine);
        for number in machine.base..machine.base + 600 {
            if unknown.contains(&number) {
                continue;
            }
            for first in [
                0,
                1,
                8,
                40,
                0x20000,
                0xffff_ffff,
                0x7e02_0000,
                0x1_0000_0008,
            ] {
                let call = Call {
                    number,
                    token: machine.token,
                    args: [first, 0, 0, 0, 0, 0],
                    big_endian: false,
                };
                let (ours, theirs) = (run(&ours, &call).0, run(&theirs, &call).0);
                let newer = number > newest(&profile, &machine)
                    && !(machine.word == X32.word && X32_BLOCK.contains(&number));
                let expected = if newer { 0x0005_0026 } else { theirs };
                assert_eq!(ours, expected, "{} {call:x?}", machine.word);
            }
        }
    }
}
