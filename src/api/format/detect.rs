//! Detection of a body's format, for messages only: what is read is what is configured.
//!
//! Pure.

use serde::de::IgnoredAny;

use super::csv::detect_delimiter;
use super::text::split_pair;
use crate::domain::plan::ResponseFormat;
use crate::domain::text::ellipsis;

/// What a body looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    Like(ResponseFormat),
    Html,
}

/// Lines, and characters of markup, that are looked at.
const LINES: usize = 20;
const HEAD_CHARS: usize = 400;

pub fn detect(text: &str, content_type: Option<&str>) -> Option<Looks> {
    let begin = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if begin.starts_with('<') {
        let head = ellipsis(begin, HEAD_CHARS).to_ascii_lowercase();
        let is_html = head.contains("<html") || head.starts_with("<!doctype html");
        return Some(if is_html {
            Looks::Html
        } else {
            Looks::Like(ResponseFormat::Xml)
        });
    }
    if begin.starts_with(['{', '[']) {
        return detect_json(begin).map(Looks::Like);
    }
    detect_lines(begin, content_type).map(Looks::Like)
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

fn detect_lines(text: &str, content_type: Option<&str>) -> Option<ResponseFormat> {
    let media_type = content_type.unwrap_or_default().to_ascii_lowercase();
    let is = |name: &str| media_type.starts_with(name);
    let is_metric = |line: &str| line.starts_with("# HELP ") || line.starts_with("# TYPE ");
    let lines = || text.lines().map(str::trim).filter(|it| !it.is_empty());
    if is("application/openmetrics-text") || lines().take(LINES).any(is_metric) {
        return Some(ResponseFormat::Prometheus);
    }
    if is("text/csv") || is("text/tab-separated-values") {
        return Some(ResponseFormat::Csv);
    }
    let data = || lines().filter(|it| !it.starts_with('#')).take(LINES);
    if data().next().is_some() && data().all(|line| split_pair(line).is_some()) {
        return Some(ResponseFormat::Text);
    }
    let delimiter = char::from(detect_delimiter(data().next()?));
    let count = |line: &str| line.matches(delimiter).count();
    let columns = data().next().map(count).filter(|it| *it > 0);
    if data().count() > 1 && columns.is_some() && data().all(|line| Some(count(line)) == columns) {
        return Some(ResponseFormat::Csv);
    }
    is("text/plain").then_some(ResponseFormat::Text)
}
