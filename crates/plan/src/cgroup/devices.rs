//! `linux.resources.devices`: which devices a container may make, read and
//! write, as rules for the program of v2 and as files of v1.
//!
//! The rules mean the same everywhere: they stand in the order of the list, and
//! of all that match the last one decides. Nothing is allowed at first; the
//! devices every container gets are allowed after the list.

use std::fmt;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType, LinuxResources};

use super::Problems;
use super::sheet::{Need, Sheet, at};
use crate::error::quote;
use crate::{ConfigPath, PlanError};

/// Twelve bits.
pub(super) const MAJOR_MAX: u32 = 0xfff;
/// Twenty bits.
pub(super) const MINOR_MAX: u32 = 0xf_ffff;

/// `BPF_DEVCG_ACC_MKNOD`
pub(super) const MKNOD: u8 = 1;
/// `BPF_DEVCG_ACC_READ`
pub(super) const READ: u8 = 2;
/// `BPF_DEVCG_ACC_WRITE`
pub(super) const WRITE: u8 = 4;
/// All three.
pub(super) const ALL: u8 = MKNOD | READ | WRITE;

/// The kinds of device, as `BPF_DEVCG_DEV_*` counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Block = 1,
    Char = 2,
}

/// Devices; `None` is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern {
    pub kind: Option<Kind>,
    pub major: Option<u32>,
    pub minor: Option<u32>,
}

impl Pattern {
    const ANY: Self = Self {
        kind: None,
        major: None,
        minor: None,
    };

    /// Every device of `other` is one of `self`.
    fn covers(self, other: Self) -> bool {
        fn one<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            a.is_none() || a == b
        }
        one(self.kind, other.kind) && one(self.major, other.major) && one(self.minor, other.minor)
    }

    /// Some device is of both.
    fn meets(self, other: Self) -> bool {
        fn one<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        one(self.kind, other.kind) && one(self.major, other.major) && one(self.minor, other.minor)
    }
}

/// As v1 writes it: `c 1:3`, `b *:*`.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            None => "a",
            Some(Kind::Block) => "b",
            Some(Kind::Char) => "c",
        };
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        write!(f, "{kind} {}:{}", number(self.major), number(self.minor))
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub allow: bool,
    pub pattern: Pattern,
    /// Of [`MKNOD`], [`READ`], [`WRITE`].
    pub access: u8,
    pub from: ConfigPath,
}

impl Rule {
    /// It decides everything about every device.
    pub fn is_final(&self) -> bool {
        self.pattern == Pattern::ANY && self.access == ALL
    }
}

/// What every container may do, after its own list: make any node (opening it is
/// another matter), and use the devices that stand in its `/dev`.
const DEFAULTS: [(Kind, Option<u32>, Option<u32>, u8); 11] = [
    (Kind::Char, None, None, MKNOD),
    (Kind::Block, None, None, MKNOD),
    (Kind::Char, Some(1), Some(3), ALL),    // null
    (Kind::Char, Some(1), Some(5), ALL),    // zero
    (Kind::Char, Some(1), Some(7), ALL),    // full
    (Kind::Char, Some(1), Some(8), ALL),    // random
    (Kind::Char, Some(1), Some(9), ALL),    // urandom
    (Kind::Char, Some(5), Some(0), ALL),    // tty
    (Kind::Char, Some(5), Some(2), ALL),    // ptmx
    (Kind::Char, Some(136), None, ALL),     // pts
    (Kind::Char, Some(10), Some(200), ALL), // net/tun
];

/// The list and the defaults after it.
pub(super) fn read(resources: Option<&LinuxResources>, out: &mut Problems) -> Vec<Rule> {
    let list = resources.and_then(|r| r.devices().as_ref());
    let mut rules = Vec::new();
    for (index, entry) in list.into_iter().flatten().enumerate() {
        rules.extend(read_rule(entry, at("devices").index(index), out));
    }
    let from = at("devices").default_of();
    for (kind, major, minor, access) in DEFAULTS {
        let pattern = Pattern {
            kind: Some(kind),
            major,
            minor,
        };
        rules.push(Rule {
            allow: true,
            pattern,
            access,
            from: from.clone(),
        });
    }
    rules
}

