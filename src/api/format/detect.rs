//! Detection of a body's format, for messages only: what is read is what is configured.
//!
//! Pure.

use std::fmt;

use serde::de::IgnoredAny;

use super::csv::detect_delimiter;
use super::quote_sample;
use super::text::split_pair;
use crate::domain::plan::ResponseFormat;
use crate::limits;

/// What a body looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    Like(ResponseFormat),
    Html,
    /// A script that calls a function with JSON: `callback({…});`.
    Jsonp,
    Binary,
}

impl fmt::Display for Looks {
    /// What it is, and what reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Looks::Like(format) => {
                let (title, name) = (format.title(), format.name());
                write!(f, "{title} (`format = \"{name}\"` reads it)")
            }
            Looks::Html => f.write_str("a web page (HTML)"),
            Looks::Jsonp => f.write_str(
                "JSONP (a script): leave the callback out of the address, or ask for JSON",
            ),
            Looks::Binary => f.write_str("binary data"),
        }
    }
}

/// What a text looks like; `None` where it is blank or broken JSON.
pub fn detect(text: &str, content_type: Option<&str>) -> Option<Looks> {
    let whole = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let end = whole.char_indices().nth(limits::GUESSED_FORMAT_CHARS);
    let begin = &whole[..end.map_or(whole.len(), |(at, _)| at)];
    if begin.starts_with('<') {
        let head = begin.to_ascii_lowercase();
        let is_html = head.contains("<html") || head.starts_with("<!doctype html");
        return Some(if is_html {
            Looks::Html
        } else {
            Looks::Like(ResponseFormat::Xml)
        });
    }
    if is_binary(begin) {
        return Some(Looks::Binary);
    }
    if is_jsonp(begin) {
        return Some(Looks::Jsonp);
    }
    if begin.starts_with(['{', '[']) {
        return detect_json(whole).map(Looks::Like);
    }
    detect_lines(begin, content_type).map(Looks::Like)
}

/// A web page with its title, by which a person knows it: `Log in`.
pub fn describe_web_page(text: &str) -> String {
    match title(text) {
        Some(title) => format!("{} with the title {}", Looks::Html, quote_sample(title)),
        None => Looks::Html.to_string(),
    }
}

fn title(text: &str) -> Option<&str> {
    let end = text.char_indices().nth(limits::GUESSED_FORMAT_CHARS);
    let begin = &text[..end.map_or(text.len(), |(at, _)| at)];
    let at = begin.to_ascii_lowercase().find("<title>")? + "<title>".len();
    let title = begin[at..].split('<').next()?.trim();
    (!title.is_empty()).then_some(title)
}

/// Bytes that no text has; `\u{1f}\u{2039}` is what gzip begins with, read as Windows-1252.
fn is_binary(begin: &str) -> bool {
    let mut first = begin.chars().take(limits::BINARY_CHECK_CHARS);
    begin.starts_with("\u{1f}\u{2039}") || first.any(|c| c == '\u{fffd}' || c == '\0')
}

/// `callback({…});`, `/**/cb([…])`.
fn is_jsonp(begin: &str) -> bool {
    let begin = begin.strip_prefix("/**/").unwrap_or(begin).trim_start();
    let is_name = |c: char| c.is_alphanumeric() || "_$.".contains(c);
    let rest = begin.trim_start_matches(is_name);
    let argument = rest.trim_start().strip_prefix('(').map(str::trim_start);
    rest.len() < begin.len() && argument.is_some_and(|it| it.starts_with(['{', '[']))
}

fn detect_json(text: &str) -> Option<ResponseFormat> {
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    if is_json(text) {
        return Some(ResponseFormat::Json);
    }
    let mut lines = text.lines().map(str::trim).filter(|it| !it.is_empty());
    let first = lines.next()?;
    let second = lines.next()?;
    let are_both = second.starts_with(['{', '[']) && is_json(first);
    are_both.then_some(ResponseFormat::Ndjson)
}

fn detect_lines(begin: &str, content_type: Option<&str>) -> Option<ResponseFormat> {
    let media_type = content_type.unwrap_or_default().to_ascii_lowercase();
    let is = |name: &str| media_type.starts_with(name);
    let lines = || {
        let lines = begin.lines().map(str::trim).filter(|it| !it.is_empty());
        lines.take(limits::GUESSED_FORMAT_LINES)
    };
    lines().next()?;
    let is_metadata = |line: &str| line.starts_with("# HELP ") || line.starts_with("# TYPE ");
    if is("application/openmetrics-text") || lines().any(is_metadata) || lines().all(is_metric) {
        return Some(ResponseFormat::Prometheus);
    }
    if is("text/csv") || is("text/tab-separated-values") {
        return Some(ResponseFormat::Csv);
    }
    let data = || lines().filter(|it| !it.starts_with('#'));
    let are_pairs = data().all(|line| split_pair(line).is_some());
    Some(if !are_pairs && is_csv(data) {
        ResponseFormat::Csv
    } else {
        ResponseFormat::Text
    })
}

/// `name{label="x"} 1`, or `name 1` with or without a timestamp.
fn is_metric(line: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let rest = line.trim_start_matches(is_name);
    let name = &line[..line.len() - rest.len()];
    let is_name =
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !name.ends_with(':');
    let value = match rest.strip_prefix('{') {
        Some(labels) => labels
            .split_once('}')
            .filter(|(labels, _)| labels.contains('='))
            .map(|(_, value)| value),
        None => rest.strip_prefix(' '),
    };
    let numbers = value.unwrap_or_default().split_whitespace();
    let count = numbers.clone().count();
    is_name && (1..=2).contains(&count) && numbers.clone().all(|it| it.parse::<f64>().is_ok())
}

/// Two lines or more with the same number of the same delimiter.
fn is_csv<'a, I: Iterator<Item = &'a str>>(lines: impl Fn() -> I) -> bool {
    let Some(first) = lines().next() else {
        return false;
    };
    let delimiter = char::from(detect_delimiter(first));
    let columns = |line: &str| line.matches(delimiter).count();
    let of_first = columns(first);
    lines().count() > 1 && of_first > 0 && lines().all(|line| columns(line) == of_first)
}
