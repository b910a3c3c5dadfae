//! Day ranges: the least and the greatest value of each key since local midnight.
//!
//! Pure; a part of the ledger, which hands in the rows that are stored. So it is what the database
//! has of today, from where it is seeded at a start. A value that is corrected leaves its extreme.
//!
//! While the clock is not trusted, today is what the clock says. What was observed since the start
//! goes along when the clock is set.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::derived::CalendarPeriod;
use super::time::{Moment, Mono, Wall};

/// What was observed of a key today, in its stored unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DayRange {
    pub min: f64,
    pub max: f64,
}

impl DayRange {
    /// The range of one value.
    pub fn of(value: f64) -> DayRange {
        DayRange {
            min: value,
            max: value,
        }
    }

    /// With another value of the same day.
    pub fn including(self, value: f64) -> DayRange {
        self.union(DayRange::of(value))
    }

    fn union(self, other: DayRange) -> DayRange {
        DayRange {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

/// What the database has of one local day.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDay {
    /// Any second of that day.
    pub second: i64,
    pub ranges: BTreeMap<Arc<str>, DayRange>,
}

/// The ranges of all keys today.
pub struct DayRanges {
    zone: TimeZone,
    /// The seconds of today; none before the first time.
    begin: i64,
    end: i64,
    ranges: BTreeMap<Arc<str>, DayRange>,
    /// Since when `ranges` are of a day that an untrusted clock tells.
    untrusted_since: Option<Mono>,
    /// Of the day that begins with this second; counted in once a trusted clock says that it is
    /// today, until then beside.
    stored: Option<(i64, BTreeMap<Arc<str>, DayRange>)>,
}

impl DayRanges {
    pub fn new(zone: TimeZone) -> DayRanges {
        DayRanges {
            zone,
            begin: 0,
            end: 0,
            ranges: BTreeMap::new(),
            untrusted_since: None,
            stored: None,
        }
    }

    /// Takes what an earlier run has stored of its newest day, which may be today.
    pub fn restore(&mut self, stored: StoredDay) {
        let (begin, _) = CalendarPeriod::Day.bounds(stored.second, &self.zone);
        self.stored = Some((begin, stored.ranges));
    }

    /// Begins a new day where `now` is one.
    pub fn advance(&mut self, now: Moment) {
        let second = now.wall.second();
        if !(self.begin..self.end).contains(&second) {
            (self.begin, self.end) = CalendarPeriod::Day.bounds(second, &self.zone);
            let since = self.untrusted_since.map(|since| now.wall_at(since));
            let is_same_day = since.is_some_and(|since| since.second() >= self.begin);
            if !is_same_day {
                self.ranges.clear();
                self.untrusted_since = Some(now.mono);
            }
            let stored = self.stored.take();
            self.stored = stored.filter(|(begin, _)| *begin >= self.begin);
        }
        if !now.trust.is_trusted() {
            return;
        }
        self.untrusted_since = None;
        if let Some((begin, stored)) = self.stored.take()
            && begin == self.begin
        {
            for (key, range) in stored {
                self.include(&key, range);
            }
        }
    }

    /// Takes in a number that was observed at `observed`, if that is today.
    pub fn insert(&mut self, key: &Arc<str>, observed: Wall, number: f64) {
        if (self.begin..self.end).contains(&observed.second()) {
            self.include(key, DayRange::of(number));
        }
    }

    fn include(&mut self, key: &Arc<str>, range: DayRange) {
        match self.ranges.get_mut(key) {
            Some(known) => *known = known.union(range),
            None => {
                self.ranges.insert(key.clone(), range);
            }
        }
    }

    pub fn remove(&mut self, key: &str) {
        self.ranges.remove(key);
        if let Some((_, stored)) = &mut self.stored {
            stored.remove(key);
        }
    }

    pub fn get(&self, key: &str) -> Option<DayRange> {
        let stored = self.stored.as_ref();
        let stored = stored.filter(|(begin, _)| *begin == self.begin);
        let stored = stored.and_then(|(_, ranges)| ranges.get(key)).copied();
        match (self.ranges.get(key).copied(), stored) {
            (Some(range), Some(stored)) => Some(range.union(stored)),
            (range, stored) => range.or(stored),
        }
    }

    /// When today is over.
    pub fn changes_at(&self, now: Moment) -> Option<Mono> {
        let end = now.mono.after(Wall::from_second(self.end).since(now.wall));
        Some(end).filter(|end| *end > now.mono)
    }
}

#[cfg(test)]
#[path = "tests/day_range.rs"]
mod tests;
