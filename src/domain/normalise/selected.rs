//! Records that the configuration names: one at a pointer, or one of each element of a
//! list or an object. Elements that make one record together are in `combined`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::conversion::Conversion;
use super::elements::{self, Element};
use super::key_template;
use super::missing::{describe_missing, describe_no_match, named};
use super::number::Quantity;
use super::{
    LastAccepted, Normalised, OmittedRecords, RecordLimit, encode_segment, sample, unit_of,
};
use crate::domain::plan::{RecordSelector, SourcePlan};
use crate::domain::reading::{Issue, Reading, Reason, Value, round_computed};
use crate::domain::text::{format_number, shorten};
use crate::domain::time::Moment;
use crate::domain::value_path::{SeveralNodes, ValuePath, escape};
use crate::limits;

pub struct SelectedRecords<'a> {
    pub source: &'a SourcePlan,
    pub body: &'a Json,
    pub units: Option<&'a Json>,
    pub last_accepted: &'a LastAccepted,
    pub now: Moment,
    pub result: &'a mut Normalised,
    pub omitted: OmittedRecords,
    /// Made of elements.
    pub keys: BTreeSet<Arc<str>>,
}

impl<'a> SelectedRecords<'a> {
    pub fn read_all(&mut self, list: &'a [RecordSelector]) {
        for pick in list {
            match (pick.elements.combination(), &pick.each) {
                (Some(combination), _) => self.read_combined(pick, combination),
                (None, Some(each)) => self.read_each(pick, each),
                (None, None) => self.read_at(pick, pick.key.clone(), "", self.body),
            }
        }
        let issue = self.omitted.issue(RecordLimit::of_source(self.source));
        self.result.issues.extend(issue);
    }

    fn read_each(&mut self, pick: &RecordSelector, each: &ValuePath) {
        let elements = match elements::of_each(self.body, each) {
            Ok(elements) => elements,
            Err(Some(issue)) => return self.push_issue(issue),
            Err(None) => return,
        };
        if let Some(issue) = elements.too_many {
            self.push_issue(issue);
        }
        for element in elements.list {
            let Some(key) = self.key_of(pick, &element) else {
                continue;
            };
            if !self.has_room(&key) {
                self.omitted.add(|| key.to_string());
                continue;
            }
            if !self.keys.insert(key.clone()) {
                self.push_issue(Issue {
                    reason: Reason::DuplicateKey,
                    key: None,
                    pointer: element.pointer,
                    expected: "an element with a key of its own".to_owned(),
                    found: shorten(&key, limits::SAMPLE_CHARS),
                });
                continue;
            }
            self.read_at(pick, key, &element.pointer, element.value);
        }
    }

    /// Whether the source may have a record more, of `key`.
    pub fn has_room(&self, key: &str) -> bool {
        let taken = self.result.readings.len() + self.result.series.len();
        !self.source.leaves_out(taken, key)
    }

    /// The key that an element makes, or an issue.
    pub fn key_of(&mut self, pick: &RecordSelector, element: &Element<'_>) -> Option<Arc<str>> {
        match key_template::fill(&pick.key, self.body, element, encode_segment) {
            Ok(key) if key.len() <= limits::KEY_BYTES => Some(key.into()),
            Ok(key) => {
                self.push_issue(Issue {
                    reason: Reason::DuplicateKey,
                    key: None,
                    pointer: element.pointer.clone(),
                    expected: format!("a key of at most {} bytes", limits::KEY_BYTES),
                    found: shorten(&key, limits::SAMPLE_CHARS),
                });
                None
            }
            Err((part, found)) => {
                self.push_issue(Issue {
                    reason: Reason::Missing,
                    key: None,
                    pointer: element.pointer.clone(),
                    expected: format!("a text or a number for {{{part}}} of the key"),
                    found,
                });
                None
            }
        }
    }

    /// Reads the value in `json`, which is at `place`.
    fn read_at(&mut self, pick: &RecordSelector, key: Arc<str>, place: &str, json: &Json) {
        let (pointer, read) = self.read_in(pick, &pick.at, &key, place, json);
        match read {
            Ok(read) => {
                let unit = self.unit_of(pick, &key, place, json, &pointer, read.unit.as_deref());
                self.result.readings.push(Reading {
                    unit,
                    key,
                    value: read.value,
                    is_stated: read.is_stated,
                    is_boolean: read.is_boolean,
                    observed: None,
                });
            }
            Err(error) => self.push_error(key, pointer, error),
        }
    }

    /// Where the value at `at` in `json`, which is at `place`, is in the response, and the value.
    pub fn read_in(
        &self,
        pick: &RecordSelector,
        at: &ValuePath,
        key: &str,
        place: &str,
        json: &Json,
    ) -> (String, ReadResult) {
        match at.find(json) {
            Ok(Some(node)) => {
                let read = self.read_value(pick, key, node.value);
                (format!("{place}{}", node.pointer), read)
            }
            Ok(None) => self.read_nothing(pick, at, place, json),
            Err(several) => {
                let (pointer, error) = several_in(at, place, &several);
                (pointer, Err(error))
            }
        }
    }

    pub fn push_error(&mut self, key: Arc<str>, pointer: String, error: ReadError) {
        let (reason, expected, found) = error;
        self.push_issue(Issue {
            reason,
            key: Some(key),
            pointer,
            expected,
            found,
        });
    }

