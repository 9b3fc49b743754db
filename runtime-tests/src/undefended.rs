//! `--undefended PATH`: runs each test of an attack against a runtime that was built
//! without the defence in question, and looks whether the test notices.
//!
//! `PATH` is a corten with the feature `undefended`, which takes away what
//! `CORTEN_UNDEFENDED` names (`crates/defence`). With nothing taken away the test must
//! pass there, or its failure would prove nothing.

use std::path::PathBuf;

use crate::child::Errand;
use crate::figures;
use crate::report::Outcome;
use crate::test::Test;

/// The variable that a runtime with switches reads; a runtime without has no such text.
const SWITCHES: &str = "CORTEN_UNDEFENDED";

/// An attack that is a race is not lost every time.
const ATTEMPTS: usize = 5;

/// A test and a defence: the one must fail without the other.
#[derive(Debug, Clone, Copy)]
pub struct Fall {
    /// `module_path!()` of the test.
    pub module: &'static str,
    /// The test.
    pub function: &'static str,
    /// Name of the defence.
    pub defence: &'static str,
}

inventory::collect!(Fall);

/// Takes one defence after the other away.
#[derive(Debug, Clone)]
pub(crate) struct Attacker {
    runtime: PathBuf,
}

impl Attacker {
    /// Takes `--undefended PATH` out of the arguments.
    pub fn take_from(arguments: &mut Vec<String>) -> Option<Self> {
        let at = arguments.iter().position(|word| word == "--undefended")?;
        arguments.remove(at);
        assert!(at < arguments.len(), "--undefended needs a path");
        let runtime = PathBuf::from(arguments.remove(at));
        assert!(
            has_switches(&runtime),
            "{}: not built with the feature `undefended`",
            runtime.display()
        );
        Some(Self { runtime })
    }

    /// Whether there is something to take away.
    pub fn concerns(test: &Test) -> bool {
        defences_of(test).next().is_some()
    }

    /// Passed when the test fails without each of its defences, and passes with all.
    pub fn examine(&self, errand: &Errand<'_>) -> Outcome {
        let runtime = self.runtime.to_string_lossy();
        let errand = Errand {
            runtime: &runtime,
            ..*errand
        };
        match errand.run(&[]) {
            Outcome::Passed => {}
            Outcome::Failed(text) => {
                return Outcome::Failed(format!("fails with every defence: {text}"));
            }
            skipped => return skipped,
        }
        for defence in defences_of(errand.test) {
            let attempt = || errand.run(&[(SWITCHES, defence)]);
            let notices = |_| matches!(attempt(), Outcome::Failed(_));
            if !(0..ATTEMPTS).any(notices) {
                return Outcome::Failed(format!("passes without the defence `{defence}`"));
            }
            figures::add(errand.store, "defences shown to matter", 1);
        }
        Outcome::Passed
    }
}

fn defences_of(test: &Test) -> impl Iterator<Item = &'static str> {
    let same = |fall: &&Fall| (fall.module, fall.function) == (test.module, test.function);
    let falls = inventory::iter::<Fall>.into_iter().filter(same);
    falls.map(|fall| fall.defence)
}

/// Whether the defences of this binary can be switched off.
pub(crate) fn has_switches(runtime: &std::path::Path) -> bool {
    let bytes = std::fs::read(runtime).unwrap_or_default();
    let wanted = SWITCHES.as_bytes();
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
