//! Import: takes in the rows of a staged file, some thousand in each step.
//!
//! On the thread that owns the database. The staged file is in the order of days, keys and seconds
//! ([`crate::db::staging`]), so that an hour of a key, and a day of which no hours are kept, is dealt
//! with as a whole within one transaction: what is stored already is known, and a second run changes
//! nothing.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, params};

use super::edit::{Edit, StoredKey, StoredRow};
use super::import_tiers::{
    DayTotals, ImportRules, store_day, store_days, store_hour, store_hour_of_rows,
};
use super::latest;
use super::state::{MaintenanceState, Position};
use super::step_times::StepTimes;
use crate::db::connection;
use crate::db::error;
use crate::db::periods::{DAY, HOUR};
use crate::db::progress::Progress;
use crate::db::rollup::{Aggregate, add};
use crate::limits;

/// The source of keys that nothing but an import has stored.
const IMPORT_SOURCE: &str = "import";

/// A step that was not taken to its end.
pub(super) enum StepError {
    /// The staged file cannot be read: a sentence for people.
    Staged(String),
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for StepError {
    fn from(error: rusqlite::Error) -> StepError {
        StepError::Database(error)
    }
}

/// A staged file that is open.
pub(super) struct StagedRows {
    connection: Connection,
    /// The keys of the database by those of the file.
    keys: HashMap<i64, StoredKey>,
    /// When its newest row or hour begins.
    newest: Option<i64>,
}

fn unreadable(error: &rusqlite::Error) -> String {
    let detail = error::describe(error);
    format!("the staged rows cannot be read: {detail}; import the file again")
}

fn staged(error: rusqlite::Error) -> StepError {
    StepError::Staged(unreadable(&error))
}

impl StagedRows {
    pub fn open(path: &Path) -> Result<StagedRows, String> {
        let connection = connection::open_immutable(path).map_err(|error| unreadable(&error))?;
        let newest = newest_begin(&connection).map_err(|error| unreadable(&error))?;
        Ok(StagedRows {
            connection,
            keys: HashMap::new(),
            newest,
        })
    }

    /// Takes the next step from where the last one ended.
    pub fn step(
        &mut self,
        edit: &mut Edit<'_>,
        state: &mut MaintenanceState,
        rules: ImportRules,
    ) -> Result<Progress, StepError> {
        let stored = latest::newest_trusted(edit)?;
        let rules = ImportRules {
            times: rules.times.with_reading_at(self.newest.max(stored)),
            ..rules
        };
        // Days first: where they lie before all hours they say from when on hours are kept.
        let position = match state.position {
            Position::Begin => Position::Summaries {
                seconds: DAY,
                start: i64::MIN,
                k: 0,
            },
            position => position,
        };
        match position {
            Position::Summaries { seconds, start, k } => {
                self.summaries(edit, state, rules, (seconds, start, k))?;
            }
            Position::Rows { day, k, second } => {
                return self.rows(edit, state, rules, (day, k, second));
            }
            _ => return Ok(Progress::Done),
        }
        Ok(Progress::More)
    }

    fn summaries(
        &mut self,
        edit: &mut Edit<'_>,
        state: &mut MaintenanceState,
        rules: ImportRules,
        (seconds, start, k): (i64, i64, i64),
    ) -> Result<(), StepError> {
        let StagedRows {
            connection, keys, ..
        } = self;
        let mut statement = connection
            .prepare_cached(
                "SELECT start, k, count, min, mean, max, last FROM summaries \
                 WHERE seconds = ?1 AND (start, k) > (?2, ?3) ORDER BY start, k",
            )
            .map_err(staged)?;
        let mut rows = statement.query([seconds, start, k]).map_err(staged)?;
        let mut days = DayTotals::new();
        let mut place = (start, k);
        let mut count = 0;
        while let Some(row) = rows.next().map_err(staged)? {
            let (start, k, summary) = read_summary(row).map_err(staged)?;
            let day = start.div_euclid(DAY);
            let is_next_day = days.keys().next().is_some_and(|(held, _)| *held != day);
            if is_next_day {
                store_days(edit, state, rules, std::mem::take(&mut days))?;
            }
            if count >= limits::MAINTENANCE_STEP_ROWS && days.is_empty() {
                state.position = Position::Summaries {
                    seconds,
                    start: place.0,
                    k: place.1,
                };
                return Ok(());
            }
            count += 1;
            state.done += 1;
            place = (start, k);
            if rules.times.is_ahead(start) {
                state.counts.ahead += 1;
                continue;
            }
            let key = target_key(connection, keys, edit, k)?;
            if seconds == DAY {
                store_day(edit, state, rules, (day, key.k), &summary)?;
            } else if day.saturating_mul(DAY / HOUR) < edit.tiers.hourly_from {
                let total = days.entry((day, key.k)).or_default();
                add(
                    total,
                    &Aggregate {
                        last_at: start,
                        ..summary
                    },
                );
            } else {
                store_hour(edit, state, (start.div_euclid(HOUR), key.k), summary)?;
            }
        }
        store_days(edit, state, rules, days)?;
        // Hours come last, so that those of which both are there have their rows.
        state.position = if seconds == DAY {
            Position::Rows {
                day: i64::MIN,
                k: 0,
                second: 0,
            }
        } else {
            Position::End
        };
        Ok(())
    }

