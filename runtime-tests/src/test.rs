//! What a test is: a function, and the sentence it holds.
//!
//! ```ignore
//! const CHAPTER: &str = "config.md: Root and mounts";
//!
//! /// A volume inside a volume.
//! #[must("The runtime MUST mount entries in the listed order.")]
//! fn nested_binds(case: &mut Case) { ... }
//! ```
//!
//! The attribute (`must`, `should`, `may` or `convention`) registers the test: there
//! is no list of tests. The sentence is the specification's, shortened with `...`; for
//! a convention it says what engines or runtimes rely on.

use crate::case::Case;

/// How binding the sentence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The specification says MUST or describes what a property does.
    Must,
    /// The specification says SHOULD.
    Should,
    /// The specification says MAY.
    May,
    /// Not in the specification.
    Convention,
}

impl Level {
    /// The word of reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::Convention => "convention",
        }
    }
}

/// One test.
#[derive(Debug, Clone, Copy)]
pub struct Test {
    /// `module_path!()` of the function.
    pub module: &'static str,
    /// The function's name.
    pub function: &'static str,
    /// `CHAPTER` of the file: document and chapter of the specification, or a subject.
    pub chapter: &'static str,
    /// How binding the sentence is.
    pub level: Level,
    /// What the test holds.
    pub sentence: &'static str,
    /// Where it stands in its file.
    pub line: u32,
    /// The test itself; it panics to fail.
    pub run: fn(&mut Case),
}

inventory::collect!(Test);

impl Test {
    /// Modules and function, unique in a test binary: `podman::limits::set`.
    pub fn name(&self) -> String {
        let module = self.module.split_once("::").map_or("", |(_, inner)| inner);
        format!("{module}::{}", self.function)
    }

    /// Every test of this binary, in the order of the files.
    pub(crate) fn all() -> Vec<&'static Self> {
        let mut all: Vec<_> = inventory::iter::<Self>.into_iter().collect();
        all.sort_by_key(|test| (test.module, test.line, test.function));
        all
    }
}

/// What the attributes expand to, beside the function.
#[doc(hidden)]
#[macro_export]
macro_rules! register {
    ($level:ident, $sentence:expr, $function:ident) => {
        $crate::inventory::submit! {
            $crate::Test {
                module: module_path!(),
                function: stringify!($function),
                chapter: CHAPTER,
                level: $crate::Level::$level,
                sentence: $sentence,
                line: line!(),
                run: $function,
            }
        }
    };
}

/// What `falls_without` expands to, beside the function.
#[doc(hidden)]
#[macro_export]
macro_rules! register_defence {
    ($defence:expr, $function:ident) => {
        $crate::inventory::submit! {
            $crate::Fall {
                module: module_path!(),
                function: stringify!($function),
                defence: $defence,
            }
        }
    };
}

/// There is no list of tests.
#[macro_export]
macro_rules! tests {
    ($($anything:tt)*) => {
        compile_error!(
            "there is no list of tests: write #[must(\"sentence\")], #[should(..)], #[may(..)] or \
             #[convention(..)] above each function, and `const CHAPTER: &str` once in the file"
        );
    };
}
