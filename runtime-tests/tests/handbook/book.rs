//! The book: complete, and true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use runtime_tests::{Case, convention, skip};

use crate::session::run_page;

const CHAPTER: &str = "documentation";

/// Pages whose every command is run.
macro_rules! pages {
    ($($name:ident: $page:literal;)*) => {$(
        #[convention("Every command of the page does what the page shows.")]
        fn $name(case: &mut Case) {
            case.only_corten();
            needs_limits();
            run_page(case, $page);
        }
    )*};
}

pages! {
    tutorial: "docs/tutorial.md";
    without_json: "docs/how-to/without-json.md";
    find_out: "docs/how-to/find-out-what-is-wrong.md";
    many_from_one_root: "docs/how-to/many-from-one-root.md";
}

/// The reader's machine has the controllers that the pages limit with.
fn needs_limits() {
    let v2 = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    if !Path::new("/sys/fs/cgroup/memory").exists() && !v2.contains("memory") {
        skip("no memory controller in this view");
    }
}

fn pages_below(directory: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).expect("docs") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            pages_below(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "md") {
            found.insert(path);
        }
    }
}

/// Targets of links to files, as they are written.
fn links(text: &str) -> Vec<String> {
    let parts = text.split("](").skip(1);
    let targets = parts
        .filter_map(|part| part.split_once(')'))
        .map(|(target, _)| target);
    let targets = targets.map(|target| target.split('#').next().unwrap_or_default());
    targets
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
        .map(str::to_owned)
        .collect()
}

#[convention("Every page is in the table of contents, and every link leads somewhere.")]
fn nothing_is_lost(case: &mut Case) {
    case.only_corten();
    let docs = crate::repository().join("docs");
    let mut pages = BTreeSet::new();
    pages_below(&docs, &mut pages);
    let summary = docs.join("SUMMARY.md");
    let contents: BTreeSet<PathBuf> = links(&fs::read_to_string(&summary).expect("SUMMARY.md"))
        .into_iter()
        .map(|link| docs.join(link))
        .collect();
    pages.remove(&summary);
    assert_eq!(contents, pages, "docs/SUMMARY.md");
    pages.insert(crate::repository().join("README.md"));
    for page in &pages {
        let text = fs::read_to_string(page).expect("a page");
        for link in links(&text) {
            if link == "performance.svg" {
                // Drawn by `make bench-page` from measurements.
                continue;
            }
            let target = page.parent().expect("a directory").join(&link);
            assert!(target.exists(), "{}: {link}", page.display());
        }
    }
}
