//! Every syscall of every architecture, and what the oracle is not asked.

use serde_json::{Value, json};

use crate::interpreter::{Call, Instruction, run, unpack};
use crate::machines::{KNOWN_TO_THE_ORACLE, Machine, UNKNOWN_TO_THE_ORACLE, X86_64};
use crate::meaning::{self, IPC_CALLS, SOCKET_CALLS};
use crate::oracle;

/// All names of a profile.
fn names(profile: &Value) -> Vec<&str> {
    let entries = profile["syscalls"].as_array().expect("syscalls");
    let names = entries
        .iter()
        .flat_map(|e| e["names"].as_array().expect("names"));
    names.map(|name| name.as_str().expect("a name")).collect()
}

/// PowerPC's own: elsewhere libseccomp 2.5.4 gives it the pseudo-number of another
/// call (`switch_endian`), and that is the one it filters.
const CONFUSED: [&str; 1] = ["sys_debug_setcontext"];

/// Numbers of the profile's calls that the oracle does not have under that name.
pub fn unknown_to_the_oracle(profile: &Value, machine: &Machine) -> Vec<u32> {
    let mut unknown = Vec::new();
    for name in names(profile) {
        let ours = plan::seccomp::syscall_number(name, machine.word);
        if let Some(number) = ours
            && (oracle::number(name, machine) != Some(number))
            && !reached_by_pseudo_number(name, machine)
        {
            unknown.push(number);
        }
    }
    unknown
}

/// The oracle answers with a pseudo-number for members of socketcall and ipc,
/// and still filters the direct call.
fn reached_by_pseudo_number(name: &str, machine: &Machine) -> bool {
    machine.multiplexed
        && (SOCKET_CALLS.contains(&name) || IPC_CALLS.iter().any(|(member, _)| *member == name))
}

/// The newest call the profile mentions, x32's and ARM's old blocks apart.
pub fn newest(profile: &Value, machine: &Machine) -> u32 {
    let number = |name| meaning::number(name, machine);
    let numbers = names(profile).into_iter().filter_map(number);
    let plain = numbers.filter(|number| *number - machine.base < 512);
    plain.max().unwrap_or(u32::MAX)
}

pub fn ask(program: &[Instruction], machine: &Machine, number: u32, args: [u64; 6]) -> u32 {
    let call = Call {
        number,
        token: machine.token,
        args,
        big_endian: machine.big_endian,
    };
    run(program, &call).0
}

#[test]
fn every_number_is_the_oracles() {
    let mut compared = 0;
    for machine in &KNOWN_TO_THE_ORACLE {
        for name in plan::seccomp::syscall_names() {
            let ours = plan::seccomp::syscall_number(name, machine.word);
            if let Some(theirs) = oracle::number(name, machine) {
                assert_eq!(ours, Some(theirs), "{name} on {}", machine.word);
                compared += 1;
            }
        }
    }
    assert!(compared > 6500, "{compared}");
}

/// A profile of one call each: the whole way from the name to the answer. And
/// `exit`: without an unconditional direct call the oracle forgets to load the
/// number when all others are pseudo-numbers (libseccomp 2.5.4).
#[test]
fn every_syscall_of_every_architecture() {
    for machine in &KNOWN_TO_THE_ORACLE {
        for name in plan::seccomp::syscall_names().filter(|name| !CONFUSED.contains(name)) {
            let profile = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": [machine.word],
                "syscalls": [{"names": [name, "exit"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7}],
            });
            let unknown = unknown_to_the_oracle(&profile, machine);
            if oracle::number(name, machine).is_none()
                && unknown.is_empty()
                && !reached_by_pseudo_number(name, machine)
            {
                continue;
            }
            let ours = unpack(&plan::seccomp::compile_json(&profile).expect("it compiles"));
            let theirs = oracle::compile(&profile, &[*machine]).expect("the oracle takes it");
            for number in machine.base..machine.base + 512 {
                if unknown.contains(&number) {
                    assert_eq!(ask(&ours, machine, number, [0; 6]), 0x0005_0007);
                    continue;
                }
                // Members of the families are told apart by the first argument.
                let firsts: &[u64] = if machine.multiplexed {
                    &[0, 1, 5, 21]
                } else {
                    &[0]
                };
                for first in firsts.iter().copied() {
                    let args = [first, 0, 0, 0, 0, 0];
                    let (ours, theirs) = (
                        ask(&ours, machine, number, args),
                        ask(&theirs, machine, number, args),
                    );
                    assert_eq!(ours, theirs, "{name} {number} {first} on {}", machine.word);
                }
            }
        }
    }
}

