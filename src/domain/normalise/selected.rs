//! Records that the configuration names: one at a pointer, or one of each element of a
//! list or an object.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::elements::{self, Element};
use super::missing::{describe_missing, describe_no_match, named};
use super::{
    LastAccepted, Normalised, OmittedRecords, RecordLimit, encode_segment, read_number, sample,
    unit_of,
};
use crate::domain::plan::{Numbers, RecordSelector};
use crate::domain::reading::{Issue, Reading, Reason, Value, round_computed};
use crate::domain::text::{format_number, shorten};
use crate::domain::time::Mono;
use crate::domain::value_path::{SeveralNodes, ValuePath};
use crate::limits;

pub struct SelectedRecords<'a> {
    pub body: &'a Json,
    pub units: Option<&'a Json>,
    pub numbers: Numbers,
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
        let issue = self.omitted.issue(RecordLimit::PerSource);
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
            if self.result.readings.len() >= limits::RECORDS_PER_SOURCE {
                let name = || fill_template(&pick.key, &own_name, element).unwrap_or(place);
                self.omitted.add(name);
                continue;
            }
            let key = match fill_template(&pick.key, &own_name, element) {
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
        match pick.at.find(json) {
            Ok(Some(node)) => {
                let pointer = format!("{place}{}", node.pointer);
                self.read_one(pick, key, &pointer, Ok(node.value));
            }
            Ok(None) => {
                let (pointer, found) = match &pick.at {
                    ValuePath::Pointer(at) => {
                        let pointer = format!("{place}{at}");
                        let found = describe_missing(self.body, &pointer);
                        (pointer, found)
                    }
                    ValuePath::JsonPath(path) => {
                        (named(place, path), describe_no_match(json, place, path))
                    }
                };
                self.read_one(pick, key, &pointer, Err(found));
            }
            Err(several) => {
                let pointer = match place {
                    "" => pick.at.to_string(),
                    _ => format!("{place} {}", pick.at),
                };
                let issue = several_values(pointer, &several);
                self.push_issue(Issue {
                    key: Some(key),
                    ..issue
                });
            }
        }
    }

    fn read_one(
        &mut self,
        pick: &RecordSelector,
        key: Arc<str>,
        pointer: &str,
        json: Result<&Json, String>,
    ) {
        match self.read_value(pick, &key, json) {
            Ok(value) => self.result.readings.push(Reading {
                unit: pick.unit.clone().or_else(|| unit_of(self.units, pointer)),
                key,
                value,
            }),
            Err((reason, expected, found)) => self.push_issue(Issue {
                reason,
                key: Some(key),
                pointer: pointer.to_owned(),
                expected,
                found,
            }),
        }
    }

    /// The first ones are kept and the rest is left out, so that no response can fill the
    /// node with what is wrong with it.
    fn push_issue(&mut self, issue: Issue) {
        if self.result.issues.len() < limits::ISSUES_PER_RESPONSE {
            self.result.issues.push(issue);
        }
    }

    fn read_value(
        &self,
        pick: &RecordSelector,
        key: &str,
        json: Result<&Json, String>,
    ) -> Result<Value, (Reason, String, String)> {
        let wanted = || describe_wanted(pick);
        let json = match json {
            Err(found) => return Err((Reason::Missing, wanted(), found)),
            Ok(Json::Null) => return Err((Reason::Missing, wanted(), "null".to_owned())),
            Ok(json) => json,
        };
        if pick.text {
            return match json {
                Json::String(text) => Ok(Value::Text(shorten(text, limits::TEXT_BYTES).into())),
                Json::Number(_) | Json::Bool(_) => {
                    let text = json.to_string();
                    Ok(Value::Text(shorten(&text, limits::TEXT_BYTES).into()))
                }
                _ => Err((Reason::WrongType, wanted(), sample(json))),
            };
        }
        let mapped = pick.map.iter().find(|(known, _)| is_spelling(known, json));
        let raw = mapped
            .map(|(_, number)| *number)
            .or_else(|| read_number(json, self.numbers))
            .ok_or_else(|| {
                let how = number_in_text(json, self.numbers).unwrap_or_default();
                (Reason::WrongType, wanted() + how, sample(json))
            })?;
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
            None => Ok(Value::Number(number)),
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

/// Whether a value is one that `map` knows: a number may be spelled in several ways, 1 and 1.0.
fn is_spelling(known: &str, json: &Json) -> bool {
    match json {
        Json::String(text) => known == text,
        Json::Bool(truth) => known == if *truth { "true" } else { "false" },
        Json::Number(number) => {
            let value = |text: &str| text.parse::<f64>().ok();
            known == number.as_str()
                || value(known).is_some_and(|it| Some(it) == value(number.as_str()))
        }
        _ => false,
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

/// How a text that is a number would be read as one.
fn number_in_text(json: &Json, numbers: Numbers) -> Option<&'static str> {
    let text = json.as_str()?.trim();
    if numbers == Numbers::Strict && read_number(json, Numbers::Lenient).is_some() {
        return Some(" (numbers = \"lenient\" reads such a text)");
    }
    let (whole, part) = text.trim_start_matches('-').split_once(',')?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    (is_digits(whole) && is_digits(part)).then_some(" with a decimal point")
}

/// What a record may be, as issues say it.
fn describe_wanted(pick: &RecordSelector) -> String {
    match (pick.text, pick.map.is_empty()) {
        (true, _) => "a text".to_owned(),
        (false, true) => "a number".to_owned(),
        (false, false) => {
            let known: Vec<&str> = pick.map.iter().map(|(text, _)| text.as_str()).collect();
            shorten(
                &format!("one of {}", known.join(", ")),
                4 * limits::SAMPLE_CHARS,
            )
        }
    }
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
