//! JSON parsing with limits, and messages for responses that are not JSON.
//!
//! Pure. serde_json reads what is JSON (RFC 8259); what it refuses is read again by the lenient
//! parser, which knows where a text stops to be JSON. No tree is larger than its limits.

mod ndjson;
mod reader;
mod syntax_error;

use reader::{ErrorKind, SyntaxError};
use serde_json::Value as Json;

use super::parsed_body::ParsedBody;
use crate::domain::failure::{Cause, Failure};
use crate::limits;

/// What is known of a body beside its text.
#[derive(Clone, Copy)]
pub struct BodyOrigin<'a> {
    /// The server, as messages name it.
    pub host: &'a str,
    /// Its Content-Type is HTML; that alone is no failure, many devices label their JSON wrongly.
    pub is_html: bool,
    /// A closed connection cannot have cut it short.
    pub is_end_marked: bool,
}

/// Parses a JSON text, or several with one per line to an array.
pub fn parse(text: &str, origin: BodyOrigin) -> Result<ParsedBody, Failure> {
    let host = origin.host;
    let begin = text.trim_start();
    if begin.is_empty() {
        let detail = format!("the response of {host} is empty, expected JSON");
        return Err(Failure::new(Cause::NotJson, detail));
    }
    if begin.starts_with('<') {
        return Err(syntax_error::describe_markup(begin, origin.is_html, host));
    }
    if begin.starts_with(ndjson::SEPARATOR) {
        return parse_lines(begin, origin);
    }
    let from = text.len() - strip_xssi_prefix(begin).len();
    let mut error = match read(&text[from..]) {
        Ok(body) => return Ok(body),
        Err(error) => error,
    };
    error.at += from;
    if error.kind == ErrorKind::Expected(reader::END) && stands_on_own_line(text, error.at) {
        let lines = ndjson::read(text, origin.is_end_marked, host)?;
        // One stray line behind a text is no NDJSON.
        if lines.count() > 1 && 2 * lines.broken < lines.count() {
            return Ok(lines.body);
        }
    }
    Err(syntax_error::describe(text, &error, host))
}

/// Parses a body whose Content-Type is NDJSON: a single text is itself, several are an array.
pub fn parse_text_or_lines(text: &str, origin: BodyOrigin) -> Result<ParsedBody, Failure> {
    read_strict(text).map_or_else(|| parse_lines(text, origin), Ok)
}

/// Parses a body that is declared to hold one JSON text per line, or each behind a record
/// separator: an array of them, empty if there is none.
pub fn parse_lines(text: &str, origin: BodyOrigin) -> Result<ParsedBody, Failure> {
    let text = text.trim_start();
    if text.starts_with('<') {
        return Err(syntax_error::describe_markup(
            text,
            origin.is_html,
            origin.host,
        ));
    }
    // Labelled so, but one text over several lines.
    if text.trim_end().contains('\n')
        && let Some(body) = read_strict(text)
    {
        return Ok(body);
    }
    let lines = ndjson::read(text, origin.is_end_marked, origin.host)?;
    if lines.broken > 0 && lines.broken == lines.count() {
        return read(text).map_err(|error| syntax_error::describe(text, &error, origin.host));
    }
    Ok(lines.body)
}

/// Whether a Content-Type declares several JSON texts.
pub fn is_lines(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    const LINES: [&str; 8] = [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonl",
        "application/jsonlines",
        "application/x-jsonlines",
        "application/json-lines",
        "application/json-seq",
    ];
    LINES.iter().any(|it| media_type.eq_ignore_ascii_case(it))
}

/// Whether only blanks stand between a line's begin and a place.
fn stands_on_own_line(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end_matches([' ', '\t', '\r', '\0']);
    before.ends_with('\n')
}

/// Reads a JSON text.
fn read(text: &str) -> Result<ParsedBody, SyntaxError> {
    read_strict(text).map_or_else(|| reader::read(text), Ok)
}

/// Reads a text that is JSON by RFC 8259.
fn read_strict(text: &str) -> Option<ParsedBody> {
    let is_small = max_values(text.as_bytes()) <= limits::JSON_VALUES;
    let tree: Option<Json> = is_small.then(|| serde_json::from_str(text).ok())?;
    tree.map(ParsedBody::from)
}

/// The text behind `)]}'`, with which some servers keep scripts of other sites from
/// reading their JSON.
fn strip_xssi_prefix(begin: &str) -> &str {
    let rest = begin.strip_prefix(")]}'");
    let rest = rest.map(|rest| rest.strip_prefix(',').unwrap_or(rest));
    rest.filter(|rest| rest.starts_with(['\n', '\r']))
        .unwrap_or(begin)
}

/// An upper bound of what the values of a JSON text count, without building one: each but the
/// first stands behind a bracket, comma or colon.
pub fn max_values(body: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (1, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b',' if !in_string => count += 1,
            b'{' if !in_string => count += 1 + limits::OBJECT_VALUES,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
#[path = "tests/json.rs"]
mod tests;
