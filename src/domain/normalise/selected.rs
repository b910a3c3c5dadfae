//! Records that the configuration names: one at a pointer, or one of each element of a
//! list or an object.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;

use super::{
    Believed, LeftOut, Limit, Normalised, encode_segment, read_number, sample, shorten, unit_of,
};
use crate::domain::plan::{Numbers, Pick};
use crate::domain::reading::{Issue, Reading, Reason, Value, round_computed, spell_number};
use crate::domain::time::Mono;
use crate::limits;

pub struct Picks<'a> {
    pub body: &'a Json,
    pub units: Option<&'a Json>,
    pub numbers: Numbers,
    pub believed: &'a Believed,
    pub now: Mono,
    pub taken: &'a mut Normalised,
    pub left_out: LeftOut,
}

impl Picks<'_> {
    pub fn take(&mut self, list: &[Pick]) {
        let mut keys = BTreeSet::new();
        for pick in list {
            match &pick.each {
                None => {
                    let json = self.body.pointer(&pick.at);
                    self.one(pick, pick.key.clone(), &pick.at, json);
                }
                Some(each) => self.each(pick, each, &mut keys),
            }
        }
        let issue = self.left_out.issue(Limit::OfSource);
        self.taken.issues.extend(issue);
    }

    fn each(&mut self, pick: &Pick, each: &str, keys: &mut BTreeSet<Arc<str>>) {
        let body = self.body;
        let elements: Box<dyn Iterator<Item = (String, &Json)>> = match body.pointer(each) {
            Some(Json::Array(items)) => Box::new(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| (index.to_string(), item)),
            ),
            Some(Json::Object(fields)) => {
                Box::new(fields.iter().map(|(name, item)| (name.clone(), item)))
            }
            other => {
                self.issue(Issue {
                    reason: match other {
                        None | Some(Json::Null) => Reason::Missing,
                        Some(_) => Reason::WrongType,
                    },
                    key: None,
                    pointer: each.to_owned(),
                    expected: "a list or an object, to read each of".to_owned(),
                    found: other.map_or("nothing".to_owned(), sample),
                });
                return;
            }
        };
        for (own_name, element) in elements {
            let escaped = own_name.replace('~', "~0").replace('/', "~1");
            let place = format!("{each}/{escaped}");
            if self.taken.readings.len() >= limits::RECORDS_PER_SOURCE {
                let name = || fill(&pick.key, &own_name, element).unwrap_or(place);
                self.left_out.note(name);
                continue;
            }
            let key = match fill(&pick.key, &own_name, element) {
                Ok(key) => key,
                Err((part, found)) => {
                    self.issue(Issue {
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
                let expected = match key.len() > limits::KEY_BYTES {
                    true => format!("a key of at most {} bytes", limits::KEY_BYTES),
                    false => "an element with a key of its own".to_owned(),
                };
                self.issue(Issue {
                    reason: Reason::DuplicateKey,
                    key: None,
                    pointer: place,
                    expected,
                    found: shorten(&key, limits::SAMPLE_CHARS),
                });
                continue;
            }
            let pointer = format!("{place}{}", pick.at);
            self.one(pick, key, &pointer, element.pointer(&pick.at));
        }
    }

    fn one(&mut self, pick: &Pick, key: Arc<str>, pointer: &str, json: Option<&Json>) {
        match self.read(pick, &key, json) {
            Ok(value) => self.taken.readings.push(Reading {
                unit: pick.unit.clone().or_else(|| unit_of(self.units, pointer)),
                key,
                value,
            }),
            Err((reason, expected, found)) => self.issue(Issue {
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
    fn issue(&mut self, issue: Issue) {
        if self.taken.issues.len() < limits::ISSUES_PER_RESPONSE {
            self.taken.issues.push(issue);
        }
    }

    fn read(
        &self,
        pick: &Pick,
        key: &str,
        json: Option<&Json>,
    ) -> Result<Value, (Reason, String, String)> {
        let wanted = || match (pick.text, pick.map.is_empty()) {
            (true, _) => "a text".to_owned(),
            (false, true) => "a number".to_owned(),
            (false, false) => {
                let known: Vec<&str> = pick.map.iter().map(|(text, _)| text.as_str()).collect();
                shorten(
                    &format!("one of {}", known.join(", ")),
                    4 * limits::SAMPLE_CHARS,
                )
            }
        };
        let json = match json {
            None => return Err((Reason::Missing, wanted(), "nothing".to_owned())),
            Some(Json::Null) => return Err((Reason::Missing, wanted(), "null".to_owned())),
            Some(json) => json,
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
        // A number may be spelled in several ways: 1, 1.0.
        let is_known = |known: &str| match json {
            Json::String(text) => known == text,
            Json::Bool(truth) => known == if *truth { "true" } else { "false" },
            Json::Number(number) => {
                let value = |text: &str| text.parse::<f64>().ok();
                known == number.as_str()
                    || value(known).is_some_and(|it| Some(it) == value(number.as_str()))
            }
            _ => false,
        };
        let mapped = pick.map.iter().find(|(known, _)| is_known(known));
        let raw = mapped
            .map(|(_, number)| *number)
            .or_else(|| read_number(json, self.numbers))
            .ok_or_else(|| (Reason::WrongType, wanted(), sample(json)))?;
        let number = match (pick.scale, pick.offset) {
            (None, None) => raw,
            (scale, offset) => round_computed(raw * scale.unwrap_or(1.0) + offset.unwrap_or(0.0)),
        };
        if !number.is_finite() {
            let expected = "a number that a 64-bit float can hold".to_owned();
            return Err((Reason::NotFinite, expected, sample(json)));
        }
        let out_of_range = |expected| Err((Reason::OutOfRange, expected, spell_number(number)));
        match (pick.min, pick.max) {
            (Some(min), Some(max)) if !(min..=max).contains(&number) => {
                return out_of_range(format!("from {min} to {max}"));
            }
            (Some(min), _) if number < min => return out_of_range(format!("at least {min}")),
            (_, Some(max)) if number > max => return out_of_range(format!("at most {max}")),
            _ => {}
        }
        if let (Some(max_change), Some((last, at))) = (pick.max_change, self.believed.0.get(key)) {
            // The longer ago, the more it may have moved: a real step is believed in time.
            let minutes = (self.now.since(*at).as_secs_f64() / 60.0).max(1.0);
            if (number - last).abs() > max_change * minutes {
                return out_of_range(format!(
                    "a change of at most {max_change} per minute from {}",
                    spell_number(*last)
                ));
            }
        }
        Ok(Value::Number(number))
    }
}

/// A key template with its `{parts}` taken from the element. `Err` names the part that the
/// element cannot fill, and what it has there.
fn fill(template: &str, own_name: &str, element: &Json) -> Result<String, (String, String)> {
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
        let found = match part.starts_with('/') {
            true => element.pointer(part),
            false => element.get(part),
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
