//! What was measured, as figures: minimum, tenth percentile, median, and ratios pair
//! by pair, so that what the machine does besides hits both sides of each.

use serde_json::{Value, json};

/// The samples of one contestant; sample n of all were taken one after the other.
pub struct Samples {
    pub name: String,
    /// In the unit of the table.
    pub values: Vec<f64>,
    /// Why it could not take part to the end.
    pub failure: Option<String>,
}

/// One thing that was measured, for all contestants.
pub struct Table {
    /// `run`, `memory of create`
    pub what: String,
    /// `ms`, `KiB`
    pub unit: &'static str,
    /// `back to back` or `after 50 ms`; empty for what is no time.
    pub gap: &'static str,
    pub rows: Vec<Samples>,
}

/// The value below which this part of a sorted list lies.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * part).round() as usize).copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Median of the ratios of simultaneous samples.
fn ratio(of: &Samples, to: &Samples) -> Option<f64> {
    let pairs = of.values.iter().zip(&to.values);
    let ratios: Vec<f64> = pairs
        .filter(|(_, to)| **to > 0.0)
        .map(|(of, to)| of / to)
        .collect();
    quantile(&sorted(&ratios), 0.5)
}

impl Table {
    fn named(&self, name: &str) -> Option<&Samples> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// The figures, with the ratios to the floor and to corten.
    pub fn json(&self, view: &str) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(|row| self.row(row)).collect();
        json!({"what": self.what, "view": view, "unit": self.unit, "gap": self.gap, "rows": rows})
    }

    fn row(&self, row: &Samples) -> Value {
        if let Some(failure) = &row.failure {
            return json!({"name": row.name, "failure": failure});
        }
        let values = sorted(&row.values);
        let to = |name: &str| {
            self.named(name)
                .filter(|other| other.failure.is_none())
                .and_then(|other| ratio(row, other))
                .map(round)
        };
        json!({
            "name": row.name,
            "min": values.first().copied().map(round),
            "p10": quantile(&values, 0.1).map(round),
            "median": quantile(&values, 0.5).map(round),
            "samples": values.len(),
            "toFloor": to("floor"),
            "toCorten": to("corten"),
        })
    }
}

/// Three decimals say all there is to say.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// One table for people.
pub fn text(table: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let gap = word(&table["gap"]);
    let gap = if gap.is_empty() {
        gap
    } else {
        format!(", {gap}")
    };
    let (what, view) = (word(&table["what"]), word(&table["view"]));
    let mut page = format!("{what} (view {view}{gap})\n");
    page += &format!(
        "{:12}{:>11}{:>11}{:>11} {:4}{:>10}{:>11}\n",
        "",
        "min",
        "p10",
        "median",
        word(&table["unit"]),
        "x floor",
        "x corten"
    );
    for row in table["rows"].as_array().into_iter().flatten() {
        let name = word(&row["name"]);
        if let Some(failure) = row["failure"].as_str() {
            page += &format!("{name:12}cannot do it here: {failure}\n");
            continue;
        }
        let figure = |key: &str| {
            row[key]
                .as_f64()
                .map_or_else(|| "-".to_owned(), |f| format!("{f:.2}"))
        };
        page += &format!(
            "{name:12}{:>11}{:>11}{:>11} {:4}{:>10}{:>11}\n",
            figure("min"),
            figure("p10"),
            figure("median"),
            "",
            figure("toFloor"),
            figure("toCorten")
        );
    }
    page
}
