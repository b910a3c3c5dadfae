//! Lines of an export: CSV that spreadsheets take safely, and JSON lines.
//!
//! Pure; any thread.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Map, Value as Json};

use super::{ExportFormat, ExportKey};
use crate::db::rollup::Aggregate;
use crate::db::row_codec::{decode_is_untrusted, decode_value};
use crate::domain::csv_field::{csv_quote, csv_text};
use crate::domain::reading::Value;
use crate::domain::text::format_number;

/// `seconds`, `count`, `min`, `max` and `last` are for what is left of many rows: `value`
/// is their mean then.
const COLUMNS: &str = "timestamp,key,value,unit,text,clock,seconds,count,min,max,last";

/// What a row of `records` says.
pub(super) struct RowContent {
    pub value: Value,
    pub untrusted: bool,
    /// The members of `meta` that are neither the text nor the clock, as JSON.
    pub others: Option<String>,
}

impl RowContent {
    /// `None` where there is no value.
    pub fn decode(number: Option<f64>, meta: Option<&str>) -> Option<RowContent> {
        let value = decode_value(number, meta)?;
        let untrusted = decode_is_untrusted(meta);
        let others = meta.and_then(|meta| other_members(meta, &value, untrusted));
        Some(RowContent {
            value,
            untrusted,
            others,
        })
    }
}

fn other_members(meta: &str, value: &Value, untrusted: bool) -> Option<String> {
    let mut members: Map<String, Json> = serde_json::from_str(meta).ok()?;
    if value.text().is_some() {
        members.remove("text");
    }
    if untrusted {
        members.remove("clock");
    }
    (!members.is_empty()).then(|| Json::Object(members).to_string())
}

/// One line.
pub(super) struct ExportLine<'a> {
    /// RFC 3339.
    pub timestamp: String,
    pub key: &'a ExportKey,
    pub content: RowContent,
    /// Of what is left of many rows: their span in seconds, and their summary.
    pub aggregate: Option<(i64, Aggregate)>,
    /// `records.id`, where rows are exported by it.
    pub id: Option<i64>,
}

/// The line before all others, if the format has one.
pub(super) fn write_header(
    out: &mut impl Write,
    format: ExportFormat,
    has_id: bool,
) -> io::Result<()> {
    let meta = match format {
        ExportFormat::JsonLines => return Ok(()),
        ExportFormat::Csv | ExportFormat::PlainCsv => "",
        ExportFormat::CompleteCsv => ",meta",
    };
    let id = if has_id { ",id" } else { "" };
    write!(out, "{COLUMNS}{meta}{id}\r\n")
}

pub(super) fn write_line(
    out: &mut impl Write,
    format: ExportFormat,
    line: &ExportLine,
) -> io::Result<()> {
    if format == ExportFormat::JsonLines {
        return write_json(out, line);
    }
    let text = match format {
        ExportFormat::PlainCsv => csv_quote,
        _ => csv_text,
    };
    let mut fields = csv_fields(line, text);
    if format == ExportFormat::CompleteCsv {
        fields.push(csv_quote(&complete_meta(&line.content)));
    }
    fields.extend(line.id.map(|id| id.to_string()));
    write!(out, "{}\r\n", fields.join(","))
}

/// The column `meta`. It has the text that is empty, which the column `text` does not tell from none.
fn complete_meta(content: &RowContent) -> String {
    let others = content.others.as_deref().unwrap_or_default();
    if content.value.text() != Some("") {
        return others.to_owned();
    }
    let mut members: Map<String, Json> = serde_json::from_str(others).unwrap_or_default();
    members.insert("text".to_owned(), "".into());
    Json::Object(members).to_string()
}

/// The fields of [`COLUMNS`]. `text` makes one of a text that may come from a server.
fn csv_fields(line: &ExportLine, text: fn(&str) -> String) -> Vec<String> {
    let ExportLine { key, content, .. } = line;
    let sum = line.aggregate.map(|(seconds, summary)| {
        [
            seconds.to_string(),
            summary.count.to_string(),
            format_number(summary.min),
            format_number(summary.max),
            format_number(summary.last),
        ]
    });
    let head = [
        line.timestamp.clone(),
        text(&key.key),
        content
            .value
            .number()
            .map(format_number)
            .unwrap_or_default(),
        text(key.unit.as_deref().unwrap_or_default()),
        text(content.value.text().unwrap_or_default()),
        if content.untrusted { "untrusted" } else { "" }.to_owned(),
    ];
    head.into_iter().chain(sum.unwrap_or_default()).collect()
}

fn write_json(out: &mut impl Write, line: &ExportLine) -> io::Result<()> {
    let text = |text: &str| Json::from(text).to_string();
    let ExportLine { key, content, .. } = line;
    let number = content.value.number();
    let mut json = format!(
        "{{\"timestamp\":\"{}\",\"key\":{},\"value\":{}",
        line.timestamp,
        text(&key.key),
        number.map_or("null".to_owned(), format_number)
    );
    // Writing to a String cannot fail.
    if let Some(unit) = &key.unit {
        let _ = write!(json, ",\"unit\":{}", text(unit));
    }
    if let Some(text_value) = content.value.text() {
        let _ = write!(json, ",\"text\":{}", text(text_value));
    }
    if content.untrusted {
        json += ",\"clock\":\"untrusted\"";
    }
    if let Some((seconds, s)) = &line.aggregate {
        let _ = write!(
            json,
            ",\"seconds\":{seconds},\"count\":{},\"min\":{},\"max\":{},\"last\":{}",
            s.count,
            format_number(s.min),
            format_number(s.max),
            format_number(s.last)
        );
    }
    if let Some(others) = &content.others {
        let _ = write!(json, ",\"meta\":{others}");
    }
    if let Some(id) = line.id {
        let _ = write!(json, ",\"id\":{id}");
    }
    writeln!(out, "{json}}}")
}
