//! JSON lines as the input of an import: one object in each line, with the members of an export.

use std::io::{BufRead, BufReader};

use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde_json::Value as Json;

use super::StageError;
use super::input::Lines;
use super::input_row::{InputRow, InputSummary};
use super::stager::Stager;
use crate::sys::os_error::reason;

/// What is not there is null; other members are ignored.
#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonLine {
    timestamp: Json,
    key: Json,
    value: Json,
    unit: Json,
    text: Json,
    clock: Json,
    seconds: Json,
    count: Json,
    min: Json,
    max: Json,
    last: Json,
    meta: Json,
}

/// Hands all rows to the stager. `failed` makes an error of a text about the input.
pub fn read(
    lines: Lines,
    stager: &mut Stager,
    failed: &dyn Fn(String) -> StageError,
) -> Result<(), StageError> {
    let Lines {
        reader,
        meter,
        bytes,
        ..
    } = lines;
    let mut reader = BufReader::new(reader);
    stager.place_name = "line";
    stager.report.kind = "JSON lines".to_owned();
    let mut text = Vec::new();
    let mut place: i64 = 0;
    loop {
        place += 1;
        text.clear();
        match reader.read_until(b'\n', &mut text) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(failed(format!("line {place}: {}", reason(&error)))),
        }
        meter.end_record();
        stager.position = bytes.map(|all| (meter.bytes(), all));
        let line = text.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice::<JsonLine>(line) {
            Ok(read) => take(stager, place, &read)?,
            Err(_) => stager.take_broken(place, line)?,
        }
    }
}

fn take(stager: &mut Stager, place: i64, line: &JsonLine) -> Result<(), StageError> {
    let meta = match &line.meta {
        Json::Null => None,
        meta => Some(meta.to_string()),
    };
    let summary = (!line.seconds.is_null()).then(|| InputSummary {
        seconds: cell(&line.seconds),
        count: cell(&line.count),
        min: cell(&line.min),
        max: cell(&line.max),
        last: cell(&line.last),
    });
    let meta = meta.as_ref();
    stager.take(&InputRow {
        text: cell(&line.text),
        unit: cell(&line.unit),
        is_untrusted: line.clock.as_str() == Some("untrusted"),
        summary,
        ..InputRow::of(
            place,
            cell(&line.timestamp),
            cell(&line.key),
            cell(&line.value),
            meta.map_or(ValueRef::Null, |meta| ValueRef::Text(meta.as_bytes())),
        )
    })
}

/// Lists and objects are nothing that a cell can hold, as bytes are.
fn cell(json: &Json) -> ValueRef<'_> {
    match json {
        Json::Null => ValueRef::Null,
        Json::Bool(is_true) => ValueRef::Integer((*is_true).into()),
        Json::Number(number) => match number.as_i64() {
            Some(number) => ValueRef::Integer(number),
            // One that no f64 holds is infinite.
            None => ValueRef::Real(number.as_f64().unwrap_or(f64::INFINITY)),
        },
        Json::String(text) => ValueRef::Text(text.as_bytes()),
        Json::Array(_) | Json::Object(_) => ValueRef::Blob(&[]),
    }
}
