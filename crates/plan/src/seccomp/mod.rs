//! `linux.seccomp` -> a classic BPF program.
//!
//! ```text
//! profile::read     the JSON, checked: rules of syscall, action, comparisons
//! decide::ranges    for each ABI: ranges of numbers and what happens to them
//! lower             ranges -> a binary search; decisions -> comparisons
//! assemble          comparisons -> instructions, shared where equal
//! ```
//!
//! # What a profile means
//!
//! * The machine's own architecture is always covered. A call through an
//!   architecture that is not listed kills the thread; so does an x32 call where
//!   x32 is not listed.
//! * A rule whose action is the default one does nothing.
//! * Comparisons of one rule are AND, rules are OR. An unconditional rule beats
//!   conditional ones. Of conditional rules that hold at once, the one wins that
//!   libseccomp's filters ask for first (`decide::Rank`).
//! * On 32-bit ABIs only the lower halves of arguments count.
//! * Where socketcall(2) and ipc(2) exist, a rule for a member of the family
//!   applies to it by both ways.
//! * **A syscall newer than all that the profile mentions answers `ENOSYS`**, as it
//!   would on the kernel the profile was written for. C libraries fall back to
//!   older calls on `ENOSYS` and on nothing else, so the default `EPERM` breaks
//!   containers whose C library is newer than their profile. This is not done where
//!   the default lets calls happen (allow, log) or hands them to a tracer.

mod arch;
mod assemble;
mod decide;
mod lower;
mod profile;
pub(crate) mod raw;
mod tables;

use oci_spec::runtime::LinuxSeccomp;

use crate::{ConfigPath, Errors, PlanError, Problem, SeccompProgram, Warning};

/// Compiles a profile. Problems and warnings name properties below `at`; `None`
/// when there was a problem.
pub(crate) fn compile(
    seccomp: &LinuxSeccomp,
    at: &ConfigPath,
    problems: &mut Vec<PlanError>,
    warnings: &mut Vec<Warning>,
) -> Option<SeccompProgram> {
    let before = problems.len();
    let profile = profile::read(seccomp, at, problems, warnings);
    if problems.len() != before {
        return None;
    }
    let instructions = lower::program(&profile);
    if instructions.len() > assemble::MOST_INSTRUCTIONS {
        problems.push(
            PlanError::unsupported(
                at.field("syscalls"),
                format!(
                    "the filter is {} instructions long, the kernel takes at most {}",
                    instructions.len(),
                    assemble::MOST_INSTRUCTIONS
                ),
            )
            .hint("merge rules, or list fewer architectures"),
        );
        return None;
    }
    Some(SeccompProgram {
        instructions,
        flags: profile.flags,
        notifies: profile.notifies,
    })
}

/// Compiles the JSON of a `linux.seccomp` object by itself.
///
/// # Errors
///
/// All problems of the profile, with paths below `linux.seccomp`.
pub fn compile_json(value: &serde_json::Value) -> Result<SeccompProgram, Errors> {
    let at = ConfigPath::new("linux.seccomp");
    let seccomp: LinuxSeccomp = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = ConfigPath::from_text(format!("{at}.{}", error.path()));
        PlanError::new(path, Problem::Unreadable(error.inner().to_string()))
    })?;
    let mut problems = Vec::new();
    let program = compile(&seccomp, &at, &mut problems, &mut Vec::new());
    let empty = SeccompProgram {
        instructions: Vec::new(),
        flags: 0,
        notifies: false,
    };
    Errors::check(problems, program.unwrap_or(empty))
}

/// The names of all syscalls that any architecture has, sorted.
pub fn syscall_names() -> impl Iterator<Item = &'static str> {
    tables::names()
}

/// The number of a syscall as `seccomp_data.nr` holds it on one architecture
/// (`SCMP_ARCH_X86_64`, ...); `None` when either is unknown or does not have the other.
pub fn syscall_number(name: &str, arch: &str) -> Option<u32> {
    let arch = serde_json::from_value(serde_json::Value::from(arch)).ok()?;
    let abi = arch::Abi::of(arch)?;
    let number = tables::Syscall::named(name)?.number(abi.column)?;
    Some(abi.base + number)
}
