//! Rebuilding a window of a derived key of its rows, in small steps between commits.
//!
//! Runs on the store thread. Rows are read hour by hour in the order of time. Of hours whose rows
//! are deleted the hourly tier gives one number each, where the function can use it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use crate::db::periods::{HOUR, second_of_hour};
use crate::db::progress::Progress;
use crate::db::row_codec::{StoredSample, decode_sample};
use crate::db::tiers::Tiers;
use crate::domain::derived::{RebuiltWindow, WindowFunction, WindowRebuild, WindowSample};
use crate::domain::time::Wall;
use crate::limits;

/// A rebuild under way.
pub struct RebuildScan {
    rebuild: WindowRebuild,
    input: Arc<str>,
    /// The key's id; `None` if nothing was stored of it.
    k: Option<i64>,
    /// The hour that is read next.
    hour: i64,
    /// The highest id of the hours that were read.
    last_id: i64,
}

/// An hour of the input, as the hourly tier has it.
struct InputHour {
    hour: i64,
    ids: (i64, i64),
    /// `None` if all are texts.
    numbers: Option<HourNumbers>,
}

/// What the hourly tier has of the numbers of an hour.
struct HourNumbers {
    count: u64,
    min: f64,
    mean: f64,
    max: f64,
    last: f64,
    /// When the last was.
    last_at: Wall,
}

impl RebuildScan {
    pub fn new(connection: &Connection, rebuild: WindowRebuild) -> rusqlite::Result<RebuildScan> {
        let input = rebuild.window.rule().input.clone();
        let mut k = connection.prepare_cached("SELECT k FROM keys WHERE key = ?1")?;
        let k: Option<i64> = k
            .query_map([&*input], |row| row.get(0))?
            .next()
            .transpose()?;
        let first = rebuild.from.second().div_euclid(HOUR);
        let needs_earlier = rebuild.window.rule().function.adds_steps();
        let hour = match k {
            Some(k) if needs_earlier => hour_before(connection, k, first)?,
            _ => first,
        };
        Ok(RebuildScan {
            rebuild,
            input,
            k,
            hour,
            last_id: -1,
        })
    }

    /// Whether rows of the input were ever stored.
    pub fn has_rows(&self) -> bool {
        self.k.is_some()
    }

    /// What was built; whole after the last step.
    pub fn finish(self, tiers: &Tiers) -> RebuiltWindow {
        let from = self.rebuild.from.second().div_euclid(HOUR);
        let is_whole = from >= tiers.raw_from || !self.rebuild.has_sums;
        (self.rebuild.name, is_whole.then_some(self.rebuild.window))
    }

    /// Reads some more rows.
    pub fn step(&mut self, connection: &Connection, tiers: &Tiers) -> rusqlite::Result<Progress> {
        let Some(k) = self.k else {
            return Ok(Progress::Done);
        };
        let mut scanned = 0;
        while scanned < limits::WINDOW_STEP_IDS {
            let Some(hour) = next_hour(connection, k, self.hour)? else {
                return Ok(Progress::Done);
            };
            self.hour = hour.hour + 1;
            scanned += 1;
            if hour.hour >= tiers.raw_from {
                scanned += hour.ids.1.saturating_sub(hour.ids.0);
                let next = next_hour(connection, k, self.hour)?;
                let later_id = next.map_or(i64::MAX, |next| next.ids.0);
                self.add_rows(connection, &hour, later_id)?;
            } else if let Some(numbers) = &hour.numbers {
                self.add_rollup(numbers);
            }
            self.last_id = self.last_id.max(hour.ids.1);
        }
        Ok(Progress::More)
    }

    fn insert(&mut self, sample: WindowSample) {
        let window = &mut self.rebuild.window;
        // What was known before is not taken twice.
        if !window.is_summed_up(sample.time) {
            window.insert(sample);
        }
    }

