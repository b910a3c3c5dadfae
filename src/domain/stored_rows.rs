//! Stored rows for outputs that forward them: one after the other, from a place that is kept.

use std::sync::Arc;

use super::reading::{TimedValue, Value};

/// An output that forwards rows, as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardName {
    pub name: Arc<str>,
    /// Whether it begins with the oldest row, and not with those stored from now on.
    pub backfill: bool,
}

/// A row as an output reads it.
#[derive(Debug)]
pub struct StoredRow<'a> {
    /// When it was observed, seconds since 1970.
    pub second: i64,
    pub key: &'a str,
    pub value: Value,
    /// Whether the clock that stamped it was not trusted.
    pub untrusted: bool,
}

/// Where an output stands among the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedPlace {
    /// Another one: another database, or one with rows that an output at a later place has passed.
    pub epoch: u64,
    /// Rows up to this id are taken.
    pub through: i64,
    /// The newest row.
    pub newest: i64,
    /// Changes with every change of what is stored ahead of its time.
    pub forecast_changes: u64,
}

/// What one step of reading has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedStep {
    /// The last id that was looked at.
    pub through: i64,
    /// Rows that were deleted before they were read.
    pub deleted: i64,
    /// Whether there is nothing more.
    pub is_end: bool,
}

/// The rows of the database in the order in which they were stored, and a place among them that
/// outlasts the process. Reads in small steps and never waits for those that write.
pub trait RowFeed: Send + Sync {
    /// `None` while no database is open.
    fn place(&self) -> Option<FeedPlace>;

    /// Reads rows after an id, until `take` says that it has enough; it has taken that one too.
    fn read(
        &self,
        after: i64,
        take: &mut dyn FnMut(&StoredRow<'_>) -> bool,
    ) -> Result<FeedStep, String>;

    /// The next key after another that has elements ahead of their time, and those.
    fn read_forecast(&self, after_key: &str) -> Result<Option<StoredForecast>, String>;

    /// Rows up to an id need not be read again. It is saved with a later commit.
    fn settle(&self, epoch: u64, through: i64);
}

/// What is stored of a key ahead of its time.
pub type StoredForecast = (Arc<str>, Vec<TimedValue>);
