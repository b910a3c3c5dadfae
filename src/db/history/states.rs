//! Runs of one value: what a text or an on/off state was, and for how long.
//!
//! Read from the newest hour back, until there are as many runs as asked for. An hour in which a
//! number never changed is known from its rollup; others are read row by row.
//! Runs on the thread that asks, within one read transaction.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension};

use super::HistoryError;
use super::key_reader::KeyReader;
use super::query::seconds_within_years;
use crate::db::periods::{FIVE_MINUTES, HOUR, second_of};
use crate::db::rollup::{Aggregate, HourRollup, five_minute};
use crate::db::tiers::Tiers;
use crate::domain::history::{StateHistory, StateQuery, StateRun};
use crate::domain::reading::Value;
use crate::domain::time::{Wall, millis};
use crate::limits;
use crate::sys::budget::Budget;

pub fn states(
    connection: &Connection,
    query: &StateQuery,
    budget: &Budget,
) -> Result<StateHistory, HistoryError> {
    let reader = KeyReader::find(connection, &query.key, budget)?;
    let tiers = Tiers::read(connection)?;
    let from = seconds_within_years(query.from);
    let to = seconds_within_years(query.to);
    let kept_from = from.max(tiers.raw_from.saturating_mul(HOUR));
    let mut runs = Runs::new(query);
    let mut read = HourStates {
        reader,
        tiers,
        from: kept_from,
        to,
        rows_left: limits::STATE_ROWS,
    };
    let mut known_from = kept_from.min(to);
    for (hour, found) in read.hours()?.into_iter().rev() {
        let Some(states) = read.of_hour(hour, &found)? else {
            runs.is_cut = true;
            known_from = (hour + 1) * HOUR;
            break;
        };
        for state in states.into_iter().rev() {
            runs.prepend(state);
        }
        if runs.is_cut {
            break;
        }
    }
    Ok(runs.finish(Wall::from_second(known_from)))
}

/// A value from its first to its last observation, in seconds since 1970.
struct ObservedState {
    first: i64,
    last: i64,
    value: Value,
}

/// The runs as they are found, from the newest back.
struct Runs {
    runs: VecDeque<StateRun>,
    most: usize,
    gap_s: i64,
    is_cut: bool,
}

impl Runs {
    fn new(query: &StateQuery) -> Runs {
        Runs {
            runs: VecDeque::new(),
            most: query.runs.clamp(1, limits::STATE_RUNS),
            gap_s: i64::try_from(millis(query.gap).div_ceil(1000)).unwrap_or(i64::MAX),
            is_cut: false,
        }
    }

    fn prepend(&mut self, state: ObservedState) {
        let (from, mut to) = (
            Wall::from_second(state.first),
            Wall::from_second(state.last),
        );
        if let Some(next) = self.runs.front_mut() {
            let is_adjacent = next.from.second().saturating_sub(state.last) <= self.gap_s;
            if is_adjacent && next.value == state.value {
                next.from = from;
                return;
            }
            if is_adjacent {
                to = next.from;
            }
        }
        if self.runs.len() >= self.most {
            self.is_cut = true;
            return;
        }
        self.runs.push_front(StateRun {
            from,
            to,
            value: state.value,
        });
    }

    fn finish(self, known_from: Wall) -> StateHistory {
        let first = self.runs.front().map(|run| run.from);
        StateHistory {
            known_from: first.filter(|_| self.is_cut).unwrap_or(known_from),
            is_cut: self.is_cut,
            runs: self.runs.into(),
        }
    }
}

/// Reads hours of a key, in seconds from `from` to `to`.
struct HourStates<'a> {
    reader: KeyReader<'a>,
    tiers: Tiers,
    from: i64,
    to: i64,
    rows_left: i64,
}

