//! Amounts of a key in local hours, days, months or years: what a counter counted, or the mean of
//! other numbers.

use std::sync::Arc;

use crate::domain::counter::{CounterIncrement, CounterKind, increments};
use crate::domain::history::{Bucket, PeriodQuery};
use crate::domain::snapshot::Record;
use crate::domain::time::Wall;
use crate::limits;
use crate::monitor::context::HistoryFailure;
use crate::monitor::web::PageContext;
use crate::monitor::web::local_periods::PeriodLength;

/// The amount of one period, or of several where data are missing between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeriodAmount {
    pub from: Wall,
    pub to: Wall,
    /// In the stored unit.
    pub amount: f64,
    /// How many periods it covers.
    pub periods: usize,
    /// What came before the first reading is not part of it.
    pub is_partial: bool,
    /// Part of it has no data.
    pub has_gap: bool,
}

/// Consecutive local periods, and what a key has in each.
pub struct PeriodBuckets {
    /// One more than there are periods.
    pub bounds: Vec<Wall>,
    pub buckets: Vec<Option<Bucket>>,
}

/// A period with a smaller share of the observations that its neighbours have was observed in part.
const GAP_SHARE: f64 = 0.75;
/// Neighbours on each side.
const NEIGHBOURS: usize = 3;

impl PeriodBuckets {
    /// Whether part of a period has no data: it has far fewer observations than those before it
    /// and those after it. A source that is asked more often from a day on leaves no gap.
    fn has_gap(&self, at: usize) -> bool {
        let usual = |places: std::ops::Range<usize>| {
            let found = self.buckets.get(places)?.iter().flatten();
            let mut counts: Vec<u64> = found.map(|bucket| bucket.count).collect();
            counts.sort_unstable();
            counts.get(counts.len() / 2).copied()
        };
        let before = usual(at.saturating_sub(NEIGHBOURS)..at);
        let after = usual(at + 1..(at + 1 + NEIGHBOURS).min(self.buckets.len()));
        let usual = before.into_iter().chain(after).min();
        let own = self.buckets.get(at).and_then(Option::as_ref);
        match (own, usual) {
            (Some(own), Some(usual)) => (own.count as f64) < GAP_SHARE * usual as f64,
            _ => false,
        }
    }

    /// Reads them, in parts of what one query may ask for.
    pub fn read(
        view: &PageContext,
        key: &Arc<str>,
        bounds: Vec<Wall>,
    ) -> Result<PeriodBuckets, HistoryFailure> {
        let mut buckets = vec![None; bounds.len().saturating_sub(1)];
        let mut first = 0;
        while first < buckets.len() {
            let end = (first + limits::PERIODS).min(buckets.len());
            let query = PeriodQuery {
                key: key.clone(),
                bounds: bounds[first..=end].to_vec(),
            };
            for bucket in (view.periods)(&query, view.budget)? {
                let place = bounds.partition_point(|bound| *bound <= bucket.from);
                let is_finite = bucket.mean.is_finite() && bucket.last.is_finite();
                if let Some(place) = place.checked_sub(1).filter(|_| is_finite)
                    && let Some(found) = buckets.get_mut(place)
                {
                    *found = Some(bucket);
                }
            }
            first = end;
        }
        Ok(PeriodBuckets { bounds, buckets })
    }
}

/// What is shown of each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// What a counter counted.
    Added,
    Mean,
    /// The hours that an on/off state was on.
    TimeOn,
}

impl Measure {
    /// What bars and the year show of a key; None where a number a period says nothing.
    pub fn of(view: &PageContext, key: &str, record: Option<&Record>) -> Option<Measure> {
        if record.is_some_and(|record| record.value.number().is_none()) {
            return None;
        }
        let plan = view.plan;
        if plan.key_setting(key, |it| it.counter) == Some(true) {
            return Some(Measure::Added);
        }
        let words = plan.key_setting(key, |it| (!it.words.is_empty()).then(|| it.words.clone()));
        match words {
            Some(words) => {
                let is_on_off = words
                    .iter()
                    .all(|(number, _)| matches!(&**number, "0" | "1"));
                is_on_off.then_some(Measure::TimeOn)
            }
            None if record.is_some_and(|record| record.is_boolean) => Some(Measure::TimeOn),
            None => Some(Measure::Mean),
        }
    }
}

