//! Every syscall of every architecture, and what the oracle is not asked.

use serde_json::{Value, json};

use crate::interpreter::{Call, Instruction, run, unpack};
use crate::machines::{KNOWN_TO_THE_ORACLE, Machine, UNKNOWN_TO_THE_ORACLE};
use crate::meaning::{IPC_CALLS, SOCKET_CALLS};
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
    let number = |name| plan::seccomp::syscall_number(name, machine.word);
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
                for first in [0, 1, 5, 21] {
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
