//! What a terminal shows: tables that align, colour where there is one.

use std::io::IsTerminal;
use std::sync::LazyLock;

static COLOUR: LazyLock<bool> =
    LazyLock::new(|| std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());

/// The text in an ANSI colour (`31` red, `32` green, `33` yellow, `90` grey) where the terminal has colours.
pub fn paint(text: &str, colour: &str) -> String {
    if *COLOUR { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// One field of a table.
pub struct Cell {
    text: String,
    right: bool,
    colour: Option<&'static str>,
}

impl Cell {
    /// A text.
    pub fn left(text: &str) -> Self {
        Self { text: text.to_owned(), right: false, colour: None }
    }

    /// A number.
    #[expect(clippy::needless_pass_by_value, reason = "numbers are handed over as they are")]
    pub fn right(value: impl ToString) -> Self {
        Self { text: value.to_string(), right: true, colour: None }
    }

    /// A number that should be zero.
    pub fn count_bad(value: u64) -> Self {
        Self { text: value.to_string(), right: true, colour: Some(if value == 0 { "32" } else { "31" }) }
    }

    /// How many are right of how many; empty where there are none.
    pub fn of_total((right, wrong): (u64, u64)) -> Self {
        if right + wrong == 0 {
            return Self { text: "-".to_owned(), right: true, colour: Some("90") };
        }
        let colour = Some(if wrong == 0 { "32" } else { "31" });
        Self { text: format!("{right}/{}", right + wrong), right: true, colour }
    }

    /// The cell in a colour.
    #[must_use]
    pub fn coloured(self, colour: &'static str) -> Self {
        Self { colour: Some(colour), ..self }
    }
}

/// Rows under a head.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|h| (*h).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Prints the table to standard output; nothing where it has no rows.
    pub fn print(&self) {
        if self.rows.is_empty() {
            return;
        }
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|c| places(&c.text));
            cells.chain(self.head.get(column).map(|h| places(h))).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let right = |column: usize| self.rows.iter().all(|row| row.get(column).is_some_and(|c| c.right));
        let mut line = String::new();
        for (column, (head, width)) in self.head.iter().zip(&widths).enumerate() {
            line.push_str(&pad(head, *width, right(column)));
            line.push_str("  ");
        }
        println!("{}", paint(line.trim_end(), "90"));
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let padded = pad(&cell.text, *width, cell.right);
                line.push_str(&cell.colour.map_or(padded.clone(), |c| paint(&padded, c)));
                line.push_str("  ");
            }
            println!("{}", line.trim_end());
        }
    }
}

fn pad(text: &str, width: usize, right: bool) -> String {
    let space = " ".repeat(width.saturating_sub(places(text)));
    if right { space + text } else { text.to_owned() + &space }
}

/// How many places a text takes in a terminal: a Chinese character takes two.
fn places(text: &str) -> usize {
    let wide = |c: char| {
        matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
            | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{20000}'..='\u{3fffd}')
    };
    text.chars().map(|c| 1 + usize::from(wide(c))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_with_chinese_names_is_as_wide_as_it_looks() {
        assert_eq!((places("贵州茅台"), places("*ST 中绒"), places("万 科Ａ"), places("BTC")), (8, 8, 7, 3));
        assert_eq!(pad("平安", 6, false), "平安  ");
    }
}
