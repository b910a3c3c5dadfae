//! Text table: columns as wide as their content, coloured on a terminal.

use std::fmt::Write;

/// The first row is the heading.
pub struct TextTable {
    pub rows: Vec<Vec<String>>,
    colour: bool,
}

const BOLD: &str = "1";
pub const RED: &str = "31";
pub const GREEN: &str = "32";
pub const YELLOW: &str = "33";

impl TextTable {
    pub fn new(colour: bool, heading: &[&str]) -> TextTable {
        let heading = heading.iter().map(|cell| (*cell).to_owned()).collect();
        TextTable {
            rows: vec![heading],
            colour,
        }
    }

    pub fn write(
        &self,
        out: &mut String,
        colour_of: impl Fn(usize, &str) -> Option<&'static str>,
    ) -> std::fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let code = match index {
                    0 => Some(BOLD),
                    _ => colour_of(column, cell),
                };
                match code {
                    Some(code) => line.push_str(&coloured(cell, code, self.colour)),
                    None => line.push_str(cell),
                }
                if column + 1 < columns {
                    let blanks = widths[column] + 2 - cell.chars().count();
                    line.extend(std::iter::repeat_n(' ', blanks));
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

pub fn coloured(text: &str, code: &str, colour: bool) -> String {
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
