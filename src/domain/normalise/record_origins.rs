//! Origins of records: where in a response each record comes from, and what stands there, for commands
//! that explain the records. Nothing of it is computed by the service.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::combined::list_of;
use super::elements::{self, Element};
use super::selected::in_element;
use super::{LastAccepted, all_leaves, encode_segment, key_template, normalise};
use crate::domain::plan::{RecordSelector, Selection, SourcePlan};
use crate::domain::redact::Secrets;
use crate::domain::text::{count_noun, ellipsis};
use crate::domain::time::{ClockTrust, Moment, Mono, Wall};
use crate::domain::value_path::ValuePath;
use crate::limits;

/// What a response has for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordOrigin {
    pub key: Arc<str>,
    /// RFC 6901 JSON Pointer into the response; the path itself where it finds nothing, or several
    /// values.
    pub pointer: String,
    pub found: OriginValue,
}

/// What stands at a place of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginValue {
    Nothing,
    Null,
    /// Type and value, shortened.
    Value(String),
    /// Where one was expected: how many, and where.
    Several(String),
    /// So many make the record together.
    Elements(usize),
}

impl RecordOrigin {
    /// Masks secrets in all texts that come from the response; in keys only those of `of_keys`.
    pub fn mask(&mut self, secrets: &Secrets, of_keys: &Secrets) {
        self.key = of_keys.mask_data(&self.key).into();
        self.pointer = secrets.mask(&self.pointer).into_owned();
        if let OriginValue::Value(text) | OriginValue::Several(text) = &mut self.found {
            *text = secrets.mask(text).into_owned();
        }
    }
}

impl fmt::Display for OriginValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginValue::Nothing => f.write_str("nothing"),
            OriginValue::Null => f.write_str("null"),
            OriginValue::Value(text) => f.write_str(text),
            OriginValue::Several(places) => write!(f, "several values, {places}"),
            OriginValue::Elements(0) => f.write_str("no element"),
            OriginValue::Elements(count) => f.write_str(&count_noun(*count, "element")),
        }
    }
}

/// The first of a response, in the order of its records, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordOrigins {
    pub first: Vec<RecordOrigin>,
    pub more: usize,
    /// Times without an offset were read in UTC, because the source names no zone. The zone of
    /// the node, in which they are likely to be.
    pub likely_zone: Option<TimeZone>,
}

/// What `source` selects in `body`.
pub fn find_origins(source: &SourcePlan, body: &Json) -> RecordOrigins {
    let mut list = RecordOrigins {
        likely_zone: likely_zone(source, body),
        ..RecordOrigins::default()
    };
    match &source.selection {
        Selection::AllLeaves { prefix } => {
            for (key, pointer) in all_leaves::places(source, body, prefix) {
                let value = body.pointer(&pointer);
                let found = || value.map_or(OriginValue::Nothing, describe);
                list.add(&key, || (pointer.clone(), found()));
            }
        }
        Selection::Selectors(picks) => {
            for pick in picks {
                list.add_record(pick, body);
            }
        }
    }
    list
}

/// The zone of the node, where the times of `body` have no offset and are read in UTC only because
/// `observed_zone` is not set.
fn likely_zone(source: &SourcePlan, body: &Json) -> Option<TimeZone> {
    let zone = &source.placeholder_zone;
    if source.observed_zone != TimeZone::UTC || *zone == TimeZone::UTC {
        return None;
    }
    let local = SourcePlan {
        observed_zone: zone.clone(),
        ..source.clone()
    };
    (times(source, body) != times(&local, body)).then(|| zone.clone())
}

/// All times that are read of `body`.
fn times(source: &SourcePlan, body: &Json) -> Vec<Wall> {
    let any = Moment {
        mono: Mono(0),
        wall: Wall(0),
        trust: ClockTrust::Untrusted,
    };
    let taken = normalise(source, body, &LastAccepted::default(), any);
    let readings = taken.readings.iter().filter_map(|it| it.observed);
    let elements = taken.series.iter().flat_map(|it| &it.elements);
    let starts = elements.map(|it| it.start);
    taken
        .observed
        .into_iter()
        .chain(readings)
        .chain(starts)
        .collect()
}

