//! History queries, on a read-only connection beside the writer.
//!
//! Used by the web workers. A connection of its own that cannot write; opened at the first query,
//! and reopened when the file at the path was replaced.

mod ahead;
mod buckets;
mod key_reader;
mod local_days;
mod periods;
mod query;
mod states;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use self::ahead::forecast;
pub(super) use self::periods::periods;
use self::query::history;
use self::states::states;
use super::file::DatabaseFiles;
use super::{connection, error, file, open_files};
use crate::domain::history::{Bucket, HistoryQuery, PeriodQuery, StateHistory, StateQuery};
use crate::domain::time::Wall;
use crate::sys::budget::{Budget, Exceeded};
use crate::sys::sync::Mutex;

/// Why there is no history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryError {
    /// No row of this key was ever stored.
    UnknownKey,
    /// The database cannot be read now.
    Unavailable(String),
    /// The rows lie in a damaged part of the database.
    Damaged(String),
    /// The query would cost more than its request may.
    Exceeded(Exceeded),
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::UnknownKey => f.write_str("no reading of this key was ever stored"),
            HistoryError::Unavailable(detail) | HistoryError::Damaged(detail) => {
                write!(f, "the database cannot be read: {detail}")
            }
            HistoryError::Exceeded(limit) => write!(f, "cut off at {limit}"),
        }
    }
}

impl std::error::Error for HistoryError {}

impl From<rusqlite::Error> for HistoryError {
    fn from(error: rusqlite::Error) -> HistoryError {
        let detail = error::describe(&error);
        if error::is_damage(&error) {
            HistoryError::Damaged(detail)
        } else {
            HistoryError::Unavailable(detail)
        }
    }
}

impl From<Exceeded> for HistoryError {
    fn from(exceeded: Exceeded) -> HistoryError {
        HistoryError::Exceeded(exceeded)
    }
}

/// Answers history queries. Shared by all workers; one asks at a time.
pub struct HistoryReader {
    path: PathBuf,
    /// Whose days buckets of a day or longer are.
    zone: TimeZone,
    open: Arc<open_files::ReaderSlot>,
    /// When the database was last locked by another program, and the error.
    locked: Mutex<Option<(Instant, HistoryError)>>,
}

/// How long a database that was locked is not tried again: a page asks for many keys.
const LOCKED_RETRY: Duration = Duration::from_secs(1);

impl HistoryReader {
    pub fn new(path: impl Into<PathBuf>) -> HistoryReader {
        let path = path.into();
        HistoryReader {
            open: open_files::reader_slot(&path),
            locked: Mutex::default(),
            zone: TimeZone::UTC,
            path,
        }
    }

    /// With buckets of local days, where they are a day or longer.
    pub fn in_zone(self, zone: TimeZone) -> HistoryReader {
        HistoryReader { zone, ..self }
    }

    /// The buckets of a query, oldest first; those without a number are left out. Their
    /// width comes from the finest tier that can answer at bounded cost, and is at least
    /// what keeps them within `points`; the first and last may reach past the span by a
    /// part of their width. Rows and time are spent from `budget`.
    pub fn history(
        &self,
        query: &HistoryQuery,
        budget: &Budget,
    ) -> Result<Vec<Bucket>, HistoryError> {
        self.with_connection(|connection| {
            // Others may have had the connection for long.
            budget.spend(0)?;
            history(connection, query, &self.zone, budget)
        })
    }

    /// The unit of a key when its newest row was stored.
    pub fn unit(&self, key: &str) -> Result<Option<String>, HistoryError> {
        self.with_connection(|connection| {
            let mut unit = connection.prepare_cached("SELECT unit FROM keys WHERE key = ?1")?;
            let unit: Option<Option<String>> =
                unit.query_row([key], |row| row.get(0)).optional()?;
            Ok(unit.flatten())
        })
    }

    /// What is stored of the span ahead of `now`, in buckets of the same grid.
    pub fn forecast(
        &self,
        query: &HistoryQuery,
        now: Wall,
        budget: &Budget,
    ) -> Result<Vec<Bucket>, HistoryError> {
        self.with_connection(|connection| {
            budget.spend(0)?;
            forecast(connection, query, &self.zone, now, budget)
        })
    }

    /// The periods of a query that have a number, oldest first.
    pub fn periods(
        &self,
        query: &PeriodQuery,
        budget: &Budget,
    ) -> Result<Vec<Bucket>, HistoryError> {
        self.with_connection(|connection| {
            budget.spend(0)?;
            periods(connection, query, budget)
        })
    }

    /// What the value of a key was, from the rows that are kept.
    pub fn states(
        &self,
        query: &StateQuery,
        budget: &Budget,
    ) -> Result<StateHistory, HistoryError> {
        self.with_connection(|connection| {
            budget.spend(0)?;
            states(connection, query, budget)
        })
    }

    /// The keys that rows were ever stored of, by name.
    #[cfg(test)]
    pub fn keys(&self) -> Result<Vec<String>, HistoryError> {
        self.with_connection(|connection| {
            let mut statement = connection.prepare_cached("SELECT key FROM keys ORDER BY key")?;
            let keys = statement.query_map([], |row| row.get(0))?;
            Ok(keys.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn with_connection<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        let mut open = self.open.lock();
        let mut locked = self.locked.lock();
        if let Some((at, error)) = &*locked
            && at.elapsed() < LOCKED_RETRY
        {
            return Err(error.clone());
        }
        let files = DatabaseFiles::at(&self.path, &file::without_links(&self.path));
        if files.database.is_none() {
            *open = None;
            return Err(HistoryError::Unavailable("no such file".to_owned()));
        }
        if !matches!(&*open, Some((opened, _)) if *opened == files) {
            *open = None;
            *locked = None;
            let connection = connection::open_for_web(&self.path).map_err(|error| {
                let is_locked = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
                let error = HistoryError::from(error);
                if is_locked {
                    *locked = Some((Instant::now(), error.clone()));
                }
                error
            })?;
            // Opening may have made the index.
            let files = DatabaseFiles::at(&self.path, &file::without_links(&self.path));
            *open = Some((files, connection));
        }
        let Some((_, connection)) = &*open else {
            return Err(HistoryError::Unavailable("it is not open".to_owned()));
        };
        let answer = connection
            .unchecked_transaction()
            .map_err(HistoryError::from)
            // One transaction, so that retention between two statements shows no gap.
            .and_then(|_transaction| read(connection));
        if let Err(HistoryError::Unavailable(_) | HistoryError::Damaged(_)) = answer {
            *open = None;
        }
        if let Err(HistoryError::Damaged(_)) = answer {
            open_files::report_damage(&self.path);
        }
        answer
    }
}

#[cfg(test)]
#[path = "tests/periods.rs"]
mod period_tests;
#[cfg(test)]
#[path = "tests/states.rs"]
mod state_tests;
#[cfg(test)]
#[path = "tests/history.rs"]
mod tests;
