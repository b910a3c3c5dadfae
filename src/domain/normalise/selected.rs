//! Records that the configuration names: one at a pointer, or one of each element of a
//! list or an object.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::conversion::Conversion;
use super::elements::{self, Element};
use super::missing::{describe_missing, describe_no_match, named};
use super::number::Quantity;
use super::{
    LastAccepted, Normalised, OmittedRecords, RecordLimit, encode_segment, sample, unit_of,
};
use crate::domain::plan::{RecordSelector, SourcePlan};
use crate::domain::reading::{Issue, Reading, Reason, Value, round_computed};
use crate::domain::text::{format_number, shorten};
use crate::domain::time::Mono;
use crate::domain::value_path::{SeveralNodes, ValuePath, escape};
use crate::limits;

pub struct SelectedRecords<'a> {
    pub source: &'a SourcePlan,
    pub body: &'a Json,
    pub units: Option<&'a Json>,
    pub last_accepted: &'a LastAccepted,
    pub now: Mono,
    pub result: &'a mut Normalised,
    pub omitted: OmittedRecords,
}

impl SelectedRecords<'_> {
    pub fn read_all(&mut self, list: &[RecordSelector]) {
        let mut keys = BTreeSet::new();
        for pick in list {
            match &pick.each {
                None => self.read_at(pick, pick.key.clone(), "", self.body),
                Some(each) => self.read_each(pick, each, &mut keys),
            }
        }
        let issue = self.omitted.issue(RecordLimit::of_source(self.source));
        self.result.issues.extend(issue);
    }

    fn read_each(
        &mut self,
        pick: &RecordSelector,
        each: &ValuePath,
        keys: &mut BTreeSet<Arc<str>>,
    ) {
        let elements = match elements::of_each(self.body, each) {
            Ok(elements) => elements,
            Err(Some(issue)) => return self.push_issue(issue),
            Err(None) => return,
        };
        if let Some(issue) = elements.too_many {
            self.push_issue(issue);
        }
        for Element {
            own_name,
            pointer: place,
            value: element,
        } in elements.list
        {
            let key = fill_template(&pick.key, &own_name, element);
            let taken = self.result.readings.len();
            if self.source.leaves_out(taken, key.as_deref().unwrap_or("")) {
                self.omitted.add(|| key.unwrap_or(place));
                continue;
            }
            let key = match key {
                Ok(key) => key,
                Err((part, found)) => {
                    self.push_issue(Issue {
                        reason: Reason::Missing,
                        key: None,
                        pointer: place,
                        expected: format!("a text or a number for {{{part}}} of the key"),
                        found,
                    });
                    continue;
                }
            };
            let key: Arc<str> = key.into();
            if key.len() > limits::KEY_BYTES || !keys.insert(key.clone()) {
                let expected = if key.len() > limits::KEY_BYTES {
                    format!("a key of at most {} bytes", limits::KEY_BYTES)
                } else {
                    "an element with a key of its own".to_owned()
                };
                self.push_issue(Issue {
                    reason: Reason::DuplicateKey,
                    key: None,
                    pointer: place,
                    expected,
                    found: shorten(&key, limits::SAMPLE_CHARS),
                });
                continue;
            }
            self.read_at(pick, key, &place, element);
        }
    }

    /// Reads the value in `json`, which is at `place`.
    fn read_at(&mut self, pick: &RecordSelector, key: Arc<str>, place: &str, json: &Json) {
        let (pointer, read) = match pick.at.find(json) {
            Ok(Some(node)) => {
                let read = self.read_value(pick, &key, node.value);
                (format!("{place}{}", node.pointer), read)
            }
            Ok(None) => self.read_nothing(pick, place, json),
            Err(several) => {
                let issue = several_values(in_element(place, &pick.at), &several);
                (
                    issue.pointer,
                    Err((issue.reason, issue.expected, issue.found)),
                )
            }
        };
        match read {
            Ok(read) => {
                let unit = pick.unit.clone();
                let unit = unit.or_else(|| self.unit_at(pick, &key, place, json));
                let unit = unit.or_else(|| unit_of(self.units, &pointer));
                self.result.readings.push(Reading {
                    unit: unit.or_else(|| unit_text(&read.unit?)),
                    key,
                    value: read.value,
                    is_stated: read.is_stated,
                });
            }
            Err((reason, expected, found)) => self.push_issue(Issue {
                reason,
                key: Some(key),
                pointer,
                expected,
                found,
            }),
        }
    }

    /// The record whose path finds nothing in `json`, which is at `place`, and where that is.
    fn read_nothing(
        &self,
        pick: &RecordSelector,
        place: &str,
        json: &Json,
    ) -> (String, ReadResult) {
        let pointer = in_element(place, &pick.at);
        if let Some(number) = pick.missing {
            // `units_at` has its unit under its name.
            let name = pick.at.last_name().map(escape);
            let pointer = name.map_or(pointer, |name| format!("{place}/{name}"));
            return (pointer, Ok(ReadValue::stated(number)));
        }
        let found = match &pick.at {
            ValuePath::Pointer(_) => describe_missing(self.body, &pointer),
            ValuePath::JsonPath(path) => describe_no_match(json, place, path),
        };
        let expected = self.conversion(pick).expected();
        (pointer, Err((Reason::Missing, expected, found)))
    }

    /// What the response says at `unit_at` of a record, which is read in `json`.
    fn unit_at(
        &mut self,
        pick: &RecordSelector,
        key: &Arc<str>,
        place: &str,
        json: &Json,
    ) -> Option<Arc<str>> {
        let path = pick.unit_at.as_ref()?;
        match path.find(json) {
            Ok(node) => unit_text(node?.value.as_str()?),
            Err(several) => {
                self.push_issue(Issue {
                    key: Some(key.clone()),
                    ..several_values(in_element(place, path), &several)
                });
                None
            }
        }
    }

    fn conversion<'p>(&self, pick: &'p RecordSelector) -> Conversion<'p> {
        Conversion {
            pick,
            numbers: self.source.numbers,
            has_texts_alone: self.source.format.has_texts_alone(),
        }
    }

    /// The first ones are kept and the rest is left out, so that no response can fill the
    /// node with what is wrong with it.
    fn push_issue(&mut self, issue: Issue) {
        if self.result.issues.len() < limits::ISSUES_PER_RESPONSE {
            self.result.issues.push(issue);
        }
    }

    fn read_value(&self, pick: &RecordSelector, key: &str, json: &Json) -> ReadResult {
        let conversion = self.conversion(pick);
        if json.is_null() {
            return match pick.null {
                Some(number) => Ok(ReadValue::stated(number)),
                None => Err((Reason::Missing, conversion.expected(), "null".to_owned())),
            };
        }
        let mismatch = |(expected, found)| (Reason::WrongType, expected, found);
        if pick.text {
            let text = conversion.text(json).map_err(mismatch)?;
            return Ok(ReadValue::of(Value::Text(text.into())));
        }
        let Quantity { number: raw, unit } = conversion.quantity(json).map_err(mismatch)?;
        let number = match (pick.scale, pick.offset) {
            (None, None) => raw,
            (scale, offset) => round_computed(raw * scale.unwrap_or(1.0) + offset.unwrap_or(0.0)),
        };
        if !number.is_finite() {
            let expected = "a number that a 64-bit float can hold".to_owned();
            return Err((Reason::NotFinite, expected, sample(json)));
        }
        match self.range_problem(pick, key, number) {
            Some(expected) => Err((Reason::OutOfRange, expected, format_number(number))),
            None => {
                // A unit in the text is that of the number before it was scaled.
                let is_scaled = pick.scale.is_some() || pick.offset.is_some();
                let unit = Some(unit).filter(|unit| !unit.is_empty() && !is_scaled);
                Ok(ReadValue {
                    unit,
                    ..ReadValue::of(Value::Number(number))
                })
            }
        }
    }

    /// What a number should be that is outside of the range of its record, or too far from the last.
    fn range_problem(&self, pick: &RecordSelector, key: &str, number: f64) -> Option<String> {
        match (pick.min, pick.max) {
            (Some(min), Some(max)) if !(min..=max).contains(&number) => {
                return Some(format!("from {min} to {max}"));
            }
            (Some(min), _) if number < min => return Some(format!("at least {min}")),
            (_, Some(max)) if number > max => return Some(format!("at most {max}")),
            _ => {}
        }
        let (max_change, (last, at)) = pick.max_change.zip(self.last_accepted.0.get(key))?;
        // The longer ago, the more it may have changed: a real step is accepted after some time.
        let minutes = (self.now.since(*at).as_secs_f64() / 60.0).max(1.0);
        ((number - last).abs() > max_change * minutes).then(|| {
            format!(
                "a change of at most {max_change} per minute from {}",
                format_number(*last)
            )
        })
    }
}

