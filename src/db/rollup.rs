//! Hourly and daily rollups.
//!
//! Called by the store thread within the transaction that stores the rows, so that the tiers
//! never disagree with what they sum up. New rows are added to their hour; an hour in which a row
//! was corrected is recomputed. All of it is in UTC.

pub mod daily;
pub mod five_minute;
pub mod old_elements;

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};

use self::five_minute::FiveMinuteRollup;
use super::id_ranges;
use super::periods::{DAY, HOUR};
use super::tiers::Tiers;
use crate::limits;

/// Numbers summed up. There is at least one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aggregate {
    pub count: u64,
    pub min: f64,
    pub mean: f64,
    pub max: f64,
    pub last: f64,
    /// When the last was observed; its unit is the caller's.
    pub last_at: i64,
}

impl Aggregate {
    pub fn of(value: f64, at: i64) -> Aggregate {
        Aggregate {
            count: 1,
            min: value,
            mean: value,
            max: value,
            last: value,
            last_at: at,
        }
    }

    /// Takes in another summary. Of two last values of one instant the other's rules.
    pub fn merge(&mut self, other: &Aggregate) {
        let count = self.count.saturating_add(other.count);
        // Weighted, not summed: a sum of huge readings would be infinite.
        let share = other.count as f64 / count as f64;
        self.mean = self.mean * (1.0 - share) + other.mean * share;
        self.count = count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.last_at >= self.last_at {
            self.last = other.last;
            self.last_at = other.last_at;
        }
    }
}

/// Adds to what may be nothing yet.
pub fn add(to: &mut Option<Aggregate>, summary: &Aggregate) {
    match to {
        Some(present) => present.merge(summary),
        None => *to = Some(*summary),
    }
}

/// One key's hour: its numbers, and the ids that its rows lie between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HourRollup {
    pub aggregate: Option<Aggregate>,
    pub first_id: i64,
    pub last_id: i64,
}

impl HourRollup {
    /// Whether there are rows: elements that were old when they came, and what was imported from
    /// summaries, have none.
    pub fn has_rows(&self) -> bool {
        self.first_id != old_elements::NO_ROW
    }

    /// How many ids its rows lie among.
    pub fn id_count(&self) -> i64 {
        self.last_id.saturating_sub(self.first_id).saturating_add(1)
    }
}

/// What one transaction changes about the tiers.
pub struct RollupUpdate {
    tiers: Tiers,
    added: BTreeMap<(i64, i64), HourAdditions>,
    corrected: BTreeSet<(i64, i64)>,
}

/// Rows that one hour of a key gets.
struct HourAdditions {
    hour: HourRollup,
    /// Where the hour may have five-minute rollups already.
    five_minute: Option<Box<FiveMinuteRollup>>,
}

impl RollupUpdate {
    pub fn new(tiers: Tiers) -> RollupUpdate {
        RollupUpdate {
            tiers,
            added: BTreeMap::new(),
            corrected: BTreeSet::new(),
        }
    }

    /// A row of an identity that is new.
    pub fn add(&mut self, k: i64, second: i64, id: i64, value: Option<f64>) {
        let hour = second.div_euclid(HOUR);
        let is_late = self.is_late(hour);
        let added = self
            .added
            .entry((hour, k))
            .or_insert_with(|| HourAdditions {
                hour: HourRollup {
                    aggregate: None,
                    first_id: id,
                    last_id: id,
                },
                five_minute: is_late.then(Box::default),
            });
        added.hour.first_id = added.hour.first_id.min(id);
        added.hour.last_id = added.hour.last_id.max(id);
        if let Some(value) = value {
            let second = second.rem_euclid(HOUR);
            add(&mut added.hour.aggregate, &Aggregate::of(value, second));
            if let Some(fives) = &mut added.five_minute {
                five_minute::add_value(fives, second, value);
            }
        }
    }

    fn is_late(&self, hour: i64) -> bool {
        self.tiers
            .five_minute_until
            .is_some_and(|until| hour < until)
    }

    /// A row with another value than an earlier one of the same key and second: its hour must be
    /// recomputed.
    pub fn correct(&mut self, k: i64, second: i64, id: i64) {
        self.add(k, second, id, None);
        self.corrected.insert((second.div_euclid(HOUR), k));
    }

    /// Writes the changes.
    pub fn write(self, connection: &Connection) -> rusqlite::Result<()> {
        for ((hour, k), added) in &self.added {
            let mut whole = added.hour;
            let present = read_hour(connection, *hour, *k)?;
            if let Some(present) = &present {
                if present.has_rows() {
                    whole.first_id = whole.first_id.min(present.first_id);
                    whole.last_id = whole.last_id.max(present.last_id);
                }
                whole.aggregate = present.aggregate;
                if let Some(summary) = &added.hour.aggregate {
                    add(&mut whole.aggregate, summary);
                }
            }
            write_hour(connection, *hour, *k, &whole)?;
            if let Some(late) = &added.five_minute
                && five_minute::is_eligible(&whole)
                && !self.corrected.contains(&(*hour, *k))
            {
                five_minute::add_late(connection, (*hour, *k), late, present.as_ref())?;
            }
        }
        let mut corrected: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (hour, k) in &self.corrected {
            corrected.entry(*hour).or_default().push(*k);
        }
        for (hour, keys) in corrected {
            for keys in keys.chunks(limits::ROLLUP_BATCH_KEYS) {
                recompute_hour(connection, hour, keys, self.is_late(hour))?;
            }
        }
        let daily_until = self.tiers.daily_until.unwrap_or(i64::MIN);
        let days = self
            .added
            .keys()
            .map(|(hour, k)| (hour.div_euclid(DAY / HOUR), *k));
        for (day, k) in days.collect::<BTreeSet<_>>() {
            if day < daily_until {
                daily::recompute_day(connection, day, Some(k))?;
            }
        }
        Ok(())
    }
}

