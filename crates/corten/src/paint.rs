//! Colour, for people at a terminal who have not declined it (<https://no-color.org>).

use std::io::IsTerminal;

/// How a word is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A heading.
    Bold,
    /// All is well.
    Good,
    /// Look here.
    Warn,
    /// This is wrong.
    Bad,
    /// Beside the point.
    Dim,
}

/// Whether to paint at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(bool);

impl Paint {
    /// For standard output.
    pub fn for_output() -> Self {
        let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(is_interactive() && !declined)
    }

    /// For files and pipes.
    #[cfg(test)]
    pub const fn never() -> Self {
        Self(false)
    }

    /// The text, painted or as it is.
    pub fn apply(self, style: Style, text: &str) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Good => "32",
            Style::Warn => "33",
            Style::Bad => "1;31",
            Style::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Standard output is a terminal that can do more than print.
pub fn is_interactive() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stdout().is_terminal() && !dumb
}

#[cfg(test)]
mod tests {
    use super::{Paint, Style};

    #[test]
    fn what_is_no_terminal_gets_plain_text() {
        assert_eq!(Paint::never().apply(Style::Bad, "x"), "x");
        assert_eq!(Paint(true).apply(Style::Good, "x"), "\x1b[32mx\x1b[0m");
    }
}
