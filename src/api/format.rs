//! Parsers of response formats other than JSON: a text to the tree of values that selections
//! read.
//!
//! Pure. One file per format. All share [`ValueBudget`], which bounds the tree before it is built.

pub mod csv;
pub mod detect;
pub mod prometheus;
pub mod text;
pub mod xml;

use std::collections::HashMap;

use serde_json::{Number, Value as Json};

use crate::domain::reading::{Issue, Reason};
use crate::domain::text::{ellipsis, is_invisible};
use crate::limits;

/// Why a text is not of its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatError {
    /// More values than [`limits::JSON_VALUES`].
    TooMany,
    Malformed {
        /// From 1.
        line: usize,
        expected: String,
        found: String,
    },
}

impl FormatError {
    /// `expected` may name what the body has; `found` is the text at that place, of any length.
    pub fn malformed(line: usize, expected: &str, found: &str) -> FormatError {
        FormatError::Malformed {
            line,
            expected: one_line(expected, limits::POINTER_CHARS),
            found: quote_sample(found),
        }
    }
}

/// The beginning of a text, for a message. Nothing is escaped, so that secrets in it are known
/// and masked.
pub fn quote_sample(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    match line {
        "" => "the end".to_owned(),
        _ => format!("`{}`", one_line(line, limits::BODY_SAMPLE_CHARS)),
    }
}

fn one_line(text: &str, chars: usize) -> String {
    ellipsis(text, chars).replace(|c: char| c.is_control() || is_invisible(c), " ")
}

/// How many values a tree may still have.
pub struct ValueBudget {
    left: usize,
}

impl Default for ValueBudget {
    fn default() -> ValueBudget {
        ValueBudget {
            left: limits::JSON_VALUES,
        }
    }
}

impl ValueBudget {
    pub fn take(&mut self, values: usize) -> Result<(), FormatError> {
        let left = self.left.checked_sub(values);
        self.left = left.ok_or(FormatError::TooMany)?;
        Ok(())
    }
}

/// The value of a cell or an element: a number if the text is exactly a JSON number, null if it
/// is blank, else the text.
pub fn leaf(text: &str) -> Json {
    let text = text.trim();
    if text.is_empty() {
        return Json::Null;
    }
    let may_be_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let number = may_be_number.then(|| serde_json::from_str::<Number>(text));
    match number {
        Some(Ok(number)) => Json::Number(number),
        _ => Json::String(text.to_owned()),
    }
}

/// Names that are each used once: a repeated one gets `_2`, `_3`.
#[derive(Default)]
pub struct UniqueNames {
    /// Each used name, and the number that was last appended to it.
    used: HashMap<String, usize>,
}

impl UniqueNames {
    pub fn unique(&mut self, name: String) -> String {
        let Some(last) = self.used.get(&name) else {
            self.used.insert(name.clone(), 1);
            return name;
        };
        let mut number = *last;
        let unused = loop {
            number += 1;
            let candidate = format!("{name}_{number}");
            if !self.used.contains_key(&candidate) {
                break candidate;
            }
        };
        self.used.insert(name, number);
        self.used.insert(unused.clone(), 1);
        unused
    }
}

/// The lines of a text whose end may be missing. A last line without a line end is only whole
/// where the end of the body is marked; else it is left out, with an issue.
pub fn complete_lines(text: &str, is_end_marked: bool) -> (&str, Option<Issue>) {
    if is_end_marked || text.is_empty() || text.ends_with(['\n', '\r']) {
        return (text, None);
    }
    let end = text.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let (whole, last) = text.split_at(end);
    let issue = Issue {
        reason: Reason::Missing,
        key: None,
        pointer: String::new(),
        expected: "a line end behind the last line, or a Content-Length".to_owned(),
        found: quote_sample(last),
    };
    (whole, Some(issue))
}

#[cfg(test)]
#[path = "format/tests/format.rs"]
mod tests;
