//! What a profile means, said as plainly as it can be: no ranges, no halves, no
//! instructions. Slow, and the second opinion where the oracle has none.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::Value;

use crate::machines::{Machine, X32};

/// Members of socketcall(2) from 1 on.
pub const SOCKET_CALLS: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// Members of ipc(2).
pub const IPC_CALLS: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

#[derive(Debug, Clone, PartialEq)]
struct Comparison {
    index: u64,
    op: String,
    value: u64,
    /// What is looked at; all bits unless the operator is `MASKED_EQ`.
    mask: u64,
}

impl Comparison {
    fn read(arg: &Value, width: u64) -> Self {
        let number = |key: &str| arg.get(key).and_then(Value::as_u64).unwrap_or(0) & width;
        let op = arg["op"].as_str().expect("op").to_owned();
        let (value, mask) = if op == "SCMP_CMP_MASKED_EQ" {
            (number("valueTwo") & number("value"), number("value"))
        } else {
            (number("value"), u64::MAX)
        };
        Self {
            index: arg["index"].as_u64().expect("index"),
            op,
            value,
            mask,
        }
    }

    fn holds(&self, args: [u64; 6], width: u64) -> bool {
        let found = args[self.index as usize] & width & self.mask;
        match self.op.as_str() {
            "SCMP_CMP_NE" => found != self.value,
            "SCMP_CMP_LT" => found < self.value,
            "SCMP_CMP_LE" => found <= self.value,
            "SCMP_CMP_GE" => found >= self.value,
            "SCMP_CMP_GT" => found > self.value,
            _ => found == self.value,
        }
    }

    /// What is asked, of each half of a wide argument: smaller ranks first, and
    /// the mask, which has no rank. See `plan::seccomp` on rules that hold at once.
    fn questions(&self, width: u64) -> Vec<Question> {
        let place = 5 - self.index;
        match self.op.as_str() {
            "SCMP_CMP_LT" | "SCMP_CMP_LE" => vec![((place, 1, self.value), 0)],
            "SCMP_CMP_GT" | "SCMP_CMP_GE" => vec![((place, 2, !self.value), 0)],
            _ => {
                let half = |shift: u32| {
                    let cut = |value: u64| (value >> shift) & 0xffff_ffff;
                    ((place, 0, !cut(self.value)), cut(self.mask))
                };
                let wide = width == u64::MAX;
                if wide {
                    vec![half(32), half(0)]
                } else {
                    vec![half(0)]
                }
            }
        }
    }
}

type Question = ((u64, u8, u64), u64);

/// Rules by what they ask, and of questions of one rank by which came first.
fn sort(rules: Vec<(Vec<Comparison>, u32)>, width: u64) -> Vec<(Vec<Comparison>, u32)> {
    let paths: Vec<Vec<Question>> = rules
        .iter()
        .map(|(all, _)| all.iter().flat_map(|c| c.questions(width)).collect())
        .collect();
    let key = |path: &Vec<Question>| -> Vec<((u64, u8, u64), usize)> {
        let levels = 0..path.len();
        let step = |level: usize| {
            let same = |other: &Vec<Question>| other.starts_with(&path[..=level]);
            (path[level].0, paths.iter().position(same).expect("itself"))
        };
        levels.map(step).collect()
    };
    let mut keyed: Vec<_> = paths.iter().map(key).zip(rules).collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.into_iter().map(|(_, rule)| rule).collect()
}

fn action(word: &Value, errno: Option<&Value>) -> u32 {
    let errno = errno.and_then(Value::as_u64).unwrap_or(1) as u32;
    match word
        .as_str()
        .expect("a word")
        .trim_start_matches("SCMP_ACT_")
    {
        "KILL" | "KILL_THREAD" => 0,
        "KILL_PROCESS" => 0x8000_0000,
        "TRAP" => 0x0003_0000,
        "ERRNO" => 0x0005_0000 | errno,
        "NOTIFY" => 0x7fc0_0000,
        "TRACE" => 0x7ff0_0000 | errno,
        "LOG" => 0x7ffc_0000,
        "ALLOW" => 0x7fff_0000,
        word => panic!("{word}"),
    }
}

