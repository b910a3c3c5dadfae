//! Aggregates of the values of elements: their count, sum and the like, and the time of the
//! smallest or largest.

use std::sync::Arc;

use jiff::Timestamp;

use super::combined::{Group, Member, list_of, value_path};
use super::elements::Element;
use super::sample;
use super::selected::{FINITE, ReadError, SelectedRecords, in_element, several_in};
use crate::domain::plan::{AggregateFunction, ElementTime, RecordSelector};
use crate::domain::reading::{Reading, Reason, Value, round_computed};

/// The number of one element.
struct FoundNumber {
    number: f64,
    unit: Option<String>,
    /// By `missing` or `null`.
    is_stated: bool,
}

/// With the position of its element.
type IndexedNumber = (usize, FoundNumber);

impl SelectedRecords<'_> {
    pub fn read_aggregate(
        &mut self,
        pick: &RecordSelector,
        function: AggregateFunction,
        group: Group<'_>,
    ) {
        let Group { key, members } = group;
        let (numbers, unit) = match self.find_numbers(pick, function, &members) {
            Ok(found) => found,
            Err((pointer, error)) => {
                return match pick.missing.filter(|_| members.is_empty()) {
                    Some(number) => self.publish_stated(key, number, pick),
                    None => self.push_error(key, pointer, error),
                };
            }
        };
        let values: Vec<f64> = numbers.iter().map(|it| it.1.number).collect();
        let result = round_computed(compute(function, &values));
        let number = match self.accept(pick, &key, result) {
            Ok(number) => number,
            Err(error) => return self.push_error(key, list_of(pick), error),
        };
        let unit = match members.first() {
            Some(first) if function != AggregateFunction::Count => {
                let Element { pointer, value } = &first.element;
                let place = in_element(pointer, value_path(pick));
                self.unit_of(pick, &key, pointer, value, &place, unit.as_deref())
            }
            _ => pick.unit.clone(),
        };
        self.publish(Reading {
            key,
            value: Value::Number(number),
            unit,
            is_stated: !numbers.is_empty() && numbers.iter().all(|it| it.1.is_stated),
            is_boolean: false,
            observed: None,
        });
    }

    /// What `missing` or `null` says where there are no elements.
    pub fn publish_stated(&mut self, key: Arc<str>, number: f64, pick: &RecordSelector) {
        self.publish(Reading {
            key,
            value: Value::Number(number),
            unit: pick.unit.clone(),
            is_stated: true,
            is_boolean: false,
            observed: None,
        });
    }

    /// The local time of the element with the smallest or largest number, the first of equal ones.
    pub fn read_time_of(
        &mut self,
        pick: &RecordSelector,
        function: AggregateFunction,
        time: &ElementTime,
        group: Group<'_>,
    ) {
        let Group { key, members } = group;
        let times = self.times_of(time, &members);
        self.report_times(&key, time, members.iter().zip(&times));
        let (numbers, _) = match self.find_numbers(pick, function, &members) {
            Ok(found) => found,
            Err((pointer, error)) => return self.push_error(key, pointer, error),
        };
        let timed = numbers.iter().filter_map(|(index, found)| {
            let instant = times.get(*index)?.as_ref().ok()?;
            Some((found.number, instant.wall))
        });
        let found = timed.reduce(|best, other| {
            let is_nearer = match function {
                AggregateFunction::TimeOfMax => other.0 > best.0,
                _ => other.0 < best.0,
            };
            let is_earlier = other.0 == best.0 && other.1 < best.1;
            if is_nearer || is_earlier { other } else { best }
        });
        let local = found.and_then(|(_, wall)| Timestamp::from_millisecond(wall.0).ok());
        let Some(local) = local.map(|it| self.source.placeholder_zone.to_datetime(it)) else {
            return;
        };
        self.publish(Reading {
            key,
            value: Value::Text(local.strftime("%Y-%m-%d %H:%M").to_string().into()),
            unit: None,
            is_stated: false,
            is_boolean: false,
            observed: None,
        });
    }

    /// The numbers of elements, not yet scaled, and the unit that their texts name. `Err` has the
    /// place and what is wrong there; where there are none and the function has no result, too.
    fn find_numbers(
        &self,
        pick: &RecordSelector,
        function: AggregateFunction,
        members: &[Member<'_>],
    ) -> Result<(Vec<IndexedNumber>, Option<String>), (String, ReadError)> {
        let mut numbers = Vec::with_capacity(members.len());
        let mut unit = None;
        for (index, member) in members.iter().enumerate() {
            if let Some(mut found) = self.find_number(pick, function, &member.element)? {
                unit = unit.or(found.unit.take());
                numbers.push((index, found));
            }
        }
        match members.first() {
            Some(first) if numbers.is_empty() => {
                Err(self.no_value(pick, &first.element, members.len()))
            }
            None if !function.is_defined_for_none() => {
                let expected = format!("at least one value, for {}", function.name());
                let error = (Reason::Missing, expected, "none".to_owned());
                Err((list_of(pick), error))
            }
            _ => Ok((numbers, unit)),
        }
    }

    /// The number of one element, if it has a value; of `count` only that.
    fn find_number(
        &self,
        pick: &RecordSelector,
        function: AggregateFunction,
        element: &Element<'_>,
    ) -> Result<Option<FoundNumber>, (String, ReadError)> {
        let at = value_path(pick);
        let stated = |number: f64| FoundNumber {
            number,
            unit: None,
            is_stated: true,
        };
        let measured = |number: f64, unit: Option<String>| FoundNumber {
            number,
            unit,
            is_stated: false,
        };
        let json = match at.find(element.value) {
            Ok(None) => return Ok(pick.missing.map(stated)),
            Ok(Some(node)) if node.value.is_null() => return Ok(pick.null.map(stated)),
            Ok(Some(_)) if function == AggregateFunction::Count => {
                return Ok(Some(measured(1.0, None)));
            }
            Ok(Some(node)) => node.value,
            Err(several) => return Err(several_in(at, &element.pointer, &several)),
        };
        match self.conversion(pick).quantity(json) {
            Ok(quantity) if !quantity.number.is_finite() => {
                let pointer = in_element(&element.pointer, at);
                Err((
                    pointer,
                    (Reason::NotFinite, FINITE.to_owned(), sample(json)),
                ))
            }
            Ok(quantity) => {
                // A unit in the text is that of the number before it was scaled.
                let is_scaled = pick.scale.is_some() || pick.offset.is_some();
                let unit = Some(quantity.unit).filter(|it| !it.is_empty() && !is_scaled);
                Ok(Some(measured(quantity.number, unit)))
            }
            Err((expected, found)) => {
                let pointer = in_element(&element.pointer, at);
                Err((pointer, (Reason::WrongType, expected, found)))
            }
        }
    }
}

fn compute(function: AggregateFunction, numbers: &[f64]) -> f64 {
    // `Iterator::sum` of none is -0.
    let sum = || numbers.iter().fold(0.0, |sum, number| sum + number);
    match function {
        AggregateFunction::Count => numbers.len() as f64,
        AggregateFunction::Sum => sum(),
        AggregateFunction::Mean => sum() / numbers.len() as f64,
        AggregateFunction::Min | AggregateFunction::TimeOfMin => {
            numbers.iter().copied().fold(f64::INFINITY, f64::min)
        }
        AggregateFunction::Max | AggregateFunction::TimeOfMax => {
            numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        }
    }
}