    /// Adds the rows of an hour; those of the next one have ids from `later_id` on.
    fn add_rows(
        &mut self,
        connection: &Connection,
        hour: &InputHour,
        later_id: i64,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "SELECT timestamp, value, meta, id FROM records \
             WHERE id BETWEEN ?1 AND ?2 AND timestamp >= ?3 AND timestamp < ?4 AND key = ?5 \
             ORDER BY id",
        )?;
        let begin = hour.hour * HOUR;
        let mut rows = statement.query(params![
            hour.ids.0,
            hour.ids.1,
            Wall::from_second(begin).to_string(),
            Wall::from_second(begin + HOUR).to_string(),
            self.input,
        ])?;
        let mut samples = BTreeMap::new();
        let newest = self.rebuild.window.newest_second();
        while let Some(row) = rows.next()? {
            let second = begin + second_of_hour(row.get_ref(0)?.as_str().unwrap_or(""));
            let meta = row.get_ref(2)?.as_str_or_null().unwrap_or(None);
            // Damaged rows are skipped.
            let stored = decode_sample(second, row.get(1).unwrap_or(None), meta);
            let id: i64 = row.get(3)?;
            // A clock that was not trusted was wrong where its rows are not in the order of ids.
            let is_in_order = self.last_id < id && id < later_id;
            if let Some(stored) = stored.filter(|it| !it.untrusted || is_in_order) {
                add_sample(&mut samples, newest, second, stored);
            }
        }
        for stored in samples.into_values() {
            self.insert(stored.sample);
        }
        Ok(())
    }

    /// Adds what stands for the rows of an hour that are deleted. An area cannot be had.
    fn add_rollup(&mut self, hour: &HourNumbers) {
        let value = match self.rebuild.window.rule().function {
            WindowFunction::Increase | WindowFunction::Rate => hour.last,
            WindowFunction::MinOverTime => hour.min,
            WindowFunction::MaxOverTime => hour.max,
            WindowFunction::AvgOverTime => {
                let window = &mut self.rebuild.window;
                return window.insert_mean(hour.last_at, hour.mean, hour.count);
            }
            WindowFunction::Integral => return,
        };
        self.insert(WindowSample {
            time: hour.last_at,
            value,
            is_stated: false,
        });
    }
}

/// Adds a row to those of the hour that were stored before it: of one second the highest id counts.
/// Those of an untrusted clock count if they are in the order in which they were stored.
fn add_sample(
    samples: &mut BTreeMap<i64, StoredSample>,
    newest: Option<i64>,
    second: i64,
    stored: StoredSample,
) {
    let last = samples.last_key_value().map(|(last, _)| *last);
    let is_later = last.or(newest).is_none_or(|last| second > last);
    if stored.untrusted && !is_later {
        return;
    }
    while !stored.untrusted
        && let Some(last) = samples.last_entry()
        && *last.key() >= second
        && last.get().untrusted
    {
        last.remove();
    }
    samples.insert(second, stored);
}

/// The next hour from `hour` on of which something is stored.
fn next_hour(connection: &Connection, k: i64, hour: i64) -> rusqlite::Result<Option<InputHour>> {
    let mut statement = connection.prepare_cached(
        "SELECT hour, first_id, last_id, count, min, mean, max, last, last_s FROM hourly \
         WHERE hour >= ?1 AND k = ?2 ORDER BY hour LIMIT 1",
    )?;
    let mut hours = statement.query_map([hour, k], |row| {
        let hour: i64 = row.get(0)?;
        let numbers = match (
            row.get(4)?,
            row.get(5)?,
            row.get(6)?,
            row.get(7)?,
            row.get(8)?,
        ) {
            (Some(min), Some(mean), Some(max), Some(last), Some(last_s)) => {
                let last_s: i64 = last_s;
                Some(HourNumbers {
                    count: row.get::<_, i64>(3)?.unsigned_abs(),
                    min,
                    mean,
                    max,
                    last,
                    last_at: Wall::from_second(hour * HOUR + last_s),
                })
            }
            _ => None,
        };
        Ok(InputHour {
            hour,
            ids: (row.get(1)?, row.get(2)?),
            numbers,
        })
    })?;
    hours.next().transpose()
}

/// The hour from which on rows are read, so that some before `first` are known.
fn hour_before(connection: &Connection, k: i64, first: i64) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached(
        "SELECT hour, count FROM hourly WHERE hour < ?1 AND k = ?2 ORDER BY hour DESC LIMIT ?3",
    )?;
    let mut hours = statement.query(params![first, k, limits::HOURS_BEFORE_WINDOW])?;
    let (mut found, mut count) = (first, 0);
    while let Some(row) = hours.next()?
        && count < limits::ROWS_BEFORE_WINDOW
    {
        found = row.get(0)?;
        count += row.get::<_, i64>(1)?;
    }
    Ok(found)
}
