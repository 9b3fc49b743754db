//! What every refusal looks like.

use runtime_tests::{Bundle, Case, Finished, skip};

/// Creates the bundle as it stands on disk and expects the refusal.
#[track_caller]
pub fn expect_refusal(case: &mut Case, bundle: &Bundle, words: &[&str]) {
    let id = case.id();
    let finished = case.create_command(bundle, &id, &[]).run();
    if !case.is_corten() {
        record(&finished);
    }
    check(finished, words);
}

/// One line, exit 1, all the words.
#[track_caller]
pub fn check(finished: Finished, words: &[&str]) {
    let mut finished = finished.exits(1);
    for word in words {
        finished = finished.says(word);
    }
    let lines = finished.stderr.lines().count();
    assert_eq!(lines, 1, "one line: {}", finished.describe());
    assert!(finished.stderr.ends_with('\n'), "{}", finished.describe());
    assert!(finished.stderr.len() < 5000, "{}", finished.describe());
    assert!(
        finished.stderr.starts_with("corten: "),
        "{}",
        finished.describe()
    );
    assert!(finished.stdout.is_empty(), "{}", finished.describe());
    for word in ["panicked", "RUST_BACKTRACE", "Some(", "Err(", "Os {"] {
        assert!(
            !finished.stderr.contains(word),
            "{word}: {}",
            finished.describe()
        );
    }
}

fn record(finished: &Finished) -> ! {
    let line = finished.stderr.lines().last().unwrap_or_default();
    let line: String = line.chars().take(200).collect();
    skip(&format!(
        "recorded: {}, {} lines: {line}",
        finished.status,
        finished.stderr.lines().count()
    ))
}

/// Defines a test for each broken config: a name, the words that the refusal
/// must hold, and the edit that breaks it.
macro_rules! broken {
    ($($name:ident: [$($word:literal),*] $config:ident => $edit:expr;)*) => {
        $(#[runtime_tests::must("Runtimes MUST generate an error when invalid or unsupported values are encountered.")]
        fn $name(case: &mut runtime_tests::Case) {
            let mut bundle = case.bundle();
            // The refusal must not depend on a program that waits to be started.
            bundle.config.args(&["/bin/true"]);
            let $config = &mut bundle.config;
            let _ = $edit;
            bundle.write();
            $crate::refused::expect_refusal(case, &bundle, &[$($word),*]);
        })*
    };
}
pub(crate) use broken;