/// Where there is no oracle, the tables themselves are what is asked.
#[test]
fn architectures_without_an_oracle_filter_what_their_tables_say() {
    for machine in &UNKNOWN_TO_THE_ORACLE {
        for name in ["read", "openat", "socket", "mseal", "file_setattr"] {
            let number = plan::seccomp::syscall_number(name, machine.word).expect(name);
            let profile = json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": [machine.word],
                "syscalls": [{"names": [name], "action": "SCMP_ACT_ERRNO"}],
            });
            let ours = unpack(&plan::seccomp::compile_json(&profile).expect("it compiles"));
            assert_eq!(ask(&ours, machine, number, [0; 6]), 0x0005_0001);
            assert_eq!(ask(&ours, machine, number + 1, [0; 6]), 0x7fff_0000);
        }
    }
}

/// An answer of its own for every call, so that nothing is shared and most jumps
/// are too long for their eight bits.
#[test]
fn long_filters() {
    let names: Vec<&str> = plan::seccomp::syscall_names()
        .filter(|name| oracle::number(name, &X86_64).is_some())
        .collect();
    let rule = |(index, name)| {
        let args = json!([{"index": 2, "value": index, "op": "SCMP_CMP_GE"}]);
        let errno = index + 1;
        json!({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": args})
    };
    let rules: Vec<Value> = names.iter().enumerate().map(rule).collect();
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules});
    let ours = unpack(&plan::seccomp::compile_json(&profile).expect("it compiles"));
    let theirs = oracle::compile(&profile, &[X86_64]).expect("the oracle takes it");
    println!("{} instructions, the oracle {}", ours.len(), theirs.len());
    assert!(ours.len() > 1000);
    for number in 0..600 {
        for third in [0, 100, 250, 400, 1 << 32] {
            let args = [0, 0, third, 0, 0, 0];
            assert_eq!(
                ask(&ours, &X86_64, number, args),
                ask(&theirs, &X86_64, number, args),
                "{number} {third}"
            );
        }
    }
}

/// What no libseccomp filter does: the C library must be able to fall back.
#[test]
fn newer_calls_do_not_exist() {
    let profile = |default: &str| {
        let rule = json!({"names": ["openat2", "read"], "action": "SCMP_ACT_LOG"});
        json!({"defaultAction": default, "defaultErrnoRet": null, "syscalls": [rule]})
    };
    let ask_for = |default: &str, name: &str| {
        let ours = unpack(&plan::seccomp::compile_json(&profile(default)).expect("it compiles"));
        let number = plan::seccomp::syscall_number(name, X86_64.word).expect(name);
        ask(&ours, &X86_64, number, [0; 6])
    };
    for default in ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"] {
        assert_eq!(ask_for(default, "faccessat2"), 0x0005_0026, "{default}");
        assert_eq!(ask_for(default, "openat2"), 0x7ffc_0000, "{default}");
        assert_ne!(ask_for(default, "mount"), 0x0005_0026, "{default}");
    }
    assert_eq!(ask_for("SCMP_ACT_ALLOW", "faccessat2"), 0x7fff_0000);
    assert_eq!(ask_for("SCMP_ACT_TRACE", "faccessat2"), 0x7ff0_0001);
}

/// Byte order changes no number: the filter for both costs one more comparison.
#[test]
fn byte_orders_share_their_section() {
    let size = |arches: &[&str]| {
        let rule = json!({"names": ["read", "openat", "mmap2"], "action": "SCMP_ACT_ERRNO"});
        let profile = json!({
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": arches, "syscalls": [rule],
        });
        let program = plan::seccomp::compile_json(&profile).expect("it compiles");
        program.instructions.len()
    };
    let one = size(&["SCMP_ARCH_MIPS"]);
    assert_eq!(size(&["SCMP_ARCH_MIPS", "SCMP_ARCH_MIPSEL"]), one + 1);
}
