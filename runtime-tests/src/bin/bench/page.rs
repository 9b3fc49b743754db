//! The figures as Markdown, put into a page between two marks.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{CONTAINERD, plot};

const BEGIN: &str = "<!-- figures: begin (`make bench-page` writes them) -->";
const END: &str = "<!-- figures: end -->";

/// Replaces what is between the marks of `page`, and draws the plot.
pub fn write(json: &Path, page: &Path, plot: &Path) {
    let text = fs::read_to_string(json).expect("the JSON file");
    let figures: Value = serde_json::from_str(&text).expect("JSON");
    let old = fs::read_to_string(page).expect("the page");
    let (before, rest) = old.split_once(BEGIN).expect("the mark at the beginning");
    let (_, after) = rest.split_once(END).expect("the mark at the end");
    let tables = markdown(&figures);
    fs::write(page, format!("{before}{BEGIN}\n\n{tables}\n{END}{after}")).expect("the page");
    fs::write(plot, plot::draw(&figures)).expect("the plot");
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The machine, then one table a view and unit: a line a measurement, a column a
/// contestant with its median and its ratio to the floor.
fn markdown(figures: &Value) -> String {
    let machine = &figures["machine"];
    let mut page = format!(
        "Taken on Linux {}, {} × {}, {} rounds, load {}. Medians; in parentheses the median \
         ratio to the floor, pair by pair; to corten where there is no floor.\n",
        word(&machine["kernel"]),
        machine["processors"],
        word(&machine["processor"]),
        figures["rounds"],
        word(&machine["load"]).split(' ').next().unwrap_or_default(),
    );
    let tables = figures["tables"].as_array().cloned().unwrap_or_default();
    for (view, unit) in [
        ("v1", "ms"),
        ("v2", "ms"),
        ("host", "ms"),
        ("v1", "KiB"),
        ("v2", "KiB"),
        (CONTAINERD, "ms"),
        (CONTAINERD, "KiB"),
        (CONTAINERD, "threads"),
    ] {
        let of = |table: &&Value| word(&table["view"]) == view && word(&table["unit"]) == unit;
        let group: Vec<&Value> = tables.iter().filter(of).collect();
        if !group.is_empty() {
            page += &grid(view, unit, &group);
        }
    }
    page
}

fn grid(view: &str, unit: &str, group: &[&Value]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for row in group
        .iter()
        .flat_map(|table| table["rows"].as_array())
        .flatten()
    {
        let name = word(&row["name"]);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut grid = format!("\n| {view}, {unit} | {} |\n", names.join(" | "));
    grid += &format!("|---|{}\n", "---:|".repeat(names.len()));
    for table in group {
        let gap = match word(&table["gap"]) {
            "" | "back to back" => String::new(),
            gap => format!(", {gap}"),
        };
        let cells: Vec<String> = names.iter().map(|name| cell(table, name)).collect();
        grid += &format!(
            "| {}{gap} | {} |\n",
            word(&table["what"]),
            cells.join(" | ")
        );
    }
    grid
}

fn cell(table: &Value, name: &str) -> String {
    let mut rows = table["rows"].as_array().into_iter().flatten();
    let Some(row) = rows.find(|row| word(&row["name"]) == name) else {
        return "–".to_owned();
    };
    let Some(median) = row["median"].as_f64() else {
        return "cannot".to_owned();
    };
    let figure = if word(&table["unit"]) == "ms" {
        format!("{median:.2}")
    } else {
        format!("{median:.0}")
    };
    let (base, key) = match row["toFloor"].as_f64() {
        Some(_) => ("floor", "toFloor"),
        None => ("corten", "toCorten"),
    };
    match row[key].as_f64() {
        Some(ratio) if name != base => format!("{figure} ({ratio:.2}×)"),
        _ => figure,
    }
}
