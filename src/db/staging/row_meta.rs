//! `meta` of an imported row: what the node stores of it, and what it takes out.
//!
//! Pure.

use rusqlite::types::ValueRef;
use serde_json::{Map, Value as Json};

use crate::limits;

/// A `meta` in its parts.
#[derive(Default)]
pub struct RowMeta {
    /// Of the key: it goes into `keys`.
    pub unit: Option<String>,
    /// The text of a reading that is none of a number.
    pub text: Option<String>,
    pub rest: MetaObject,
}

/// What stays in `meta`, the text included.
#[derive(Default)]
pub struct MetaObject(Map<String, Json>);

/// Takes a `meta` apart; `None` for what is no JSON object, or too long.
pub fn read_meta(cell: ValueRef) -> Option<RowMeta> {
    let bytes = match cell {
        ValueRef::Null => return Some(RowMeta::default()),
        ValueRef::Text(bytes) => bytes.trim_ascii(),
        ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_) => return None,
    };
    // SQLAlchemy writes the JSON null where there is nothing.
    if bytes.is_empty() || bytes == b"null" {
        return Some(RowMeta::default());
    }
    if bytes.len() > limits::IMPORT_META_BYTES {
        return None;
    }
    let mut object: Map<String, Json> = serde_json::from_slice(bytes).ok()?;
    let unit = match object.remove("unit") {
        Some(Json::String(unit)) => Some(unit),
        _ => None,
    };
    let text = object.get("text").and_then(Json::as_str).map(str::to_owned);
    Some(RowMeta {
        unit,
        text,
        rest: MetaObject(object),
    })
}

impl MetaObject {
    /// As `records` has it, spelled as the node spells it.
    pub fn compose(mut self, text: Option<&str>, is_untrusted: bool) -> Option<String> {
        if let Some(text) = text {
            self.0.insert("text".to_owned(), text.into());
        }
        if is_untrusted {
            self.0.insert("clock".to_owned(), "untrusted".into());
        }
        (!self.0.is_empty()).then(|| Json::Object(self.0).to_string())
    }
}