fn read_rule(entry: &LinuxDeviceCgroup, path: ConfigPath, out: &mut Problems) -> Option<Rule> {
    let kind = match entry.typ() {
        None | Some(LinuxDeviceType::A) => None,
        Some(LinuxDeviceType::B) => Some(Kind::Block),
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(Kind::Char),
        Some(LinuxDeviceType::P) => {
            let wanted = "\"a\", \"b\" or \"c\", because a FIFO is no device of a cgroup";
            out.problems
                .push(PlanError::invalid(path.field("type"), wanted, "\"p\""));
            return None;
        }
    };
    let mut number = |n: Option<i64>, name: &str, max: u32| match n {
        None | Some(-1) => Some(None),
        Some(n) => match u32::try_from(n) {
            Ok(n) if n <= max => Some(Some(n)),
            _ => {
                let wanted = format!("a device number from 0 to {max}, or -1 for any");
                out.problems
                    .push(PlanError::invalid(path.field(name), wanted, n.to_string()));
                None
            }
        },
    };
    let major = number(entry.major(), "major", MAJOR_MAX);
    let minor = number(entry.minor(), "minor", MINOR_MAX);
    let access = read_access(entry.access().as_deref().unwrap_or(""), &path, out);
    Some(Rule {
        allow: entry.allow(),
        pattern: Pattern {
            kind,
            major: major?,
            minor: minor?,
        },
        access: access?,
        from: path,
    })
}

/// Nothing said is everything meant.
fn read_access(text: &str, path: &ConfigPath, out: &mut Problems) -> Option<u8> {
    let mut access = 0;
    for letter in text.chars() {
        access |= match letter {
            'r' => READ,
            'w' => WRITE,
            'm' => MKNOD,
            _ => {
                let wanted = "letters of \"rwm\"";
                out.problems.push(PlanError::invalid(
                    path.field("access"),
                    wanted,
                    quote(text),
                ));
                return None;
            }
        };
    }
    Some(if access == 0 { ALL } else { access })
}

/// Whether the rules say nothing but "yes".
pub(super) fn allow_everything(rules: &[Rule]) -> bool {
    let deciding = rules
        .iter()
        .rev()
        .find(|rule| !rule.allow || rule.is_final());
    deciding.is_some_and(|rule| rule.allow)
}

/// As v1 writes access: `rwm`.
fn letters(access: u8) -> String {
    let all = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')];
    all.iter()
        .filter(|(bit, _)| access & bit != 0)
        .map(|(_, letter)| letter)
        .collect()
}

/// What v1 can say: one answer for all devices, and exceptions to it.
struct Whitelist {
    allow: bool,
    from: ConfigPath,
    /// Never of kind "any": v1 ignores what stands behind an `a`.
    exceptions: Vec<Rule>,
}

impl Whitelist {
    fn apply(&mut self, rule: &Rule) -> Result<(), PlanError> {
        if rule.is_final() {
            self.allow = rule.allow;
            self.from = rule.from.clone();
            self.exceptions.clear();
            return Ok(());
        }
        let kinds: &[Kind] = match &rule.pattern.kind {
            Some(kind) => std::slice::from_ref(kind),
            None => &[Kind::Block, Kind::Char],
        };
        for kind in kinds {
            let pattern = Pattern {
                kind: Some(*kind),
                ..rule.pattern
            };
            let rule = Rule {
                pattern,
                ..rule.clone()
            };
            if rule.allow == self.allow {
                self.take_back(&rule)?;
            } else {
                self.add(rule);
            }
        }
        Ok(())
    }

    fn add(&mut self, rule: Rule) {
        match self
            .exceptions
            .iter_mut()
            .find(|e| e.pattern == rule.pattern)
        {
            Some(same) => same.access |= rule.access,
            None => self.exceptions.push(rule),
        }
    }

    /// The kernel takes back only what was said in the very same numbers, so a
    /// part of a wider exception cannot be taken back at all.
    fn take_back(&mut self, rule: &Rule) -> Result<(), PlanError> {
        for exception in &mut self.exceptions {
            if exception.access & rule.access == 0 || !exception.pattern.meets(rule.pattern) {
                continue;
            }
            if !rule.pattern.covers(exception.pattern) {
                let sentence = format!(
                    "cgroup v1 cannot make an exception of {} within {} (from {})",
                    rule.pattern, exception.pattern, exception.from
                );
                return Err(PlanError::unsupported(rule.from.clone(), sentence));
            }
            exception.access &= !rule.access;
        }
        self.exceptions.retain(|e| e.access != 0);
        Ok(())
    }
}

/// The rules as `devices.allow` and `devices.deny`, which know no order: the
/// list is followed here and what it comes to is written.
pub(super) fn v1(rules: &[Rule], sheet: &mut Sheet<'_>) {
    let mut list = Whitelist {
        allow: false,
        from: at("devices").default_of(),
        exceptions: Vec::new(),
    };
    for rule in rules {
        if let Err(problem) = list.apply(rule) {
            sheet.problem(problem);
        }
    }
    if list.allow && list.exceptions.is_empty() {
        return;
    }
    let (all, some) = match list.allow {
        true => ("devices.allow", "devices.deny"),
        false => ("devices.deny", "devices.allow"),
    };
    sheet.put(all, "a", Need::Required, list.from);
    for e in list.exceptions {
        let value = format!("{} {}", e.pattern, letters(e.access));
        sheet.put(some, value, Need::Required, e.from);
    }
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
