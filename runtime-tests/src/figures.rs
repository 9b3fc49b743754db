//! What tests count beside themselves: instants, rounds, containers.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

/// Below the store of the run; one line for each call of [`add`].
const FILE: &str = "figures";

/// Adds to a figure; tests run side by side in processes of their own.
pub(crate) fn add(store: &Path, what: &str, number: usize) {
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).append(true).open(store.join(FILE));
    // One write, so that lines stay whole.
    file.and_then(|mut file| file.write_all(format!("{number} {what}\n").as_bytes()))
        .expect("the file of figures");
}

/// The sums, one line, or nothing when nothing was counted.
pub(crate) fn summary(store: &Path) -> Option<String> {
    let text = fs::read_to_string(store.join(FILE)).ok()?;
    let mut sums = BTreeMap::new();
    for (number, what) in text.lines().filter_map(|line| line.split_once(' ')) {
        *sums.entry(what).or_insert(0) += number.parse::<usize>().unwrap_or_default();
    }
    let sums: Vec<String> = sums
        .iter()
        .map(|(what, sum)| format!("{what}: {sum}"))
        .collect();
    Some(sums.join(", "))
}