pub fn read_hour(
    connection: &Connection,
    hour: i64,
    k: i64,
) -> rusqlite::Result<Option<HourRollup>> {
    let mut statement = connection.prepare_cached(
        "SELECT count, min, mean, max, last, last_s, first_id, last_id FROM hourly \
         WHERE hour = ?1 AND k = ?2",
    )?;
    statement
        .query_row([hour, k], |row| {
            Ok(HourRollup {
                aggregate: read_aggregate(row)?,
                first_id: row.get(6)?,
                last_id: row.get(7)?,
            })
        })
        .optional()
}

/// Reads count, min, mean, max, last and when that was from the first six columns.
pub fn read_aggregate(row: &rusqlite::Row) -> rusqlite::Result<Option<Aggregate>> {
    let count: i64 = row.get(0)?;
    if count <= 0 {
        return Ok(None);
    }
    Ok(Some(Aggregate {
        count: count.unsigned_abs(),
        min: row.get(1)?,
        mean: row.get(2)?,
        max: row.get(3)?,
        last: row.get(4)?,
        last_at: row.get(5)?,
    }))
}

pub fn write_hour(
    connection: &Connection,
    hour: i64,
    k: i64,
    whole: &HourRollup,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO hourly \
         (hour, k, count, min, mean, max, last, last_s, first_id, last_id) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let summary = whole.aggregate;
    statement.execute(params![
        hour,
        k,
        summary.map_or(0, |s| i64::try_from(s.count).unwrap_or(i64::MAX)),
        summary.map(|s| s.min),
        summary.map(|s| s.mean),
        summary.map(|s| s.max),
        summary.map(|s| s.last),
        summary.map(|s| s.last_at),
        whole.first_id,
        whole.last_id,
    ])?;
    Ok(())
}

/// Recomputes an hour of some keys from its rows, and its five-minute rollups where it `is_late`.
fn recompute_hour(
    connection: &Connection,
    hour: i64,
    keys: &[i64],
    is_late: bool,
) -> rusqlite::Result<()> {
    /// A key's number, what is known of its hour, and its values by second.
    type Counted = (i64, HourRollup, BTreeMap<i64, Option<f64>>);
    let mut hours: BTreeMap<String, Counted> = BTreeMap::new();
    let mut name = connection.prepare_cached("SELECT key FROM keys WHERE k = ?1")?;
    for k in keys {
        if let Some(present) = read_hour(connection, hour, *k)? {
            let key: String = name.query_row([k], |row| row.get(0))?;
            hours.insert(key, (*k, present, BTreeMap::new()));
        }
    }
    let ranges = hours
        .values()
        .map(|(_, hour, _)| (hour.first_id, hour.last_id));
    let ranges = id_ranges::merge(ranges);
    five_minute::for_each_row(connection, hour, &ranges, |key, second, value| {
        if let Some((_, _, seconds)) = hours.get_mut(key) {
            // Rows come by id: the highest of an identity is the one that stays.
            seconds.insert(second, value);
        }
    })?;
    for (k, mut whole, seconds) in hours.into_values() {
        whole.aggregate = None;
        let parts = five_minute::from_seconds(&seconds);
        for part in parts.iter().flatten() {
            add(&mut whole.aggregate, part);
        }
        write_hour(connection, hour, k, &whole)?;
        if is_late && five_minute::is_eligible(&whole) {
            five_minute::write(connection, hour, k, &parts)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_add_up_in_any_grouping() {
        let values = [3.0, -1.5, 8.25, 8.25, 0.0];
        let of = |range: std::ops::Range<usize>| {
            let mut summary = None;
            for index in range {
                add(&mut summary, &Aggregate::of(values[index], index as i64));
            }
            summary
        };
        let whole = of(0..5).expect("five values");
        assert_eq!((whole.count, whole.min, whole.max), (5, -1.5, 8.25));
        assert!((whole.mean - 3.6).abs() < 1e-12);
        assert_eq!(whole.last, 0.0);
        for middle in 1..5 {
            let mut late = of(middle..5);
            add(&mut late, &of(0..middle).expect("at least one"));
            let late = late.expect("five values");
            assert!((late.mean - whole.mean).abs() < 1e-12);
            assert_eq!(
                Aggregate {
                    mean: whole.mean,
                    ..late
                },
                whole
            );
        }
    }

    #[test]
    fn huge_readings_have_a_mean() {
        let mut summary = Some(Aggregate::of(f64::MAX, 0));
        add(&mut summary, &Aggregate::of(f64::MAX, 1));
        add(&mut summary, &Aggregate::of(-f64::MAX, 2));
        assert!(summary.is_some_and(|s| s.mean.is_finite()));
    }
}
