//! Records that elements of a list make together: the newest of them, or an aggregate.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::element_times::{ListedTime, read_times};
use super::elements::{self, Element};
use super::has_no_leaf;
use super::key_template;
use super::selected::{ReadError, ReadValue, SelectedRecords, in_element, several_in};
use super::time::TIME_FORMATS;
use crate::domain::plan::{AggregateFunction, ElementTime, RecordSelector};
use crate::domain::reading::{Issue, Reading, Reason, Value, round_computed};
use crate::domain::time::Wall;
use crate::domain::value_path::ValuePath;
use crate::limits;

/// An element, and its time in the list of times.
struct Member<'a> {
    element: Element<'a>,
    listed_time: Option<&'a Json>,
}

/// The elements of one key.
struct Group<'a> {
    key: Arc<str>,
    members: Vec<Member<'a>>,
}

/// How far a value could be read.
enum Found {
    Number(f64, Option<String>),
    /// By `missing` or `null`.
    Stated(f64),
    Null,
    Nothing,
}

impl<'a> SelectedRecords<'a> {
    pub fn read_combined(&mut self, pick: &'a RecordSelector) {
        let list = pick.each.as_ref().unwrap_or(&pick.at);
        let found = match &pick.each {
            Some(each) => elements::of_each(self.body, each),
            None => elements::of_list(self.body, &pick.at),
        };
        let members: Vec<Element<'a>> = match found {
            Ok(elements) => {
                elements
                    .too_many
                    .into_iter()
                    .for_each(|it| self.push_issue(it));
                elements.list.collect()
            }
            // Some write `[]` for the whole answer where a list is empty.
            Err(_) if has_no_leaf(self.body, limits::JSON_DEPTH) => Vec::new(),
            Err(Some(issue)) => {
                let key = (!pick.is_template()).then(|| pick.key.clone());
                return self.push_issue(Issue { key, ..issue });
            }
            Err(None) => Vec::new(),
        };
        let members = self.with_listed_times(pick, list, members);
        for group in self.grouped(pick, members) {
            match (pick.elements.aggregate, &pick.elements.newest_by) {
                (Some(aggregate), _) => self.read_aggregate(pick, list, aggregate, group),
                (None, Some(time)) => self.read_newest(pick, list, time, group),
                (None, None) => {}
            }
        }
    }

    /// The elements with the times of `times_at`.
    fn with_listed_times(
        &mut self,
        pick: &'a RecordSelector,
        list: &ValuePath,
        elements: Vec<Element<'a>>,
    ) -> Vec<Member<'a>> {
        let member = |(element, listed_time)| Member {
            element,
            listed_time,
        };
        let Some(path) = &pick.elements.times_at else {
            return elements.into_iter().map(|it| member((it, None))).collect();
        };
        let times: Vec<&Json> = match elements::of_list(self.body, path) {
            Ok(times) => times.list.map(|it| it.value).collect(),
            Err(Some(issue)) => {
                self.push_issue(Issue {
                    reason: Reason::BadTime,
                    expected: "a list of times".to_owned(),
                    ..issue
                });
                return Vec::new();
            }
            Err(None) => Vec::new(),
        };
        if times.len() != elements.len() {
            self.push_issue(Issue {
                reason: Reason::BadTime,
                key: None,
                pointer: path.to_string(),
                expected: format!("as many times as {list} has elements, {}", elements.len()),
                found: times.len().to_string(),
            });
        }
        let pairs = elements.into_iter().zip(times.into_iter().map(Some));
        pairs.map(member).collect()
    }

    /// The elements by their keys, in the order in which keys first occur.
    fn grouped(&mut self, pick: &RecordSelector, members: Vec<Member<'a>>) -> Vec<Group<'a>> {
        if !pick.is_template() {
            let key = pick.key.clone();
            return vec![Group { key, members }];
        }
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut places: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for member in members {
            let Some(key) = self.key_of(pick, &member.element) else {
                continue;
            };
            match places.get(&key).and_then(|place| groups.get_mut(*place)) {
                Some(group) => group.members.push(member),
                None => {
                    places.insert(key.clone(), groups.len());
                    let members = vec![member];
                    groups.push(Group { key, members });
                }
            }
        }
        groups.retain(|group| {
            let Some(first) = group.members.first() else {
                return false;
            };
            let is_new = self.keys.insert(group.key.clone());
            if !is_new {
                self.push_issue(Issue {
                    reason: Reason::DuplicateKey,
                    key: None,
                    pointer: first.element.pointer.clone(),
                    expected: "a key that no other record has".to_owned(),
                    found: group.key.to_string(),
                });
            }
            is_new
        });
        groups
    }

    fn read_aggregate(
        &mut self,
        pick: &RecordSelector,
        list: &ValuePath,
        aggregate: AggregateFunction,
        group: Group<'_>,
    ) {
        let Group { key, members } = group;
        let Some(first) = members.first() else {
            return self.read_aggregate_of_none(pick, list, aggregate, key);
        };
        let mut numbers = Vec::with_capacity(members.len());
        let (mut units, mut are_stated) = (None, true);
        for Member { element, .. } in &members {
            match self.find_number(pick, aggregate, element) {
                Ok(Found::Number(number, unit)) => {
                    are_stated = false;
                    units = units.or(unit);
                    numbers.push(number);
                }
                Ok(Found::Stated(number)) => numbers.push(number),
                Ok(Found::Null | Found::Nothing) => {}
                Err((pointer, error)) => return self.push_error(key, pointer, error),
            }
        }
        let at = value_path(pick);
        if numbers.is_empty() {
            let (pointer, error) = self.no_value(pick, &first.element, members.len());
            return self.push_error(key, pointer, error);
        }
        let result = round_computed(compute(aggregate, &numbers));
        let pointer = in_element(&first.element.pointer, at);
        match self.accept(pick, &key, result) {
            Ok(number) => {
                let unit = match aggregate {
                    AggregateFunction::Count => pick.unit.clone(),
                    _ => self.unit_of(
                        pick,
                        &key,
                        &first.element.pointer,
                        first.element.value,
                        &pointer,
                        units.as_deref(),
                    ),
                };
                self.publish(key, unit, Value::Number(number), are_stated, None);
            }
            Err(error) => self.push_error(key, list.to_string(), error),
        }
    }

    /// The aggregate of an empty list.
    fn read_aggregate_of_none(
        &mut self,
        pick: &RecordSelector,
        list: &ValuePath,
        aggregate: AggregateFunction,
        key: Arc<str>,
    ) {
        let read = if aggregate.is_defined_for_none() {
            self.accept(pick, &key, 0.0)
        } else {
            Err((
                Reason::Missing,
                format!("at least one value, for its {}", aggregate.name()),
                "none".to_owned(),
            ))
        };
        match read {
            Ok(number) => {
                let unit = pick.unit.clone();
                self.publish(key, unit, Value::Number(number), false, None);
            }
            Err(error) => self.push_error(key, list.to_string(), error),
        }
    }

    /// The number of one element, not yet scaled; of `count` only whether there is a value.
    fn find_number(
        &self,
        pick: &RecordSelector,
        aggregate: AggregateFunction,
        element: &Element<'_>,
    ) -> Result<Found, (String, ReadError)> {
        let at = value_path(pick);
        let node = match at.find(element.value) {
            Ok(node) => node,
            Err(several) => {
                let (pointer, read) = several_in(at, &element.pointer, &several);
                return read.map_or_else(|error| Err((pointer, error)), |_| Ok(Found::Nothing));
            }
        };
        let stated = |number: Option<f64>, other: Found| Ok(number.map_or(other, Found::Stated));
        let json = match node.as_ref().map(|it| it.value) {
            None => return stated(pick.missing, Found::Nothing),
            Some(Json::Null) => return stated(pick.null, Found::Null),
            Some(_) if aggregate == AggregateFunction::Count => {
                return Ok(Found::Number(1.0, None));
            }
            Some(json) => json,
        };
        match self.conversion(pick).quantity(json) {
            Ok(quantity) => {
                // A unit in the text is that of the number before it was scaled.
                let is_scaled = pick.scale.is_some() || pick.offset.is_some();
                let unit = Some(quantity.unit).filter(|it| !it.is_empty() && !is_scaled);
                Ok(Found::Number(quantity.number, unit))
            }
            Err((expected, found)) => {
                let pointer = in_element(&element.pointer, at);
                Err((pointer, (Reason::WrongType, expected, found)))
            }
        }
    }

    /// None of so many elements, of which this is the first, has a value.
    fn no_value(
        &self,
        pick: &RecordSelector,
        first: &Element<'_>,
        count: usize,
    ) -> (String, ReadError) {
        let at = value_path(pick);
        let found = match at.find(first.value) {
            Ok(Some(_)) => "null".to_owned(),
            _ => self.describe_nothing(at, &first.pointer, first.value),
        };
        let others = match count {
            1 => String::new(),
            _ => format!(", as in all {count} elements"),
        };
        let pointer = in_element(&first.pointer, at);
        let expected = self.conversion(pick).expected();
        (pointer, (Reason::Missing, expected, found + &others))
    }

    /// The newest element that has a value.
    fn read_newest(
        &mut self,
        pick: &RecordSelector,
        list: &ValuePath,
        time: &ElementTime,
        group: Group<'_>,
    ) {
        let Group { key, members } = group;
        if members.is_empty() {
            return;
        }
        let times = self.times_of(time, &members);
        self.report_times(&key, time, &members, &times);
        let mut timed: Vec<(Wall, &Element<'_>)> = members
            .iter()
            .zip(&times)
            .filter_map(|(member, time)| Some((*time.as_ref().ok()?, &member.element)))
            .collect();
        // Of several with the same time, the last one counts.
        timed.sort_by_key(|(time, _)| *time);
        let Some((_, newest)) = timed.last() else {
            return;
        };
        let at = value_path(pick);
        let has_value = |element: &Element<'_>| match at.find(element.value) {
            Ok(Some(node)) => !node.value.is_null() || pick.null.is_some(),
            Ok(None) => pick.missing.is_some(),
            Err(_) => true,
        };
        let chosen = timed.iter().rev().find(|(_, element)| has_value(element));
        let Some((time, element)) = chosen else {
            let (pointer, error) = self.no_value(pick, newest, timed.len());
            return self.push_error(key, pointer, error);
        };
        let (pointer, read) = self.read_in(pick, at, &key, &element.pointer, element.value);
        match read {
            Ok(ReadValue {
                value,
                unit,
                is_stated,
            }) => {
                let place = &element.pointer;
                let unit =
                    self.unit_of(pick, &key, place, element.value, &pointer, unit.as_deref());
                self.publish(key, unit, value, is_stated, Some(*time));
            }
            Err(error) => {
                let pointer = match pointer.as_str() {
                    "" => list.to_string(),
                    _ => pointer,
                };
                self.push_error(key, pointer, error);
            }
        }
    }

    /// The times of elements, in their order.
    fn times_of(&self, time: &ElementTime, members: &[Member<'_>]) -> Vec<ListedTime> {
        let mut problems = BTreeMap::new();
        let mut texts: Vec<Option<Cow<'_, Json>>> = Vec::with_capacity(members.len());
        for (index, member) in members.iter().enumerate() {
            let element = &member.element;
            texts.push(match time {
                ElementTime::Parallel => member.listed_time.map(Cow::Borrowed),
                ElementTime::Path(path) => match path.find(element.value) {
                    Ok(node) => node.map(|it| Cow::Borrowed(it.value)),
                    Err(several) => {
                        problems.insert(index, several.to_string());
                        None
                    }
                },
                ElementTime::Template(template) => {
                    match key_template::fill(template, self.body, element, str::to_owned) {
                        Ok(text) => Some(Cow::Owned(Json::String(text))),
                        Err((part, found)) => {
                            problems.insert(index, format!("{found} for {{{part}}}"));
                            None
                        }
                    }
                }
            });
        }
        let mut times = read_times(&texts, &self.source.observed_zone);
        for (index, problem) in problems {
            if let Some(time) = times.get_mut(index) {
                *time = Err(problem);
            }
        }
        times
    }

    /// Reports the elements whose time cannot be read, all in one issue.
    fn report_times(
        &mut self,
        key: &Arc<str>,
        time: &ElementTime,
        members: &[Member<'_>],
        times: &[ListedTime],
    ) {
        let mut bad = members.iter().zip(times);
        let bad = bad.by_ref().filter_map(|(member, time)| {
            let found = time.as_ref().err()?;
            Some((&member.element.pointer, found))
        });
        let bad: Vec<(&String, &String)> = bad.collect();
        let Some((place, found)) = bad.first() else {
            return;
        };
        let pointer = match time {
            ElementTime::Path(path) => in_element(place, path),
            ElementTime::Template(_) | ElementTime::Parallel => (*place).clone(),
        };
        let others = match bad.len() {
            1 => String::new(),
            count => format!(", and {} more elements without a time", count - 1),
        };
        self.push_issue(Issue {
            reason: Reason::BadTime,
            key: Some(key.clone()),
            pointer,
            expected: TIME_FORMATS.to_owned(),
            found: format!("{found}{others}"),
        });
    }

    fn publish(
        &mut self,
        key: Arc<str>,
        unit: Option<Arc<str>>,
        value: Value,
        is_stated: bool,
        observed: Option<Wall>,
    ) {
        if self.has_room(&key) {
            self.result.readings.push(Reading {
                key,
                value,
                unit,
                is_stated,
                observed,
            });
        } else {
            self.omitted.add(|| key.to_string());
        }
    }
}

/// Where the value of an element is: without `each` it is the element.
fn value_path(pick: &RecordSelector) -> &ValuePath {
    static WHOLE: ValuePath = ValuePath::Pointer(String::new());
    match pick.each {
        Some(_) => &pick.at,
        None => &WHOLE,
    }
}

fn compute(aggregate: AggregateFunction, numbers: &[f64]) -> f64 {
    let sum = || numbers.iter().sum::<f64>();
    match aggregate {
        AggregateFunction::Count => numbers.len() as f64,
        AggregateFunction::Sum => sum(),
        AggregateFunction::Mean => sum() / numbers.len() as f64,
        AggregateFunction::Min => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        AggregateFunction::Max => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

#[cfg(test)]
#[path = "tests/combined.rs"]
mod tests;
