//! The default selection: every numeric or boolean leaf, keyed by its dotted path;
//! with `numbers = "lenient"` also texts that are numbers, alone or with a unit that is known.

use std::sync::Arc;

use serde_json::Value as Json;

use super::advice::advise_decimal;
use super::number::{NumberError, is_known_unit, parse_quantity};
use super::selected::FINITE;
use super::{
    Normalised, OmittedRecords, RecordLimit, encode_segment, read_number, sample, unit_of,
};
use crate::domain::plan::{Numbers, SourcePlan};
use crate::domain::reading::{Issue, Reading, Reason, Value};
use crate::domain::text::shorten;
use crate::domain::value_path::escape;
use crate::limits;

/// Takes all leaves of `body` into `taken`.
pub fn read_all(
    source: &SourcePlan,
    body: &Json,
    prefix: &str,
    units: Option<&Json>,
    taken: &mut Normalised,
) {
    let mut leaves = LeafReader {
        source,
        units,
        result: taken,
        omitted: OmittedRecords::default(),
        places: None,
    };
    leaves.collect(body, prefix, &mut String::new(), 0);
    let issue = leaves.omitted.issue(RecordLimit::of_source(source));
    taken.issues.extend(issue);
}

/// The keys of the leaves that are read, and where each is: a JSON Pointer.
pub fn places(source: &SourcePlan, body: &Json, prefix: &str) -> Vec<(Arc<str>, String)> {
    let mut places = Vec::new();
    let mut leaves = LeafReader {
        source,
        units: None,
        result: &mut Normalised::default(),
        omitted: OmittedRecords::default(),
        places: Some(&mut places),
    };
    leaves.collect(body, prefix, &mut String::new(), 0);
    places
}

struct LeafReader<'a> {
    source: &'a SourcePlan,
    units: Option<&'a Json>,
    result: &'a mut Normalised,
    omitted: OmittedRecords,
    /// Takes where each reading is.
    places: Option<&'a mut Vec<(Arc<str>, String)>>,
}

impl LeafReader<'_> {
    fn collect(&mut self, json: &Json, key: &str, pointer: &mut String, depth: usize) {
        if depth > limits::JSON_DEPTH {
            return;
        }
        match json {
            Json::Object(fields) => {
                for (name, child) in fields {
                    let end = pointer.len();
                    pointer.push('/');
                    pointer.push_str(&escape(name));
                    self.collect(child, &join(key, &encode_segment(name)), pointer, depth + 1);
                    pointer.truncate(end);
                }
            }
            Json::Array(items) => {
                for (index, child) in items.iter().enumerate() {
                    let end = pointer.len();
                    pointer.push_str(&format!("/{index}"));
                    self.collect(child, &join(key, &index.to_string()), pointer, depth + 1);
                    pointer.truncate(end);
                }
            }
            Json::Number(_) | Json::Bool(_) => {
                let number = read_number(json).unwrap_or(f64::NAN);
                self.leaf(json, number, "", key, pointer);
            }
            Json::String(text) if self.source.numbers == Numbers::Lenient => {
                self.text(json, text, key, pointer);
            }
            Json::String(_) | Json::Null => {}
        }
    }

    /// A text is a leaf where it is read as a number.
    fn text(&mut self, json: &Json, text: &str, key: &str, pointer: &str) {
        match parse_quantity(text, None) {
            Ok(read) if read.unit.is_empty() || is_known_unit(&read.unit) => {
                self.leaf(json, read.number, &read.unit, key, pointer);
            }
            Err(NumberError::Ambiguous) => {
                let advice = advise_decimal(text).unwrap_or_default();
                self.push_issue(Issue {
                    reason: Reason::WrongType,
                    key: None,
                    pointer: shorten(pointer, 4 * limits::POINTER_CHARS),
                    expected: "a number that can be read in one way".to_owned(),
                    found: format!("{}{advice} of a record in [source.records]", sample(json)),
                });
            }
            Ok(_) | Err(NumberError::NotANumber) => {}
        }
    }

    fn leaf(&mut self, json: &Json, number: f64, unit: &str, key: &str, pointer: &str) {
        let issue = |reason, expected: String| Issue {
            reason,
            key: None,
            pointer: shorten(pointer, 4 * limits::POINTER_CHARS),
            expected,
            found: sample(json),
        };
        if self.source.leaves_out(self.result.readings.len(), key) {
            self.omitted.add(|| key.to_owned());
        } else if key.is_empty() || key.len() > limits::KEY_BYTES {
            let expected = if key.is_empty() {
                "an object or array (a lone value: [source.records] with NAME = \"\")".to_owned()
            } else {
                format!("a path of at most {} bytes", limits::KEY_BYTES)
            };
            self.push_issue(issue(Reason::WrongType, expected));
        } else if !number.is_finite() {
            self.push_issue(issue(Reason::NotFinite, FINITE.to_owned()));
        } else {
            let key: Arc<str> = key.into();
            if let Some(places) = &mut self.places {
                places.push((key.clone(), pointer.to_owned()));
            }
            self.result.readings.push(Reading {
                key,
                value: Value::Number(number),
                unit: unit_of(self.units, pointer)
                    .or_else(|| (!unit.is_empty()).then(|| unit.into())),
                is_stated: false,
                is_boolean: json.is_boolean(),
                observed: None,
            });
        }
    }

    fn push_issue(&mut self, issue: Issue) {
        if self.result.issues.len() < limits::ISSUES_PER_RESPONSE {
            self.result.issues.push(issue);
        }
    }
}

/// The key of a child; one that is too long to be used stays so and does not grow with it, since
/// every leaf below repeats it.
fn join(key: &str, segment: &str) -> String {
    if key.len() > limits::KEY_BYTES {
        return key.to_owned();
    }
    let segment = &shorten(segment, 2 * limits::KEY_BYTES);
    match key {
        "" => segment.clone(),
        _ if key.ends_with('.') => format!("{key}{segment}"),
        _ => format!("{key}.{segment}"),
    }
}