    fn rows(
        &mut self,
        edit: &mut Edit<'_>,
        state: &mut MaintenanceState,
        rules: ImportRules,
        after: (i64, i64, i64),
    ) -> Result<Progress, StepError> {
        let StagedRows {
            connection, keys, ..
        } = self;
        let mut statement = connection
            .prepare_cached(
                "SELECT day, k, second, value, meta FROM rows \
                 WHERE (day, k, second) > (?1, ?2, ?3) ORDER BY day, k, second",
            )
            .map_err(staged)?;
        let mut rows = statement
            .query(params![after.0, after.1, after.2])
            .map_err(staged)?;
        let mut days = DayTotals::new();
        let mut group: Option<HourGroup> = None;
        let mut count = 0;
        loop {
            let next = rows.next().map_err(staged)?;
            let next = next.map(read_row).transpose().map_err(staged)?;
            let is_same = match (&group, &next) {
                (Some(group), Some(next)) => group.is_of(next),
                _ => false,
            };
            if !is_same && let Some(mut ended) = group.take() {
                count += ended.rows.len() as u64;
                state.done += ended.rows.len() as u64;
                let place = ended.place();
                state.counts.ahead += ended.remove_ahead(rules.times);
                if !ended.rows.is_empty() {
                    let key = target_key(connection, keys, edit, ended.k)?;
                    let rows = (ended.hour, ended.rows);
                    store_hour_of_rows(edit, state, rules, &key, rows, &mut days)?;
                }
                let is_day_over = next
                    .as_ref()
                    .is_none_or(|next| (next.day, next.k) != (place.0, place.1));
                if is_day_over {
                    store_days(edit, state, rules, std::mem::take(&mut days))?;
                }
                if next.is_some() && count >= limits::MAINTENANCE_STEP_ROWS && days.is_empty() {
                    let (day, k, second) = place;
                    state.position = Position::Rows { day, k, second };
                    return Ok(Progress::More);
                }
            }
            let Some(next) = next else {
                state.position = Position::Summaries {
                    seconds: HOUR,
                    start: i64::MIN,
                    k: 0,
                };
                return Ok(Progress::More);
            };
            group
                .get_or_insert_with(|| HourGroup::of(&next))
                .rows
                .push(next.row);
        }
    }
}

/// When the newest row or hour of a staged file begins.
fn newest_begin(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let day: Option<i64> =
        connection.query_row("SELECT max(day) FROM rows", [], |row| row.get(0))?;
    let hour: Option<i64> = connection.query_row(
        "SELECT max(start) FROM summaries WHERE seconds = ?1",
        [HOUR],
        |row| row.get(0),
    )?;
    // Which second of the day makes no difference.
    Ok(day.map(|day| day.saturating_mul(DAY)).max(hour))
}

/// Rows of one hour of a key.
struct HourGroup {
    day: i64,
    k: i64,
    hour: i64,
    rows: Vec<StoredRow>,
}

struct StagedRow {
    day: i64,
    k: i64,
    row: StoredRow,
}

impl HourGroup {
    fn of(row: &StagedRow) -> HourGroup {
        HourGroup {
            day: row.day,
            k: row.k,
            hour: row.row.second.div_euclid(HOUR),
            rows: Vec::new(),
        }
    }

    fn is_of(&self, row: &StagedRow) -> bool {
        (self.k, self.hour) == (row.k, row.row.second.div_euclid(HOUR))
    }

    /// Removes what is ahead of the clock; how many rows.
    fn remove_ahead(&mut self, times: StepTimes) -> u64 {
        let all = self.rows.len();
        self.rows.retain(|row| !times.is_ahead(row.second));
        (all - self.rows.len()) as u64
    }

    /// Day, key and second of its last row.
    fn place(&self) -> (i64, i64, i64) {
        let second = self.rows.last().map_or(self.hour * HOUR, |row| row.second);
        (self.day, self.k, second)
    }
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<StagedRow> {
    Ok(StagedRow {
        day: row.get(0)?,
        k: row.get(1)?,
        row: StoredRow {
            id: 0,
            second: row.get(2)?,
            value: row.get(3)?,
            meta: row.get(4)?,
        },
    })
}

fn read_summary(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, i64, Aggregate)> {
    let count: i64 = row.get(2)?;
    let summary = Aggregate {
        count: count.unsigned_abs(),
        min: row.get(3)?,
        mean: row.get(4)?,
        max: row.get(5)?,
        last: row.get(6)?,
        // Nobody knows when in the hour the last was.
        last_at: HOUR - 1,
    };
    Ok((row.get(0)?, row.get(1)?, summary))
}

/// The key of the database that a key of the file is; it is added where there is none.
fn target_key(
    connection: &Connection,
    keys: &mut HashMap<i64, StoredKey>,
    edit: &Edit<'_>,
    k: i64,
) -> Result<StoredKey, StepError> {
    if let Some(key) = keys.get(&k) {
        return Ok(key.clone());
    }
    let (name, unit): (String, Option<String>) = connection
        .prepare_cached("SELECT key, unit FROM keys WHERE k = ?1")
        .and_then(|mut find| find.query_row([k], |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(staged)?;
    let key = match edit.find_key(&name)? {
        Some(key) => key,
        None => {
            let sql = "INSERT INTO keys (key, unit, source) VALUES (?1, ?2, ?3)";
            edit.transaction
                .execute(sql, params![name, unit, IMPORT_SOURCE])?;
            StoredKey {
                k: edit.transaction.last_insert_rowid(),
                key: name,
            }
        }
    };
    keys.insert(k, key.clone());
    Ok(key)
}
