//! Elements of a list by their keys and with their times, for records that they make together:
//! `series`, `aggregate`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::element_times::{ListedTime, read_times};
use super::elements::{self, Element};
use super::has_no_leaf;
use super::key_template;
use super::selected::{ReadError, SelectedRecords, in_element};
use super::time::TIME_FORMATS;
use crate::domain::plan::{Combination, ElementTime, RecordSelector};
use crate::domain::reading::{Issue, Reading, Reason};
use crate::domain::text::count_noun;
use crate::domain::value_path::ValuePath;
use crate::limits;

/// An element, and its time in the list of times.
pub struct Member<'a> {
    pub element: Element<'a>,
    pub listed_time: Option<&'a Json>,
}

/// The elements of one key.
pub struct Group<'a> {
    pub key: Arc<str>,
    pub members: Vec<Member<'a>>,
}

impl<'a> SelectedRecords<'a> {
    pub fn read_combined(&mut self, pick: &'a RecordSelector, combination: Combination<'a>) {
        let members: Vec<Element<'a>> = match elements::of_combined(self.body, pick) {
            Ok(elements) => {
                if let Some(issue) = elements.too_many {
                    self.push_issue(issue);
                    // An aggregate of some of them would be wrong.
                    if pick.elements.aggregate.is_some() {
                        return;
                    }
                }
                elements.list.collect()
            }
            // Some write `[]` for the whole answer where a list is empty.
            Err(_) if has_no_leaf(self.body, limits::JSON_DEPTH) => Vec::new(),
            Err(Some(issue)) => {
                let key = (!pick.is_template()).then(|| pick.key.clone());
                if let (Some(key), Combination::Number(_)) = (&key, combination)
                    && let Some(number) = self.stated_for_no_list(pick)
                {
                    return self.publish_stated(key.clone(), number, pick);
                }
                return self.push_issue(Issue { key, ..issue });
            }
            Err(None) => Vec::new(),
        };
        let members = self.with_listed_times(pick, members);
        for group in self.grouped(pick, members) {
            match combination {
                Combination::Series(shown, time) => self.read_series(pick, shown, time, group),
                Combination::Newest(time) => self.read_newest(pick, time, group),
                Combination::Number(function) => self.read_aggregate(pick, function, group),
                Combination::TimeOf(function, time) => {
                    self.read_time_of(pick, function, time, group);
                }
            }
        }
    }

    /// What `missing` or `null` says of a list that is not there.
    fn stated_for_no_list(&self, pick: &RecordSelector) -> Option<f64> {
        match pick.list()?.find(self.body) {
            Ok(None) => pick.missing,
            Ok(Some(node)) if node.value.is_null() => pick.null,
            Ok(Some(_)) | Err(_) => None,
        }
    }

    /// The elements with the times of `times_at`.
    fn with_listed_times(
        &mut self,
        pick: &'a RecordSelector,
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
            let list = list_of(pick);
            self.push_issue(Issue {
                reason: Reason::BadTime,
                key: (!pick.is_template()).then(|| pick.key.clone()),
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

    /// None of so many elements, of which this is the first, has a value.
    pub fn no_value(
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

    /// The times of elements, in their order.
    pub fn times_of(&self, time: &ElementTime, members: &[Member<'_>]) -> Vec<ListedTime> {
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
    pub fn report_times<'t>(
        &mut self,
        key: &Arc<str>,
        time: &ElementTime,
        times: impl Iterator<Item = (&'t Member<'t>, &'t ListedTime)>,
    ) {
        let bad: Vec<(&String, &String)> = times
            .filter_map(|(member, time)| Some((&member.element.pointer, time.as_ref().err()?)))
            .collect();
        let Some((place, found)) = bad.first() else {
            return;
        };
        let pointer = match time {
            ElementTime::Path(path) => in_element(place, path),
            ElementTime::Template(_) | ElementTime::Parallel => (*place).clone(),
        };
        let others = match bad.len() {
            1 => String::new(),
            count => format!(
                ", and {} without a time",
                count_noun(count - 1, "more element")
            ),
        };
        self.push_issue(Issue {
            reason: Reason::BadTime,
            key: Some(key.clone()),
            pointer,
            expected: TIME_FORMATS.to_owned(),
            found: format!("{found}{others}"),
        });
    }

    pub fn publish(&mut self, reading: Reading) {
        if self.has_room(&reading.key) {
            self.result.readings.push(reading);
        } else {
            self.omitted.add(|| reading.key.to_string());
        }
    }
}

/// Where the elements are, in messages.
pub fn list_of(pick: &RecordSelector) -> String {
    pick.list().map(ToString::to_string).unwrap_or_default()
}

/// Where the value of an element is: without `each` it is the element.
pub fn value_path(pick: &RecordSelector) -> &ValuePath {
    static WHOLE: ValuePath = ValuePath::Pointer(String::new());
    match pick.each {
        Some(_) => &pick.at,
        None => &WHOLE,
    }
}

#[cfg(test)]
#[path = "tests/combined.rs"]
mod tests;
