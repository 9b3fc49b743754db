//! Everything of corten that reads bytes it did not write, under libFuzzer.
//!
//! One program for all targets: `FUZZ_TARGET` says which, so that it is built and
//! linked once. `scripts/fuzz.sh` runs them in turn. Where the bytes are JSON the
//! mutator changes the document, not its letters (`json.rs`).

#![no_main]

mod json;
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

use targets::Target;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    targets::ALL
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| {
            let names: Vec<_> = targets::ALL.iter().map(|target| target.name).collect();
            panic!("FUZZ_TARGET is one of {}", names.join(", "))
        })
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| {
    // Broken documents are of interest, too.
    if TARGET.is_json
        && !seed.is_multiple_of(4)
        && let Some(mutated) = json::mutate(&data[..size], seed)
        && mutated.len() <= most
    {
        data[..mutated.len()].copy_from_slice(&mutated);
        return mutated.len();
    }
    libfuzzer_sys::fuzzer_mutate(data, size, most)
});
