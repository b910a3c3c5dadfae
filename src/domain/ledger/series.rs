//! Series of one key from one source: which element is shown, which have become rows, and what is
//! stored ahead of its time.
//!
//! A value of [`super::Ledger`]'s. It knows no clock: every question takes the time.

use std::ops::Range;
use std::sync::Arc;

use crate::domain::reading::{Series, ShownElement, TimedValue};
use crate::domain::time::Wall;
use crate::limits;

/// The elements of the newest response that had any.
pub struct SeriesState {
    pub unit: Option<Arc<str>>,
    pub shown: ShownElement,
    /// In the order of their times.
    elements: Vec<TimedValue>,
    /// Of each element: whether its row was handed to the store.
    is_handed_over: Vec<bool>,
    /// The element that was shown last, which holds until the first of a later response.
    last_shown: Option<TimedValue>,
    /// What the store has of this key in `forecast`.
    pub forecast: Arc<[TimedValue]>,
    /// A limit left no room for the key of the newest response.
    pub is_refused: bool,
    /// Times at which nothing changes.
    settled: Range<Wall>,
}

impl SeriesState {
    pub fn new(shown: ShownElement) -> SeriesState {
        SeriesState {
            unit: None,
            shown,
            elements: Vec::new(),
            is_handed_over: Vec::new(),
            last_shown: None,
            forecast: Arc::default(),
            is_refused: false,
            settled: UNSETTLED,
        }
    }

    /// As an earlier run has left it in `forecast`.
    pub fn restored(shown: ShownElement, forecast: Arc<[TimedValue]>) -> SeriesState {
        SeriesState {
            elements: forecast.to_vec(),
            is_handed_over: vec![false; forecast.len()],
            forecast,
            ..SeriesState::new(shown)
        }
    }

    /// Takes over the elements of a response.
    pub fn update(&mut self, mut series: Series) {
        series.elements.truncate(limits::SERIES_ELEMENTS);
        end_last_element(&mut series.elements);
        let mut before = self.elements.iter().zip(&self.is_handed_over).peekable();
        let is_handed_over = series.elements.iter().map(|new| {
            while before.next_if(|(old, _)| old.start < new.start).is_some() {}
            let same = before.peek().filter(|(old, _)| is_same(old, new));
            same.is_some_and(|(_, is_handed_over)| **is_handed_over)
        });
        self.is_handed_over = is_handed_over.collect();
        self.elements = series.elements;
        self.unit = series.unit;
        self.shown = series.shown;
        self.is_refused = false;
        self.settled = UNSETTLED;
    }

    /// A response without any element: what was ahead is cancelled, what is shown holds on.
    pub fn clear(&mut self) {
        self.elements.clear();
        self.is_handed_over.clear();
        self.settled = UNSETTLED;
    }

    /// Whether `now` may show something else than the last time.
    pub fn is_due(&self, now: Wall) -> bool {
        !self.settled.contains(&now)
    }

    /// Takes note of what is shown at `now`; until the next change nothing is due.
    pub fn settle(&mut self, now: Wall) {
        let started = self.started(now);
        // A clock that was set back: they become rows when their time has come again.
        self.is_handed_over[started..].fill(false);
        let element = self.element_at(now);
        let is_all_handed_over = self.is_handed_over[..started].iter().all(|it| *it);
        self.settled = if is_all_handed_over || element.is_none() || self.is_refused {
            let end = self.next_change(now).unwrap_or(Wall(i64::MAX));
            now..end
        } else {
            UNSETTLED
        };
        self.last_shown = element.or(self.last_shown.take());
    }

    /// The element that is shown at `now`; its interval may be over.
    pub fn element_at(&self, now: Wall) -> Option<TimedValue> {
        if let Some(newest) = self.started(now).checked_sub(1) {
            return self.elements.get(newest).cloned();
        }
        let first = self.elements.first().map(|first| first.start);
        let last = self.last_shown.clone().filter(|last| last.start <= now)?;
        Some(TimedValue {
            // What a later response says begins there.
            end: last.end.into_iter().chain(first).min(),
            ..last
        })
    }

    /// When another element is shown, or the interval of the one that is shown ends.
    pub fn next_change(&self, now: Wall) -> Option<Wall> {
        let next = self.elements.get(self.started(now));
        let end = self.element_at(now).and_then(|element| element.end);
        let end = end.filter(|end| *end > now);
        next.map(|next| next.start).into_iter().chain(end).min()
    }

    /// What `forecast` is to hold: the elements ahead of `now`, and the one whose interval
    /// contains it.
    pub fn to_store_ahead(&self, now: Wall) -> Vec<TimedValue> {
        let current = self
            .element_at(now)
            .filter(|_| self.shown == ShownElement::Current);
        let ahead = self.elements[self.started(now)..].iter().cloned();
        let elements = current.into_iter().chain(ahead);
        elements.take(limits::SERIES_ELEMENTS).collect()
    }

    /// Indices of the elements whose time has come and that are no rows yet.
    pub fn to_hand_over(&self, now: Wall) -> impl Iterator<Item = usize> + '_ {
        (0..self.started(now)).filter(|index| !self.is_handed_over[*index])
    }

    pub fn start_of(&self, index: usize) -> Wall {
        self.elements[index].start
    }

    /// An element that becomes a row now.
    pub fn hand_over(&mut self, index: usize) -> TimedValue {
        self.is_handed_over[index] = true;
        self.elements[index].clone()
    }

    /// Whether nothing of it is left to show or to store.
    pub fn is_over(&self) -> bool {
        self.elements.is_empty() && self.last_shown.is_none() && self.forecast.is_empty()
    }

    /// How many elements are not ahead of `now`.
    fn started(&self, now: Wall) -> usize {
        self.elements.partition_point(|it| it.start <= now)
    }
}

const UNSETTLED: Range<Wall> = Wall(0)..Wall(0);

fn is_same(a: &TimedValue, b: &TimedValue) -> bool {
    a.start == b.start && a.value == b.value && a.is_stated == b.is_stated
}

/// The last element is as long as the one before it, unless it says its end: a list of hours ends
/// with an hour.
fn end_last_element(elements: &mut [TimedValue]) {
    if let [.., before, last] = elements
        && last.end.is_none()
    {
        last.end = Some(last.start.after(last.start.since(before.start)));
    }
}
