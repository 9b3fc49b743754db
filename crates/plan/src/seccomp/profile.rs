//! `linux.seccomp`, checked and in the terms of the compiler.

use oci_spec::runtime::{
    LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompFilterFlag as Flag,
    LinuxSeccompOperator, LinuxSyscall,
};

use super::arch::Abi;
use super::tables::Syscall;
use crate::error::quote;
use crate::spec::path_text;
use crate::{ConfigPath, PlanError, Problem, Warning};

/// A profile without mistakes.
#[derive(Debug)]
pub(super) struct Profile {
    /// What happens to a call that no rule matches, as a `SECCOMP_RET_*` value.
    pub(super) default: u32,
    /// The machine's own ABI first, each once.
    pub(super) abis: Vec<Abi>,
    /// In the order of the document.
    pub(super) rules: Vec<Rule>,
    /// Every syscall that the profile mentions, rules or not.
    pub(super) mentioned: Vec<Syscall>,
    /// Syscalls newer than all mentioned ones do not exist (see [`super`]).
    pub(super) newer_do_not_exist: bool,
    /// `SECCOMP_FILTER_FLAG_*`
    pub(super) flags: u64,
    /// Some rule notifies.
    pub(super) notifies: bool,
}

/// One syscall, what happens to it, and when.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) syscall: Syscall,
    pub(super) action: u32,
    /// All of them must hold. Sorted by argument.
    pub(super) conditions: Vec<Condition>,
}

/// One comparison of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0 to 5.
    pub(super) argument: u8,
    pub(super) operator: Operator,
    pub(super) value: u64,
    /// Looked at before comparing; all bits unless the operator is `MASKED_EQ`.
    pub(super) mask: u64,
}

/// `SCMP_CMP_*`; `MASKED_EQ` is [`Operator::Equal`] with a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The largest errno the kernel hands to user space (`MAX_ERRNO`).
const MAX_ERRNO: u32 = 4095;
/// `SECCOMP_RET_DATA`
const MAX_TRACE_DATA: u32 = 0xffff;
const EPERM: u32 = 1;

const FLAG_LOG: u64 = 1 << 1;
const FLAG_SPEC_ALLOW: u64 = 1 << 2;
const FLAG_NEW_LISTENER: u64 = 1 << 3;
const FLAG_WAIT_KILLABLE_RECV: u64 = 1 << 5;

/// Reads the profile; what is wrong with it goes to `problems`, and the answer
/// is of use only when nothing was added there.
pub(super) fn read(
    seccomp: &LinuxSeccomp,
    at: &ConfigPath,
    problems: &mut Vec<PlanError>,
    warnings: &mut Vec<Warning>,
) -> Profile {
    let default_action = seccomp.default_action();
    let default = match return_value(default_action, seccomp.default_errno_ret()) {
        Ok(value) => value,
        Err(wrong) => {
            problems.push(wrong.at(at.field("defaultErrnoRet")));
            0
        }
    };
    if default_action == Action::ScmpActNotify {
        problems.push(PlanError::conflict(
            at.field("defaultAction"),
            "SCMP_ACT_NOTIFY cannot be the default: \
             the runtime's own system calls would wait for the listener",
        ));
    }
    let mut reader = Reader {
        default,
        rules: Vec::new(),
        mentioned: Vec::new(),
        problems,
        warnings,
    };
    let syscalls = seccomp.syscalls().as_deref().unwrap_or_default();
    for (index, entry) in syscalls.iter().enumerate() {
        reader.entry(entry, || at.field("syscalls").index(index));
    }
    let notifies = syscalls
        .iter()
        .any(|entry| entry.action() == Action::ScmpActNotify);
    check_listener(seccomp, at, notifies, reader.problems);
    let Reader {
        rules, mentioned, ..
    } = reader;
    Profile {
        default,
        abis: abis(seccomp),
        rules,
        mentioned,
        newer_do_not_exist: !lets_calls_happen(default_action),
        flags: flags(seccomp, notifies),
        notifies,
    }
}

