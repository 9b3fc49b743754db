//! Rows of three columns: phase, what is done, and the property it comes from.

use crate::ConfigPath;

/// The middle column is not made wider than this for the sake of a long row.
const WIDTH_MAX: usize = 76;

/// Text under way.
#[derive(Default)]
pub(super) struct Page {
    lines: Vec<Line>,
}

enum Line {
    Title(&'static str),
    Row {
        label: String,
        text: String,
        from: String,
    },
}

impl Page {
    /// A heading; it is left out when no row follows.
    pub fn title(&mut self, title: &'static str) {
        self.lines.push(Line::Title(title));
    }

    /// A row with its property.
    pub fn row(&mut self, label: &str, text: impl AsRef<str>, from: &ConfigPath) {
        self.push(label, text.as_ref(), from.as_str());
    }

    /// A row that no single property asked for.
    pub fn note(&mut self, label: &str, text: impl AsRef<str>) {
        self.push(label, text.as_ref(), "");
    }

    fn push(&mut self, label: &str, text: &str, from: &str) {
        self.lines.push(Line::Row {
            label: label.to_owned(),
            text: visible(text),
            from: visible(from),
        });
    }

    /// The finished text. A label is printed only where it changes.
    pub fn render(&self) -> String {
        let widths = self.lines.iter().filter_map(|line| match line {
            Line::Row { label, text, .. } => Some((label.chars().count(), text.chars().count())),
            Line::Title(_) => None,
        });
        let fits = |width: &usize| *width <= WIDTH_MAX;
        let labels = widths.clone().map(|(label, _)| label).max().unwrap_or(0);
        let texts = widths.map(|(_, text)| text).filter(fits).max().unwrap_or(0);
        let mut out = String::new();
        let mut above = "";
        let mut title = None;
        for line in &self.lines {
            match line {
                Line::Title(text) => title = Some(*text),
                Line::Row { label, text, from } => {
                    if let Some(title) = title.take() {
                        let gap = if out.is_empty() { "" } else { "\n" };
                        out.push_str(&format!("{gap}{title}\n"));
                        above = "";
                    }
                    let shown = if label == above { "" } else { label };
                    above = label;
                    let arrow = if from.is_empty() { "" } else { "  <- " };
                    let row = format!("  {shown:<labels$}  {text:<texts$}{arrow}{from}");
                    out.push_str(row.trim_end());
                    out.push('\n');
                }
            }
        }
        out
    }
}

/// The text with every character escaped that a terminal would obey or that
/// would change how its neighbours look (U+202E turns a line around).
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '"' | '\'' | '\\' => out.push(char),
            _ => out.extend(char.escape_debug()),
        }
    }
    out
}