impl HourStates<'_> {
    /// The newest hours of the span.
    fn hours(&self) -> Result<Vec<(i64, HourRollup)>, HistoryError> {
        let end = (self.to - 1).div_euclid(HOUR) + 1;
        let first = self.from.div_euclid(HOUR).max(end - limits::HISTORY_HOURS);
        let mut hours = Vec::new();
        let mut walk = self.reader.walk(first..end);
        while let Some(hour) = walk.next()? {
            hours.push(hour);
        }
        Ok(hours)
    }

    /// What the value was within an hour, oldest first; `None` where that is too much to read.
    fn of_hour(
        &mut self,
        hour: i64,
        found: &HourRollup,
    ) -> Result<Option<Vec<ObservedState>>, HistoryError> {
        let has_fives = self
            .tiers
            .five_minute_until
            .is_some_and(|until| hour < until)
            && five_minute::is_eligible(found);
        if has_fives && let Some(summary) = found.aggregate {
            return self.of_five_minutes(hour, found, &summary);
        }
        if let Some(states) = self.of_whole_hour(hour, found)? {
            return Ok(Some(states));
        }
        let summary = found.aggregate;
        let state = summary.and_then(|it| Some((it.last_at, constant(&it)?)));
        Ok(state.map(|(last_at, value)| {
            let begin = hour * HOUR;
            let state = self.within_span(begin, begin + last_at, value);
            state.into_iter().collect()
        }))
    }

    /// Whether as many rows may be read yet, which are taken off then.
    fn take_rows(&mut self, rows: i64) -> bool {
        let affordable = i64::try_from(self.reader.budget.rows_for_detail()).unwrap_or(i64::MAX);
        let is_affordable = rows <= self.rows_left.min(affordable);
        if is_affordable {
            self.rows_left -= rows;
        }
        is_affordable
    }

    fn of_five_minutes(
        &mut self,
        hour: i64,
        found: &HourRollup,
        summary: &Aggregate,
    ) -> Result<Option<Vec<ObservedState>>, HistoryError> {
        let begin = hour * HOUR;
        self.reader
            .budget
            .spend(HOUR.unsigned_abs() / FIVE_MINUTES.unsigned_abs())?;
        let fives = five_minute::read(self.reader.connection, hour, self.reader.key_id)?;
        if fives.iter().all(Option::is_none) {
            let value = constant(summary);
            let state = value.and_then(|it| self.within_span(begin, begin + summary.last_at, it));
            return Ok(value.map(|_| state.into_iter().collect()));
        }
        let changing = fives.iter().flatten().filter(|it| constant(it).is_none());
        let cost =
            (found.id_count() / (HOUR / FIVE_MINUTES)).saturating_add(limits::STATE_SEARCH_ROWS);
        if cost.saturating_mul(changing.count() as i64) >= found.id_count() {
            // As much to read as all of it.
            return self.of_whole_hour(hour, found);
        }
        let mut states = Vec::new();
        for (part, five) in (0..).zip(fives) {
            let span = begin + part * FIVE_MINUTES..begin + (part + 1) * FIVE_MINUTES;
            let Some(five) = five else {
                continue;
            };
            match constant(&five) {
                Some(value) => {
                    states.extend(self.within_span(span.start, begin + five.last_at, value));
                }
                None => match self.of_changing_part(hour, found, span, five.count)? {
                    Some(changing) => states.extend(changing),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(states))
    }

    fn of_whole_hour(
        &mut self,
        hour: i64,
        found: &HourRollup,
    ) -> Result<Option<Vec<ObservedState>>, HistoryError> {
        if !self.take_rows(found.id_count()) {
            return Ok(None);
        }
        let whole = hour * HOUR..(hour + 1) * HOUR;
        let rows = self.of_rows(hour, found.first_id, found.last_id, whole)?;
        Ok(Some(rows))
    }

    /// Rows of a part of an hour. Ids grow with arrival, so that those of the part lie between two
    /// that a search by time finds; where they do not, all rows of the hour are read.
    fn of_changing_part(
        &mut self,
        hour: i64,
        found: &HourRollup,
        part: std::ops::Range<i64>,
        count: u64,
    ) -> Result<Option<Vec<ObservedState>>, HistoryError> {
        let first = self.first_id_at(found, part.start)?;
        let last = self.first_id_at(found, part.end)?.saturating_sub(1);
        let rows = last.saturating_sub(first).saturating_add(1);
        if !self.take_rows(rows.saturating_add(limits::STATE_SEARCH_ROWS)) {
            return Ok(None);
        }
        let (from, to) = (self.from, self.to);
        let rows = self.reader.values(hour, first..=last, part.clone())?;
        if rows.len() as u64 >= count {
            return Ok(Some(observed(rows, from, to)));
        }
        if !self.take_rows(found.id_count()) {
            return Ok(None);
        }
        Ok(Some(self.of_rows(
            hour,
            found.first_id,
            found.last_id,
            part,
        )?))
    }

    /// The first id of an hour whose row is not older than `second`, where rows are in the order
    /// of their times.
    fn first_id_at(&self, found: &HourRollup, second: i64) -> Result<i64, HistoryError> {
        let mut statement = self.reader.connection.prepare_cached(
            "SELECT id, timestamp FROM records WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1",
        )?;
        let (mut low, mut high) = (found.first_id, found.last_id.saturating_add(1));
        while low < high {
            self.reader.budget.spend(1)?;
            let middle = low + (high - low) / 2;
            let row = statement.query_row([middle, high - 1], |row| {
                Ok((
                    row.get(0)?,
                    row.get_ref(1)?.as_str().map(second_of).ok().flatten(),
                ))
            });
            let row: Option<(i64, Option<i64>)> = row.optional()?;
            match row {
                Some((id, Some(at))) if at < second => low = id + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn of_rows(
        &self,
        hour: i64,
        first_id: i64,
        last_id: i64,
        part: std::ops::Range<i64>,
    ) -> Result<Vec<ObservedState>, HistoryError> {
        let rows = self.reader.values(hour, first_id..=last_id, part)?;
        Ok(observed(rows, self.from, self.to))
    }

    /// A state of a rollup, as far as it is within the span.
    fn within_span(&self, first: i64, last: i64, number: f64) -> Option<ObservedState> {
        let (first, last) = (first.max(self.from), last.min(self.to - 1));
        (first <= last).then_some(ObservedState {
            first,
            last,
            value: Value::Number(number),
        })
    }
}

fn observed(
    rows: std::collections::BTreeMap<i64, Value>,
    from: i64,
    to: i64,
) -> Vec<ObservedState> {
    let within = rows.into_iter().filter(|(at, _)| (from..to).contains(at));
    let state = |(at, value)| ObservedState {
        first: at,
        last: at,
        value,
    };
    within.map(state).collect()
}

/// The number that all of a rollup are.
fn constant(summary: &Aggregate) -> Option<f64> {
    (summary.min == summary.max).then_some(summary.last)
}