impl RecordOrigins {
    fn add(&mut self, key: &str, found: impl FnOnce() -> (String, OriginValue)) {
        if self.first.len() >= limits::EXPLAINED_RECORDS {
            self.more += 1;
            return;
        }
        let (pointer, found) = found();
        self.first.push(RecordOrigin {
            key: key.into(),
            pointer,
            found,
        });
    }

    fn add_record(&mut self, pick: &RecordSelector, body: &Json) {
        if pick.elements.combination().is_some() {
            return self.add_combined(pick, body);
        }
        let Some(each) = &pick.each else {
            return self.add(&pick.key, || find(&pick.at, "", body));
        };
        let Ok(elements) = elements::of_each(body, each) else {
            return self.add(&pick.key, || (each.to_string(), OriginValue::Elements(0)));
        };
        let before = self.first.len() + self.more;
        for element in elements.list {
            match key_of(pick, body, &element) {
                Some(key) => self.add(&key, || find(&pick.at, &element.pointer, element.value)),
                // No record: its key cannot be made.
                None => self.add(&pick.key, || {
                    (element.pointer.clone(), describe(element.value))
                }),
            }
        }
        if self.first.len() + self.more == before {
            self.add(&pick.key, || (each.to_string(), OriginValue::Elements(0)));
        }
    }

    /// Records that several elements make together.
    fn add_combined(&mut self, pick: &RecordSelector, body: &Json) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut keys = Vec::new();
        if !pick.is_template() {
            keys.push(pick.key.to_string());
        }
        let found = elements::of_combined(body, pick).into_iter();
        for element in found.flat_map(|elements| elements.list) {
            // Those whose key cannot be made are counted as the template's.
            let key = key_of(pick, body, &element).unwrap_or_else(|| pick.key.to_string());
            if pick.is_template() && !counts.contains_key(&key) {
                keys.push(key.clone());
            }
            *counts.entry(key).or_default() += 1;
        }
        if keys.is_empty() {
            keys.push(pick.key.to_string());
        }
        for key in keys {
            let found = || match (counts.get(&key), pick.list().map(|list| list.find(body))) {
                (None, Some(Ok(Some(node)))) if node.value.is_null() => describe(node.value),
                (count, _) => OriginValue::Elements(count.copied().unwrap_or(0)),
            };
            self.add(&key, || (list_of(pick), found()));
        }
    }
}

fn key_of(pick: &RecordSelector, body: &Json, element: &Element<'_>) -> Option<String> {
    let key = key_template::fill(&pick.key, body, element, encode_segment).ok()?;
    (key.len() <= limits::KEY_BYTES).then_some(key)
}

/// Where the path leads in `json`, which is at `place`, and what is there.
fn find(at: &ValuePath, place: &str, json: &Json) -> (String, OriginValue) {
    match at.find(json) {
        Ok(Some(node)) => (format!("{place}{}", node.pointer), describe(node.value)),
        Ok(None) => (in_element(place, at), OriginValue::Nothing),
        Err(several) => (
            in_element(place, at),
            OriginValue::Several(several.to_string()),
        ),
    }
}

fn describe(json: &Json) -> OriginValue {
    OriginValue::Value(match json {
        Json::Null => return OriginValue::Null,
        Json::Bool(truth) => format!("boolean {truth}"),
        Json::Number(number) => {
            format!("number {}", ellipsis(number.as_str(), limits::SAMPLE_CHARS))
        }
        Json::String(text) => format!("text {:?}", ellipsis(text, limits::SAMPLE_CHARS)),
        Json::Array(items) => format!("list of {}", items.len()),
        Json::Object(fields) => format!("object of {} fields", fields.len()),
    })
}

#[cfg(test)]
#[path = "tests/record_origins.rs"]
mod tests;
