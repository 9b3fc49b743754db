//! Compiles the sealed stub (`stub/stub.rs`), a program of a few hundred
//! instructions without any library, for the same target.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

/// `-C` options of the stub: static at fixed addresses, small, nothing that would
/// need another page (no relro, no notes, no unwind tables).
const CODEGEN: [&str; 13] = [
    "opt-level=s",
    "panic=abort",
    "debuginfo=0",
    "strip=symbols",
    "overflow-checks=off",
    "force-unwind-tables=no",
    "relocation-model=static",
    "target-feature=+crt-static",
    "relro-level=off",
    "link-arg=-nostartfiles",
    "link-arg=-nodefaultlibs",
    "link-arg=-static",
    "link-arg=-Wl,--build-id=none,-z,noseparate-code,-T,stub/stub.ld",
];

fn main() {
    for file in ["build.rs", "stub/stub.rs", "stub/stub.ld"] {
        println!("cargo::rerun-if-changed={file}");
    }
    let variable = |name: &str| env::var_os(name).unwrap_or_default();
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args([
        "--edition",
        "2024",
        "--crate-type",
        "bin",
        "--crate-name",
        "stub",
    ]);
    rustc.arg("--target").arg(variable("TARGET"));
    for option in CODEGEN {
        rustc.args(["-C", option]);
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc
            .arg("-C")
            .arg(format!("linker={}", linker.to_string_lossy()));
    }
    rustc
        .arg("-o")
        .arg(PathBuf::from(variable("OUT_DIR")).join("stub"));
    match rustc.arg("stub/stub.rs").status() {
        Ok(status) if status.success() => {}
        outcome => {
            println!("cargo::error=compiling stub/stub.rs: {outcome:?}");
            exit(1);
        }
    }
}
