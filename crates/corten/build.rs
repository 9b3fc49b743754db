//! Tells the program which commit it was built from, and the linker in which order its
//! functions should lie.

use std::path::Path;
use std::process::Command;

fn main() {
    refuse_undefended_release();
    println!("cargo::rerun-if-env-changed=CORTEN_COMMIT");
    // A package builder without a repository says it by hand.
    let given = std::env::var("CORTEN_COMMIT").ok();
    let commit = given.filter(|text| !text.is_empty()).or_else(|| {
        // HEAD names a branch; its log is written by every commit and checkout.
        for file in ["HEAD", "logs/HEAD"] {
            if let Some(path) = git(&["rev-parse", "--git-path", file])
                && Path::new(&path).exists()
            {
                println!("cargo::rerun-if-changed={path}");
            }
        }
        git(&[
            "describe",
            "--always",
            "--dirty",
            "--long",
            "--tags",
            "--abbrev=12",
        ])
    });
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=CORTEN_COMMIT={commit}");
    lay_out_by_first_use();
}

/// Functions that one command executes lie side by side in the file, or each of them
/// costs the page fault of a window of its own (docs/performance.md). Names that the
/// linker does not find are no error. A debug build has a hundred thousand sections,
/// and is not what is measured.
fn lay_out_by_first_use() {
    println!("cargo::rerun-if-changed=functions.ld");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bin=corten=-Wl,-T,{directory}/functions.ld");
    }
}

/// A program whose defences can be switched off is for tests. `PROFILE` says "release"
/// of every profile that inherits from it; the directory has the profile's own name.
fn refuse_undefended_release() {
    let undefended = std::env::var_os("CARGO_FEATURE_UNDEFENDED").is_some();
    let directory = std::env::var("OUT_DIR").unwrap_or_default();
    let released = Path::new(&directory).iter().any(|part| part == "release");
    assert!(
        !(undefended && released),
        "the feature `undefended` is for tests, never for a release"
    );
}

/// What git answers, in one line; `None` without git or outside a repository.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