/// `Err` has the reason, what was expected, and what was found.
type ReadResult = Result<ReadValue, (Reason, String, String)>;

/// A value, and what its text says about it.
struct ReadValue {
    value: Value,
    unit: Option<String>,
    is_stated: bool,
}

impl ReadValue {
    fn of(value: Value) -> ReadValue {
        ReadValue {
            value,
            unit: None,
            is_stated: false,
        }
    }

    fn stated(number: f64) -> ReadValue {
        ReadValue {
            is_stated: true,
            ..ReadValue::of(Value::Number(number))
        }
    }
}

/// How the place of a path is named: in the response, or in an element.
fn in_element(place: &str, path: &ValuePath) -> String {
    match path {
        ValuePath::JsonPath(path) => named(place, path),
        ValuePath::Pointer(pointer) => format!("{place}{pointer}"),
    }
}

/// A JSONPath finds several values where one is expected.
pub fn several_values(pointer: String, several: &SeveralNodes) -> Issue {
    Issue {
        reason: Reason::TooMany,
        key: None,
        pointer,
        expected: "one value: add a position or a filter, or read `each`".to_owned(),
        found: several.to_string(),
    }
}

/// The unit of a response, shortened.
fn unit_text(unit: &str) -> Option<Arc<str>> {
    let unit = unit.trim();
    (!unit.is_empty()).then(|| shorten(unit, limits::UNIT_BYTES).into())
}

/// A key template with its `{parts}` taken from the element. `Err` names the part that the
/// element cannot fill, and what it has there.
fn fill_template(
    template: &str,
    own_name: &str,
    element: &Json,
) -> Result<String, (String, String)> {
    let mut key = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        key.push_str(before);
        let Some((part, after)) = after.split_once('}') else {
            key.push('{');
            rest = after;
            continue;
        };
        rest = after;
        if part == "#" {
            key.push_str(&encode_segment(own_name));
            continue;
        }
        let found = if part.starts_with('/') {
            element.pointer(part)
        } else {
            element.get(part)
        };
        match found {
            Some(Json::String(text)) if !text.is_empty() => key.push_str(&encode_segment(text)),
            Some(Json::Number(number)) => key.push_str(&encode_segment(number.as_str())),
            other => {
                let found = other.map_or("nothing".to_owned(), sample);
                return Err((part.to_owned(), found));
            }
        }
    }
    key.push_str(rest);
    Ok(key)
}
