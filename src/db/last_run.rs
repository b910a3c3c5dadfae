//! State of the last run, read once at start: last values, alert state, quotas.
//!
//! Runs on the main thread, before anything is fetched. Where the database cannot be opened for
//! writing it is read as far as it can be; a fatal error reads nothing. Never writes.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::database::Database;
use super::error::{self, OpenError};
use super::last_values::{self, WantedKeys};
use super::open::DatabaseLocation;
use super::tiers::Tiers;
use super::{connection, day_ranges, derived_windows, forecast, outbox, quota, salvage};
use crate::domain::alert::AlertState;
use crate::domain::day_range::StoredDay;
use crate::domain::derived::{Window, WindowRule};
use crate::domain::ledger::{Forecast, RestoredRecord};
use crate::domain::quota::SavedQuota;
use crate::domain::time::{Moment, Mono};

/// Where incidents are counted from when the last number cannot be read: a damaged database
/// that is salvaged may still give back those before.
const INCIDENT_GAP: u64 = 1_000_000;

/// The newest row of every key; see [`last_values::read_last_values`].
pub fn last_values(
    opened: &Result<Database, OpenError>,
    location: &DatabaseLocation,
    boot: &str,
    wanted: WantedKeys<'_>,
) -> Vec<RestoredRecord> {
    let read = |connection: &Connection| last_values::read_last_values(connection, boot, wanted);
    match read_database(opened, location, read) {
        None => Vec::new(),
        Some(Ok(records)) => records,
        Some(Err(error)) => {
            warn(location, || {
                let why = error::describe(&error);
                format!(
                    "{}: the last values cannot be read: {why}",
                    location.path.display()
                )
            });
            Vec::new()
        }
    }
}

/// What was stored ahead of its time.
pub fn forecasts(
    opened: &Result<Database, OpenError>,
    location: &DatabaseLocation,
) -> Vec<Forecast> {
    match read_database(opened, location, forecast::read_all) {
        None => Vec::new(),
        Some(Ok(forecasts)) => forecasts,
        Some(Err(error)) => {
            warn(location, || {
                let why = error::describe(&error);
                format!(
                    "{}: forecasts cannot be read: {why}",
                    location.path.display()
                )
            });
            Vec::new()
        }
    }
}

/// The ranges of a local day; see [`day_ranges::read_day`].
pub fn stored_day(
    opened: &Result<Database, OpenError>,
    location: &DatabaseLocation,
    zone: &TimeZone,
    now: Moment,
    wanted: &dyn Fn(&str) -> bool,
) -> Option<StoredDay> {
    let read = |connection: &Connection| day_ranges::read_day(connection, zone, now, wanted);
    let failed = |error: &rusqlite::Error| {
        warn(location, || {
            let why = error::describe(error);
            format!("today's lowest and highest values begin anew: {why}")
        });
    };
    let day = read_database(opened, location, read)?;
    day.inspect_err(failed).ok().flatten()
}

/// The windows of derived keys, by name; see [`derived_windows::restore`].
pub fn windows(
    opened: &Result<Database, OpenError>,
    location: &DatabaseLocation,
    rules: &[(Arc<str>, WindowRule)],
    now: Moment,
) -> HashMap<Arc<str>, Window> {
    if rules.is_empty() {
        return HashMap::new();
    }
    let read = |connection: &Connection| {
        let tiers = Tiers::read(connection)?;
        derived_windows::restore(connection, &tiers, rules, now)
    };
    match read_database(opened, location, read) {
        None => HashMap::new(),
        Some(Ok(windows)) => windows,
        Some(Err(error)) => {
            warn(location, || {
                let why = error::describe(&error);
                format!("windows of derived keys cannot be read ({why}); their rows are read again")
            });
            // What came since the start alone would be too little.
            let waiting = |(name, rule): &(Arc<str>, WindowRule)| {
                (name.clone(), Window::waiting(rule.clone()))
            };
            rules.iter().map(waiting).collect()
        }
    }
}

/// The alert state; a new one where there was none.
pub fn alert_state(
    opened: &Result<Database, OpenError>,
    location: &DatabaseLocation,
    boot: &str,
    now: Mono,
) -> AlertState {
    let read = |connection: &Connection| outbox::read_state(connection, boot);
    match read_database(opened, location, read) {
        Some(Ok(Some(state))) => state.resumed(boot, now),
        Some(Ok(None)) | None => AlertState::new(boot),
        Some(Err(error)) if matches!(opened, Err(OpenError::Unusable { .. })) => {
            warn(location, || {
                let why = error::describe(&error);
                format!("open alerts cannot be read: {why}")
            });
            AlertState::new(boot)
        }
        Some(Err(error)) => {
            log::error!("the alert state cannot be read ({error}); it starts empty");
            AlertState::new(boot).counting_from(INCIDENT_GAP)
        }
    }
}

/// Until when the quota of each of `sources` is spent, in their order.
pub fn quotas<'a>(
    opened: &Result<Database, OpenError>,
    location: &DatabaseLocation,
    boot: &str,
    sources: impl Iterator<Item = &'a str>,
) -> Vec<SavedQuota> {
    let sources: Vec<&str> = sources.collect();
    let read = |connection: &Connection| {
        let quotas = sources
            .iter()
            .map(|source| quota::read(connection, boot, source));
        Ok(quotas
            .map(|quota| quota.unwrap_or(SavedQuota::Unknown))
            .collect())
    };
    let unknown = || sources.iter().map(|_| SavedQuota::Unknown).collect();
    read_database(opened, location, read)
        .and_then(Result::ok)
        .unwrap_or_else(unknown)
}

/// Logs what is lost of a file that cannot be read. Where there is none, as on a disk that is absent, why
/// it was not opened has told it.
fn warn(location: &DatabaseLocation, text: impl FnOnce() -> String) {
    if location.path.exists() {
        log::warn!("{}", text());
    }
}

/// Reads from the database that was opened, else from its file: from a copy of what a damaged
/// one still holds, or without its log if need be. `None` after a fatal error.
fn read_database<T>(
    opened: &Result<Database, OpenError>,
    location: &DatabaseLocation,
    read: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Option<rusqlite::Result<T>> {
    let path = &location.path;
    match opened {
        Ok(database) => Some(read(database.connection())),
        Err(error) if error.is_fatal() => None,
        Err(OpenError::Corrupt { .. }) => {
            Some(salvage::copy_in_memory(path).and_then(|connection| read(&connection)))
        }
        Err(_) => Some(
            connection::open_best_effort(path)
                .and_then(|connection| read(&connection))
                .or_else(|_| read(&connection::open_immutable(path)?)),
        ),
    }
}
