//! The medians as horizontal bars, in SVG.

use std::fmt::Write as _;

use serde_json::Value;

const LABEL: f64 = 230.0;
const WIDTH: f64 = 560.0;
const BAR: f64 = 13.0;
/// The axis is logarithmic: from the fastest command to the slowest are two decades.
const LEAST_MS: f64 = 0.25;
const MOST_MS: f64 = 200.0;
const COLOURS: [&str; 6] = [
    "#9aa0a6", "#d2401e", "#3b76c0", "#5aa469", "#8a63b0", "#c9a227",
];

/// All commands of all views, back to back and with gaps.
pub fn draw(figures: &Value) -> String {
    let all = figures["tables"].as_array().cloned().unwrap_or_default();
    let tables: Vec<&Value> = all
        .iter()
        .filter(|table| table["unit"] == "ms" && table["gap"] != "")
        .collect();
    let mut names: Vec<String> = Vec::new();
    for row in tables
        .iter()
        .flat_map(|table| table["rows"].as_array())
        .flatten()
    {
        let name = row["name"].as_str().unwrap_or_default().to_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut body = String::new();
    let mut y = 40.0;
    for table in tables {
        y = draw_group(&mut body, table, &names, y) + 10.0;
    }
    let legend = legend(&names);
    let axis = axis(y);
    let (width, height) = (LABEL + WIDTH + 80.0, y + 25.0);
    // Writing to a String cannot fail.
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{axis}{legend}{body}</svg>\n"
    )
}

fn x_of(milliseconds: f64) -> f64 {
    let decades = (milliseconds.clamp(LEAST_MS, MOST_MS) / LEAST_MS).log10();
    LABEL + WIDTH * decades / (MOST_MS / LEAST_MS).log10()
}

fn draw_group(body: &mut String, table: &Value, names: &[String], top: f64) -> f64 {
    let text = |key: &str| table[key].as_str().unwrap_or_default();
    let mut y = top;
    for row in table["rows"].as_array().into_iter().flatten() {
        let Some(median) = row["median"].as_f64() else {
            continue;
        };
        let index = names.iter().position(|name| row["name"] == name.as_str());
        let colour = COLOURS[index.unwrap_or_default() % COLOURS.len()];
        let (left, right) = (LABEL, x_of(median));
        let _ = writeln!(
            body,
            "<rect x=\"{left}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{median:.2}</text>",
            right - left,
            BAR - 2.0,
            right + 4.0,
            y + BAR - 4.0
        );
        y += BAR;
    }
    let _ = writeln!(
        body,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{} ({}, {})</text>",
        LABEL - 8.0,
        f64::midpoint(top, y) + 4.0,
        text("what"),
        text("view"),
        text("gap")
    );
    y
}

fn legend(names: &[String]) -> String {
    let mut legend = String::new();
    for (index, name) in names.iter().enumerate() {
        let x = LABEL + 90.0 * index as f64;
        let colour = COLOURS[index % COLOURS.len()];
        let _ = writeln!(
            legend,
            "<rect x=\"{x}\" y=\"6\" width=\"11\" height=\"11\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"16\">{name}</text>",
            x + 16.0
        );
    }
    legend
}

fn axis(bottom: f64) -> String {
    let mut axis = String::new();
    for tick in [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0] {
        let x = x_of(tick);
        let _ = writeln!(
            axis,
            "<line x1=\"{x:.1}\" y1=\"26\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#666\">{tick} ms</text>",
            bottom + 14.0
        );
    }
    axis
}