/// [`plan::seccomp::syscall_number`], which is not made for being asked so often.
pub fn number(name: &str, machine: &Machine) -> Option<u32> {
    type Numbers = HashMap<(String, &'static str), Option<u32>>;
    thread_local!(static KNOWN: RefCell<Numbers> = RefCell::default());
    KNOWN.with_borrow_mut(|known| {
        *known
            .entry((name.to_owned(), machine.word))
            .or_insert_with(|| plan::seccomp::syscall_number(name, machine.word))
    })
}

/// The comparisons by which `name` reaches `number`, once directly and once
/// through a multiplexer.
fn ways(name: &str, machine: &Machine, number: u32) -> Vec<Option<Comparison>> {
    let of = |name| self::number(name, machine);
    let mut ways = Vec::new();
    if of(name) == Some(number) {
        ways.push(None);
    }
    let mut through = |multiplexer, call| {
        if machine.multiplexed && of(multiplexer) == Some(number) {
            ways.push(Some(Comparison {
                index: 0,
                op: "SCMP_CMP_EQ".to_owned(),
                value: call,
                mask: u64::MAX,
            }));
        }
    };
    if let Some(call) = SOCKET_CALLS.iter().position(|member| *member == name) {
        through("socketcall", call as u64 + 1);
    }
    if let Some((_, call)) = IPC_CALLS.iter().find(|(member, _)| *member == name) {
        through("ipc", *call);
    }
    ways
}

/// Every rule of the profile that concerns the number.
fn rules(profile: &Value, machine: &Machine, number: u32) -> Vec<(Vec<Comparison>, u32)> {
    let width = machine.width();
    let mut rules = Vec::new();
    for entry in profile["syscalls"].as_array().expect("syscalls") {
        let args = entry.get("args").and_then(Value::as_array);
        let mut all: Vec<Comparison> = args
            .into_iter()
            .flatten()
            .map(|arg| Comparison::read(arg, width))
            .collect();
        let repeated = (0..6).any(|i| all.iter().filter(|c| c.index == i).count() > 1);
        all.sort_by_key(|comparison| comparison.index);
        let alternatives: Vec<Vec<Comparison>> = if repeated {
            all.into_iter().map(|c| vec![c]).collect()
        } else {
            vec![all]
        };
        let action = action(&entry["action"], entry.get("errnoRet"));
        for name in entry["names"].as_array().expect("names") {
            for way in ways(name.as_str().expect("a name"), machine, number) {
                for alternative in &alternatives {
                    let kept = alternative.iter().filter(|c| way.is_none() || c.index != 0);
                    let all = way.iter().chain(kept).filter(|c| c.mask != 0);
                    rules.push((all.cloned().collect(), action));
                }
            }
        }
    }
    rules
}

/// What happens to the calls of one number.
pub struct Meaning {
    /// In the order in which they are asked.
    rules: Vec<(Vec<Comparison>, u32)>,
    otherwise: u32,
    width: u64,
}

impl Meaning {
    /// `newest` is the newest call that the profile mentions.
    pub fn of(profile: &Value, machine: &Machine, newest: u32, number: u32) -> Self {
        let default = action(&profile["defaultAction"], profile.get("defaultErrnoRet"));
        let mut rules = rules(profile, machine, number);
        rules.retain(|(_, action)| *action != default);
        // Stable, and unconditional rules have the smallest key.
        let rules = sort(rules, machine.width());
        let lets_calls_happen = [0x7fff_0000, 0x7ffc_0000, 0x7ff0_0001].contains(&default);
        let ageless = machine.word == X32.word && (0x4000_0200..0x4000_0224).contains(&number)
            || machine.word == "SCMP_ARCH_ARM" && (0x0f_0000..0x10_0000).contains(&number);
        let otherwise = if rules.is_empty() && number > newest && !ageless && !lets_calls_happen {
            0x0005_0000 | machine.enosys()
        } else {
            default
        };
        Self {
            rules,
            otherwise,
            width: machine.width(),
        }
    }

    pub fn evaluate(&self, args: [u64; 6]) -> u32 {
        let holds = |all: &[Comparison]| all.iter().all(|c| c.holds(args, self.width));
        let first = self.rules.iter().find(|(all, _)| holds(all));
        first.map_or(self.otherwise, |(_, action)| *action)
    }
}