/// `listenerPath` is needed by SCMP_ACT_NOTIFY, and `listenerMetadata` needs it.
fn check_listener(
    seccomp: &LinuxSeccomp,
    at: &ConfigPath,
    notifies: bool,
    problems: &mut Vec<PlanError>,
) {
    let path = seccomp.listener_path().as_deref().map(path_text);
    match path.filter(|path| !path.is_empty()) {
        None if notifies => {
            let wanted = "the socket of the agent that SCMP_ACT_NOTIFY asks";
            let missing = Problem::Missing { wanted };
            problems.push(PlanError::new(at.field("listenerPath"), missing));
        }
        None => {
            let metadata = seccomp.listener_metadata().as_deref();
            if metadata.is_some_and(|text| !text.is_empty()) {
                let text = "is for the agent behind listenerPath, which is not set";
                problems.push(PlanError::conflict(at.field("listenerMetadata"), text));
            }
        }
        Some(path) if notifies && !path.starts_with('/') => {
            let (wanted, found) = ("an absolute path", quote(path));
            problems.push(PlanError::invalid(at.field("listenerPath"), wanted, found));
        }
        Some(_) => {}
    }
}

/// An action under which a new syscall reaches the kernel (or a tracer that
/// answers for it), so that nothing has to be said in its place.
fn lets_calls_happen(action: Action) -> bool {
    matches!(
        action,
        Action::ScmpActAllow | Action::ScmpActLog | Action::ScmpActTrace
    )
}

fn abis(seccomp: &LinuxSeccomp) -> Vec<Abi> {
    let listed = seccomp.architectures().as_deref().unwrap_or_default();
    let native = Abi::native();
    let mut abis = Vec::with_capacity(listed.len() + 1);
    for abi in native
        .iter()
        .chain(listed)
        .filter_map(|arch| Abi::of(*arch))
    {
        if !abis.contains(&abi) {
            abis.push(abi);
        }
    }
    abis
}

/// `SECCOMP_FILTER_FLAG_*`. TSYNC asks nothing of a program with one thread, and
/// with a listener the kernel would refuse it, so it sets no bit.
fn flags(seccomp: &LinuxSeccomp, notifies: bool) -> u64 {
    let listener = if notifies { FLAG_NEW_LISTENER } else { 0 };
    let Some(listed) = seccomp.flags() else {
        return listener | FLAG_SPEC_ALLOW;
    };
    listed.iter().fold(listener, |flags, flag| {
        flags
            | match flag {
                Flag::SeccompFilterFlagLog => FLAG_LOG,
                Flag::SeccompFilterFlagTsync => 0,
                Flag::SeccompFilterFlagSpecAllow => FLAG_SPEC_ALLOW,
                // EINVAL without a listener (Linux 5.19).
                Flag::SeccompFilterFlagWaitKillableRecv if notifies => FLAG_WAIT_KILLABLE_RECV,
                Flag::SeccompFilterFlagWaitKillableRecv => 0,
            }
    })
}

/// An `errnoRet` that does not fit its action.
enum WrongErrno {
    NotTaken(Action),
    TooLarge { value: u32, largest: u32 },
}

impl WrongErrno {
    fn at(self, path: ConfigPath) -> PlanError {
        match self {
            Self::NotTaken(action) => PlanError::conflict(
                path,
                format!(
                    "{action} returns no errno: \
                     only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take one"
                ),
            ),
            Self::TooLarge { value, largest } => PlanError::invalid(
                path,
                format!("a number from 0 to {largest}"),
                value.to_string(),
            ),
        }
    }
}

/// `SECCOMP_RET_*` with its data.
fn return_value(action: Action, errno: Option<u32>) -> Result<u32, WrongErrno> {
    let with_data = |kind: u32, largest: u32| match errno.unwrap_or(EPERM) {
        value if value > largest => Err(WrongErrno::TooLarge { value, largest }),
        value => Ok(kind | value),
    };
    match action {
        Action::ScmpActErrno => with_data(0x0005_0000, MAX_ERRNO),
        Action::ScmpActTrace => with_data(0x7ff0_0000, MAX_TRACE_DATA),
        _ if errno.is_some() => Err(WrongErrno::NotTaken(action)),
        Action::ScmpActKill | Action::ScmpActKillThread => Ok(0x0000_0000),
        Action::ScmpActKillProcess => Ok(0x8000_0000),
        Action::ScmpActTrap => Ok(0x0003_0000),
        Action::ScmpActNotify => Ok(0x7fc0_0000),
        Action::ScmpActLog => Ok(0x7ffc_0000),
        Action::ScmpActAllow => Ok(0x7fff_0000),
    }
}

