//! `corten stats`: what containers use, refreshed every second.
//!
//! ```text
//! Sample (libcontainer::usage, and when) ─┐
//! Sample a second later ──────────────────┴─► Row (row.rs) ─► a table, or JSON
//! ```

mod row;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{check_id, existing, list, root};
use crate::cli::{Global, ListFormat, Stats};
use crate::paint::{Paint, Style, is_interactive};
use crate::report::{self, CommandError, Reader};
use crate::table;
use libcontainer::{Entry, Error, Status, Store, Usage};
use row::Row;

/// Between two tables.
const REFRESH: Duration = Duration::from_secs(1);
/// Before the first one: processor time is measured between two moments.
const GLANCE: Duration = Duration::from_millis(500);

/// Usage at a moment.
struct Sample {
    usage: Usage,
    at: Instant,
}

/// Prints tables until nobody reads them, or until all containers that were named have
/// ended.
#[inline(never)]
pub fn stats(global: &Global, args: &Stats) -> Result<(), CommandError> {
    let store = match args.ids.first() {
        // Of a container that does not exist the message says so.
        Some(id) => Some(existing(global, id)?),
        None => Store::open(&root(global)?)?,
    };
    let Some(store) = store else {
        return report::print(&page(&[], args.format, &root(global)?));
    };
    for id in &args.ids {
        check_id(id)?;
        libcontainer::usage(&store, id)?;
    }
    let memory = libcontainer::host::total_memory();
    let mut before = take(&store, &args.ids)?;
    let mut pause = GLANCE;
    loop {
        std::thread::sleep(pause);
        pause = REFRESH;
        let now = take(&store, &args.ids)?;
        if !args.ids.is_empty() && now.is_empty() {
            return Ok(());
        }
        let rows = now.iter().filter_map(|(id, sample)| {
            let earlier = before.get(id)?;
            let elapsed = sample.at.duration_since(earlier.at);
            Some(Row::new(id, &earlier.usage, &sample.usage, elapsed, memory))
        });
        let rows: Vec<Row> = rows.collect();
        let text = page(&rows, args.format, store.path());
        let redrawn = !args.no_stream && args.format == ListFormat::Table && is_interactive();
        let text = if redrawn { in_place(&text) } else { text };
        if report::print_part(&text)? == Reader::Gone || args.no_stream {
            return Ok(());
        }
        before = now;
    }
}

/// Usage of the containers that run. One that ends meanwhile is left out.
fn take(store: &Store, ids: &[String]) -> Result<BTreeMap<String, Sample>, CommandError> {
    let ids = if ids.is_empty() {
        running(store)?
    } else {
        ids.to_vec()
    };
    let mut samples = BTreeMap::new();
    for id in ids {
        let at = Instant::now();
        match libcontainer::usage(store, &id) {
            Ok(usage) => drop(samples.insert(id, Sample { usage, at })),
            Err(Error::NotFound(_) | Error::NothingHappens(_) | Error::NoCgroup) => {}
            Err(source) => return Err(CommandError::OneOfMany { id, source }),
        }
    }
    Ok(samples)
}

fn running(store: &Store) -> Result<Vec<String>, CommandError> {
    let running = [Status::Created, Status::Running, Status::Paused];
    let entries = list::entries(store)?.into_iter();
    let ids = entries.filter_map(|entry| match entry {
        Entry::Container(state) if running.contains(&state.status) => Some(state.id),
        _ => None,
    });
    Ok(ids.collect())
}

/// What is printed at once. Somebody who looks below the wrong root is told.
fn page(rows: &[Row], format: ListFormat, root: &str) -> String {
    let text = render(rows, format, Paint::for_output());
    if rows.is_empty() && format == ListFormat::Table && is_interactive() {
        return format!(
            "{text}No container runs below {root}; engines keep theirs elsewhere: --root DIR\n"
        );
    }
    text
}

fn render(rows: &[Row], format: ListFormat, paint: Paint) -> String {
    if format == ListFormat::Json {
        return report::line_of_json(&rows);
    }
    let header = row::HEADER.map(str::to_owned);
    let cells: Vec<_> = std::iter::once(header)
        .chain(rows.iter().map(Row::cells))
        .collect();
    let text = table::render_close(&cells);
    let mut lines = text.lines();
    let title = lines.next().unwrap_or_default();
    let mut text = paint.apply(Style::Bold, title) + "\n";
    for (line, row) in lines.zip(rows) {
        text += &match row.urgency() {
            Some(style) => paint.apply(style, line),
            None => line.to_owned(),
        };
        text.push('\n');
    }
    text
}

/// Over what was printed last, from the top of the terminal, without a flicker:
/// nothing is erased before it is written anew. What is wider than the terminal is cut
/// off, for lines that wrap are no table.
fn in_place(text: &str) -> String {
    let lines = text.replace('\n', "\x1b[K\n");
    format!("\x1b[H\x1b[?7l{lines}\x1b[?7h\x1b[J")
}

#[cfg(test)]
mod tests {
    use super::{Paint, in_place, render};
    use crate::cli::ListFormat;

    #[test]
    fn nothing_runs() {
        let table = render(&[], ListFormat::Table, Paint::never());
        assert!(
            table.starts_with("ID   CPU %   MEM USED / LIMIT   MEM %   "),
            "{table}"
        );
        assert_eq!(table.lines().count(), 1);
        assert_eq!(render(&[], ListFormat::Json, Paint::never()), "[]\n");
    }

    #[test]
    fn a_table_takes_the_place_of_the_last_one() {
        assert_eq!(
            in_place("a\nb\n"),
            "\x1b[H\x1b[?7la\x1b[K\nb\x1b[K\n\x1b[?7h\x1b[J"
        );
    }
}
