//! Encoding and decoding of rows of `records` and of value columns.
//!
//! Pure; any thread.

use std::sync::Arc;

use crate::domain::derived::WindowSample;
use crate::domain::reading::Value;
use crate::domain::time::Wall;
use crate::limits;

/// The nearest instant that RFC 3339 can represent.
pub fn clamp_to_rfc3339(observed: Wall) -> Wall {
    const FIRST: i64 = -62_135_596_800_000;
    const LAST: i64 = 253_402_207_200_000;
    Wall(observed.0.clamp(FIRST, LAST))
}

/// Text value of a row, whether its time is trusted, and whether `missing` or `null` gave its
/// value, as JSON.
pub fn encode_meta(value: &Value, is_stated: bool, untrusted: bool) -> Option<String> {
    let mut meta = serde_json::Map::new();
    if let Some(text) = value.text() {
        meta.insert("text".to_owned(), text.into());
    }
    if untrusted {
        meta.insert("clock".to_owned(), "untrusted".into());
    }
    if is_stated {
        meta.insert("stated".to_owned(), true.into());
    }
    (!meta.is_empty()).then(|| serde_json::Value::Object(meta).to_string())
}

/// A number of `records`, for a window of a derived key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredSample {
    pub sample: WindowSample,
    /// Whether the clock that stamped it was not trusted. It counts where it comes after the rows
    /// that were stored before it.
    pub untrusted: bool,
}

/// The number of a row; `None` for a text, and for a time that cannot be.
pub fn decode_sample(second: i64, number: Option<f64>, meta: Option<&str>) -> Option<StoredSample> {
    let value = number?;
    let untrusted = decode_is_untrusted(meta);
    (!untrusted || second >= limits::EARLIEST_PLAUSIBLE_WALL_S).then(|| StoredSample {
        sample: WindowSample {
            time: Wall::from_second(second),
            value,
            is_stated: decode_is_stated(meta),
        },
        untrusted,
    })
}

/// A value from two columns: number and text.
pub fn column_value(row: &rusqlite::Row, number: usize) -> rusqlite::Result<Option<Value>> {
    if let Some(text) = row.get::<_, Option<Arc<str>>>(number + 1)? {
        return Ok(Some(Value::Text(text)));
    }
    Ok(row.get::<_, Option<f64>>(number)?.map(Value::Number))
}

/// The value of a row of `records`.
pub fn decode_value(number: Option<f64>, meta: Option<&str>) -> Option<Value> {
    if let Some(number) = number {
        return Some(Value::Number(number));
    }
    let meta: serde_json::Value = serde_json::from_str(meta?).ok()?;
    Some(Value::Text(meta.get("text")?.as_str()?.into()))
}

/// Whether the clock that stamped a row was not trusted.
pub fn decode_is_untrusted(meta: Option<&str>) -> bool {
    // In the text of a row the quotes would be escaped.
    meta.is_some_and(|meta| meta.contains("\"clock\":\"untrusted\""))
}

/// Whether `missing` or `null` gave the value of a row.
pub fn decode_is_stated(meta: Option<&str>) -> bool {
    meta.is_some_and(|meta| meta.contains("\"stated\":true"))
}
