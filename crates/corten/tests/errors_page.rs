//! docs/errors.md lists every message and every hint, taken from the code that makes
//! them: the words of `#[error]`, the doc comment above it, its line `Remedy:`, and the
//! arms of `diagnose.rs`. `UPDATE=1 cargo test -p corten --test errors_page` writes it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test panics to say what failed"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- generated: UPDATE=1 cargo test -p corten --test errors_page -->\n";
const END: &str = "<!-- end -->\n";

/// Enumerations of errors, and what they are about.
const SOURCES: [(&str, &str); 3] = [
    ("About a configuration", "plan/src/error.rs"),
    ("About a container", "libcontainer/src/error.rs"),
    ("About a command", "corten/src/report.rs"),
];

/// Where hints are.
const HINTS: [(&str, &str); 2] = [
    (
        "Hints about a step of the plan",
        "libcontainer/src/diagnose.rs",
    ),
    ("Hints about a control group", "libcgroups/src/diagnose.rs"),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// `{path}: {program} {how}` -> `...: ... ...`
fn template(words: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    for letter in words.chars() {
        match letter {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                text.push_str("...");
            }
            letter if depth == 0 => text.push(letter),
            _ => {}
        }
    }
    text.replace("\\\"", "\"").replace("......", "...")
}

/// The first string literal of a text.
fn literal(text: &str) -> Option<&str> {
    let start = text.find('"')? + 1;
    let mut before = ' ';
    let length = text[start..].find(|letter| {
        let ends = letter == '"' && before != '\\';
        before = letter;
        ends
    })?;
    Some(&text[start..start + length])
}

/// Message, meaning and remedy of each variant that has words of its own.
fn messages(source: &str) -> Vec<[String; 3]> {
    let mut found = Vec::new();
    let mut docs = Vec::new();
    let mut lines = source.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim().to_owned());
        } else if let Some(start) = line.strip_prefix("#[error(") {
            let mut attribute = start.to_owned();
            while !attribute.ends_with(")]") {
                attribute.push(' ');
                attribute.push_str(lines.next().unwrap());
            }
            let text = docs.join(" ");
            if let Some(words) = literal(&attribute) {
                let (meaning, remedy) = text.split_once("Remedy:").unwrap_or_else(|| {
                    panic!("{words:?} has no line `/// Remedy: ...` in its doc comment: what should who reads it do?")
                });
                // What links lead to is not on the page.
                let plain = |text: &str| text.replace(['[', ']'], "").trim().to_owned();
                found.push([template(words), plain(meaning), plain(remedy)]);
            }
        } else {
            docs.clear();
        }
    }
    found
}

/// `OpenMountSource` -> `open mount source`
fn spaced(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// Names behind `marker` in an arm: `Errno::PERM` -> `EPERM`, `InitOp::Mount` -> `mount`.
fn names(pattern: &str, marker: &str, show: impl Fn(&str) -> String) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for part in pattern.split(marker).skip(1) {
        let name: String = part
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let name = show(&name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// When, why, and the hint: the arms of `match` that hold an `Errno` and a text.
fn hints(source: &str) -> Vec<[String; 3]> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let mut found: Vec<[String; 3]> = Vec::new();
    let arrows: Vec<usize> = source.match_indices("=>").map(|(at, _)| at).collect();
    for (number, arrow) in arrows.iter().enumerate() {
        // The pattern: back to where the arm before ended.
        let before = &source[..*arrow];
        let start = [",\n", "{\n", "}\n"].iter().filter_map(|end| {
            let mut pattern_start = before.rfind(end)?;
            // Patterns of several lines begin with a bracket on a line of its own.
            while before[pattern_start..].matches(')').count()
                > before[pattern_start..].matches('(').count()
            {
                pattern_start = before[..pattern_start].rfind(end)?;
            }
            Some(pattern_start)
        });
        let Some(start) = start.max() else { continue };
        let pattern = &before[start..];
        let next = arrows.get(number + 1).copied().unwrap_or(source.len());
        let Some(words) = literal(&source[arrow + 2..next]) else {
            continue;
        };
        let errors = names(pattern, "Errno::", |name| {
            format!("E{}", name.replace("ACCESS", "ACCES"))
        });
        if errors.is_empty() || words.starts_with("cgroup.") || !words.contains(' ') {
            continue;
        }
        let mut what = names(pattern, "Op::", spaced);
        what.extend(names(pattern, "MountSource::", |_| "mount".to_owned()));
        let files = pattern
            .split("starts_with(\"")
            .skip(1)
            .filter_map(|part| part.split('"').next());
        what.extend(files.map(|file| format!("`{file}*`")));
        if what.is_empty() {
            what.push("any".to_owned());
        }
        found.push([what.join(", "), errors.join(", "), template(words)]);
    }
    found
}

/// As code; words that may themselves hold a back-quote.
fn quoted(words: &str) -> String {
    match words {
        "..." | "...: ..." | "...: ... ..." => "*a sentence of its own*".to_owned(),
        _ if words.contains('`') => format!("`` {words} ``"),
        _ => format!("`{words}`"),
    }
}

/// What is said of a program that cannot be executed: all texts of the functions.
fn sentences(source: &str) -> Vec<[String; 3]> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let parts = source
        .split("Some(")
        .chain(source.split("format!("))
        .skip(1);
    let texts = parts
        .filter(|part| part.trim_start().starts_with('"'))
        .filter_map(literal);
    let mut texts: Vec<String> = texts
        .filter(|text| text.starts_with("it"))
        .map(template)
        .collect();
    texts.sort();
    texts.dedup();
    texts
        .into_iter()
        .map(|text| ["execute".to_owned(), "ENOEXEC, ENOENT".to_owned(), text])
        .collect()
}

fn table(page: &mut String, title: &str, header: [&str; 3], rows: &[[String; 3]]) {
    write!(
        page,
        "\n### {title}\n\n| {} |\n|---|---|---|\n",
        header.join(" | ")
    )
    .unwrap();
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        writeln!(page, "| {} |", cells.join(" | ")).unwrap();
    }
}

#[test]
fn the_page_lists_every_message() {
    let read = |file: &str| fs::read_to_string(crates().join(file)).unwrap();
    let mut generated = String::new();
    for (title, file) in SOURCES {
        let rows = messages(&read(file));
        assert!(rows.len() > 5, "{file}");
        let rows: Vec<[String; 3]> = rows
            .into_iter()
            .map(|[words, meaning, remedy]| [quoted(&words), meaning, remedy])
            .collect();
        table(
            &mut generated,
            title,
            ["message", "meaning", "remedy"],
            &rows,
        );
    }
    for (title, file) in HINTS {
        let mut rows = hints(&read(file));
        assert!(rows.len() > 5, "{file}");
        if file == HINTS[0].1 {
            rows.extend(sentences(&read("libcontainer/src/diagnose/program.rs")));
        }
        table(&mut generated, title, ["of", "when", "hint"], &rows);
    }
    let path = crates().join("../docs/errors.md");
    let page = fs::read_to_string(&path).unwrap();
    let (above, rest) = page.split_once(BEGIN).unwrap();
    let (_, below) = rest.split_once(END).unwrap();
    let wanted = format!("{above}{BEGIN}{generated}\n{END}{below}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &wanted).unwrap();
    } else {
        assert!(
            page == wanted,
            "docs/errors.md is out of step: UPDATE=1 cargo test -p corten --test errors_page"
        );
    }
}
