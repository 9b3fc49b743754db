//! The same profile through libseccomp, in the way the field's runtimes use it.

use std::io::Read;

use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};
use serde_json::Value;

use crate::interpreter::Instruction;
use crate::machines::Machine;

pub fn arch(word: &str) -> ScmpArch {
    word.parse().expect(word)
}

/// The number the oracle has; `None` for what it does not know there.
pub fn number(name: &str, machine: &Machine) -> Option<u32> {
    let syscall = ScmpSyscall::from_name_by_arch(name, arch(machine.word)).ok()?;
    // The type hides its number, but its debug text does not. Calls that the
    // architecture does not have get negative numbers.
    let text = format!("{syscall:?}");
    let is_digit = |c: char| c == '-' || c.is_ascii_digit();
    let digits = text.trim_matches(|c| !is_digit(c));
    let number: i32 = digits.parse().expect("a number");
    u32::try_from(number).ok()
}

fn action(word: &str, errno: Option<&Value>) -> ScmpAction {
    let errno = errno.and_then(Value::as_i64).unwrap_or(1) as i32;
    match word {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => ScmpAction::KillThread,
        "SCMP_ACT_KILL_PROCESS" => ScmpAction::KillProcess,
        "SCMP_ACT_TRAP" => ScmpAction::Trap,
        "SCMP_ACT_ERRNO" => ScmpAction::Errno(errno),
        "SCMP_ACT_TRACE" => ScmpAction::Trace(errno as u16),
        "SCMP_ACT_NOTIFY" => ScmpAction::Notify,
        "SCMP_ACT_LOG" => ScmpAction::Log,
        "SCMP_ACT_ALLOW" => ScmpAction::Allow,
        _ => panic!("{word}"),
    }
}

fn comparison(arg: &Value) -> (u32, ScmpArgCompare) {
    let value = arg["value"].as_u64().expect("value");
    let (op, datum) = match arg["op"].as_str().expect("op") {
        "SCMP_CMP_NE" => (ScmpCompareOp::NotEqual, value),
        "SCMP_CMP_LT" => (ScmpCompareOp::Less, value),
        "SCMP_CMP_LE" => (ScmpCompareOp::LessOrEqual, value),
        "SCMP_CMP_EQ" => (ScmpCompareOp::Equal, value),
        "SCMP_CMP_GE" => (ScmpCompareOp::GreaterEqual, value),
        "SCMP_CMP_GT" => (ScmpCompareOp::Greater, value),
        "SCMP_CMP_MASKED_EQ" => (
            ScmpCompareOp::MaskedEqual(value),
            arg["valueTwo"].as_u64().unwrap_or(0),
        ),
        op => panic!("{op}"),
    };
    let index = arg["index"].as_u64().expect("index") as u32;
    (index, ScmpArgCompare::new(index, op, datum))
}

/// The oracle's filter for these architectures; `None` when it refuses a rule,
/// which it does for some that contradict each other.
pub fn compile(profile: &Value, machines: &[Machine]) -> Option<Vec<Instruction>> {
    let word = |value: &Value| value.as_str().expect("word").to_owned();
    let default = action(
        &word(&profile["defaultAction"]),
        profile.get("defaultErrnoRet"),
    );
    let mut filter = ScmpFilterContext::new(default).expect("a filter");
    if !machines.iter().any(|m| arch(m.word) == ScmpArch::native()) {
        filter.remove_arch(ScmpArch::Native).expect("remove_arch");
    }
    for machine in machines {
        filter.add_arch(arch(machine.word)).expect("add_arch");
    }
    for entry in profile["syscalls"].as_array().expect("syscalls") {
        let action = action(&word(&entry["action"]), entry.get("errnoRet"));
        if action == default {
            continue;
        }
        let args = entry.get("args").and_then(Value::as_array);
        let args: Vec<_> = args.into_iter().flatten().map(comparison).collect();
        for name in entry["names"].as_array().expect("names") {
            let Ok(syscall) = ScmpSyscall::from_name(&word(name)) else {
                continue;
            };
            add(&mut filter, action, syscall, &args)?;
        }
    }
    Some(export(&filter, machines[0].big_endian))
}

fn add(
    filter: &mut ScmpFilterContext,
    action: ScmpAction,
    syscall: ScmpSyscall,
    args: &[(u32, ScmpArgCompare)],
) -> Option<()> {
    let repeated = (0..6).any(|index| args.iter().filter(|arg| arg.0 == index).count() > 1);
    if repeated {
        for (_, arg) in args {
            filter.add_rule_conditional(action, syscall, &[*arg]).ok()?;
        }
        return Some(());
    }
    let args: Vec<ScmpArgCompare> = args.iter().map(|arg| arg.1).collect();
    filter.add_rule_conditional(action, syscall, &args).ok()?;
    Some(())
}

fn export(filter: &ScmpFilterContext, big_endian: bool) -> Vec<Instruction> {
    let (mut reader, writer) = std::io::pipe().expect("pipe");
    // Fits a pipe: at most 4096 instructions of 8 bytes.
    filter.export_bpf(&writer).expect("export_bpf");
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("read");
    let instruction = |i: &[u8]| {
        let (code, operand) = ([i[0], i[1]], [i[4], i[5], i[6], i[7]]);
        if big_endian {
            (
                u16::from_be_bytes(code),
                i[2],
                i[3],
                u32::from_be_bytes(operand),
            )
        } else {
            (
                u16::from_le_bytes(code),
                i[2],
                i[3],
                u32::from_le_bytes(operand),
            )
        }
    };
    bytes.chunks_exact(8).map(instruction).collect()
}