    /// The unit of the value at `pointer`, which was read in `json` at `place`: `in_text` where
    /// nothing else says it.
    pub fn unit_of(
        &mut self,
        pick: &RecordSelector,
        key: &Arc<str>,
        place: &str,
        json: &Json,
        pointer: &str,
        in_text: Option<&str>,
    ) -> Option<Arc<str>> {
        let unit = pick.unit.clone();
        let unit = unit.or_else(|| self.unit_at(pick, key, place, json));
        let unit = unit.or_else(|| unit_of(self.units, pointer));
        unit.or_else(|| unit_text(in_text?))
    }

    /// The record whose path finds nothing in `json`, which is at `place`, and where that is.
    pub fn read_nothing(
        &self,
        pick: &RecordSelector,
        at: &ValuePath,
        place: &str,
        json: &Json,
    ) -> (String, ReadResult) {
        let pointer = in_element(place, at);
        if let Some(number) = pick.missing {
            // `units_at` has its unit under its name.
            let name = at.last_name().map(escape);
            let pointer = name.map_or(pointer, |name| format!("{place}/{name}"));
            return (pointer, Ok(ReadValue::stated(number)));
        }
        let found = self.describe_nothing(at, place, json);
        let expected = self.conversion(pick).expected();
        (pointer, Err((Reason::Missing, expected, found)))
    }

    /// What is there instead, where a path finds nothing in `json`, which is at `place`.
    pub fn describe_nothing(&self, at: &ValuePath, place: &str, json: &Json) -> String {
        match at {
            ValuePath::Pointer(_) => describe_missing(self.body, &in_element(place, at)),
            ValuePath::JsonPath(path) => describe_no_match(json, place, path),
        }
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

    pub fn conversion<'p>(&self, pick: &'p RecordSelector) -> Conversion<'p> {
        Conversion {
            pick,
            numbers: self.source.numbers,
            has_texts_alone: self.source.format.has_texts_alone(),
        }
    }

    /// The first ones are kept and the rest is left out, so that no response can fill the
    /// node with what is wrong with it.
    pub fn push_issue(&mut self, issue: Issue) {
        if self.result.issues.len() < limits::ISSUES_PER_RESPONSE {
            self.result.issues.push(issue);
        }
    }

    pub fn read_value(&self, pick: &RecordSelector, key: &str, json: &Json) -> ReadResult {
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
        let number = self.accept(pick, key, raw).map_err(|error| match error {
            (Reason::NotFinite, expected, _) => (Reason::NotFinite, expected, sample(json)),
            error => error,
        })?;
        // A unit in the text is that of the number before it was scaled.
        let is_scaled = pick.scale.is_some() || pick.offset.is_some();
        let unit = Some(unit).filter(|unit| !unit.is_empty() && !is_scaled);
        Ok(ReadValue {
            unit,
            is_boolean: json.is_boolean() && (number == 0.0 || number == 1.0),
            ..ReadValue::of(Value::Number(number))
        })
    }

    /// A number scaled, if it is plausible then.
    pub fn accept(&self, pick: &RecordSelector, key: &str, raw: f64) -> Result<f64, ReadError> {
        let number = match (pick.scale, pick.offset) {
            (None, None) => raw,
            (scale, offset) => round_computed(raw * scale.unwrap_or(1.0) + offset.unwrap_or(0.0)),
        };
        if !number.is_finite() {
            return Err((Reason::NotFinite, FINITE.to_owned(), number.to_string()));
        }
        match self.range_problem(pick, key, number) {
            Some(expected) => Err((Reason::OutOfRange, expected, format_number(number))),
            None => Ok(number),
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
        let minutes = (self.now.mono.since(*at).as_secs_f64() / 60.0).max(1.0);
        ((number - last).abs() > max_change * minutes).then(|| {
            format!(
                "a change of at most {max_change} per minute from {}",
                format_number(*last)
            )
        })
    }
}

/// What a number is expected to be, however large it may be.
pub const FINITE: &str = "a number that a 64-bit float can hold";

pub type ReadResult = Result<ReadValue, ReadError>;

/// The reason, what was expected, and what was found.
pub type ReadError = (Reason, String, String);

/// A value, and what its text says about it.
pub struct ReadValue {
    pub value: Value,
    pub unit: Option<String>,
    pub is_stated: bool,
    /// It is 0 or 1 for a boolean of the response.
    pub is_boolean: bool,
}

impl ReadValue {
    pub fn of(value: Value) -> ReadValue {
        ReadValue {
            value,
            unit: None,
            is_stated: false,
            is_boolean: false,
        }
    }

    pub fn stated(number: f64) -> ReadValue {
        ReadValue {
            is_stated: true,
            ..ReadValue::of(Value::Number(number))
        }
    }
}

/// How the place of a path is named: in the response, or in an element.
pub fn in_element(place: &str, path: &ValuePath) -> String {
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

/// The place of a path that finds several values, and what is wrong with it.
pub fn several_in(at: &ValuePath, place: &str, several: &SeveralNodes) -> (String, ReadError) {
    let issue = several_values(in_element(place, at), several);
    (issue.pointer, (issue.reason, issue.expected, issue.found))
}

/// The unit of a response, shortened.
fn unit_text(unit: &str) -> Option<Arc<str>> {
    let unit = unit.trim();
    (!unit.is_empty()).then(|| shorten(unit, limits::UNIT_BYTES).into())
}
