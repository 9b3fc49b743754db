//! Processes, namespaces, identity, terminals and hooks' programs against the
//! real kernel. They clone, and cargo's harness has threads: this one has none.
//!
//! `cargo test -p kernel --test process -- NAME` runs those whose name holds NAME.
//! Needs root; what it cannot do here it skips with the reason.

// This is all test, but has no `#[test]` by which clippy would know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod descriptors;
mod identity;
mod machine;
mod namespaces;
mod processes;
mod programs;
mod signals;
mod stub;
mod terminals;

use std::any::Any;
use std::os::fd::AsFd;
use std::panic::catch_unwind;

use kernel::process::{Clone3, ExitStatus, run_in_child};

#[global_allocator]
static HEAP: kernel::heap::Heap = kernel::heap::Heap;

/// A test and its name, which is a sentence.
type Test = (&'static str, fn());

/// The reason why a test cannot run here.
struct Skipped(String);

/// Leaves the test.
fn skip(reason: impl Into<String>) -> ! {
    std::panic::resume_unwind(Box::new(Skipped(reason.into())))
}

/// The test's functions under their own names.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[crate::Test] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use tests;

/// Runs `body` in a new process; a failed assertion in there is code 101.
fn in_child(clone: &Clone3<'_>, body: impl FnOnce()) -> ExitStatus {
    let (_, pidfd) = run_in_child(clone, || {
        body();
        0
    })
    .expect("a child");
    kernel::pidfd::wait(pidfd.as_fd()).expect("its status")
}

/// Runs `body` in a child, which may change itself as it likes, and wants it to succeed.
fn isolated(body: impl FnOnce()) {
    assert_eq!(in_child(&Clone3::default(), body), ExitStatus::Code(0));
}

/// One line of /proc/self/status.
fn status_line(key: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in /proc/self/status"))
        .trim()
        .to_owned()
}

/// What a test must not leave behind.
fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("/proc/self/fd")
        .count()
}

fn has_children() -> bool {
    let path = format!("/proc/self/task/{}/children", kernel::process::pid());
    std::fs::read_to_string(path).is_ok_and(|list| !list.trim().is_empty())
}

fn run(test: fn()) -> Result<(), Box<dyn Any + Send>> {
    let before = open_descriptors();
    catch_unwind(test)?;
    assert_silently(open_descriptors() == before, "left a descriptor open")?;
    assert_silently(!has_children(), "left a child behind")
}

fn assert_silently(holds: bool, what: &str) -> Result<(), Box<dyn Any + Send>> {
    if holds {
        Ok(())
    } else {
        Err(Box::new(what.to_owned()))
    }
}

fn main() {
    let wanted = std::env::args()
        .skip(1)
        .find(|a| !a.starts_with('-'))
        .unwrap_or_default();
    let all = [
        processes::TESTS,
        descriptors::TESTS,
        namespaces::TESTS,
        identity::TESTS,
        machine::TESTS,
        signals::TESTS,
        stub::TESTS,
        terminals::TESTS,
        programs::TESTS,
    ];
    if kernel::identity::effective_uid() != 0 {
        println!("0 passed, 0 failed, all skipped: these tests need root");
        return;
    }
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, test) in all.concat() {
        if !name.contains(&wanted) {
            continue;
        }
        match run(test) {
            Ok(()) => {
                passed += 1;
                println!("ok      {name}");
            }
            Err(reason) if reason.is::<Skipped>() => {
                skipped += 1;
                let reason = reason.downcast_ref::<Skipped>().map(|s| s.0.as_str());
                println!("skipped {name}: {}", reason.unwrap_or_default());
            }
            Err(reason) => {
                failed += 1;
                let said = reason.downcast_ref::<String>().map_or("", String::as_str);
                println!("FAILED  {name} {said}");
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    std::process::exit(i32::from(failed > 0));
}
