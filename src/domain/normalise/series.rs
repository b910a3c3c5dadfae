//! Series: the elements of one key with their times, and the newest of them.

use std::sync::Arc;

use super::combined::{Group, Member, list_of, value_path};
use super::element_times::{ElementInstant, ListedTime};
use super::elements::Element;
use super::selected::{ReadError, ReadValue, SelectedRecords};
use crate::domain::compact_sort::CompactSort;
use crate::domain::plan::{ElementTime, RecordSelector};
use crate::domain::reading::{Issue, Reading, Reason, Series, ShownElement, TimedValue};
use crate::domain::text::count_noun;
use crate::domain::time::Wall;
use crate::limits;

/// An element in the order of time.
struct ElementSlot<'m> {
    element: &'m Element<'m>,
    start: Wall,
    /// What it says itself.
    own_end: Option<Wall>,
    value: Option<ReadValue>,
}

/// What is wrong with the values of elements, each kind once.
#[derive(Default)]
struct ValueErrors(Vec<(String, ReadError, usize)>);

impl SelectedRecords<'_> {
    /// All elements of a key.
    pub fn read_series(
        &mut self,
        pick: &RecordSelector,
        shown: ShownElement,
        time: &ElementTime,
        group: Group<'_>,
    ) {
        let Group { key, members } = group;
        let mut slots = self.slots(pick, &key, time, &members);
        let Some(first) = slots.first().map(|slot| slot.element) else {
            return;
        };
        let mut unit = None;
        let mut errors = ValueErrors::default();
        let mut has_null = false;
        for slot in &mut slots {
            match self.read_element(pick, &key, slot.element) {
                Ok(Some((pointer, mut value))) => {
                    let in_text = value.unit.take();
                    unit = unit.or_else(|| {
                        let Element {
                            pointer: place,
                            value,
                        } = slot.element;
                        self.unit_of(pick, &key, place, value, &pointer, in_text.as_deref())
                    });
                    slot.value = Some(value);
                }
                Ok(None) => has_null = true,
                Err((pointer, error)) => errors.add(pointer, error),
            }
        }
        for (pointer, error) in errors.into_list() {
            self.push_error(key.clone(), pointer, error);
        }
        let count = slots.len();
        if has_null && slots.iter().all(|slot| slot.value.is_none()) {
            let (pointer, error) = self.no_value(pick, first, count);
            return self.push_error(key, pointer, error);
        }
        let ahead = pick.elements.ahead.unwrap_or(0);
        if ahead >= count {
            let expected = format!("more than {ahead} elements, for ahead = {ahead}");
            let error = (Reason::Missing, expected, count.to_string());
            return self.push_error(key, list_of(pick), error);
        }
        let elements = timed_values(slots, ahead, shown);
        let elements = self.nearest(&key, elements, shown);
        if elements.is_empty() {
            return;
        }
        if !self.has_room(&key) {
            return self.omitted.add(|| key.to_string());
        }
        self.result.series.push(Series {
            key,
            unit,
            shown,
            elements,
        });
    }

    /// The newest element that has a value.
    pub fn read_newest(&mut self, pick: &RecordSelector, time: &ElementTime, group: Group<'_>) {
        let Group { key, members } = group;
        let slots = self.slots(pick, &key, time, &members);
        let Some(newest) = slots.last() else {
            return;
        };
        for slot in slots.iter().rev() {
            match self.read_element(pick, &key, slot.element) {
                Ok(Some((pointer, read))) => {
                    let Element {
                        pointer: place,
                        value,
                    } = slot.element;
                    let in_text = read.unit.as_deref();
                    let unit = self.unit_of(pick, &key, place, value, &pointer, in_text);
                    return self.publish(Reading {
                        key,
                        value: read.value,
                        unit,
                        is_stated: read.is_stated,
                        is_boolean: read.is_boolean,
                        observed: Some(slot.start),
                    });
                }
                Ok(None) => {}
                Err((pointer, error)) => return self.push_error(key, pointer, error),
            }
        }
        let (pointer, error) = self.no_value(pick, newest.element, slots.len());
        self.push_error(key, pointer, error);
    }

    /// The elements whose times can be read, in the order of those. Of several with the same time
    /// the last one counts.
    fn slots<'m>(
        &mut self,
        pick: &RecordSelector,
        key: &Arc<str>,
        time: &ElementTime,
        members: &'m [Member<'m>],
    ) -> Vec<ElementSlot<'m>> {
        let times = self.times_of(time, members);
        self.report_times(key, time, members.iter().zip(&times));
        let ends = self.own_ends(pick, key, members);
        let mut timed: Vec<(ElementInstant, usize)> = Vec::with_capacity(members.len());
        for (index, instant) in times.into_iter().enumerate() {
            timed.extend(instant.ok().map(|instant| (instant, index)));
        }
        timed.compact_sort_by_key(|(instant, _)| (instant.wall, !instant.is_skipped));
        let mut slots: Vec<ElementSlot<'m>> = Vec::with_capacity(timed.len());
        for (instant, index) in timed {
            let Some(member) = members.get(index) else {
                continue;
            };
            let slot = ElementSlot {
                element: &member.element,
                start: instant.wall,
                own_end: ends.get(index).copied().flatten(),
                value: None,
            };
            match slots.last_mut() {
                Some(last) if last.start == slot.start => *last = slot,
                _ => slots.push(slot),
            }
        }
        slots
    }

    /// The ends of elements by `end_at`; those that cannot be read are reported.
    fn own_ends(
        &mut self,
        pick: &RecordSelector,
        key: &Arc<str>,
        members: &[Member<'_>],
    ) -> Vec<Option<Wall>> {
        let Some(path) = &pick.elements.end_at else {
            return Vec::new();
        };
        let has_end = |member: &Member<'_>| match path.find(member.element.value) {
            Ok(node) => node.is_some_and(|it| !it.value.is_null()),
            Err(_) => true,
        };
        let time = ElementTime::Path(path.clone());
        let ends: Vec<ListedTime> = self.times_of(&time, members);
        let said = members.iter().zip(&ends).filter(|it| has_end(it.0));
        self.report_times(key, &time, said);
        let ends = ends.into_iter().map(|end| Some(end.ok()?.wall));
        ends.collect()
    }

    /// The value of one element and its place; `None` where it has none, as a price that is not
    /// yet known.
    fn read_element(
        &self,
        pick: &RecordSelector,
        key: &str,
        element: &Element<'_>,
    ) -> Result<Option<(String, ReadValue)>, (String, ReadError)> {
        let at = value_path(pick);
        let has_none = match at.find(element.value) {
            Ok(Some(node)) => node.value.is_null() && pick.null.is_none(),
            Ok(None) => pick.missing.is_none(),
            Err(_) => false,
        };
        if has_none {
            return Ok(None);
        }
        let (pointer, read) = self.read_in(pick, at, key, &element.pointer, element.value);
        match read {
            Ok(value) => Ok(Some((pointer, value))),
            Err(error) => Err((pointer, error)),
        }
    }

    /// As many elements as a key may have: the current one and what follows, or the newest ones
    /// with some of what is ahead.
    fn nearest(
        &mut self,
        key: &Arc<str>,
        mut elements: Vec<TimedValue>,
        shown: ShownElement,
    ) -> Vec<TimedValue> {
        let (count, most) = (elements.len(), limits::SERIES_ELEMENTS);
        if count <= most {
            return elements;
        }
        self.push_issue(Issue {
            reason: Reason::TooMany,
            key: Some(key.clone()),
            pointer: String::new(),
            expected: format!(
                "at most {most} elements of the key {key}: those nearest to now are read"
            ),
            found: count.to_string(),
        });
        let begun = elements.partition_point(|it| it.start <= self.now.wall);
        let before = match shown {
            ShownElement::Current => 1,
            ShownElement::Newest => most / 2,
        };
        let first = begun.saturating_sub(before).min(count - most);
        elements.drain(..first);
        elements.truncate(most);
        elements
    }
}

