//! The default selection: every numeric or boolean leaf, keyed by its dotted path;
//! with `numbers = "lenient"` also texts that are numbers.

use serde_json::Value as Json;

use super::{
    Normalised, OmittedRecords, RecordLimit, encode_segment, read_number, sample, unit_of,
};
use crate::domain::plan::Numbers;
use crate::domain::reading::{Issue, Reading, Reason, Value};
use crate::domain::text::shorten;
use crate::limits;

/// Takes all leaves of `body` into `taken`.
pub fn read_all(
    body: &Json,
    prefix: &str,
    units: Option<&Json>,
    numbers: Numbers,
    taken: &mut Normalised,
) {
    let mut leaves = LeafReader {
        units,
        numbers,
        result: taken,
        omitted: OmittedRecords::default(),
    };
    leaves.collect(body, prefix, &mut String::new(), 0);
    let issue = leaves.omitted.issue(RecordLimit::PerSource);
    taken.issues.extend(issue);
}

struct LeafReader<'a> {
    units: Option<&'a Json>,
    numbers: Numbers,
    result: &'a mut Normalised,
    omitted: OmittedRecords,
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
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
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
            Json::Number(_) | Json::Bool(_) => self.leaf(json, key, pointer),
            // A text is a leaf where it is read as a number.
            Json::String(_) if read_number(json, self.numbers).is_some() => {
                self.leaf(json, key, pointer);
            }
            Json::String(_) | Json::Null => {}
        }
    }

    fn leaf(&mut self, json: &Json, key: &str, pointer: &str) {
        let issue = |reason, expected: String| Issue {
            reason,
            key: None,
            pointer: shorten(pointer, 4 * limits::POINTER_CHARS),
            expected,
            found: sample(json),
        };
        let number = read_number(json, self.numbers).unwrap_or(f64::NAN);
        if self.result.readings.len() >= limits::RECORDS_PER_SOURCE {
            self.omitted.add(|| key.to_owned());
        } else if key.is_empty() || key.len() > limits::KEY_BYTES {
            let expected = if key.is_empty() {
                "an object or array (a lone value: [source.records] with NAME = \"\")".to_owned()
            } else {
                format!("a path of at most {} bytes", limits::KEY_BYTES)
            };
            self.push_issue(issue(Reason::WrongType, expected));
        } else if !number.is_finite() {
            let expected = "a number that a 64-bit float can hold".to_owned();
            self.push_issue(issue(Reason::NotFinite, expected));
        } else {
            self.result.readings.push(Reading {
                key: key.into(),
                value: Value::Number(number),
                unit: unit_of(self.units, pointer),
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
