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

    /// The finished text, a line for each row. A label is printed only where it changes.
    pub fn render(&self) -> String {
        self.lay_out(|text| vec![text])
    }

    /// The same for a window: rows that are too long go on in the next line.
    pub fn render_narrow(&self) -> String {
        self.lay_out(|text| wrap(text, WIDTH_MAX))
    }

    fn lay_out<'a>(&'a self, cut: impl Fn(&'a str) -> Vec<&'a str>) -> String {
        let (labels, texts) = self.widths(&cut);
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
                    for (number, piece) in cut(text).into_iter().enumerate() {
                        let row = match number {
                            0 => format!("  {shown:<labels$}  {piece:<texts$}{arrow}{from}"),
                            _ => format!("  {:<labels$}    {piece}", ""),
                        };
                        out.push_str(row.trim_end());
                        out.push('\n');
                    }
                }
            }
        }
        out
    }

    /// Of the first and the second column.
    fn widths<'a>(&'a self, cut: impl Fn(&'a str) -> Vec<&'a str>) -> (usize, usize) {
        let mut widths = (0, 0);
        for line in &self.lines {
            let Line::Row { label, text, .. } = line else {
                continue;
            };
            widths.0 = widths.0.max(label.chars().count());
            let first = cut(text).first().map_or(0, |piece| piece.chars().count());
            if first <= WIDTH_MAX {
                widths.1 = widths.1.max(first);
            }
        }
        widths
    }
}

/// Pieces of `text` that are no longer than `width` characters, cut at blanks where there
/// are any. There is one at least.
fn wrap(text: &str, width: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((end, behind)) = rest.char_indices().nth(width) {
        let before = rest[..end].rfind(' ').filter(|at| *at > 0);
        let at = match (behind, before) {
            (' ', _) => Some(end),
            (_, Some(at)) => Some(at),
            _ => rest[end..].find(' ').map(|at| end + at),
        };
        let Some(at) = at else { break };
        pieces.push(&rest[..at]);
        rest = rest[at..].trim_start();
    }
    pieces.push(rest);
    pieces
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

#[cfg(test)]
mod tests {
    use super::{Page, wrap};

    #[test]
    fn long_rows_are_cut_at_blanks() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one two three", 6), ["one", "two", "three"]);
        assert_eq!(wrap("inseparable", 4), ["inseparable"]);
        assert_eq!(wrap("inseparable too", 4), ["inseparable", "too"]);
        assert_eq!(wrap("\u{e4}\u{f6} \u{fc}", 2), ["\u{e4}\u{f6}", "\u{fc}"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn a_long_row_keeps_its_property_on_its_first_line() {
        let mut page = Page::default();
        page.title("Title");
        let words = |count| ["word"].repeat(count).join(" ");
        page.row("label", words(20), &crate::ConfigPath::new("x"));
        let (first, second) = (words(15), words(5));
        let wanted = format!("Title\n  label  {first}  <- x\n           {second}\n");
        assert_eq!(page.render_narrow(), wanted);
        assert_eq!(page.render().lines().count(), 2);
    }
}
