//! A page of the documentation as a session of a shell: what stands behind `$` in its
//! `console` blocks is run, in order, and must say what stands below it.
//!
//! `...` in a line stands for anything, a line of it for any number of lines.

use std::fmt::Write as _;
use std::fs;

use runtime_tests::Case;

/// One command, and what the page says that it prints.
struct Exchange {
    line: usize,
    command: String,
    wanted: Vec<String>,
}

/// Runs the `console` blocks of a page in one shell.
#[track_caller]
pub fn run_page(case: &Case, page: &str) {
    let text = fs::read_to_string(crate::repository().join(page)).expect(page);
    let exchanges = read(&text);
    assert!(!exchanges.is_empty(), "{page} has no console blocks");
    let home = case.directory.join("home");
    fs::create_dir_all(&home).expect("home");
    let bin = case.directory.join("bin");
    fs::create_dir_all(&bin).expect("bin");
    // Containers of others must not show up in `corten list`.
    let wrapper = format!(
        "#!/bin/sh\nexec {} --root {} \"$@\"\n",
        case.runtime_path(),
        case.state_root().display()
    );
    let program = bin.join("corten");
    fs::write(&program, wrapper).expect("wrapper");
    fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("chmod");
    let mut script = String::from("exec 2>&1\n");
    for (number, exchange) in exchanges.iter().enumerate() {
        let _ = writeln!(script, "printf '\\001{number}\\n'\n{}", exchange.command);
    }
    script.push_str("printf '\\001end\\n'\n");
    let path = case.directory.join("session.sh");
    fs::write(&path, script).expect("script");
    let finished = case
        .program("bash")
        .args([path.to_string_lossy()])
        .directory(&home)
        .env("HOME", &home.to_string_lossy())
        .env(
            "PATH",
            &format!(
                "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                bin.display()
            ),
        )
        .env("TERM", "dumb")
        .run();
    let mut parts = finished.stdout.split('\u{1}').skip(1);
    for exchange in &exchanges {
        let said = parts.next().and_then(|part| part.split_once('\n'));
        let said = said
            .unwrap_or_else(|| panic!("{page}: the shell ended early: {}", finished.describe()))
            .1;
        let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
        let wanted: Vec<&str> = exchange.wanted.iter().map(String::as_str).collect();
        assert!(
            matches(&wanted, &lines),
            "{page}:{}: $ {}\nsaid:\n{said}\nthe page has:\n{}\n",
            exchange.line,
            exchange.command,
            exchange.wanted.join("\n")
        );
    }
}

fn read(text: &str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut within = false;
    let mut continues = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            within = line == "```console";
            continue;
        }
        if !within {
            continue;
        }
        if continues {
            let last = exchanges.last_mut().expect("a command");
            last.command = format!("{}\n{line}", last.command);
        } else if let Some(command) = line.strip_prefix("$ ") {
            exchanges.push(Exchange {
                line: number + 1,
                command: command.to_owned(),
                wanted: Vec::new(),
            });
        } else if let Some(last) = exchanges.last_mut() {
            last.wanted.push(line.trim_end().to_owned());
            continue;
        }
        continues = line.ends_with('\\');
    }
    exchanges
}

fn matches(wanted: &[&str], said: &[&str]) -> bool {
    match (wanted.split_first(), said.split_first()) {
        (None, None) => true,
        (Some((&"...", rest)), _) => {
            matches(rest, said) || !said.is_empty() && matches(wanted, &said[1..])
        }
        (Some((first, wanted)), Some((line, said))) => {
            line_matches(first, line) && matches(wanted, said)
        }
        _ => false,
    }
}

fn line_matches(wanted: &str, said: &str) -> bool {
    let mut parts = wanted.split("...");
    let Some(mut rest) = parts.next().and_then(|first| said.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
