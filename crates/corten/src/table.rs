//! Aligned columns, for `list` and `stats`.

/// A column is never narrower than this, so that tables of several calls line up.
const NARROWEST: usize = 12;
/// Blanks between two columns.
const GAP: usize = 3;

/// Rows as text with aligned columns; the last column is not padded.
pub fn render<const N: usize>(rows: &[[impl AsRef<str>; N]]) -> String {
    render_from(rows, NARROWEST)
}

/// The same with columns as narrow as their cells.
pub fn render_close<const N: usize>(rows: &[[impl AsRef<str>; N]]) -> String {
    render_from(rows, 0)
}

fn render_from<const N: usize>(rows: &[[impl AsRef<str>; N]], narrowest: usize) -> String {
    let mut widths = [narrowest; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.as_ref().chars().count() + GAP);
        }
    }
    let mut text = String::new();
    for row in rows {
        for (number, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = cell.as_ref();
            text.push_str(cell);
            if number + 1 < N {
                let blanks = width.saturating_sub(cell.chars().count());
                text.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn columns_line_up() {
        let rows = [
            ["ID", "STATUS", "OWNER"],
            ["a-rather-long-id", "running", "root"],
        ];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(
            render(&rows),
            "ID                 STATUS      OWNER\na-rather-long-id   running     root\n"
        );
    }

    #[test]
    fn no_rows_are_no_lines() {
        assert_eq!(render::<2>(&[] as &[[&str; 2]]), "");
    }
}