/// The values at their times. An element lasts until the next one, with a value or without.
fn timed_values(slots: Vec<ElementSlot<'_>>, ahead: usize, shown: ShownElement) -> Vec<TimedValue> {
    let starts: Vec<Wall> = slots.iter().map(|slot| slot.start).collect();
    let ends: Vec<Option<Wall>> = slots
        .iter()
        .enumerate()
        .map(|(index, slot)| {
            let next = starts.get(index + 1).copied();
            let own = slot.own_end.filter(|end| *end > slot.start);
            own.into_iter().chain(next).min()
        })
        .collect();
    let values = slots.into_iter().skip(ahead).map(|slot| slot.value);
    let places = starts.into_iter().zip(ends);
    let timed = places.zip(values).filter_map(|((start, end), read)| {
        let read = read?;
        Some(TimedValue {
            start,
            end: end.filter(|_| shown == ShownElement::Current),
            value: read.value,
            is_stated: read.is_stated,
        })
    });
    let mut elements: Vec<TimedValue> = timed.collect();
    // Rows have whole seconds: of several in one the last counts.
    elements.reverse();
    elements.dedup_by_key(|element| element.start.second());
    elements.reverse();
    elements
}

impl ValueErrors {
    fn add(&mut self, pointer: String, error: ReadError) {
        match self.0.iter_mut().find(|(_, known, _)| known.0 == error.0) {
            Some((_, _, count)) => *count += 1,
            None => self.0.push((pointer, error, 1)),
        }
    }

    fn into_list(self) -> impl Iterator<Item = (String, ReadError)> {
        self.0.into_iter().map(|(pointer, error, count)| {
            let (reason, expected, found) = error;
            let others = match count {
                1 => String::new(),
                _ => format!(", and {}", count_noun(count - 1, "more element")),
            };
            (pointer, (reason, expected, found + &others))
        })
    }
}

#[cfg(test)]
#[path = "tests/series.rs"]
mod tests;
