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

/// A link to a file: the file and the heading in it, as they are written.
struct Link {
    file: String,
    heading: String,
}

/// Links that lead to files or to headings of the same page. Blocks of code have none.
fn links(text: &str) -> Vec<Link> {
    let mut is_code = false;
    let prose = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !is_code && !fence
    });
    let prose: String = prose.map(|line| format!("{line}\n")).collect();
    let parts = prose.split("](").skip(1);
    let targets = parts.filter_map(|part| Some(part.split_once(')')?.0));
    targets
        .filter(|target| !target.contains("://") && !target.contains([' ', '\n']))
        .map(|target| {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            Link {
                file: file.to_owned(),
                heading: heading.to_owned(),
            }
        })
        .collect()
}

/// Where a page can be entered: its headings, as mdbook and code hosts name them.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = text.lines().filter(|line| line.starts_with('#'));
    let names = titles.map(|title| {
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let letters = title.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        });
        letters.collect()
    });
    names.collect()
}

#[convention(
    "Every page is in the table of contents, and every link leads somewhere, in the book, too."
)]
fn nothing_is_lost(case: &mut Case) {
    case.only_corten();
    let top = crate::repository();
    let docs = top.join("docs");
    let mut pages = BTreeSet::new();
    pages_below(&docs, &mut pages);
    let summary = docs.join("SUMMARY.md");
    let contents = fs::read_to_string(&summary).expect("SUMMARY.md");
    let contents: Vec<PathBuf> = links(&contents)
        .into_iter()
        .map(|link| docs.join(link.file))
        .collect();
    pages.remove(&summary);
    let listed: BTreeSet<PathBuf> = contents.iter().cloned().collect();
    assert_eq!(listed.len(), contents.len(), "a page twice in SUMMARY.md");
    assert_eq!(listed, pages, "docs/SUMMARY.md");
    pages.insert(top.join("README.md"));
    for page in &pages {
        let text = fs::read_to_string(page).expect("a page");
        let directory = page.parent().expect("a directory");
        for Link { file, heading } in links(&text) {
            let at = format!("{}: {file}#{heading}", page.display());
            let target = match file.as_str() {
                "" => page.clone(),
                _ => directory.join(&file).canonicalize().expect(&at),
            };
            if page.starts_with(&docs) {
                // mdbook copies nothing from outside, and renames a README.
                assert!(target.starts_with(&docs), "{at} leads out of the book");
                assert!(
                    !target.ends_with("README.md"),
                    "{at} is no page of the book"
                );
            }
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).expect(&at);
                assert!(headings(&text).contains(&heading), "{at}: no such heading");
            }
        }
    }
}

#[convention("The book has a title, and its style and pages lie where it says.")]
fn book_is_sound(case: &mut Case) {
    case.only_corten();
    let docs = crate::repository().join("docs");
    let text = fs::read_to_string(docs.join("book.toml")).expect("book.toml");
    let book: toml::Table = text.parse().expect("TOML");
    assert_eq!(book["book"]["src"].as_str(), Some("."));
    let html = &book["output"]["html"];
    assert_eq!(
        html["smart-punctuation"].as_bool(),
        Some(false),
        "options of two hyphens stay as they are"
    );
    for style in html["additional-css"].as_array().expect("a list") {
        assert!(
            docs.join(style.as_str().expect("a name")).exists(),
            "{style:?}"
        );
    }
    let mut pages = BTreeSet::new();
    pages_below(&docs, &mut pages);
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        let page = page.display();
        assert!(text.starts_with("# "), "{page} begins with its title");
        let fences = text
            .lines()
            .filter(|line| line.trim_start().starts_with("```"))
            .count();
        assert_eq!(fences % 2, 0, "{page}: a block of code that does not end");
    }
}
