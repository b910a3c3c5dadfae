//! Elements of series that are older than the raw tier: summed up into hours and days.
//!
//! Called by the store thread within its transaction. There are no rows that would tell whether an
//! element was stored before, so an hour or a day that has a rollup already stays as it is: a list
//! that comes with every response counts once.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};

use super::{Aggregate, HourRollup, add, daily, read_hour, write_hour};
use crate::db::periods::{DAY, HOUR};
use crate::db::tiers::Tiers;

/// Numbers by key and second.
#[derive(Default)]
pub struct OldElements {
    numbers: BTreeMap<(i64, i64), f64>,
}

/// In place of the ids of rows, of which there are none.
pub const NO_ROW: i64 = 0;

impl OldElements {
    pub fn add(&mut self, k: i64, second: i64, number: Option<f64>) {
        if let Some(number) = number {
            self.numbers.insert((k, second), number);
        }
    }

    pub fn write(self, transaction: &Transaction, tiers: &Tiers) -> rusqlite::Result<()> {
        let mut hours: BTreeMap<(i64, i64), Option<Aggregate>> = BTreeMap::new();
        let mut days: BTreeMap<(i64, i64), Option<Aggregate>> = BTreeMap::new();
        for ((k, second), number) in self.numbers {
            let (hour, day) = (second.div_euclid(HOUR), second.div_euclid(DAY));
            let aggregate = Aggregate::of(number, second.rem_euclid(HOUR));
            if day.saturating_mul(DAY / HOUR) < tiers.hourly_from {
                let aggregate = Aggregate::of(number, second);
                add(days.entry((day, k)).or_default(), &aggregate);
            } else {
                add(hours.entry((hour, k)).or_default(), &aggregate);
            }
        }
        let daily_until = tiers.daily_until.unwrap_or(i64::MIN);
        for ((hour, k), aggregate) in hours {
            if read_hour(transaction, hour, k)?.is_some() {
                continue;
            }
            let rollup = HourRollup {
                aggregate,
                first_id: NO_ROW,
                last_id: NO_ROW,
            };
            write_hour(transaction, hour, k, &rollup)?;
            let day = hour.div_euclid(DAY / HOUR);
            if day < daily_until {
                daily::recompute_day(transaction, day, Some(k))?;
            }
        }
        for ((day, k), aggregate) in days {
            if let Some(aggregate) = aggregate {
                add_day(transaction, day, k, &aggregate)?;
            }
        }
        Ok(())
    }
}

/// Adds a day of a key that has none; whether it is added.
pub fn add_day(
    connection: &Connection,
    day: i64,
    k: i64,
    aggregate: &Aggregate,
) -> rusqlite::Result<bool> {
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO daily (day, k, count, min, mean, max, last) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let added = insert.execute(params![
        day,
        k,
        i64::try_from(aggregate.count).unwrap_or(i64::MAX),
        aggregate.min,
        aggregate.mean,
        aggregate.max,
        aggregate.last
    ])?;
    Ok(added > 0)
}

#[cfg(test)]
#[path = "tests/old_elements.rs"]
mod tests;