struct Reader<'a> {
    default: u32,
    rules: Vec<Rule>,
    mentioned: Vec<Syscall>,
    problems: &'a mut Vec<PlanError>,
    warnings: &'a mut Vec<Warning>,
}

impl Reader<'_> {
    fn entry(&mut self, entry: &LinuxSyscall, at: impl Fn() -> ConfigPath) {
        let action = match return_value(entry.action(), entry.errno_ret()) {
            Ok(value) => value,
            Err(wrong) => {
                self.problems.push(wrong.at(at().field("errnoRet")));
                return;
            }
        };
        if entry.names().is_empty() {
            let wanted = "at least one syscall name";
            let path = at().field("names");
            self.problems
                .push(PlanError::new(path, Problem::Missing { wanted }));
        }
        let alternatives = self.alternatives(entry.args().as_deref().unwrap_or_default(), &at);
        for (index, name) in entry.names().iter().enumerate() {
            let at = || at().field("names").index(index);
            if name == "write" && entry.action() == Action::ScmpActNotify {
                self.problems.push(PlanError::conflict(
                    at(),
                    "SCMP_ACT_NOTIFY cannot apply to write: \
                     the runtime writes before the listener exists",
                ));
            }
            let Some(syscall) = self.syscall(name, at) else {
                continue;
            };
            self.mentioned.push(syscall);
            if action != self.default {
                self.rules
                    .extend(alternatives.iter().map(|conditions| Rule {
                        syscall,
                        action,
                        conditions: conditions.clone(),
                    }));
            }
        }
    }

    fn syscall(&mut self, name: &str, at: impl Fn() -> ConfigPath) -> Option<Syscall> {
        let found = Syscall::named(name);
        if name.is_empty() {
            self.problems
                .push(PlanError::invalid(at(), "the name of a syscall", "\"\""));
        } else if found.is_none() {
            self.warnings.push(Warning {
                path: at(),
                text: format!("unknown syscall {}: skipped", quote(name)),
            });
        }
        found
    }

    /// The conjunctions of which one must hold. A rule that compares the same
    /// argument twice means one rule for each comparison: the field's habit,
    /// from before a rule could hold several.
    fn alternatives(
        &mut self,
        args: &[LinuxSeccompArg],
        at: impl Fn() -> ConfigPath,
    ) -> Vec<Vec<Condition>> {
        let mut conditions: Vec<Condition> = Vec::with_capacity(args.len());
        let mut repeated = false;
        for (index, arg) in args.iter().enumerate() {
            match u8::try_from(arg.index()) {
                Ok(argument @ 0..=5) => {
                    repeated |= conditions.iter().any(|c| c.argument == argument);
                    conditions.push(condition(argument, arg));
                }
                _ => self.problems.push(PlanError::invalid(
                    at().field("args").index(index).field("index"),
                    "the index of an argument, 0 to 5",
                    arg.index().to_string(),
                )),
            }
        }
        if repeated {
            return conditions.into_iter().map(|c| vec![c]).collect();
        }
        conditions.sort_by_key(|c| c.argument);
        vec![conditions]
    }
}

fn condition(argument: u8, arg: &LinuxSeccompArg) -> Condition {
    use LinuxSeccompOperator as Op;
    let (operator, value, mask) = match arg.op() {
        Op::ScmpCmpNe => (Operator::NotEqual, arg.value(), u64::MAX),
        Op::ScmpCmpLt => (Operator::Less, arg.value(), u64::MAX),
        Op::ScmpCmpLe => (Operator::LessOrEqual, arg.value(), u64::MAX),
        Op::ScmpCmpEq => (Operator::Equal, arg.value(), u64::MAX),
        Op::ScmpCmpGe => (Operator::GreaterOrEqual, arg.value(), u64::MAX),
        Op::ScmpCmpGt => (Operator::Greater, arg.value(), u64::MAX),
        // `value` is the mask and `valueTwo` what must be left; bits of it
        // outside the mask are ignored, as libseccomp does.
        Op::ScmpCmpMaskedEq => (
            Operator::Equal,
            arg.value_two().unwrap_or(0) & arg.value(),
            arg.value(),
        ),
    };
    Condition {
        argument,
        operator,
        value,
        mask,
    }
}
