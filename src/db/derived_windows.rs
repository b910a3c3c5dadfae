//! Windows of derived keys: saved now and then, restored at start with the rows that came since,
//! and rebuilt of all rows where there is no state.
//!
//! Saving and rebuilding run on the store thread, restoring on the main thread before anything is
//! fetched. The state is a cache: without it the rows answer, as far as they are kept.

pub mod rebuild;

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use self::rebuild::RebuildScan;
use super::error;
use super::periods::second_of;
use super::progress::Progress;
use super::row_codec::decode_sample;
use super::tiers::Tiers;
use crate::domain::derived::{SavedWindow, Window, WindowRule};
use crate::domain::time::{Moment, Wall};
use crate::limits;

/// Saves the windows in place of all that were saved. Rows up to `through_id` are part of them.
pub fn save(
    connection: &Connection,
    through_id: i64,
    windows: &[SavedWindow],
) -> rusqlite::Result<()> {
    let mut names = connection.prepare_cached("SELECT name FROM derived_windows")?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?;
    for name in names.collect::<rusqlite::Result<Vec<_>>>()? {
        if !windows.iter().any(|window| *window.name == *name) {
            connection
                .prepare_cached("DELETE FROM derived_windows WHERE name = ?1")?
                .execute([name])?;
        }
    }
    let mut write = connection.prepare_cached(
        "INSERT OR REPLACE INTO derived_windows (name, rule, through_id, state) \
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    for window in windows {
        write.execute(params![window.name, window.rule, through_id, window.state])?;
    }
    Ok(())
}

/// The windows of `rules`, by the name of their derived key: as they were saved, with the rows
/// that came since. Those without a state of the same rule are rebuilt of their rows, or wait for
/// that where there are many.
pub fn restore(
    connection: &Connection,
    tiers: &Tiers,
    rules: &[(Arc<str>, WindowRule)],
    now: Moment,
) -> rusqlite::Result<HashMap<Arc<str>, Window>> {
    let mut saved = Vec::new();
    let mut new = Vec::new();
    for (name, rule) in rules {
        match read(connection, name, rule) {
            Ok(Some(window)) => saved.push(window),
            Ok(None) => new.push((name, rule)),
            // The rows answer instead.
            Err(error) => {
                log::warn!("the saved window of {name} cannot be read: {error}");
                new.push((name, rule));
            }
        }
    }
    let mut rows_left = replay(connection, &mut saved)?;
    let mut windows: HashMap<_, _> = saved.into_iter().map(|it| (it.name, it.window)).collect();
    for (name, rule) in new {
        let window = rebuild_at_start(connection, tiers, (name, rule), now, &mut rows_left)?;
        windows.insert(name.clone(), window);
    }
    Ok(windows)
}

/// A window without a state, of its rows as far as `rows_left` go. Once the clock is trusted it is
/// built again where it is not now: other rows may belong to it.
fn rebuild_at_start(
    connection: &Connection,
    tiers: &Tiers,
    (name, rule): (&Arc<str>, &WindowRule),
    now: Moment,
    rows_left: &mut i64,
) -> rusqlite::Result<Window> {
    let mut window = Window::new(rule.clone());
    let Some(rebuild) = window.wanted_rebuild(name, now.wall) else {
        return Ok(window);
    };
    let mut scan = RebuildScan::new(connection, rebuild)?;
    let mut progress = Progress::More;
    while scan.has_rows() && progress == Progress::More {
        if *rows_left <= 0 {
            return Ok(Window::waiting(rule.clone()));
        }
        progress = scan.step(connection, tiers)?;
        *rows_left -= limits::WINDOW_STEP_IDS;
    }
    let has_rows = scan.has_rows();
    window.take_rebuilt(scan.finish(tiers).1);
    if has_rows && !now.trust.is_trusted() {
        window.want_all_rows();
    }
    Ok(window)
}

struct RestoredWindow {
    name: Arc<str>,
    window: Window,
    through_id: i64,
}

fn read(
    connection: &Connection,
    name: &Arc<str>,
    rule: &WindowRule,
) -> rusqlite::Result<Option<RestoredWindow>> {
    let mut saved = connection.prepare_cached(
        "SELECT through_id, state FROM derived_windows WHERE name = ?1 AND rule = ?2",
    )?;
    let saved = saved.query_row([&**name, &rule.text()], |row| {
        Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))
    });
    let Some((through_id, state)) = saved.optional()? else {
        return Ok(None);
    };
    let window = Window::decode(rule.clone(), &state);
    Ok(window.map(|window| RestoredWindow {
        name: name.clone(),
        window,
        through_id,
    }))
}

/// Inserts the rows that came since the windows were saved, up to a bound; returns how many more
/// may be read.
fn replay(connection: &Connection, windows: &mut [RestoredWindow]) -> rusqlite::Result<i64> {
    let mut rows_left = limits::RESTORED_WINDOW_ROWS;
    let Some(through_id) = windows.iter().map(|it| it.through_id).min() else {
        return Ok(rows_left);
    };
    let mut by_input: HashMap<Arc<str>, Vec<&mut RestoredWindow>> = HashMap::new();
    for window in windows {
        let input = window.window.rule().input.clone();
        by_input.entry(input).or_default().push(window);
    }
    let mut statement = connection.prepare_cached(
        "SELECT id, key, timestamp, value, meta FROM records WHERE id > ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([through_id])?;
    // Damaged rows are skipped.
    while let Some(row) = error::readable(rows.next())?.flatten() {
        let (Ok(id), Ok(key)) = (row.get::<_, i64>(0), row.get_ref(1)?.as_str()) else {
            continue;
        };
        rows_left -= 1;
        let is_too_many = rows_left < 0;
        let inputs = if is_too_many {
            None
        } else {
            by_input.get_mut(key)
        };
        if inputs.is_none() && !is_too_many {
            continue;
        }
        let Some(second) = row.get_ref(2)?.as_str().ok().and_then(second_of) else {
            continue;
        };
        let Some(inputs) = inputs else {
            let time = Wall::from_second(second);
            let windows = by_input.values_mut().flatten();
            windows.for_each(|it| it.window.want_rows_from(time));
            break;
        };
        let meta = row.get_ref(4)?.as_str_or_null().unwrap_or(None);
        if let Some(stored) = decode_sample(second, row.get(3).unwrap_or(None), meta) {
            for restored in inputs.iter_mut().filter(|it| id > it.through_id) {
                let newest = restored.window.newest_second();
                if !stored.untrusted || newest.is_none_or(|newest| second > newest) {
                    restored.window.insert(stored.sample);
                }
            }
        }
    }
    Ok(rows_left)
}

#[cfg(test)]
#[path = "tests/derived_windows.rs"]
mod tests;
