//! NDJSON (JSON lines) and JSON text sequences (RFC 7464) to an array of their texts.
//!
//! Pure.

use serde_json::Value as Json;

use super::{max_values, syntax_error};
use crate::api::parsed_body::ParsedBody;
use crate::domain::failure::{Cause, Failure};
use crate::domain::reading::{Issue, Reason};
use crate::limits;

/// What begins each text of a sequence: the record separator of ASCII.
pub const SEPARATOR: char = '\u{1e}';

/// Texts of a body, one per line.
pub struct JsonLines {
    pub body: ParsedBody,
    /// How many texts were no JSON: null in the array, so that the others keep their places.
    pub broken: usize,
    /// Whether a last line was left out that may be cut.
    pub is_cut: bool,
}

/// Reads a text per line, blank ones left out, or per record separator. Where the end of the
/// body is not marked, a last line without a line end is left out with an issue.
pub fn read(text: &str, is_end_marked: bool, host: &str) -> Result<JsonLines, Failure> {
    let mut lines = JsonLines {
        body: ParsedBody::from(Json::Null),
        broken: 0,
        is_cut: false,
    };
    let (whole, cut) = split_cut(text, is_end_marked);
    let is_padding = |c: char| c == '\0' || c.is_whitespace();
    let mut items = Vec::new();
    let mut values = 1;
    let separator = if text.starts_with(SEPARATOR) {
        SEPARATOR
    } else {
        '\n'
    };
    for line in whole.split(separator) {
        let line = line.trim_matches(is_padding);
        if line.is_empty() {
            continue;
        }
        values += max_values(line.as_bytes());
        if values > limits::JSON_VALUES {
            let most = limits::JSON_VALUES;
            let detail = format!("the response of {host} holds more than {most} values");
            return Err(Failure::new(Cause::TooLarge, detail));
        }
        let pointer = format!("/{}", items.len());
        items.push(match super::read(line) {
            Ok(read) => {
                for mut found in read.not_numbers {
                    found.pointer.insert_str(0, &pointer);
                    lines.body.not_numbers.push(found);
                }
                lines.body.not_numbers.truncate(limits::NOT_NUMBERS);
                read.tree
            }
            Err(error) => {
                lines.broken += 1;
                let (expected, found) = syntax_error::expected_and_found(line, &error);
                lines
                    .body
                    .push_issue(Reason::WrongType, pointer, expected, found);
                Json::Null
            }
        });
    }
    let cut = cut.trim_matches(is_padding);
    if !cut.is_empty() {
        lines.is_cut = true;
        lines.body.push_issue(
            Reason::Missing,
            format!("/{}", items.len()),
            "a line end behind the last line, or a Content-Length: the response may be cut"
                .to_owned(),
            format!("`{}`", syntax_error::show(cut)),
        );
    }
    lines.body.tree = Json::Array(items);
    Ok(lines)
}

/// The lines that are whole, and the last one if it may be cut.
fn split_cut(text: &str, is_end_marked: bool) -> (&str, &str) {
    if is_end_marked {
        return (text, "");
    }
    let ends = ['\n', SEPARATOR];
    text.split_at(text.rfind(ends).map_or(0, |at| at + 1))
}

impl ParsedBody {
    fn push_issue(&mut self, reason: Reason, pointer: String, expected: String, found: String) {
        if self.issues.len() < limits::ISSUES_PER_RESPONSE {
            self.issues.push(Issue {
                reason,
                key: None,
                pointer,
                expected,
                found,
            });
        }
    }
}

impl JsonLines {
    pub fn count(&self) -> usize {
        let items = self.body.tree.as_array().map_or(0, Vec::len);
        items + usize::from(self.is_cut)
    }
}