/// The amounts of the periods of `length` from `first` until `to` that have data.
pub fn read(
    view: &PageContext,
    key: &Arc<str>,
    measure: Measure,
    length: PeriodLength,
    (first, to): (Wall, Wall),
) -> Result<Vec<PeriodAmount>, HistoryFailure> {
    match measure {
        Measure::Added => counted(view, key, length, first, to),
        Measure::Mean | Measure::TimeOn => {
            let mut amounts = means(view, key, length, first, to)?;
            if measure == Measure::TimeOn {
                for it in &mut amounts {
                    it.amount *= hours(it.from, it.to.min(view.now.wall));
                }
            }
            Ok(amounts)
        }
    }
}

/// A length of time in hours.
pub fn hours(from: Wall, to: Wall) -> f64 {
    to.since(from).as_secs_f64() / 3_600.0
}

fn counted(
    view: &PageContext,
    key: &Arc<str>,
    length: PeriodLength,
    first: Wall,
    to: Wall,
) -> Result<Vec<PeriodAmount>, HistoryFailure> {
    let zone = &view.settings.timezone;
    // Days before say what kind of counter it is, and its value at the beginning.
    let day = PeriodLength::Day.begin(first, zone);
    let before =
        (0..limits::COUNTER_DAYS_BEFORE).fold(day, |at, _| PeriodLength::Day.previous(at, zone));
    let end_of_days = if length == PeriodLength::Hour {
        day
    } else {
        to
    };
    let bounds = PeriodLength::Day.bounds(before, end_of_days, zone, limits::COUNTER_DAYS);
    let days = PeriodBuckets::read(view, key, bounds)?;
    let kind = CounterKind::of_days(&days.buckets);
    if length != PeriodLength::Hour {
        let counted = increments(&days.buckets, None, kind, true);
        return Ok(merge(&counted, &days, first, length, zone));
    }
    let base = days.buckets.iter().flatten().next_back();
    let bounds = PeriodLength::Hour.bounds(day, to, zone, limits::PERIODS);
    let hours = PeriodBuckets::read(view, key, bounds)?;
    let counted = increments(&hours.buckets, base.map(|day| day.last), kind, false);
    Ok(merge(&counted, &hours, first, length, zone))
}

fn means(
    view: &PageContext,
    key: &Arc<str>,
    length: PeriodLength,
    first: Wall,
    to: Wall,
) -> Result<Vec<PeriodAmount>, HistoryFailure> {
    let bounds = length.bounds(first, to, &view.settings.timezone, limits::PERIODS);
    let read = PeriodBuckets::read(view, key, bounds)?;
    let with_bounds = read.bounds.windows(2).zip(&read.buckets).enumerate();
    let amounts = with_bounds.filter_map(|(at, (bounds, bucket))| {
        Some(PeriodAmount {
            from: bounds[0],
            to: bounds[1],
            amount: bucket.as_ref()?.mean,
            periods: 1,
            is_partial: false,
            has_gap: read.has_gap(at),
        })
    });
    Ok(amounts.collect())
}

/// Sums up what was counted in the periods of `length`. What was counted across a gap belongs to
/// the period in which it ends, and where that leaves whole periods empty, to all of them.
fn merge(
    counted: &[CounterIncrement],
    read: &PeriodBuckets,
    first: Wall,
    length: PeriodLength,
    zone: &jiff::tz::TimeZone,
) -> Vec<PeriodAmount> {
    let mut amounts: Vec<PeriodAmount> = Vec::new();
    let bounds = &read.bounds;
    let Some(begin) = bounds.first() else {
        return amounts;
    };
    for it in counted {
        let (Some(from), Some(last)) = (bounds.get(it.first), bounds.get(it.last)) else {
            continue;
        };
        let own = length.begin(*last, zone);
        // The end of the last amount: what is between is empty.
        let free = match amounts.last() {
            Some(before) => before.to,
            None => length.begin(*begin, zone),
        };
        let start = length.begin(*from, zone).max(free).min(own);
        match amounts.last_mut().filter(|before| before.to > own) {
            Some(before) => {
                before.amount += it.amount;
                before.has_gap |= read.has_gap(it.last);
            }
            None => amounts.push(PeriodAmount {
                from: start,
                to: length.next(own, zone),
                amount: it.amount,
                periods: count(start, own, length, zone),
                is_partial: it.is_partial,
                has_gap: it.last > it.first || read.has_gap(it.last),
            }),
        }
    }
    amounts.retain(|amount| amount.to > first);
    amounts
}

/// How many periods there are from the one that begins at `start` to that at `own`.
fn count(start: Wall, own: Wall, length: PeriodLength, zone: &jiff::tz::TimeZone) -> usize {
    length.bounds(start, own, zone, limits::PERIODS).len()
}

#[cfg(test)]
#[path = "tests/amounts.rs"]
mod tests;
