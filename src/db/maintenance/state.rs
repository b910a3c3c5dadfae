//! State of a maintenance task: how far it has come and what it has done, kept in the table `node` and
//! written in the transaction of each step.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::request::MaintenanceRequest;
use crate::db::error;
use crate::db::tiers::{delete_meta, read_meta, write_meta};
use crate::domain::health::MaintenanceStatus;
use crate::domain::text::count_noun;

/// The entry of `node`.
const STATE_ENTRY: &str = "maintenance";

/// Of the task that runs, or that ran last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaintenanceState {
    /// The request's.
    pub id: String,
    /// import, rename or forget.
    pub task: String,
    /// The file, or the keys.
    pub subject: String,
    /// Rows and summaries that are dealt with, of how many; 0 of 0 where nobody knows.
    pub done: u64,
    pub total: u64,
    pub is_finished: bool,
    /// Why it ended before its end.
    pub error: Option<String>,
    pub(super) position: Position,
    pub counts: MaintenanceCounts,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Position {
    Begin,
    /// Summaries of an import of this many seconds, after a start and key.
    Summaries {
        seconds: i64,
        start: i64,
        k: i64,
    },
    /// Rows of an import, after a day, key and second.
    Rows {
        day: i64,
        k: i64,
        second: i64,
    },
    /// Hours of the key of this number in the request, from one on.
    Hours {
        key: usize,
        hour: i64,
    },
    /// What is left of a key when its hours are done.
    Rest {
        key: usize,
    },
    End,
}

/// What a task has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaintenanceCounts {
    /// Rows added.
    pub stored: u64,
    /// Readings that were stored with the same value.
    pub same: u64,
    /// Readings that were stored with another value, which stays.
    pub differing: u64,
    /// Readings that were stored with another value, which is replaced.
    pub replaced: u64,
    /// Hours and days that were added without their rows.
    pub hours: u64,
    pub days: u64,
    /// Readings and summaries of hours and days that are known already.
    pub known: u64,
    /// Texts older than rows are kept, of which no hour or day can be made.
    pub texts: u64,
    /// Days in whose time the database has hours.
    pub unplaced: u64,
    /// Days of which nobody knows whether they are over, while no clock is trusted.
    pub undated: u64,
    /// Readings and summaries that are ahead of the clock.
    pub ahead: u64,
    /// Rows given to another key.
    pub renamed: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Hours and days without rows, given to another key or deleted.
    pub summaries: u64,
    /// Hours and days without rows that are only in part within the range, and stay.
    pub partial: u64,
}

impl MaintenanceCounts {
    /// Whether anything that is stored was changed.
    pub fn has_changes(&self) -> bool {
        let unchanged = MaintenanceCounts {
            same: self.same,
            differing: self.differing,
            known: self.known,
            texts: self.texts,
            unplaced: self.unplaced,
            undated: self.undated,
            ahead: self.ahead,
            partial: self.partial,
            ..MaintenanceCounts::default()
        };
        *self != unchanged
    }

    /// What was done, in a sentence without its full stop.
    pub fn describe(&self) -> String {
        let parts = [
            (self.stored, "reading", "stored"),
            (self.replaced, "reading", "stored in place of another value"),
            (self.hours, "hourly value", "stored"),
            (self.days, "daily value", "stored"),
            (self.renamed, "reading", "renamed"),
            (self.deleted, "reading", "deleted"),
            (
                self.summaries,
                "hourly or daily value",
                "without readings as well",
            ),
            (self.same, "reading", "stored already"),
            (
                self.known,
                "reading",
                "stored already in hourly or daily values",
            ),
            (
                self.differing,
                "reading",
                "left out, since another value is stored (--replace takes them)",
            ),
            (
                self.texts,
                "text",
                "left out, older than readings are kept (keep_raw)",
            ),
            (
                self.unplaced,
                "daily value",
                "left out, since the day is not over, or hourly values are stored from before it on",
            ),
            (
                self.undated,
                "daily value",
                "left out, since the clock is not synchronised and whether the day is over is not known: \
                 import them again when it is",
            ),
            (self.ahead, "reading", "left out, ahead of the clock"),
            (
                self.partial,
                "hourly or daily value",
                "only in part within the times, which stays",
            ),
        ];
        let noun =
            |count: u64, noun: &str| count_noun(usize::try_from(count).unwrap_or(usize::MAX), noun);
        let said: Vec<String> = parts
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, what, done)| format!("{} {done}", noun(count, what)))
            .collect();
        if said.is_empty() {
            "nothing to do".to_owned()
        } else {
            said.join(", ")
        }
    }
}

impl MaintenanceState {
    pub(super) fn new(request: &MaintenanceRequest) -> MaintenanceState {
        let total = match request.task {
            super::request::MaintenanceTask::Import { total, .. } => total,
            _ => 0,
        };
        MaintenanceState {
            id: request.id.clone(),
            task: request.task.name().to_owned(),
            subject: request.task.subject(),
            done: 0,
            total,
            is_finished: false,
            error: None,
            position: Position::Begin,
            counts: MaintenanceCounts::default(),
        }
    }

    /// For people and displays.
    pub fn into_status(self) -> MaintenanceStatus {
        MaintenanceStatus {
            result: self.counts.describe(),
            task: self.task,
            subject: self.subject,
            done: self.done,
            total: self.total,
            is_finished: self.is_finished,
            error: self.error,
        }
    }

    /// As it is stored; `None` where there is none that can be read.
    pub fn read(connection: &Connection) -> rusqlite::Result<Option<MaintenanceState>> {
        let text: Option<String> = error::readable(read_meta(connection, STATE_ENTRY))?.flatten();
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Forgets the task.
    pub fn delete(connection: &Connection) -> rusqlite::Result<()> {
        delete_meta(connection, STATE_ENTRY)
    }

    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let text = serde_json::to_string(self)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        write_meta(connection, STATE_ENTRY, text)
    }
}
